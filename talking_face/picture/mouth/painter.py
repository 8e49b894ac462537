"""The inside of the mouth: painted once per photo in layers, revealed by the lips.

From the back: the cavity, dark and red; the tongue and the lower teeth, which go with the jaw; the
upper teeth, which stay with the skull; the light that the lips let in. Nothing in it stretches with
the lips, but their wet rim, which is the moved photo's, hands over to it. A photo that shows its
teeth keeps them; otherwise a generated row is used, in the light of the photo.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    MOUTH_CORNERS,
)
from talking_face.face.lips import lip_gaps
from talking_face.face.model import Pose
from talking_face.picture.brush import blend, pixel_grid, region_around
from talking_face.picture.mouth.closing import Lips, close, heal_corners, join, squeezed
from talking_face.picture.mouth.corners import Corners
from talking_face.picture.mouth.layers import (
    incisal_edge,
    jaw_layer,
    own_mouth,
    skull_layer,
    teeth_of,
    with_sides,
)
from talking_face.picture.mouth.light import LUMA, read_light
from talking_face.picture.mouth.opening import Opening, opening_of
from talking_face.picture.mouth.shading import Interior, Shading, held, spread_factors
from talking_face.picture.plate import Plate

# All lengths are in canonical units, inter-ocular distances.
OPEN_PHOTO = 0.05  # inner-lip gap from which a photo shows its own teeth
PAINTED = (0.005, 0.03)  # motion of the lips from which, and at which fully, they are painted
DEPTH = 0.04  # how far the teeth lie behind the lips
HALF_WIDTH, ABOVE, BELOW = 0.36, 0.16, 0.5  # extent of the layers around the mouth's middle
SUPERSAMPLING = 1.5  # layer pixels a plate pixel
SOFTER = 1.2  # blur of generated layers over the photo's: what is not lit from outside is softer
SHADOW = 0.07  # how far the upper lip's shadow reaches down
HEM, HEM_OF_GAP = 0.075, 0.55  # width of the lips' wet rim, which goes with them; of a small gap
UPPER_HEM = 0.035  # where a photo shows teeth: beyond it, what goes with the lip would be teeth
PARTING = (0.012, 0.045)  # gap over which the inside of a closed photo's mouth comes into view
# Gap over which light comes to the teeth in front and to what lies behind them, and what of it is
# there in a mouth that is hardly open. What is as bright as this part of the teeth is in front.
LIT, LIT_BEHIND = (0.025, 0.1), (0.02, 0.13)
DIM, DIM_BEHIND = 0.64, 0.4
FRONT = (0.35, 0.75)
BOUNCED = 0.8  # the share of it that lips and gums have reflected
# The share of the network's logarithms that is left out where the photo's teeth are squeezed: it
# was trained beside their glare, and darkens what is painted to make up for it.
UNSQUEEZED = 0.5
CAVITY = 0.8  # light behind tongue and teeth
BRIGHTEST = 1.08  # of well-lit teeth: what the network makes brighter, it makes no brighter
# Where a resting lip would hide a photo's own upper teeth, wide mouths would have none, or
# fragments: they are moved to be seen below it so far, but at most by the second.
EXPOSED, MOVED = 0.015, 0.045
LIP_SHARE = 0.6  # of the jaw's motion that is read off the lower lip, the rest off the chin
CHIN = 152
CORNERS = np.stack([MOUTH_CORNERS, INNER_LIP_CORNERS], axis=1).ravel()  # outer, inner; twice
UPPER_LIP, LOWER_LIP = INNER_LIP_UPPER[4], INNER_LIP_LOWER[4]
INNER = [*INNER_LIP_UPPER, *INNER_LIP_LOWER, *INNER_LIP_CORNERS]
INNER_LOOP = [INNER_LIP_CORNERS[0], *INNER_LIP_UPPER, INNER_LIP_CORNERS[1], *INNER_LIP_LOWER[::-1]]


class Mouth:
    """Paints one face's mouth.

    Args:
        plate: the plate that the frames are made from.
        shape: (478, 3) the face as photographed, canonical.
        rest: (478, 3) the face at rest, lips closed, canonical.
        outline: indices of the refined points along the inner lips.
        teeth: (48, 128, 4) float32 RGBA row of upper teeth, see `talking_face.picture.mouth.teeth`.
        shading: says how much light is in the mouth.

    Attributes:
        upper, lower: (h, w, 4) float32, the layers of skull and jaw; see `skull_layer`.
        corners: (3, 3) canonical, where their left top, right top and left bottom lie at rest.
        cavity: (3,) colour of the mouth's back, RGB 0..1.
        light: the photo's.
    """

    def __init__(
        self,
        plate: Plate,
        shape: Array,
        rest: Array,
        outline: Array,
        teeth: Array,
        shading: Shading,
    ) -> None:
        self._shading = shading
        self._outline = outline
        self._unit = float(plate.pose.scale)
        self._jaw_at_rest = jaw_of(rest)
        density = SUPERSAMPLING * self._unit
        self._size = (round(2 * HALF_WIDTH * density), round((ABOVE + BELOW) * density))
        # Canonical positions of the layers' left top, right top and left bottom corners.
        left_top = rest[INNER].mean(0) + np.array([-HALF_WIDTH, -ABOVE, DEPTH])
        width, height = np.array(self._size) / density
        self.corners = left_top + np.array([[0, 0, 0], [width, 0, 0], [0, height, 0]])

        light = self.light = read_light(plate, shape)
        y, x = np.mgrid[: self._size[1], : self._size[0]].astype(np.float32)
        x, y = x / np.float32(density) - HALF_WIDTH, y / np.float32(density) - ABOVE
        mouth_width = float(np.ptp(rest[list(INNER_LIP_CORNERS), 0]))
        self.cavity = light.cavity
        self._photo_gap = float(lip_gaps(shape)[3:6].mean())
        self._shows_teeth = self._photo_gap >= OPEN_PHOTO
        self._corners = Corners(plate, shape) if self._shows_teeth else None
        self._lowered = np.zeros(3)  # how far the skull's teeth are, canonical, at rest
        upper = lower = None
        if self._shows_teeth:
            upper = own_mouth(*self._photo_behind(plate, shape, np.zeros(3)), density, light).skull
            offset = jaw_of(shape) - self._jaw_at_rest
            lower = own_mouth(*self._photo_behind(plate, shape, offset), density, light).jaw
        if upper is None:
            upper = self._as_photo(skull_layer(x, y, mouth_width, light, teeth))
        else:
            light = replace(light, teeth=teeth_of(upper, light))
            row = self._as_photo(skull_layer(x, y, mouth_width, light, teeth))
            upper = with_sides(upper, row, x, density)
            edge = incisal_edge(upper, x, y, light.teeth)
            lip = float(rest[UPPER_LIP, 1] - rest[INNER, 1].mean())
            if edge is not None and edge < lip:
                rows = round(density * min(lip + EXPOSED - edge, MOVED))
                self._lowered[1] = rows / density
                upper = np.pad(upper, ((rows, 0), (0, 0), (0, 0)), "edge")[: len(upper)]
        self.upper = upper
        self._teeth = max(float(light.teeth @ LUMA), 1e-3)
        self._brightest = BRIGHTEST * self._teeth
        self.lower = self._as_photo(jaw_layer(x, y, mouth_width, light, teeth))
        if lower is not None:
            self.lower = self.lower * (1 - lower[..., 3:]) + lower

    def heal(self, window: Array, shape: Array, pose: Pose, map_x: Array, map_y: Array) -> None:
        """Mend the skin beside the mouth of a photo that smiles, in place; see `Corners.heal`."""
        if self._corners is not None:
            self._corners.heal(window, shape, pose, map_x, map_y)

    def paint(
        self,
        window: Array,
        shape: Array,
        dense: Array,
        still: Array,
        pose: Pose,
        rest: float,
    ) -> None:
        """Paint the open part of the mouth into a frame, in place.

        Args:
            window: (h, w, 3) uint8 RGB, the moved plate.
            shape: (478, 3) canonical shape of this frame.
            dense: (n, 3) refined points in the frame, pixels.
            still: (n, 3) the same with the photo's own expression.
            pose: of the head in this frame.
            rest: how far the photo's mouth is brought to rest, 0..1.
        """
        outline = dense[self._outline, :2]
        change = np.abs(outline - still[self._outline, :2]).max() / self._unit
        strength = smoothstep(change, *PAINTED)  # an unmoved mouth is the photo's
        gap = float(lip_gaps(shape)[3:6].mean())
        if not self._shows_teeth:
            strength *= smoothstep(gap, *PARTING)
        region, corner = region_around(window, outline, max(4, round(0.03 * self._unit)))
        if strength == 0 or region.size == 0:
            return
        opening = opening_of(outline - corner)
        x, y = pixel_grid(region, np.zeros(2))
        along, below, above = opening.coordinates(x, y)
        moved = region.astype(np.float32) / 255
        colour = self._inside(region, shape, pose, corner, rest)
        colour *= self._light(colour, along, below, gap)
        sharp = 1 + self.light.blur
        hem = np.clip(HEM_OF_GAP * (below + above), sharp, max(HEM * self._unit, sharp))
        rim = np.minimum(hem, max(UPPER_HEM * self._unit, sharp)) if self._shows_teeth else hem
        mask = smoothstep(np.minimum(below / rim, above / hem), 0.0, 1.0)
        lips, near = None, 0.0
        if self._shows_teeth:
            own_gap = opening_of(still[self._outline, :2]).gap_at(along)
            lips = Lips(opening, own_gap, x, y, along, below, above, self._unit)
            near = float(squeezed(gap, self._photo_gap))
            share = squeezed(below + above, own_gap)
            mask += share * (lips.coverage() - mask)
            join(region, lips, share * strength)
            ends = pose.project(shape[CORNERS])[:, :2].reshape(2, 2, 2)
            heal_corners(window, ends, self._unit, near * strength)
        mask *= (along > 0) & (along < 1)
        photo_gap = self._photo_gap if self._shows_teeth else 0.0
        interior = Interior(colour, moved, mask, opening, self._unit, photo_gap)
        factors = self._shading.light_factors(interior, self.light)
        factors = held(factors, interior.painted_cells, self._brightest)
        down = below / np.maximum(below + above, 1e-3)
        colour *= spread_factors(factors ** (1 - UNSQUEEZED * near), along, down)
        blend(region, 255 * colour, mask * strength)
        if lips is not None:
            close(region, lips, self.cavity, strength)

    def _inside(self, region: Array, shape: Array, pose: Pose, corner: Array, rest: float) -> Array:
        """The layers one over the other, (h, w, 3) float32 0..1, everywhere in a region."""
        height, width = region.shape[:2]
        colour = np.empty((height, width, 3), dtype=np.float32)
        colour[:] = CAVITY * self.cavity
        jaw = jaw_of(shape) - self._jaw_at_rest
        for layer, offset in ((self.lower, jaw), (self.upper, (rest - 1) * self._lowered)):
            matrix = self._layer_to(pose, offset, corner)
            over = cv2.warpAffine(layer, matrix, (width, height), flags=cv2.INTER_LINEAR)
            colour *= 1 - over[..., 3:]
            colour += over[..., :3]
        return colour

    def _light(self, colour: Array, along: Array, below: Array, gap: float) -> Array:
        """The light (h, w, 3) RGB that is let in: less on what lies behind the teeth.

        A photo's own mouth has its light, but where it closes; a generated one has less of it under
        the upper lip and in the corners.
        """
        widest = max(self._photo_gap, OPEN_PHOTO) if self._shows_teeth else np.inf
        front, behind = (
            self._entering(smoothstep(gap, ends[0], min(ends[1], widest)), dim)
            for ends, dim in ((LIT, DIM), (LIT_BEHIND, DIM_BEHIND))
        )
        share = smoothstep(colour @ (LUMA / self._teeth), *FRONT)[..., None]
        light = behind + share.astype(np.float32) * (front - behind)
        if not self._shows_teeth:
            from_side = np.minimum(along, 1 - along) / 0.15
            shade = 0.75 + 0.25 * np.clip(below / (SHADOW * self._unit), 0, 1)
            light *= (shade * (0.7 + 0.3 * np.clip(from_side, 0, 1)))[..., None]
        return np.asarray(light)

    def _entering(self, lit: float, dim: float) -> Array:
        """The light (3,) float32 RGB between lips of which a part lets it in straight, 0..1.

        The rest comes through and off the lips, which leaves less of it and makes it warm.
        """
        warm = 1 + BOUNCED * (self.light.bounced - 1)
        return np.asarray(lit + (1 - lit) * dim * warm, dtype=np.float32)

    def _photo_behind(self, plate: Plate, shape: Array, offset: Array) -> tuple[Array, Opening]:
        """The photo at the place of a layer that is displaced, and its mouth's opening there."""
        matrix = self._layer_to(plate.pose, offset, np.zeros(2))
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        photo = cv2.warpAffine(plate.image, matrix, self._size, flags=flags)
        back = cv2.invertAffineTransform(matrix)
        loop = plate.pose.project(shape[INNER_LOOP])[:, :2] @ back[:, :2].T + back[:, 2]
        return photo, opening_of(loop)

    def _as_photo(self, layer: Array) -> Array:
        """A generated layer as unsharp as the photo, and of one tone where the photo is."""
        cover = np.maximum(layer[..., 3:], 1e-3)
        layer[..., :3] = cover * self.light.tone.of(layer[..., :3] / cover)
        blur = SUPERSAMPLING * SOFTER * self.light.blur
        return layer if blur == 0 else np.asarray(cv2.GaussianBlur(layer, (0, 0), blur))

    def _layer_to(self, pose: Pose, offset: Array, corner: Array) -> Array:
        """The (2, 3) affine map from a layer's pixels to those of a region at a corner."""
        width, height = self._size
        layer = np.array([[0, 0], [width, 0], [0, height]], dtype=np.float32)
        here = pose.project(self.corners + offset)[:, :2] - corner
        return cv2.getAffineTransform(layer, here.astype(np.float32))


def jaw_of(shape: Array) -> Array:
    """Where the jaw is in a canonical shape (478, 3): between its chin and its lower lip, (3,)."""
    return np.asarray((1 - LIP_SHARE) * shape[CHIN] + LIP_SHARE * shape[LOWER_LIP])
