"""Clips as the decoder of the DIRFA network learns from them: states, sound and style.

Head pose and brows come from everyone who is seen for some seconds, with their sound where there is
one; how lips stray from the expected ones from everyone who is heard. Other speeds count as further
clips.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import savgol_filter

from talking_face.arrays import Array
from talking_face.face.model import FaceModel
from talking_face.mapping.decoder import GROUPS, audio_inputs, prosody_drive
from talking_face.mapping.listeners import N_LOWER
from talking_face.motion import CHANNELS, Motion
from talking_face.training.data.affects import load_affects
from talking_face.training.data.augment import SPEEDS, at_speed, other_hearings
from talking_face.training.data.examples import Example, motion_files
from talking_face.training.data.tracks import load_tracks
from talking_face.training.fit.events import CLOSED, SMOOTHING, bridge

TALKING = ("styletalk", "talkvid", "firstimp", "dolos", "marlin")  # for some seconds
SILENT = ("celebv", "dreamtalk", "styletalk", "talkvid")  # sources with clips without sound
MIN_FRAMES = 24
STYLED = 50  # frames that tell a style
LIP_SMOOTHING = 1.5  # frames; the decoder leaves what is faster to the listeners
FARTHEST = 6.0  # standard deviations; a clip that goes beyond, as bodies that walk do, is left out
LEAST_SPEED = 1e-3

Expected = Callable[[Example], Array]


@dataclass(frozen=True)
class MotionSequence:
    """One clip as the decoder learns from it.

    Attributes:
        states: (T, N_STATE) at every frame, smoothed and centred; lips are 0 without sound.
        audio: (T, N_AUDIO), or None for a silent clip.
        ok: (T,) bool.
        style: (2,) logarithms of the speed of head and brows; None where the clip is too short.
        affect: (T, 2) valence and arousal of the voice; None where they aren't known.
    """

    source: str
    speaker: str
    states: Array
    audio: Array | None
    ok: Array
    style: Array | None
    affect: Array | None = None


def as_sequence(
    motion: Motion, ok: Array, sound: Example | None, heard: Array | None, who: list[str]
) -> MotionSequence:
    """Bridge blinks, smooth, and take away what the listeners expect (heard, (T, 22))."""
    shut = np.convolve(motion.lids.max(axis=1) > CLOSED, np.ones(7), mode="same") > 0
    upper = bridge(motion.upper, shut)
    lips = np.zeros_like(motion.lower)
    audio = None
    if sound is not None and heard is not None:
        upper = upper - heard[:, N_LOWER:]
        lips = gaussian_filter1d(motion.lower - heard[:, :N_LOWER], LIP_SMOOTHING, axis=0)
        drive = prosody_drive(sound.energy, sound.activity, sound.pitch, sound.voicing)
        audio = audio_inputs(heard, sound.prosody, drive)
    pose = np.concatenate([motion.rotation, motion.translation, upper], axis=1)
    pose = savgol_filter(pose.astype(np.float64), *SMOOTHING, axis=0)
    states = np.concatenate([pose, lips], axis=1)
    states -= states[ok].mean(axis=0)
    return MotionSequence(who[0], who[1], states.astype(np.float32), audio, ok, None)


def load_sequences(
    cache: Path, model: FaceModel, examples: Sequence[Example], expected: Expected
) -> list[MotionSequence]:
    """Clips with sound, and silent ones of the split `train`; each at three speeds."""
    affects = load_affects(cache, examples)
    sequences = []
    for example in [*examples, *other_hearings(cache, examples)]:
        if len(example) >= MIN_FRAMES and example.ok.mean() > 0.8:
            heard = expected(example)
            who = [example.source, example.speaker]
            sequence = as_sequence(example.motion, example.ok, example, heard, who)
            affect = affects.get(example.key)
            if affect is not None:
                affect = affect[: len(example)]
            sequences.append(replace(sequence, affect=affect))
    heard_keys = {example.key for example in examples}
    tracks = [t for t in load_tracks(cache, "train", SILENT) if t.key not in heard_keys]
    for track, file in zip(tracks, motion_files(cache, tracks, model), strict=True):
        who = [track.source, track.speaker]
        with np.load(file) as seen:
            natural, found = Motion(**{name: seen[name] for name in CHANNELS}), seen["ok"]
        for speed in (1.0, *SPEEDS.values()):
            motion = Motion.from_array(at_speed(natural.as_array(), speed))
            ok = at_speed(found[:, None].astype(np.float32), speed)[:, 0] == 1
            if len(motion) >= STYLED and ok.mean() > 0.8:
                sequences.append(as_sequence(motion, ok, None, None, who))
    calm = FARTHEST * deviation(sequences)
    return with_styles([s for s in sequences if (np.abs(s.states[s.ok]) < calm).all()])


def with_styles(sequences: Sequence[MotionSequence]) -> list[MotionSequence]:
    """Tell each sequence its style: how fast its head and brows move, as a logarithm."""
    scale = deviation(sequences)
    head, upper = GROUPS["head"], GROUPS["upper"]
    styled = []
    for sequence in sequences:
        if len(sequence.states) < STYLED:
            styled.append(sequence)
            continue
        speed = np.diff(sequence.states / scale, axis=0)[sequence.ok[1:] & sequence.ok[:-1]]
        groups = (speed[:, :head], speed[:, head : head + upper])
        style = [np.log(np.sqrt(np.mean(group**2)) + LEAST_SPEED) for group in groups]
        styled.append(replace(sequence, style=np.array(style, dtype=np.float32)))
    return styled


def deviation(sequences: Sequence[MotionSequence]) -> Array:
    """Standard deviation of each channel over the talking clips, (N_STATE,)."""
    talking = [s for s in sequences if s.source in TALKING and s.audio is not None]
    return np.concatenate([s.states[s.ok] for s in talking]).std(axis=0) + 1e-6
