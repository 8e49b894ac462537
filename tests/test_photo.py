"""Reading photos: every format gives the same picture, every bad file one plain sentence."""

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from talking_face.errors import PhotoUnreadable
from talking_face.face.photo import BACKDROP, MAX_SIDE, MIN_SIDE, load_photo

HEIGHT, WIDTH = 80, 120
ORIENTATION = 0x0112  # EXIF tag


@pytest.fixture
def picture() -> np.ndarray:
    """(80, 120, 3) uint8: smooth colour ramps, a different one on each side."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 2, y * 3, (x + y)], axis=-1).astype(np.uint8)


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("PPM", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("JPEG", {"quality": 95, "subsampling": 0}, 4),
        ("JPEG2000", {}, 1),
        ("HEIF", {"quality": 95, "chroma": 444}, 6),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}, 6),
    ],
)
def test_every_format_gives_the_same_picture(picture, file_format, options, tolerance):
    read = load_photo(encoded(Image.fromarray(picture), file_format, **options))
    assert read.shape == picture.shape
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - picture).max() <= tolerance


def test_every_kind_of_source_gives_the_same_picture(picture, tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(picture).save(path)
    for source in (path, str(path), path.read_bytes(), Image.open(path), picture):
        assert np.array_equal(load_photo(source), picture)


def test_the_result_is_a_copy(picture):
    before = picture.copy()
    load_photo(picture)[:] = 0
    assert np.array_equal(picture, before)


def test_the_file_is_not_changed(picture, tmp_path):
    path = tmp_path / "photo.jpg"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(picture).save(path, exif=exif)
    before, stamp = path.read_bytes(), path.stat().st_mtime_ns
    load_photo(path)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, np.fliplr),
        (3, lambda a: np.rot90(a, 2)),
        (4, np.flipud),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: np.rot90(a, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_rotation_is_honoured(picture, orientation, turned):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    data = encoded(Image.fromarray(picture), "PNG", exif=exif)
    assert np.array_equal(load_photo(data), turned(picture))


def test_exif_rotation_of_heic_is_honoured_once(picture):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    read = load_photo(encoded(Image.fromarray(picture), "HEIF", quality=95, exif=exif.tobytes()))
    assert read.shape == (WIDTH, HEIGHT, 3)
    assert np.abs(read.astype(int) - np.rot90(picture, -1)).mean() < 3


def test_transparent_pixels_become_grey(picture):
    alpha = np.full((HEIGHT, WIDTH, 1), 255, dtype=np.uint8)
    alpha[:40] = 0
    rgba = np.concatenate([picture, alpha], axis=2)
    for source in (rgba, Image.fromarray(rgba), encoded(Image.fromarray(rgba), "PNG")):
        read = load_photo(source)
        assert (read[:40] == BACKDROP).all()
        assert np.array_equal(read[40:], picture[40:])


def test_palette_with_a_transparent_colour():
    image = Image.new("P", (WIDTH, HEIGHT), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (0, 0, 60, HEIGHT))
    read = load_photo(encoded(image, "PNG", transparency=0))
    assert (read[:, :60] == (200, 100, 50)).all()
    assert (read[:, 60:] == BACKDROP).all()


def test_grey_of_8_and_16_bits_agree():
    ramp = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    grey8 = load_photo(encoded(Image.fromarray(ramp), "PNG"))
    deep = ramp.astype(np.uint16) * 257
    for source in (deep, Image.fromarray(deep), encoded(Image.fromarray(deep), "PNG")):
        assert np.array_equal(load_photo(source), grey8)
    assert np.array_equal(grey8, np.repeat(ramp[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("scale", "kind"),
    [(16, np.uint16), (1, np.int32), (1 / 255, np.float32), (1.0, np.float32), (257.0, np.float32)],
)
def test_full_scale_of_grey_files_is_told_by_their_numbers(scale, kind):
    """12 bits as cameras and scanners give them, 8 in 32, floating point of every scale."""
    ramp = np.tile(np.linspace(0, 255, WIDTH), (HEIGHT, 1)).round()
    white = 4095 / 16 if kind == np.uint16 else 255
    read = load_photo(encoded(Image.fromarray((ramp * scale).astype(kind)), "TIFF"))
    np.testing.assert_allclose(read[..., 1], ramp * 255 / white, atol=1)


@pytest.mark.parametrize("wrong", [1.3, 40.0, np.nan, np.inf])
def test_a_few_numbers_beyond_white_darken_nothing(wrong):
    grey = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    grey[5, 5:9] = wrong
    read = load_photo(encoded(Image.fromarray(grey), "TIFF"))
    assert (read[5, 5:9] == (0 if np.isnan(wrong) else 255)).all()
    np.testing.assert_allclose(read[9, :, 1], np.linspace(0, 255, WIDTH), atol=1)


def test_grey_arrays_with_and_without_a_channel(picture):
    grey = picture[..., 0]
    assert np.array_equal(load_photo(grey), load_photo(grey[..., None]))


def test_float_and_bool_arrays(picture):
    assert np.array_equal(load_photo(picture / 255.0), picture)
    mask = picture[..., 0] > 100
    assert np.array_equal(load_photo(mask)[..., 1], mask * 255)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "HSV", "1", "LA", "PA", "F", "I"])
def test_unusual_modes(picture, mode):
    image = Image.fromarray(picture)
    image = image.convert("P").convert(mode) if mode == "PA" else image.convert(mode)
    read = load_photo(image)
    assert read.shape == picture.shape
    assert np.corrcoef(read[..., 1].ravel(), np.asarray(image.convert("L")).ravel())[0, 1] > 0.7


def test_cmyk_jpeg_keeps_its_colours():
    red = Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 40)).convert("CMYK")
    assert np.abs(load_photo(encoded(red, "JPEG")).astype(int) - (200, 30, 40)).max() < 6


def test_a_colour_profile_is_applied(picture):
    """A profile whose red and blue primaries are exchanged, on a picture stored as BGR."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"xXYZ").replace(b"bXYZ", b"rXYZ").replace(b"xXYZ", b"bXYZ")
    exchanged = exchanged.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))
    stored = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    read = load_photo(encoded(stored, "PNG", icc_profile=exchanged))
    assert np.abs(read.astype(int) - picture).max() <= 3
    assert np.array_equal(load_photo(encoded(stored, "PNG", icc_profile=srgb)), np.asarray(stored))


