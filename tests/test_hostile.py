"""Hostile input: a slice of tests/fuzz.py, and what it has found so far."""

import fuzz
import pytest


def test_a_slice_of_the_fuzzing_finds_nothing() -> None:
    done, finds = fuzz.fuzz(count=10 * fuzz.BATCH, seconds=15, first=0)
    assert finds == []
    assert done > 0


@pytest.mark.slow
def test_a_larger_slice_of_the_fuzzing_finds_nothing() -> None:
    done, finds = fuzz.fuzz(count=20_000, seconds=60, first=8_000_000)
    assert finds == []
    assert done > 100


def test_the_fuzzing_sees_what_goes_wrong(tmp_path: object) -> None:
    def fails(*_: object) -> None:
        raise KeyError("not ours")

    assert "KeyError" in (fuzz.feed("target", fails, 1, tmp_path) or "")  # type: ignore[arg-type]
    assert fuzz.feed("target", lambda *_: None, 1, tmp_path) is None  # type: ignore[arg-type]
