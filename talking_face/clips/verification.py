"""What any file says of itself: its signed statement, the invisible mark, and its plain words.

Decodes what anybody may send, within limits, and reports; it judges nobody. See
docs/provenance.md for what the answers mean and what they can't tell.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from talking_face import ffmpeg
from talking_face.arrays import Float32, UInt8
from talking_face.clips.credentials import Statement, read_statement
from talking_face.clips.declared import WITHOUT_PICTURES, declared
from talking_face.clips.detection import Found, detect, mean_contrast
from talking_face.clips.enclosure import LARGEST as LARGEST_GLB
from talking_face.clips.enclosure import texture_of
from talking_face.clips.payload import TOOL
from talking_face.clips.video import read_frames
from talking_face.clips.watermark import PUBLIC_KEY, installed_key
from talking_face.contents import Contents, look_into
from talking_face.cores import one_thread
from talking_face.errors import FileUnverifiable, PhotoUnreadable, VideoUnreadable
from talking_face.face.photo import DAMAGE, FORMATS, MAX_SIDE, load_photo
from talking_face.files import is_address, is_file
from talking_face.motion import FPS
from talking_face.options import shown

LOOKED_AT = 40  # frames of a video, spread over all of it
LONG = 20.0  # seconds; of longer ones, so many pieces are looked at, with so many frames a second:
PIECES = 5
RATE = 5.0
PROBED = 20.0  # seconds that it may take to find out how long a video is
LARGEST = 1024  # pixels, the longer side, of a video's frames; the mark is in what is coarser
MOST_LOOPED = 100  # frames of an animated picture,
MOST_PIXELS = 2**26  # and pixels of them all
MOST_BYTES = 2**31  # of a file


@dataclass(frozen=True)
class Verdict:
    """What was found in one file.

    Attributes:
        statement: of its signed statement.
        mark: of the invisible mark; None where there is no picture that could have one.
        plain: what it says of being made by a machine in plain words; None where it doesn't.
        own_key: whether that was read with this installation's own key, not with the public one.
    """

    statement: Statement
    mark: Found | None
    own_key: bool = False
    plain: str | None = None

    @property
    def made_here(self) -> bool:
        """Whether the file shows in some way that a program of this kind made it."""
        seen = self.mark is not None and self.mark.present
        return seen or (self.statement.valid and self.statement.generated)

    @property
    def headline(self) -> str:
        """The same in a few words."""
        if self.made_here:
            return "marked as made by a machine"
        return "no valid mark found" if self.plain is None else "says, unsigned, that it is made"

    def told(self) -> dict[str, Any]:
        """As JSON holds it."""
        statement = self.statement
        manifest = {
            name: getattr(statement, name)
            for name in "found valid trusted signer tool generated making problem".split()
        }
        return {
            "manifest": manifest | {"parts": list(statement.parts)},
            "invisible": self._told_of_mark(),
            "plain": {"found": self.plain is not None, "text": self.plain},
        }

    def _told_of_mark(self) -> dict[str, Any]:
        mark = self.mark
        if mark is None:
            nothing = {"found": False, "probability": 0.0, "false_alarm": 1.0, "own_key": False}
            return nothing | {"mirrored": False, "size": None, "possible": False}
        payload = mark.payload
        read = (
            {}
            if payload is None
            else {
                "tool": "talking_face" if payload.tool == TOOL else f"tool {payload.tool}",
                "version": ".".join(map(str, payload.version)),
                "clip": payload.clip,
                "day": payload.day.isoformat(),
            }
        )
        return {
            "found": mark.present,
            "probability": 1.0 - mark.chance,
            "false_alarm": mark.chance,
            "own_key": self.own_key,
            "mirrored": mark.present and mark.mirrored,
            "size": round(mark.size, 3) if mark.present else None,
            "possible": True,
            **read,
        }

    def sentences(self) -> list[str]:
        """The same for people, and what it can't tell."""
        told = [_about(self.statement), _about_mark(self.mark, self.own_key)]
        return [*told, _about_words(self.plain), _UNKNOWN]


_UNKNOWN = (
    "What isn't marked may be made by another program, or have lost its marks; what is marked may "
    "have been edited since. No mark says who is seen or heard, or whether they agreed."
)


@one_thread()
def verify(path: str | Path) -> Verdict:
    """Look for the marks in a picture, a video, or another file that this package writes.

    Raises:
        FileUnverifiable: no such file, or nothing that can be read.
        FfmpegMissing.
    """
    if not isinstance(path, str | PathLike):
        raise FileUnverifiable(f"{shown(path)} can't be checked. Give the path of a file.")
    path = Path(path)
    try:
        if path.is_dir():
            raise FileUnverifiable(f"{path} is a folder. Name the files in it.")
        if not path.is_file():
            if is_address(path):
                raise FileUnverifiable(
                    "A file isn't fetched from an address. Save it, and give the path of the file."
                )
            if path.exists():  # a pipe, a terminal
                raise FileUnverifiable(f"{path} is not a file. Save it, and give its path.")
            raise FileUnverifiable(f"There is no file {path}. Check the path.")
        if not path.stat().st_size:
            raise FileUnverifiable(f"{path.name} is empty. Use another copy.")
        if path.stat().st_size > MOST_BYTES:
            raise FileUnverifiable(f"{path.name} is larger than 2 GiB. Cut a piece out of it.")
    except (OSError, ValueError) as error:
        raise FileUnverifiable(f"{path!s:.80} can't be opened. Check the path.") from error
    field = _field(path)
    statement, plain = read_statement(path), declared(path)
    if field is None:
        return Verdict(statement, None, plain=plain)
    keys = dict.fromkeys((installed_key(), PUBLIC_KEY))
    found = [(detect(field, key), key != PUBLIC_KEY) for key in keys]
    mark, own = next((one for one in found if one[0].present), found[0])
    return Verdict(statement, mark, own, plain)


