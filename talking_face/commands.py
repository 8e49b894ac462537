"""What the command line does: load, make, write, and show on standard error how far it is.

The paths of the results go to standard output, one a line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arguments import FAILED, OK, PARTLY
from talking_face.clips.clip import Clip
from talking_face.clips.mark import Mark, chosen_mark
from talking_face.clips.plots import plot_samples, write_plot
from talking_face.clips.share import write_gif, write_poster
from talking_face.edit_arguments import edits_of
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid
from talking_face.exports import export, render_view, write_speech
from talking_face.face.face import Face
from talking_face.files import output_folder
from talking_face.head.view import Camera
from talking_face.motion import Motion
from talking_face.options import (
    EXPORTS,
    Look,
    Progress,
    check_range,
    check_sampling,
    file_name,
    rounded_down,
    sample_indices,
    sample_label,
    shown,
)
from talking_face.results import Results
from talking_face.sound.audio import Recording
from talking_face.sound.speech import Speech
from talking_face.sound.voice import read_text, speak, voices


def run(options: argparse.Namespace) -> int:
    """What the options ask for; returns the exit code.

    Raises:
        TalkingFaceError: nothing could be done.
    """
    if options.list_voices:
        list_voices()
    elif options.motion is not None:
        render_motion(options)
    elif options.motion_only:
        write_motions(options)
    else:
        failed, made = animate(options)
        return OK if not failed else PARTLY if made else FAILED
    return OK


def animate(options: argparse.Namespace) -> tuple[int, int]:
    """Draw animations and render them; returns how many samples failed, and how many are made."""
    mark, edits, look = mark_of(options), edits_of(options), look_of(options)
    _camera(options)
    stems = _stems(options)
    comparison, plot = f"comparison_seed-{options.seed}.mp4", f"plot_seed-{options.seed}.png"
    names = [name for stem in stems for name in _clip_files(stem, options, ".npz")]
    results = _results(options, [*names, *[comparison] * (len(stems) > 1)], plot)
    clips: list[Clip] = []
    with _progress("Loading the models") as bar:
        show = _shown_by(bar)
        animator = load_animator(options.device, options.insightface_pack)
        show(0.0, "Looking at the photo")
        face = _fit(animator, options)
        show(0.0, "Listening to the recording")
        speech = _listen(animator, _sound(options, results) or options.audio)
        _check_time(edits, speech.recording.duration)
        for clip in animator.animate(
            face,
            speech,
            options.samples,
            options.seed,
            options.diversity,
            options.style,
            options.pose_strength,
            edits,
            look,
            options.output,
            mark,
            show,
        ):
            clips.append(clip)
            if clip.path and clip.motion_path:
                results.add(clip.motion_path)
                _tell(results, clip.path)
                motion = Motion.load(clip.motion_path)
                _write_pictures(animator, results, clip.path, motion, options)
                _write_exports(animator, results, clip.path, (face, motion, speech), options)
            else:
                tqdm.write(f"talking_face: {clip.label} failed: {clip.error}", sys.stderr)
        finished = [clip for clip in clips if clip.error is None]
        if len(finished) > 1:
            bar.set_description_str("Putting them side by side")
            _tell(results, animator.compare(finished, options.output / comparison))
        if options.plot and finished:
            moved = [Motion.load(clip.motion_path) for clip in finished if clip.motion_path]
            labels = [clip.label for clip in finished]
            _write_plot(animator, results, options.output / plot, moved, labels, speech)
        bar.set_description_str("Done")
    return len(clips) - len(finished), len(finished)


def write_motions(options: argparse.Namespace) -> None:
    """Draw animations and keep them as files."""
    edits = edits_of(options)
    plot = f"plot_seed-{options.seed}.png"
    names = [f"{stem}.{options.motion_format}" for stem in _stems(options)]
    results = _results(options, names, plot)
    folder = output_folder(options.output)
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Listening to the recording")
        sound = _sound(options, results) or options.audio or options.photo
        speech = _listen(animator, sound)
        _check_time(edits, speech.recording.duration)
        bar.set_description_str("Drawing the animations")
        motions = animator.sample(
            speech, options.samples, options.seed, options.diversity, options.style
        )
        motions = [motion.with_pose_strength(options.pose_strength) for motion in motions]
        motions = [animator.edit(motion, edits, speech) for motion in motions]
        for name, motion in zip(names, motions, strict=True):
            motion.save(folder / name)
            _tell(results, folder / name)
        if options.plot:
            labels = [sample_label(index, options.seed) for index in range(len(motions))]
            _write_plot(animator, results, folder / plot, motions, labels, speech)


def render_motion(options: argparse.Namespace) -> None:
    """Render an animation that is there already."""
    motion = Motion.load(options.motion).with_pose_strength(options.pose_strength)
    mark, edits, look = mark_of(options), edits_of(options), look_of(options)
    _camera(options)
    _check_time(edits, motion.duration)
    stem = f"{options.photo.stem}_{options.motion.stem}"
    plot = f"{stem}_plot.png"
    results = _results(options, _clip_files(stem, options), plot)
    path = output_folder(options.output) / f"{stem}.mp4"
    with _progress("Loading the models") as bar:
        animator = load_animator(options.device, options.insightface_pack)
        bar.set_description_str("Looking at the photo")
        face = _fit(animator, options)
        sound = _sound(options, results) or options.audio
        speech = _listen(animator, sound) if sound else None
        show = _shown_by(bar)
        motion = animator.edit(motion, edits, speech)
        _tell(results, animator.render_motion(face, motion, path, speech, look, mark, show))
        _write_pictures(animator, results, path, motion, options)
        _write_exports(animator, results, path, (face, motion, speech), options)
        if options.plot and speech:
            _write_plot(animator, results, path.with_name(plot), [motion], [path.stem], speech)


def list_voices() -> None:
    """Print the voices of this machine, the default first."""
    for voice in voices():
        print(f"{voice.id:24} {voice.label}")


def _results(options: argparse.Namespace, names: Sequence[str], plot: str) -> Results:
    """The folder for the results, once it is sure that no file of somebody's is in the way."""
    spoken = options.text is not None or options.text_file is not None
    names_of = ("photo", "audio", "motion", "text_file", "background", "mark_logo")
    given = [getattr(options, name) for name in names_of]
    inputs = [Path(one) for one in given if one is not None]
    more = ["speech.wav"] * spoken + [plot] * options.plot
    return Results(options.output, [*names, *more], inputs)


