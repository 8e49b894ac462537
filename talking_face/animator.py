"""The whole path behind one object: photo and recording in, several talking clips out.

    animator = load_animator()
    face = animator.fit("photo.jpg")
    speech = animator.listen("speech.wav")
    for clip in animator.animate(face, speech, samples=4, seed=0):
        print(clip.path)

The web page, the command line and the tests use this and nothing below it. Work that doesn't change
is cached by content: faces, speech, motions (so that another pose strength renders the same samples
again) and what a face needs to be rendered; each for two hours, and all of it in little memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from talking_face.cache import Cached, digest_of
from talking_face.clips.clip import Clip, watched
from talking_face.clips.overlay import draw_faces, draw_mesh
from talking_face.clips.plots import Theme, plot_samples
from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.video import Mark, write_clip, write_comparison
from talking_face.editing.change import apply_edits, telling_moment
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.face.detector import find_pack
from talking_face.face.face import Face, face_boxes, find_faces, fit_face
from talking_face.face.model import FaceModel, load_face_model
from talking_face.face.photo import PhotoSource, load_photo
from talking_face.files import drop_if_empty, output_folder
from talking_face.frozen import sealed
from talking_face.mapping.dirfa import Dirfa, load_dirfa
from talking_face.mapping.events import EyeModel, load_eyes
from talking_face.mapping.sampler import draw
from talking_face.motion import Motion
from talking_face.options import (
    MAX_POSE_STRENGTH,
    STYLES,
    Framing,
    Progress,
    check_framing,
    check_range,
    check_sampling,
    file_name,
    sample_indices,
    sample_label,
)
from talking_face.picture.backdrop import load_backdrop
from talking_face.picture.mouth.shading import MouthLight, load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.sound.audio import Recording, load_audio
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.sound.speech import Speech, listen
from talking_face.weights import load_weights

# Bytes that each cache may hold, 1.25 GB together: not too much for a laptop of 8 GB, and enough
# for one of the largest of each kind.
KEPT_LANDMARKS = 1_000_000  # 6 kB a face of a photo
KEPT_FACES = 150_000_000  # most of it the photo: 36 MB at 12 megapixels, 146 MB at 48
KEPT_SPEECHES = 160_000_000  # 150 MB for ten minutes
KEPT_MOTIONS = 32_000_000  # 2 MB for ten minutes
KEPT_RENDERERS = 900_000_000  # 14 MB at 512 pixels, 670 to 870 MB at 4096

logger = logging.getLogger(__name__)


class Animator:
    """Holds the models, and remembers what it has worked out. Made by `load_animator`."""

    def __init__(
        self,
        model: FaceModel,
        encoder: SpeechEncoder,
        network: Dirfa,
        eyes: EyeModel,
        teeth: TeethGenerator,
        mouth_light: MouthLight,
        insightface_pack: Path | None,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._encoder = encoder
        self._network = network
        self._eyes = eyes
        self._teeth = teeth
        self._mouth_light = mouth_light
        self._insightface_pack = insightface_pack
        self._timer = timer
        self.forget()

    def forget(self) -> None:
        """Empty the caches."""
        self._photos = Cached(KEPT_LANDMARKS, timer=self._timer)
        self._faces = Cached(KEPT_FACES, timer=self._timer)
        self._speeches = Cached(KEPT_SPEECHES, timer=self._timer)
        self._motions = Cached(KEPT_MOTIONS, timer=self._timer)
        self._renderers = Cached(KEPT_RENDERERS, timer=self._timer)

    def expire(self) -> None:
        """Drop what was worked out more than `KEPT_SECONDS` ago; using a cache does so too."""
        for kept in (self._photos, self._faces, self._speeches, self._motions, self._renderers):
            kept.expire()

    @property
    def model(self) -> FaceModel:
        """The face model whose coefficients motions are made of."""
        return self._model

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
        pixels = sealed(load_photo(photo))  # so that the face needs no copy of its own
        key = (digest_of(pixels), face_index or 0)
        return self._faces.get(
            key, lambda: fit_face(pixels, self._landmarks(pixels), self._model, face_index)
        )

    def outline_faces(self, photo: PhotoSource) -> np.ndarray:
        """The photo with its `faces` outlined and numbered from 1, (H, W, 3) uint8 RGB."""
        return draw_faces(load_photo(photo), self.faces(photo))

    def show_mesh(self, face: Face) -> np.ndarray:
        """The photo with the fitted mesh over the face, (H, W, 3) uint8 RGB."""
        return draw_mesh(face, self._model.triangles)

    def _landmarks(self, pixels: np.ndarray) -> list[np.ndarray]:
        return self._photos.get(
            digest_of(pixels), lambda: find_faces(pixels, self._insightface_pack)
        )

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
        key = (digest_of(recording.waveform), recording.path)
        return self._speeches.get(key, lambda: listen(recording, self._encoder))

    # -- motion -------------------------------------------------------------------------------

    def sample(
        self,
        speech: Speech,
        samples: int | Sequence[int] = 4,
        seed: int = 0,
        diversity: float = 1.0,
        style: str = "natural",
    ) -> list[Motion]:
        """Draw animations for a recording.

        Args:
            samples: how many, or which: sample i depends on (speech, seed, i, diversity, style).
            seed: 0 to 2³¹ - 1.
            diversity: 0 is the most likely animation, 1 the natural spread, at most 1.5.
            style: "calm", "natural" or "lively": how people move who speak so.

        Returns:
            One Motion a sample, of len(speech) frames.

        Raises:
            OptionInvalid.
        """
        indices = sample_indices(samples)
        check_sampling(seed, diversity, style)

        def drawn(keys: list[tuple]) -> list[Motion]:  # as one batch
            wanted = [index for *_, index in keys]
            models = self._network, self._eyes, self._model
            return draw(*models, speech, wanted, seed, diversity, STYLES[style])

        keys = [(speech.digest, seed, float(diversity), style, index) for index in indices]
        return self._motions.get_all(keys, drawn)

    def edit(self, motion: Motion, edits: Edit | Sequence[Edit]) -> Motion:
        """The motion as the edits want it; see `talking_face.editing.edit`."""
        return apply_edits(motion, edits, self._model)

    # -- frames and clips ---------------------------------------------------------------------

    def render(
        self,
        face: Face,
        motion: Motion,
        framing: Framing = "crop",
        size: int | None = None,
        background: PhotoSource | None = None,
    ) -> Iterator[np.ndarray]:
        """Frames of a motion on a face, (H, W, 3) uint8 RGB at 25 fps, unmarked.

        Args:
            framing: "crop" gives head and shoulders, "photo" the whole photo.
            size: side of the crop (512 unless told) or longest side of the photo (1920 at most
                unless told), pixels.
            background: None keeps the photo's; "#rrggbb" or an image takes its place.

        Raises:
            OptionInvalid, PhotoUnreadable: of the background; at the call.
        """
        check_framing(framing, size)
        backdrop = None if background is None else load_backdrop(background)
        renderer = self._renderers.get(
            (face.digest, framing, size, None if backdrop is None else digest_of(backdrop)),
            lambda: Renderer(
                face,
                self._model,
                self._draw_teeth(face),
                self._mouth_light,
                framing,
                size,
                backdrop,
            ),
        )
        return renderer.frames(motion)

    def preview(
        self,
        face: Face,
        motion: Motion,
        edits: Edit | Sequence[Edit] = (),
        seconds: float | None = None,
        framing: Framing = "crop",
        size: int = 256,
        background: PhotoSource | None = None,
    ) -> np.ndarray:
        """One frame of an edited motion, (H, W, 3) uint8 RGB: what the sliders do, at once.

        Args:
            seconds: of which moment; None takes one within the edits where the mouth is open.
        """
        frame = telling_moment(motion, edits, seconds, self._model)
        moved = self.edit(motion, edits)[frame : frame + 1]
        return next(self.render(face, moved, framing, size, background))

    def _draw_teeth(self, face: Face) -> np.ndarray:
        return draw_teeth(self._teeth, int(face.digest[:8], 16))

    def animate(
        self,
        face: Face,
        speech: Speech,
        samples: int | Sequence[int] = 4,
        seed: int = 0,
        diversity: float = 1.0,
        style: str = "natural",
        pose_strength: float = 1.0,
        framing: Framing = "crop",
        size: int | None = None,
        output: str | Path | None = None,
        mark: Mark | None = Mark(),
        motions: Sequence[Motion] | None = None,
        progress: Progress | None = None,
        edits: Edit | Sequence[Edit] = (),
        background: PhotoSource | None = None,
    ) -> Iterator[Clip]:
        """Draw animations, render them, and yield each clip as it is finished.

        Args:
            samples, seed, diversity, style: see `sample`.
            pose_strength: 0 holds the head still (it still speaks and blinks), 1 is natural, at
                most 2.
            framing, size, background: see `render`.
            output: folder for the clips, made if it isn't there. None makes a temporary one, which
                is removed when the process ends: move what is to stay.
            mark: the visible mark that says the clip is made by a machine.
            motions: one a sample, as `sample` gave them, where that ran elsewhere already.
            progress: called with a fraction 0..1 and a sentence, several times a second.
            edits: what to change in every sample; the clips keep the motions as drawn.

        Yields:
            Clips in the order asked for. A sample that fails has its error set, and the others
            go on.

        Raises:
            OptionInvalid, PhotoUnreadable, OutputUnwritable: at the call, before the first clip.
        """
        check_range("Pose strength", pose_strength, 0, MAX_POSE_STRENGTH)
        check_sampling(seed, diversity, style)
        check_framing(framing, size)
        indices = sample_indices(samples)
        backdrop = None if background is None else load_backdrop(background)
        if motions is not None and len(motions) != len(indices):
            raise OptionInvalid(
                f"There are {len(motions)} motions for {len(indices)} samples. Give one for each."
            )
        named = None if output is None else output_folder(output)

        def clips() -> Iterator[Clip]:
            if progress:
                progress(0.0, "Drawing the animations")
            drawn = motions or self.sample(speech, indices, seed, diversity, style)
            folder = named or output_folder(None)  # not before: nobody may ever ask for a clip
            try:
                for done, (index, motion) in enumerate(zip(indices, drawn, strict=True)):
                    path = folder / f"{file_name(sample_label(index, seed))}.mp4"
                    stage = f"Rendering sample {done + 1} of {len(indices)}"
                    share = (done / len(indices), 1 / len(indices))
                    try:
                        moved = self.edit(motion.with_pose_strength(pose_strength), edits)
                        frames = self.render(face, moved, framing, size, backdrop)
                        frames = watched(frames, len(moved), stage, progress, *share)
                        write_clip(frames, path, speech.recording, mark)
                        moved.save(path.with_suffix(".npz"))
                    except TalkingFaceError as error:
                        logger.debug("sample %d of seed %d failed: %s", index, seed, error)
                        yield Clip(index, seed, motion, error=error)
                    else:
                        yield Clip(index, seed, motion, path, path.with_suffix(".npz"))
            finally:
                drop_if_empty(folder)

        return clips()

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
        background: PhotoSource | None = None,
    ) -> Path:
        """Render one motion, drawn or edited or loaded, to an mp4; with the sound of a recording.

        Args:
            framing, size, background: see `render`. progress: as in `animate`.

        Raises:
            OptionInvalid, PhotoUnreadable, OutputUnwritable, EncodingFailed, FfmpegMissing.
        """
        frames = self.render(face, motion, framing, size, background)
        frames = watched(frames, len(motion), "Rendering", progress)
        return write_clip(frames, path, speech.recording if speech else None, mark)

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

    def poster(self, clip: str | Path, path: str | Path, motion: Motion) -> Path:
        """A picture of a finished clip in mid-speech; see `write_poster`."""
        return write_poster(clip, path, motion, self._model)

    def gif(self, clip: str | Path, path: str | Path, motion: Motion, mark: Mark = Mark()) -> Path:
        """A short silent loop of a finished clip; see `write_gif`."""
        return write_gif(clip, path, motion, self._model, mark)

    def plot(
        self,
        motions: Sequence[Motion],
        labels: Sequence[str],
        recording: Recording,
        theme: Theme = "light",
        places: Sequence[int] | None = None,
    ) -> Image.Image:
        """What tells motions apart, over time; see `plot_samples`."""
        return plot_samples(motions, labels, recording, self._model, theme, places)


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
    teeth = TeethGenerator.from_weights(load_weights("teeth"))
    return Animator(
        load_face_model(),
        load_encoder(device),
        load_dirfa(device),
        load_eyes(),
        teeth,
        load_mouth_light(),
        insightface_pack,
    )
