"""How close made pictures come to real ones: the figures of one clip, and their means by source.

Knows frames and landmarks; knows nothing of how the frames were made.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from skimage.metrics import structural_similarity
from skimage.transform import estimate_transform

from talking_face.arrays import Array
from talking_face.face.landmarks import (
    FACE_OVAL,
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    IRIS_CENTRE,
    LOWER_LID,
    MOUTH_CORNERS,
    UPPER_LID,
    interocular,
    mouth_opening,
)

OPEN = 0.06  # inner-lip opening, inter-ocular distances, from which a mouth counts as open
BEST_PSNR = 60.0  # dB, given to pictures that are the same
EMBED_EVERY = 5  # frames between two that are compared by identity
OUTER_LIPS = [*MOUTH_CORNERS, 0, 37, 267, 17, 84, 314]
EYES = [[*upper, *lower] for upper, lower in zip(UPPER_LID, LOWER_LID, strict=True)]
INNER_LIPS = [INNER_LIP_CORNERS[0], *INNER_LIP_UPPER, INNER_LIP_CORNERS[1], *INNER_LIP_LOWER[::-1]]
LIPS_ALL = [*OUTER_LIPS, *INNER_LIPS]
EYES_ALL = [*EYES[0], *EYES[1], *IRIS_CENTRE]
# Region: the landmarks that its boxes enclose, and the margin in inter-ocular distances.
REGIONS: dict[str, tuple[list[list[int]], float]] = {
    "face": ([list(FACE_OVAL)], 0.0),
    "mouth": ([OUTER_LIPS], 0.08),
    "eyes": (EYES, 0.08),
}
# ArcFace's five points, eyes, tip of the nose and mouth: as landmarks, and where they lie in its
# pictures of so many pixels a side.
FIVE_POINTS = (*IRIS_CENTRE, 1, *MOUTH_CORNERS)
ALIGNED = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]]
)  # fmt: skip
ALIGNED_SIDE = 112
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

Box = tuple[slice, slice]
Embed = Callable[[Array, Array], Array]  # frame and landmarks to a unit vector


@dataclass(frozen=True)
class PictureFigures:
    """Figures of one clip, or their means over clips; NaN where nothing could be measured.

    Attributes:
        psnr_face, psnr_mouth, psnr_eyes: dB, mean over frames.
        psnr_open: the mouth's over the frames in which the real mouth is open.
        ssim_face, ssim_mouth, ssim_eyes, ssim_open: likewise, up to 1.
        sharpness: variance of the face's Laplacian over the real one's.
        mouth_energy: mean squared Laplacian within the real inner lips, over the real one's;
            frames with an open mouth.
        error, error_mouth, error_eyes: mean distance of tracked landmarks from the real frame's,
            percent of the inter-ocular distance.
        lost: share of frames in which no face was tracked.
        identity: cosine of the face embeddings of made and real frame.
        flicker_still, flicker_real: mean change from frame to frame of the background, grey levels
            of 255, of the made and of the real frames (which hold the noise of their encoding).
        flicker_face: mean change from frame to frame of the face over the real one's.
    """

    psnr_face: float
    psnr_mouth: float
    psnr_open: float
    psnr_eyes: float
    ssim_face: float
    ssim_mouth: float
    ssim_open: float
    ssim_eyes: float
    sharpness: float
    mouth_energy: float
    error: float
    error_mouth: float
    error_eyes: float
    lost: float
    identity: float
    flicker_still: float
    flicker_real: float
    flicker_face: float


RATIOS = frozenset({"sharpness", "mouth_energy", "flicker_face"})  # geometric means over clips
LOWER_IS_BETTER = frozenset({"error", "error_mouth", "error_eyes", "lost", "flicker_still"})


def picture_figures(
    real: Array,
    made: Array,
    real_marks: Array,
    made_marks: Array,
    counts: Array,
    background: Array,
    embed: Embed | None = None,
) -> PictureFigures:
    """Compare a made clip with the real one, frame by frame.

    Args:
        real, made: (frames, H, W, 3) uint8 RGB.
        real_marks, made_marks: (frames, 478, 3) pixels; NaN where the made face was lost.
        counts: (frames,) bool, the frames that count; the real face was tracked in them.
        background: (H, W) bool, pixels that neither head nor body reach.
        embed: see `face_embedding`; None leaves identity out.
    """
    rows: dict[str, list[float]] = defaultdict(list)
    energy = {name: [0.0, 0.0] for name in RATIOS}  # made, real
    openings = mouth_opening(real_marks)
    for index in np.flatnonzero(counts):
        marks, at = real_marks[index], region_boxes(real_marks[index], real.shape[1:3])
        squares = (real[index].astype(np.float32) - made[index]) ** 2
        similar = similarity_map(real[index], made[index], at["face"][0])
        names = ["face", "mouth", "eyes"] + ["open"] * bool(openings[index] > OPEN)
        for name in names:
            boxes = at["mouth" if name == "open" else name]
            rows[f"psnr_{name}"].append(psnr(float(np.mean([squares[b].mean() for b in boxes]))))
            rows[f"ssim_{name}"].append(float(np.mean([similar[b].mean() for b in boxes])))
        edges = [laplacian(frame[index]) for frame in (made, real)]
        for which, edge in enumerate(edges):
            energy["sharpness"][which] += float(edge[at["face"][0]].var())
            if openings[index] > OPEN:
                inside = polygon(marks[INNER_LIPS, :2], edge.shape)
                energy["mouth_energy"][which] += float((edge[inside] ** 2).mean())
        if index and counts[index - 1]:
            changes = [
                np.abs(np.diff(v[index - 1 : index + 1].astype(np.int16), axis=0)[0])
                for v in (made, real)
            ]
            for which, change in enumerate(changes):
                energy["flicker_face"][which] += float(change[at["face"][0]].mean())
            if background.any():
                rows["flicker_still"].append(float(changes[0][background].mean()))
                rows["flicker_real"].append(float(changes[1][background].mean()))
        found = bool(np.isfinite(made_marks[index]).all())
        rows["lost"].append(1.0 - found)
        if found:
            away = np.linalg.norm((made_marks[index] - marks)[:, :2], axis=1)
            away *= 100 / float(interocular(marks))
            rows["error"].append(float(away.mean()))
            rows["error_mouth"].append(float(away[LIPS_ALL].mean()))
            rows["error_eyes"].append(float(away[EYES_ALL].mean()))
            if embed and index % EMBED_EVERY == 0:
                vectors = embed(made[index], made_marks[index]), embed(real[index], marks)
                rows["identity"].append(float(vectors[0] @ vectors[1]))
    values = {name: float(np.mean(rows[name])) if rows[name] else math.nan for name in FIGURES}
    for name, (ours, theirs) in energy.items():
        values[name] = ours / theirs if theirs else math.nan
    return PictureFigures(**values)


def psnr(mean_square: float) -> float:
    """Peak signal-to-noise ratio, dB, of a mean squared difference of 8-bit values."""
    if mean_square == 0:
        return BEST_PSNR
    return min(BEST_PSNR, 10 * math.log10(255**2 / mean_square))


def similarity_map(real: Array, made: Array, box: Box) -> Array:
    """SSIM of every pixel (Wang et al. 2004) of a picture's box; NaN outside it, (H, W)."""
    result = np.full(real.shape[:2], np.nan)
    _, inside = structural_similarity(
        real[box], made[box], channel_axis=2, data_range=255, full=True
    )
    result[box] = inside.mean(-1)
    return result


