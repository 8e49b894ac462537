"""Telling the person in a photo from the background, and painting the background without them.

Twice: generously for a person who moves over their own background (`separate`), with a rim of it;
and exactly for one who is to stand before another (`cut_out`), with colours that are theirs alone.
Knows images and landmarks; knows nothing of plates.
"""

from __future__ import annotations

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import FACE_OVAL, interocular
from talking_face.picture.brush import polygon_mask

EDGE = 0.06  # inter-ocular distances, how far the person's edge is searched for and widened
RIDGE = 1e-3  # of the guided filter: edges fainter than this variance of colour are not followed
FINE = 4  # pixels: the radius to which a larger one is scaled down where colours are the guide
FARTHER = 0.25  # of the image's longer side, a border that is added around it
AGREED = (0.3, 0.8)  # of what the networks agree on, from none to all of a pixel
GRID, STRIDE = 64, 8  # the grid's longer side on which neighbours vote, and every how many of them
VOTERS, ALIKE = 16.0, 2.0  # how near they are, of that grid, and how alike, of CIELAB: σ of each
LOOKED_AT = 512  # pixels, most on a side that the networks are shown: they see 256
DENIED = 0.02  # of a whole, the least chance that is left to what nobody saw
DOUBT = 0.3  # of what is agreed, below which a pixel may be background
SURE = (0.15, 0.9)  # of the network's answer, from none to all of a pixel of a cut-out
AROUND = (0.27, 0.035)  # inter-ocular distances around a pixel where F and B are looked for
BODY, ABOVE = 20.0, 4.0  # inter-ocular distances: side of what is looked at, and above the face
# Inter-ocular distances behind the person's edge over which the background is its mirror image, and
# from which on it is only its colour; and how much the edge is smoothed to be a mirror.
MIRROR = (0.12, 0.45)
EVEN_EDGE = 0.08
STRAND = 0.025  # inter-ocular distances, half width of what isn't mirrored
TILE = 64  # pixels, side of the parts in which strands are looked for


def separate(image: Array, landmarks: Array) -> tuple[Array, Array, Array]:
    """Tell the person from the background; and paint the person over.

    MediaPipe's selfie network, its edge drawn to the image's own by a guided filter. Where it
    doesn't even see the face (some drawings), there is one layer only.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (478, 3) pixels.

    Returns:
        (h, w) float32 0..1, how far each pixel goes with the person; (h, w) float32 0..1, how far
        it is the person, without the rim; and (h, w, 3) uint8, the background. All 1 and the image
        itself where there is one layer only.
    """
    unit = float(interocular(landmarks))
    seen = without_holes(see_person(image), max(2, round(EDGE * unit)))
    height, width = image.shape[:2]
    face = polygon_mask(landmarks[list(FACE_OVAL), :2], height, width, 1.0)
    if (seen * face).sum() < 0.8 * face.sum():
        everywhere = np.ones((height, width), dtype=np.float32)
        return everywhere, everywhere, image
    radius = max(2, round(EDGE * unit))
    seen = _in_one_piece(seen, face, radius)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (radius | 1, radius | 1))
    # The mesh cuts across hollows of the outline, such as the eye socket of a turned face.
    face = cv2.erode(face, kernel, iterations=2)
    # A rim of background goes with the person, so that no strand of hair stays behind.
    wide = np.asarray(cv2.dilate(np.maximum(seen, face), kernel), dtype=np.float32)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    person = smoothstep(guided_filter(grey[..., None], wide, radius), 0.15, 0.85).astype(np.float32)
    person = np.maximum(person, face)
    person[person < 0.004] = 0
    return person, np.maximum(seen, face), complete(image, person > 0, unit)


def cut_out(image: Array, landmarks: Array, unit: float) -> tuple[Array, Array]:
    """How much of each pixel is person, and the person's own colours.

    A pixel at the edge of hair is a mixture I = α F + (1 - α) B of person and background. α is the
    selfie network's answer with its edge drawn to the image's own; F is estimated too, so that the
    old background doesn't shine through strands of hair.

    Args:
        image: (h, w, 3) uint8 RGB.
        landmarks: (478, 2) pixels.
        unit: inter-ocular distance, pixels.

    Returns:
        α (h, w) float32 0..1 and F (h, w, 3) float32 0..255.
    """
    height, width = image.shape[:2]
    pixels = image.astype(np.float32)
    seen = see_person(image)
    alpha = guided_filter(pixels / 255, seen, max(2, round(EDGE * unit)), FINE)
    alpha = smoothstep(alpha, *SURE).astype(np.float32)
    face = polygon_mask(landmarks[list(FACE_OVAL)], height, width, 1.0)
    alpha = _in_one_piece(np.maximum(alpha, face), face, 2 * max(2, round(EDGE * unit)))
    return alpha, own_colours(pixels, alpha, unit)


