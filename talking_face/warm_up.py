"""Everything once, on a picture of nothing: libraries load parts of themselves at their first use.

The page does it in the background, so that its first visitor waits no longer than the second.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from talking_face.animator import Animator
from talking_face.cores import hire
from talking_face.face.face import fit_face
from talking_face.face.landmarks import detect_faces
from talking_face.face.model import Pose
from talking_face.options import Look
from talking_face.sound.audio import SAMPLE_RATE, Recording

SIDE = 256  # pixels of the picture
UNIT = 60.0  # pixels between the eyes of the mean face


def warm_up(animator: Animator) -> None:
    """Let an animator search, fit, hear, sample and render; it forgets all of it."""
    grey = np.full((SIDE, SIDE, 3), 128, dtype=np.uint8)
    detect_faces(grey)
    model = animator.models.face
    middle = np.array([SIDE / 2, SIDE / 2, 0.0])
    face = fit_face(grey, [Pose(np.eye(3), np.array(UNIT), middle).project(model.mean)], model)
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    (motion,) = animator.sample(animator.listen(Recording(noise.astype(np.float32))), 1)
    hire(partial(animator.renderer(face, Look(size=SIDE)).frame, motion))
    for _ in animator.render(face, motion[:2], Look(size=SIDE)):
        pass
    animator.memory.forget()
