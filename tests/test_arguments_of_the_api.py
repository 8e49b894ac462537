"""Whatever a program hands over: taken where it is plain what is meant, else told in a sentence."""

import io
import wave
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import kind

from talking_face import cli
from talking_face.animator import Animator, load_animator
from talking_face.clips.mark import Mark
from talking_face.editing.edit import Edit
from talking_face.errors import (
    AudioUnreadable,
    FaceIndexError,
    OptionInvalid,
    PhotoUnreadable,
    TalkingFaceError,
    TextUnspeakable,
)
from talking_face.exports import export, render_view
from talking_face.face.photo import load_photo
from talking_face.head.view import Camera
from talking_face.motion import Motion
from talking_face.options import MAX_SEED, Look, check_sampling, sample_indices
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.voice import speak
from talking_face.web.given import read_edits
from talking_face.web.settings import Settings

HUGE = 10**5000  # Python itself refuses to print it
SINE = (0.5 * np.sin(np.arange(SAMPLE_RATE) / 8)).astype(np.float32)
# What is a number of no kind.
NO_NUMBERS = [None, "4", "banana", True, [1], {"a": 1}, np.array([1.0, 2.0]), 1j, Decimal(1)]


@pytest.fixture(scope="module")
def speech(animator: Animator) -> Any:
    return animator.listen((SAMPLE_RATE, SINE))


def refused(kind: type[TalkingFaceError], work: Any) -> str:
    with pytest.raises(kind) as caught:
        work()
    told = str(caught.value)
    assert len(told) < 260
    assert "\n" not in told
    return told


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong", [*NO_NUMBERS, 1.5, np.nan, np.inf, -1, HUGE, -HUGE, MAX_SEED + 1], ids=kind
)
def test_seeds(wrong: Any, animator: Animator, speech: Any) -> None:
    assert "seed" in refused(OptionInvalid, lambda: animator.sample(speech, 1, wrong))
    assert "seed" in refused(OptionInvalid, lambda: animator.animate(None, speech, 1, wrong))


def test_the_largest_seed_is_told_exactly(animator: Animator, speech: Any) -> None:
    told = refused(OptionInvalid, lambda: animator.sample(speech, 1, MAX_SEED + 1))
    assert f"between 0 and {MAX_SEED}, not {MAX_SEED + 1}." in told


def test_numbers_of_every_kind_are_numbers(animator: Animator, speech: Any) -> None:
    (plain,) = animator.sample(speech, [1], 7, 1.0)
    for one, seven in ((np.int64(1), np.uint8(7)), (1.0, 7.0), (np.float32(1), Fraction(7))):
        assert animator.sample(speech, [one], seven, np.float32(1)) == [plain]
    assert len(animator.sample(speech, np.int32(2))) == 2
    assert animator.sample(speech, np.array([1]), 7) == [plain]
    assert Look(size=512.0).size == 512
    assert Edit(smile=np.float32(0.5), gaze=np.array([1, 2])) == Edit(smile=0.5, gaze=(1, 2))


@pytest.mark.parametrize(
    "wrong",
    [None, "2", b"ab", True, 2.5, np.nan, 0, 7, HUGE, -HUGE, 10**12, [], [0] * 7, [-1], [0.5],
     ["a"], [None], [HUGE], [[0]], {"a": 1}, np.zeros((2, 2))],
    ids=kind,
)  # fmt: skip
def test_samples(wrong: Any) -> None:
    refused(OptionInvalid, lambda: sample_indices(wrong))


@pytest.mark.parametrize("wrong", [*NO_NUMBERS[1:], 512.5, np.nan, 0, HUGE], ids=kind)
def test_sizes(wrong: Any) -> None:
    assert "size" in refused(OptionInvalid, lambda: Look(size=wrong))


@pytest.mark.parametrize("wrong", [*NO_NUMBERS, np.nan, np.inf, 11, HUGE, -HUGE], ids=kind)
def test_amounts(wrong: Any, animator: Animator, speech: Any) -> None:
    for work in (
        lambda: Edit(smile=wrong),
        lambda: Edit(gaze=(0, wrong)),
        lambda: Edit(fade=wrong),
        lambda: animator.sample(speech, 1, 0, wrong),
        lambda: animator.animate(None, speech, pose_strength=wrong),
        lambda: Mark(opacity=wrong),
        lambda: speak("Hello.", None, wrong),
    ):
        refused(OptionInvalid, work)