def _stems(options: argparse.Namespace) -> list[str]:
    """What the files of the samples are called, without their suffixes."""
    check_sampling(options.seed, options.diversity, options.style)
    indices = sample_indices(options.samples)
    return [file_name(sample_label(index, options.seed)) for index in indices]


def _clip_files(stem: str, options: argparse.Namespace, *more: str) -> list[str]:
    """A clip, and what is asked for beside it."""
    pictures = [".png"] * options.poster + [".gif"] * options.gif
    exports = [suffix for kind in options.export for suffix in EXPORTS[kind]]
    exports += ["_view.mp4"] * (options.view is not None)
    return [f"{stem}{suffix}" for suffix in (".mp4", *more, *pictures, *exports)]


def _check_time(edits: Sequence[Edit], seconds: float) -> None:
    """Refuse what would change nothing because it is over by then."""
    for edit in edits:
        if edit.start >= seconds:
            raise OptionInvalid(
                f"--between begins at {shown(edit.start)} s, and all is over after "
                f"{rounded_down(seconds, 2)} s. Let it begin earlier."
            )


def _tell(results: Results, path: Path) -> None:
    """Keep account of a finished file, and print its path."""
    results.add(path)
    tqdm.write(str(path))


def _sound(options: argparse.Namespace, results: Results) -> Recording | None:
    """The text, spoken and kept as speech.wav; None where no text is given."""
    text = read_text(options.text_file) if options.text_file else options.text
    if text is None:
        return None
    spoken = speak(text, options.voice, options.voice_speed)
    path = output_folder(options.output) / "speech.wav"
    write_speech(spoken, path)
    _tell(results, path)
    return spoken.recording


