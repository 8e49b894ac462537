"""Moods on a face: what they move, what they leave alone, and that no sample is as another."""

import numpy as np
import pytest

from talking_face.editing.directions import find_directions
from talking_face.editing.expression import express, load_expression, swell
from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.face.lips import TOUCHING, lip_gaps
from talking_face.face.model import load_face_model
from talking_face.moods import MOODS
from talking_face.motion import FPS, Motion
from talking_face.picture.lids import closing, meeting
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.sound.speech import Speech

MODEL, MOODED = load_face_model(), load_expression()
DIRECTIONS = find_directions(MODEL)
INNER, OUTER = [107, 336], [70, 300]
LIDS = (([160, 159, 158], [144, 145, 153]), ([385, 386, 387], [380, 374, 373]))  # upper, lower


def syllables(frames: int = 200) -> Motion:
    """Lips that part and touch three times a second, and a head that moves."""
    opening = np.maximum(np.sin(2 * np.pi * 3 * np.arange(frames) / FPS), 0.0) * 0.1
    return Motion.still(frames).replace(
        lower=opening[:, None] * DIRECTIONS.opening,
        rotation=np.full((frames, 3), 0.5),
        rest=np.ones((frames, 1)),
    )


def feeling(motion: Motion, mood: str, manner: int = 7, strength: float = 1.0) -> Motion:
    felt = np.zeros_like(motion.feeling)
    felt[:, MOODS.index(mood)], felt[:, -1] = strength, manner
    return motion.replace(feeling=felt)


def shapes(motion: Motion) -> np.ndarray:
    return MODEL.mean + MODEL.displacement(motion.lower, motion.upper, motion.nuance)


def shown(mood: str, manner: int = 7, strength: float = 1.0) -> Motion:
    return express(feeling(syllables(), mood, manner, strength), MODEL, MOODED)


def height(shape: np.ndarray, points: list[int] | tuple[int, ...]) -> float:
    """How far points lie above the eyes' line on average, canonical units."""
    return -float(shape[:, list(points), 1].mean())


def test_no_mood_is_the_same_motion() -> None:
    motion = feeling(syllables(), "happy", strength=0.0)
    assert express(motion, MODEL, MOODED) is motion


def test_neutral_only_brings_the_photo_to_rest() -> None:
    motion = feeling(syllables().replace(rest=np.zeros((200, 1))), "neutral")
    made = express(motion, MODEL, MOODED)
    assert (made.rest == 1).all()
    for name in ("lower", "upper", "nuance", "lids", "gaze", "rotation"):
        assert np.array_equal(getattr(made, name), getattr(motion, name)), name


def test_moods_that_know_no_smile_take_a_closed_one_away() -> None:
    asked = {mood: float(shown(mood).rest.max()) for mood in MOODS}
    assert [mood for mood, rest in asked.items() if rest == 1] == ["neutral", "calm", "happy"]
    assert all(
        rest == 2 for mood, rest in asked.items() if mood not in ("neutral", "calm", "happy")
    )


def test_a_photos_smile_goes_before_an_unpleasant_mood_is_there() -> None:
    assert shown("sad", strength=0.35).rest.min() == 2
    assert 1 < shown("sad", strength=0.1).rest.max() < 1.5
    assert shown("happy", strength=0.35).rest.max() == 1


def test_disgust_lowers_brows_less_than_anger() -> None:
    neutral = height(shapes(shown("neutral")), INNER + OUTER)
    low = {m: neutral - height(shapes(shown(m)), INNER + OUTER) for m in ("angry", "disgusted")}
    assert 0.4 < low["disgusted"] / low["angry"] < 0.8


@pytest.mark.parametrize("mood", MOODS)
def test_eyes_are_as_open_as_each_other(mood: str) -> None:
    """On average: no face is angry with one eye alone, though a sample may favour one."""
    closed = np.stack([closing(MODEL.mean, eye) for eye in (0, 1)])
    open_by = []
    for manner in range(12):
        made = shown(mood, manner)
        face = shapes(made) + np.einsum("fe,end->fnd", meeting(made.lids), closed)
        open_by.append(
            [float((face[:, below] - face[:, above])[..., 1].mean()) for above, below in LIDS]
        )
    one, other = np.mean(open_by, axis=0)
    assert one == pytest.approx(other, rel=0.1)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("manner", [0, 500])
