"""The inside of the mouth: painted once per photo in layers, revealed by the lips.

From the back: the cavity, dark and red; the tongue and the lower teeth, which go with the jaw; the
upper teeth, which stay with the skull; the shadow of the upper lip. Nothing in it stretches with
the lips. A photo that shows its teeth keeps them; otherwise a generated row is used, in the light
of the photo.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.face_model import Pose
from talking_face.landmarks import INNER_LIP_CORNERS, INNER_LIP_LOWER, INNER_LIP_UPPER
from talking_face.light import Light, read_light
from talking_face.lips import lip_gaps
from talking_face.paint import blend, polygon_mask, region_around, smoothstep, spread
from talking_face.plate import Plate
from talking_face.teeth import INCISAL_ROW, MIDLINE_COLUMN, SPAN

# All lengths are in canonical units, inter-ocular distances.
OPEN_PHOTO = 0.05  # inner-lip gap from which a photo shows its own teeth
DEPTH = 0.04  # how far the teeth lie behind the lips
HALF_WIDTH, ABOVE, BELOW = 0.36, 0.16, 0.5  # extent of the layers around the mouth's middle
SUPERSAMPLING = 1.5  # layer pixels a plate pixel
SHADOW = 0.07  # how far the upper lip's shadow reaches down
TYPICAL_WIDTH = 0.52  # of a mouth at rest; a wider one gets wider teeth
INCISAL = 0.035  # how far the upper incisors reach below the resting lip
SOFTNESS = 0.006  # blur of the lip line
PARTING = (0.012, 0.045)  # gap over which the inside of a closed photo's mouth comes into view
LIT = (0.02, 0.11)  # gap over which light enters the mouth
DIM = 0.55  # light in a mouth that is hardly open
SEAM = 0.45  # how much darker the line between closed lips is than the lips
CHIN = 152
INNER = [*INNER_LIP_UPPER, *INNER_LIP_LOWER, *INNER_LIP_CORNERS]
INNER_LOOP = [INNER_LIP_CORNERS[0], *INNER_LIP_UPPER, INNER_LIP_CORNERS[1], *INNER_LIP_LOWER[::-1]]


class Mouth:
    """Paints one face's mouth.

    Args:
        plate: the plate that the frames are made from.
        shape: (478, 3) the face as photographed, canonical.
        rest: (478, 3) the face at rest, lips closed, canonical.
        outline: indices of the refined points along the inner lips.
        teeth: (48, 128, 4) float32 RGBA row of upper teeth, see `talking_face.teeth`.
    """

    def __init__(
        self,
        plate: Plate,
        shape: np.ndarray,
        rest: np.ndarray,
        outline: np.ndarray,
        teeth: np.ndarray,
    ) -> None:
        self._outline = outline
        self._unit = float(plate.pose.scale)
        self._chin_at_rest = rest[CHIN].copy()
        density = SUPERSAMPLING * self._unit
        self._size = (round(2 * HALF_WIDTH * density), round((ABOVE + BELOW) * density))
        # Canonical positions of the layers' left top, right top and left bottom corners.
        left_top = rest[INNER].mean(0) + np.array([-HALF_WIDTH, -ABOVE, DEPTH])
        width, height = np.array(self._size) / density
        self._corners = left_top + np.array([[0, 0, 0], [width, 0, 0], [0, height, 0]])

        light = read_light(plate, shape)
        y, x = np.mgrid[: self._size[1], : self._size[0]].astype(np.float32)
        x, y = x / np.float32(density) - HALF_WIDTH, y / np.float32(density) - ABOVE
        mouth_width = float(np.ptp(rest[list(INNER_LIP_CORNERS), 0]))
        self._cavity = light.cavity
        self._edge = max(SOFTNESS * self._unit, 0.6 * light.blur)
        self._lower = self._as_blurred(jaw_layer(x, y, mouth_width, light, teeth), light)
        self._upper = self._as_blurred(skull_layer(x, y, mouth_width, light, teeth), light)
        self._shows_teeth = bool(
            shape[INNER_LIP_LOWER[4], 1] - shape[INNER_LIP_UPPER[4], 1] >= OPEN_PHOTO
        )
        if self._shows_teeth:
            matrix = self._layer_to(plate.pose, np.zeros(3), np.zeros(2))
            flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
            photo = cv2.warpAffine(plate.image, matrix, self._size, flags=flags)
            back = cv2.invertAffineTransform(matrix)
            loop = plate.pose.project(shape[INNER_LOOP])[:, :2] @ back[:, :2].T + back[:, 2]
            own = photo_layer(photo, loop, density, light)
            self._upper = self._upper if own is None else own

    def paint(
        self,
        window: np.ndarray,
        shape: np.ndarray,
        dense: np.ndarray,
        still: np.ndarray,
        pose: Pose,
    ) -> None:
        """Paint the open part of the mouth into a frame, in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            shape: (478, 3) canonical shape of this frame.
            dense: (n, 3) refined points in the frame, pixels.
            still: (n, 3) the same with the photo's own expression.
            pose: of the head in this frame.
        """
        polygon = dense[self._outline, :2]
        change = np.abs(polygon - still[self._outline, :2]).max() / self._unit
        strength = smoothstep(change, 0.003, 0.015)  # an unmoved mouth is the photo's
        gap = float(lip_gaps(shape)[3:6].mean())
        if not self._shows_teeth:
            strength *= smoothstep(gap, *PARTING)
        region, corner = region_around(window, polygon, max(4, round(0.03 * self._unit)))
        if strength == 0 or region.size == 0:
            return
        polygon = polygon - corner
        height, width = region.shape[:2]
        mask = polygon_mask(polygon, height, width, self._edge)
        depth = np.clip((polygon[:, 1].max() - np.arange(height)) / (0.25 * self._unit), 0, 1)
        colour = np.empty((height, width, 3), dtype=np.float32)
        colour[:] = self._cavity * (1.15 - 0.45 * depth[:, None, None])
        jaw = shape[CHIN] - self._chin_at_rest
        for layer, offset in ((self._lower, jaw), (self._upper, np.zeros(3))):
            matrix = self._layer_to(pose, offset, corner)
            over = cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
            colour *= 1 - over[..., 3:]
            colour += over[..., :3]
        colour *= lip_shadow(mask, SHADOW * self._unit)[..., None]
        if not self._shows_teeth:
            colour *= DIM + (1 - DIM) * smoothstep(gap, *LIT)
        if self._shows_teeth:
            self._draw_seam(region, polygon, strength)
        blend(region, 255 * colour, mask * strength)

    def _as_blurred(self, layer: np.ndarray, light: Light) -> np.ndarray:
        """A generated layer as unsharp as the photo."""
        if light.blur == 0:
            return layer
        return np.asarray(cv2.GaussianBlur(layer, (0, 0), SUPERSAMPLING * light.blur))

    def _layer_to(self, pose: Pose, offset: np.ndarray, corner: np.ndarray) -> np.ndarray:
        """The (2, 3) affine map from a layer's pixels to those of a region at a corner."""
        width, height = self._size
        layer = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float32)
        here = pose.project(self._corners + offset)[:, :2] - corner
        return cv2.getAffineTransform(layer, here.astype(np.float32))

    def _draw_seam(self, region: np.ndarray, polygon: np.ndarray, strength: float) -> None:
        """The dark line between closed lips, which a photo with an open mouth doesn't have."""
        upper, lower = lip_curves(polygon)
        gap = float((lower - upper)[:, 1].max()) / self._unit
        closed = 1 - smoothstep(gap, 0.01, 0.06)
        if closed == 0:
            return
        line = np.zeros(region.shape[:2], dtype=np.uint8)
        middle = np.round((upper + lower) * 8).astype(np.int32)[2:-2]
        thickness = max(1, round(0.008 * self._unit))
        cv2.polylines(line, [middle[:, None]], False, (255,), thickness, cv2.LINE_AA, shift=4)
        soft = cv2.GaussianBlur(line, (0, 0), max(0.7, SOFTNESS * self._unit)).astype(np.float32)
        half = max(float(np.ptp(polygon[:, 0])) / 2, 1.0)
        across = (np.arange(line.shape[1]) - polygon[:, 0].mean()) / half
        soft *= np.clip(1.1 - across**2, 0.3, 1)
        region[:] = np.rint(region * (1 - SEAM * closed * strength * soft[..., None] / 255))


