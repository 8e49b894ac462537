"""A live face: frames while the sound still comes, and what can be said to it meanwhile.

The sound is heard in a thread of its own while the frames of what was heard before are rendered by
who asks for them, so that two cores are enough. Knows nothing of networks of computers.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Full, Queue
from threading import Thread
from typing import Any

import numpy as np

from talking_face.arrays import Array, Int16, UInt8
from talking_face.clips.mark import Mark
from talking_face.clips.marks import Marks
from talking_face.cores import begin, one_thread, single_pools
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid
from talking_face.face.face import Face
from talking_face.live.chunks import Chunks
from talking_face.live.manner import Manner
from talking_face.live.performance import Passage, Performance
from talking_face.live.phones import AHEAD, HOP
from talking_face.live.supply import SOUND_FRAME, Hop, Paced, eager
from talking_face.live.take import MOST_PHOTOS, Take, Tape
from talking_face.motion import CHANNELS, FPS, Motion
from talking_face.options import check_made
from talking_face.picture.renderer import Renderer

DELAY = (AHEAD + HOP) / FPS  # seconds from a sound to its frame, without the work
_CLOSING = (0.45, 0.12)  # of the mouth that was interrupted, in the frames after; then it is shut
_BEHIND = 0.25  # seconds that a frame may be late; later ones are left out
_SHOWN = 5  # of so many frames one is shown, however late
_ENOUGH = 2  # passages that wait to be rendered
_ENDING = 5.0  # seconds that hearing the last hop may take on a busy machine


@dataclass(frozen=True, eq=False)
class Moment:
    """One frame of a live face.

    Attributes:
        time: seconds of the stream at which the frame begins.
        frame: (H, W, 3) uint8 RGB, with the visible and the invisible mark.
        sound: (n,) int16, 48 kHz mono: that of this frame, and before it that of those that were
            left out; it ends when the frame does.
        gate: 0 where the face listens … 1 where it speaks.
    """

    time: float
    frame: UInt8
    sound: Int16
    gate: float


@dataclass(frozen=True, eq=False)
class _Heard:
    """A passage, its sound, and how many interruptions there had been when it was heard."""

    passage: Passage
    sound: Int16
    interruptions: int


class Stream:
    """An iterator of Moments, made by `Animator.stream`; close it, or leave its `with`.

    Paced, it goes with the clock: where sound comes late, the face listens meanwhile, and where the
    machine is late, frames are left out. It ends a second after the sound. `interrupt`, `change`,
    `show`, `record`, `cut` and `close` may be called from any thread.

    Args:
        chunks: of the sound.
        performance: hears and moves.
        manner: how the face is to look.
        renderer: gives the renderer of a face.
        face: who is seen.
        mark: the visible one on every frame; None takes that of this installation.
        paced: whether it goes with the clock, or as fast as the sound comes.
        clock: seconds.
    """

    def __init__(
        self,
        chunks: Chunks,
        performance: Performance,
        manner: Manner,
        renderer: Callable[[Face], Renderer],
        face: Face,
        mark: Mark | None = None,
        paced: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_made("its constructor", Mark, *([] if mark is None else [mark]))
        self._chunks = chunks
        self._performance, self._manner = performance, manner
        self._renderer, self._clock = renderer, clock
        self._marks = Marks(visible=mark)  # one number for the whole stream
        self._interruptions = 0
        self._paced: Paced | None = None
        self._wants_pace, self._closed = paced, False
        self._tape: Tape | None = None
        self._wanted = face  # who is to be seen
        self._seen: set[str] = set()  # the photos of what is being recorded
        self._screen = self._make_screen(face)
        self._moments = self._run()

    def __iter__(self) -> Iterator[Moment]:
        return self

    def __next__(self) -> Moment:
        return next(self._moments)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- control ------------------------------------------------------------------------------

    def change(self, edit: Edit) -> None:
        """Mood, gaze, pose strength and all else that an Edit says, from now on, in half a second.

        Its times don't matter, and blinks stay as they are.
        """
        check_made("its constructor", Edit, edit)
        self._manner.change(edit)

    def show(self, face: Face) -> None:
        """Another photo, as soon as it is ready.

        Raises:
            OptionInvalid: it would be one too many in what is being recorded.
        """
        check_made("`fit`", Face, face)
        if self.recording:
            if len(self._seen | {face.digest}) > MOST_PHOTOS:
                raise OptionInvalid(
                    f"A recording shows {MOST_PHOTOS} photos at most. End it before another one."
                )
            self._seen.add(face.digest)
        self._wanted = face

        def swap() -> None:
            screen = self._make_screen(face)
            if self._wanted is face:  # not one that was asked for meanwhile
                self._screen = screen

        begin(swap)

    def interrupt(self) -> None:
        """Stop talking: what was given and not yet shown is forgotten, and the mouth closes."""
        self._interruptions += 1
        if self._paced:
            self._paced.drop()
        else:
            self._chunks.drop()

    def record(self) -> None:
        """Keep what is shown and heard from now on, until `cut`: ten minutes and eight photos at
        most."""
        self._seen = {self._screen[0].digest, self._wanted.digest}
        self._tape = Tape()

    @property
    def recording(self) -> bool:
        """Whether something is being kept."""
        return self._tape is not None

    def cut(self) -> Take:
        """What was kept since `record`, for `talking_face.exports.write_take`; no more is kept.

        Raises:
            OptionInvalid: nothing was.
        """
        tape, self._tape = self._tape, None
        if tape is None:
            raise OptionInvalid("Nothing is being recorded. Begin with `record`.")
        return tape.take()

    def close(self) -> None:
        """End the stream and let go of everything."""
        self._closed = True
        if self._paced:
            self._paced.close()

    # -- the work -----------------------------------------------------------------------------

    def _make_screen(self, face: Face) -> tuple[Face, Renderer, Callable[[UInt8], UInt8]]:
        renderer = self._renderer(face)
        still = renderer.frame(Motion.still(1))
        return face, renderer, self._marks.painter(*still.shape[:2])

    def _run(self) -> Iterator[Moment]:
        with single_pools():
            heard = self._in_thread() if self._wants_pace else self._hear(eager(self._chunks))
            shown = _Mouth()
            begun = late = None
            waiting: list[Int16] = []
            for part in heard:
                begun = self._clock() if begun is None else begun
                for i in range(len(part.passage.gate)):
                    number = part.passage.start + i
                    if self._closed:
                        return
                    silent = part.interruptions != self._interruptions
                    motion = shown.next(part.passage, i, silent)
                    motion = self._manner.apply(motion, part.passage.felt)
                    piece = part.sound[i * SOUND_FRAME : (i + 1) * SOUND_FRAME]
                    waiting.append(np.zeros_like(piece) if silent else piece)
                    face, renderer, painted = self._screen
                    if tape := self._tape:
                        tape.add(face, motion, waiting[-1])
                    late = self._clock() - begun - number / FPS
                    if self._wants_pace and late > _BEHIND and number % _SHOWN:
                        continue
                    frame = painted(renderer.frame(motion))
                    gate = 0.0 if silent else float(part.passage.gate[i])
                    yield Moment(number / FPS, frame, np.concatenate(waiting), gate)
                    waiting = []

    def _hear(self, hops: Iterator[Hop]) -> Iterator[_Heard]:
        """What is seen and heard of the hops, frame by frame."""
        known = self._interruptions
        played = np.zeros(0, dtype=np.int16)  # of the frames that aren't known yet
        for hop in hops:
            now = self._interruptions
            if now != known:
                known = now
                self._performance.interrupt()
                played = np.zeros_like(played)
            with one_thread():
                passage = self._performance.hear(hop.heard)
            played = np.concatenate([played, hop.played])
            size = len(passage.gate) * SOUND_FRAME
            if size:
                yield _Heard(passage, played[:size], known)
            played = played[size:]

    def _in_thread(self) -> Iterator[_Heard]:
        """The same, heard by a thread at the clock's pace."""
        self._paced = paced = Paced(self._chunks, self._clock)
        if self._closed:
            paced.close()
        queue: Queue[_Heard | Exception | None] = Queue(_ENOUGH)

        def work() -> None:
            last: Exception | None = None
            try:
                for part in self._hear(paced.hops()):
                    _put(queue, part, lambda: self._closed)
            except Exception as error:  # noqa: BLE001 (told to whoever asks for frames)
                last = error
            _put(queue, last, lambda: self._closed)

        ear = Thread(target=work, daemon=True, name="live ear")
        ear.start()

        def end() -> None:
            self.close()
            ear.join(_ENDING)

        # A program that ends while torch hears something in a thread is aborted.
        atexit.register(end)
        try:
            while not self._closed:
                with suppress(Empty):
                    part = queue.get(timeout=0.2)
                    if part is None:
                        return
                    if isinstance(part, Exception):
                        raise part
                    yield part
        finally:
            atexit.unregister(end)
            end()