def _listen(animator: Animator, sound: Recording | Path) -> Speech:
    """Hear a recording, and say what was chosen of it or repaired."""
    speech = animator.listen(sound)
    _say(speech.recording.notes)
    return speech


def _fit(animator: Animator, options: argparse.Namespace) -> Face:
    """Fit the face, and say what was done to the photo."""
    face = animator.fit(options.photo, options.face_index)
    _say(face.notes)
    return face


def _say(notes: Sequence[str]) -> None:
    for note in notes:
        tqdm.write(f"talking_face: {note}", sys.stderr)


def _write_pictures(
    animator: Animator, results: Results, clip: Path, motion: Motion, options: argparse.Namespace
) -> None:
    """What `--poster` and `--gif` ask for, beside the clip."""
    model = animator.models.face
    if options.poster:
        _tell(results, write_poster(clip, clip.with_suffix(".png"), motion, model))
    if options.gif:
        _tell(results, write_gif(clip, clip.with_suffix(".gif"), motion, model, mark_of(options)))


def _camera(options: argparse.Namespace) -> Camera | None:
    """Where `--view` looks from.

    Raises:
        OptionInvalid: that, or the depth of a video for two eyes, is out of range.
    """
    check_range("The depth", options.depth, 0, 1)
    if options.view is None:
        return None
    return Camera(options.view[0], options.view[1], options.zoom, options.orbit)


def _write_exports(
    animator: Animator,
    results: Results,
    clip: Path,
    shown: tuple[Face, Motion, Speech | None],
    options: argparse.Namespace,
) -> None:
    """What `--export` and `--view` ask for, beside the clip."""
    if not options.export and options.view is None:
        return
    mark, look, stem = mark_of(options), look_of(options), clip.with_suffix("")
    face, motion, speech = shown
    _say(animator.head(face).notes)
    for kind in options.export:
        for path in export(animator, face, motion, kind, stem, speech, look, mark, options.depth):
            _tell(results, path)
    camera = _camera(options)
    if camera is not None:
        path = stem.with_name(f"{stem.name}_view.mp4")
        _tell(results, render_view(animator, face, motion, camera, path, speech, look, mark))


def _write_plot(
    animator: Animator,
    results: Results,
    path: Path,
    motions: Sequence[Motion],
    labels: Sequence[str],
    speech: Speech,
) -> None:
    motions = [animator.expressed(motion) for motion in motions]
    write_plot(path, plot_samples(motions, labels, speech.recording, animator.models.face))
    _tell(results, path)


def mark_of(options: argparse.Namespace) -> Mark | None:
    """The mark with what the options say of it; None for that of this installation."""
    return chosen_mark(
        text=options.mark_text,
        corner=options.mark_corner,
        opacity=options.mark_opacity,
        size=options.mark_size,
        logo=options.mark_logo,
    )


def look_of(options: argparse.Namespace) -> Look:
    """Framing, size and background that the options ask for."""
    return Look(options.framing, options.size, options.background)


@contextmanager
def _progress(message: str) -> Iterator[tqdm]:
    """A bar on standard error, where that is a terminal."""
    shape = "{desc:28} {percentage:3.0f} %|{bar}| {elapsed} gone, {remaining} to go"
    with tqdm(desc=message, total=1.0, bar_format=shape, disable=None, leave=False) as bar:
        yield bar


def _shown_by(bar: tqdm) -> Progress:
    def show(fraction: float, message: str) -> None:
        bar.set_description_str(message, refresh=False)
        bar.update(fraction - bar.n)

    return show
