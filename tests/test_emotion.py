"""The ear of emotions: what it says of plain speech, of silence, and how sure it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from talking_face import Animator, load_animator
from talking_face.moods import MOODS
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.delivery import N_DELIVERY, delivery
from talking_face.sound.emotion import Emotion, EmotionNetwork, face_of
from talking_face.training.data.utterances import Pairs, Passages, load_pairs
from talking_face.training.fit.emotion import project
from talking_face.training.measure.emotion_report import calibration_error, recall, told_apart


@pytest.fixture(scope="module")
def animator() -> Animator:
    return load_animator("cpu")


@pytest.mark.slow
def test_plain_reading_is_neutral(animator: Animator, recordings: list[Path]) -> None:
    for path in recordings:
        speech = animator.listen(path)
        heard = animator.emotion(speech)
        assert heard.mood == "neutral"
        assert heard.moods(len(speech)).shape == (len(speech), len(MOODS))
        assert heard.moods(len(speech)).max() < 0.05
        assert np.abs(heard.affect(len(speech))).max() < 0.35
        np.testing.assert_allclose(heard.probabilities.sum(axis=1), 1, atol=1e-3)
        assert np.diff(heard.seconds) == pytest.approx(0.5)


def test_loudness_is_hardly_an_emotion(animator: Animator, speech: Path) -> None:
    waveform = load_audio(speech).waveform[: 3 * SAMPLE_RATE]
    loud, soft = (
        animator.emotion(animator.listen(Recording(waveform * gain))) for gain in (1.0, 0.1)
    )
    assert loud.mood == soft.mood == "neutral"
    assert np.abs(loud.probabilities - soft.probabilities).max() < 0.25
    assert soft.moods(75).max() < 0.05


def test_the_shortest_and_the_silent_are_heard(animator: Animator, silence: Recording) -> None:
    short = Recording(silence.waveform[: int(0.3 * SAMPLE_RATE)])
    assert len(animator.emotion(animator.listen(short)).seconds) == 1
    speech = animator.listen(silence)
    heard = animator.emotion(speech)
    assert np.isfinite(heard.probabilities).all()
    assert delivery(speech, slice(0, 25)).shape == (N_DELIVERY,)


def test_doubt_is_shown_faintly_or_not_at_all() -> None:
    chances = np.full((4, 8), 0.05, dtype=np.float32)
    for row, sure in enumerate((0.05, 0.12, 0.35, 0.4)):
        chances[row, 3], chances[row, 0] = sure, 0.7 - sure
    none = np.zeros(4, dtype=np.float32)
    heard = Emotion(np.array([0.25, 0.75, 1.25, 1.75], dtype=np.float32), chances, none, none)
    shown = heard.moods(50)
    assert shown[:6].max() == 0
    assert 0.05 < shown[18, 3] < 0.25
    assert 0.6 < shown[31, 3] < shown[-1, 3] < 1
    assert not np.delete(shown, 3, axis=1).any()


def test_a_smile_is_believed_by_how_pleasant_a_voice_is() -> None:
    happy, sad = MOODS.index("happy"), MOODS.index("sad")
    chances = np.full((4, 8), 0.02, dtype=np.float32)
    chances[:, happy], chances[:, sad], chances[:, 0] = 0.4, 0.4, 0.08
    smile = face_of(chances, np.array([-0.4, -0.1, 0.0, 0.3]))[:, happy]
    assert smile[0] == 0
    assert (np.diff(smile) > 0.1).all()
    plain = np.full((2, 8), 0.05, dtype=np.float32)  # of no mood is it heard that it is likely
    plain[0, 0], plain[1, MOODS.index("calm")] = 0.65, 0.65
    neutral, calm = face_of(plain, np.array([0.5, 0.5]))[:, happy]
    assert neutral < 0.25 < 0.5 < calm


def test_a_pleasant_surprise_smiles() -> None:
    happy, surprised = MOODS.index("happy"), MOODS.index("surprised")
    chances = np.full((3, 8), 0.05, dtype=np.float32)
    chances[:, surprised] = 0.65
    face = face_of(chances, np.array([0.0, 0.3, 0.6]))
    assert (face[:, surprised] == 1).all(), "it is a surprise in any case"
    assert face[0, happy] == 0
    assert 0.3 < face[1, happy] < 0.9
    assert face[2, happy] == 1


def test_figures_are_known_ones() -> None:
    moods = np.array([0, 0, 0, 2])
    chances = np.eye(9)[[0, 0, 2, 2]] * 0.9 + 0.1 / 9
    assert recall(chances, moods) == pytest.approx((2 / 3 + 1) / 2)
    assert recall(chances, moods, np.arange(9) == 0) == pytest.approx(0.5)
    assert told_apart(np.array([1.0, 3, 2, 4]), np.array([False, True, False, False])) == (
        pytest.approx(2 / 3)
    )
    assert calibration_error(chances, moods) == pytest.approx(0.9 + 0.1 / 9 - 0.75)


def test_what_loudness_changes_is_scaled_down() -> None:
    generator = np.random.default_rng(0)
    count, mood, loud = 400, slice(0, 100), slice(100, 200)
    moods = generator.integers(0, 2, count)
    statistics = generator.standard_normal((count, N_DELIVERY)).astype(np.float32)
    statistics[:, mood] += 2 * moods[:, None]
    statistics[:, loud] += 2 * generator.standard_normal((count, 1))
    names, source = np.full(count, "nemo a"), np.full(count, "nemo")
    passages = Passages(
        statistics, moods, np.zeros((count, 2)), source, names, moods < 0, moods >= 0
    )
    turned = statistics.copy()
    turned[:, loud] -= 2
    steps = torch.zeros(3, N_DELIVERY)
    steps[1, mood], steps[2, loud] = 2, 2

    def heard(quiet: np.ndarray) -> float:
        """How far loudness moves a voice, where a mood moves it by 1."""
        network = EmotionNetwork(1)
        project(network, passages, Pairs(statistics, quiet, names))
        with torch.inference_mode():
            origin, felt, louder = network.projected(network.centre + steps)
        return float((louder - origin).norm() / (felt - origin).norm())

    assert heard(turned) < 0.7 * heard(statistics)


def test_a_cache_without_quiet_utterances_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="utterances again"):
        load_pairs([], tmp_path)
