"""Nobody waits for networks who only wants to know what there is."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"cv2", "gradio", "librosa", "mediapipe", "numba", "scipy", "torch"}
SECONDS = 1.0  # of the processor; about a third of it is usual


@pytest.mark.parametrize(
    "statement",
    [
        "import talking_face",
        "from talking_face import MOODS, Edit, Look, TalkingFaceError",
        "from talking_face import cli; cli.parse(['photo.jpg', 'speech.wav'])",
        "from talking_face.arguments import build_parser; build_parser().format_help()",
    ],
)
def test_little_is_imported_before_it_is_needed(statement: str) -> None:
    script = f"""
import sys, time
{statement}
print(time.process_time(), *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    seconds, *modules = done.stdout.split()
    assert not HEAVY & set(modules)
    assert float(seconds) < SECONDS


def test_public_names_are_there_and_no_others() -> None:
    import talking_face

    assert set(talking_face.__all__) <= set(dir(talking_face))
    for name in talking_face.__all__:
        assert getattr(talking_face, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Animater'"):
        _ = talking_face.Animater
