"""Uploads and settings as they arrive, checked before anything waits in the queue."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from talking_face.arrays import UInt8
from talking_face.clips.marks import Marks
from talking_face.clips.overlay import draw_faces, draw_mesh
from talking_face.errors import (
    AudioUnreadable,
    ConsentMissing,
    OptionInvalid,
    PhotoUnreadable,
    TalkingFaceError,
)
from talking_face.gate import admit
from talking_face.options import MAX_SAMPLES, Look, check_sampling
from talking_face.picture.backdrop import load_backdrop
from talking_face.sound.audio import load_audio
from talking_face.sound.emotion import Emotion
from talking_face.web.messages import plain_sentences
from talking_face.web.models import animator
from talking_face.web.settings import BACKGROUNDS, Settings
from talking_face.web.uploads import ASSETS, Upload, received

PORTRAITS = ASSETS / "portraits"
SHOWN_BY_BROWSERS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif"}


@dataclass(frozen=True)
class Order:
    """What a visitor asks for."""

    photo: Path
    audio: Path
    face: int = 0
    settings: Settings = field(default_factory=Settings)
    backdrop: Path | None = None

    @classmethod
    def read(
        cls,
        photo: Upload,
        audio: Upload,
        face: Any = 0,
        consent: Any = False,
        backdrop: Upload = None,
        values: Mapping[str, Any] | None = None,
    ) -> Order:
        """An order from what the page or a client sends, its numbers checked.

        Raises:
            PhotoUnreadable, AudioUnreadable: there is none.
            UploadUnknown: a file isn't one that this client may use.
            ConsentMissing: the photo is an upload, and nobody has said that it may be used.
            OptionInvalid: not a number where there should be one, or out of its range.
        """
        if photo is None:
            raise PhotoUnreadable(
                "There is no photo yet. Add one that shows a face from the front."
            )
        if audio is None:
            raise AudioUnreadable(
                "There is no recording yet. Add one, record your voice, or type a text."
            )
        photo_path, audio_path = received(photo), received(audio)
        settings = Settings.read(values or {})
        if not 1 <= len(settings.shown_takes()) <= MAX_SAMPLES:
            raise OptionInvalid(f"Ask for 1 to {MAX_SAMPLES} samples.")
        check_sampling(settings.seed, settings.diversity, settings.style)
        _ = (
            settings.edits,
            Look(settings.framing, settings.size or None),
        )  # their ranges are checked
        if settings.background == "image" and backdrop is None:
            raise PhotoUnreadable(
                "There is no image for the background yet. Add one, or choose another background."
            )
        if settings.background not in BACKGROUNDS:
            raise OptionInvalid('The background must be "photo", "colour" or "image".')
        if consent is not True and not is_example(photo_path):
            raise ConsentMissing(
                "Say first that you may use this photo and voice: tick the box above the button."
            )
        try:
            index = int(face or 0)
        except (OverflowError, TypeError, ValueError) as error:
            raise OptionInvalid("The face must be a number, 0 for the largest.") from error
        behind = received(backdrop) if settings.background == "image" else None
        return cls(photo_path, audio_path, index, settings, behind)

    @property
    def look(self) -> Look:
        """Framing, size and background, for the animator."""
        settings = self.settings
        behind = settings.colour if settings.background == "colour" else self.backdrop
        return Look(settings.framing, settings.size or None, behind)

    def check(self) -> None:
        """Look at the photo and listen to the recording, so that bad ones never wait in the queue.

        Raises:
            PhotoUnreadable, NoFaceFound, FaceIndexError, FaceUnsuitable, AudioUnreadable,
            AudioTooShort, AudioTooLong.
        """
        animator().fit(self.photo, self.face)
        admit("sound", load_audio(self.audio))
        if self.look.background is not None:
            load_backdrop(self.look.background)


def is_example(photo: Path) -> bool:
    """Whether this is one of the portraits that come with the page, under whatever name."""
    examples = _examples()
    try:  # the size first: uploads may be large
        return photo.stat().st_size in examples.values() and _digest(photo) in examples
    except OSError:
        return False


@lru_cache(maxsize=1)
def _examples() -> dict[str, int]:
    """Digest and size in bytes of each portrait."""
    return {_digest(path): path.stat().st_size for path in PORTRAITS.iterdir()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- as soon as something is there ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a photo.

    Attributes:
        shown: the photo's pixels, (H, W, 3) uint8 RGB, where browsers can't show the file itself or
            it may have been turned.
        choices: (name, index) of each face, the largest first, numbered as in `outlined`.
        outlined: the photo with its faces numbered, where there are several.
        notes: sentences about what was done to the photo.
    """

    shown: UInt8 | None
    choices: list[tuple[str, int]]
    outlined: UInt8 | None
    notes: tuple[str, ...] = ()


def outlined_faces(photo: Path) -> UInt8:
    """The photo with its faces outlined and numbered from 1, (H, W, 3) uint8 RGB."""
    return draw_faces(animator().upright(photo), animator().faces(photo))


def mesh_over(photo: Path, face: int) -> UInt8:
    """The photo with the mesh that is fitted to a face, marked, (H, W, 3) uint8 RGB."""
    drawn = draw_mesh(animator().fit(photo, face), animator().models.face.triangles)
    return Marks().painter(*drawn.shape[:2])(drawn)


def look_at(photo: Upload) -> Found:
    """Look for faces as soon as a photo is there."""
    with plain_sentences():
        path = received(photo)
        face = animator().fit(path)
        boxes = animator().faces(path)
        outlined = outlined_faces(path) if len(boxes) > 1 else None
    places = sorted(range(len(boxes)), key=lambda index: boxes[index][0])
    choices = [
        (f"Face {index + 1}, number {places.index(index) + 1} from the left", index)
        for index in range(len(boxes))
    ]
    seen = path.suffix.lower() in SHOWN_BY_BROWSERS and not face.notes
    return Found(None if seen else face.photo, choices, outlined, face.notes)


def face_at(photo: Upload, x: float, y: float) -> int | None:
    """Which face of a photo lies under a point, pixels; None where there is none."""
    with plain_sentences():
        boxes = animator().faces(received(photo))
    for index, (x0, y0, x1, y1) in enumerate(boxes):
        if x0 <= x <= x1 and y0 <= y <= y1:
            return index
    return None


def emotion_of(audio: Upload) -> Emotion | None:
    """What is felt in a recording; None where there is none, or none that can be heard.

    What is wrong with a recording is told by `check_audio` and by an order; nobody asked here.
    """
    with suppress(TalkingFaceError):
        if audio is not None:
            return animator().emotion(animator().listen(received(audio)))
    return None


def check_audio(audio: Upload) -> tuple[str, ...]:
    """Decode a recording as soon as it is there, so that a bad one is told at once.

    Returns:
        Sentences about what was chosen of it or repaired.
    """
    if audio is None:
        return ()
    with plain_sentences():
        return load_audio(received(audio)).notes
