"""The whole path through the one object that the app and the command line use."""

import gc
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from talking_face import Animator, Motion, load_animator
from talking_face.cache import KEPT_SECONDS, size_of
from talking_face.clips.clip import Clip
from talking_face.clips.video import read_frames
from talking_face.errors import (
    EncodingFailed,
    OptionInvalid,
    OutputUnwritable,
    PhotoUnreadable,
)
from talking_face.face.face import Face
from talking_face.face.landmarks import mouth_opening, track_face
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.memory import Memory
from talking_face.options import STYLES, Look, Progress
from talking_face.picture.mouth.teeth import draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.sound.audio import SAMPLE_RATE, Recording
from talking_face.sound.speech import Speech
from talking_face.training.measure.lip_figures import mouth_curves


@pytest.fixture(scope="module")
def face(animator: Animator) -> Face:
    return animator.fit(Path(__file__).parents[1] / "assets/portraits/woman_long_hair.jpg")


@pytest.fixture(scope="module")
def heard(animator: Animator) -> Speech:
    return animator.listen(Path(__file__).parents[1] / "assets/recordings/boat.wav")


@pytest.fixture(scope="module")
def brief(animator: Animator, short_speech: Path) -> Speech:
    return animator.listen(short_speech)


def opening(animator: Animator, face: Face, motion: Motion) -> np.ndarray:
    """Lip opening of the rendered frames, tracked again."""
    still_head = motion.with_pose_strength(0)
    frames = animator.render(face, still_head, Look(size=256))
    return np.array([mouth_opening(m) for m in track_face(frames)])


def test_models_are_loaded_once(animator: Animator) -> None:
    assert load_animator() is animator


@pytest.mark.slow
def test_work_that_does_not_change_is_cached(
    animator: Animator, portrait: Path, speech: Path
) -> None:
    assert animator.fit(portrait) is animator.fit(portrait.read_bytes())
    heard = animator.listen(speech)
    assert animator.listen(speech) is heard
    assert animator.sample(heard, 1, seed=5)[0] is animator.sample(heard, 2, seed=5)[0]


@pytest.mark.slow
def test_nobody_changes_what_is_remembered(
    animator: Animator, portrait: Path, speech: Path
) -> None:
    photo = load_photo(portrait)
    face, heard = animator.fit(photo), animator.listen(speech)
    (motion,) = animator.sample(heard, 1, seed=6)
    for array in (
        motion.rotation, motion.lower, face.photo, face.landmarks, face.expression,
        face.pose.rotation, heard.features, heard.energy, heard.recording.waveform,
    ):  # fmt: skip
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 7
    photo[:] = 7  # the caller's own
    assert animator.fit(portrait) is face
    assert animator.sample(heard, 1, seed=6)[0] is motion
    for asked in (lambda: animator.faces(portrait), lambda: animator.sample(heard, 1, seed=6)):
        before = list(asked())
        asked().clear()
        assert asked() == before


def emptied(animator: Animator, timer: Callable[[], float] = time.monotonic) -> Animator:
    """The same models, with caches of its own."""
    return Animator(animator.models, Memory(timer))


def test_what_is_out_of_date_is_forgotten(animator: Animator, portrait: Path) -> None:
    now = [0.0]
    fresh = emptied(animator, lambda: now[0])
    face = fresh.fit(portrait)
    frame = next(fresh.render(face, Motion.still(1), look=Look(size=128)))
    photo, made = weakref.ref(face.photo), weakref.ref(face)
    del face
    gc.collect()
    assert photo() is not None  # the animator holds it
    now[0] = KEPT_SECONDS
    fresh.memory.expire()
    gc.collect()
    assert photo() is None
    assert made() is None
    assert frame.shape == (128, 128, 3)


def test_bytes_of_a_renderer_are_counted(animator: Animator, face: Face) -> None:
    models = animator.models
    parts = models.face, draw_teeth(models.teeth, 0), models.mouth_light
    Renderer(face, *parts)  # libraries keep something for themselves
    gc.collect()
    tracemalloc.start()
    try:
        renderer = Renderer(face, *parts)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken > 5e6
    own = size_of(renderer) - size_of(
        [face, models.face, models.mouth_light, renderer.mesh]
    )  # those were there before
    assert own == pytest.approx(taken, rel=0.03)


def test_samples_depend_on_seed_and_index_alone(animator: Animator, heard: Speech) -> None:
    four = animator.sample(heard, 4, seed=3)
    fresh = emptied(animator)
    again = fresh.sample(heard, [2, 0], seed=3)
    assert np.array_equal(again[0].as_array(), four[2].as_array())
    assert np.array_equal(again[1].as_array(), four[0].as_array())


