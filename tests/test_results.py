"""A second run into the same folder: what it may replace, and what it never does."""

import io
import os
import shutil
import subprocess
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talking_face.animator import load_animator
from talking_face.cli import main
from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.video import write_clip, write_comparison
from talking_face.errors import OutputUnwritable
from talking_face.files import keep_apart
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.results import LIST, Results

NAME = "sample-1_seed-0.mp4"


def write(folder: Path, name: str = NAME, content: bytes = b"ours") -> Path:
    """A result of a run into the folder."""
    results = Results(folder, [name], [])
    (folder / name).write_bytes(content)
    results.add(folder / name)
    return folder / name


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_a_run_wrote_the_next_may_replace(tmp_path):
    write(tmp_path)
    write(tmp_path, "other.npz")
    write(tmp_path, content=b"newer")
    Results(tmp_path, [NAME, "other.npz", "new.png"], [])


def test_the_list_is_what_sha256sum_checks(tmp_path):
    if not shutil.which("sha256sum"):
        pytest.skip("sha256sum isn't installed")
    write(tmp_path)
    write(tmp_path, "my photo_ä.mp4")
    subprocess.run(["sha256sum", "-c", "--strict", LIST], cwd=tmp_path, check=True)


def foreign(path: Path) -> None:
    path.write_bytes(b"mine")


def changed(path: Path) -> None:
    write(path.parent)
    path.write_bytes(b"mine")


def unlisted(path: Path) -> None:
    write(path.parent)
    (path.parent / LIST).unlink()


def linked(path: Path) -> None:
    write(path.parent)
    path.rename(path.parent / "moved.mp4")
    path.symlink_to("moved.mp4")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [foreign, changed, unlisted, linked, dangling, a_folder])
def test_any_other_file_is_left_alone(make, tmp_path):
    make(tmp_path / NAME)
    with pytest.raises(OutputUnwritable, match=f"{NAME} is there already.*-o"):
        Results(tmp_path, ["new.npz", NAME], [])


@pytest.mark.parametrize("content", [b"my notes\n", b"\0\xff\n"])
def test_a_list_of_somebody_else_is_left_alone(content, tmp_path):
    (tmp_path / LIST).write_bytes(content)
    with pytest.raises(OutputUnwritable, match="isn't the list"):
        Results(tmp_path, [NAME], [])
    assert (tmp_path / LIST).read_bytes() == content


@pytest.mark.parametrize("how", ["itself", "symlink", "hard link", "folder"])
def test_an_input_is_left_alone_though_a_run_wrote_it(how, tmp_path):
    folder = tmp_path / "outputs"
    folder.mkdir()
    path = given = write(folder)
    if how == "symlink":
        given = tmp_path / "link.mp4"
        given.symlink_to(path)
    elif how == "hard link":
        given = tmp_path / "link.mp4"
        os.link(path, given)
    elif how == "folder":
        (tmp_path / "same").symlink_to(folder)
        given = tmp_path / "same" / NAME
    with pytest.raises(OutputUnwritable, match="is an input"):
        Results(folder, [NAME], [given])
    Results(folder, ["other.mp4"], [given, Path("nowhere"), Path("a\0b")])


def test_python_may_replace_a_file_but_not_what_it_reads(
    portrait, short_speech, moving_frames, tmp_path
):
    clip = write_clip(moving_frames, tmp_path / "clip.mp4")
    picture = Path(shutil.copy(portrait, tmp_path / NAME))
    before = contents(tmp_path)
    animator = load_animator()
    model, still, behind = animator.models.face, Motion.still(3), Look(background=picture)
    face, heard = animator.fit(portrait), animator.listen(short_speech)
    for wrong in (
        lambda: write_comparison([clip, clip], ["a", "b"], clip),
        lambda: write_poster(clip, clip, still, model),
        lambda: write_gif(clip, clip, still, model),
        lambda: animator.render_motion(face, still, picture, look=behind),
        lambda: animator.animate(face, heard, output=tmp_path, look=behind),
    ):
        with pytest.raises(OutputUnwritable, match="is an input"):
            wrong()
    assert contents(tmp_path) == before
    write_clip([np.zeros((64, 64, 3), np.uint8)], clip)
    assert clip.read_bytes() != before["clip.mp4"]
    keep_apart(clip, picture)


# --- the commands ----------------------------------------------------------------------------


