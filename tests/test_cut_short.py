"""Photos whose files end too early: what there is of them, to the row, and what is said."""

import io

import numpy as np
import pytest
from heic import of_tiles
from PIL import Image, ImageDraw

from talking_face import load_animator
from talking_face.errors import NoFaceFound, PhotoUnreadable, TalkingFaceError
from talking_face.face.photo import MIN_SIDE, read_photo

SIDE = 256
ORIENTATION = 0x0112  # EXIF tag


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    """Full of detail, so that each part of a file is needed, with a face's smooth ramps below."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (SIDE // 4, SIDE // 4, 3), dtype=np.uint8))
    image = noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).ellipse((60, 60, 190, 210), fill=(200, 150, 120))
    return image


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


KINDS = [
    ("JPEG", {}),
    ("JPEG", {"subsampling": 0}),
    ("JPEG", {"restart_marker_blocks": 7}),
    ("PNG", {}),
    ("TIFF", {}),
    ("PPM", {}),
    ("WEBP", {}),
    ("WEBP", {"quality": 95}),
    ("WEBP", {"lossless": True}),
    ("HEIF", {}),
]


@pytest.mark.parametrize(
    ("file_format", "options", "mode"),
    [
        *((*kind, "RGB") for kind in KINDS),
        *((kind, {}, "L") for kind in ("JPEG", "PNG", "TIFF", "PPM", "WEBP", "HEIF")),
        *((kind, {}, "RGBA") for kind in ("PNG", "TIFF", "WEBP")),
        *((kind, {}, "CMYK") for kind in ("JPEG", "TIFF")),
    ],
)
@pytest.mark.parametrize("share", [0.97, 0.8, 0.6])
def test_what_is_there_of_a_photo_is_as_in_the_whole_one(
    picture, file_format, options, mode, share
):
    data = encoded(picture.convert(mode), file_format, **options)
    whole = read_photo(data).pixels
    part = read_photo(data[: int(share * len(data))])
    rows = len(part.pixels)
    assert part.pixels.shape[1] == SIDE
    assert (share - 0.3) * SIDE < rows <= SIDE
    difference = np.abs(part.pixels.astype(int) - whole[:rows]).mean(axis=(1, 2))
    assert difference.max() < 4  # a row of nonsense has 20 and more
    if rows < SIDE:
        percent = max(1, round(100 - 100 * rows / SIDE))
        told = f"ends too early; the missing {percent} % of the picture are left out."
        assert len(part.notes) == 1
        assert part.notes[0].endswith(told)


@pytest.mark.parametrize(("file_format", "angle"), [("JPEG", 6), ("JPEG", 8), ("JPEG", 3)])
def test_what_is_missing_of_a_turned_photo_is_beside_it(picture, file_format, angle):
    data = encoded(picture, file_format, exif=exif(angle))
    whole, part = read_photo(data).pixels, read_photo(data[: int(0.7 * len(data))]).pixels
    height, width = part.shape[:2]
    kept = {6: whole[:, -width:], 8: whole[:, :width], 3: whole[-height:]}[angle]
    assert 0.5 < height * width / SIDE**2 < 0.8
    assert np.abs(part.astype(int) - kept).mean() < 1


@pytest.mark.parametrize("angle", [3, 6, 8])
def test_heic_is_turned_by_its_decoder(picture, angle):
    data = encoded(picture, "HEIF", exif=exif(angle))
    whole, part = read_photo(data).pixels, read_photo(data[: int(0.7 * len(data))]).pixels
    height, width = part.shape[:2]
    kept = {6: whole[:, -width:], 8: whole[:, :width], 3: whole[-height:]}[angle]
    assert 0.3 < height * width / SIDE**2 < 0.8
    assert np.array_equal(part, kept)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("share", [0.98, 0.8, 0.6])
def test_tiles_that_a_phone_s_photo_lacks_are_no_green_picture(picture, turns, share):
    """Their decoder leaves them green, and says nothing."""
    data = of_tiles(picture, 64, turns)
    whole, part = read_photo(data), read_photo(data[: int(share * len(data))])
    assert whole.pixels.shape == (SIDE, SIDE, 3)
    assert whole.notes == ()
    upright, kept = (np.rot90(photo.pixels, -turns) for photo in (whole, part))
    assert (share - 0.35) * SIDE < len(kept) < SIDE
    assert np.array_equal(kept, upright[: len(kept)])
    assert "left out" in part.notes[0]


def test_a_progressive_jpeg_is_coarser(picture):
    data = encoded(picture, "JPEG", progressive=True)
    whole, part = read_photo(data), read_photo(data[: int(0.7 * len(data))])
    assert part.pixels.shape == whole.pixels.shape
    assert 0 < np.abs(part.pixels.astype(int) - whole.pixels).mean() < 8
    assert part.notes == (
        "The file of the photo ends too early, so the picture is coarser than it should be.",
    )


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "HEIF", "GIF", "AVIF", "BMP"])
def test_nothing_is_missing_of_whole_files(picture, file_format):
    black = Image.new("RGB", (SIDE, SIDE))
    black.paste(picture.crop((0, 0, SIDE, 100)))
    for image in (picture, black):
        photo = read_photo(encoded(image, file_format))
        assert photo.pixels.shape == (SIDE, SIDE, 3)
        assert photo.notes == ()


@pytest.mark.parametrize(("file_format", "options"), KINDS)
@pytest.mark.parametrize("share", [0.001, 0.02, 0.1])
def test_too_little_of_a_photo_is_refused(picture, file_format, options, share):
    data = encoded(picture, file_format, **options)
    with pytest.raises(PhotoUnreadable, match="Use "):
        read_photo(data[: int(share * len(data))])


def test_lengths_that_lead_nowhere_cost_no_room(picture):
    """A damaged file may say that it is terabytes long."""
    heic, webp = encoded(picture, "HEIF"), encoded(picture, "WEBP")
    at = heic.index(b"mdat") - 4
    for data in (
        heic[:at] + b"\x7f\xff\xff\xff" + heic[at + 4 : at + 4000],
        heic[:at] + b"\0\0\0\1mdat" + b"\x7f" * 8 + heic[at + 8 : at + 4000],
        webp[:4] + b"\xff\xff\xff\x7f" + webp[8:16] + b"\xf0\xff\xff\x7f" + webp[20:4000],
        webp[:16] + b"\xff\xff\xff\xff" + webp[20:4000],
    ):
        with pytest.raises(PhotoUnreadable):
            read_photo(data)


def test_damaged_and_cut_files_never_end_in_another_error(picture):
    rng = np.random.default_rng(0)
    read = 0
    for file_format in ("PNG", "JPEG", "WEBP", "GIF", "HEIF", "AVIF", "BMP", "TIFF"):
        data = np.frombuffer(encoded(picture, file_format), dtype=np.uint8)
        for _ in range(12):
            damaged = data[: int(rng.uniform(0.3, 1.0) * len(data))].copy()
            damaged[rng.integers(0, len(damaged), size=2)] = rng.integers(0, 256, size=2)
            try:
                photo = read_photo(damaged.tobytes())
            except PhotoUnreadable:
                continue
            read += 1
            assert min(photo.pixels.shape[:2]) >= MIN_SIDE
    assert read > 20


@pytest.mark.slow
def test_a_face_is_found_in_what_there_is(portrait):
    animator = load_animator()
    image = Image.open(portrait).convert("RGB")
    data = encoded(image, "JPEG")
    face = animator.fit(data[: int(0.9 * len(data))])
    assert "left out" in face.notes[0]
    assert 0.5 * image.height < len(face.photo) < image.height
    same = animator.fit(face.photo)  # which nothing is missing of
    assert same.digest == face.digest
    assert same.notes == ()
    with pytest.raises(TalkingFaceError, match=r"ends too early.*left out"):
        animator.fit(data[: int(0.4 * len(data))])
    with pytest.raises(NoFaceFound, match=r"left out\. No face was found"):
        animator.fit(data[: int(0.2 * len(data))])
