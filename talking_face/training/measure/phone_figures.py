"""What mouths do at phones: a real speaker's beside those of an animation of the same speech.

Phones are in the sound's time, and real lips may be early or late in their recording; so the real
mouth is first moved by the whole number of frames at which it goes best with the animation. Widths
are told less the clip's mean, for how wide a mouth is at rest is the speaker's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array
from talking_face.face.lips import TOUCHING
from talking_face.motion import FPS
from talking_face.training.data.offsets import lagged_correlations
from talking_face.training.data.phones import CLASSES, SILENCE, Phone
from talking_face.training.measure.lip_figures import CLOSED, TOLERANCE

CENT = 100  # lengths are told in hundredths of the inter-ocular distance
COLUMNS = (
    "opens", "ours opens", "width", "ours width", "closes", "ours closes", "shut", "ours shut",
    "speed", "ours speed",
)  # of the real mouth and of ours in turn  # fmt: skip


@dataclass(frozen=True)
class Mouth:
    """A mouth over time, each (frames,): opening and width in inter-ocular distances, and bool
    where they are known."""

    opening: Array
    width: Array
    ok: Array

    def later(self, frames: int) -> Mouth:
        """What is seen so many frames later, unknown where the clip has ended."""
        known = np.roll(self.ok, -frames)
        if frames:
            known[slice(-frames, None) if frames > 0 else slice(-frames)] = False
        return Mouth(np.roll(self.opening, -frames), np.roll(self.width, -frames), known)


@dataclass(frozen=True)
class Said:
    """One clip: its phones, and the mouths of both in the sound's time."""

    phones: Sequence[Phone]
    real: Mouth
    ours: Mouth

    @classmethod
    def of(cls, phones: Sequence[Phone], real: Mouth, ours: Mouth) -> Said:
        """Move the real mouth to where it goes best with ours."""
        likeness = lagged_correlations(ours.opening, real.opening, real.ok)
        lag = 0
        if np.isfinite(likeness).any():
            lag = int(np.nanargmax(likeness)) - len(likeness) // 2
        return cls(phones, real.later(lag), ours)

    def spans(self, kind: str) -> Iterator[tuple[slice, slice]]:
        """Frames of each phone of a class, and the same with a frame more on either side.

        Phones at whose frames the real mouth isn't known are left out.
        """
        for phone in self.phones:
            if phone.kind != kind:
                continue
            first = round(phone.start * FPS)
            last = max(first + 1, round(phone.end * FPS))
            around = slice(max(first - TOLERANCE, 0), last + TOLERANCE)
            if first < len(self.real.ok) and self.real.ok[around].all():
                yield slice(first, last), around


def phone_table(clips: Sequence[Said]) -> dict[str, dict[str, float]]:
    """class -> figures of all its phones, those of silence last; classes that never occur lack.

    Of the real mouth and of ours: "opens" and "width" are means over frames, in hundredths of the
    inter-ocular distance; "closes" is the share of phones at which lips meet within a frame,
    "shut" that of phones in whose own frames they are nearer than `TOUCHING`, and
    "speed" the mean change of the opening in hundredths a second. "found" is, of the phones at
    which the real lips meet, the share at which ours do, "wrong" the same of those at which they
    don't, and "late" by how many frames ours are closed later, in the median.
    """
    table = {}
    for kind in (*CLASSES, SILENCE):
        rows = [_row(clip, *spans) for clip in clips for spans in clip.spans(kind)]
        if not rows:
            continue
        values = np.array(rows)
        met, ours_met, late = values[:, 4] > 0, values[:, 5] > 0, values[:, -1]
        table[kind] = {
            "phones": float(len(rows)),
            **dict(zip(COLUMNS, values.mean(axis=0).tolist(), strict=False)),
            "found": _mean(ours_met[met]),
            "wrong": _mean(ours_met[~met]),
            "late": float(np.median(late[met & ours_met])) if (met & ours_met).any() else np.nan,
        }
    return table


def _row(clip: Said, frames: slice, around: slice) -> list[float]:
    """`COLUMNS` of one phone, and by how many frames our closure comes after the real one."""
    pair, known = (clip.real, clip.ours), clip.real.ok
    met = [np.flatnonzero(mouth.opening[around] < CLOSED) for mouth in pair]
    late = met[1].mean() - met[0].mean() if all(map(len, met)) else np.nan
    return [
        *(CENT * mouth.opening[frames].mean() for mouth in pair),
        *(CENT * (mouth.width[frames].mean() - mouth.width[known].mean()) for mouth in pair),
        *(float(len(frames_met) > 0) for frames_met in met),
        *(float((mouth.opening[frames] < TOUCHING).any()) for mouth in pair),
        *(CENT * FPS * np.abs(np.diff(mouth.opening[around])).mean() for mouth in pair),
        float(late),
    ]


def _mean(flags: Array) -> float:
    return float(flags.mean()) if len(flags) else float("nan")