def icc_profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A minimal ICC profile of version 2.1 for pictures of one kind of colour."""
    d50 = struct.pack(">3i", 0xF6D6, 0x10000, 0xD32D)
    description = b"made by hand\0"
    named = b"desc" + bytes(4) + struct.pack(">I", len(description)) + description + bytes(78)
    tags = {b"desc": named, b"wtpt": b"XYZ " + bytes(4) + d50, **tags}
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        data += bytes(-len(data) % 4)
        offset = 128 + 4 + 12 * len(tags) + len(content)
        table += name + struct.pack(">II", offset, len(data))
        content += data
    head = bytes(4) + struct.pack(">I", 0x02100000) + b"scnr" + space + connection + bytes(12)
    head = struct.pack(">I", 128 + len(table) + len(content)) + head + b"acsp" + bytes(28)
    return head + d50 + bytes(48) + table + content


@pytest.mark.parametrize(
    ("mode", "file_format"), [("L", "PNG"), ("L", "JPEG"), ("LA", "PNG"), ("I;16", "PNG")]
)
def test_a_grey_profile_is_applied_to_grey(mode, file_format):
    """Stored without a gamma: half the light is 188 of 255 in sRGB."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 256)
    linear = icc_profile(b"GRAY", b"XYZ ", {b"kTRC": curve})
    grey = np.full((HEIGHT, WIDTH), 128, dtype=np.uint8)
    image = Image.fromarray(grey.astype(np.uint16) * 257 if mode == "I;16" else grey)
    if mode == "LA":
        image.putalpha(255)
    read = load_photo(encoded(image, file_format, icc_profile=linear))
    assert np.abs(read.astype(int) - 188).max() <= 2
    coloured = Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 40))
    read = load_photo(encoded(coloured, "PNG", icc_profile=linear))
    assert (read == (200, 30, 40)).all()  # another image's profile


