"""A signed statement inside a glb, for which the standard has no place of its own yet.

The library signs any bytes and hands the statement over, as for a file beside them. Here it lies in
a buffer view that nothing else uses and that `asset.extras` names, so every program that reads glTF
passes over it. What is signed is the whole file with zeros in that place. Knows glTF 2.0's
container; knows nothing of what is stated.
"""

from __future__ import annotations

import json
import struct
from typing import Any

NAME = "c2pa"  # in asset.extras: the number of the buffer view
LARGEST = 2**26  # bytes of a file that is looked into
LARGEST_JSON = 2**24  # bytes of its JSON
_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # kinds of chunks


def with_room(glb: bytes, size: int) -> bytes:
    """The same glb with room for a statement of so many bytes, still empty.

    Raises:
        ValueError: it isn't a glb.
    """
    told, binary = _parted(glb)
    _, _, body = binary
    buffers, views = told.get("buffers"), told.setdefault("bufferViews", [])
    if not isinstance(buffers, list) or not buffers or not isinstance(views, list):
        raise ValueError("it has no buffer")
    start = -(-len(body) // 4) * 4
    size = -(-size // 4) * 4
    views.append({"buffer": 0, "byteOffset": start, "byteLength": size})
    told["asset"].setdefault("extras", {})[NAME] = len(views) - 1
    buffers[0]["byteLength"] = start + size
    words = json.dumps(told, separators=(",", ":")).encode()
    words += b" " * (-len(words) % 4)
    body = body.ljust(start, b"\0") + bytes(size)
    length = 12 + 8 + len(words) + 8 + len(body)
    return b"".join(
        [
            struct.pack("<4sII", b"glTF", 2, length),
            struct.pack("<II", len(words), _JSON) + words,
            struct.pack("<II", len(body), _BINARY) + body,
        ]
    )


def enclosed(glb: bytes, statement: bytes) -> bytes:
    """A glb of `with_room` with a statement in its place.

    Raises:
        ValueError: there is no room for it.
    """
    start, size = _place(glb)
    if len(statement) > size:
        raise ValueError("there is too little room")
    return glb[:start] + statement + glb[start + len(statement) :]


def opened(glb: bytes) -> tuple[bytes, bytes]:
    """A glb as it was signed, and its statement; the latter is empty where there is none.

    Raises:
        ValueError: it isn't a glb.
    """
    try:
        start, size = _place(glb)
    except LookupError:
        return glb, b""
    length = min(size, int.from_bytes(glb[start : start + 4], "big"))  # of the outermost JUMBF box
    end = start + length
    return glb[:start] + bytes(length) + glb[end:], glb[start:end]


def extras_of(glb: bytes) -> dict[str, Any]:
    """What a glb says of itself in `asset.extras`.

    Raises:
        ValueError: it isn't a glb.
    """
    extras = _parted(glb)[0]["asset"].get("extras")
    return extras if isinstance(extras, dict) else {}


def texture_of(glb: bytes) -> bytes:
    """The first picture in a glb, as a file; empty where there is none.

    Raises:
        ValueError: it isn't a glb.
    """
    told, binary = _parted(glb)
    images = told.get("images")
    image = images[0] if isinstance(images, list) and images else None
    try:
        start, size = _view(
            told, binary, image.get("bufferView") if isinstance(image, dict) else None
        )
    except LookupError:
        return b""
    return glb[start : start + size]


def _place(glb: bytes) -> tuple[int, int]:
    """First byte and length of the room; raises LookupError where there is none."""
    told, binary = _parted(glb)
    extras = told["asset"].get("extras")
    return _view(told, binary, extras.get(NAME) if isinstance(extras, dict) else None)


def _view(told: dict[str, Any], binary: tuple[int, int, bytes], number: Any) -> tuple[int, int]:
    """First byte and length of a buffer view in the file; raises LookupError without one."""
    start, length, _ = binary
    views = told.get("bufferViews")
    if type(number) is not int or not isinstance(views, list) or not 0 <= number < len(views):
        raise LookupError("no such view")
    view = views[number] if isinstance(views[number], dict) else {}
    offset, size = view.get("byteOffset", 0), view.get("byteLength")
    if type(offset) is not int or type(size) is not int or view.get("buffer") != 0:
        raise LookupError("no such view")
    if offset < 0 or size < 8 or offset + size > length:
        raise LookupError("no such view")
    return start + offset, size


def _parted(glb: bytes) -> tuple[dict[str, Any], tuple[int, int, bytes]]:
    """The JSON, and the binary part: its first byte, its length and itself."""
    try:
        magic, version, _ = struct.unpack_from("<4sII", glb)
        size, kind = struct.unpack_from("<II", glb, 12)
        if (magic, version, kind) != (b"glTF", 2, _JSON):
            raise ValueError("it isn't a glb")
        if size > LARGEST_JSON:
            raise ValueError("its JSON is too long")
        told = json.loads(glb[20 : 20 + size])
        length, kind = struct.unpack_from("<II", glb, 20 + size)
    except (struct.error, RecursionError) as error:
        raise ValueError("it isn't a glb") from error
    if not isinstance(told, dict) or not isinstance(told.get("asset"), dict) or kind != _BINARY:
        raise ValueError("it isn't a glb")
    body = glb[28 + size : 28 + size + length]
    return told, (28 + size, len(body), body)
