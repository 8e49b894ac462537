"""One job, carried out in whatever process has the time: a command line in, files out.

Everything that comes and goes is bytes, so that the one who asks and the one who works may be on
different machines. The models are loaded once a process, and faces and recordings that several
jobs share come along as they were fitted before.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import talking_face
from talking_face import commands
from talking_face.animator import load_animator
from talking_face.arguments import FAILED, OK
from talking_face.batch.table import Row, inputs_of
from talking_face.clips.credentials import TYPES, read_statement
from talking_face.edit_arguments import edits_of
from talking_face.errors import TalkingFaceError
from talking_face.face.face import Face
from talking_face.face.photo import load_photo
from talking_face.memory import Key, face_key, speech_key
from talking_face.options import check_sampling, sample_indices
from talking_face.picture.backdrop import load_backdrop
from talking_face.sound.audio import load_audio, recording_of
from talking_face.sound.speech import Speech
from talking_face.sound.voice import check_text, read_text, speak

Files = Mapping[str, bytes]  # by their names
FittedFace = tuple[Key, Face]
HeardSpeech = tuple[Key, Speech]
_SAID = "talking_face: "  # how a command begins what it complains of


@dataclass(frozen=True, eq=False)
class Job:
    """What a row asks for.

    Attributes:
        name: of the folder for its results.
        line: of the table.
        options: the command line's.
        inputs: the files that it reads, by the option that names them.
        digests: the sha256 of each of them.
        digest: sha256 of all that decides what comes out.
    """

    name: str
    line: int
    options: argparse.Namespace
    inputs: Mapping[str, Path]
    digests: Mapping[str, str]
    digest: str

    @property
    def photo(self) -> tuple[str, int] | None:
        """Which face of which content is to be fitted; None where the job renders none."""
        if self.options.motion_only or "photo" not in self.digests:
            return None
        return self.digests["photo"], self.options.face_index or 0

    @property
    def sound(self) -> tuple[Any, ...] | None:
        """What is to be heard; None where the job has no recording of its own."""
        if self.options.text is not None:
            return self.options.text, self.options.voice, self.options.voice_speed
        for name in ("text_file", "audio"):
            if name in self.digests:
                return name, self.digests[name], self.options.voice, self.options.voice_speed
        return None


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        files: what it wrote, by name.
        seconds: that it took.
        notes: sentences about what was chosen or repaired.
        error: why all or a part of it couldn't be done; None where all was.
        signed: the names of the signed statements in files, by the file's name.
    """

    files: Files = field(default_factory=dict)
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    error: str | None = None
    signed: Mapping[str, str | None] = field(default_factory=dict)


def job_of(row: Row, digests: dict[tuple[Path, int, int], str]) -> Job:
    """The job of a row that can be done.

    Args:
        digests: what files held when they were last read, by path, size and time; added to.

    Raises:
        OSError: an input can't be read.
    """
    assert row.options is not None
    inputs = inputs_of(row.options)
    found = {name: _digest(path, digests) for name, path in inputs.items()}
    said = {
        name: found.get(name, value)
        for name, value in vars(row.options).items()
        if name not in ("output", "verbose")
    }
    names = {name: path.name for name, path in inputs.items()}  # files are called after some
    content = json.dumps([talking_face.__version__, said, names], sort_keys=True, default=str)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Job(row.name, row.number, row.options, inputs, found, digest)


def _digest(path: Path, known: dict[tuple[Path, int, int], str]) -> str:
    state = path.stat()
    key = path, state.st_size, state.st_mtime_ns
    if key not in known:
        known[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return known[key]


# -- in a worker ----------------------------------------------------------------------------------


def fit(photo: bytes, index: int) -> FittedFace | None:
    """A face that several jobs share; None where each of them is to find out why not."""
    try:
        pixels = load_photo(photo)
        return face_key(pixels, index), load_animator().fit(pixels, index)
    except TalkingFaceError:
        return None


def hear(job: Job, *inputs: bytes) -> HeardSpeech | None:
    """A recording or a text that several jobs share; None as in `fit`."""
    given, options = dict(zip(sorted(job.inputs), inputs, strict=True)), job.options
    try:
        if "audio" in given:
            recording = recording_of(given["audio"])
        else:
            text = given["text_file"].decode("utf-8-sig") if options.text is None else options.text
            recording = speak(text, options.voice, options.voice_speed).recording
        return speech_key(recording), load_animator().listen(recording)
    except (TalkingFaceError, UnicodeDecodeError):
        return None


def make(job: Job, face: FittedFace | None, speech: HeardSpeech | None, *inputs: bytes) -> Outcome:
    """Carry a job out.

    Args:
        face, speech: what was fitted of it for other jobs as well.
        inputs: the content of its input files, in the order of the options' names.
    """
    began = time.perf_counter()
    memory = load_animator().memory
    if face:
        memory.faces.get(face[0], lambda: face[1])
    if speech:
        memory.speeches.get(speech[0], lambda: speech[1])
    with tempfile.TemporaryDirectory(prefix="talking_face_") as place:
        options, real = _placed(job, inputs, Path(place))
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()) as said:
            try:
                code, error = commands.run(options), None
            except TalkingFaceError as problem:
                code, error = FAILED, str(problem)
        lines = [line for line in said.getvalue().splitlines() if line.startswith(_SAID)]
        notes = [line.removeprefix(_SAID) for line in lines]
        if code != OK and error is None:
            error = " ".join(notes)
        for placed, path in real.items():
            error = error and error.replace(placed, path)
        paths = sorted(options.output.glob("*"))
        files = {path.name: path.read_bytes() for path in paths}
        signed = {path.name: read_statement(path).name for path in paths if path.suffix in TYPES}
    return Outcome(files, time.perf_counter() - began, tuple(notes), error, signed)


def check(job: Job, face: FittedFace | None, speech: HeardSpeech | None, *inputs: bytes) -> Outcome:
    """What would keep a job from being carried out, found without drawing or rendering anything."""
    with tempfile.TemporaryDirectory(prefix="talking_face_") as place:
        options, real = _placed(job, inputs, Path(place))
        try:
            _check(options, face is None, speech is None)
        except TalkingFaceError as problem:
            error = str(problem)
            for placed, path in real.items():
                error = error.replace(placed, path)
            return Outcome(error=error)
    return Outcome()


def _check(options: argparse.Namespace, photo: bool, sound: bool) -> None:
    check_sampling(options.seed, options.diversity, options.style)
    sample_indices(options.samples)
    edits_of(options)
    commands.look_of(options)
    commands.mark_of(options)
    if options.background is not None:
        load_backdrop(options.background)
    if photo and not options.motion_only:
        load_animator().fit(options.photo, options.face_index)
    if not sound:
        return
    if options.text is not None or options.text_file:
        check_text(read_text(options.text_file) if options.text_file else options.text)
    elif given := options.audio or (options.photo if options.motion_only else None):
        load_audio(given)


def _placed(
    job: Job, inputs: tuple[bytes, ...], place: Path
) -> tuple[argparse.Namespace, dict[str, str]]:
    """The options with the inputs where this process can read them, and their real paths."""
    options = argparse.Namespace(**vars(job.options))
    real = {}
    for name, content in zip(sorted(job.inputs), inputs, strict=True):
        path = place / name / job.inputs[name].name
        path.parent.mkdir()
        path.write_bytes(content)
        setattr(options, name, str(path) if name == "background" else path)
        real[str(path)] = str(job.inputs[name])
    options.output = place / "results"
    options.output.mkdir()
    return options, real
