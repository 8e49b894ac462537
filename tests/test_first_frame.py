"""What the first frame of a process loads and compiles, and where that is kept."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import numpy as np
import pytest

from talking_face.picture import mesh

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import sys

import talking_face
before = {"insightface", "numba"} & set(sys.modules)
assert not before, before

import numpy as np
from talking_face.face.face import fit_face
from talking_face.face.model import Pose, load_face_model
from talking_face.motion import Motion
from talking_face.picture import brush, composite, mesh
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.renderer import Renderer

model = load_face_model()
photo = np.tile(np.arange(128, dtype=np.uint8)[:, None, None] + 64, (1, 128, 3))
marks = Pose(np.eye(3), np.array(30.0), np.array([64.0, 64.0, 0.0])).project(model.mean)
face = fit_face(photo, [marks], model)
teeth = np.ones((48, 128, 4), np.float32)
renderer = Renderer(face, model, teeth, load_mouth_light(), size=64)
still = Motion.still(1)
frame = renderer.frame(still.replace(rotation=np.array([[8.0, 5.0, 0.0]])))
assert (frame != renderer.frame(still)).any()
assert "insightface" not in sys.modules
made = mesh._draws(), mesh._finds_tears(), composite._composite(), brush._blends(), brush._softens()
print("kept:", sum(sum(code.stats.cache_hits.values()) for code in made))
"""


def first_frame(folder: Path, *, privileged: bool = True, **environment: str) -> str:
    """Render in a new process that finds the package in a folder; what it printed."""
    # Permissions mean nothing to root unless it gives up its privileges.
    give_up = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run(
        [*([] if privileged or os.geteuid() else give_up), sys.executable, "-c", SCRIPT],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "TALKING_FACE_WEIGHTS": str(ROOT / "weights"),
            "OMP_NUM_THREADS": "1",
            "PYTHONWARNINGS": "always",
            **environment,
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "numba" not in done.stderr.lower()
    return done.stdout.strip()


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A copy of the package that can't be written to, and without what was compiled before."""
    folder = tmp_path / "installed"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "talking_face", folder / "talking_face", ignore=ignored)
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in paths:
        path.chmod(0o755)


@pytest.mark.slow
def test_without_a_place_to_keep_code_it_renders_and_says_nothing(read_only: Path) -> None:
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("root can write everywhere, and there is no setpriv")
    before = set(read_only.rglob("*"))
    assert first_frame(read_only, privileged=False, HOME="/proc/nowhere") == "kept: 0"
    assert set(read_only.rglob("*")) == before


@pytest.mark.slow
def test_what_one_process_compiles_the_next_one_finds(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "NUMBA_CACHE_DIR": str(tmp_path / "code")}
    assert first_frame(ROOT, **environment) == "kept: 0"
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "code").rglob("*.nb?")}
    assert len(kept) == 10
    assert first_frame(ROOT, **environment) == "kept: 5"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_a_full_disk_keeps_nothing_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    draw = mesh._draws.__wrapped__()
    square = np.float32([[0, 0], [9, 0], [0, 9]])
    shown = [np.zeros((4, 4), dtype=np.float32) for _ in range(2)]
    nearest = np.full((4, 4), np.inf, dtype=np.float32)
    still, corners, spans = np.zeros(3, np.float32), np.int32([[0, 1, 2]]), np.int32([[4, 0]] * 4)
    draw(square, still, square + 2, corners, *shown, nearest, spans)
    np.testing.assert_allclose(shown[0][0], [2, 3, 4, 5], atol=1e-5)
    assert not list(tmp_path.rglob("*.nbc"))
