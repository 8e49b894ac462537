"""Fit the shipped model of blinks and gaze, and the rival's head, to tracked clips.

    python -m talking_face.training.fit.events --cache CACHE --output weights/idle.safetensors

Head and brows come from people who are heard to talk for some seconds (`TALKING`), blinks,
which are rare, from silent clips as well. Only the split `train` is used. The tracker's own
trembling is smoothed away first; frames of a blink, in which it sees brows and gaze move, are
bridged.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.ndimage import median_filter
from scipy.signal import find_peaks, peak_widths, savgol_filter

from talking_face.arrays import Array
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.decoder import prosody_drive
from talking_face.mapping.events import BLINKS_A_MINUTE, QUANTILES, EyeModel
from talking_face.motion import FPS
from talking_face.training.data.motions import TrackedMotion, track_motions
from talking_face.training.data.tracks import load_tracks
from talking_face.training.rivals import N_HEAD, N_POSE, STEP, HeadModel, lagged

TALKING = ("styletalk", "talkvid")  # the eyes of video bloggers are on their screens
BLINKING = (*TALKING, "celebv", "liveportrait")
MIN_FRAMES = 75
LONG = 10 * FPS  # frames that tell a posture or a person's blink rate
PASSAGE = 5 * FPS  # frames over which a posture is held: the length of most clips
SMOOTHING = (9, 2)  # window and order of the Savitzky–Golay filter
ORDER = 3  # of the autoregression
MAX_RADIUS = 0.97  # of its companion matrix
RIDGE = 3000.0  # of the response, against frames of standardised drive
FOLDS = 6
CLOSED = 0.4  # closure from which a frame is left out of gaze and brows
PROFILE = (-4, 7)  # frames around a blink's peak

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """What one clip tells."""

    speaker: str
    source: str
    pose: Array  # (T, 12), smoothed and centred
    drive: Array | None  # (T, 5)
    open_eyes: Array  # (T,) bool, no blink near
    lids: Array  # (T,) mean of both eyes
    gaze: Array  # (T, 2), bridged over blinks

    def __len__(self) -> int:
        return len(self.pose)


@dataclass(frozen=True)
class Blink:
    """One blink of a clip: its peak's frame, depth of closure and width at half depth (frames)."""

    frame: int
    depth: float
    width: float


def load_clips(cache: Path, model: FaceModel, split: str, sources: Sequence[str]) -> list[Clip]:
    """Clips of the cache that are long enough and tracked throughout."""
    tracks = load_tracks(cache, split, sources)
    clips = []
    for seen in track_motions(tracks, model):
        if len(seen.ok) < MIN_FRAMES or not seen.ok.all():
            continue
        sound = cache / f"{seen.track.key}.speech.npz"
        drive = None
        if sound.is_file():
            with np.load(sound) as heard:
                names = ("energy", "activity", "pitch", "voicing")
                drive = prosody_drive(*(heard[name] for name in names))
        clips.append(as_clip(seen, drive))
    return clips


def as_clip(seen: TrackedMotion, drive: Array | None) -> Clip:
    """Bridge blinks, smooth, and cut sound and picture to the shorter of both."""
    motion = seen.motion
    shut = np.convolve(motion.lids.max(axis=1) > CLOSED, np.ones(7), mode="same") > 0
    pose = np.concatenate(
        [motion.rotation, motion.translation, bridge(motion.upper, shut)], axis=1
    ).astype(np.float64)
    pose = savgol_filter(pose, *SMOOTHING, axis=0)
    frames = len(pose) if drive is None else min(len(pose), len(drive))
    return Clip(
        seen.track.speaker,
        seen.track.source,
        pose[:frames] - pose[:frames].mean(axis=0),
        None if drive is None else drive[:frames],
        ~shut[:frames],
        motion.lids.mean(axis=1)[:frames].astype(np.float64),
        bridge(motion.gaze, shut)[:frames],
    )


