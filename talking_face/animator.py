"""The whole path behind one object: photo and recording in, several talking clips out.

    animator = load_animator()
    face = animator.fit("photo.jpg")
    speech = animator.listen("speech.wav")
    for clip in animator.animate(face, speech, samples=4, seed=0):
        print(clip.path)

The web page, the command line and the tests use this and nothing below it. Work that doesn't change
is remembered by content: faces, speech, motions (so that another pose strength renders the same
samples again) and what a face needs to be rendered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from talking_face.arrays import UInt8
from talking_face.cache import digest_of
from talking_face.clips.clip import Clip, part_of, watched
from talking_face.clips.credentials import Origin
from talking_face.clips.mark import Mark
from talking_face.clips.marks import Marks
from talking_face.clips.video import write_clip, write_comparison
from talking_face.commission import check_shown, commission
from talking_face.cores import begin, in_order, one_thread
from talking_face.editing.change import apply_edits, listed, telling_moment
from talking_face.editing.edit import Edit, felt
from talking_face.editing.expression import express
from talking_face.editing.feelings import change_feeling, feel_voice
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.face.detector import find_pack
from talking_face.face.face import Face
from talking_face.files import drop_if_empty, keep_apart, output_folder, result_path
from talking_face.head.head import Head, build_head
from talking_face.live.chunks import Chunks
from talking_face.live.manner import Manner
from talking_face.live.performance import Performance
from talking_face.live.stream import Stream
from talking_face.mapping.sampler import draw
from talking_face.models import find_device, load_models
from talking_face.moods import VOICE, Feeling
from talking_face.motion import Motion
from talking_face.options import (
    DIVERSITY,
    FEELING_STRENGTH,
    POSE_STRENGTH,
    SAMPLES,
    SEED,
    STYLE,
    STYLES,
    Look,
    Progress,
    check_made,
    check_progress,
    check_sampling,
    holds_several,
    sample_indices,
)
from talking_face.picture.backdrop import load_backdrop
from talking_face.picture.mouth.teeth import draw_teeth
from talking_face.picture.plate import CROP_SIDE
from talking_face.picture.renderer import Renderer
from talking_face.senses import Senses
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.sound.speech import Speech

Edits = Edit | Sequence[Edit]

PREVIEW = Look(size=256)
HEAD_SIDES = (256, 1024)  # pixels of the crop that a head's texture is taken from

logger = logging.getLogger(__name__)


class Animator(Senses):
    """Makes clips, and remembers what it has worked out. Made by `load_animator`."""

    # -- motion -------------------------------------------------------------------------------

    @one_thread()
    def sample(
        self,
        speech: Speech,
        samples: int | Sequence[int] = SAMPLES,
        seed: int = SEED,
        diversity: float = DIVERSITY,
        style: str = STYLE,
    ) -> list[Motion]:
        """Draw animations for a recording, which feel what is heard in it.

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
        seed = check_sampling(seed, diversity, style)
        check_made("`listen`", Speech, speech)

        def drawn(keys: list[Any]) -> list[Motion]:  # as one batch
            wanted = [index for *_, index in keys]
            models = self.models.mapping, self.models.eyes, self.models.face
            heard = self.emotion(speech)
            affect = heard.affect(len(speech))
            motions = draw(*models, speech, wanted, seed, float(diversity), STYLES[style], affect)
            return [
                feel_voice(motion, speech, heard, seed, index)
                for index, motion in zip(wanted, motions, strict=True)
            ]

        keys = [(speech.digest, seed, float(diversity), style, index) for index in indices]
        return self.memory.motions.get_all(keys, drawn)

    def edit(self, motion: Motion, edits: Edits, speech: Speech | None = None) -> Motion:
        """The motion as the edits want it; see `talking_face.editing.edit`.

        Args:
            speech: the motion's recording, with which another feeling swells and rests; needed for
                the voice's own where the motion has lost it.
        """
        check_made("`sample`", Motion, motion)
        check_made("`listen`", Speech, *([] if speech is None else [speech]))
        edits = listed(edits)
        if any(edit.feeling is not None for edit in edits):
            heard = None if speech is None else self.emotion(speech)
            motion = change_feeling(motion, edits, speech, heard)
        return apply_edits(motion, edits, self.models.face)

    # -- frames and clips ---------------------------------------------------------------------

    def prepare(self, face: Face, look: Look = Look()) -> None:
        """Begin to work out what `render` needs of a face, while the caller does something else.

        Nobody has to; it saves up to half a second before the first frame. `render` tells what is
        wrong.
        """
        begin(lambda: self.renderer(face, look))

    @one_thread()
    def render(self, face: Face, motion: Motion, look: Look = Look()) -> Iterator[UInt8]:
        """Frames of a motion on a face, (H, W, 3) uint8 RGB at 25 fps, unmarked.

        Raises:
            OptionInvalid, PhotoUnreadable: of the background; at the call.
        """
        shown = self.expressed(motion)
        return in_order(partial(self.renderer(face, look).frame, shown), len(shown))

    @one_thread()
    def renderer(self, face: Face, look: Look = Look()) -> Renderer:
        """What renders a face's frames, remembered; raises as `render`."""
        check_made("`fit`", Face, face)
        check_made("its constructor", Look, look)
        backdrop = None if look.background is None else load_backdrop(look.background)
        behind = None if backdrop is None else digest_of(backdrop)

        def make() -> Renderer:
            teeth = draw_teeth(self.models.teeth, int(face.digest[:8], 16))
            shading, size = self.models.mouth_light, look.size
            framed = look.framing, size, backdrop
            return Renderer(face, self.models.face, teeth, shading, *framed, skin=self.models.skin)

        key = (face.digest, look.framing, look.size, behind)
        return self.memory.renderers.get(key, make)

    def expressed(self, motion: Motion) -> Motion:
        """The motion with its feeling on its face, as `render` shows it."""
        check_made("`sample`", Motion, motion)
        return express(motion, self.models.face, self.models.expression)

    @one_thread()
    def head(self, face: Face) -> Head:
        """The head in three dimensions of a face, remembered; its notes say what is missing."""
        check_made("`fit`", Face, face)
        side = min(CROP_SIDE * float(face.pose.scale), *face.photo.shape[:2])
        size = int(np.clip(side, *HEAD_SIDES)) // 2 * 2
        look = Look(size=size)
        return self.memory.heads.get(face.digest, lambda: build_head(self.renderer(face, look)))

    def preview(
        self,
        face: Face,
        motion: Motion,
        edits: Edits = (),
        seconds: float | None = None,
        look: Look = PREVIEW,
        speech: Speech | None = None,
    ) -> UInt8:
        """One marked frame of an edited motion, (H, W, 3) uint8 RGB: what the sliders do, at once.

        Args:
            speech: the motion's recording; see `edit`.
            seconds: of which moment; None takes one within the edits where the mouth is open.
        """
        check_made("`sample`", Motion, motion)
        frame = telling_moment(motion, edits := listed(edits), seconds, self.models.face)
        moved = self.expressed(self.edit(motion, edits, speech))
        shown = next(self.render(face, moved[frame : frame + 1], look))
        return Marks().painter(*shown.shape[:2])(shown)

    def animate(
        self,
        face: Face,
        speech: Speech,
        samples: int | Sequence[int] = SAMPLES,
        seed: int = SEED,
        diversity: float = DIVERSITY,
        style: str = STYLE,
        pose_strength: float = POSE_STRENGTH,
        edits: Edits = (),
        look: Look = Look(),
        output: str | Path | None = None,
        mark: Mark | None = None,
        progress: Progress | None = None,
        feeling: Feeling = VOICE,
        feeling_strength: float = FEELING_STRENGTH,
    ) -> Iterator[Clip]:
        """Draw animations, render them, and yield each clip as it is finished.

        Args:
            samples, seed, diversity, style: see `sample`.
            pose_strength: 0 holds the head still (it still speaks and blinks), 1 is natural, at
                most 2.
            edits: what to change in every sample; the clips keep the motions as drawn.
            look: framing, size and background.
            output: folder for the clips, made if it isn't there; files in it that are called as
                the clips are replaced, but never the background. None makes a temporary one,
                which is removed when the process ends: move what is to stay.
            mark: how the visible mark looks that says the clip is made by a machine; None takes
                the one of this installation.
            progress: called with a fraction 0..1 and a sentence, several times a second.
            feeling, feeling_strength: what the faces feel, see `Edit`; edits may want another.

        Yields:
            Clips in the order asked for. A sample that fails has its error set, and the others
            go on.

        Raises:
            OptionInvalid, PhotoUnreadable, OutputUnwritable: at the call, before the first clip.
        """
        changes = [*felt(feeling, feeling_strength), *listed(edits)]
        wanted = commission(samples, seed, diversity, style, pose_strength, changes, look)
        check_made("`fit`", Face, face)
        check_made("`listen`", Speech, speech)
        check_made("its constructor", Mark, *([] if mark is None else [mark]))
        check_progress(progress)
        named, look = wanted.place(output), wanted.shown()

        def clips() -> Iterator[Clip]:
            if progress:
                progress(0.0, "Drawing the animations")
            self.prepare(face, look)
            indices, seed = wanted.indices, wanted.seed
            motions = self.sample(speech, indices, seed, diversity, style)
            folder = named or output_folder(None)  # nobody may ever ask for a clip
            try:
                for done, (index, motion) in enumerate(zip(indices, motions, strict=True)):
                    path = folder / f"{wanted.name(index)}.mp4"
                    told, report = wanted.making(index), part_of(progress, done, len(indices))
                    try:
                        moved = self.edit(motion.with_pose_strength(pose_strength), changes, speech)
                        self.render_motion(face, moved, path, speech, look, mark, report, told)
                        moved.save(path.with_suffix(".npz"))
                    except TalkingFaceError as error:
                        logger.debug("sample %d of seed %d failed: %s", index, seed, error)
                        yield Clip(index, seed, motion, error=error)
                    else:
                        yield Clip(index, seed, motion, path, path.with_suffix(".npz"))
            finally:
                drop_if_empty(folder)

        return clips()

    @one_thread()
    def stream(
        self,
        face: Face,
        sound: Iterable[Any],
        rate: int = SAMPLE_RATE,
        channels: int = 1,
        *,
        seed: int = SEED,
        diversity: float = DIVERSITY,
        style: str = STYLE,
        look: Look = Look(),
        mark: Mark | None = None,
        paced: bool = True,
    ) -> Stream:
        """A face that speaks while the sound still comes: see `talking_face.live.stream.Stream`.

        Args:
            sound, rate, channels: chunks of samples, as `talking_face.live.chunks.Chunks` reads.
            seed, diversity, style: as for `sample`; the lips follow the sound all the same.
            mark: the visible mark of the frames; None takes the one of this installation.
            paced: False takes no notice of the clock: frames come as fast as the sound does.

        Raises:
            OptionInvalid, PhotoUnreadable: at the call; AudioUnreadable: of a chunk, in its turn.
        """
        check_made("`fit`", Face, face)
        check_made("its constructor", Look, look)
        seed = check_sampling(seed, diversity, style)
        self.prepare(face, look)
        models, renderer = self.models, partial(self.renderer, look=look)
        networks = models.live_ear, models.mapping, models.eyes, models.face
        drawn = seed, 0, float(diversity), STYLES[style]
        performance = Performance(*networks, *drawn, models.emotion)
        manner = Manner(models.face, models.expression)
        chunks = Chunks(sound, rate, channels)
        return Stream(chunks, performance, manner, renderer, face, mark, paced)

    def render_motion(
        self,
        face: Face,
        motion: Motion,
        path: str | Path,
        speech: Speech | None = None,
        look: Look = Look(),
        mark: Mark | None = None,
        progress: Progress | None = None,
        making: Mapping[str, Any] | None = None,
    ) -> Path:
        """Render one motion, drawn or edited or loaded, to an mp4; with the sound of a recording.

        A file that is at the path already is replaced, but never the background.

        Args:
            making: what the clip's signed statement tells of how the motion was made, beside the
                weights, framing and size, and the SHA-256 of photo, sound and motion.

        Raises:
            OptionInvalid, PhotoUnreadable, OutputUnwritable, EncodingFailed, FfmpegMissing,
            CredentialsUnusable.
        """
        check_shown(face, motion, speech, look, mark, progress)
        keep_apart(result_path(path, ".mp4"), look.background)
        frames = watched(self.render(face, motion, look), len(motion), "Rendering", progress)
        sources = {"photo": face.digest, "motion": digest_of(motion.as_array())}
        sources |= {"sound": speech.digest} if speech else {}
        origin = Origin({} if making is None else making, sources)
        origin = origin.with_settings(framing=look.framing, size=look.size)
        recording = speech.recording if speech else None
        return write_clip(frames, path, recording, mark, origin, count=len(motion))

    def compare(self, clips: Iterable[Clip], path: str | Path) -> Path:
        """Write the finished ones of some clips side by side, labelled, to one mp4.

        Raises:
            OptionInvalid: none of the clips was finished.
            OutputUnwritable, EncodingFailed, FfmpegMissing.
        """
        given: list[Any] = list(clips) if holds_several(clips) else [clips]
        check_made("`animate`", Clip, *given)
        finished = [(clip.path, clip.label) for clip in given if clip.path]
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
    return _animator(find_device(device), find_pack(insightface_pack))


@lru_cache(maxsize=2)
def _animator(device: str, insightface_pack: Path | None) -> Animator:
    return Animator(load_models(device, insightface_pack))