def _field(path: Path) -> Float32 | None:
    """What the invisible mark is looked for in; None of files that have no pictures."""
    suffix = path.suffix.lower()
    if suffix in WITHOUT_PICTURES:
        return None
    try:
        with closing(luma(path)) as frames:
            return mean_contrast(frames)
    except FileUnverifiable:
        if suffix == ".glb" or _is_sound(path):
            return None
        raise


def luma(path: Path) -> Generator[UInt8, None, None]:
    """Frames of a picture or a video, (H, W) uint8 luma, all of one size, at least one.

    Raises:
        FileUnverifiable.
    """
    try:
        looked_at = _loop(path) or [_grey(load_photo(_picture_in(path)))]
    except PhotoUnreadable as error:
        try:
            yield from _of_video(path)
        except FileUnverifiable:
            if isinstance(error.__cause__, UnidentifiedImageError):
                raise  # nothing that can be read
            raise FileUnverifiable(str(error)) from error
    else:
        yield from looked_at


def _picture_in(path: Path) -> Path | bytes:
    """The file itself, or the texture in a glb."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_GLB) if file.read(4) == b"glTF" else b""
        return texture_of(b"glTF" + data) if data else path
    except (OSError, ValueError):
        return path


def _of_video(path: Path) -> Generator[UInt8, None, None]:
    """Frames that are spread over a video, or over pieces of a long one; raises as `luma`."""
    found = look_into(ffmpeg.source(path), PROBED) if is_file(path) else None
    seconds = found.seconds if isinstance(found, Contents) else None
    starts: list[float | None] = [None]
    if seconds and seconds > LONG:
        starts += [seconds * piece / PIECES for piece in range(1, PIECES)]
    each = LOOKED_AT // len(starts)
    rate = RATE if len(starts) > 1 else min(float(FPS), each / (seconds or LONG))
    shape = None
    for start in starts:
        with closing(_near(path, rate, start)) as frames:
            for frame in islice(frames, each):
                shape = shape or frame.shape
                if frame.shape == shape:  # some streams change their size on the way
                    yield _grey(frame)


def _near(path: Path, rate: float, start: float | None) -> Generator[UInt8, None, None]:
    """Frames from a moment on; none where that can't be found. Raises as `luma` at the start."""
    try:
        with closing(read_frames(path, LARGEST, rate, start)) as frames:
            yield from frames
    except VideoUnreadable as error:
        if start is None:
            raise FileUnverifiable(
                f"{path.name} can't be read as a picture, a video or a sound. Give one that "
                "programs can show."
            ) from error


def _is_sound(path: Path) -> bool:
    found = look_into(ffmpeg.source(path), PROBED)
    return isinstance(found, Contents) and bool(found.layouts)


def _grey(picture: UInt8) -> UInt8:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _loop(path: Path) -> list[UInt8]:
    """The frames of an animated picture, (H, W) uint8; none where it is no such thing."""
    frames: list[UInt8] = []
    try:
        with Image.open(path, formats=FORMATS) as picture:
            count = getattr(picture, "n_frames", 1)
            if count < 2 or max(picture.size) > min(MAX_SIDE, 2 * LARGEST):
                return []
            width, height = picture.size
            for number in range(min(count, MOST_LOOPED, MOST_PIXELS // (width * height))):
                picture.seek(number)
                frames.append(np.asarray(picture.convert("RGB").convert("L")))
    except (*DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        pass  # as far as it goes
    return frames


def _about(statement: Statement) -> str:
    if not statement.found:
        return statement.problem or "Signed statement: none."
    signer = statement.signer or "an unknown signer"
    if not statement.valid:
        return f"Signed statement: not valid. {statement.problem}"
    made = "a trained algorithm made it" if statement.generated else "how it was made"
    trust = (
        "whom this machine trusts"
        if statement.trusted
        else "whom no list of trusted signers names: the file is unchanged since it was signed, "
        "but anybody can sign in this name"
    )
    return f"Signed statement: {statement.tool} says {made}. Signed by {signer}, {trust}."


def _about_words(plain: str | None) -> str:
    if plain is None:
        return "Plain words: it doesn't say that a machine made it."
    return f'Plain words, which anybody can write or delete: "{plain}"'


def _about_mark(mark: Found | None, own_key: bool) -> str:
    if mark is None:
        return "Invisible mark: files of this kind can't have one."
    if not mark.present:
        return "Invisible mark: not found."
    key = "this installation's key" if own_key else "the public key"
    sure = f"by chance once in {1 / max(mark.chance, 1e-30):.0e} files"
    if mark.payload is None:
        return f"Invisible mark: found ({sure}, with {key}), but what it says can't be read."
    version = ".".join(map(str, mark.payload.version))
    tool = "talking_face" if mark.payload.tool == TOOL else f"tool {mark.payload.tool}"
    return (
        f"Invisible mark: {tool} {version} made clip {mark.payload.clip} on "
        f"{mark.payload.day.isoformat()} (read with {key})."
    )
