"""An animator whose heavy work is done by the workers of a cluster.

Looking at photos, hearing and rendering go there, and what they give comes back; drawing motions
and editing stay here, for they take less time than the way. The clips are the same, apart from
the marks that name each copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event, Lock
from typing import Any

from cachetools import LRUCache

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array, UInt8
from talking_face.clips.mark import Mark
from talking_face.cluster import Cluster
from talking_face.commission import check_shown
from talking_face.errors import OptionInvalid
from talking_face.face.face import Face
from talking_face.face.photo import PhotoSource
from talking_face.files import keep_apart, result_path, writing
from talking_face.gate import admit
from talking_face.interruption import Stopped, heed
from talking_face.memory import Key, face_key, speech_key
from talking_face.models import Models
from talking_face.motion import Motion
from talking_face.options import Look, Progress, whole_number
from talking_face.senses import admitted, with_notes
from talking_face.sound.audio import AudioSource, Recording, recording_of
from talking_face.sound.speech import Speech

KEPT = 64  # faces and recordings that stay in the cluster's store


class RemoteAnimator(Animator):
    """As an `Animator`, with a cluster.

    Args:
        models: for what stays here.
        cluster: whose workers do the rest; its version of this package must be ours.
    """

    def __init__(self, models: Models, cluster: Cluster) -> None:
        super().__init__(models)
        self._cluster = cluster
        self._kept: LRUCache[Key, Any] = LRUCache(KEPT)
        self._lock = Lock()

    def fit(self, photo: PhotoSource, face_index: int | None = None) -> Face:
        """See `Animator.fit`."""
        if face_index is not None:
            face_index = whole_number("The number of the face", face_index)
        given = admitted(photo)  # here, where its owner keeps the gate
        pixels = given.pixels

        def fitted() -> Face:
            return self._made(_fit, pixels, face_index)

        return with_notes(
            given, lambda: self.memory.faces.get(face_key(pixels, face_index), fitted)
        )

    def listen(self, audio: AudioSource | tuple[int, Array] | Recording) -> Speech:
        """See `Animator.listen`."""
        recording = recording_of(audio)
        admit("sound", recording)
        return self.memory.speeches.get(
            speech_key(recording), lambda: self._made(_listen, recording)
        )

    def prepare(self, face: Face, look: Look = Look()) -> None:
        """Nothing: workers render."""

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
        """See `Animator.render_motion`; what `progress` raises stops the worker."""
        check_shown(face, motion, speech, look, mark, progress)
        path = result_path(path, ".mp4")
        keep_apart(path, look.background)
        heard = speech and self._stored(speech_key(speech.recording), speech)
        given = self._stored((face.digest,), face), motion, heard, look, mark, making
        with writing(path) as hidden:
            for made in self._cluster.stream(_render, *given):
                heed()
                if isinstance(made, bytes):
                    hidden.write_bytes(made)
                elif progress:
                    progress(*made)
        return path

    def _made(self, work: Callable[..., Any], *given: Any) -> Any:
        reference = self._cluster.remote(work).remote(*given)
        try:
            return self._cluster.get(reference)
        except Stopped:
            self._cluster.cancel(reference)
            raise

    def _stored(self, key: Key, value: Face | Speech) -> Any:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._cluster.put(value)
            return self._kept[key]


# -- in a worker ----------------------------------------------------------------------------------


def _fit(pixels: UInt8, face_index: int | None) -> Face:
    return load_animator().fit(pixels, face_index)


def _listen(recording: Recording) -> Speech:
    return load_animator().listen(recording)


def _render(
    face: Face,
    motion: Motion,
    speech: Speech | None,
    look: Look,
    mark: Mark | None,
    making: Mapping[str, Any] | None,
) -> Iterator[tuple[float, str] | bytes]:
    """How far it is, from time to time, and at last the mp4."""
    told: SimpleQueue[tuple[float, str] | None] = SimpleQueue()
    given_up = Event()

    def report(fraction: float, stage: str) -> None:
        if given_up.is_set():
            raise OptionInvalid("Nobody waits for this clip any more.")
        told.put((fraction, stage))

    with TemporaryDirectory(prefix="talking_face_") as folder, ThreadPoolExecutor(1) as pool:
        path = Path(folder) / "clip.mp4"
        made = pool.submit(
            load_animator().render_motion, face, motion, path, speech, look, mark, report, making
        )
        made.add_done_callback(lambda _: told.put(None))
        try:
            while (news := told.get()) is not None:
                yield news
        finally:
            given_up.set()
        yield made.result().read_bytes()
