"""The cores of this machine, and how work is spread over them.

One thing at a time takes one core, and several things go on side by side: frames of a clip, clips
of several orders. Threads inside a small operation wait for each other far longer than they work as
soon as another program wants a core too; drawing four samples then takes fifty times as long.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, lru_cache
from sys import modules
from threading import Barrier, Lock, Thread
from typing import Any

import cv2
import torch
from threadpoolctl import ThreadpoolController

from talking_face.arrays import Array
from talking_face.interruption import heed
from talking_face.processes import Helpers, Shared

SHARED = 12  # pieces, from which work is worth handing to another process
AHEAD = 2  # pieces of work a core that may be finished, or under way, before they are asked for


@cache
def available() -> int:
    """How many cores this process may use: what a container or `taskset` leaves it, at least 1."""
    from joblib import cpu_count

    return int(cpu_count())


class _Pools:
    """What `single_pools` has changed, and for how many."""

    def __init__(self) -> None:
        self.lock = Lock()
        self._inside = 0
        self._cv2 = 0
        self._libraries: Any = None
        self._limits: Any = None

    def enter(self) -> None:
        with self.lock:
            self._inside += 1
            if self._inside == 1:
                self._cv2 = cv2.getNumThreads()
                cv2.setNumThreads(1)
                self._libraries = _blas(len(modules))
                _take_over(self._libraries)
                self._limits = self._libraries.limit(limits=1)

    def leave(self) -> None:
        with self.lock:
            self._inside -= 1
            if self._inside == 0:
                _take_over(self._libraries)
                self._limits.restore_original_limits()
                cv2.setNumThreads(self._cv2)


_pools = _Pools()


@lru_cache(1)
def _blas(_: int) -> Any:
    """What sets the threads of numpy's and scipy's linear algebra.

    Looked up again where modules were loaded since: with them, libraries may have been.
    """
    return ThreadpoolController().select(user_api="blas")


def _take_over(libraries: Any) -> None:
    """Let this thread set limits: since threadpoolctl 3.8, nobody hears of other threads than the
    first, and nothing is said of it."""
    for library in libraries.lib_controllers:
        if clear := getattr(library, "clear_controlling_thread", None):
            clear(force=True)


@contextmanager
def single_pools() -> Generator[None, None, None]:
    """While anybody is inside, numpy and OpenCV do each operation on its caller's thread.

    They count their threads for the whole process, so what they were before comes back when the
    last one leaves. For iterators, each of whose steps may be asked for by another thread.
    """
    _pools.enter()
    try:
        yield
    finally:
        _pools.leave()


@contextmanager
def one_thread() -> Generator[None, None, None]:
    """Inside, torch, numpy and OpenCV do each operation on its caller's thread. Also a decorator.

    Torch counts its threads for each thread that calls it.
    """
    before = _alone()
    try:
        with single_pools():
            yield
    finally:
        if before != 1:
            torch.set_num_threads(before)


def _alone() -> int:
    """Take torch's helpers from the calling thread; returns how many threads it was with them."""
    before = torch.get_num_threads()
    if before != 1:
        torch.set_num_threads(1)
        # It is also what threads begin with that use torch later: they shall as they would have.
        later = Thread(target=torch.set_num_threads, args=(before,))
        later.start()
        later.join()
    return before


@cache
def _pool() -> ThreadPoolExecutor:
    """A thread for each core, all of them started.

    An interrupt while the executor starts one would leave it behind, unknown, and the process would
    wait for it at its end. Only the main thread is interrupted, so another one starts them.
    """
    pool = ThreadPoolExecutor(available(), "core", _alone)
    met = Barrier(available())
    starter = Thread(target=lambda: list(pool.map(lambda _: met.wait(), range(available()))))
    starter.start()
    starter.join()
    return pool


def begin(work: Callable[[], object]) -> None:
    """Have something done by another core, if there is one to spare; nobody hears how it ends."""
    _pool().submit(work)


_helpers = Helpers()


def hire(work: Callable[[int], Array]) -> None:
    """Let the helpers of `talking_face.processes` start now, if there is more than one core.

    They are ready when this returns. Nobody has to: where much is asked for, they start by
    themselves.

    Args:
        work: as it will be asked for later, so that all it needs is loaded.
    """
    parcel = Shared(work, _helpers, available()).parcel()
    if parcel is not None:
        _helpers.hire(available(), parcel)


def in_order(work: Callable[[int], Array], count: int) -> Iterator[Array]:
    """work(0), work(1), … work(count - 1), made on all cores and handed out in their order.

    No more than `AHEAD` a core are made ahead of what is asked for, whatever the count. All callers
    share the cores. When the iterator is closed, or a piece of work fails, what hasn't begun never
    will. Work that can be pickled may be done in another process, see `talking_face.processes`.
    """
    waiting: deque[Future[Array]] = deque()
    if count >= SHARED:
        work = Shared(work, _helpers, available())
    with single_pools():
        try:
            for index in range(count):
                heed()
                waiting.append(_pool().submit(work, index))
                if len(waiting) >= AHEAD * available():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for job in waiting:
                job.cancel()


def _in_child() -> None:
    global _helpers
    _pools.lock.release()
    _helpers.leave()
    _helpers = Helpers()
    _pool.cache_clear()  # its threads stayed with the parent


if hasattr(os, "register_at_fork"):  # a forked process must not find the lock taken for ever
    os.register_at_fork(
        before=_pools.lock.acquire,
        after_in_parent=_pools.lock.release,
        after_in_child=_in_child,
    )