def skull_layer(
    x: np.ndarray, y: np.ndarray, mouth_width: float, light: Light, teeth: np.ndarray
) -> np.ndarray:
    """The generated upper row where it lies at rest.

    Args:
        x, y: (h, w) canonical positions relative to the mouth's middle.
        mouth_width: between the inner corners at rest, canonical.

    Returns:
        (h, w, 4) float32, RGBA 0..1 with the colour multiplied by alpha.
    """
    width = SPAN * np.clip(mouth_width / TYPICAL_WIDTH, 0.85, 1.15)
    row = lay_teeth(teeth, x, INCISAL - y, width)
    rounded = np.sqrt(np.clip(1 - (2 * x / (1.05 * width)) ** 2, 0, 1))
    return _tinted(row, light.teeth, 0.45 + 0.55 * rounded)


def jaw_layer(
    x: np.ndarray, y: np.ndarray, mouth_width: float, light: Light, teeth: np.ndarray
) -> np.ndarray:
    """Tongue and lower teeth at the jaw's rest position; as `skull_layer`."""
    half = 0.36 * mouth_width
    across = np.clip(1 - (x / half) ** 2, 0, 1)
    tongue = np.empty((*x.shape, 4), dtype=np.float32)
    tongue[..., :3] = [0.95, 0.8, 0.8]
    top = 0.05 + 0.03 * (x / half) ** 2
    tongue[..., 3] = 0.85 * smoothstep(y - top, -0.03, 0.06) * np.minimum(2 * across, 1)
    layer = _tinted(tongue, light.flesh, 0.5 + 0.3 * smoothstep(y, 0.03, 0.16))
    # The lower row is narrower, hangs upside down, and stands in the shade.
    width = 0.72 * SPAN * np.clip(mouth_width / TYPICAL_WIDTH, 0.85, 1.15)
    row = lay_teeth(teeth, x, y - 0.012 - 0.02 * (x / half) ** 2, width)
    row[..., 3] *= 0.9 * np.minimum(3 * across, 1)
    over = _tinted(row, 0.75 * light.teeth + 0.25 * light.flesh, np.full(x.shape, 0.72))
    return layer * (1 - over[..., 3:]) + over


