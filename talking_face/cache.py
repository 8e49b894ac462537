"""Remembering what was worked out, by content; bounded in bytes and in time.

Knows how much memory a value holds, whatever it is made of; knows nothing of faces and sounds.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from threading import Lock
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from cachetools import TTLCache

from talking_face.arrays import Array
from talking_face.interruption import Stopped, heed

KEPT_SECONDS = 2 * 60 * 60  # from when a value was made; what the page promises its visitors
_PATIENCE = 0.5  # seconds, after which who waits for a value asks whether it is still wanted


class Cached:
    """A thread-safe cache: the value of a key is made once, whoever asks for it meanwhile waits.

    Args:
        most_bytes: that the values may hold together; the ones longest unused are dropped. A value
            that is larger by itself is handed out but not kept.
        seconds: after which a value is forgotten, however often it was used.
        timer: the clock, in seconds.
    """

    def __init__(
        self,
        most_bytes: int,
        seconds: float = KEPT_SECONDS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most_bytes = most_bytes
        # Values with their sizes, so that they are measured once and outside the lock.
        self._kept: TTLCache[Hashable, tuple[Any, int]] = TTLCache(
            most_bytes, seconds, timer, getsizeof=lambda kept: kept[1]
        )
        self._coming: dict[Hashable, Future[Any]] = {}  # what some thread is making right now
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Bytes that the values hold."""
        return int(self._kept.currsize)

    def expire(self) -> None:
        """Drop what is out of date."""
        with self._lock:
            self._kept.expire()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of a key, made if it isn't there.

        Raises:
            What `make` raises, in every thread that waits for this value; the next one to ask
            tries again.
        """
        return self.get_all([key], lambda _: [make()])[0]

    def get_all(
        self, keys: Sequence[Hashable], make: Callable[[list[Any]], Sequence[Any]]
    ) -> list[Any]:
        """The values of several keys, of which the missing ones are made together.

        Args:
            make: is given the keys that nobody has made or is making, and gives their values.

        Raises:
            As `get`.
        """
        found: dict[Hashable, Any] = {}
        while missing := [key for key in dict.fromkeys(keys) if key not in found]:
            mine: dict[Hashable, Future[Any]] = {}
            theirs: dict[Hashable, Future[Any]] = {}
            with self._lock:
                self._kept.expire()
                for key in missing:
                    with suppress(KeyError):
                        found[key] = self._kept[key][0]
                        continue
                    if key in self._coming:
                        theirs[key] = self._coming[key]
                    else:
                        mine[key] = self._coming[key] = Future()
            if mine:  # before waiting, so that two threads can't wait for each other
                found |= self._make(mine, make)
            for key, coming in theirs.items():
                while not coming.done():
                    wait([coming], _PATIENCE)
                    heed()
                with suppress(CancelledError):  # its maker was interrupted: try it here
                    found[key] = coming.result()
        return [found[key] for key in keys]

    def _make(
        self, coming: dict[Hashable, Future[Any]], make: Callable[[list[Any]], Sequence[Any]]
    ) -> dict[Hashable, Any]:
        """Make values, keep them, and give them to the threads that wait for them."""
        try:
            made = dict(zip(coming, make(list(coming)), strict=True))
            sizes = {key: size_of(value) for key, value in made.items()}
        except Stopped:  # its own affair, and not of those who wait
            raise
        except Exception as error:
            for future in coming.values():
                future.set_exception(error)
            raise
        else:
            with self._lock:
                for key, value in made.items():
                    if sizes[key] <= self._most_bytes:
                        self._kept[key] = value, sizes[key]
            for key, future in coming.items():
                future.set_result(made[key])
            return made
        finally:
            with self._lock:
                for key, future in coming.items():
                    del self._coming[key]
                    future.cancel()  # only who was stopped leaves it without an answer


def size_of(value: Any) -> int:
    """Bytes of memory that a value holds: of all that it is made of, what is shared once.

    Follows attributes, containers, views of arrays to what they are views of, and tensors. Code is
    not counted, nor are attributes kept in `__slots__`.
    """
    total = 0
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or isinstance(part, type | ModuleType | FunctionType):
            continue
        seen.add(id(part))
        if isinstance(part, np.ndarray):
            if isinstance(part.base, np.ndarray | torch.Tensor | bytes | bytearray):
                waiting.append(part.base)
            else:
                total += part.nbytes
            if part.dtype.hasobject:
                waiting.extend(part.flat)
            continue
        if isinstance(part, torch.Tensor):
            storage = part.untyped_storage()
            if storage.data_ptr() not in seen:
                seen.add(storage.data_ptr())
                total += storage.nbytes()
            continue
        total += sys.getsizeof(part)
        if isinstance(part, dict):
            waiting.extend(part)
            waiting.extend(part.values())
        elif isinstance(part, list | tuple | set | frozenset):
            waiting.extend(part)
        if hasattr(part, "__dict__"):
            waiting.append(vars(part))
    return total


def digest_of(array: Array) -> str:
    """sha256 of an array's shape, type and content."""
    digest = hashlib.sha256(repr((array.shape, str(array.dtype))).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
