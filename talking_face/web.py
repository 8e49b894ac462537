"""What the web page does: one function an action, errors as sentences, progress as text.

Knows Gradio's messages and uploads, nothing of the page's looks; that is `app.py`. Everything real
happens in the animator. Only here errors become `gr.Error`.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Event
from typing import Any, Literal

import gradio as gr
import spaces
from gradio.utils import get_upload_folder

from talking_face.animator import Animator, Clip, load_animator
from talking_face.audio import Recording, load_audio
from talking_face.errors import AudioUnreadable, OptionInvalid, PhotoUnreadable, TalkingFaceError
from talking_face.motion import Motion
from talking_face.speech import Speech

ZERO_GPU = bool(os.environ.get("SPACES_ZERO_GPU"))
SHOWN_BY_BROWSERS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".avif"}
COMPARING = 0.95  # fraction of the work that is done when the comparison begins

logger = logging.getLogger(__name__)

Upload = Any  # Gradio's record of an upload, a mapping with its "path" on this machine; or None


class Stopped(Exception):
    """The visitor has cancelled the run, or left."""


@dataclass(frozen=True)
class Order:
    """What a visitor asks for. Checked by the animator; see there for the ranges."""

    photo: Path
    audio: Path
    samples: int = 4
    seed: int = 0
    diversity: float = 1.0
    pose_strength: float = 1.0
    framing: Literal["crop", "photo"] = "crop"
    face: int = 0


# -- models ---------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _loading() -> Future[Animator]:
    # On ZeroGPU machines CUDA exists only inside `hear_and_draw`; the rest works on the CPU.
    return ThreadPoolExecutor(1).submit(load_animator, "cpu" if ZERO_GPU else None)


def start_loading() -> None:
    """Begin to load the models in the background."""
    _loading()


def animator() -> Animator:
    """The animator; waits until the models are there.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return _loading().result()


if ZERO_GPU:
    load_animator("cuda")  # ZeroGPU wants models to be placed while modules load


def gpu_seconds(recording: Recording, samples: int, seed: int, diversity: float) -> float:
    """How long the GPU is asked for: the same arguments as `hear_and_draw`."""
    del seed, diversity
    return 10 + 0.05 * recording.duration * (1 + samples)


@spaces.GPU(duration=gpu_seconds)
def hear_and_draw(
    recording: Recording, samples: int, seed: int, diversity: float
) -> tuple[Speech, list[Motion]]:
    """The work of the networks: hearing, and drawing the motions. Arrays only, no tensors."""
    networks = load_animator("cuda") if ZERO_GPU else animator()
    speech = networks.listen(recording)
    return speech, networks.sample(speech, samples, seed, diversity)


# -- actions --------------------------------------------------------------------------------------


@contextmanager
def plain_sentences() -> Iterator[None]:
    """The package's errors become messages on the page."""
    try:
        yield
    except TalkingFaceError as error:
        raise gr.Error(str(error), print_exception=False) from error


def check_photo(photo: Upload) -> tuple[Any, Any]:
    """Look for faces as soon as a photo is there.

    Returns:
        Updates of the photo, shown in a format that browsers know, and of the face picker.
    """
    if photo is None:
        return gr.skip(), gr.update(visible=False, value=None)
    path = Path(photo["path"])
    with plain_sentences():
        animator().fit(path)
        boxes = animator().faces(path)
    places = sorted(range(len(boxes)), key=lambda index: boxes[index][0])
    choices = [
        (f"{place + 1} from the left" + (", the largest" if index == 0 else ""), index)
        for place, index in enumerate(places)
    ]
    shown = gr.skip()
    if path.suffix.lower() not in SHOWN_BY_BROWSERS:
        from talking_face.images import load_photo

        shown = gr.update(value=load_photo(path))
    return shown, gr.update(choices=choices, value=0, visible=len(boxes) > 1)


def check_audio(audio: Upload) -> None:
    """Decode a recording as soon as it is there, so that a bad one is told at once."""
    if audio is not None:
        with plain_sentences():
            load_audio(audio["path"])


def read_order(
    photo: Upload,
    audio: Upload,
    samples: Any = Order.samples,
    seed: Any = Order.seed,
    diversity: Any = Order.diversity,
    pose_strength: Any = Order.pose_strength,
    framing: Any = Order.framing,
    face: Any = Order.face,
) -> Order:
    """An order from what the page or a client sends.

    Raises:
        PhotoUnreadable, AudioUnreadable: there is none.
        OptionInvalid: not a number where there should be one.
    """
    if photo is None:
        raise PhotoUnreadable("There is no photo yet. Add one that shows a face from the front.")
    if audio is None:
        raise AudioUnreadable("There is no recording yet. Add one, or record your voice.")
    try:
        return Order(
            photo=Path(photo["path"]),
            audio=Path(audio["path"]),
            samples=int(samples),
            seed=int(seed),
            diversity=float(diversity),
            pose_strength=float(pose_strength),
            framing=framing,
            face=int(face or 0),
        )
    except (TypeError, ValueError) as error:
        raise OptionInvalid(
            "Seed, samples, diversity, pose strength and face must be numbers."
        ) from error


