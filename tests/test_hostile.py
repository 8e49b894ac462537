"""Hostile input: a slice of tests/fuzz.py, and what it has found so far."""

from pathlib import Path

import fuzz
import pytest


def test_a_slice_of_the_fuzzing_finds_nothing() -> None:
    done, finds = fuzz.fuzz(count=400, seconds=15, first=7_000_000)
    assert finds == []
    assert done > 0


@pytest.mark.slow
def test_a_larger_slice_of_the_fuzzing_finds_nothing() -> None:
    done, finds = fuzz.fuzz(count=20_000, seconds=60, first=8_000_000)
    assert finds == []
    assert done > 100


FINDS = [("photo", 11465)]  # HEIF's library says what is wrong in several lines


@pytest.mark.parametrize(("name", "number"), FINDS)
def test_what_was_found_is_mended(name: str, number: int, tmp_path: Path) -> None:
    assert fuzz.feed(name, fuzz.targets()[name], number, tmp_path) is None


def test_damage_is_told_in_one_line(tmp_path: Path) -> None:
    from PIL import Image

    from talking_face.errors import PhotoUnreadable
    from talking_face.face.photo import load_photo

    path = tmp_path / "photo.heif"
    Image.new("RGB", (96, 72), (200, 120, 40)).save(path, "HEIF")
    whole = path.read_bytes()
    for length in range(200, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(PhotoUnreadable) as caught:
            load_photo(path)
        assert "\n" not in str(caught.value)


def test_the_fuzzing_sees_what_goes_wrong(tmp_path: object) -> None:
    def fails(*_: object) -> None:
        raise KeyError("not ours")

    assert "KeyError" in (fuzz.feed("target", fails, 1, tmp_path) or "")  # type: ignore[arg-type]
    assert fuzz.feed("target", lambda *_: None, 1, tmp_path) is None  # type: ignore[arg-type]
