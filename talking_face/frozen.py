"""Values made of arrays: nobody can write into them, and equal content makes them equal."""

from __future__ import annotations

from dataclasses import fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from talking_face.arrays import Array


class Frozen:
    """Base of `@dataclass(frozen=True, eq=False)` classes that hold arrays and are passed around.

    Their arrays are read-only. They are never the caller's own: what somebody else could still
    write into is copied. Copies and what comes out of a pickle are read-only too.

    Two are equal where they are of the same class and all their numbers are, arrays also of the
    same type and shape; the hash fits that.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name, value in self._content().items():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, read_only(value))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Frozen) or type(other) is not type(self):
            return NotImplemented
        theirs = other._content()
        return all(_same(value, theirs[name]) for name, value in self._content().items())

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(self._content().values())

    def _content(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _hash(self) -> int:
        return hash((type(self), *map(_hash_of, self._content().values())))


def read_only(array: Array) -> Array:
    """The array itself where nobody can write into it, else a read-only copy."""
    held: Any = array
    while isinstance(held, np.ndarray) and not held.flags.writeable:
        held = held.base
    return array if held is None or isinstance(held, bytes) else sealed(np.array(array))


def sealed(array: Array) -> Array:
    """The same array, read-only from now on; for one that was just made and is nobody else's."""
    array.flags.writeable = False
    return array


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if not isinstance(one, np.ndarray) and not isinstance(other, np.ndarray):
        return bool(one == other)
    one, other = np.asarray(one), np.asarray(other)  # a scalar or None may stand for an array
    return one.dtype == other.dtype and np.array_equal(one, other)


def _hash_of(value: Any) -> int:
    if not isinstance(value, np.ndarray | np.generic):
        return hash(value)
    # As bytes, where minus zero must not differ from zero, which it equals.
    return hash((value.shape, value.dtype.str, np.add(value, 0).tobytes()))
