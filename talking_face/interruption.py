"""Work that nobody wants any more, and how it comes to its end.

Who starts the work says how to find out whether it is still wanted; what takes long asks in between
by `heed`. Neither of them needs to know the other, nor anything between them. Threads that are
started inside don't ask by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")
Unwanted = Callable[[], bool]  # quick, and from any thread


class Stopped(Exception):
    """Who ordered the work has cancelled it, or left."""


_unwanted: ContextVar[Unwanted] = ContextVar("unwanted", default=lambda: False)


def heed() -> None:
    """Raise Stopped where the work that is being done isn't wanted any more."""
    if _unwanted.get()():
        raise Stopped


def unwanted() -> Unwanted:
    """What `heed` asks here, for other threads."""
    return _unwanted.get()


@contextmanager
def heeding(unwanted: Unwanted) -> Generator[None, None, None]:
    """What is done inside stops soon after this has become true."""
    before = _unwanted.set(unwanted)
    try:
        yield
    finally:
        _unwanted.reset(before)


def heeding_steps(steps: Iterator[T], unwanted: Unwanted) -> Iterator[T]:
    """The same for an iterator, each of whose steps may be asked for in another context."""
    while True:
        with heeding(unwanted):
            try:
                step = next(steps)
            except StopIteration:
                return
        yield step
