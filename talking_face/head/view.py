"""Pictures of a head from wherever one likes, by a software rasteriser.

An orthographic camera, as the frames' own; the surface nearest to it wins, and each pixel looks up
its place in the atlas. Twice as fine as wanted, then averaged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from talking_face.arrays import Array, UInt8
from talking_face.errors import OptionInvalid
from talking_face.face.model import Pose, rotation_matrix
from talking_face.head.head import Head
from talking_face.options import MAX_PITCH, MAX_YAW, check_range, number, shown
from talking_face.picture.mesh import draw_map

ZOOMS = (0.5, 2.0)
FINER = 2  # pixels of the drawing a pixel of the picture, either way
FAR = 1.2  # canonical units that the background is behind the pivot
PLAIN = (38, 40, 44)  # RGB behind a head whose background isn't known


@dataclass(frozen=True)
class Camera:
    """Where a head is seen from.

    Attributes:
        yaw: degrees; positive walks to the picture's right, so that its left side goes out of view.
        pitch: degrees; positive goes up and looks down.
        zoom: factor.
        orbit: seconds that a slow circle through `yaw` and `pitch` takes; 0 stands still.

    Raises:
        OptionInvalid: beyond what a head is made for.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    zoom: float = 1.0
    orbit: float = 0.0

    def __post_init__(self) -> None:
        ranges = {"yaw": (-MAX_YAW, MAX_YAW), "pitch": (-MAX_PITCH, MAX_PITCH), "zoom": ZOOMS}
        for name, (low, high) in ranges.items():
            read = check_range(f"The camera's {name}", getattr(self, name), low, high)
            object.__setattr__(self, name, read)
        orbit = number("The camera's orbit", self.orbit)
        if orbit and not 2 <= orbit <= 600:
            raise OptionInvalid(f"An orbit takes 2 to 600 seconds, not {shown(self.orbit)}.")
        object.__setattr__(self, "orbit", orbit)

    def angles(self, seconds: float) -> tuple[float, float]:
        """Yaw and pitch at a time."""
        if not self.orbit:
            return self.yaw, self.pitch
        phase = 2 * np.pi * seconds / self.orbit
        return self.yaw * float(np.sin(phase)), self.pitch * float(np.cos(phase))


def draw_head(
    head: Head,
    displacement: Array | None = None,
    pose: Pose | None = None,
    camera: Camera = Camera(),
    seconds: float = 0.0,
    size: int = 512,
    bare: bool = False,
) -> UInt8:
    """One picture, (size, size, 3) uint8 RGB, unmarked.

    Args:
        displacement: (478, 3) of the landmarks, from rest; None is at rest.
        pose: of the head in its own crop's pixels; None is the photo's.
        seconds: where an orbiting camera is.
        bare: the face alone, without relief and background.
    """
    crop = head.pose
    points = place_points(head, displacement, pose or crop)
    yaw, pitch = camera.angles(seconds)
    view = rotation_matrix(np.array([-yaw, pitch, 0.0]))
    centre = crop.origin
    side = FINER * size
    crop_side = head.crop
    scale = side / crop_side * camera.zoom
    middle = np.array([crop_side / 2, crop_side / 2, crop.origin[2]])

    def seen(places: Array) -> Array:
        turned = (places - centre) @ view.T + centre
        shown = (turned - middle) * scale
        shown[:, :2] += side / 2 - 0.5
        return np.ascontiguousarray(shown, dtype=np.float32)

    picture = np.empty((side, side, 3), dtype=np.uint8)
    picture[:] = PLAIN
    if head.background is not None and not bare:
        _draw_background(picture, head, seen)
    drawn = seen(points)
    triangles = np.concatenate([head.relief[: 0 if bare else None], head.face])
    at_y, at_x = np.mgrid[:side, :side].astype(np.float32)
    depth = np.full((side, side), np.inf, dtype=np.float32)
    source = np.ascontiguousarray(head.uv * len(head.atlas) - 0.5, dtype=np.float32)
    flat, away = np.ascontiguousarray(drawn[:, :2]), np.ascontiguousarray(drawn[:, 2])
    draw_map(flat, away, source, triangles, at_x, at_y, depth)
    covered = np.isfinite(depth)
    colours = cv2.remap(head.atlas, at_x, at_y, cv2.INTER_LINEAR)
    picture[covered] = colours[covered]
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA))


def place_points(head: Head, displacement: Array | None, pose: Pose) -> Array:
    """Where a head's points are with a displacement and a pose, (n, 3) pixels of its crop."""
    points = head.points.astype(np.float64)
    if displacement is not None:
        points = points + head.spread @ displacement
    still = head.pose.project(points)
    return np.asarray(still + head.follow[:, None] * (pose.project(points) - still))


def _draw_background(picture: Array, head: Head, seen: Callable[[Array], Array]) -> None:
    """The background as a plane behind, which reaches further than the crop by mirroring."""
    background = head.background
    assert background is not None
    side = head.crop
    corners = np.array([[0, 0], [side, 0], [0, side]], dtype=np.float64)
    depth = float(head.pose.origin[2] + FAR * head.pose.scale)
    here = seen(np.column_stack([corners, np.full(3, depth)]))[:, :2].copy()
    there = (corners * background.shape[0] / side).astype(np.float32)
    matrix = cv2.getAffineTransform(here, there)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    shape = (picture.shape[1], picture.shape[0])
    picture[:] = cv2.warpAffine(
        background, matrix, shape, flags=flags, borderMode=cv2.BORDER_REFLECT_101
    )