def test_a_printers_profile_is_applied():
    """A press whose first ink is a dull green, not cyan; black ink is black."""
    inks = np.zeros((2, 2, 2, 2, 3), dtype=np.uint8)  # L*, a*, b* as bytes
    inks[..., 0, :], inks[..., 1, :] = (255, 128, 128), (0, 128, 128)
    inks[1, ..., 0, :] = (128, 128 - 40, 128 + 30)
    steps = bytes(range(256))
    unit = struct.pack(">9i", *(np.eye(3, dtype=int) * 65536).ravel())
    curves, corners = steps * 4, inks.tobytes() + steps * 3
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + curves + corners
    press = icc_profile(b"CMYK", b"Lab ", {b"A2B0": table})
    for ink, colour in (((255, 0, 0, 0), (45, 135, 65)), ((0, 0, 0, 128), (119, 119, 119))):
        image = Image.new("CMYK", (WIDTH, HEIGHT), ink)
        read = load_photo(encoded(image, "TIFF", icc_profile=press))
        assert np.abs(read.astype(int) - colour).max() <= 8, (ink, read[0, 0])


def test_a_linear_profile_is_not_taken_for_srgb_by_its_name(picture):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    start = srgb.index(b"para")
    flat = b"para" + bytes(8) + struct.pack(">i", 65536)  # gamma 1 in place of sRGB's curve
    linear = srgb[:start] + flat + srgb[start + len(flat) :]
    read = load_photo(encoded(Image.fromarray(picture), "PNG", icc_profile=linear))
    assert "sRGB" in ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(linear)))
    middle = (picture > 60) & (picture < 120)
    assert (read[middle].astype(int) - picture[middle] > 40).all()


def test_a_damaged_colour_profile_is_ignored(picture):
    data = encoded(Image.fromarray(picture), "PNG", icc_profile=b"not a profile")
    assert np.array_equal(load_photo(data), picture)


@pytest.mark.parametrize("kind", ["zTXt", "iTXt"])
@pytest.mark.parametrize("behind", [False, True])
def test_long_texts_of_a_png_are_passed_over(picture, kind, behind):
    """As editing programs leave them: megabytes of blank room, compressed."""
    texts = PngImagePlugin.PngInfo()
    if kind == "zTXt":
        texts.add_text("Comment", " " * 3_000_000, zip=True)
    else:
        texts.add_itxt("XML:com.adobe.xmp", " " * 3_000_000, "en", zip=True)
    data = encoded(Image.fromarray(picture), "PNG", pnginfo=texts)
    at = data.index(kind.encode()) - 4
    size = 12 + int.from_bytes(data[at : at + 4], "big")
    if behind:  # the picture
        data = data[:at] + data[at + size : -12] + data[at : at + size] + data[-12:]
    with pytest.raises(ValueError, match="too large"):
        Image.open(io.BytesIO(data)).load()
    assert np.array_equal(load_photo(data), picture)


def test_a_camera_s_raw_file_is_not_taken_for_its_preview(picture):
    data = encoded(Image.fromarray(picture), "TIFF", tiffinfo={254: 1, 50706: b"\1\4\0\0"})
    with pytest.raises(PhotoUnreadable, match=r"raw file, .* Save it as a JPEG"):
        load_photo(data)


def test_first_frame_of_an_animation(picture):
    other = Image.fromarray(255 - picture)
    data = encoded(
        Image.fromarray(picture), "WEBP", save_all=True, append_images=[other], lossless=True
    )
    assert np.array_equal(load_photo(data), picture)