def bridge(values: Array, gone: Array) -> Array:
    """Values (T, n) with the frames that are gone interpolated."""
    if gone.all():
        return values.astype(np.float64)
    frames = np.arange(len(values))
    kept = frames[~gone]
    return np.stack([np.interp(frames, kept, column[kept]) for column in values.T], axis=1)


def fit(clips: list[Clip]) -> tuple[HeadModel, EyeModel]:
    """All parameters, from the clips of `BLINKING`."""
    talking = [clip for clip in clips if clip.source in TALKING and clip.drive is not None]
    return fit_head(talking), EyeModel(**blinking(clips), **looking(talking))


def fit_head(clips: list[Clip]) -> HeadModel:
    """The rival's head, from clips of `TALKING` with their sound."""
    heard = [(clip, clip.drive) for clip in clips if clip.drive is not None]
    drive_mean = np.average(
        np.concatenate([drive for _, drive in heard]),
        axis=0,
        weights=np.concatenate([drive[:, -1] for _, drive in heard]),
    )
    spread = np.array([clip.pose.std(axis=0) for clip in clips])
    typical = np.exp(np.log(spread).mean(axis=0))
    size = np.log(spread / typical)
    liveliness = np.stack([size[:, :N_HEAD].mean(axis=1), size[:, N_HEAD:].mean(axis=1)])
    gain = np.repeat(np.exp(liveliness).T, (N_HEAD, N_POSE - N_HEAD), axis=1)
    even = [clip.pose / (typical * g) for clip, g in zip(clips, gain, strict=True)]
    transition, covariance = yule_walker(even)  # of channels of unit variance
    back = np.tile(typical, ORDER)
    long = [clip.pose for clip in clips if len(clip) >= LONG]
    posture = [
        pose[start : start + PASSAGE].mean(axis=0)
        for pose in long
        for start in range(0, len(pose) - PASSAGE + 1, PASSAGE)
    ]
    return HeadModel(
        drive_mean=drive_mean,
        response=response([clip.pose for clip in clips], [drive for _, drive in heard]),
        transition=typical[:, None] * transition / back,
        innovation=typical[:, None] * np.linalg.cholesky(covariance),
        quiet=quiet_speed(heard),
        offset=np.sqrt(np.mean(np.square(posture), axis=0)),
        limit=np.percentile(np.abs(np.concatenate([c.pose for c in clips])), 99, axis=0),
        liveliness=np.linalg.cholesky(np.cov(liveliness)),
    )


def response(poses: list[Array], drives: list[Array]) -> Array:
    """Ridge regression of the pose on the lagged drive, (12, 30).

    Each channel is scaled by what is found of it on held-out clips: one that can't be foretold
    (which way a head turns is nothing that loudness says) is not driven at all.
    """
    inputs = [lagged(drive - drive.mean(axis=0)) for drive in drives]
    scale = np.concatenate(inputs).std(axis=0)

    def solve(chosen: list[int]) -> Array:
        x = np.concatenate([inputs[i] for i in chosen]) / scale
        y = np.concatenate([poses[i] for i in chosen])
        gram = x.T @ x + RIDGE * np.eye(x.shape[1])
        return np.linalg.solve(gram, x.T @ y) / scale[:, None]

    everything = list(range(len(poses)))
    predicted, found = [], []
    for fold in range(FOLDS):
        weights = solve([i for i in everything if i % FOLDS != fold])
        for i in everything[fold::FOLDS]:
            predicted.append(inputs[i] @ weights)
            found.append(poses[i])
    p, y = np.concatenate(predicted), np.concatenate(found)
    trust = np.clip((p * y).sum(axis=0) / (p * p).sum(axis=0), 0.0, 1.0)
    explained = 1 - ((y - trust * p) ** 2).sum(axis=0) / (y**2).sum(axis=0)
    logger.info("response: trust %s", np.round(trust, 2))
    logger.info("response: variance explained on held-out clips %s", np.round(explained, 3))
    return (solve(everything) * trust).T