def test_samples_differ_in_head_and_agree_in_lips(animator: Animator, heard: Speech) -> None:
    samples = animator.sample(heard, 6, seed=1)
    mouths = [mouth_curves(sample, load_face_model()) for sample in samples]  # opening and width
    for i in range(6):
        for j in range(i):
            apart = np.abs(samples[i].rotation - samples[j].rotation).mean()
            assert apart > 0.3  # degrees
            for ours, theirs in zip(mouths[i], mouths[j], strict=True):
                assert 0.95 < np.corrcoef(ours, theirs)[0, 1] < 1
    other = animator.sample(heard, 1, seed=2)[0]
    assert np.abs(other.rotation - samples[0].rotation).mean() > 0.3


def test_diversity_zero_is_one_animation(animator: Animator, heard: Speech) -> None:
    one, two = animator.sample(heard, 2, seed=4, diversity=0)
    assert np.array_equal(one.rotation, two.rotation)
    wide = animator.sample(heard, 4, seed=4, diversity=1.5)
    calm = animator.sample(heard, 4, seed=4, diversity=0.3)

    def spread(motions: list[Motion]) -> float:
        return float(np.std([m.rotation for m in motions], axis=0).mean())

    assert spread(wide) > 2 * spread(calm)


def test_speech_opens_and_silence_closes_the_rendered_mouth(
    animator: Animator, face: Face, heard: Speech
) -> None:
    spoken = opening(animator, face, animator.sample(heard, 1)[0])
    assert spoken.max() > 0.08
    quiet = animator.listen(Recording(np.zeros(SAMPLE_RATE, dtype=np.float32)))
    motion = animator.sample(quiet, 1)[0]
    assert opening(animator, face, motion).max() < 0.02
    assert np.ptp(motion.rotation, axis=0).max() > 0  # it idles


def test_same_seed_same_frames_other_seed_other_frames(
    animator: Animator, face: Face, heard: Speech
) -> None:
    def frame(seed: int) -> np.ndarray:
        motion = animator.sample(heard, 1, seed=seed)[0]
        return next(animator.render(face, motion[40:41]))

    assert np.array_equal(frame(0), frame(0))
    assert not np.array_equal(frame(0), frame(1))


def test_asked_for_two_gives_two_playable_clips(
    animator: Animator, face: Face, brief: Speech, tmp_path: Path
) -> None:
    told: list[float] = []
    clips = list(
        animator.animate(
            face, brief, 2, seed=9, output=tmp_path, look=Look(size=128),
            progress=lambda fraction, _: told.append(fraction),
        )
    )  # fmt: skip
    assert [(clip.index, clip.seed, clip.error) for clip in clips] == [(0, 9, None), (1, 9, None)]
    assert told == sorted(told)
    assert told[0] == 0
    assert told[-1] == pytest.approx(1)
    for clip in clips:
        assert clip.path is not None
        assert clip.motion_path is not None
        assert (
            len(list(read_frames(clip.path))) == len(brief) == round(brief.recording.duration * 25)
        )
        stored = Motion.load(clip.motion_path)
        assert np.array_equal(stored.as_array(), clip.motion.as_array())
    comparison = animator.compare(clips, tmp_path / "comparison.mp4")
    assert next(read_frames(comparison)).shape[1] == 256
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_pose_strength_zero_holds_the_head_still(
    animator: Animator, face: Face, brief: Speech, tmp_path: Path
) -> None:
    clip = next(
        animator.animate(face, brief, 1, pose_strength=0, look=Look(size=128), output=tmp_path)
    )
    assert clip.motion_path is not None
    stored = Motion.load(clip.motion_path)
    assert not stored.rotation.any()
    assert np.ptp(stored.lids) > 0
    assert np.array_equal(stored.lids, clip.motion.lids)  # they move as drawn
    assert np.array_equal(stored.lower, clip.motion.lower)


def test_a_failed_sample_does_not_take_the_others_with_it(
    animator: Animator,
    face: Face,
    brief: Speech,
    tmp_path: Path,
) -> None:
    (tmp_path / "sample-1_seed-0.mp4").mkdir()  # its name is taken by a folder
    (tmp_path / "sample-1_seed-0.mp4" / "kept").touch()
    first, second = animator.animate(face, brief, 2, look=Look(size=128), output=tmp_path)
    assert isinstance(first.error, OutputUnwritable)
    assert first.path is None
    assert second.error is None
    assert second.path is not None
    assert animator.compare([first, second], tmp_path / "comparison.mp4").is_file()
    with pytest.raises(OptionInvalid, match="None of the samples"):
        animator.compare([first], tmp_path / "comparison.mp4")


