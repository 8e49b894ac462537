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
AGREED = (0.25, 0.75)  # of the mean of the network's answers, from none to all of a pixel
DOUBT = 0.3  # of what is agreed, below which a pixel may be background
SURE = (0.15, 0.9)  # of the network's answer, from none to all of a pixel of a cut-out
AROUND = (0.27, 0.035)  # inter-ocular distances around a pixel where F and B are looked for
BODY, ABOVE = 20.0, 4.0  # inter-ocular distances: side of what is looked at, and above the face
# Inter-ocular distances behind the person's edge over which the background is its mirror image, and
# from which on it is only its colour; and how much the edge is smoothed to be a mirror.
MIRROR = (0.12, 0.45)
EVEN_EDGE = 0.08
STRAND = 0.025  # inter-ocular distances, half width of what isn't mirrored


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
    plain = pull_push(image.astype(np.float32), (~hidden).astype(np.float32))
    down, right = _to_nearest(hidden)
    depth = np.hypot(down, right)
    sigma = EVEN_EDGE * unit
    down, right = (cv2.GaussianBlur(step, (0, 0), sigma) for step in (down, right))
    # The way to the mirror image is smooth, but no longer than it is: nothing jumps at the edge.
    rows, columns = np.nonzero(hidden & (depth < MIRROR[1] * unit))
    away, down, right = (values[rows, columns] for values in (depth, down, right))
    length = 2 * away / np.maximum(np.hypot(down, right), 1e-3)
    # Strands of hair beside the person aren't background, and the person in the mirror isn't.
    clean = cv2.medianBlur(image, 2 * max(1, round(STRAND * unit)) + 1)
    seen = np.where(hidden[..., None], plain, clean.astype(np.float32))
    mirrored = look_up(seen, columns + length * right, rows + length * down)
    share = 1 - smoothstep(away / unit, *MIRROR)
    plain[rows, columns] += share[:, None] * (mirrored - plain[rows, columns])
    whole = image.copy()
    whole[hidden] = np.clip(np.rint(plain[hidden]), 0, 255)
    return whole


def _to_nearest(hidden: Array) -> tuple[Array, Array]:
    """How far down and to the right the nearest pixel is that isn't hidden, (h, w) float32 each."""
    distance, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(distance == 0)
    places = np.zeros((2, labels.max() + 1), dtype=np.float32)
    places[:, labels[rows, columns]] = rows, columns
    height, width = hidden.shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return places[0][labels] - y, places[1][labels] - x


def look_up(image: Array, x: Array, y: Array) -> Array:
    """What an image (h, w, 3) float32 shows at places x, y (n,), (n, 3)."""
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
    """What MediaPipe's selfie network thinks is person, (h, w) float32 0..1, of (h, w, 3) uint8.

    It is asked four times, also of the image mirrored, without its colours, and from farther away:
    where it takes a flag or a wall for a part of the person, it seldom does so every time.
    """
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    height, width = image.shape[:2]
    away = round(FARTHER * max(height, width))
    far = cv2.copyMakeBorder(image, away, away, away, away, cv2.BORDER_REPLICATE)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    with SelfieSegmentation(model_selection=0) as network:

        def ask(view: Array) -> Array:
            return np.array(network.process(np.ascontiguousarray(view)).segmentation_mask)

        answers = [ask(image), ask(image[:, ::-1])[:, ::-1], ask(grey)]
        answers.append(ask(far)[away : away + height, away : away + width])
    return smoothstep(np.mean(answers, axis=0), *AGREED).astype(np.float32)


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
