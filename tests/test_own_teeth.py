"""A photo's own teeth, where the lips that come to rest would hide them."""

import numpy as np
import pytest

from talking_face import load_animator
from talking_face.face.landmarks import INNER_LIP_UPPER
from talking_face.files import shipped
from talking_face.motion import Motion
from talking_face.picture.mouth.layers import incisal_edge
from talking_face.picture.mouth.painter import (
    ABOVE,
    EXPOSED,
    HALF_WIDTH,
    INNER,
    MOVED,
    SUPERSAMPLING,
    UPPER_LIP,
    Mouth,
)
from talking_face.picture.renderer import Renderer

ANIMATOR = load_animator("cpu")
LOWERED = [0.0, 0.065, 0.08]  # canonical units by which the resting upper lip is lower than found


@pytest.fixture(scope="module")
def smiling() -> Renderer:
    face = ANIMATOR.fit(shipped("assets") / "portraits" / "astronaut.jpg")
    return ANIMATOR.renderer(face)


def mouth_of(smiling: Renderer, lower: float) -> tuple[Mouth, float]:
    """Its mouth with an upper lip that rests so much lower, and how far below it teeth end."""
    still = Motion.still(1).replace(rest=np.ones((1, 1)))
    rest = smiling.deform(still, 0)
    rest[list(INNER_LIP_UPPER), 1] += lower
    made = smiling.mouth
    mouth = Mouth(
        smiling.plate,
        smiling.face.shape,
        rest,
        smiling.mesh.mouth,
        np.zeros((48, 128, 4), np.float32),
        made._shading,
    )
    density = SUPERSAMPLING * float(smiling.plate.pose.scale)
    height, width = mouth.upper.shape[:2]
    y, x = np.mgrid[:height, :width] / density - np.array([ABOVE, HALF_WIDTH])[:, None, None]
    edge = incisal_edge(mouth.upper, x, y, mouth.light.teeth)
    assert edge is not None
    return mouth, edge - float(rest[UPPER_LIP, 1] - rest[INNER, 1].mean())


def test_teeth_that_a_resting_lip_would_hide_come_out_below_it(smiling: Renderer) -> None:
    moved = []
    for lower in LOWERED:
        mouth, below = mouth_of(smiling, lower)
        moved.append(float(mouth._lowered[1]))
        assert below > EXPOSED - 0.005 or moved[-1] == pytest.approx(MOVED, abs=0.005)
    assert moved[0] == 0  # seen anyway: left where the photo has them
    assert 0 < moved[1] < moved[2] < MOVED + 0.005


def test_teeth_stay_where_the_photo_has_them_unless_its_mouth_comes_to_rest(
    smiling: Renderer,
) -> None:
    mouth, _ = mouth_of(smiling, LOWERED[-1])
    plain, _ = mouth_of(smiling, LOWERED[-1])
    shift = plain._lowered[1]
    plain._lowered = np.zeros(3)
    shape, pose = smiling.face.shape, smiling.plate.pose
    region = np.zeros((200, 200, 3), np.uint8)
    corner = pose.project(shape[INNER])[:, :2].mean(0).astype(int) - 100
    there, lowered = (m._inside(region, shape, pose, corner, 0.0) for m in (mouth, plain))
    rows = round(shift * float(pose.scale))
    assert rows > 2
    away = np.abs(there[80:120, 80:120] - lowered[80 + rows : 120 + rows, 80:120]).mean()
    assert away < 0.5 * np.abs(there[80:120, 80:120] - lowered[80:120, 80:120]).mean()
