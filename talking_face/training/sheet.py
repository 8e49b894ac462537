"""A contact sheet: what the renderer makes of many photos, to be looked at.

    python -m talking_face.training.sheet PHOTO [PHOTO ...] --output sheet.png [--part mouth]

One row a photo; the columns are the photo, rest, wide open, half open, smile, pucker, blink, half
blink, and four turns of the head. `--part` cuts out the mouth or the eyes, enlarged.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from talking_face.errors import TalkingFaceError
from talking_face.face import find_faces, fit_face
from talking_face.face_model import load_face_model
from talking_face.images import load_photo
from talking_face.motion import CHANNELS, Motion
from talking_face.render import Renderer
from talking_face.teeth import TeethGenerator, draw_teeth
from talking_face.weights import load_weights

POSES: dict[str, dict[str, list[float]]] = {
    "photo": {},
    "rest": {"rest": [1]},
    "wide open": {"rest": [1], "lower": [2.2]},
    "half open": {"rest": [1], "lower": [1.0]},
    "smile": {"rest": [1], "lower": [0.3, 1.8]},
    "pucker": {"rest": [1], "lower": [0.6, -1.8]},
    "blink": {"lids": [1, 1]},
    "half blink": {"lids": [0.5, 0.5]},
    "right": {"rotation": [10]},
    "left": {"rotation": [-10]},
    "down": {"rotation": [0, 8]},
    "tilt": {"rotation": [0, -4, 9], "translation": [0.08, 0.03]},
}
PARTS = {  # landmarks of the middle, half width and half height in canonical units
    "face": ([1], 1.35, 1.6),
    "mouth": ([61, 291, 14], 0.5, 0.45),
    "eyes": ([33, 263], 0.68, 0.3),
}

logger = logging.getLogger(__name__)


def pose(channels: dict[str, list[float]]) -> Motion:
    """One frame of motion; channels and numbers that aren't given are zero."""
    arrays = {}
    for name, values in channels.items():
        arrays[name] = np.zeros((1, CHANNELS[name]), dtype=np.float32)
        arrays[name][0, : len(values)] = values
    return Motion.still(1).replace(**arrays)


def row(path: Path, part: str, width: int) -> np.ndarray:
    """One photo in every pose, (h, 12 * width, 3) uint8 RGB."""
    photo = load_photo(path)
    model = load_face_model()
    face = fit_face(photo, find_faces(photo), model)
    generator = TeethGenerator.from_weights(load_weights("teeth"))
    teeth = draw_teeth(generator, int(face.digest[:8], 16))
    renderer = Renderer(face, model, teeth)
    landmarks, half_width, half_height = PARTS[part]
    unit = float(renderer.plate.pose.scale)
    middle = renderer.plate.pose.project(face.shape[landmarks])[:, :2].mean(0)
    size = 2 * np.array([half_width, half_height]) * unit
    left, top = np.maximum(middle - size / 2, 0).astype(int)
    cells = []
    for channels in POSES.values():
        frame = renderer.frame(pose(channels))
        cell = frame[top : top + int(size[1]), left : left + int(size[0])]
        height = round(width * half_height / half_width)
        cells.append(cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA))
    return np.hstack(cells)


def rows_of(path: Path, options: argparse.Namespace) -> list[np.ndarray]:
    """The photo's row, or none where it has no face that can be animated."""
    try:
        return [row(path, options.part, options.width)]
    except TalkingFaceError as error:
        logger.warning("%s: %s", path, error)
        return []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path("sheet.png"))
    parser.add_argument("--part", choices=PARTS, default="face")
    parser.add_argument("--width", type=int, default=160, help="of a cell, pixels")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    rows = [cells for path in options.photos for cells in rows_of(path, options)]
    if rows:
        Image.fromarray(np.vstack(rows)).save(options.output)


if __name__ == "__main__":
    main()
