"""The whole path behind one object: photo and recording in, several talking clips out.

    animator = load_animator()
    face = animator.fit("photo.jpg")
    speech = animator.listen("speech.wav")
    for clip in animator.animate(face, speech, samples=4, seed=0):
        print(clip.path)

The web page, the command line and the tests use this and nothing below it. Work that doesn't change
is cached by content: faces, speech, motions (so that another pose strength renders the same samples
again) and what a face needs to be rendered.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch

from talking_face.audio import Recording, load_audio
from talking_face.baseline import Baseline, load_baseline, predict
from talking_face.cache import Cached
from talking_face.encoder import SpeechEncoder, load_encoder
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.face import Face, face_boxes, find_faces, fit_face
from talking_face.face_model import FaceModel, load_face_model
from talking_face.files import output_folder
from talking_face.idle import IdleModel, load_idle, sample_idle
from talking_face.images import PhotoSource, load_photo
from talking_face.insightface_pack import find_pack
from talking_face.motion import Motion
from talking_face.options import (
    MAX_DIVERSITY,
    MAX_POSE_STRENGTH,
    MAX_SEED,
    check_framing,
    check_range,
    sample_indices,
)
from talking_face.plate import Framing
from talking_face.render import Renderer
from talking_face.speech import Speech, listen
from talking_face.teeth import TeethGenerator, draw_teeth
from talking_face.video import Mark, write_clip, write_comparison
from talking_face.weights import load_weights

Progress = Callable[[float, str], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clip:
    """One rendered sample.

    Attributes:
        index: which sample of its seed, from 0.
        seed: (seed, index) and the speech decide the motion.
        motion: as sampled, before the pose strength was applied.
        path: the mp4; None where the sample failed.
        motion_path: the motion beside it, npz; None where the sample failed.
        error: what went wrong; None where nothing did.
    """

    index: int
    seed: int
    motion: Motion
    path: Path | None = None
    motion_path: Path | None = None
    error: TalkingFaceError | None = None

    @property
    def label(self) -> str:
        """What tells this sample from the others, for people."""
        return f"sample {self.index + 1} · seed {self.seed}"


class Animator:
    """Holds the models, and remembers what it has worked out. Made by `load_animator`."""

    def __init__(
        self,
        model: FaceModel,
        encoder: SpeechEncoder,
        baseline: Baseline,
        idle: IdleModel,
        teeth: TeethGenerator,
        insightface_pack: Path | None,
    ) -> None:
        self._model = model
        self._encoder = encoder
        self._baseline = baseline
        self._idle = idle
        self._teeth = teeth
        self._insightface_pack = insightface_pack
        self.forget()

    def forget(self) -> None:
        """Empty the caches."""
        self._photos = Cached(8)
        self._faces = Cached(16)
        self._speeches = Cached(8)
        self._lips = Cached(8)
        self._motions = Cached(64)
        self._renderers = Cached(4)

    # -- photo --------------------------------------------------------------------------------

    def faces(self, photo: PhotoSource) -> list[tuple[int, int, int, int]]:
        """Boxes (x0, y0, x1, y1) of the faces in a photo, pixels, the largest first.

        Raises:
            PhotoUnreadable.
        """
        return face_boxes(self._landmarks(load_photo(photo)))

    def fit(self, photo: PhotoSource, face_index: int | None = None) -> Face:
        """Fit a face; do it once, then animate it as often as you like.

        Args:
            photo: a path, bytes of an image file, a Pillow image or an array; see `load_photo`.
            face_index: which face, largest first; None takes the largest.

        Raises:
            PhotoUnreadable, NoFaceFound, FaceIndexError, FaceUnsuitable.
        """
        pixels = load_photo(photo)
        key = (_digest(pixels), face_index or 0)
        return self._faces.get(
            key,
            lambda: fit_face(pixels, self._landmarks(pixels), self._model, face_index),
        )

    def _landmarks(self, pixels: np.ndarray) -> list[np.ndarray]:
        return self._photos.get(_digest(pixels), lambda: find_faces(pixels, self._insightface_pack))

    # -- sound --------------------------------------------------------------------------------

    def listen(self, audio: str | Path | tuple[int, np.ndarray] | Recording) -> Speech:
        """Hear a recording.

        Args:
            audio: a file that ffmpeg reads, sound or video; or (sample rate in Hz, samples); or a
                Recording.

        Raises:
            AudioUnreadable, AudioTooShort, AudioTooLong, FfmpegMissing.
        """
        if isinstance(audio, Recording):
            recording = audio
        elif isinstance(audio, tuple):
            recording = Recording.from_waveform(audio[1], audio[0])
        else:
            recording = load_audio(audio)
        # The path belongs to the key: the clip takes its sound from there.
        key = (_digest(recording.waveform), recording.path)
        return self._speeches.get(key, lambda: listen(recording, self._encoder))

    # -- motion -------------------------------------------------------------------------------

    def sample(
        self,
        speech: Speech,
        samples: int | Sequence[int] = 4,
        seed: int = 0,
        diversity: float = 1.0,
    ) -> list[Motion]:
        """Draw animations for a recording.

        Args:
            samples: how many, or which: sample i is a function of (speech, seed, i, diversity)
                alone.
            seed: 0 to 2³¹ - 1.
            diversity: 0 is the most likely animation, 1 the natural spread, at most 1.5.

        Returns:
            One Motion a sample, of len(speech) frames.

        Raises:
            OptionInvalid.
        """
        indices = sample_indices(samples)
        check_range("The seed", seed, 0, MAX_SEED)
        check_range("Diversity", diversity, 0, MAX_DIVERSITY)
        return [
            self._motions.get(
                (speech.digest, seed, index, float(diversity)),
                partial(self._draw, speech, seed, index, diversity),
            )
            for index in indices
        ]

    def _draw(self, speech: Speech, seed: int, index: int, diversity: float) -> Motion:
        lower, upper = self._lips.get(speech.digest, lambda: predict(self._baseline, speech))
        generator = np.random.default_rng(np.random.SeedSequence([seed, index]))
        idle = sample_idle(self._idle, speech, generator, diversity)
        return Motion(
            lower=lower,
            upper=upper + idle["upper"],
            lids=idle["lids"],
            gaze=idle["gaze"],
            rotation=idle["rotation"],
            translation=idle["translation"],
            rest=np.ones((len(lower), 1)),
        )

    # -- frames and clips ---------------------------------------------------------------------

    def render(
        self, face: Face, motion: Motion, framing: Framing = "crop", size: int | None = None
    ) -> Iterator[np.ndarray]:
        """Frames of a motion on a face, (H, W, 3) uint8 RGB at 25 fps, unmarked.

        Args:
            framing: "crop" gives head and shoulders, "photo" the whole photo.
            size: side of the crop (512 unless told) or longest side of the photo (1920 at most
                unless told), pixels.
        """
        check_framing(framing, size)
        renderer = self._renderers.get(
            (face.digest, framing, size),
            lambda: Renderer(face, self._model, self._draw_teeth(face), framing, size),
        )
        return renderer.frames(motion)

    def _draw_teeth(self, face: Face) -> np.ndarray:
        return draw_teeth(self._teeth, int(face.digest[:8], 16))

    def animate(
        self,
        face: Face,
        speech: Speech,
        samples: int | Sequence[int] = 4,
        seed: int = 0,
        diversity: float = 1.0,
        pose_strength: float = 1.0,
        framing: Framing = "crop",
        size: int | None = None,
        output: str | Path | None = None,
        mark: Mark | None = Mark(),
        motions: Sequence[Motion] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Clip]:
        """Draw animations, render them, and yield each clip as it is finished.

        Args:
            samples, seed, diversity: see `sample`.
            pose_strength: 0 holds the head still (it still speaks and blinks), 1 is natural, at
                most 2.
            framing, size: see `render`.
            output: folder for the clips, made if it isn't there; None makes a temporary one.
            mark: the visible mark that says the clip is made by a machine.
            motions: what `sample` gave for the same arguments, where it ran elsewhere already.
            progress: called with a fraction 0..1 and a sentence, several times a second.

        Yields:
            Clips in the order asked for. A sample that fails has its error set, and the others
            go on.

        Raises:
            OptionInvalid, OutputUnwritable: before anything is drawn.
        """
        check_range("Pose strength", pose_strength, 0, MAX_POSE_STRENGTH)
        check_range("Diversity", diversity, 0, MAX_DIVERSITY)
        check_range("The seed", seed, 0, MAX_SEED)
        check_framing(framing, size)
        indices = sample_indices(samples)
        folder = output_folder(output)
        if progress:
            progress(0.0, "Drawing the animations")
        if motions is None:
            motions = self.sample(speech, indices, seed, diversity)
        for done, (index, motion) in enumerate(zip(indices, motions, strict=True)):
            path = folder / f"sample-{index + 1}_seed-{seed}.mp4"
            stage = f"Rendering sample {done + 1} of {len(indices)}"
            share = (done / len(indices), 1 / len(indices))
            try:
                moved = motion.with_pose_strength(pose_strength)
                frames = self.render(face, moved, framing, size)
                frames = watched(frames, len(moved), stage, progress, *share)
                write_clip(frames, path, speech.recording, mark)
                moved.save(path.with_suffix(".npz"))
            except TalkingFaceError as error:
                logger.debug("sample %d of seed %d failed: %s", index, seed, error)
                yield Clip(index, seed, motion, error=error)
            else:
                yield Clip(index, seed, motion, path, path.with_suffix(".npz"))

    def render_motion(
        self,
        face: Face,
        motion: Motion,
        path: str | Path,
        speech: Speech | None = None,
        framing: Framing = "crop",
        size: int | None = None,
        mark: Mark | None = Mark(),
        progress: Progress | None = None,
    ) -> Path:
        """Render one motion, drawn or edited or loaded, to an mp4; with the sound of a recording.

        Args:
            progress: as in `animate`.

        Raises:
            OptionInvalid, OutputUnwritable, EncodingFailed, FfmpegMissing.
        """
        recording = speech.recording if speech else None
        frames = watched(
            self.render(face, motion, framing, size), len(motion), "Rendering", progress
        )
        return write_clip(frames, path, recording, mark)

    def compare(self, clips: Sequence[Clip], path: str | Path) -> Path:
        """Write the finished ones of some clips side by side, labelled, to one mp4.

        Raises:
            OptionInvalid: none of the clips was finished.
            OutputUnwritable, EncodingFailed, FfmpegMissing.
        """
        finished = [(clip.path, clip.label) for clip in clips if clip.path]
        if not finished:
            raise OptionInvalid("None of the samples could be rendered, so none can be compared.")
        paths, labels = zip(*finished, strict=True)
        return write_comparison(paths, labels, path)


def load_animator(
    device: str | None = None, insightface_pack: str | Path | None = None
) -> Animator:
    """Load the models, once per process and device.

    Args:
        device: "cpu", "cuda", …; None takes a GPU where there is one.
        insightface_pack: folder of an insightface model pack, which then finds the faces; None
            looks at $TALKING_FACE_INSIGHTFACE and `weights/insightface/`, and else uses MediaPipe.

    Raises:
        OptionInvalid, WeightsMissing, WeightsCorrupt.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    elif device.startswith("cuda") and not torch.cuda.is_available():
        raise OptionInvalid(
            f'There is no GPU for the device "{device}". Use "cpu", or leave the device out.'
        )
    return _load(device, find_pack(insightface_pack))


@lru_cache(maxsize=2)
def _load(device: str, insightface_pack: Path | None) -> Animator:
    return Animator(
        load_face_model(),
        load_encoder(device),
        load_baseline(device),
        load_idle(),
        TeethGenerator.from_weights(load_weights("teeth")),
        insightface_pack,
    )


def watched(
    frames: Iterator[np.ndarray],
    count: int,
    stage: str,
    progress: Progress | None,
    start: float = 0.0,
    share: float = 1.0,
) -> Iterator[np.ndarray]:
    """The same frames, reporting progress from `start` to `start + share` on the way."""
    for number, frame in enumerate(frames):
        if progress and number % 5 == 0:
            progress(start + share * number / count, stage)
        yield frame
    if progress:
        progress(start + share, stage)


def _digest(array: np.ndarray) -> str:
    digest = hashlib.sha256(repr((array.shape, str(array.dtype))).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
