"""Skin that folds: nothing where nothing moves, lines from nose to mouth where somebody smiles.

And it moves further than its landmarks, while lips and lids meet as they do without that.
"""

from pathlib import Path

import numpy as np
import pytest

from talking_face.editing.expression import load_expression
from talking_face.face.face import Face, find_faces, fit_face
from talking_face.face.landmarks import LOWER_LID, UPPER_LID
from talking_face.face.lips import lip_gaps
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.moods import MOODS
from talking_face.motion import Motion
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.renderer import Renderer
from talking_face.picture.skin import COLUMNS, ROWS, load_skin, skin_mask

MODEL = load_face_model()
TEETH = np.ones((48, 128, 4), dtype=np.float32)


@pytest.fixture(scope="module")
def face(portrait: Path) -> Face:
    photo = load_photo(portrait)
    return fit_face(photo, find_faces(photo), MODEL)


def test_a_face_that_is_as_in_the_photo_stays_so_bit_for_bit(face: Face) -> None:
    renderer = Renderer(face, MODEL, TEETH, load_mouth_light(), size=256, skin=load_skin())
    assert np.array_equal(renderer.frame(Motion.still(1)), renderer.plate.image)


def test_a_smile_darkens_the_lines_from_nose_to_mouth_and_nothing_off_the_face(face: Face) -> None:
    mean = load_expression().mean[MOODS.index("happy")]
    smile = Motion.still(1).replace(lower=mean[None, :16], upper=mean[None, 16:22])
    plain, folded = (
        Renderer(face, MODEL, TEETH, load_mouth_light(), size=256, skin=skin).frame(smile)
        for skin in (None, load_skin())
    )
    change = folded.mean(2) - plain.mean(2)
    renderer = Renderer(face, MODEL, TEETH, load_mouth_light(), size=256)
    marks = renderer.landmarks(smile, 0)[:, :2].round().astype(int)
    x, y = marks[[92, 206, 216, 322, 426, 436]].T
    assert np.median(change[y, x]) < -2
    assert np.abs(change).max() < 45
    assert not change[:20].any()
    assert not change[:, :20].any()


def test_a_frown_shades_the_furrows_beside_the_noses_root_in_the_colour_of_skin(face: Face) -> None:
    mean = load_expression().mean[MOODS.index("angry")]
    frown = Motion.still(1).replace(upper=mean[None, 16:22], nuance=mean[None, 22:30])
    renderer = Renderer(face, MODEL, TEETH, load_mouth_light(), size=512, skin=load_skin())
    flow = renderer.flow(frown, 0)
    plain = renderer.composite(flow, frown, 0).astype(np.float64)
    folded = plain.astype(np.uint8)
    renderer.shade(folded, flow, frown, 0)
    marks = flow.points[:, :2].round().astype(int)
    x, y = marks[[193, 417, 55, 285, 221, 441]].T  # where the brows begin, and below
    ratio = (folded[y, x] / plain[y, x]).mean(0)
    assert ratio.mean() < 0.96
    assert ratio[0] > ratio[2]  # redder, not grey


def displaced(face: Face, motion: Motion) -> list[np.ndarray]:
    """Shapes (478, 3) that a motion makes of a face: without, and with skin."""
    return [
        Renderer(face, MODEL, TEETH, load_mouth_light(), size=256, skin=skin).deform(motion, 0)
        for skin in (None, load_skin())
    ]


def test_cheeks_rise_beyond_their_landmarks_and_lips_meet_as_without(face: Face) -> None:
    mean = load_expression().mean[MOODS.index("disgusted")]
    motion = Motion.still(1).replace(
        lower=mean[None, :16], upper=mean[None, 16:22], nuance=mean[None, 22:30]
    )
    plain, moved = displaced(face, motion)
    besides = moved - plain
    cheeks = besides[[117, 118, 346, 347], 1]
    assert (cheeks < -0.01).all()
    assert np.abs(besides).max() < 0.1
    assert np.abs(besides[[10, 152, 234, 454]]).max() < 1e-9  # nothing at the outline
    assert np.abs(lip_gaps(moved) - lip_gaps(plain)).max() < 0.01
    shut = motion.replace(lids=np.ones((1, 2), dtype=np.float32))
    _, asleep = displaced(face, shut)
    for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True):
        gap = asleep[list(lower), 1] - asleep[list(upper), 1]
        assert np.abs(gap).max() < 0.003


def test_brows_eyes_and_lips_are_no_skin() -> None:
    mask = skin_mask(MODEL)
    assert mask.shape == (ROWS, COLUMNS)
    assert 0.3 < (mask > 0.5).mean() < 0.7
    maps = load_skin().maps
    assert not maps[:, mask == 0].any()
