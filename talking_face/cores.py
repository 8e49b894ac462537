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
from functools import cache
from threading import Barrier, Lock, Thread
from typing import Any, TypeVar

import cv2
import torch
from threadpoolctl import ThreadpoolController

from talking_face.interruption import heed

T = TypeVar("T")

AHEAD = 2  # pieces of work a core that may be finished, or under way, before they are asked for


@cache
def available() -> int:
    """How many cores this process may use: what a container or `taskset` leaves it, at least 1."""
    from joblib import cpu_count

    return int(cpu_count())


class _Single:
    """What `one_thread` has changed, and for how many."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.inside = 0
        self.before = (0, 0)
        self.limits: Any = None

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            if self.inside == 1:
                self.before = torch.get_num_threads(), cv2.getNumThreads()
                torch.set_num_threads(1)
                cv2.setNumThreads(1)
                self.limits = ThreadpoolController().limit(limits=1)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limits.restore_original_limits()
                torch.set_num_threads(self.before[0])
                cv2.setNumThreads(self.before[1])


_single = _Single()


@contextmanager
def one_thread() -> Generator[None, None, None]:
    """While anybody is inside, torch, numpy and OpenCV do each operation on its caller's thread.

    They count their threads for the whole process, so what they were before comes back when the
    last one leaves. Also a decorator.
    """
    _single.enter()
    try:
        yield
    finally:
        _single.leave()


@cache
def _pool() -> ThreadPoolExecutor:
    """A thread for each core, all of them started.

    An interrupt while the executor starts one would leave it behind, unknown, and the process would
    wait for it at its end. Only the main thread is interrupted, so another one starts them.
    """
    pool = ThreadPoolExecutor(available(), "core")
    met = Barrier(available())
    starter = Thread(target=lambda: list(pool.map(lambda _: met.wait(), range(available()))))
    starter.start()
    starter.join()
    return pool


def begin(work: Callable[[], object]) -> None:
    """Have something done by another core, if there is one to spare; nobody hears how it ends."""
    _pool().submit(work)


def in_order(work: Callable[[int], T], count: int) -> Iterator[T]:
    """work(0), work(1), … work(count - 1), made on all cores and handed out in their order.

    No more than `AHEAD` a core are made ahead of what is asked for, whatever the count. All callers
    share the cores. When the iterator is closed, or a piece of work fails, what hasn't begun never
    will.
    """
    waiting: deque[Future[T]] = deque()
    with one_thread():
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
    _single.lock.release()
    _pool.cache_clear()  # its threads stayed with the parent


if hasattr(os, "register_at_fork"):  # a forked process must not find the lock taken for ever
    os.register_at_fork(
        before=_single.lock.acquire,
        after_in_parent=_single.lock.release,
        after_in_child=_in_child,
    )
