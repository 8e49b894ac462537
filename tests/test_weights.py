from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from talking_face.errors import WeightsCorrupt, WeightsMissing
from talking_face.training.fit.encoder_weights import shard
from talking_face.weights import WEIGHTS, WEIGHTS_VARIABLE, load_weights, weights_folder


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_registered_file_is_there_and_small_enough_for_a_space(name: str) -> None:
    for file in WEIGHTS[name].files:
        assert (weights_folder() / file).stat().st_size < 10_000_000
    assert all(np.isfinite(array).all() for array in load_weights(name).values())


def test_whispers_licence_lies_beside_its_weights() -> None:
    notice = (weights_folder() / "LICENSE-whisper").read_text()
    assert "Copyright (c) 2022 OpenAI" in notice
    assert "THE SOFTWARE IS PROVIDED" in notice


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"speech_positions\.safetensors is missing"):
        load_weights("speech_positions")


def test_another_content_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    save_file({"typical": np.zeros(3)}, tmp_path / "speech_positions.safetensors")
    with pytest.raises(WeightsCorrupt, match="checksum"):
        load_weights("speech_positions")


def test_shards_hold_every_tensor_once_and_obey_the_limit() -> None:
    tensors = {f"t{i}": np.zeros(size, np.uint8) for i, size in enumerate((40, 50, 20, 90, 1))}
    shards = shard(tensors, limit=100)
    assert [sum(t.nbytes for t in part.values()) for part in shards] == [90, 20, 91]
    assert [name for part in shards for name in part] == list(tensors)
    with pytest.raises(ValueError):
        shard({"large": np.zeros(101, np.uint8)}, limit=100)
