"""Reading photos: whatever a phone or the web gives becomes one plain array.

Knows files and colour, nothing about faces. The file is never changed.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin, UnidentifiedImageError

from talking_face.arrays import Array, UInt8
from talking_face.errors import PhotoUnreadable
from talking_face.face import cut_short
from talking_face.files import in_memory, is_address, is_pipe, read_all, read_pipe
from talking_face.frozen import Frozen, sealed
from talking_face.options import shown

MIN_SIDE = 64  # pixels; a face in less has nothing to animate
MAX_SIDE = 8192  # pixels; the 48 and 50 megapixel photos of phones are 8064 and 8160 wide
BACKDROP = (128, 128, 128)  # behind transparent pixels: neutral, so that edges don't glow

# Photo formats only. Pillow also reads vector files by starting other programs, which an upload
# must not be able to ask for.
FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000", "PPM")
ADVICE = "Use a JPEG, PNG, WebP or HEIC photo."

ROW_BY_ROW = ("PNG", "TIFF", "PPM")  # which Pillow decodes as far as they go, and stops
CUT_SHORT = (
    "The file of the photo ends too early; the missing {percent} % of the picture are left out."
)
COARSE = "The file of the photo ends too early, so the picture is coarser than it should be."

PNG = b"\x89PNG\r\n\x1a\n"
KIND_OF_TIFF, REDUCED = 254, (1, 3)  # the tag NewSubfileType, and a smaller copy of another image
PROFILED = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # kinds of colour profiles: Pillow's modes
GREYS = ("1", "L", "LA", "La")
ROUNDING = 2  # grey levels
WHITES = (1.0, 255.0, 4095.0, 65535.0)  # of floating point, 8, 12 and 16 bits
LIGHTS = 99.0  # percentile; what is brighter may be beyond white

PhotoSource = str | Path | bytes | bytearray | memoryview | IO[bytes] | Image.Image | Array

# What Pillow and its codecs raise on damaged files.
DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    RuntimeError,
    TypeError,  # a TIFF without its dimensions
    struct.error,
    zlib.error,
)

pillow_heif.register_heif_opener()
logger = logging.getLogger(__name__)


class _Broken(PhotoUnreadable):
    """A file can't be decoded, or not all of it."""


@dataclass(frozen=True, eq=False)
class Photo(Frozen):
    """A photo, read.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        notes: sentences for people about what is missing of it.
    """

    pixels: UInt8
    notes: tuple[str, ...] = ()


def load_photo(source: PhotoSource) -> UInt8:
    """The pixels of a photo, in a new array of the caller's; see `read_photo`."""
    return np.array(read_photo(source).pixels)


def read_photo(source: PhotoSource) -> Photo:
    """Read a photo as it is meant to be seen.

    Honours EXIF rotation and embedded colour profiles (the result is sRGB), puts transparent pixels
    on grey, takes the first frame of an animation, and brings grey, palette, CMYK and 16-bit images
    to 8-bit RGB. Of a file that ends too early it takes the part of the picture that is there.

    Args:
        source: a path, also of a pipe; the bytes of an image file, or the file, open; a Pillow
            image; or an array: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA; uint8, uint16,
            bool, or float in 0–1.

    Raises:
        PhotoUnreadable: no such file, not an image, damaged, or with sides outside 64–8192 pixels.
    """
    if isinstance(source, np.ndarray):
        return Photo(sealed(_flatten(_from_array(source), "The photo")))
    if isinstance(source, Image.Image):
        return Photo(sealed(_flatten(source, "The photo")))
    if in_memory(source):
        try:
            data = read_all(source)
        except (OSError, ValueError) as error:
            raise PhotoUnreadable(
                f"The open file of the photo can't be read ({error}). Open it as a file of bytes."
            ) from error
        return _decoded(data, "The photo")
    if not isinstance(source, str | Path):
        raise PhotoUnreadable(
            f"A photo can't be made of {shown(source)}. Give a path, the bytes of an image file, a "
            "Pillow image, or an array of numpy."
        )
    if source == "":
        raise PhotoUnreadable("No photo was given. Give the path of one.")
    path = Path(source)
    photo = _decoded(_read(path), path.name)
    for note in photo.notes:
        logger.info("%s: %s", path.name, note)
    return photo