def laplacian(frame: Array) -> Array:
    """(H, W) float32, of the grey picture."""
    grey = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.Laplacian(grey, cv2.CV_32F))


def polygon(points: Array, size: tuple[int, ...]) -> Array:
    """(H, W) bool: inside a polygon (n, 2); at least its border."""
    mask = np.zeros(size, dtype=np.uint8)
    cv2.fillPoly(mask, [np.round(points).astype(np.int32)], (1,))
    return mask > 0


def region_boxes(marks: Array, size: tuple[int, ...]) -> dict[str, list[Box]]:
    """The boxes of each region of `REGIONS` in a frame of (height, width).

    Those of mouth and eyes lie within the face's.
    """
    unit = float(interocular(marks))
    boxes: dict[str, list[Box]] = {}
    low, high = np.zeros(2), np.array(size[::-1], dtype=float)
    for name, (parts, margin) in REGIONS.items():
        boxes[name] = []
        for part in parts:
            points = marks[part, :2]
            start = np.clip(np.floor(points.min(0) - margin * unit), low, high - 8)
            end = np.clip(np.ceil(points.max(0) + margin * unit), start + 8, high)
            (x0, y0), (x1, y1) = start.astype(int), end.astype(int)
            boxes[name].append((slice(y0, y1), slice(x0, x1)))
            if name == "face":
                low, high = start, end
    return boxes


