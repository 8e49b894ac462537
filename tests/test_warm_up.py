"""The first visitor waits no longer than the second."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
from talking_face import Look, load_animator
from talking_face.warm_up import warm_up

animator = load_animator()
warm_up(animator)
before = set(sys.modules)
face = animator.fit("assets/portraits/man_robe.jpg")
speech = animator.listen("assets/recordings/grid.wav")
(motion,) = animator.sample(speech, 1)
next(animator.render(face, motion, look=Look(size=128)))
print(*{name.partition(".")[0] for name in set(sys.modules) - before}, sep="\\n")
"""


@pytest.mark.slow
def test_nothing_is_left_to_be_loaded_at_the_first_clip() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    heavy = {"insightface", "librosa", "mediapipe", "numba", "scipy", "torch"}
    assert not heavy & set(done.stdout.split())