def _read(path: Path) -> bytes:
    try:
        if is_pipe(path):
            return read_pipe(path)
        if path.exists() and not path.is_file() and not path.is_dir():  # a terminal, say
            raise PhotoUnreadable(f"{path} is not a file. Give the path of one photo.")
        return path.read_bytes()
    except FileNotFoundError as error:
        if is_address(path):
            raise PhotoUnreadable(
                "A photo isn't fetched from an address. Save it, and give the path of the file."
            ) from error
        raise PhotoUnreadable(f"There is no photo {path}. Check the path.") from error
    except IsADirectoryError as error:
        raise PhotoUnreadable(f"{path} is a folder. Give the path of one photo.") from error
    except OSError as error:
        raise PhotoUnreadable(f"The photo can't be opened: {error}. Check the path.") from error
    except ValueError as error:
        raise PhotoUnreadable(f"{path!s:.80} is not a path ({error}). Check the path.") from error


def _decoded(data: bytes, name: str) -> Photo:
    # Decoders of some kinds don't complain, and leave blank what is missing.
    if cut_short.is_told(data) and (part := _part(data, name)):
        return part
    try:
        return Photo(sealed(_flatten(_open(data, name), name)))
    except _Broken:
        part = _part(data, name)
        if part is None:
            raise
        return part


def _part(data: bytes, name: str) -> Photo | None:
    """What there is of a photo whose file ends too early; None if that isn't what is wrong."""
    images = _ways_to_decode(data, name)
    image = next(images, None)
    if image is None:
        return None
    pictures = map(np.asarray, chain([image], images))
    if cut_short.is_told(data):
        box = cut_short.decoded_alike(pictures, cut_short.turned(data))
    else:
        box = cut_short.not_blank(next(pictures))
    kept = (box[2] - box[0]) * (box[3] - box[1]) / (image.width * image.height)
    if min(box[2] - box[0], box[3] - box[1]) < MIN_SIDE:
        raise PhotoUnreadable(
            f"{name} ends before enough of the picture is there. Use another copy of the photo."
        )
    notes = [CUT_SHORT.format(percent=max(1, round(100 - 100 * kept)))] if kept < 1 else []
    notes += [COARSE] if cut_short.is_progressive(data) else []
    return Photo(sealed(_flatten(image.crop(box), name)), tuple(notes))


def _ways_to_decode(data: bytes, name: str) -> Iterator[Image.Image]:
    """A broken file, decoded in the ways of `cut_short.fillings`; one after the other, for room."""
    for filled in cut_short.fillings(data):
        with suppress(_Broken):
            yield _load(_open(filled, name), name)
    with suppress(_Broken):
        image = _open(data, name)
        if image.format in ROW_BY_ROW and not image.info.get("interlace"):
            try:
                image.load()
            except DAMAGE as error:
                if "truncated" in str(error) and isinstance(image, ImageFile.ImageFile):
                    image.tile = []  # so that what was decoded counts
                    yield image