def test_a_style_is_more_or_less_lively(animator: Animator, speech: Path) -> None:
    sentence = animator.listen(speech)

    def speed(style: str) -> float:
        drawn = animator.sample(sentence, 6, style=style)
        return float(np.mean([np.abs(np.diff(motion.rotation, axis=0)).mean() for motion in drawn]))

    calm, natural, lively = (speed(style) for style in STYLES)
    assert calm < natural < lively
    assert lively > 1.2 * calm


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0}, {"samples": 7}, {"samples": [-1]}, {"seed": -1}, {"diversity": 2.0},
        {"pose_strength": 2.5}, {"diversity": float("nan")}, {"style": "grand"}, {"samples": 9},
    ],
)  # fmt: skip
def test_options_out_of_range_say_so_before_anything_is_drawn(
    animator: Animator, face: Face, heard: Speech, tmp_path: Path, wrong: dict[str, object]
) -> None:
    with pytest.raises(OptionInvalid):
        animator.animate(face, heard, output=tmp_path, **wrong)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_or_written_says_so_at_the_call(
    animator: Animator, face: Face, heard: Speech, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputUnwritable):
        animator.animate(face, heard, output=tmp_path / "file")
    with pytest.raises(PhotoUnreadable):
        animator.animate(face, heard, output=tmp_path, look=Look(background=tmp_path / "none.jpg"))
    with pytest.raises(PhotoUnreadable):
        animator.render(face, Motion.still(1), Look(background=tmp_path / "none.jpg"))


def test_a_look_is_checked_where_it_is_made() -> None:
    for wrong in ({"framing": "wide"}, {"size": 8}, {"size": 5000}):
        with pytest.raises(OptionInvalid):
            Look(**wrong)  # type: ignore[arg-type]
    assert Look("photo", 256) == Look("photo", 256) != Look("crop", 256)
    picture = np.zeros((64, 64, 3), dtype=np.uint8)
    assert Look(background=picture) == Look(background=picture.copy())


def test_a_temporary_folder_without_clips_goes_at_once(
    animator: Animator, face: Face, heard: Speech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(Animator, "sample", lambda *_: [Motion.still(3)])

    def clips(progress: Progress | None = None) -> Iterator[Clip]:
        return animator.animate(face, heard, 1, look=Look(size=64), progress=progress)

    asked = clips()
    assert not list(tmp_path.iterdir())  # nothing is asked of it yet
    clip = next(asked)
    assert clip.path is not None
    assert clip.path.is_relative_to(tmp_path)
    asked.close()  # type: ignore[attr-defined]
    assert clip.path.is_file()
    clip.path.unlink()
    clip.path.with_suffix(".npz").unlink()
    clip.path.parent.rmdir()

    def stop(fraction: float, _: str) -> None:
        if fraction > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        next(clips(stop))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(Motion, "with_pose_strength", refuse)
    assert [clip.path for clip in clips()] == [None]
    assert not list(tmp_path.iterdir())


def refuse(*_: object) -> None:
    raise EncodingFailed("The clip can't be encoded. Try another one.")


@pytest.mark.slow
def test_nothing_is_left_when_the_process_ends(
    portrait: Path, short_speech: Path, tmp_path: Path
) -> None:
    script = f"""
from talking_face import Look, load_animator
animator = load_animator()
face, speech = animator.fit({str(portrait)!r}), animator.listen({str(short_speech)!r})
clips = animator.animate(face, speech, 2, look=Look(size=64))
print(next(clips).path.stat().st_size)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[1],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("talking_face")]


def test_motion_of_one_face_renders_on_another(
    animator: Animator, brief: Speech, portraits: list[Path], tmp_path: Path
) -> None:
    motion = animator.sample(brief, 1)[0][:10]
    for path in portraits[:2]:
        target = tmp_path / f"{path.stem}.mp4"
        animator.render_motion(animator.fit(path), motion, target, look=Look(size=128))
        assert len(list(read_frames(target))) == 10


def test_a_gpu_that_is_not_there_says_so() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(OptionInvalid, match="no GPU"):
        load_animator("cuda")


def test_clip_names_itself(heard: Speech, animator: Animator) -> None:
    clip = Clip(2, 7, animator.sample(heard, 1)[0], error=EncodingFailed("x"))
    assert clip.label == "sample 3 · seed 7"
