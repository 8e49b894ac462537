"""What goes in and comes out of every function on the path is what its annotations say."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = "face sound mapping editing picture clips".split()
# A `Motion` takes arrays of any type of numbers and makes float32 of them; the rest is exact.
HALL = "animator options motion_files frozen curves cache files memory".split()
SCRIPT = """
import sys, warnings
from pathlib import Path
import numpy as np
from beartype import BeartypeConf, BeartypeHintOverrides
from beartype.claw import beartype_packages
from beartype.roar import BeartypeWarning

checked, photo, sound, folder = sys.argv[1].split(), *map(Path, sys.argv[2:])
warnings.simplefilter("ignore", BeartypeWarning)
# Whole numbers are numbers, as for mypy, and so are those of numpy.
beartype_packages(checked, conf=BeartypeConf(hint_overrides=BeartypeHintOverrides({
    float: float | int | np.floating, int: int | np.integer,
})))

from talking_face import Edit, Look, Mark, Motion, load_animator

animator = load_animator("cpu")
face = animator.fit(photo)
assert animator.faces(str(photo))
assert animator.upright(photo.read_bytes()).ndim == 3
speech = animator.listen(sound)
told = []
for framing, background, edits in (
    ("crop", None, ()),
    ("photo", "#3b6ea5", (Edit(feeling="sad"), Edit(blinks=0, gaze=(5, -3), start=0.2, stop=0.6))),
):
    look = Look(framing=framing, size=96, background=background)
    clips = list(animator.animate(
        face, speech, samples=2, seed=3, diversity=0.7, style="calm", pose_strength=0.5,
        edits=edits, look=look, output=folder, mark=Mark(), progress=lambda *now: told.append(now),
    ))
    assert [clip.error for clip in clips] == [None, None]
assert told
animator.compare(clips, folder / "comparison.mp4")
motion = Motion.load(clips[0].motion_path)
motion.save(folder / "motion.csv")
assert len(Motion.load(folder / "motion.csv")) == len(motion)
assert animator.preview(face, motion, Edit(feeling=(-0.6, -0.3)), 0.4, speech=speech).ndim == 3

from beartype.roar import BeartypeCallHintViolation
from talking_face.face.landmarks import interocular
try:
    interocular("no landmarks")
except BeartypeCallHintViolation:
    print("checked")
"""


@pytest.mark.slow
@pytest.mark.skipif(
    sys.version_info < (3, 11),
    reason="there, beartype takes what @contextmanager makes for what the function yields",
)
def test_the_whole_path_keeps_to_its_types(
    portrait: Path, short_speech: Path, tmp_path: Path
) -> None:
    checked = " ".join(f"talking_face.{name}" for name in (*ROOMS, *HALL))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, checked, portrait, short_speech, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "checked" in done.stdout