def face_embedding(path: Path) -> Embed:
    """MobileFaceNet: 112 × 112 aligned RGB to 128 numbers, added to the mirrored face's."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0].name

    def embed(frame: Array, marks: Array) -> Array:
        to_aligned = estimate_transform("similarity", marks[list(FIVE_POINTS), :2], ALIGNED)
        side = (ALIGNED_SIDE, ALIGNED_SIDE)
        face = cv2.warpAffine(np.ascontiguousarray(frame), to_aligned.params[:2], side)
        face = (face.astype(np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
        total = np.zeros(0, dtype=np.float32)
        for view in (face, face[:, ::-1]):
            batch = np.ascontiguousarray(view.transpose(2, 0, 1)[None])
            vector = np.asarray(session.run(None, {entry: batch})[0])[0]
            total = total + vector if len(total) else vector
        return total / np.linalg.norm(total)

    return embed


FIGURES = tuple(field.name for field in dataclasses.fields(PictureFigures))


def means(clips: Sequence[Mapping[str, PictureFigures]]) -> dict[str, dict[str, float]]:
    """Column -> figure -> mean over the clips of one source; ratios by their geometric mean.

    Args:
        clips: for each clip, column -> figures.
    """
    table: dict[str, dict[str, float]] = {}
    for column in clips[0]:
        table[column] = {}
        for name in FIGURES:
            values = np.array([getattr(clip[column], name) for clip in clips])
            values = values[np.isfinite(values)]
            if name in RATIOS and len(values):
                # A still picture has no change at all; its mean is 0, not an error.
                mean = float(np.exp(np.log(values).mean())) if (values > 0).all() else 0.0
            else:
                mean = float(values.mean()) if len(values) else math.nan
            table[column][name] = mean
    return table


def lead(row: Mapping[str, float], name: str) -> float:
    """By how much the first column is better than the best of the others; negative: worse.

    A ratio is better the nearer it is to 1.
    """

    def goodness(value: float) -> float:
        if name in RATIOS:
            return -abs(math.log(max(value, 1e-6)))
        return -value if name in LOWER_IS_BETTER else value

    first, *others = (goodness(value) for value in row.values())
    return first - max(others)


def format_table(source: str, clips: int, table: Mapping[str, Mapping[str, float]]) -> str:
    """Plain text: a line a figure, a column a way of making frames, and the lead of the first."""
    columns = list(table)
    head = f"{source} ({clips} clips)"
    lines = [f"{head:24}" + "".join(f"{name:>12}" for name in [*columns, "lead"])]
    for name in FIGURES:
        row = {column: table[column][name] for column in columns}
        if all(math.isnan(value) for value in row.values()):
            continue
        digits = 2 if name.startswith("psnr") else 3
        cells = [f"{value:12.{digits}f}" for value in row.values()]
        lines.append(f"{name:24}" + "".join(cells) + f"{lead(row, name):+12.{digits}f}")
    return "\n".join(lines)
