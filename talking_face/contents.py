"""What a file holds, by what ffmpeg says of it: sound tracks, their channels and times, a comment.

Knows the words of ffmpeg, whose versions since 3 use the same ones; nothing of samples.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from talking_face import ffmpeg

_FLOATING = r"pcm_f\d|wavpack.* fltp?\b"  # what ffmpeg calls such sound
# Pictures that move, or a length that is guessed.
_MORE_THAN_SOUND = r"^ +Stream #0:.*: Video: (?!.*\(attached pic\))|Estimating duration"
# Times of one track alone begin where that one does.
_FROM_FIRST = {"mpegts", "mpeg", "ogg"}


@dataclass(frozen=True)
class Contents:
    """What ffmpeg finds in a file.

    Attributes:
        timed: whether it says when its sound is to be heard.
        layouts: of the channels of each sound track, such as "stereo" or "60 channels"; None
            where this ffmpeg can't decode it.
        floating: of each sound track, whether it is stored as floating point numbers, which may be
            of any size.
        seconds: how long it says that it lasts; None where it doesn't.
        start: of its times, seconds; some kinds of files count `seconds` from zero all the same.
        late: of each sound track, by how many seconds it starts after the others, where ffmpeg
            doesn't heed that when the track alone is decoded; else 0.
        alone: there is one sound track, no pictures, and `seconds` isn't an estimate.
        comment: the comment that the file has; empty without one.
    """

    timed: bool
    layouts: tuple[str | None, ...]
    seconds: float | None = None
    comment: str = ""
    floating: tuple[bool, ...] = ()
    preferred: int | None = None
    start: float = 0.0
    late: tuple[float, ...] = ()
    alone: bool = False


def look_into(source: list[str], seconds: float) -> Contents | ffmpeg.Ended:
    """What a file, by the options of `source`, holds; how the look ended where that's unknown."""
    # ffmpeg says so before it misses an output, in the same words since its version 3.
    command = [ffmpeg.find_ffmpeg(), "-nostdin", "-hide_banner", "-loglevel", "info", *source]
    with ffmpeg.started(command) as process:
        ended = process.end(seconds)
    container = re.search(r"^Input #0, (\S+), from ", ended.said, re.MULTILINE)
    if ended.hung or not container:
        return ended
    tracks = re.findall(r"^ +Stream #0:(\d+).*?: Audio: (.*)$", ended.said, re.MULTILINE)
    tracks.sort(key=lambda track: int(track[0]))  # they are listed program by program
    found = (re.search(r" Hz, ([^,]+)", about) for _, about in tracks)
    preferred = [i for i, (_, about) in enumerate(tracks) if "(default)" in about]
    kinds = container[1].split(",")
    (times,) = re.findall(r"^  Duration: .*$", ended.said, re.MULTILINE)[:1] or [""]
    begins = _start(times)
    lasts = re.match(r"  Duration: (\d+):(\d\d):(\d\d\.\d+)", times)
    comment = re.search(r"^    comment +: (.*)$", ended.said, re.MULTILINE | re.IGNORECASE)
    return Contents(
        timed=not set(kinds).isdisjoint(ffmpeg.TIMED),
        layouts=tuple(layout[1] if layout else None for layout in found),
        seconds=_seconds(*lasts.groups()) if lasts else None,
        comment=comment[1] if comment else "",
        start=begins,
        late=tuple(
            max(0.0, _start(about, begins) - begins) if _FROM_FIRST.intersection(kinds) else 0.0
            for _, about in tracks
        ),
        floating=tuple(bool(re.match(_FLOATING, about)) for _, about in tracks),
        preferred=preferred[0] if len(preferred) == 1 else None,
        alone=len(tracks) == 1 and not re.search(_MORE_THAN_SOUND, ended.said, re.MULTILINE),
    )


def _start(said: str, otherwise: float = 0.0) -> float:
    """Seconds at which something starts, by what is said of it."""
    found = re.search(r", start:? (-?\d+\.\d+)", said)
    return float(found[1]) if found else otherwise


def _seconds(hours: str, minutes: str, seconds: str) -> float:
    return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