def test_lips_that_touch_touch_still_and_those_apart_follow_the_words(
    mood: str, manner: int
) -> None:
    before = lip_gaps(shapes(syllables()))[:, 3:6].mean(1)
    after = lip_gaps(shapes(shown(mood, manner)))[:, 3:6].mean(1)
    assert (after[before < TOUCHING] < TOUCHING + 0.006).all()
    assert np.corrcoef(before, after)[0, 1] > 0.98


def test_moods_do_what_people_do() -> None:
    face = {mood: shapes(shown(mood)) for mood in MOODS}
    neutral = face["neutral"]
    smile = {mood: height(face[mood], MOUTH_CORNERS) for mood in MOODS}
    inner = {mood: height(face[mood], INNER) - height(neutral, INNER) for mood in MOODS}
    outer = {mood: height(face[mood], OUTER) - height(neutral, OUTER) for mood in MOODS}
    assert smile["happy"] == max(smile.values()) > smile["neutral"] + 0.02
    assert inner["angry"] < -0.02
    assert inner["disgusted"] < -0.01
    assert min(inner["surprised"], outer["surprised"]) > 0.03
    assert inner["sad"] - outer["sad"] > 0.01  # oblique
    assert inner["fearful"] > 0.01


@pytest.mark.parametrize("mood", ["sad", "angry", "fearful", "disgusted"])
def test_no_unpleasant_mood_smiles_with_lips_closed(mood: str) -> None:
    """Corners of the mouth stay below the middle of the lips, or by less than a smile above."""
    closed, corners = syllables().lower @ DIRECTIONS.gap < TOUCHING, list(MOUTH_CORNERS)
    neutral, happy, face = (shapes(shown(each))[closed] for each in ("neutral", "happy", mood))

    def raised(shape: np.ndarray) -> float:
        away = (shape - neutral)[..., 1]
        return float(away[:, [13, 14]].mean() - away[:, corners].mean())

    assert raised(happy) > 0.02
    assert raised(face) < 0.012


def test_samples_differ_in_how_they_show_a_mood() -> None:
    one, same, other = shown("happy", 3), shown("happy", 3), shown("happy", 4)
    assert np.array_equal(one.as_array(), same.as_array())
    moved, changed = (
        np.abs(shapes(a) - shapes(b)).max() for a, b in ((one, syllables()), (one, other))
    )
    assert changed > 0.1 * moved


def test_a_shorter_clip_begins_as_a_longer_one() -> None:
    long = feeling(syllables(), "sad")
    short = express(long[:80], MODEL, MOODED).as_array()
    np.testing.assert_allclose(
        short[:60], express(long, MODEL, MOODED).as_array()[:60], rtol=0, atol=1e-5
    )


def test_a_head_held_still_stays_still() -> None:
    still = syllables().replace(rotation=np.zeros((200, 3)))
    assert not express(feeling(still, "sad"), MODEL, MOODED).rotation.any()


def test_a_feeling_comes_rests_in_pauses_and_is_stressed_with_the_words() -> None:
    frames = 300
    loud = np.full(frames, -30.0)
    loud[100:125] = -15.0  # a stressed word
    speaks = np.ones(frames)
    speaks[180:240] = 0.0  # a pause
    speech = Speech(
        recording=Recording(np.zeros(16000, dtype=np.float32)),
        log_mel=np.zeros((80, 4 * frames), dtype=np.float32),
        features=np.zeros((frames, BLOCKS, WIDTH), dtype=np.float32),
        energy=loud.astype(np.float32),
        activity=speaks.astype(np.float32),
        pitch=np.full(frames, 150.0, dtype=np.float32),
        voicing=speaks.astype(np.float32),
    )
    moods = np.zeros((frames, len(MOODS)), dtype=np.float32)
    moods[:, MOODS.index("angry")] = 1.0
    angry = swell(moods, speech, 11)[:, MOODS.index("angry")]
    assert angry[0] < 0.2 < 0.6 < angry[60:90].mean()
    assert angry[105:120].mean() > 1.05 * angry[60:90].mean()
    assert angry[200:220].mean() < 0.95 * angry[140:170].mean()
    assert not swell(np.zeros_like(moods), speech, 11).any()
