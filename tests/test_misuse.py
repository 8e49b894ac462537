"""What a program does wrong with motions, clips, exports and live sound, told before any work."""

import itertools
import resource
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import kind

from talking_face import Clip, Edit, Look, Mark, Motion, load_animator, mix
from talking_face.animator import Animator
from talking_face.clips.credentials import read_statement
from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.verification import verify
from talking_face.clips.video import read_frames, write_clip, write_comparison
from talking_face.errors import (
    AudioUnreadable,
    FileUnverifiable,
    OptionInvalid,
    OutputUnwritable,
    TalkingFaceError,
    VideoUnreadable,
    WeightsMissing,
)
from talking_face.exports import export, render_view
from talking_face.face.face import Face
from talking_face.face.photo import load_photo
from talking_face.head.view import Camera
from talking_face.live.chunks import Chunks
from talking_face.options import sample_indices
from talking_face.sound.speech import Speech

SMALL = Look(size=64)
STILL = Motion.still(3)
# Neither a motion, nor a path, nor anything else that is asked for here.
NOTHING = [None, 3, np.nan, [1], {"a": 1}, np.zeros(3), np.array(1.0), torch.zeros(3), object()]


@pytest.fixture(scope="module")
def face(animator: Animator, portrait: Path) -> Face:
    return animator.fit(portrait)


@pytest.fixture(scope="module")
def speech(animator: Animator, short_speech: Path) -> Speech:
    return animator.listen(short_speech)


@pytest.fixture(scope="module")
def clips(
    animator: Animator, face: Face, speech: Speech, tmp_path_factory: pytest.TempPathFactory
) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    return list(animator.animate(face, speech, 2, look=SMALL, output=folder))


# --- motions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [*NOTHING, "ab", b"ab", torch.zeros(3, 2, requires_grad=True), np.zeros((4, 2)),
     np.full((3, 2), np.nan), np.full((3, 2), 1e10), np.full((3, 2), 1e300)],
    ids=kind,
)  # fmt: skip
def test_channels(wrong: Any) -> None:
    with pytest.raises(OptionInvalid, match="channel lids of a motion"):
        STILL.replace(lids=wrong)
    with pytest.raises(OptionInvalid, match="motion"):
        Motion.from_array(wrong)


def test_a_channel_that_is_not_there() -> None:
    with pytest.raises(OptionInvalid, match=r'no channel "lid"\. Use lower, upper, lids'):
        STILL.replace(lid=np.zeros((3, 2)))


@pytest.mark.parametrize("wrong", [-1, 2.5, None, "3", np.nan, 15_001, 10**400], ids=kind)
def test_lengths(wrong: Any) -> None:
    with pytest.raises(OptionInvalid, match="number of frames"):
        Motion.still(wrong)


def test_what_can_be_made_can_be_saved_and_read(tmp_path: Path) -> None:
    edge = STILL.replace(rotation=np.full((3, 3), 1000.0), gaze=np.full((3, 2), -1000.0))
    for name in ("edge.npz", "edge.csv"):
        edge.save(tmp_path / name)
        assert Motion.load(tmp_path / name) == edge


def test_going_through_a_motion_is_not_over_at_once() -> None:
    for work in (lambda: list(STILL), lambda: STILL[0], lambda: STILL[np.array([0, 1])]):  # type: ignore[call-overload, index]
        with pytest.raises(OptionInvalid, match=r"slice of its frames, as motion\[5:6\]"):
            work()
    assert len(STILL[1:]) == 2


@pytest.mark.parametrize("wrong", NOTHING, ids=kind)
def test_motions_of_no_kind(wrong: Any, animator: Animator, face: Face, tmp_path: Path) -> None:
    clip, model = tmp_path / "clip.mp4", animator.models.face
    for work in (
        lambda: mix(wrong, STILL, STILL),
        lambda: mix(STILL, wrong, STILL),
        lambda: mix(STILL, STILL, wrong),
        lambda: animator.expressed(wrong),
        lambda: export(animator, face, wrong, "glb", tmp_path / "clip"),
        lambda: render_view(animator, face, wrong, Camera(), clip),
        lambda: write_poster(clip, tmp_path / "clip.png", wrong, model),
        lambda: write_gif(clip, tmp_path / "clip.gif", wrong, model),
    ):
        with pytest.raises(OptionInvalid, match="Give a Motion as `sample` makes it"):
            work()