@pytest.mark.parametrize("wrong", ["ab", 3, None, (1,), (1, 2, 3), {"a": 1, "b": 2}])
def test_gazes(wrong: Any) -> None:
    assert "gaze" in refused(OptionInvalid, lambda: Edit(gaze=wrong)).lower()


@pytest.mark.parametrize("wrong", ["1", [1], np.nan, np.inf, True, -1])
def test_times(wrong: Any) -> None:
    refused(OptionInvalid, lambda: Edit(start=wrong))
    if wrong is not np.inf:
        refused(OptionInvalid, lambda: Edit(stop=wrong))


@pytest.mark.parametrize("wrong", [None, ["calm"], 3, "x" * 9999, np.array(["calm", "lively"])])
def test_names(wrong: Any, animator: Animator, speech: Any) -> None:
    refused(OptionInvalid, lambda: animator.sample(speech, 1, 0, 1.0, wrong))
    refused(OptionInvalid, lambda: Look(framing=wrong))
    refused(OptionInvalid, lambda: Mark(corner=wrong))


@pytest.mark.parametrize("wrong", ["photo.jpg", 3, SINE, [None]], ids=kind)
def test_what_another_step_makes(wrong: Any, animator: Animator, speech: Any) -> None:
    (motion,) = animator.sample(speech, 1)
    for maker, work in (
        ("fit", lambda: animator.animate(wrong, speech)),
        ("fit", lambda: animator.render(wrong, motion)),
        ("listen", lambda: animator.sample(wrong)),
        ("sample", lambda: animator.edit(wrong, ())),
        ("sample", lambda: animator.preview(None, wrong)),
        ("animate", lambda: animator.compare(wrong, "comparison.mp4")),
        ("listen", lambda: animator.render_motion(None, motion, "clip.mp4", wrong)),
        ("constructor", lambda: animator.render_motion(None, motion, "clip.mp4", look=wrong)),
        ("constructor", lambda: animator.render_motion(None, motion, "clip.mp4", mark=wrong)),
    ):
        assert f"as {maker}" in refused(OptionInvalid, work).replace("`", "").replace("its ", "")


@pytest.mark.parametrize("wrong", [3, "a bar", [print], True], ids=kind)
def test_progress(wrong: Any, animator: Animator, speech: Any, portrait: Path) -> None:
    face, heard, motion = animator.fit(portrait), speech, Motion.still(2)
    calls: tuple[Callable[[], object], ...] = (
        lambda: animator.animate(face, heard, progress=wrong),
        lambda: animator.render_motion(face, motion, "clip.mp4", progress=wrong),
        lambda: export(animator, face, motion, "glb", Path("clip"), progress=wrong),
        lambda: render_view(animator, face, motion, Camera(), Path("v.mp4"), progress=wrong),
    )
    for call in calls:
        assert "progress" in refused(OptionInvalid, call)


@pytest.mark.parametrize("wrong", [None, 3, b"Hello.", ["Hello."]])
def test_texts(wrong: Any) -> None:
    refused(TextUnspeakable, lambda: speak(wrong))
    refused(OptionInvalid, lambda: Mark(text=wrong))
    if wrong is not None:
        refused(OptionInvalid, lambda: speak("Hello.", wrong))


@pytest.mark.parametrize("half", ["\ud800", "\x1b[31m", "\0"])
def test_messages_can_be_sent_whatever_they_quote(half: str) -> None:
    said = refused(OptionInvalid, lambda: check_sampling(0, 1.0, f"calm{half}"))
    assert said.encode().decode().isprintable()


def test_a_number_without_a_name() -> None:
    assert "long a number" in refused(TextUnspeakable, lambda: speak("9" * 40))


@pytest.mark.parametrize("wrong", [None, {"smile": 1}, "happy", 3, [{"smile": 1}], [None], ["a"]])
def test_edits(wrong: Any, animator: Animator, speech: Any) -> None:
    motion = Motion.still(3)
    for work in (
        lambda: animator.edit(motion, wrong),
        lambda: animator.animate(None, speech, edits=wrong),
    ):
        assert "Edit(smile=0.5)" in refused(OptionInvalid, work)
    assert animator.edit(motion, []) == motion
    assert animator.edit(motion, (edit for edit in [Edit(feeling="happy")])) != motion


