"""What files say of themselves in plain words, unsigned: that a machine made them.

Whoever can write a file can write or delete such words, so they prove nothing; they are there for
files that nothing better fits into, and for programs that look no further. Read are comments and
IPTC's source type in pictures, comments of videos and sounds, `asset.extras` of glTF, comments of
OBJ and of subtitles, the fields `synthetic` and `note` of JSON, and the note in a motion. A table
without words is spoken for by a JSON beside it that holds its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from talking_face import ffmpeg
from talking_face.clips.enclosure import LARGEST, extras_of
from talking_face.contents import Contents, look_into
from talking_face.face.photo import DAMAGE, FORMATS
from talking_face.motion_files import DAMAGE as NOT_A_MOTION
from talking_face.motion_files import Sips

TEXTS = (".obj", ".mtl", ".srt", ".vtt")
TABLES = (".csv",)
WITHOUT_PICTURES = (".npz", ".json", ".wav", *TEXTS, *TABLES)
LONGEST = 200  # characters that are told of it
READ = 4096  # bytes of the beginning of a text, and of a note, that are looked at
LARGEST_JSON = 2**24  # bytes; ten minutes of curves are half of it
PROBED = 20.0  # seconds that ffmpeg may look into a file

_SAYS = re.compile(r"AI[- ]generated|synthetic|algorithmicmedia", re.IGNORECASE)


def declared(path: Path) -> str | None:
    """What a file says of being made by a machine, in its own words; None where it doesn't.

    Never raises over what is in the file.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(4)
        words = _reader(beginning, path.suffix.lower())(path)
    except OSError:
        return None
    told = (" ".join(one.split()) for one in words)
    return next((one[:LONGEST] for one in told if _SAYS.search(one)), None)


def _reader(beginning: bytes, suffix: str) -> Callable[[Path], list[str]]:
    if beginning == b"glTF":
        return _of_glb
    if beginning == b"PK\3\4":
        return _of_archive
    if suffix in TABLES:
        return _of_table
    if suffix in TEXTS:
        return _of_text
    if suffix == ".json":
        return _of_json
    return _of_picture_or_media


def _of_glb(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            return _noted(extras_of(file.read(LARGEST)))
    except ValueError:
        return []


def _of_archive(path: Path) -> list[str]:
    try:
        with Sips(io.FileIO(path)) as file, zipfile.ZipFile(file) as stored:
            if "note.npy" not in stored.namelist():
                return []
            packed = stored.getinfo("note.npy")
            if packed.file_size > READ or packed.compress_type not in (0, zipfile.ZIP_DEFLATED):
                return []
            with stored.open(packed) as member:
                data = io.BytesIO(member.read(READ))
        if npy.read_magic(data) != (1, 0):
            return []
        shape, _, dtype = npy.read_array_header_1_0(data)
        if shape != () or dtype.kind != "U" or dtype.itemsize > READ:
            return []
        return [str(np.frombuffer(data.read(), dtype, 1)[0])]
    except NOT_A_MOTION:
        return []


def _of_table(path: Path) -> list[str]:
    """What a JSON of the same name beside it says for it."""
    beside = path.with_suffix(".json")
    if not beside.is_file() or path.stat().st_size > LARGEST_JSON:
        return []
    told = _parsed(beside)
    digests = told.get("sha256")
    mine = digests.get(path.name) if isinstance(digests, dict) else None
    if mine != hashlib.sha256(path.read_bytes()).hexdigest():
        return []
    return [f"{one} (in {beside.name})" for one in _noted(told)]


def _of_text(path: Path) -> list[str]:
    with path.open("rb") as file:
        lines = file.read(READ).decode("utf-8", "replace").splitlines()
    return [line.lstrip("# ") for line in lines if line.startswith(("#", "NOTE"))]


def _of_json(path: Path) -> list[str]:
    return _noted(_parsed(path))


def _of_picture_or_media(path: Path) -> list[str]:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            names = ("comment", "Comment", "XML:com.adobe.xmp", "xmp")
            told = [picture.info.get(name) for name in names]
    except (*DAMAGE, Image.DecompressionBombError, Image.DecompressionBombWarning):
        found = look_into(ffmpeg.source(path), PROBED)
        return [found.comment] if isinstance(found, Contents) else []
    words = [one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in told]
    return [_source_type(one) for one in words if isinstance(one, str)]


def _source_type(words: str) -> str:
    """The words, or of XMP what it says of the source."""
    found = re.search(r"DigitalSourceType[^\w]*([\w:/.-]+)", words)
    return found[1] if found else words


def _parsed(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            return {}
        told = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _noted(told: dict[str, Any]) -> list[str]:
    """What a mapping of a file says in our fields."""
    words = told.get("note")
    plain = ["synthetic"] if told.get("synthetic") is True else []
    return [words, *plain] if isinstance(words, str) else plain