def lay_teeth(teeth: np.ndarray, x: np.ndarray, y: np.ndarray, width: float) -> np.ndarray:
    """A row of teeth over positions (h, w): y 0 at the incisal edge, growing towards the roots."""
    scale = teeth.shape[1] / width
    column = (MIDLINE_COLUMN + x * scale).astype(np.float32)
    row = (INCISAL_ROW - y * scale).astype(np.float32)
    border = (0, 0, 0, 0)
    return cv2.remap(teeth, column, row, cv2.INTER_LINEAR, None, cv2.BORDER_CONSTANT, border)


def photo_layer(
    photo: np.ndarray, loop: np.ndarray, density: float, light: Light
) -> np.ndarray | None:
    """The photo's own inner mouth as a layer; as `skull_layer`.

    Args:
        photo: (h, w, 3) uint8, the photo at the layer's place.
        loop: (n, 2) the photo's inner lip line, layer pixels.
        density: layer pixels a canonical unit.

    Returns:
        None where the open part is too thin to show a tooth.
    """
    height, width = photo.shape[:2]
    edge = max(1, round(0.012 * density))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
    core = np.asarray(cv2.erode(polygon_mask(loop, height, width, SOFTNESS * density), kernel))
    # Lip and tooth mix in the rim: paint it anew from the core outwards.
    known, inside = core > 0.9, core > 0.5
    if known.sum() < 20:
        return None
    colour = spread(photo.astype(np.float32) / 255, known)
    # The lips hide the roots: continue the teeth upwards, into gum and shadow.
    has = inside.any(axis=0)
    top = np.interp(np.arange(width), np.flatnonzero(has), np.argmax(inside, axis=0)[has])
    above = (top[None] - np.arange(height)[:, None]) / density
    root = smoothstep(above, 0.0, 0.09)[..., None]
    colour = colour * (1 - root) + light.flesh * 0.75 * root
    cover = np.where(above > 0, 1 - smoothstep(above, 0.1, 0.15), core)
    cover *= cv2.GaussianBlur(has.astype(np.float32)[None], (0, 0), 2 * edge)
    alpha = cv2.GaussianBlur(cover.astype(np.float32), (0, 0), edge / 2)[..., None]
    return np.concatenate([colour * alpha, alpha], axis=-1).astype(np.float32)


def lip_shadow(mask: np.ndarray, reach: float) -> np.ndarray:
    """Light (h, w) 0..1 in an open mouth: dimmer under the upper lip and towards the corners."""
    reach = max(reach, 1.0)
    from_top = np.clip(np.cumsum(mask, axis=0) / reach, 0, 1)
    from_left = np.cumsum(mask, axis=1)
    from_right = np.cumsum(mask[:, ::-1], axis=1)[:, ::-1]
    from_side = np.clip(np.minimum(from_left, from_right) / reach, 0, 1)
    return (0.7 + 0.3 * from_top) * (0.7 + 0.3 * from_side)


def lip_curves(polygon: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Upper and lower curve (33, 2) of the inner lips' outline (n, 2), from left to right."""
    left, right = int(np.argmin(polygon[:, 0])), int(np.argmax(polygon[:, 0]))
    turned = np.roll(polygon, -left, axis=0)
    split = (right - left) % len(polygon)
    halves = turned[: split + 1], np.concatenate([turned[split:], turned[:1]])[::-1]
    at = np.linspace(0, 1, 33)
    one, other = (
        np.stack([np.interp(at, np.linspace(0, 1, len(half)), half[:, k]) for k in (0, 1)], axis=1)
        for half in halves
    )
    return (one, other) if one[:, 1].mean() < other[:, 1].mean() else (other, one)


def _tinted(rgba: np.ndarray, tint: np.ndarray, shade: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:]
    colour = rgba[..., :3] * tint * shade[..., None]
    return np.concatenate([colour * alpha, alpha], axis=-1).astype(np.float32)
