"""HEIC files of tiles, as phones write them (ISO/IEC 23008-12), made by hand for tests."""

import io
from struct import pack

from PIL import Image


def of_tiles(image: Image.Image, side: int, turns: int) -> bytes:
    """A picture in tiles of `side` pixels that is shown turned anticlockwise so many times."""
    across, down = -(-image.width // side), -(-image.height // side)
    places = [(column * side, row * side) for row in range(down) for column in range(across)]
    tiles = [_tile(image.crop((x, y, x + side, y + side))) for x, y in places]
    count = len(tiles)

    def entry(number: int, kind: bytes, hidden: bool) -> bytes:
        return _full(b"infe", 2, hidden, pack(">HH", number, 0), kind)

    def sizes(width: int, height: int) -> bytes:
        return _full(b"ispe", 0, 0, pack(">II", width, height))

    entries = [entry(2 + tile, b"hvc1\0", True) for tile in range(count)]
    listed = _full(b"iinf", 0, 0, pack(">H", count + 1), entry(1, b"grid\0", False), *entries)
    made_of = _box(b"dimg", pack(f">HH{count}H", 1, count, *range(2, 2 + count)))
    turn = _box(b"irot", bytes([turns]))
    known = _box(b"ipco", tiles[0][0], sizes(side, side), sizes(*image.size), turn)
    whose = pack(">HBBB", 1, 2, 3, 0x84)
    whose += b"".join(pack(">HBBB", 2 + tile, 2, 0x81, 2) for tile in range(count))
    about = _box(b"iprp", known, _full(b"ipma", 0, 0, pack(">I", count + 1), whose))
    shape = _box(b"idat", bytes([0, 0, down - 1, across - 1]), pack(">HH", *image.size))
    kind = _full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13))
    main = _full(b"pitm", 0, 0, pack(">H", 1))

    def head(start: int) -> bytes:
        where = pack(">HHHHII", 1, 1, 0, 1, 0, 8)
        for tile, (_, data) in enumerate(tiles):
            where += pack(">HHHHII", 2 + tile, 0, 0, 1, start, len(data))
            start += len(data)
        places = _full(b"iloc", 1, 0, b"\x44\0", pack(">H", count + 1), where)
        refers = _full(b"iref", 0, 0, made_of)
        whole = _full(b"meta", 0, 0, kind, main, listed, refers, about, shape, places)
        return _box(b"ftyp", b"heic", bytes(4), b"mif1heic") + whole

    return head(len(head(0)) + 8) + _box(b"mdat", *(data for _, data in tiles))


def _box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return pack(">I", 8 + len(inside)) + kind + inside


def _full(kind: bytes, version: int, flags: int, *content: bytes) -> bytes:
    return _box(kind, pack(">I", version << 24 | flags), *content)


def _tile(image: Image.Image) -> tuple[bytes, bytes]:
    """The box that says how a tile is coded, and the coded tile."""
    buffer = io.BytesIO()
    image.save(buffer, "HEIF")
    data = buffer.getvalue()
    start, pictures = data.index(b"hvcC") - 4, data.index(b"mdat") + 4
    return data[start : start + int.from_bytes(data[start : start + 4], "big")], data[pictures:]