def yule_walker(poses: list[Array]) -> tuple[Array, Array]:
    """Autoregression with the clips' own covariances at lags 0 to `ORDER`, made stable.

    Solves the multivariate Yule–Walker equations, then shrinks the transition towards 0 until the
    companion matrix's spectral radius is `MAX_RADIUS` at most.

    Returns:
        transition (12, 12 ORDER), the latest state first, and covariance of the noise (12, 12).
    """
    parts = [pose[first::STEP] for pose in poses for first in range(STEP)]
    lagged_covariance = []
    for lag in range(ORDER + 1):
        pairs = sum(len(part) - lag for part in parts)
        lagged_covariance.append(sum(p[lag:].T @ p[: len(p) - lag] for p in parts) / pairs)
    c = lagged_covariance
    blocks = [
        [c[j - i] if j >= i else c[i - j].T for j in range(ORDER)] for i in range(ORDER)
    ]  # covariance of the state i + 1 steps ago with the one j + 1 steps ago
    known = np.block(blocks)
    known += 1e-3 * np.diag(np.diag(known))
    ahead = np.concatenate(c[1:], axis=1)
    transition = np.linalg.solve(known, ahead.T).T
    radius = np.abs(np.linalg.eigvals(companion(transition))).max()
    if radius > MAX_RADIUS:
        shrink = np.repeat((MAX_RADIUS / radius) ** np.arange(1, ORDER + 1), N_POSE)
        transition = transition * shrink
    logger.info("autoregression: spectral radius %.3f as solved", radius)
    noise = c[0] - transition @ ahead.T - ahead @ transition.T + transition @ known @ transition.T
    values, vectors = np.linalg.eigh((noise + noise.T) / 2)
    floor = 1e-4 * values.max()
    return transition, (vectors * np.maximum(values, floor)) @ vectors.T


def companion(transition: Array) -> Array:
    """The matrix that takes the last `ORDER` states, the latest first, one step on."""
    size = transition.shape[1]
    matrix = np.eye(size, k=-N_POSE)
    matrix[:N_POSE] = transition
    return matrix


def quiet_speed(heard: list[tuple[Clip, Array]]) -> Array:
    """Median speed in pauses over that in speech, (12,), one figure for head and one for brows."""
    speed = np.concatenate([np.abs(np.diff(clip.pose, axis=0)) for clip, _ in heard])
    speaks = np.concatenate([drive[1:, -1] for _, drive in heard])
    ratio = np.median(speed[speaks < 0.3], axis=0) / np.median(speed[speaks > 0.7], axis=0)
    means = [ratio[:N_HEAD].mean(), ratio[N_HEAD:].mean()]
    return np.repeat(np.minimum(means, 1.0), (N_HEAD, N_POSE - N_HEAD))


def find_blinks(lids: Array) -> list[Blink]:
    """Blinks in closure (T,): shut for less than half a second, and open on both sides."""
    padded = np.concatenate([lids[:1] * 0 - 1, lids, lids[:1] * 0 - 1])
    peaks, found = find_peaks(
        padded, prominence=0.35, height=CLOSED, plateau_size=1, distance=FPS // 4, wlen=2 * FPS
    )
    widths = peak_widths(padded, peaks, wlen=2 * FPS)[0]
    depths = np.minimum(found["prominences"], padded[peaks])
    return [
        Blink(int(peak) - 1, float(depth), float(width))
        for peak, depth, width in zip(peaks, depths, widths, strict=True)
        if width < FPS / 2 and 1 < peak < len(lids)
    ]


