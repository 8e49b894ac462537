"""A contact sheet: what the renderer makes of many photos, to be looked at.

    python -m talking_face.training.measure.sheet PHOTO … --output sheet.png [--part mouth]

One row a photo; the columns are the photo, rest, half and wide open, pressed shut, smile, pucker,
half blink, blink, and four turns of the head, as far as it goes. `--part` cuts out the mouth or the
eyes, enlarged, or shows the whole frame. `--grey` takes the colour out of the photos first.

    python -m talking_face.training.measure.sheet PHOTO … --speech FILE --output strips.png

shows consecutive frames of a clip that speaks a recording instead, from `--start` on.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.errors import TalkingFaceError
from talking_face.face.face import find_faces, fit_face
from talking_face.face.model import FaceModel, load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import CHANNELS, Motion
from talking_face.options import FRAMINGS
from talking_face.picture.mouth.shading import Shading, load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.weights import load_weights

POSES: dict[str, dict[str, list[float]]] = {
    "photo": {},
    "rest": {"rest": [1]},
    "half open": {"rest": [1], "lower": [1.0]},
    "wide open": {"rest": [1], "lower": [2.2]},
    "closed": {"rest": [1], "lower": [-0.5]},
    "smile": {"rest": [1], "lower": [0.3, 1.8]},
    "pucker": {"rest": [1], "lower": [0.6, -1.8]},
    "half blink": {"lids": [0.5, 0.5]},
    "blink": {"lids": [1, 1]},
    "right": {"rotation": [15]},
    "left": {"rotation": [-15]},
    "down": {"rotation": [0, 10]},
    "tilt": {"rotation": [0, -4, 12], "translation": [0.08, 0.03]},
}
PARTS = {  # landmarks of the middle, half width and half height in canonical units
    "face": ([1], 1.35, 1.6),
    "head": ([1], 1.9, 1.9),
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


def joined(motions: Sequence[Motion]) -> Motion:
    """Motions one after the other."""
    return Motion.still(sum(map(len, motions))).replace(
        **{name: np.concatenate([getattr(m, name) for m in motions]) for name in CHANNELS}
    )


def speech_motion(animator: Animator, path: Path, start: int, count: int) -> Motion:
    """Frames of the first sample that speaks a recording.

    Raises:
        AudioUnreadable, WeightsMissing and others of `talking_face.animator`.
    """
    return animator.sample(animator.listen(path), 1, seed=0)[0][start : start + count]


def cut(frame: Array, matrix: Array, width: int, height: int) -> Array:
    """A part of a frame at the size of a cell; black where the frame has ended."""
    method = cv2.INTER_AREA if matrix[0, 0] < 1 else cv2.INTER_CUBIC
    return cv2.warpAffine(frame, matrix, (width, height), flags=method)


def row(
    path: Path,
    motion: Motion,
    model: FaceModel,
    generator: TeethGenerator,
    shading: Shading,
    options: argparse.Namespace,
) -> Array:
    """One photo in every frame of a motion, (h, frames * width, 3) uint8 RGB."""
    photo = load_photo(path)
    if options.grey:
        photo = np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    face = fit_face(photo, find_faces(photo), model)
    teeth = draw_teeth(generator, int(face.digest[:8], 16))
    renderer = Renderer(face, model, teeth, shading, options.framing)
    plate = renderer.plate
    landmarks, half_width, half_height = PARTS[options.part]
    corner = np.array([plate.left, plate.top])
    middle = plate.pose.project(face.shape[landmarks])[:, :2].mean(0) + corner
    height = round(options.width * half_height / half_width)
    scale = options.width / (2 * half_width * float(plate.pose.scale))
    matrix = np.array([[scale, 0, options.width / 2], [0, scale, height / 2]])
    matrix[:, 2] -= scale * middle
    frames = renderer.frames(motion)
    return np.hstack([cut(frame, matrix, options.width, height) for frame in frames])


def rows_of(
    path: Path,
    motion: Motion,
    model: FaceModel,
    generator: TeethGenerator,
    shading: Shading,
    options: argparse.Namespace,
) -> list[Array]:
    """The photo's row, or none where it has no face that can be animated."""
    try:
        return [row(path, motion, model, generator, shading, options)]
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
    parser.add_argument("--framing", choices=FRAMINGS, default="crop")
    parser.add_argument("--width", type=int, default=160, help="of a cell, pixels")
    parser.add_argument("--grey", action="store_true", help="take the colour out of the photos")
    parser.add_argument("--speech", type=Path, help="a recording that is spoken")
    parser.add_argument("--start", type=int, default=0, help="first frame of the spoken clip")
    parser.add_argument("--frames", type=int, default=12, help="of the spoken clip")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.speech:
        motion = speech_motion(load_animator(), options.speech, options.start, options.frames)
    else:
        motion = joined([pose(channels) for channels in POSES.values()])
    teeth = TeethGenerator.from_weights(load_weights("teeth"))
    models = load_face_model(), teeth, load_mouth_light()
    rows = [cells for path in options.photos for cells in rows_of(path, motion, *models, options)]
    if rows:
        Image.fromarray(np.vstack(rows)).save(options.output)


if __name__ == "__main__":
    main()
