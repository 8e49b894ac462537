"""The motion space: shapes, files, edits."""

import resource
import signal
from pathlib import Path

import numpy as np
import pytest

from talking_face.errors import OptionInvalid, OutputUnwritable
from talking_face.motion import CHANNELS, FPS, N_CHANNELS, Motion


@pytest.fixture
def motion() -> Motion:
    values = np.random.default_rng(0).normal(size=(40, N_CHANNELS)).astype(np.float32)
    return Motion.from_array(values)


def test_array_and_channels_are_the_same_numbers(motion: Motion) -> None:
    assert motion.as_array().shape == (40, N_CHANNELS)
    assert np.array_equal(Motion.from_array(motion.as_array()).as_array(), motion.as_array())
    assert motion.duration == 40 / FPS
    assert motion.rotation.shape == (40, CHANNELS["rotation"])


@pytest.mark.parametrize("name", ["motion.npz", "motion.csv", "MOTION.NPZ", "MOTION.CSV"])
def test_saved_motion_loads_exactly(motion: Motion, tmp_path: Path, name: str) -> None:
    motion.save(tmp_path / name)
    assert np.array_equal(Motion.load(tmp_path / name).as_array(), motion.as_array())
    packed = (tmp_path / name).read_bytes().startswith(b"PK")
    assert packed == name.lower().endswith("npz")


def test_pose_strength_scales_the_head_alone(motion: Motion) -> None:
    half = motion.with_pose_strength(0.5)
    assert np.allclose(half.rotation, motion.rotation / 2)
    assert np.allclose(half.translation, motion.translation / 2)
    for name in ("lower", "upper", "lids", "gaze", "rest"):
        assert np.array_equal(getattr(half, name), getattr(motion, name))


def test_slice_is_a_part(motion: Motion) -> None:
    assert np.array_equal(motion[10:20].as_array(), motion.as_array()[10:20])


def test_wrong_shapes_and_numbers_are_refused(motion: Motion) -> None:
    with pytest.raises(OptionInvalid, match="lids"):
        motion.replace(lids=np.zeros((40, 3)))
    with pytest.raises(OptionInvalid, match="nan"):
        motion.replace(gaze=np.full((40, 2), np.nan))


def test_unwritable_folder_says_so_and_full_disk_keeps_the_old_file(
    motion: Motion, tmp_path: Path
) -> None:
    with pytest.raises(OutputUnwritable):
        motion.save(tmp_path / "missing" / "motion.npz")
    for name in ("motion.txt", "motion"):
        with pytest.raises(OutputUnwritable, match=r"ends in \.npz or \.csv"):
            motion.save(tmp_path / name)
    motion.save(tmp_path / "motion.npz")
    before = (tmp_path / "motion.npz").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, limit[1]))
    try:
        with pytest.raises(OutputUnwritable):
            motion.save(tmp_path / "motion.npz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (tmp_path / "motion.npz").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["motion.npz"]
