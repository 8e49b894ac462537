"""The animator, loaded once in the background, and the part of the work that wants a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import spaces

from talking_face.animator import Animator, load_animator
from talking_face.cluster import Cluster
from talking_face.motion import Motion
from talking_face.remote import RemoteAnimator
from talking_face.sound.audio import Recording
from talking_face.sound.speech import Speech
from talking_face.warm_up import warm_up
from talking_face.web.events import ORDERS

ZERO_GPU = bool(os.environ.get("SPACES_ZERO_GPU"))

Take = tuple[int, int]  # seed and index: together with the speech they decide a sample


@lru_cache(maxsize=1)
def _loading() -> Future[Animator]:
    # On ZeroGPU machines CUDA exists only inside `hear_and_draw`; the rest works on the CPU.
    return ThreadPoolExecutor(1).submit(_load)


def _load() -> Animator:
    loaded = load_animator("cpu" if ZERO_GPU else None)
    if workers := _cluster():
        return RemoteAnimator(loaded.models, workers)
    warm_up(loaded)
    return loaded


@lru_cache(maxsize=1)
def _cluster() -> Cluster | None:
    """The workers that the server's owner has named in TALKING_FACE_RAY; None where nobody has."""
    address = os.environ.get("TALKING_FACE_RAY")
    return Cluster(address) if address else None


def orders_at_once() -> int:
    """How many orders are carried out side by side: one a worker of the cluster, if there is one.

    Raises:
        WorkersMissing: it can't be reached.
    """
    workers = _cluster()
    return workers.workers if workers else ORDERS


def start_loading() -> None:
    """Begin to load the models in the background."""
    _loading()


def animator() -> Animator:
    """The animator; waits until the models are there.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return _loading().result()


def expire() -> None:
    """Forget what was worked out of photos and recordings whose time is over."""
    loading = _loading()
    if loading.done() and loading.exception() is None:
        loading.result().memory.expire()


if ZERO_GPU:
    load_animator("cuda")  # ZeroGPU wants models to be placed while modules load


def gpu_seconds(recording: Recording, takes: Sequence[Take], diversity: float, style: str) -> float:
    """How long the GPU is asked for: the same arguments as `hear_and_draw`."""
    del diversity, style
    return 10 + 0.05 * recording.duration * (1 + len(takes))


@spaces.GPU(duration=gpu_seconds)  # type: ignore[untyped-decorator]
def hear_and_draw(
    recording: Recording, takes: Sequence[Take], diversity: float, style: str
) -> tuple[Speech, list[Motion]]:
    """The work of the networks: hearing, and drawing one motion a take. Arrays, no tensors."""
    networks = load_animator("cuda") if ZERO_GPU else animator()
    speech = networks.listen(recording)
    drawn: dict[Take, Motion] = {}
    for seed in {seed for seed, _ in takes}:  # all takes of a seed at once
        indices = [index for owner, index in takes if owner == seed]
        motions = networks.sample(speech, indices, seed, diversity, style)
        drawn |= {(seed, index): motion for index, motion in zip(indices, motions, strict=True)}
    return speech, [drawn[take] for take in takes]
