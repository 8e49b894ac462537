"""What the command line and the API write in three dimensions, beside clips."""

from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file

from talking_face import Motion
from talking_face.clips.video import read_frames


@pytest.fixture
def motion(tmp_path: Path) -> Path:
    """Five frames in which the mouth opens."""
    still = Motion.still(5)
    lower = np.zeros_like(still.lower)
    lower[:, 0] = np.linspace(0, 2, 5)
    path = tmp_path / "open.npz"
    still.replace(lower=lower, rest=np.ones_like(still.rest)).save(path)
    return path


@pytest.mark.slow
def test_the_command_writes_beside_the_clip(run, portrait, motion, tmp_path):
    wanted = ["--export", "arkit", "--export", "stereo-half", "--view", 25, 5, "--size", 128]
    code, printed, said = run(portrait, "--motion", motion, "-o", tmp_path / "out", *wanted)
    assert code == 0, said
    stem = f"{portrait.stem}_open"
    names = {Path(line).name for line in printed}
    suffixes = (".mp4", "_arkit.csv", "_arkit.json", "_stereo-half.mp4", "_view.mp4")
    assert names == {f"{stem}{suffix}" for suffix in suffixes}
    clip, view = (
        np.stack(list(read_frames(tmp_path / "out" / f"{stem}{suffix}"))).astype(int)
        for suffix in (".mp4", "_view.mp4")
    )
    assert clip.shape == view.shape == (5, 128, 128, 3)
    assert np.abs(clip - view).mean() > 8, "it is seen from elsewhere"
    assert np.abs(view[4] - view[0])[64:100, 40:88].max() > 40, "and speaks"


def test_what_can_not_be_seen_is_refused_at_once(run, portrait, motion, tmp_path):
    for wanted, told in (
        (["--view", 60, 0], "yaw"),
        (["--export", "stereo", "--depth", 2], "depth"),
    ):
        code, printed, said = run(portrait, "--motion", motion, "-o", tmp_path / "out", *wanted)
        assert code == 2
        assert not printed
        assert told in said


@pytest.mark.slow
def test_the_api_exports_and_looks_from_elsewhere(page, portrait, short_speech, motion):
    client = Client(page, verbose=False)
    given = [handle_file(str(path)) for path in (portrait, short_speech, motion)]
    kinds = ["glb", "arkit"]
    files = client.predict(*given, kinds, consent=True, api_name="/export")
    assert [Path(file).suffix for file in files] == [".glb", ".csv", ".json"]
    clip = client.predict(*given, 20, 5, consent=True, api_name="/view")
    assert sum(1 for _ in read_frames(clip)) == 5
    with pytest.raises(Exception, match="exports are glb"):
        client.predict(*given, ["fbx"], consent=True, api_name="/export")
    with pytest.raises(Exception, match="yaw"):
        client.predict(*given, 60, consent=True, api_name="/view")