@pytest.mark.parametrize("wrong", ["banana", "cuda:99", "mps", "xpu:0", "", "cuda:", "cpu:x", 3,
                                   b"cpu", "cuda:-1", "meta", "cuda:9999999", "cpu\n"])  # fmt: skip
def test_devices(wrong: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert "device" in refused(OptionInvalid, lambda: load_animator(wrong))
    if isinstance(wrong, str):
        assert cli.main(["a.jpg", "b.wav", f"--device={wrong}"]) == 2
        assert capsys.readouterr().err.count("\n") == 1


# --- photos --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "BytesIO", "read", "file"])
def test_photos_in_memory(kind: str, portrait: Path) -> None:
    data = portrait.read_bytes()
    buffer = io.BytesIO(data)
    buffer.read()  # as it stands after somebody has saved into it
    with portrait.open("rb") as file:
        source = {
            "bytes": data,
            "bytearray": bytearray(data),
            "memoryview": memoryview(data),
            "BytesIO": buffer,
            "read": io.BufferedReader(io.BytesIO(data)),
            "file": file,
        }[kind]
        np.testing.assert_array_equal(load_photo(source), load_photo(portrait))


def closed() -> io.BytesIO:
    buffer = io.BytesIO(b"a")
    buffer.close()
    return buffer


@pytest.mark.parametrize(
    "wrong",
    [None, 3, [[0, 1], [2, 3]], (1, 2), {"path": "a"}, io.StringIO("a"), closed(), io.BytesIO(),
     bytearray(), np.full((80, 80, 3), np.nan), np.zeros((80, 80), complex),
     np.zeros((80, 80), object), np.zeros((3, 80, 80), np.uint8), Path("/dev/null"), Path("a\0b")],
    ids=kind,
)  # fmt: skip
def test_photos_of_no_kind(wrong: Any) -> None:
    refused(PhotoUnreadable, lambda: load_photo(wrong))


@pytest.mark.parametrize("wrong", [1, -1, HUGE], ids=kind)
def test_faces_that_are_not_there(wrong: Any, animator: Animator, portrait: Path) -> None:
    refused(FaceIndexError, lambda: animator.fit(portrait, wrong))


@pytest.mark.parametrize("wrong", [*NO_NUMBERS[1:], 0.5, np.nan], ids=kind)
def test_faces_of_no_number(wrong: Any, animator: Animator, portrait: Path) -> None:
    refused(OptionInvalid, lambda: animator.fit(portrait, wrong))


def test_a_face_by_numpys_number(animator: Animator, portrait: Path) -> None:
    assert animator.fit(portrait, np.int64(0)) == animator.fit(portrait)


# --- sounds --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sine.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((SINE * 32767).astype("<i2").tobytes())
    return path


def test_sounds_in_memory(sound: Path) -> None:
    data, plain = sound.read_bytes(), load_audio(sound)
    with sound.open("rb") as file:
        for source in (data, bytearray(data), memoryview(data), io.BytesIO(data), file):
            assert load_audio(source) == plain


@pytest.mark.parametrize(
    "wrong",
    [None, 3, [0.0] * 9, {"path": "a"}, io.StringIO("a"), closed(), b"", b"no sound" * 99,
     Path("/dev/null"), Path("a\0b"), np.zeros(9000)],
    ids=kind,
)  # fmt: skip
def test_sounds_of_no_kind(wrong: Any, animator: Animator) -> None:
    refused(AudioUnreadable, lambda: animator.listen(wrong))


@pytest.mark.parametrize(
    "samples",
    [SINE * 32768, SINE * np.nan, SINE.astype(complex), (SINE * 1e9).astype(np.int64), [0.5, [1]],
     [1, 2, 3] * 9000, ["a"] * 9000, None, "sound", np.zeros((512, 600)), SINE > 0,
     torch.zeros(9000, requires_grad=True)],
    ids=kind,
)  # fmt: skip
def test_samples_of_no_sound(samples: Any, animator: Animator) -> None:
    refused(AudioUnreadable, lambda: animator.listen((SAMPLE_RATE, samples)))


@pytest.mark.parametrize("rate", [*NO_NUMBERS, 0, -1, 0.5, np.nan, np.inf, HUGE, 10**9], ids=kind)
def test_rates(rate: Any, animator: Animator) -> None:
    refused(AudioUnreadable, lambda: animator.listen((rate, SINE)))


def test_samples_and_rate_swapped(animator: Animator) -> None:
    assert "in this order" in refused(AudioUnreadable, lambda: animator.listen((SINE, 16000)))
    assert "in this order" in refused(AudioUnreadable, lambda: animator.listen((16000, SINE, 1)))


def test_samples_of_every_kind() -> None:
    plain = Recording.from_waveform(SINE, SAMPLE_RATE)
    for samples, rate in (
        (SINE, np.int32(SAMPLE_RATE)),
        (SINE, float(SAMPLE_RATE)),
        (SINE.tolist(), SAMPLE_RATE),
        (tuple(SINE.tolist()), SAMPLE_RATE),
        (np.stack([SINE, SINE]), SAMPLE_RATE),  # channels first
        (np.stack([SINE, SINE], axis=1), SAMPLE_RATE),
        (SINE[None], SAMPLE_RATE),
    ):
        assert Recording.from_waveform(samples, rate) == plain
    over = Recording.from_waveform(np.where(np.arange(len(SINE)) % 200, SINE, 1.4), SAMPLE_RATE)
    assert over.waveform.max() == 1.0


# --- the command line and programs of others -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--seed", "9" * 4000], "seed"),
        (["--samples", "9" * 4000], "1 to 6"),
        (["--size", "9" * 4000], "size"),
        (["--diversity", "inf"], "iversity"),
        (["--smile", "nan"], "Smile"),
        (["--between", "0", "1"], "--between says when"),
        (["--smile", "1", "--between", "nan", "nan"], "start"),
        (["--smile", "1", "--between", "5", "6"], "--between begins at 5 s"),
        (["--gaze", "nan", "0"], "Gaze"),
        (["--mark-opacity", "nan"], "opacity"),
        (["--face-index", "9" * 4000], "face"),
    ],
)
def test_options(
    options: list[str], says: str, portrait: Path, sound: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    code = cli.main([str(portrait), str(sound), "-o", str(tmp_path), *options])
    told = capsys.readouterr().err
    assert code == 2
    assert told.count("\n") == 1
    assert says in told
    assert len(told) < 300
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    ["happy", 3, True, {"smile": 1, "x": 2}, [None], [[]], [["smile", 1]], [{"smile": None}],
     [{"smile": [1]}], [{"smile": {"a": 1}}], [{"smile": "1"}], [{"gaze": None}], [{"gaze": "ab"}],
     [{"gaze": [None, 1]}], [{"gaze": [[1], 2]}], [{"feeling": ["sad"]}], [{"feeling": {}}],
     [{"start": "1"}], [{"stop": [1]}], [{"smile": float("nan")}], [{1: 2}], [{"smile": HUGE}]],
    ids=kind,
)  # fmt: skip
def test_edits_of_clients(wrong: Any) -> None:
    refused(OptionInvalid, lambda: read_edits(wrong))