def _put(queue: Queue[Any], item: Any, given_up: Callable[[], bool]) -> None:
    while not given_up():
        with suppress(Full):
            queue.put(item, timeout=0.2)
            return


class _Mouth:
    """Passes over what a passage says, or closes the mouth where it was interrupted."""

    def __init__(self) -> None:
        self._last: Array | None = None  # (22,), what was shown last
        self._left: Array | None = None  # and by how much it differed from silence
        self._since = 0  # frames since the interruption

    def next(self, passage: Passage, index: int, interrupted: bool) -> Motion:
        """The frame of a passage, as it is shown, a motion of one."""
        here = slice(index, index + 1)
        silent, motion = passage.silent[here], passage.motion[here]
        if interrupted and self._left is None and self._last is not None:
            self._left, self._since = self._last - _expression(silent), 0
        if self._left is not None:
            motion = silent if interrupted else motion
            part = _CLOSING[self._since] if self._since < len(_CLOSING) else 0.0
            face = _expression(motion) + part * self._left
            lower, upper = np.split(face[None], [CHANNELS["lower"]], axis=1)
            motion = motion.replace(lower=lower, upper=upper)
            self._since += 1
            if not interrupted and self._since > len(_CLOSING):
                self._left = None
        self._last = _expression(motion)
        return motion


def _expression(motion: Motion) -> Array:
    return np.concatenate([motion.lower[0], motion.upper[0]])
