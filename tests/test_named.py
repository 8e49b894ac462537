"""Moods that are changed until they are named: the steps, on faces that are made of numbers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from talking_face.editing.expression import N_CHANGED
from talking_face.moods import MOODS
from talking_face.training.fit.named import FARTHEST, FREE, ROUNDS, named
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

    def scores(_mood: int, mean: np.ndarray, _parting: np.ndarray) -> np.ndarray:
        return much * np.concatenate([mean, np.zeros(52 - len(mean))])

    return SimpleNamespace(scores=scores)


def learned(strength: float) -> np.ndarray:
    mean = np.zeros(N_CHANGED)
    mean[NAMED.index("sad")] = strength
    return mean


def right(mean: np.ndarray, faint: float, classifier: torch.nn.Linear) -> float:
    found = classifier(torch.from_numpy(people(faint).scores(SAD, mean, mean)).float())
    return float((found.argmax(1) == NAMED.index("sad")).float().mean())


def test_a_faint_mood_becomes_one_that_is_named(classifier: torch.nn.Linear) -> None:
    mean = learned(0.2)
    assert right(mean, 0.5, classifier) == 0
    changed = named(SAD, mean, np.zeros((8, 16)), people(0.5), classifier)
    assert right(changed, 0.5, classifier) == 1
    assert np.abs(changed - mean).max() <= ROUNDS * FARTHEST + 1e-9
    assert np.array_equal(changed[FREE:], mean[FREE:]), "gaze and head are what they were"


def test_one_that_is_named_already_hardly_changes(classifier: torch.nn.Linear) -> None:
    mean = learned(3.0)
    changed = named(SAD, mean, np.zeros((8, 16)), people(1.0), classifier)
    assert right(changed, 1.0, classifier) == 1
    assert np.abs(changed - mean).max() < 0.4, "of 3.0"


def test_what_makes_no_difference_stays(classifier: torch.nn.Linear) -> None:
    mean = learned(0.2)
    changed = named(SAD, mean, np.zeros((8, 16)), people(1.0), classifier)
    useless = [channel for channel in range(FREE) if channel >= len(NAMED)]
    assert np.abs((changed - mean)[useless]).max() < 1e-6
