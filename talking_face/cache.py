"""Remembering what was worked out, by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from cachetools import LRUCache


class Cached:
    """A small thread-safe cache: the value of a key is made once and the oldest are dropped."""

    def __init__(self, size: int) -> None:
        self._values: LRUCache[Any, Any] = LRUCache(size)
        self._lock = Lock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._values:
                return self._values[key]
        value = make()  # outside the lock: another request need not wait for this one
        with self._lock:
            return self._values.setdefault(key, value)


def digest_of(array: np.ndarray) -> str:
    """sha256 of an array's shape, type and content."""
    digest = hashlib.sha256(repr((array.shape, str(array.dtype))).encode())
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