def cut_body(image: Array, landmarks: Array, unit: float) -> tuple[Array, Array]:
    """`cut_out` of the part of a photo that a body below the face can fill; the rest isn't it."""
    height, width = image.shape[:2]
    x, y = landmarks.mean(0)
    left, right = max(int(x - BODY / 2 * unit), 0), min(int(x + BODY / 2 * unit), width)
    top, bottom = max(int(y - ABOVE * unit), 0), min(int(y + (BODY - ABOVE) * unit), height)
    part = np.s_[top:bottom, left:right]
    alpha = np.zeros((height, width), dtype=np.float32)
    colour = image.astype(np.float32)
    alpha[part], colour[part] = cut_out(image[part], landmarks - (left, top), unit)
    return alpha, colour


def _in_one_piece(alpha: Array, face: Array, reach: int) -> Array:
    """What is not near the piece of the cut-out that holds the face is not the person."""
    _, labels = cv2.connectedComponents((alpha > 0.5).astype(np.uint8))
    row, column = np.unravel_index(int(np.argmax(face)), face.shape)
    piece = (labels == labels[row, column]).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    near = cv2.blur(cv2.dilate(piece, kernel).astype(np.float32), (reach, reach))
    alpha = alpha * near
    alpha[alpha < 0.01] = 0
    return np.asarray(alpha, dtype=np.float32)


def without_holes(seen: Array, edge: int) -> Array:
    """Make person of all that isn't near the background which the image's border belongs to.

    The network doubts parts of drawn hair, and sees holes in it.

    Args:
        seen: (h, w) float32 0..1. edge: pixels around that background which are left as seen.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * edge + 1, 2 * edge + 1))
    behind = (seen < DOUBT).astype(np.uint8)
    # Bays that are hardly open count as holes. What lies beyond the image is like its border.
    pad = 2 * edge
    padded = cv2.copyMakeBorder(behind, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel)
    behind = np.ascontiguousarray(opened[pad:-pad, pad:-pad], dtype=np.uint8)
    count, labels = cv2.connectedComponents(behind)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(np.arange(count), border)
    outside[0] = False
    near = cv2.dilate(outside[labels].astype(np.uint8), kernel, iterations=2) > 0
    return np.where(near, seen, np.float32(1.0))


def complete(image: Array, hidden: Array, unit: float) -> Array:
    """Paint what the person hides of a background, (h, w, 3) uint8.

    Near the edge the background goes on as its own mirror image, which has its texture; further in
    as its colour alone.

    Args:
        image: (h, w, 3) uint8. hidden: (h, w) bool. unit: inter-ocular distance, pixels.
    """
    if not hidden.any() or hidden.all():
        return image
    height, width = hidden.shape
    known = (~hidden).astype(np.uint8)
    half = (max(width // 2, 1), max(height // 2, 1))
    share = cv2.resize(known.astype(np.float32), half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(cv2.copyTo(image, known), half, interpolation=cv2.INTER_AREA)
    mean = np.divide(mean, np.maximum(share, 1e-6)[..., None], dtype=np.float32)
    plain = cv2.resize(pull_push(mean, share), (width, height))
    # The way to the mirror image is smooth, but no longer than it is: nothing jumps at the edge.
    deep = cv2.distanceTransform(1 - known, cv2.DIST_L2, 5)
    steps = cv2.GaussianBlur(_to_nearest(share <= 0.5), (0, 0), EVEN_EDGE / 2 * unit)
    rows, columns = np.nonzero(hidden & (deep < MIRROR[1] * unit))
    away = deep[rows, columns]
    right, down = cv2.resize(steps, (width, height))[rows, columns].T
    length = 2 * away / np.maximum(np.hypot(down, right), 1e-3)
    whole = _without_strands(image, known, unit)
    cv2.copyTo(cv2.convertScaleAbs(plain), 1 - known, whole)
    # What is looked up may be hidden, too, where the person has a hollow.
    mirrored = look_up(whole, columns + length * right, rows + length * down)
    share = 1 - smoothstep(away / unit, *MIRROR)
    mixed: Array = plain[rows, columns]
    mixed += share[:, None] * (mirrored - mixed)
    whole[rows, columns] = cv2.convertScaleAbs(mixed)
    return np.asarray(cv2.copyTo(image, known, whole))


def _without_strands(image: Array, known: Array, unit: float) -> Array:
    """A background (h, w, 3) uint8 without strands of hair beside the person: they aren't part
    of it, and only where it is mirrored, as that takes long."""
    clean = image.copy()
    radius = max(1, round(STRAND * unit))
    near = cv2.distanceTransform(known, cv2.DIST_L2, 3) < MIRROR[1] * unit
    near &= known > 0
    for top in range(0, near.shape[0], TILE):
        for left in range(0, near.shape[1], TILE):
            tile = np.s_[top : top + TILE, left : left + TILE]
            if near[tile].any():
                y, x = max(top - radius, 0), max(left - radius, 0)
                part = image[y : top + TILE + radius, x : left + TILE + radius]
                even = cv2.medianBlur(part, 2 * radius + 1)[top - y :, left - x :]
                clean[tile] = even[:TILE, :TILE]
    return clean


def _to_nearest(hidden: Array) -> Array:
    """How far right and down the nearest pixel is that isn't hidden, (h, w, 2) float32."""
    distance, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(distance == 0)
    places = np.zeros((labels.max() + 1, 2), dtype=np.float32)
    places[labels[rows, columns]] = np.stack([columns, rows], axis=1)
    height, width = hidden.shape
    here = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=2)
    return np.asarray(places[labels] - here, dtype=np.float32)