@pytest.mark.parametrize("name", ["samples", "seed", "diversity", "size", "smile", "stop"])
@pytest.mark.parametrize(
    "wrong", [None, "much", [1], [[1]], {"a": 1}, float("nan"), float("inf"), HUGE, "", "9" * 999],
    ids=kind,
)  # fmt: skip
def test_settings_of_clients(name: str, wrong: Any) -> None:
    refused(OptionInvalid, lambda: Settings.read({name: wrong}))


def test_motions_without_frames(animator: Animator, portrait: Path, tmp_path: Path) -> None:
    face, none = animator.fit(portrait), Motion.still(0)
    assert "no frames" in refused(OptionInvalid, lambda: animator.preview(face, none))
    clip = tmp_path / "clip.mp4"
    assert "no frames" in refused(OptionInvalid, lambda: animator.render_motion(face, none, clip))


@pytest.mark.parametrize("wrong", [*NO_NUMBERS, np.nan, -0.1, 2.1], ids=kind)
def test_strengths_of_the_pose(wrong: Any) -> None:
    refused(OptionInvalid, lambda: Motion.still(2).with_pose_strength(wrong))


def test_names_that_are_too_long_for_a_message() -> None:
    refused(AudioUnreadable, lambda: load_audio("sound" * 999))


def test_a_million_samples_are_not_counted() -> None:
    assert len(Settings.read({"samples": 10**12}).shown_takes()) == 7
    refused(OptionInvalid, lambda: Settings.read({"samples": 2.5}))
