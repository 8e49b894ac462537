"""The command line: what it writes, what it prints where, and how it ends."""

import os
import signal
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talking_face import animator, cli
from talking_face.arguments import parse
from talking_face.clips.video import read_frames, write_clip
from talking_face.errors import EncodingFailed
from talking_face.motion import Motion
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio

QUICK = ["--size", "128"]


@pytest.fixture(scope="session")
def short_speech(speech, tmp_path_factory) -> Path:
    """The first 0.8 s of a sentence: 20 frames."""
    start = Recording(load_audio(speech).waveform[: SAMPLE_RATE * 4 // 5])
    path = tmp_path_factory.mktemp("speech") / "short.mp4"
    return write_clip([np.zeros((64, 64, 3), np.uint8)] * 20, path, start)


def opacity_of_corner(path: Path, reference: Path) -> float:
    """How much the lower right corner of two clips differs."""
    one, other = next(read_frames(path)).astype(int), next(read_frames(reference))
    return float(np.abs(one - other)[-20:, -60:].mean())


# --- what it makes ---------------------------------------------------------------------------


def test_clips_motions_and_a_comparison(run, portrait, short_speech, tmp_path):
    out = tmp_path / "new" / "folder"
    code, lines, complaints = run(
        portrait, short_speech, "-o", out, "--samples", 2, "--seed", 5, *QUICK
    )
    assert code == 0
    assert complaints == ""
    assert [Path(line) for line in lines] == [
        out / "sample-1_seed-5.mp4",
        out / "sample-2_seed-5.mp4",
        out / "comparison_seed-5.mp4",
    ]
    for line in lines[:2]:
        frames = list(read_frames(line))
        assert len(frames) == 20
        assert frames[0].shape == (128, 128, 3)
        assert len(Motion.load(Path(line).with_suffix(".npz"))) == 20
        assert load_audio(line).duration == pytest.approx(0.8, abs=0.03)
    assert next(read_frames(lines[2])).shape[1] == 256


def test_one_sample_needs_no_comparison(run, portrait, short_speech, tmp_path):
    code, lines, _ = run(portrait, short_speech, "-o", tmp_path, "--samples", 1, *QUICK)
    assert code == 0
    assert lines == [str(tmp_path / "sample-1_seed-0.mp4")]


def test_whole_photo(run, tmp_path, portrait, short_speech):
    options = ["--framing", "photo", "--samples", 1, "--size", 200]
    code, lines, _ = run(portrait, short_speech, "-o", tmp_path, *options)
    assert code == 0
    assert max(next(read_frames(lines[0])).shape) == 200


def test_a_photo_on_its_side_is_turned_and_said(run, tmp_path, portrait, short_speech):
    photo = Image.open(portrait).resize((300, 240))
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png")
    options = ["--framing", "photo", "--samples", 1]
    code, lines, told = run(tmp_path / "lying.png", short_speech, "-o", tmp_path, *options)
    assert code == 0
    assert "talking_face: The photo was turned upright: the face in it lay on its side." in told
    assert next(read_frames(lines[0])).shape == (240, 300, 3)


def test_the_mark_can_be_moved_and_worded(run, tmp_path, portrait, short_speech):
    clips = {}
    for name, options in {
        "corner": ["--mark-corner", "top-left"],
        "usual": [],
        "strong": ["--mark-opacity", "1", "--mark-text", "synthetic"],
    }.items():
        folder = tmp_path / name
        code, lines, _ = run(portrait, short_speech, "-o", folder, "--samples", 1, *QUICK, *options)
        assert code == 0
        clips[name] = Path(lines[0])
    faint = opacity_of_corner(clips["usual"], clips["corner"])
    assert faint > 3
    assert opacity_of_corner(clips["strong"], clips["corner"]) > faint


def test_motion_only_then_motion(run, portrait, short_speech, tmp_path):
    """An animation written to a file and rendered from it is the clip that comes directly."""
    code, lines, _ = run(short_speech, "--motion-only", "-o", tmp_path, "--samples", 2)
    assert code == 0
    assert [Path(line).name for line in lines] == ["sample-1_seed-0.npz", "sample-2_seed-0.npz"]
    direct = tmp_path / "direct"
    assert run(portrait, short_speech, "-o", direct, "--samples", 1, *QUICK)[0] == 0
    code, rendered, _ = run(portrait, short_speech, "--motion", lines[0], "-o", tmp_path, *QUICK)
    assert code == 0
    assert [Path(line).name for line in rendered] == [f"{portrait.stem}_sample-1_seed-0.mp4"]
    pairs = zip(read_frames(rendered[0]), read_frames(direct / "sample-1_seed-0.mp4"), strict=True)
    # The invisible mark tells one clip from the other.
    assert all(np.abs(one.astype(int) - other).mean() < 4 for one, other in pairs)


def test_motion_as_a_table_with_its_head_held_still(run, portrait, short_speech, tmp_path):
    options = ["--motion-only", "--motion-format", "csv", "--samples", 1, "--pose-strength", 0]
    code, lines, _ = run(portrait, short_speech, *options, "-o", tmp_path)
    assert code == 0
    motion = Motion.load(lines[0])
    assert len(motion) == 20
    assert not motion.rotation.any()
    assert motion.lower.any()


def test_what_was_chosen_of_a_recording_is_said(run, short_speech, tmp_path):
    """Left and right of it cancel each other."""
    words = load_audio(short_speech).waveform
    sound = np.round(np.stack([words, -words], axis=1) * 32767).astype("<i2")
    with wave.open(str(tmp_path / "both.wav"), "wb") as file:
        file.setparams((2, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    code, lines, said = run("--motion-only", tmp_path / "both.wav", "--output", tmp_path)
    assert code == 0
    assert "talking_face: Left and right, mixed, would lose the speech" in said
    assert not any("Left" in line for line in lines)


def test_motion_without_sound(run, portrait, tmp_path):
    Motion.still(5).save(tmp_path / "still.npz")
    code, lines, _ = run(portrait, "--motion", tmp_path / "still.npz", "-o", tmp_path, *QUICK)
    assert code == 0
    assert len(list(read_frames(lines[0]))) == 5


def test_a_text_instead_of_a_recording(run, portrait, tmp_path):
    """Spoken, kept, and heard in the clip; faster on request."""
    durations = []
    for speed, source in ((1, ["--text", "Good morning."]), (2, ["--text-file", "text.txt"])):
        folder = tmp_path / str(speed)
        (tmp_path / "text.txt").write_text("Good morning.\n")
        source = [source[0], tmp_path / source[1] if source[0] == "--text-file" else source[1]]
        code, lines, complaints = run(
            portrait, *source, "--voice-speed", speed, "-o", folder, "--samples", 1, *QUICK
        )
        assert (code, complaints) == (0, "")
        assert [Path(line).name for line in lines] == ["speech.wav", "sample-1_seed-0.mp4"]
        speech, clip = map(load_audio, lines)
        assert clip.duration == pytest.approx(speech.duration, abs=0.05)
        assert np.abs(clip.waveform).max() > 0.3
        durations.append(speech.duration)
    assert durations[1] < 0.7 * durations[0]


@pytest.mark.slow
def test_pictures_beside_the_clips(run, portrait, short_speech, tmp_path):
    options = ["--poster", "--gif", "--plot", "--samples", 2, *QUICK]
    code, lines, _ = run(portrait, short_speech, "-o", tmp_path, *options)
    assert code == 0
    assert [Path(line).name for line in lines] == [
        "sample-1_seed-0.mp4",
        "sample-1_seed-0.png",
        "sample-1_seed-0.gif",
        "sample-2_seed-0.mp4",
        "sample-2_seed-0.png",
        "sample-2_seed-0.gif",
        "comparison_seed-0.mp4",
        "plot_seed-0.png",
    ]
    for name, size in (("sample-1_seed-0.png", 128), ("sample-2_seed-0.gif", 128)):
        with Image.open(tmp_path / name) as picture:
            assert picture.size == (size, size)
    with Image.open(tmp_path / "plot_seed-0.png") as plot:
        assert plot.width == 960


@pytest.mark.slow
def test_motions_of_a_text_and_their_plot(run, portrait, tmp_path):
    text = ["--text", "Hello.", "-o", tmp_path]
    code, lines, _ = run("--motion-only", "--plot", "--samples", 2, *text)
    assert code == 0
    names = ["speech.wav", "sample-1_seed-0.npz", "sample-2_seed-0.npz", "plot_seed-0.png"]
    assert [Path(line).name for line in lines] == names
    code, lines, _ = run(portrait, "--motion", lines[1], "--plot", "--poster", *text, *QUICK)
    assert code == 0
    stem = f"{portrait.stem}_sample-1_seed-0"
    names = ["speech.wav", f"{stem}.mp4", f"{stem}.png", f"{stem}_plot.png"]
    assert [Path(line).name for line in lines] == names


def test_voices_are_listed(run):
    code, lines, _ = run("--list-voices")
    assert code == 0
    assert lines[0].split()[0] == "hibari/heart"


# --- how it ends -----------------------------------------------------------------------------


def bad_files(folder: Path) -> None:
    (folder / "text.wav").write_text("no sound")
    (folder / "text.jpg").write_text("no picture")
    (folder / "file").touch()
    (folder / "text.npz").write_text("no motion")
    Motion.still(3).save(folder / "spoilt.csv")
    lines = (folder / "spoilt.csv").read_text().splitlines()
    (folder / "spoilt.csv").write_text("\n".join([*lines[:2], lines[3].replace("0.08", "nan")]))
    Image.new("RGB", (300, 300), "grey").save(folder / "grey.png")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody.jpg", "{speech}"], "nobody.jpg"),
        (["text.jpg", "{speech}"], "not an image"),
        (["grey.png", "{speech}"], "face"),
        (["{portrait}", "nothing.wav"], "nothing.wav"),
        (["{portrait}", "text.wav"], "text.wav"),
        (["{portrait}", "{speech}", "--face-index", "3"], "face"),
        (["{portrait}", "{speech}", "--samples", "7"], "1 to 6"),
        (["{portrait}", "{speech}", "--samples", "0"], "1 to 6"),
        (["{portrait}", "{speech}", "--seed", "-1"], "seed"),
        (["{portrait}", "{speech}", "--pose-strength", "2.5"], "strength"),
        (["{portrait}", "{speech}", "--diversity", "nan"], "iversity"),
        (["{portrait}", "{speech}", "--size", "9"], "size"),
        (["{portrait}", "{speech}", "--mark-opacity", "2"], "opacity"),
        (["{portrait}", "{speech}", "--mark-text", " "], "mark"),
        (["{portrait}", "{speech}", "-o", "file/inside"], "file"),
        (["{portrait}", "--text", " "], "no text yet"),
        (["{portrait}", "--text", "Привет"], "English only"),
        (["{portrait}", "--text", "Hi", "--voice", "nobody"], "no voice"),
        (["{portrait}", "--text", "Hi", "--voice-speed", "3"], "0.5 and 2"),
        (["{portrait}", "--text-file", "nothing.txt"], "nothing.txt"),
        (["{portrait}", "--motion", "nothing.npz"], "nothing.npz"),
        (["{portrait}", "--motion", "text.npz"], "text.npz"),
        (
            ["{portrait}", "--motion", "spoilt.csv"],
            "spoilt.csv can't be used as a motion: line 3 has 'nan'",
        ),
        (["{portrait}", "--motion", "."], "is a folder"),
        (["{speech}", "--motion-only", "-o", "file"], "file"),
        (["{portrait}", "{speech}", "--insightface-pack", "."], "insightface"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_one_plain_sentence_and_code_2(
    run, portrait, short_speech, tmp_path, monkeypatch, arguments, says
):
    monkeypatch.chdir(tmp_path)
    bad_files(tmp_path)
    filled = [text.format(portrait=portrait, speech=short_speech) for text in arguments]
    code, lines, complaint = run(*filled)
    assert code == 2
    assert lines == []
    assert complaint.startswith("talking_face: ")
    assert complaint.count("\n") == 1
    assert says in complaint
    assert not list(tmp_path.rglob("*.mp4"))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["photo.jpg"],
        ["a", "b", "c"],
        ["a", "b", "--samples", "many"],
        ["a", "b", "--framing", "round"],
        ["a", "b", "--motion", "x", "--motion-only"],
        ["a", "b", "--mark-corner", "middle"],
        ["a", "b", "--text", "Hello."],
        ["a", "--text", "Hello.", "--text-file", "c"],
        ["--text", "Hello."],
        ["--motion-only"],
        ["a", "--motion-only", "--gif"],
        ["a", "--motion", "x", "--plot"],
    ],
)
def test_misused_options_end_with_code_2_and_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as ending:
        cli.main(arguments)
    assert ending.value.code == 2
    assert "usage: python -m talking_face" in capsys.readouterr().err


def test_help_names_every_option(capsys):
    with pytest.raises(SystemExit) as ending:
        cli.main(["--help"])
    assert ending.value.code == 0
    text = capsys.readouterr().out
    for action in cli.build_parser()._actions:
        assert action.help
        for option in action.option_strings:
            assert option in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_when_a_sample_fails_the_others_are_kept(
    run, portrait, short_speech, tmp_path, monkeypatch
):
    real = animator.write_clip

    def fails_once(frames, path, *rest, **more):
        if "sample-2" in path.name:
            raise EncodingFailed("ffmpeg could not write it. Try again.")
        return real(frames, path, *rest, **more)

    monkeypatch.setattr(animator, "write_clip", fails_once)
    code, lines, complaints = run(portrait, short_speech, "-o", tmp_path, "--samples", 3, *QUICK)
    assert code == 1
    assert [Path(line).name for line in lines] == [
        "sample-1_seed-0.mp4",
        "sample-3_seed-0.mp4",
        "comparison_seed-0.mp4",
    ]
    assert "sample 2" in complaints
    assert "could not write it" in complaints


def test_when_every_sample_fails_the_code_is_2(run, portrait, short_speech, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise EncodingFailed("ffmpeg could not write it. Try again.")

    monkeypatch.setattr(animator, "write_clip", fails)
    code, lines, complaints = run(portrait, short_speech, "-o", tmp_path, "--samples", 2, *QUICK)
    assert code == 2
    assert lines == []
    assert "could not write it" in complaints


@pytest.mark.slow
@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "terminate"]
)
def test_interrupted_while_rendering(portrait, speech, tmp_path, sent, code):
    """As a separate process: half-written files go, no traceback is shown."""
    command = [sys.executable, "-m", "talking_face", portrait, speech, "-o", tmp_path]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=Path(cli.__file__).parents[1],
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".*")):  # the first clip is about to be written
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, sent)
    complaint = process.communicate(timeout=30)[1]
    assert process.returncode == code
    assert "Traceback" not in complaint
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--zoom", "1.5"], "--zoom does nothing without --view"),
        (["--orbit", "5"], "--orbit does nothing without --view"),
        (["--depth", "0.2"], "--depth does nothing without --export stereo"),
        (["--depth", "0.2", "--export", "glb"], "--depth does nothing without --export stereo"),
        (["--motion-format", "csv"], "--motion-format does nothing without --motion-only"),
        (["--motion", "a.npz", "--samples", "3"], "--motion renders one animation"),
        (["--motion", "a.npz", "--seed", "3"], "--seed does nothing with --motion"),
        (["--motion", "a.npz", "--style", "calm"], "--style does nothing with --motion"),
        (["--motion-only", "--size", "64"], "--size does nothing with --motion-only"),
        (["--motion-only", "--mark-text", "Hi."], "--mark-text does nothing with --motion-only"),
        (["--voice", "nobody"], "--voice does nothing without --text"),
        (["--voice-speed", "9"], "--voice-speed does nothing without --text"),
    ],
)
def test_options_that_would_do_nothing_are_refused(options, says, capsys):
    with pytest.raises(SystemExit) as ending:
        parse(["photo.jpg", "speech.wav", *options])
    assert ending.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--view", "10", "0", "--zoom", "1.5", "--orbit", "5"],
        ["--depth", "0.2", "--export", "anaglyph"],
        ["--motion-only", "--motion-format", "csv"],
        ["--motion", "a.npz", "--samples", "1"],
    ],
)
def test_options_that_belong_together(options):
    assert parse(["photo.jpg", "speech.wav", *options]).photo == Path("photo.jpg")