def look_up(image: Array, x: Array, y: Array) -> Array:
    """What an image (h, w, 3) uint8 shows at places x, y (n,), (n, 3)."""
    side = 1024  # OpenCV looks up pictures, and none that is very long
    at_x, at_y = (
        np.pad(values.astype(np.float32), (0, -len(values) % side)).reshape(-1, side)
        for values in (x, y)
    )
    border = cv2.BORDER_REFLECT_101
    seen = cv2.remap(image, at_x, at_y, cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(seen).reshape(-1, 3)[: len(x)]


def pull_push(colour: Array, weight: Array) -> Array:
    """Fill an image (h, w, 3) float32 smoothly where its weight (h, w) 0..1 is small.

    Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.5.
    """
    height, width = weight.shape
    if min(height, width) < 3:
        total = max(float(weight.sum()), 1e-6)
        behind = np.broadcast_to((colour * weight[..., None]).sum((0, 1)) / total, colour.shape)
    else:
        half = ((width + 1) // 2, (height + 1) // 2)
        share = cv2.resize(weight, half, interpolation=cv2.INTER_AREA)
        mean = cv2.resize(colour * weight[..., None], half, interpolation=cv2.INTER_AREA)
        mean /= np.maximum(share, 1e-6)[..., None]
        filled = cv2.GaussianBlur(pull_push(mean, np.minimum(share, 1)), (3, 3), 0)
        behind = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(behind + weight[..., None] * (colour - behind), dtype=np.float32)


def see_person(image: Array) -> Array:
    """What MediaPipe's selfie networks think is person, (h, w) float32 0..1, of (h, w, 3) uint8.

    There are two, one of them for wide pictures. They are asked five times, also of the image
    mirrored, without its colours, and from farther away: where a flag or a wall is taken for a part
    of the person, it seldom is so every time, and least by both. What lies nearby in nearly the
    same colours has a vote, too.
    """
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    whole = image.shape[1::-1]
    if max(whole) > LOOKED_AT:
        scale = LOOKED_AT / max(whole)
        size = tuple(max(round(side * scale), 1) for side in whole)
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    height, width = image.shape[:2]
    away = round(FARTHER * max(height, width))
    far = cv2.copyMakeBorder(image, away, away, away, away, cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    answers = []
    for wide, views in enumerate(((image, mirrored, grey, far), (mirrored,))):
        with SelfieSegmentation(model_selection=wide) as network:
            for view in views:
                answer = np.array(network.process(view).segmentation_mask)
                answers.append(answer[:, ::-1] if view is mirrored else answer)
    answers[3] = answers[3][away : away + height, away : away + width]
    seen = np.mean(answers, axis=0)
    alike = np.asarray(cv2.resize(vote(image, seen), (width, height)))
    # As of two witnesses who know nothing of each other.
    person = (seen + DENIED) * (alike + DENIED)
    background = (1 + DENIED - seen) * (1 + DENIED - alike)
    agreed = smoothstep(person / (person + background), *AGREED).astype(np.float32)
    return np.asarray(cv2.resize(agreed, whole))


def vote(image: Array, seen: Array) -> Array:
    """What is seen nearby in nearly the same colour, on a small grid, (rows, columns) float32.

    Each neighbour counts as much as it is near, alike and sure.

    Args:
        image: (h, w, 3) uint8. seen: (h, w) float32 0..1.
    """
    scale = GRID / max(seen.shape)
    size = tuple(max(round(side * scale), 1) for side in seen.shape[::-1])
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    colour = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    answer = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA))
    reach = round(1.5 * VOTERS / STRIDE) * STRIDE
    edges = ((reach, reach), (reach, reach))
    weight = np.pad(np.abs(2 * answer - 1), edges)
    there, told = np.pad(colour, (*edges, (0, 0)), mode="edge"), np.pad(answer, edges) * weight
    rows, columns = answer.shape
    total: Array = np.full(answer.shape, 1e-4, np.float32)
    sum_of: Array = np.zeros(answer.shape, np.float32)
    for down in range(0, 2 * reach + 1, STRIDE):
        for right in range(0, 2 * reach + 1, STRIDE):
            part = np.s_[down : down + rows, right : right + columns]
            away = ((down - reach) ** 2 + (right - reach) ** 2) / VOTERS**2
            other = np.square(colour - there[part]).sum(-1) / ALIKE**2
            share = np.exp(-(other + np.float32(away)) / 2)
            sum_of += share * told[part]
            total += share * weight[part]
    return sum_of / total


def guided_filter(guide: Array, mask: Array, radius: int, largest: int | None = None) -> Array:
    """Fit a mask's edges to those of an image (He, Sun and Tang, ECCV 2010, section 3.4).

    Args:
        guide: (h, w, n) float32 0..1, of n colours. mask: (h, w) float32 0..1. radius: pixels.
        largest: where the radius is larger, the linear models are found on an image that is
            scaled down to make it this (He and Sun, "Fast guided filter", 2015).

    Returns:
        (h, w) float32, about 0..1.
    """
    large, colours = guide, guide.shape[2]
    if largest and radius > largest:
        scale = largest / radius
        guide, mask = (
            np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
            for image in (guide, mask)
        )
        guide, radius = guide.reshape(*mask.shape, colours), largest
    size = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Array) -> Array:
        return np.asarray(cv2.blur(values, size)).reshape(values.shape)

    mean_guide, mean_mask = mean(guide), mean(mask)
    covariance = mean(guide * mask[..., None]) - mean_guide * mean_mask[..., None]
    spread = np.empty((*mask.shape, colours, colours), dtype=np.float32)
    for i in range(colours):
        spread[..., i] = mean(guide * guide[..., i : i + 1])
    spread -= mean_guide[..., None] * mean_guide[..., None, :]
    spread += RIDGE * np.eye(colours, dtype=np.float32)
    if colours == 1:  # a division, which is far quicker than a million systems of one equation
        slope = covariance / spread[..., 0]
    else:
        slope = np.linalg.solve(spread, covariance[..., None])[..., 0]
    offset = mean_mask - (slope * mean_guide).sum(-1)
    shape = large.shape[1::-1]
    slope, offset = (np.asarray(cv2.resize(mean(part), shape)) for part in (slope, offset))
    return np.asarray((slope.reshape(large.shape) * large).sum(-1) + offset)


def own_colours(pixels: Array, alpha: Array, unit: float) -> Array:
    """F of the mixture, by fusing blurred estimates (Forte, "Approximate fast foreground colour
    estimation", ICIP 2021).

    Args:
        pixels: (h, w, 3) float32 0..255. alpha: (h, w) float32.
    """
    person = background = pixels
    a = alpha[..., None]
    for reach in AROUND:
        side = 2 * max(1, round(reach * unit)) + 1

        def mean(values: Array, side: int = side) -> Array:
            blurred = np.asarray(cv2.blur(values, (side, side)))
            return blurred if blurred.ndim == 3 else blurred[..., None]

        share = mean(alpha)
        front = mean(person * a) / (share + 1e-5)
        background = mean(background * (1 - a)) / (1 - share + 1e-5)
        person = front + a * (pixels - a * front - (1 - a) * background)
        person = np.clip(person, 0, 255)
    return person
