"""What a head does in a motion: displacements, poses, and ARKit's curves, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array
from talking_face.face.landmarks import IRIS_CENTRE, IRIS_RING
from talking_face.face.model import EYEBALL_RADIUS, Pose
from talking_face.head.blendshapes import Curves, curves_of, targets
from talking_face.head.head import Head
from talking_face.motion import Motion
from talking_face.picture.renderer import Renderer


@dataclass(frozen=True, eq=False)
class Performance:
    """What a head does, at 25 fps.

    Attributes:
        head: whose.
        shapes: (52, 478, 3) what each blendshape moves on it.
        curves: of the motion.
        poses: one a frame, in the pixels of the head's own crop.
    """

    head: Head
    shapes: Array
    curves: Curves
    poses: list[Pose]

    def __len__(self) -> int:
        return len(self.poses)


def perform(head: Head, renderer: Renderer, motion: Motion, learned: Array) -> Performance:
    """A motion as what a head does.

    Args:
        renderer: of the same face, of any size, in the "crop" framing.
        learned: (52, 478, 3) of `load_blendshapes`.
    """
    shapes = targets(learned, head.closing)
    skin = motion.replace(lids=np.zeros_like(motion.lids))
    moved = [renderer.deform(skin, index) - head.rest for index in range(len(motion))]
    poses = [pose_in(head, renderer, motion, index) for index in range(len(motion))]
    curves = curves_of(shapes, np.stack(moved), motion.lids, motion.gaze)
    return Performance(head, shapes, curves, poses)


def pose_in(head: Head, renderer: Renderer, motion: Motion, index: int) -> Pose:
    """Where a head is in one frame, in the pixels of its own crop."""
    pose, photo = renderer.head_pose(motion, index), renderer.plate.pose
    ratio = float(head.pose.scale / photo.scale)
    origin = head.pose.origin + ratio * (pose.origin - photo.origin)
    return Pose(pose.rotation, pose.scale * ratio, origin)


def displaced(head: Head, renderer: Renderer, motion: Motion, index: int) -> Array:
    """How far a frame moves the landmarks from rest, lids and irises too, (478, 3) canonical."""
    moved = renderer.deform(motion, index) - head.rest
    for eye in (0, 1):
        moved[[IRIS_CENTRE[eye], *IRIS_RING[eye]], :2] += EYEBALL_RADIUS * np.sin(
            np.radians(motion.gaze[index])
        )
    return np.asarray(moved)
