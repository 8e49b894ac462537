"""Windows of clips: what is padded or near a cut doesn't count, and sources keep their share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_evaluate import example

from talking_face.mapping.listeners import REACH
from talking_face.training.data.windows import Windows

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def windows() -> Windows:
    clips = [example(i, source=("grid", "lrwar")[i % 2], speaker=f"s{i}") for i in range(8)]
    targets = {
        clip.key: np.column_stack([np.full(len(clip), i), np.arange(len(clip))]).astype(np.float32)
        for i, clip in enumerate(clips)
    }
    return Windows(clips, targets, (("grid", 3, 40), ("lrwar", 5, 25), ("talkvid", 9, 75)), CPU)


def test_a_batch_has_so_many_windows_of_each_source(windows: Windows) -> None:
    features, prosody, inside, target, ok = windows.draw(np.random.default_rng(0))
    assert features.shape == (8, 40, 6 * 512)
    assert prosody.shape == (8, 40, 4)
    assert inside.shape == ok.shape == (8, 40)
    clip = target[..., 0]
    assert (clip[:3] % 2 == 0).all()  # GRID
    assert inside[:3].all()
    assert (clip[3:, :25] % 2 == 1).all()  # LRW-AR, padded
    assert not inside[3:, 25:].any()
    assert not ok[3:, 25:].any()
    assert not features[3:, 25:].any()


def test_frames_of_a_window_follow_each_other_and_cuts_do_not_count(windows: Windows) -> None:
    generator = np.random.default_rng(1)
    for _ in range(5):
        _, _, inside, target, ok = windows.draw(generator)
        for row in range(len(inside)):
            count = int(inside[row].sum())
            frames = target[row, :count, 1]
            assert (frames.diff() == 1).all()
            if frames[0] > 0:
                assert not ok[row, : REACH // 2].any()
            assert ok[row, REACH // 2 : count - REACH // 2].all()


def test_the_same_chance_gives_the_same_batch(windows: Windows) -> None:
    once, again = (windows.draw(np.random.default_rng(2)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))
