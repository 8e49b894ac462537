"""What a client of the live face says in JSON, checked: how it begins, and what follows."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from talking_face.editing.edit import Edit
from talking_face.errors import ConsentMissing, OptionInvalid, PhotoUnreadable
from talking_face.face.photo import PhotoSource
from talking_face.moods import FEELINGS
from talking_face.options import Look, check_sampling, shown, whole_number
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.web.given import read_edits
from talking_face.web.orders import is_example
from talking_face.web.outlets import OUTLETS
from talking_face.web.seats import SIZE
from talking_face.web.uploads import ASSETS, received

PORTRAITS = ASSETS / "portraits"
MOST_SIZE = 768  # pixels; larger ones aren't made in time


@dataclass(frozen=True)
class Opening:
    """What a client wants to begin with; see docs/live.md."""

    photo: PhotoSource
    face: int = 0
    rate: Any = SAMPLE_RATE
    channels: Any = 1
    microphone: bool = False
    seed: Any = 0
    style: Any = "natural"
    size: Any = SIZE
    format: str = "jpeg"
    edit: Edit = field(default_factory=Edit)

    @classmethod
    def read(cls, message: Any) -> Opening:
        """From JSON.

        Raises:
            OptionInvalid, ConsentMissing, PhotoUnreadable, UploadUnknown.
        """
        if not isinstance(message, Mapping) or "photo" not in message:
            raise OptionInvalid('Say first which photo, as {"photo": …, "consent": true}.')
        known = {*cls.__dataclass_fields__, "consent"}
        for name in message:
            if name not in known:
                raise OptionInvalid(f"There is no option {shown(name)}.")
        values = {name: value for name, value in message.items() if name != "consent"}
        values["photo"] = read_photo(message["photo"], message.get("consent"))
        values["edit"] = read_edit(message.get("edit", {}))
        values["face"] = whole_number("The number of the face", message.get("face", 0))
        values["microphone"] = message.get("microphone") is True
        opening = cls(**values)
        check_sampling(opening.seed, 1.0, opening.style)
        if Look(size=opening.size).size not in range(64, MOST_SIZE + 1):
            raise OptionInvalid(f"A live face has 64 to {MOST_SIZE} pixels a side.")
        if not isinstance(opening.format, str) or opening.format not in OUTLETS:
            names = " or ".join(OUTLETS)
            raise OptionInvalid(f"The format is {names}, not {shown(opening.format)}.")
        if opening.format == "mp4" and int(opening.size) % 2:
            raise OptionInvalid("The size of an MP4 is even. Take one pixel more.")
        return opening


def read_photo(given: Any, consent: Any) -> PhotoSource:
    """A photo: the name of a portrait of ours, the record of an upload, or an image in base64.

    Raises:
        PhotoUnreadable, UploadUnknown.
        ConsentMissing: it is none of ours, and nobody has said that it may be used.
    """
    ours = {path.name: path for path in PORTRAITS.glob("*.jpg")}
    if isinstance(given, str) and given in ours:
        return ours[given]
    if isinstance(given, Mapping) and is_example(path := received(given)):
        return path
    if consent is not True:
        raise ConsentMissing(
            'Say first that you may use this photo and voice: send "consent": true beside it.'
        )
    if isinstance(given, Mapping):
        return received(given)
    if not isinstance(given, str):
        raise PhotoUnreadable(f"A photo is sent as an image in base64, not as {shown(given)}.")
    try:
        return BytesIO(base64.b64decode(given.rpartition(",")[2], validate=True))
    except (binascii.Error, ValueError) as error:
        raise PhotoUnreadable(
            "The photo isn't an image in base64. Encode the bytes of its file."
        ) from error


def read_edit(given: Any) -> Edit:
    """How the face is to look: the name of a feeling, or a mapping of the names of `Edit`.

    Raises:
        OptionInvalid.
    """
    if isinstance(given, str) and given in FEELINGS:
        return Edit(feeling=given)
    if not isinstance(given, Mapping):
        raise OptionInvalid(f"An edit is one of {', '.join(FEELINGS)}, or a mapping.")
    return read_edits([dict(given)])[0] if given else Edit()