@pytest.mark.slow
def test_every_result_can_be_replaced_by_the_same_run(run, portrait, tmp_path):
    """Of each command; and all that they wrote stands on the list."""
    text = ["--text", "Hello.", "-o", tmp_path, "--plot"]
    pictures = ["--poster", "--gif", "--size", 64]
    motion = tmp_path.parent / "still.npz"
    Motion.still(5).save(motion)
    for _ in range(2):
        for command in (
            [portrait, *text, *pictures, "--samples", 2],
            ["--motion-only", "--motion-format", "csv", *text, "--samples", 1],
            [portrait, "--motion", motion, *text, *pictures],
        ):
            code, _, complaint = run(*command)
            assert (code, complaint) == (0, "")
    listed = {line[66:] for line in (tmp_path / LIST).read_text().splitlines()}
    assert listed == set(contents(tmp_path)) - {LIST}
    assert len(listed) == 16


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("speech.wav", ["--text", "Hello."]),
        ("sample-2_seed-0.mp4", ["{speech}"]),
        ("sample-2_seed-0.npz", ["{speech}"]),
        ("sample-1_seed-0.gif", ["{speech}", "--gif"]),
        ("sample-1_seed-0.png", ["{speech}", "--poster"]),
        ("comparison_seed-0.mp4", ["{speech}"]),
        ("plot_seed-0.png", ["{speech}", "--plot"]),
        ("sample-1_seed-0.csv", ["{speech}", "--motion-only", "--motion-format", "csv"]),
        ("{stem}_still.mp4", ["--motion", "still.npz"]),
        ("{stem}_still.gif", ["--motion", "still.npz", "--gif"]),
        ("{stem}_still_plot.png", ["{speech}", "--motion", "still.npz", "--plot"]),
        ("sample-1_seed-0.npz", ["outputs/sample-1_seed-0.npz", "--motion-only"]),
        ("speech.wav", ["--text-file", "outputs/speech.wav"]),
        ("sample-1_seed-0.mp4", ["outputs/sample-1_seed-0.mp4"]),
        ("sample-1_seed-0.png", ["{speech}", "--poster", "--background", "outputs/{name}"]),
    ],
)
def test_a_command_leaves_the_files_of_people_alone(
    run, portrait, short_speech, tmp_path, monkeypatch, name, options
):
    """Refused before any work: nothing is written at all."""
    monkeypatch.chdir(tmp_path)
    name = name.format(stem=portrait.stem)
    Motion.still(3).save("still.npz")
    Path("outputs").mkdir()
    Path("outputs", name).write_bytes(b"mine")
    filled = [option.format(speech=short_speech, name=name) for option in options]
    code, lines, complaint = run(portrait, *filled)
    assert (code, lines) == (2, [])
    assert complaint.count("\n") == 1
    assert name in complaint
    assert contents(Path("outputs")) == {name: b"mine"}


def test_a_clip_of_the_folder_is_a_recording_for_it(run, portrait, short_speech, tmp_path):
    def animate(sound: Path, seed: int) -> int:
        return run(portrait, sound, "-o", tmp_path, "--samples", 1, "--size", 64, "--seed", seed)[0]

    assert animate(short_speech, 0) == 0
    before = contents(tmp_path)
    assert animate(tmp_path / NAME, 0) == 2
    assert contents(tmp_path) == before
    assert animate(tmp_path / NAME, 1) == 0
    assert (tmp_path / NAME).read_bytes() == before[NAME]


def add_many(folder: Path, name: str, count: int) -> None:
    results = Results(folder, [], [])
    for index in range(count):
        path = folder / f"{name}-{index}.txt"
        path.write_text(name)
        results.add(path)


@pytest.mark.slow
def test_two_runs_at_once_keep_account_of_all_they_write(tmp_path):
    count = 40
    new = get_context("spawn").Process
    runs = [new(target=add_many, args=(tmp_path, name, count)) for name in ("one", "other")]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len((tmp_path / LIST).read_text().splitlines()) == 2 * count
    Results(tmp_path, [f"one-{index}.txt" for index in range(count)], [])


@pytest.mark.parametrize("option", ["--mark-logo", "--background"])
def test_an_image_that_a_run_reads_is_not_replaced(option, tmp_path, capsys):
    """A picture of an earlier run, set into the clips of the next one."""
    made = io.BytesIO()
    Image.new("RGB", (64, 64)).save(made, "PNG")
    poster = write(tmp_path, "sample-1_seed-0.png", made.getvalue())
    words = ["photo.jpg", "speech.wav", "-o", tmp_path, "--poster", option, poster]
    assert main([str(word) for word in words]) == 2
    assert f"{poster} is an input" in capsys.readouterr().err