def make_clips(order: Order, report: Callable[[float, str], None]) -> Iterator[Clip | Path]:
    """Carry out an order: the clips as they finish, then the comparison of several.

    Args:
        report: called with a fraction 0..1 and a sentence; what it raises ends the work.

    Raises:
        TalkingFaceError: see `Animator`.
    """
    report(0.0, "Looking at the photo")  # also while the models are being loaded
    face = animator().fit(order.photo, order.face)
    report(0.0, "Listening to the recording")
    recording = load_audio(order.audio)
    speech, motions = hear_and_draw(recording, order.samples, order.seed, order.diversity)
    folder = tempfile.mkdtemp(prefix="talking-face-", dir=results_folder())
    finished: list[Clip] = []
    for clip in animator().animate(
        face,
        speech,
        samples=order.samples,
        seed=order.seed,
        diversity=order.diversity,
        pose_strength=order.pose_strength,
        framing=order.framing,
        output=folder,
        motions=motions,
        progress=lambda fraction, message: report(COMPARING * fraction, message),
    ):
        finished.append(clip)
        yield clip
    if sum(clip.path is not None for clip in finished) > 1:
        report(COMPARING, "Putting the samples side by side")
        yield animator().compare(finished, Path(folder) / f"comparison_seed-{order.seed}.mp4")


def generate(
    photo: gr.FileData,
    audio: gr.FileData,
    samples: int = Order.samples,
    seed: int = Order.seed,
    diversity: float = Order.diversity,
    pose_strength: float = Order.pose_strength,
    framing: Literal["crop", "photo"] = Order.framing,
    face: int = Order.face,
) -> tuple[list[gr.FileData], list[gr.FileData], gr.FileData | None, int]:
    """Make several talking clips from one photo and one recording.

    Args:
        photo: an image with a face seen from the front.
        audio: a sound or video file, 0.3 s to 10 minutes.
        samples: how many clips, 1 to 6.
        seed: 0 to 2147483647; the same seed gives the same clips.
        diversity: how much the clips differ, 0 to 1.5.
        pose_strength: how much the head moves, 0 to 2.
        framing: "crop" for head and shoulders, "photo" for the whole photo.
        face: which face of several, counted from 0, the largest first.

    Returns:
        The clips (mp4), their motions (npz), all clips side by side (mp4; none for one sample),
        and the seed.
    """
    with plain_sentences():
        order = read_order(photo, audio, samples, seed, diversity, pose_strength, framing, face)
        made = list(make_clips(order, _log))
        clips = [clip for clip in made if isinstance(clip, Clip)]
        for clip in clips:
            if clip.error:
                raise clip.error
    comparison = made[-1] if isinstance(made[-1], Path) else None
    return (
        [gr.FileData(path=str(clip.path)) for clip in clips],
        [gr.FileData(path=str(clip.motion_path)) for clip in clips],
        gr.FileData(path=str(comparison)) if comparison else None,
        order.seed,
    )


# -- runs -----------------------------------------------------------------------------------------


class Runs:
    """Which visitors have a run under way, so that they can stop it."""

    def __init__(self) -> None:
        self._stops: dict[str, Event] = {}

    @contextmanager
    def started(self, visitor: str) -> Iterator[Event]:
        """A run; it has to end when the event is set."""
        stop = self._stops[visitor] = Event()
        try:
            yield stop
        finally:
            if self._stops.get(visitor) is stop:
                del self._stops[visitor]

    def stop(self, visitor: str) -> None:
        """Stop the visitor's run, if there is one."""
        if stop := self._stops.get(visitor):
            stop.set()


def reporter(
    progress: gr.Progress, stop: Event, clock: Callable[[], float] = time.monotonic
) -> Callable[[float, str], None]:
    """A function that shows a stage and the time left, and raises Stopped once `stop` is set."""
    began = clock()

    def report(fraction: float, message: str) -> None:
        nonlocal began
        if stop.is_set():
            raise Stopped
        if fraction == 0:
            began = clock()  # what came before tells nothing of what is to come
        elapsed = clock() - began
        if elapsed > 1:
            message += f" · about {elapsed / fraction * (1 - fraction):.0f} s left"
        progress(fraction, desc=message)

    return report


def results_folder() -> Path:
    """Where results go: Gradio's own folder, so that it deletes them in time."""
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _log(fraction: float, message: str) -> None:
    logger.debug("%3.0f %% %s", 100 * fraction, message)