# --- exports -------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [one for one in NOTHING if one is not None], ids=kind)
def test_what_exports_are_given(
    wrong: Any, animator: Animator, face: Face, tmp_path: Path
) -> None:  # fmt: skip
    stem, clip = tmp_path / "clip", tmp_path / "clip.mp4"
    for work in (
        lambda: export(wrong, face, STILL, "stereo", stem),
        lambda: export(animator, wrong, STILL, "stereo", stem),
        lambda: export(animator, face, STILL, "stereo", stem, wrong),
        lambda: export(animator, face, STILL, "stereo", stem, look=wrong),
        lambda: export(animator, face, STILL, "stereo", stem, mark=wrong),
        lambda: render_view(animator, face, STILL, wrong, clip),
        lambda: render_view(animator, wrong, STILL, Camera(), clip),
        lambda: render_view(animator, face, STILL, Camera(), clip, wrong),
        lambda: render_view(animator, face, STILL, Camera(), clip, look=wrong),
        lambda: render_view(animator, face, STILL, Camera(), clip, mark=wrong),
    ):
        with pytest.raises(OptionInvalid, match=r"Give an? "):
            work()
    with pytest.raises(OutputUnwritable):
        export(animator, face, STILL, "arkit", wrong)
    if not isinstance(wrong, int):
        with pytest.raises(OptionInvalid, match="orbit"):
            Camera(orbit=wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("way", ["glb", "obj", "arkit", "stereo", "view"])
def test_nothing_is_made_of_no_frames(
    way: str, animator: Animator, face: Face, tmp_path: Path
) -> None:
    none = Motion.still(0)

    def work() -> object:
        if way == "view":
            return render_view(animator, face, none, Camera(), tmp_path / "view.mp4")
        return export(animator, face, none, way, tmp_path / "clip")

    with pytest.raises(OptionInvalid, match="no frames"):
        work()


def test_a_stem_may_be_a_text_and_needs_a_name(
    animator: Animator, face: Face, tmp_path: Path
) -> None:
    made = export(animator, face, STILL, "arkit", f"{tmp_path}/clip")
    assert [path.name for path in made] == ["clip_arkit.csv", "clip_arkit.json"]
    with pytest.raises(OutputUnwritable, match="folder"):
        export(animator, face, STILL, "arkit", "")


def test_a_result_has_the_name_of_its_kind(
    animator: Animator, face: Face, clips: list[Clip], tmp_path: Path
) -> None:
    motion, model, clip = tmp_path / "motion.npz", animator.models.face, clips[0].path
    STILL.save(motion)
    assert clip
    for work, suffix in (
        (lambda: animator.render_motion(face, STILL, motion, look=SMALL), ".mp4"),
        (lambda: animator.compare(clips, motion), ".mp4"),
        (lambda: render_view(animator, face, STILL, Camera(), motion), ".mp4"),
        (lambda: write_poster(clip, motion, STILL, model), ".png"),
        (lambda: write_gif(clip, motion, STILL, model), ".gif"),
    ):
        with pytest.raises(OutputUnwritable, match=rf"ends in \{suffix}"):
            work()
    assert Motion.load(motion) == STILL
    animator.render_motion(face, STILL, tmp_path / "CLIP.MP4", look=SMALL)


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", NOTHING, ids=kind)
def test_paths(wrong: Any) -> None:
    with pytest.raises(FileUnverifiable, match="path"):
        verify(wrong)
    with pytest.raises(VideoUnreadable, match="path"):
        next(read_frames(wrong))
    if wrong is not None:
        with pytest.raises(WeightsMissing, match="path"):
            load_animator("cpu", wrong)
        with pytest.raises(OptionInvalid, match="logo"):
            Mark(logo=wrong)


def test_a_folder_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(FileUnverifiable, match="is a folder"):
        verify(tmp_path)


# --- what is gone through but once, and numbers of other packages --------------------------------


def test_generators_are_gone_through_once(
    animator: Animator, face: Face, clips: list[Clip], tmp_path: Path
) -> None:
    animator.compare((clip for clip in clips), tmp_path / "comparison.mp4")
    shocked = Edit(brows=1, eyes=1, smile=1)
    plain = animator.preview(face, clips[0].motion, [shocked], 0.5).astype(int)
    once = animator.preview(face, clips[0].motion, (edit for edit in [shocked]), 0.5)
    without = animator.preview(face, clips[0].motion, (), 0.5)
    assert np.abs(plain - once).max() < 40  # each picture has an invisible mark of its own
    assert np.abs(plain - without).max() > 80


@pytest.mark.parametrize("wrong", [np.array(1.0), torch.tensor(1.0), itertools.count()], ids=kind)
def test_what_cannot_be_gone_through(wrong: Any, animator: Animator, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid):
        sample_indices(wrong)
    if isinstance(wrong, itertools.count):
        return
    for work in (
        lambda: animator.edit(STILL, wrong),
        lambda: animator.compare(wrong, tmp_path / "comparison.mp4"),
        lambda: Edit(gaze=wrong),
    ):
        with pytest.raises(OptionInvalid):
            work()


@pytest.mark.parametrize("number", [np.float32(0.5), np.float16(0.5), Fraction(1, 2)], ids=kind)
def test_numbers_of_any_package_are_signed(
    number: Any, animator: Animator, face: Face, speech: Speech, tmp_path: Path
) -> None:
    (clip,) = animator.animate(
        face, speech, 1, np.int64(3), number, pose_strength=number, look=SMALL, output=tmp_path
    )
    assert clip.error is None
    assert clip.path
    making = read_statement(clip.path).making
    assert making
    told = {name: making["settings"][name] for name in ("seed", "diversity", "pose_strength")}
    assert told == {"seed": 3, "diversity": 0.5, "pose_strength": 0.5}
    view = render_view(animator, face, STILL, Camera(yaw=number), tmp_path / "v.mp4", look=SMALL)
    made = read_statement(view).making
    assert made
    assert made["settings"]["view"]["yaw"] == 0.5


@pytest.mark.parametrize("wrong", [3, "ab", {"a": np.nan}, {"a": object()}, {"a": "\ud800"}])
def test_what_cannot_be_signed_is_told_before(
    wrong: Any, animator: Animator, face: Face, tmp_path: Path
) -> None:
    with pytest.raises(OptionInvalid, match="what JSON holds"):
        animator.render_motion(face, STILL, tmp_path / "clip.mp4", making=wrong)


def test_other_orders_of_bytes(portrait: Path) -> None:
    pixels = load_photo(portrait).astype(np.uint16) * 257
    np.testing.assert_array_equal(load_photo(pixels.astype(">u2")), load_photo(pixels))
    sound = (np.arange(-500, 500) * 30).astype(np.int16)
    chunks = Chunks([], 16000)
    np.testing.assert_array_equal(chunks.mono(sound.astype(">i2")), chunks.mono(sound))


def test_a_place_of_feeling_may_be_an_array() -> None:
    assert Edit(feeling=np.array([0.25, -0.5])) == Edit(feeling=(0.25, -0.5))  # type: ignore[arg-type]


# --- full disks ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clip", "comparison"])
def test_a_disk_that_fills_up_while_a_file_is_signed(kind: str, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 96, 96, 3), dtype=np.uint8)
    made = write_clip(frames, tmp_path / "made.mp4")
    clip = tmp_path / "new" / "clip.mp4"
    clip.parent.mkdir()

    def write() -> object:
        if kind == "clip":
            return write_clip(frames, clip)
        return write_comparison([made, made], ["one", "two"], clip)

    write()
    whole = clip.stat().st_size
    clip.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for missing in (3000, 6000, 9000):  # bytes; the statement alone has more
        resource.setrlimit(resource.RLIMIT_FSIZE, (whole - missing, limits[1]))
        try:
            with pytest.raises(OutputUnwritable, match="Make room"):
                write()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert not list(clip.parent.iterdir())


# --- live sound ----------------------------------------------------------------------------------


def test_a_chunk_in_another_scale_is_no_square_wave() -> None:
    sine = np.sin(np.arange(1600) / 8).astype(np.float32)
    chunks = Chunks([], 16000)
    with pytest.raises(AudioUnreadable, match="32768"):
        chunks.mono(sine * 32767)
    assert chunks.mono(sine * 1.5).max() == 1.0  # a sound card that is turned up too far
    assert len(chunks.mono(sine[:0])) == 0


@pytest.mark.parametrize("paced", [True, False])
def test_what_the_sound_raises_reaches_who_asks_for_frames(
    paced: bool, animator: Animator, face: Face
) -> None:
    def sound() -> Iterator[bytes]:
        yield bytes(3200)
        raise LookupError("the microphone is gone")

    with (
        animator.stream(face, sound(), look=SMALL, paced=paced) as stream,
        pytest.raises(LookupError, match="microphone"),
    ):
        list(stream)


def test_messages_name_things_as_one_does(animator: Animator) -> None:
    with pytest.raises(TalkingFaceError, match=r"Give a Face as `fit` makes it, not an ndarray\."):
        animator.head(np.zeros(3))  # type: ignore[arg-type]
