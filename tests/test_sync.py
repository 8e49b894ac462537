"""The sync critic: it learns which mouth belongs to a sound, and finds offsets."""

from __future__ import annotations

import numpy as np
import pytest
from test_evaluate import example

from talking_face.training.data.examples import Example
from talking_face.training.fit.critic import train_critic
from talking_face.training.fit.listeners import shifted_targets
from talking_face.training.measure.sync import Critic, mean_sync, sync_figures


@pytest.fixture(scope="module")
def critic() -> Critic:
    clips = [example(i) for i in range(16)]
    targets = shifted_targets(clips, {clip.key: 0.0 for clip in clips})
    return train_critic(clips, targets, steps=60)


@pytest.fixture(scope="module")
def stranger() -> Example:
    return example(99)


@pytest.mark.slow
def test_a_mouth_in_step_is_told_from_another(critic: Critic, stranger: Example) -> None:
    other = example(98)
    own = sync_figures(critic, stranger, stranger.opening, stranger.width, stranger.ok)
    foreign = sync_figures(critic, stranger, other.opening, other.width, stranger.ok)
    assert own is not None
    assert foreign is not None
    assert abs(own.offset) < 1
    assert own.confidence > foreign.confidence


@pytest.mark.slow
@pytest.mark.parametrize("late", [-4, 3])
def test_an_offset_is_found(late: int, critic: Critic, stranger: Example) -> None:
    mouth = [np.roll(curve, late) for curve in (stranger.opening, stranger.width)]
    found = sync_figures(critic, stranger, *mouth, stranger.ok)
    assert found is not None
    assert found.offset == pytest.approx(late, abs=1)


@pytest.mark.slow
def test_what_is_hardly_seen_says_nothing(critic: Critic, stranger: Example) -> None:
    unseen = np.zeros(len(stranger), dtype=bool)
    assert sync_figures(critic, stranger, stranger.opening, stranger.width, unseen) is None
    assert mean_sync([None]) == {}