def blinking(clips: list[Clip]) -> dict[str, Array]:
    """Rates, intervals, depths, durations and the mean profile."""
    counts: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    intervals: list[float] = []
    depths: list[float] = []
    widths: list[float] = []
    shapes = []
    for clip in clips:
        blinks = find_blinks(clip.lids)
        person = counts[clip.source + clip.speaker]
        person[0] += len(blinks)
        person[1] += len(clip)
        if len(clip) >= LONG and len(blinks) >= 4:
            gaps = np.diff([blink.frame for blink in blinks])
            intervals.extend(gaps / gaps.mean())
        if len(blinks) >= 2:
            full = float(np.percentile([blink.depth for blink in blinks], 75))  # of this person
            depths.extend(min(1.0, blink.depth / full) for blink in blinks)
            widths.extend(blink.width for blink in blinks if blink.depth > 0.7 * full)
        for blink in blinks:
            first, last = blink.frame + PROFILE[0], blink.frame + PROFILE[1]
            if blink.depth > 0.6 and first >= 0 and last < len(clip):
                rest = np.median(clip.lids[max(0, blink.frame - FPS) : blink.frame + FPS])
                part = clip.lids[first : last + 1] - rest
                shapes.append(part / part[-PROFILE[0]])
    # Faster people flutter, or look down so often that the tracker takes it for blinks.
    slowest, fastest = BLINKS_A_MINUTE
    rates = [60 * FPS * n / frames for n, frames in counts.values() if frames >= LONG]
    rates = [rate for rate in rates if slowest <= rate <= fastest]
    shape = np.clip(np.median(shapes, axis=0), 0.0, 1.0)
    shape[[0, -1]] = 0.0
    peak = -PROFILE[0]
    shape[: peak + 1] = np.maximum.accumulate(shape[: peak + 1])
    shape[peak:] = np.minimum.accumulate(shape[peak:])
    logger.info("blinks: %d, rates of %d people", len(depths), len(rates))
    return {
        "blink_rate": np.quantile(rates, QUANTILES),
        "blink_interval": np.quantile(intervals, QUANTILES),
        "blink_depth": np.quantile(depths, QUANTILES),
        "blink_stretch": np.quantile(np.array(widths) / np.median(widths), QUANTILES),
        "blink_profile": np.stack([np.arange(PROFILE[0], PROFILE[1] + 1), shape]),
    }


def looking(clips: list[Clip]) -> dict[str, Array]:
    """How eyes answer the head, where they look besides, and how the lids follow them."""
    turns, looks, lids = [], [], []
    for clip in clips:
        if clip.open_eyes.mean() < 0.5:
            continue
        gaze = median_filter(clip.gaze, (5, 1))
        turns.append(clip.pose[:, :2])
        looks.append(gaze - np.median(gaze[clip.open_eyes], axis=0))
        opening = clip.lids[clip.open_eyes] - np.median(clip.lids[clip.open_eyes])
        lids.append((looks[-1][clip.open_eyes, 1], opening))
    turn, look = np.concatenate(turns), np.concatenate(looks)
    counter = -(turn * look).sum(axis=0) / (turn**2).sum(axis=0)
    rest = [look + counter * turn for turn, look in zip(turns, looks, strict=True)]
    rest = [look - np.median(look, axis=0) for look in rest]
    intervals: list[float] = []
    for look in rest:
        step = np.zeros(len(look))
        for frame in range(3, len(look) - 3):
            change = look[frame + 1 : frame + 4].mean(axis=0) - look[frame - 3 : frame].mean(axis=0)
            step[frame] = np.linalg.norm(change)
        jumps, _ = find_peaks(step, height=2.5, distance=4)  # degrees, frames
        intervals.extend(np.diff(jumps) / FPS)
    pitch, opening = (np.concatenate(column) for column in zip(*lids, strict=True))
    follow = (pitch * opening).sum() / (pitch**2).sum()
    left = [o - follow * p for p, o in lids]
    power = sum((part**2).sum() for part in left)
    memory = sum((part[5:] * part[:-5]).sum() for part in left) / power
    return {
        "counter": counter,
        "fixation": np.quantile(np.concatenate(rest), QUANTILES, axis=0).T,
        "fixation_interval": np.quantile(intervals, QUANTILES),
        "lids_follow": np.array(follow),
        # What is left after five frames is change of opening, not trembling of the tracker.
        "lids_noise": np.array([memory ** (1 / 5), np.sqrt(memory * power / len(opening))]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, default=Path("weights/idle.safetensors"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    head, eyes = fit(load_clips(options.cache, load_face_model(), "train", BLINKING))
    tensors = vars(head) | vars(eyes)
    save_file(
        {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()},
        options.output,
    )
    logger.info("sha256 %s", hashlib.sha256(options.output.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
