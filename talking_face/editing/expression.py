"""Feeling: what a mood does to a face that speaks, added to an animation that was drawn.

What brows, lids, cheeks, nose, mouth corners, gaze and the bearing of the head do in each mood was
learned from real emotional faces, see `talking_face.training.fit.feeling`: a mean, and the ways in
which people differ in it. A manner, which each sample has of its own, chooses among these ways, and
they drift a little in the course of a clip, as no smile is held.

Two steps: `swell` knows the sound and says how strong a feeling is from frame to frame; `express`
knows motions alone and moves the face. Lips that touch, touch still, also in a pause: what a mood
does to their distance is added where they are apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from talking_face.arrays import Array, Float32
from talking_face.curves import soft_limit
from talking_face.editing.directions import find_directions
from talking_face.face.lips import TOUCHING
from talking_face.face.model import FaceModel
from talking_face.frozen import Frozen
from talking_face.moods import MOODS
from talking_face.motion import FPS, Motion
from talking_face.motion_space import CHANNELS, MAX_VALUE
from talking_face.sound.speech import Speech
from talking_face.weights import load_weights

CHANGED = {n: CHANNELS[n] for n in ("lower", "upper", "nuance", "lids", "gaze", "rotation")}
N_CHANGED = sum(CHANGED.values())
N_WAYS = 4  # in which people differ in a mood, that are told apart
STRONGEST = 1.5  # of all moods together
UNSMILING = [MOODS.index(mood) for mood in ("sad", "angry", "fearful", "disgusted", "surprised")]

# Of a sample: spread of the logarithm of its strength; of its ways, how they begin and how they
# drift, in standard deviations, none beyond so many.
BROADER, WAYS, DRIFT, FARTHEST = 0.12, 0.55, 0.25, 1.2
DRIFT_SECONDS = 1.6  # between two knots of the drift
# A feeling comes in so many seconds and goes in so many; samples differ by these factors' spread.
ONSET, DECAY, EARLIER = 0.35, 0.8, 0.35
STRESS = 0.22  # by how much stressed words are stronger, at most
SOBER = 3.0  # times as soon as a mood that knows no smile comes, a smile of the photo goes
RESTING = 0.8  # of a feeling, that is left in a pause
PAUSE_SECONDS = 0.4  # softness of the way into a pause
NARROWED = (0.25, 0.42)  # closure of the eyes that a mood adds as it is, and at most: they look on
# Canonical units that a mood moves a brow by as it is, and at most; and where that is measured.
RAISED, BROWS = (0.06, 0.1), (70, 63, 105, 66, 107, 300, 293, 334, 296, 336)
# Lips that are APART, canonical units, part by this share of what the mood does to a mouth that
# doesn't speak; those nearer by as much less.
WHILE_SPEAKING, APART = 0.55, 0.12


@dataclass(frozen=True, eq=False)
class ExpressionModel(Frozen):
    """What was learned of the moods.

    Attributes:
        mean: (8, 37) what each does to the channels `CHANGED`, at strength 1.
        ways: (8, 4, 37) how people differ in it, one standard deviation each.
        parting: (8, 16) what the lower face does in it beside, for a canonical unit that the lips
            are farther apart.
    """

    mean: Float32
    ways: Float32
    parting: Float32


@cache
def load_expression() -> ExpressionModel:
    """The shipped weights.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return ExpressionModel(**load_weights("feeling"))


def swell(moods: Array, speech: Speech, seed: int) -> Float32:
    """How strong a feeling is in each frame: it comes, goes, is stressed, and rests in pauses.

    Args:
        moods: (frames, 8) what is felt, 0..1.5 a mood.
        speech: what is said.
        seed: of the sample; what comes early in one comes late in another.

    Returns:
        (frames, 8) float32, 0..1.5; exactly 0 where that mood is never felt.
    """
    rng = np.random.default_rng([seed, 3])
    broad, early, late = np.exp(np.array([BROADER, EARLIER, EARLIER]) * rng.standard_normal(3))
    onset, decay = (1 - np.exp(-1 / (FPS * s)) for s in (ONSET * early, DECAY * late))
    wanted = np.asarray(moods, dtype=np.float64)
    followed = np.zeros_like(wanted)
    now = np.zeros(wanted.shape[1:])
    lagging = now
    for frame, target in enumerate(wanted):  # twice the same lag: an S, not a jump
        lagging = lagging + (target - lagging) * np.where(target > lagging, onset, decay)
        now = now + (lagging - now) * np.where(lagging > now, onset, decay)
        followed[frame] = now
    said = broad * followed * _stress(speech)[:, None]
    said[:, 0] = followed[:, 0]  # neutral has no emphasis
    return np.clip(said, 0.0, STRONGEST).astype(np.float32)


def _stress(speech: Speech) -> Array:
    """How much stronger a feeling is in each frame than over the whole, (frames,)."""
    speaks = gaussian_filter1d(speech.activity.astype(np.float64), PAUSE_SECONDS * FPS / 2)
    weight = np.maximum(speech.activity, 1e-3)
    stressed = np.zeros(len(speech))
    pitch = np.log2(np.maximum(speech.pitch, 1.0))
    for curve, counts in ((speech.energy, weight), (pitch, weight * speech.voicing + 1e-3)):
        smooth = gaussian_filter1d(curve * counts, 3.0) / gaussian_filter1d(counts, 3.0)
        mean = np.average(smooth, weights=weight)
        spread = np.sqrt(np.average((smooth - mean) ** 2, weights=weight))
        stressed += (smooth - mean) / max(float(spread), 1e-3) / 2
    return (RESTING + (1 - RESTING) * speaks) * (1 + STRESS * speaks * np.tanh(stressed))


