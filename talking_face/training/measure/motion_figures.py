"""How lifelike animations are: figures of a mapper's samples beside real clips.

All functions compare real motions with samples of the same length. Tracked motion is relative to
the clip's median pose and sampled motion to the photo, and the coefficients of an expression are
only known up to a constant of the speaker's face; so each clip's own mean is taken off both before
anything is compared. The real motions are as the tracker saw them, trembling included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import savgol_filter, welch

from talking_face.arrays import Array
from talking_face.face.model import FaceModel
from talking_face.motion import FPS, Motion
from talking_face.training.fit.events import SMOOTHING, find_blinks
from talking_face.training.measure.frechet import WindowSpace, distance_of_halves, window_distance
from talking_face.training.measure.lip_figures import mouth_curves

BANDS = ((0.0, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 12.5))  # Hz
SEGMENT = 64  # frames of a spectrum, or the whole clip where it is shorter
DRIFT_WINDOW = 30 * FPS  # frames

Curves = Callable[[Motion], Array]  # to (frames, channels)


def head(motion: Motion) -> Array:
    """Rotation and translation, (frames, 6)."""
    return np.concatenate([motion.rotation, motion.translation], axis=1)


def upper(motion: Motion) -> Array:
    """Brows, forehead and the mean closure of the lids, (frames, 7)."""
    return np.concatenate([motion.upper, lids(motion)], axis=1)


def lower(motion: Motion) -> Array:
    """Lips, jaw and cheeks, (frames, 16)."""
    return motion.lower


def lids(motion: Motion) -> Array:
    """Mean closure of both eyes, (frames, 1)."""
    return motion.lids.mean(axis=1, keepdims=True)


def everything(motion: Motion) -> Array:
    """Head, upper and lower face, (frames, 29); without gaze, which the tracker hardly sees."""
    return np.concatenate([head(motion), upper(motion), lower(motion)], axis=1)


GROUPS: dict[str, Curves] = {"head": head, "upper": upper, "lower": lower, "all": everything}
MOVEMENTS: dict[str, Curves] = {
    "yaw": lambda motion: motion.rotation[:, :1],
    "pitch": lambda motion: motion.rotation[:, 1:2],
    "roll": lambda motion: motion.rotation[:, 2:],
    "head": lambda motion: motion.rotation,
    "place": lambda motion: motion.translation,
    "brows": lambda motion: motion.upper,
    "lids": lids,
    "gaze": lambda motion: motion.gaze,
    "lower": lower,
}


# -- realism ------------------------------------------------------------------------------------


def deviation(curves: Array) -> float:
    """Root of the summed variance of curves (frames, n)."""
    return float(np.sqrt(curves.astype(np.float64).var(axis=0).sum()))


def speed(curves: Array) -> float:
    """Mean length of the change of curves (frames, n), per second."""
    return float(np.linalg.norm(np.diff(curves, axis=0), axis=1).mean() * FPS)


def smoothed(curves: Array) -> Array:
    """Curves (frames, n) without the trembling of a tracker: nothing much above 3 Hz is left."""
    return savgol_filter(curves.astype(np.float64), *SMOOTHING, axis=0)


MEASURES: dict[str, Callable[[Array], float]] = {
    "std": deviation,
    "speed": lambda curves: speed(smoothed(curves)),
    "raw speed": speed,
}


def movement_ratios(
    real: Sequence[Motion], sampled: Sequence[Sequence[Motion]]
) -> dict[str, float]:
    """How far and how fast things move, sampled over real.

    Args:
        real: motions of clips.
        sampled: of each clip its samples.

    Returns:
        For each of `MOVEMENTS` "std NAME", "speed NAME" (both sides smoothed alike) and "raw speed
        NAME": the mean over clips and samples over the mean over the real clips. Several axes are
        pooled by the length of their vector.
    """
    flat = [motion for samples in sampled for motion in samples]
    ratios = {}
    for name, curves in MOVEMENTS.items():
        for kind, measure in MEASURES.items():
            ours, theirs = (
                np.mean([measure(curves(motion)) for motion in set_]) for set_ in (flat, real)
            )
            ratios[f"{kind} {name}"] = float(ours / theirs) if theirs > 0 else float("nan")
    return ratios


def blinks_a_minute(motions: Sequence[Motion]) -> float:
    """Blinks over all clips, per minute."""
    count = sum(len(find_blinks(motion.lids.mean(axis=1))) for motion in motions)
    return count * 60 * FPS / sum(len(motion) for motion in motions)


def spectrum(curves: Sequence[Array]) -> Array:
    """Power of the velocity of curves in each of `BANDS`, (bands,).

    Args:
        curves: (frames, n) of each clip; the channels' powers are added.

    Welch's periodogram, zero-padded so that clips of any length share their frequencies; longer
    clips count by their length.
    """
    total = np.zeros(len(BANDS))
    for clip in curves:
        velocity = np.diff(clip, axis=0) * FPS
        frequencies, power = welch(
            velocity, FPS, nperseg=min(SEGMENT, len(velocity)), nfft=4 * SEGMENT, axis=0
        )
        power = power.sum(axis=1) * len(velocity)
        total += [power[(low < frequencies) & (frequencies <= high)].sum() for low, high in BANDS]
    return total / sum(len(clip) for clip in curves)


def spectrum_ratios(
    real: Sequence[Motion], sampled: Sequence[Sequence[Motion]], model: FaceModel
) -> dict[str, float]:
    """Amplitude of lip-opening and head-rotation velocity in each band, sampled over real.

    Below 1 where a band is damped, above where it flutters. In the highest bands of the head the
    real motion is mostly the tracker's trembling.
    """

    def opening(motion: Motion) -> Array:
        return mouth_curves(motion, model)[0][:, None]

    flat = [motion for samples in sampled for motion in samples]
    ratios = {}
    for name, curves in (("lips", opening), ("head", MOVEMENTS["head"])):
        ours, theirs = (spectrum([curves(motion) for motion in set_]) for set_ in (flat, real))
        for (low, high), mine, seen in zip(BANDS, ours, theirs, strict=True):
            ratio = np.sqrt(mine / seen) if seen > 0 else np.nan
            ratios[f"{name} {low:g}-{high:g} Hz"] = float(ratio)
    return ratios


Spaces = dict[str, WindowSpace]


def window_spaces(reference: Sequence[Motion]) -> Spaces:
    """What windows of each of `GROUPS` are compared in, from reference clips; see `frechet`.

    Empty where the reference is too short.
    """
    fitted = {
        name: WindowSpace.fit([curves(motion) for motion in reference])
        for name, curves in GROUPS.items()
    }
    return {name: space for name, space in fitted.items() if space is not None}


def window_distances(
    real: Sequence[Motion], sampled: Sequence[Sequence[Motion]], spaces: Spaces
) -> dict[str, float]:
    """Fréchet distance of each group of `spaces`; see `talking_face.training.measure.frechet`.

    One sample of each clip at a time, so that there are always equally many windows; the mean over
    the samples that every clip has.

    Args:
        real: of any clips; those that were sampled, or of other people.
        sampled: of each sampled clip its samples.
    """
    count = min(len(samples) for samples in sampled)
    distances = {}
    for name, space in spaces.items():
        curves = GROUPS[name]
        seen = [curves(motion) for motion in real]
        drawn = [[curves(samples[i]) for samples in sampled] for i in range(count)]
        distances[name] = float(np.mean([window_distance(seen, one, space) for one in drawn]))
    return distances


def real_window_distances(
    real: Sequence[Motion], speakers: Sequence[str], spaces: Spaces
) -> dict[str, float]:
    """The same between halves of the real clips, by speaker: what other real people would have."""
    return {
        name: distance_of_halves([GROUPS[name](motion) for motion in real], speakers, space)
        for name, space in spaces.items()
    }


# -- drift --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drift:
    """What becomes of a long animation.

    Attributes:
        turn: degrees between the head's mean rotation in the first and in the last 30 s.
        usual_turn: the same between neighbouring passages of 30 s, on average: what wandering
            without drift amounts to.
        growth: deviation of the head's rotation in the last 30 s over that in the first.
        lids: change of the lids' mean closure from the first 30 s to the last.
        farthest: largest rotation about any axis, degrees.
        blinks: per minute.
    """

    turn: float
    usual_turn: float
    growth: float
    lids: float
    farthest: float
    blinks: float


def drift(motion: Motion) -> Drift:
    """Compare beginning and end of an animation of at least two passages of 30 s."""
    parts = [
        motion[start : start + DRIFT_WINDOW]
        for start in range(0, len(motion) - DRIFT_WINDOW + 1, DRIFT_WINDOW)
    ]
    if len(parts) < 2:
        raise ValueError(f"a drift shows in a minute or more, not in {motion.duration:.0f} s")
    last = motion[len(motion) - DRIFT_WINDOW :]
    means = [part.rotation.mean(axis=0) for part in parts]
    turn = np.linalg.norm(last.rotation.mean(axis=0) - means[0])
    began = deviation(parts[0].rotation)
    return Drift(
        turn=float(turn),
        usual_turn=float(np.mean(np.linalg.norm(np.diff(means, axis=0), axis=1))),
        growth=deviation(last.rotation) / began if began > 0 else float("nan"),
        lids=float(last.lids.mean() - parts[0].lids.mean()),
        farthest=float(np.abs(motion.rotation).max()),
        blinks=blinks_a_minute([motion]),
    )