@pytest.mark.parametrize("size", [(MIN_SIDE, MIN_SIDE), (MAX_SIDE, MIN_SIDE)])
def test_smallest_and_largest_sides_are_read(size):
    assert load_photo(Image.new("RGB", size, "teal")).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("size", [(MIN_SIDE - 1, 200), (200, MIN_SIDE - 1), (MAX_SIDE + 1, 100)])
def test_too_small_or_too_large_says_the_size(size):
    with pytest.raises(PhotoUnreadable, match=f"{size[0]} × {size[1]}"):
        load_photo(encoded(Image.new("RGB", size), "PNG"))


def png_that_claims(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises that many pixels."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    buffer = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    buffer.seek(0, io.SEEK_END)
    PngImagePlugin.putchunk(buffer, b"IHDR", header)
    PngImagePlugin.putchunk(buffer, b"IDAT", b"")
    return buffer.getvalue()


@pytest.mark.parametrize("size", [(100_000, 100_000), (12_000, 9_000)])
@pytest.mark.parametrize("warnings_are", ["ignore", "error"])
def test_decompression_bomb(size, warnings_are):
    with warnings.catch_warnings():
        warnings.simplefilter(warnings_are)
        with pytest.raises(PhotoUnreadable, match="Scale it down"):
            load_photo(png_that_claims(*size))


@pytest.mark.parametrize("file_format", ["GIF", "BMP", "JPEG2000"])
def test_truncated_file(picture, file_format):
    """Of those that are read as far as they go, see `test_cut_short.py`."""
    data = encoded(Image.fromarray(picture), file_format)
    for part in (0.02, 0.5, 0.9):
        with pytest.raises(PhotoUnreadable):
            load_photo(data[: int(len(data) * part)])


def test_damaged_bytes_never_end_in_another_error(picture):
    rng = np.random.default_rng(0)
    refused = 0
    for file_format in ("PNG", "JPEG", "WEBP", "GIF", "HEIF", "AVIF", "BMP"):
        data = np.frombuffer(encoded(Image.fromarray(picture), file_format), dtype=np.uint8)
        for _ in range(40):
            damaged = data.copy()
            damaged[rng.integers(0, len(data), size=4)] = rng.integers(0, 256, size=4)
            try:
                load_photo(damaged.tobytes())
            except PhotoUnreadable:
                refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    "content",
    [b"", b"hello, I am a text", b"<svg xmlns='x'/>", b"%!PS-Adobe-3.0 EPSF-3.0", b"\0" * 99],
)
def test_not_an_image(content, tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoUnreadable, match=r"notes\.jpg"):
        load_photo(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(PhotoUnreadable, match="There is no photo"):
        load_photo(tmp_path / "nobody.jpg")
    with pytest.raises(PhotoUnreadable, match="fetched from an address"):
        load_photo("https://example.org/nobody.jpg")
    with pytest.raises(PhotoUnreadable, match="is a folder"):
        load_photo(str(tmp_path))
    with pytest.raises(PhotoUnreadable, match="No photo was given"):
        load_photo("")
    with pytest.raises(PhotoUnreadable):
        load_photo("nul\0byte.jpg")
    with pytest.raises(PhotoUnreadable):
        load_photo(Path("x" * 5000))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((99, 99, 2), np.uint8),
        np.zeros((1, 99, 99, 3), np.uint8),
        np.zeros(99, np.uint8),
        np.zeros((99, 99, 3), np.int64),
        np.zeros((99, 99, 3), complex),
        np.full((99, 99, 3), 255.0),
        np.full((99, 99, 3), np.nan),
        np.full((99, 99, 3), -0.5),
        np.zeros((0, 99, 3), np.uint8),
    ],
)
def test_arrays_that_are_not_photos(array):
    with pytest.raises(PhotoUnreadable):
        load_photo(array)
