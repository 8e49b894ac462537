"""What a face shows of a voice, as `training.measure.voices` counts it."""

import numpy as np
import pytest

from talking_face.motion import Motion
from talking_face.sound.audio import Recording
from talking_face.sound.emotion import HEARD
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.sound.speech import Speech
from talking_face.training.data.scores import SCORE_NAMES
from talking_face.training.measure.voices import FRAMES, moments, told


def test_signs_tell_moods_apart_by_their_own_scores() -> None:
    moods = np.array([HEARD.index(mood) for mood in ("happy", "sad", "angry", "fearful") * 3])
    scores = np.zeros((12, len(SCORE_NAMES)))
    scores[moods == HEARD.index("happy"), SCORE_NAMES.index("mouthSmileLeft")] = 0.5
    scores[moods == HEARD.index("sad"), SCORE_NAMES.index("browDownLeft")] = 0.5
    scores[moods == HEARD.index("fearful"), SCORE_NAMES.index("browInnerUp")] = 0.5
    areas = told(scores, moods)
    assert areas["smile"] == 1.0
    assert areas["lowered brows"] < 0.5
    assert areas["raised inner brows"] == pytest.approx(0.75)
    assert np.isnan(told(scores[:1], moods[:1])["smile"])


def test_moments_are_spoken_with_open_eyes() -> None:
    frames = 100
    activity = (np.arange(frames) >= 40).astype(np.float32)
    one = np.ones(frames, dtype=np.float32)
    heard = np.zeros((80, 4 * frames)), np.zeros((frames, BLOCKS, WIDTH))
    recording = Recording(np.zeros(640 * frames, dtype=np.float32))
    curves = one, activity, 150 * one, one
    speech = Speech(recording, *(np.float32(part) for part in heard), *curves)
    lids = np.zeros((frames, 2), dtype=np.float32)
    lids[50:60] = 1.0
    chosen = moments(Motion.still(frames).replace(lids=lids), speech)
    assert len(chosen) == FRAMES
    assert chosen.min() >= 40
    assert not ((chosen >= 50) & (chosen < 60)).any()
