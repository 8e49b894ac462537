"""Moods that are changed until they are named: the steps, on faces that are made of numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from talking_face.editing.expression import CHANGED, N_CHANGED
from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.face.model import load_face_model
from talking_face.moods import MOODS
from talking_face.training.fit.feeling import RAISED, corners_held, even_lids
from talking_face.training.fit.named import FREE, LIDS, LONGEST, ROUNDS, Followed, named
from talking_face.training.measure.feelings import NAMED

SAD = MOODS.index("sad")


@pytest.fixture
def classifier() -> torch.nn.Linear:
    """Names a mood by one score of its own; neutral where there is little of any."""
    network = torch.nn.Linear(52, len(NAMED)).requires_grad_(False)
    network.weight[:] = 0
    network.bias[:] = 0
    network.bias[NAMED.index("neutral")] = 1.0
    for mood in range(1, len(NAMED)):
        network.weight[mood, mood] = 4.0
    return network


def people(faint: float) -> SimpleNamespace:
    """Faces on which each channel moves a score of its own, more on some than on others."""
    much = np.array([[0.5], [1.0], [1.5]]) * faint

    def scores(_mood: int, mean: np.ndarray, manners: np.ndarray) -> np.ndarray:
        return much * np.concatenate([mean + manners, np.zeros(52 - len(mean))])

    return SimpleNamespace(scores=scores, manners=lambda _mood: np.zeros(N_CHANGED))


def learned(strength: float) -> np.ndarray:
    mean = np.zeros(N_CHANGED)
    mean[NAMED.index("sad")] = strength
    return mean


def right(mean: np.ndarray, faint: float, classifier: torch.nn.Linear) -> float:
    found = classifier(torch.from_numpy(people(faint).scores(SAD, mean, 0 * mean)).float())
    return float((found.argmax(1) == NAMED.index("sad")).float().mean())


def test_a_faint_mood_becomes_one_that_is_named(classifier: torch.nn.Linear) -> None:
    mean = learned(0.2)
    assert right(mean, 0.5, classifier) == 0
    changed = named(SAD, mean, people(0.5), classifier)
    assert right(changed, 0.5, classifier) == 1
    assert np.abs(changed - mean).max() <= ROUNDS * LONGEST + 1e-9
    assert np.array_equal(changed[FREE:], mean[FREE:]), "gaze and head are what they were"


def test_one_that_is_named_already_hardly_changes(classifier: torch.nn.Linear) -> None:
    mean = learned(3.0)
    changed = named(SAD, mean, people(1.0), classifier)
    assert right(changed, 1.0, classifier) == 1
    assert np.abs(changed - mean).max() < 0.4, "of 3.0"


def test_what_makes_no_difference_stays(classifier: torch.nn.Linear) -> None:
    mean = learned(0.2)
    changed = named(SAD, mean, people(1.0), classifier)
    useless = [channel for channel in range(FREE) if channel >= len(NAMED)]
    assert np.abs((changed - mean)[useless]).max() < 1e-6


def test_no_eye_is_closed_more_than_the_other(classifier: torch.nn.Linear) -> None:
    mean = learned(0.2)
    classifier.weight[NAMED.index("sad"), LIDS.start] = 6.0  # who shuts one eye is named the sooner
    changed = named(SAD, mean, people(0.5), classifier)
    one, other = changed[LIDS]
    assert one == pytest.approx(other)
    assert one > 0.1


def test_learned_lids_are_even_and_nothing_else_is_changed() -> None:
    means = np.random.default_rng(0).standard_normal((3, N_CHANGED))
    even = even_lids(means)
    assert np.allclose(even[:, LIDS], means[:, LIDS].mean(1, keepdims=True))
    assert np.array_equal(np.delete(even, [30, 31], 1), np.delete(means, [30, 31], 1))


def test_what_is_tracked_follows_what_is_asked() -> None:
    rng = np.random.default_rng(0)
    ways = rng.standard_normal((4, 478, 2))
    asked = np.tensordot(rng.standard_normal((60, 4)), ways, axes=1)
    noise = 0.2 * rng.standard_normal(asked.shape)
    follow = Followed(asked, np.array([0.5, 0.9]) * asked + noise)
    other = np.tensordot(rng.standard_normal((10, 4)), ways, axes=1)
    expected = np.array([0.5, 0.9]) * other
    assert np.abs(follow(other) - expected).mean() < 0.1 * np.abs(expected).mean()


def test_an_unpleasant_mood_hardly_raises_the_corners_of_closed_lips() -> None:
    model = load_face_model()
    change, parting = np.zeros(N_CHANGED), np.zeros(CHANGED["lower"])
    height = [model.lower[points, 1].mean(0) for points in ([13, 14], list(MOUTH_CORNERS))]
    smile = model.lips_kept((height[0] - height[1]).astype(float))
    change[: len(smile)] = 0.1 * smile / ((height[0] - height[1]) @ smile)

    def raised(of: np.ndarray) -> float:
        return float((height[0] - height[1]) @ of[: len(smile)])

    assert raised(change) == pytest.approx(0.1)
    assert raised(corners_held(change, parting, model)) == pytest.approx(RAISED, abs=1e-4)
    assert np.array_equal(corners_held(-change, parting, model), -change), "they may hang"