def express(motion: Motion, model: FaceModel, feeling: ExpressionModel) -> Motion:
    """The motion with the feeling that it holds on its face; the same one where it feels nothing.

    Neutral alone brings the photo's own mouth to rest and does nothing else; a smile of a closed
    mouth goes where a mood comes that knows none. A head that is held still stays still.

    Args:
        motion: with weights and manner in its channel `feeling`.
        model: the face model whose coefficients the motion holds.

    Returns:
        A motion of the same length that feels nothing more.
    """
    moods, manner = motion.feeling[:, : len(MOODS)], motion.feeling[:, len(MOODS)]
    if not moods.any():
        return motion
    directions = find_directions(model)
    open_by = _opening(motion.lower @ directions.gap)
    change = changes(moods, int(manner.max(initial=0.0)), feeling, directions.gap, open_by)
    free = _free_brows(change["upper"], change["nuance"], model)
    rest = np.clip(moods.max(1, keepdims=True), 0.0, 1.0)
    still = np.clip(SOBER * moods[:, UNSMILING].max(1, keepdims=True), 0.0, 1.0)
    held = not (motion.rotation.any() or motion.translation.any())
    shown = {
        "lower": motion.lower + model.lips_kept(change["lower"]) + change["parted"],
        "upper": motion.upper + free * change["upper"],
        "nuance": motion.nuance + free * change["nuance"],
        # A closed eye stays closed, however wide or narrow the open one is.
        "lids": motion.lids
        + soft_limit(change["lids"], *NARROWED) * (1 - np.clip(motion.lids, 0.0, 1.0)),
        "gaze": motion.gaze + change["gaze"],
        "rotation": motion.rotation if held else motion.rotation + change["rotation"],
        "rest": motion.rest + (1 - motion.rest) * rest + still,
        "feeling": np.zeros_like(motion.feeling),
    }
    # The wildest motion that is accepted can be drawn, with a feeling on top, too.
    return motion.replace(**{n: np.clip(v, -MAX_VALUE, MAX_VALUE) for n, v in shown.items()})


def changes(
    moods: Array, manner: int, feeling: ExpressionModel, gap: Array, open_by: Array
) -> dict[str, Array]:
    """What moods (frames, 8) do to each channel of `CHANGED`, (frames, size) each.

    A longer clip begins as a shorter one does.

    Args:
        gap: (16,) `gap @ lower` is how far lips are opened, canonical units.
        open_by: (frames,) how much of what a mood does to the lips' distance there is room for.

    Returns:
        They, and `parted` (frames, 16), what the lower face does as the mood parts the lips; it is
        taken out of `lower`.
    """
    felt = np.clip(np.asarray(moods, dtype=np.float64), 0.0, STRONGEST)
    felt[:, 0] = 0.0
    felt *= STRONGEST / np.maximum(felt.sum(1, keepdims=True), STRONGEST)
    total, parted = np.zeros((len(felt), N_CHANGED)), np.zeros((len(felt), len(gap)))
    for mood in np.flatnonzero(felt.any(0)):
        how = _ways(len(felt), np.random.default_rng([manner, int(mood), 5]))
        change = felt[:, [mood]] * (feeling.mean[mood] + how @ feeling.ways[mood])
        wider = np.maximum(change[:, : len(gap)] @ gap, 0.0)[:, None] * feeling.parting[mood]
        change[:, : len(gap)] -= wider
        parted += open_by[:, None] * wider
        total += change
    parts = np.split(total, np.cumsum([*CHANGED.values()])[:-1], axis=1)
    return {**dict(zip(CHANGED, parts, strict=True)), "parted": parted}


def _ways(frames: int, rng: np.random.Generator) -> Array:
    """How a sample shows a mood, (frames, 4) in standard deviations: drawn once, then drifting."""
    begin = WAYS * rng.standard_normal(N_WAYS)
    knots = np.arange(0.0, frames / FPS + 3 * DRIFT_SECONDS, DRIFT_SECONDS)
    drift = DRIFT * rng.standard_normal((len(knots), N_WAYS))
    drawn = PchipInterpolator(knots, begin + drift)(np.arange(frames) / FPS)
    return FARTHEST * np.tanh(drawn / FARTHEST)


def _free_brows(upper: Array, nuance: Array, model: FaceModel) -> Array:
    """What is left of a mood's (frames, 6) and (frames, 8) so that brows push no fold into
    the forehead, (frames, 1)."""
    points = list(BROWS)
    moved = upper @ model.upper[points, 1].T + nuance @ model.nuance[points, 1].T
    most = np.maximum(np.abs(moved).max(1, keepdims=True), 1e-6)
    return np.asarray(soft_limit(most, *RAISED) / most)


def _opening(gap: Array) -> Array:
    """How much of what a mood does to lips (frames,) so far apart there is room for, 0..1."""
    return WHILE_SPEAKING * np.clip((gap - TOUCHING) / APART, 0.0, 1.0)