def _open(data: bytes, name: str) -> Image.Image:
    """Read the header only: the size is judged before a pixel is decoded."""
    if not data:
        raise PhotoUnreadable(f"{name} is empty. Use another copy of the photo.")
    try:
        return Image.open(io.BytesIO(_without_long_texts(data)), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoUnreadable(
            f"{name} is too large to decode safely: at most {MAX_SIDE} pixels on each side. "
            "Scale it down."
        ) from error
    except UnidentifiedImageError as error:
        raise _Broken(f"{name} is not an image that can be read. {ADVICE}") from error
    except DAMAGE as error:
        raise _Broken(f"{name} is damaged ({error}). Use another copy.") from error


def _without_long_texts(data: bytes) -> bytes:
    """A PNG without compressed texts that Pillow refuses to unpack, with all of the picture.

    Editing programs leave megabytes of blank room in them.
    """
    if not data.startswith(PNG):
        return data
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunk = data[at : at + 12 + size]
        if not _is_long(chunk[4:8], chunk[8:-4]):
            kept.append(chunk)
        at += 12 + size
    kept.append(data[at:])
    return b"".join(kept) if len(kept) > 1 else data


def _is_long(kind: bytes, text: bytes) -> bool:
    """Whether a chunk of a PNG is a compressed text that is longer than Pillow unpacks."""
    _, _, rest = text.partition(b"\0")  # behind its keyword
    if kind == b"zTXt":
        packed = rest[1:]
    elif kind == b"iTXt" and rest[:1] == b"\1":
        packed = rest[2:].split(b"\0", 2)[-1]  # behind its language and the keyword in that
    else:
        return False
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:
        return False
    return bool(unpacking.unconsumed_tail)


def _load(image: Image.Image, name: str) -> Image.Image:
    """Decode an image of a size that can be used."""
    width, height = image.size
    if image.format == "TIFF" and image.getexif().get(KIND_OF_TIFF) in REDUCED:
        raise PhotoUnreadable(
            f"{name} is a camera's raw file, of which only its preview could be read. Save it as a "
            "JPEG."
        )
    if max(width, height) > MAX_SIDE:
        raise PhotoUnreadable(
            f"{name} is {width} × {height} pixels, more than can be decoded safely: at most "
            f"{MAX_SIDE} on each side. Scale it down."
        )
    if min(width, height) < MIN_SIDE:
        raise PhotoUnreadable(
            f"{name} is only {width} × {height} pixels: at least {MIN_SIDE} on each side are "
            "needed. Use a larger photo."
        )
    try:
        image.load()
    except DAMAGE as error:
        raise _Broken(f"{name} is truncated or damaged. Use another copy.") from error
    return image


def _flatten(image: Image.Image, name: str) -> Array:
    """Pillow image of any mode → (H, W, 3) uint8 sRGB, upright."""
    image = _load(image, name)
    try:
        image = _upright(image)
        if image.mode.startswith(("I", "F")):
            profile = image.info.get("icc_profile")
            image = _from_array(_to_unit_range(np.asarray(image)))
            image.info["icc_profile"] = profile
        if image.has_transparency_data:
            alpha = image.convert("RGBA").getchannel("A")
            solid = Image.new("RGB", image.size, BACKDROP)
            solid.paste(_to_srgb(image), mask=alpha)
            return np.array(solid)
        return np.array(_to_srgb(image))
    except ValueError as error:
        raise PhotoUnreadable(f"{name} has a colour mode that is not known. {ADVICE}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGE as error:
        logger.warning("damaged EXIF data, rotation ignored: %s", error)
        return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Image of any mode → RGB in sRGB, without its alpha.

    Phones write Display P3, print shops CMYK, scanners grey of another gamma: read without its
    profile, a photo has wrong colours or tones. A profile is for one kind of colour, and says
    nothing about what those are once converted to another.
    """
    profile = image.info.get("icc_profile")
    if not profile:
        return image.convert("RGB")
    try:
        embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = PROFILED.get(embedded.profile.xcolor_space.strip(), "RGB")
        if mode == "L" and image.mode not in GREYS:
            mode = "RGB"  # which lets the profile fail: it is another image's
        transform = ImageCms.buildTransform(embedded, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        logger.warning("unusable colour profile ignored: %s", error)
        return image.convert("RGB")
    if mode == "RGB" and _changes_nothing(transform):
        return image.convert("RGB")
    converted = ImageCms.applyTransform(image.convert(mode), transform)
    assert converted is not None  # only with inPlace=True
    return converted


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether colours stay as they are, but for rounding: there are many profiles of sRGB."""
    steps = np.linspace(0, 255, 6, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
    converted = ImageCms.applyTransform(Image.fromarray(colours), transform)
    return bool(np.abs(np.asarray(converted).astype(int) - colours).max() <= ROUNDING)


def _to_unit_range(pixels: Array) -> Array:
    """Grey of 16 or 32 bits or float, (H, W) → float32 in 0–1.

    Such files don't say what white is; it is the smallest of the usual full scales that holds them.
    The lights of a photo in floating point may go beyond it, and are white.
    """
    numbers = np.nan_to_num(pixels.astype(np.float32), nan=0.0)
    integers = np.issubdtype(pixels.dtype, np.integer)
    top = float(np.max(numbers) if integers else np.percentile(numbers, LIGHTS))
    white = next((scale for scale in WHITES if top <= scale and (scale > 1 or not integers)), top)
    return (numbers / np.float32(white)).clip(0.0, 1.0)


def _from_array(array: Array) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise PhotoUnreadable(
            f"An array of shape {array.shape} is not a photo. Use (H, W, 3) RGB, (H, W, 4) RGBA or "
            "(H, W) grey."
        )
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype.newbyteorder("=") == np.uint16:
        array = (array.astype(np.uint32) + 128) // 257
    elif np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all() or array.min(initial=0) < 0 or array.max(initial=0) > 1:
            raise PhotoUnreadable("A photo given as floating-point numbers must lie in 0–1.")
        array = np.rint(array * 255)
    elif array.dtype != np.uint8:
        raise PhotoUnreadable(
            f"An array of {array.dtype} is not a photo. Use uint8, uint16, or float in 0–1."
        )
    return Image.fromarray(np.ascontiguousarray(array, dtype=np.uint8))
