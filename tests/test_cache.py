"""Caches: bounded in bytes and in time, and each value is made once."""

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import sparse

from talking_face.cache import KEPT_SECONDS, Cached, size_of
from talking_face.interruption import Stopped, heed, heeding

MEGABYTE = 1_000_000
SLACK = 8192  # bytes of dicts, names and headers in a small value


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def block(megabytes: float = 1.0) -> np.ndarray:
    return np.zeros(round(megabytes * MEGABYTE), dtype=np.uint8)


def forbidden() -> None:
    raise AssertionError("made again")


def test_what_was_used_last_stays_within_the_bytes() -> None:
    kept = Cached(3 * MEGABYTE + SLACK)
    for key in "abc":
        kept.get(key, block)
    kept.get("a", forbidden)
    kept.get("d", block)  # takes the place of b
    kept.get("a", forbidden)
    kept.get("c", forbidden)
    made = []
    kept.get("b", lambda: made.append("b"))
    assert made == ["b"]
    assert kept.size <= 3 * MEGABYTE + SLACK


def test_a_value_larger_than_the_bound_is_handed_out_and_pushes_nothing_out() -> None:
    kept = Cached(2 * MEGABYTE)
    kept.get("small", block)
    assert kept.get("large", lambda: block(3)).nbytes == 3 * MEGABYTE
    kept.get("small", forbidden)
    assert kept.get("large", lambda: "again") == "again"


def test_values_are_forgotten_two_hours_after_they_were_made_however_often_used() -> None:
    clock = Clock()
    kept = Cached(MEGABYTE, timer=clock)
    kept.get("a", lambda: "old")
    for clock.now in np.linspace(0, KEPT_SECONDS - 1, 5):
        assert kept.get("a", forbidden) == "old"
    clock.now = KEPT_SECONDS
    assert kept.get("a", lambda: "new") == "new"
    assert KEPT_SECONDS == 7200


@pytest.mark.parametrize("sweep", [Cached.expire, lambda kept: kept.get("other", lambda: 0)])
def test_what_is_out_of_date_is_let_go(sweep) -> None:
    clock = Clock()
    kept = Cached(MEGABYTE, timer=clock)
    value = weakref.ref(kept.get("a", lambda: Holder(block(0.5))))
    clock.now = KEPT_SECONDS - 1
    sweep(kept)
    gc.collect()
    assert value() is not None
    clock.now = KEPT_SECONDS
    sweep(kept)
    gc.collect()
    assert value() is None
    assert kept.size < SLACK


# -- several threads ------------------------------------------------------------------------------


def together(count: int, work) -> list:
    """What several threads that begin at the same time return."""
    start = threading.Barrier(count)

    def begin(number: int):
        start.wait(60)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        futures = [pool.submit(begin, number) for number in range(count)]
        return [future.exception(10) or future.result() for future in futures]


class Slow:
    """Makes something that takes until all the others have asked for it too."""

    def __init__(self, fails: int = 0, error: BaseException | None = None) -> None:
        self.fails, self.error = fails, error
        self.calls = 0

    def __call__(self) -> object:
        self.calls += 1
        threading.Event().wait(0.2)
        if self.calls <= self.fails and self.error:
            raise self.error
        return object()


def test_four_threads_that_ask_at_once_get_the_one_value() -> None:
    kept = Cached(MEGABYTE)
    make = Slow()
    values = together(4, lambda _: kept.get("a", make))
    assert make.calls == 1
    assert all(value is values[0] for value in values)


def test_a_failure_reaches_all_who_wait_and_the_next_one_tries_again() -> None:
    kept = Cached(MEGABYTE)
    make = Slow(fails=1, error=ValueError("no face"))
    results = together(4, lambda _: kept.get("a", make))
    assert make.calls == 1
    assert all(result is make.error for result in results)
    assert type(kept.get("a", make)) is object


def test_when_one_is_interrupted_another_makes_the_value() -> None:
    kept = Cached(MEGABYTE)
    make = Slow(fails=1, error=KeyboardInterrupt())
    results = together(4, lambda _: kept.get("a", make))
    assert make.calls == 2
    assert sum(result is make.error for result in results) == 1
    assert sum(type(result) is object for result in results) == 3


def test_who_is_stopped_takes_nobody_along() -> None:
    kept = Cached(MEGABYTE)
    begun, left = threading.Event(), threading.Event()

    def long() -> str:
        begun.set()
        while True:
            heed()

    def first() -> None:
        with heeding(left.is_set), pytest.raises(Stopped):
            kept.get("a", long)

    with ThreadPoolExecutor(2) as pool:
        leaving = pool.submit(first)
        begun.wait()
        waiting = pool.submit(kept.get, "a", lambda: "mine")
        # Nor does who waits have to wait until another one's work is done.
        with heeding(lambda: True), pytest.raises(Stopped):
            kept.get("a", forbidden)
        left.set()
        leaving.result()
        assert waiting.result() == "mine"


def test_different_keys_do_not_wait_for_each_other() -> None:
    kept = Cached(MEGABYTE)
    inside = threading.Barrier(4)  # passed only when four are being made at the same time

    def make() -> bool:
        inside.wait(60)
        return True

    assert together(4, lambda number: kept.get(number, make)) == [True] * 4


def test_of_several_keys_the_missing_ones_are_made_together_and_in_order() -> None:
    kept = Cached(MEGABYTE)
    asked: list[list[str]] = []

    def make(keys: list[str]) -> list[str]:
        asked.append(keys)
        return [key.upper() for key in keys]

    kept.get("b", lambda: "kept")
    assert kept.get_all(["c", "b", "a", "c"], make) == ["C", "kept", "A", "C"]
    assert asked == [["c", "a"]]


def test_threads_with_overlapping_keys_make_each_once_and_never_block() -> None:
    kept = Cached(MEGABYTE)
    made: list[int] = []

    def make(keys: list[int]) -> list[int]:
        made.extend(keys)
        threading.Event().wait(0.05)
        return [10 * key for key in keys]

    wanted = [[0, 1, 2], [2, 1, 0], [1, 3], [3, 0]]
    results = together(4, lambda number: kept.get_all(wanted[number], make))
    assert results == [[10 * key for key in keys] for keys in wanted]
    assert sorted(made) == [0, 1, 2, 3]


def test_the_wrong_number_of_values_is_an_error_and_keeps_nothing() -> None:
    kept = Cached(MEGABYTE)
    with pytest.raises(ValueError):
        kept.get_all(["a", "b"], lambda _: [1])
    assert kept.get_all(["a", "b"], lambda keys: keys) == ["a", "b"]


# -- sizes ----------------------------------------------------------------------------------------


class Holder:
    def __init__(self, *parts: object) -> None:
        self.parts = parts


@dataclass(frozen=True)
class Record:
    first: np.ndarray
    second: object


ARRAY = block()


@pytest.mark.parametrize(
    ("value", "megabytes"),
    [
        (block(), 1),
        ([block(), (block(), {"c": block()}), {1, 2}], 3),
        (Record(block(), Holder(block())), 2),
        (Holder(ARRAY, ARRAY, ARRAY[:10], ARRAY.reshape(2, -1)), 1),  # one array and its views
        (ARRAY[:10], 1),  # a view holds all of what it shows a part of
        (Record(ARRAY, Record(ARRAY, None)), 1),
        (np.frombuffer(bytes(MEGABYTE), dtype=np.uint8)[5:], 1),
        (torch.zeros(MEGABYTE, dtype=torch.uint8)[::2], 1),
        (torch.zeros(MEGABYTE, dtype=torch.uint8).numpy()[3:], 1),
        (sparse.csr_matrix(np.ones((1, MEGABYTE // 12), dtype=np.float64)), 1),  # 8 + 4 bytes
        (torch.nn.Linear(1000, 250, bias=False), 1),
        (np.array([block(), None], dtype=object), 1),
        ("x" * MEGABYTE, 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_size_is_that_of_all_that_a_value_holds(value: object, megabytes: float) -> None:
    assert megabytes * MEGABYTE - SLACK <= size_of(value) <= megabytes * MEGABYTE + SLACK


def test_a_tensor_and_its_views_are_counted_once() -> None:
    tensor = torch.zeros(MEGABYTE, dtype=torch.uint8)
    assert size_of([tensor, tensor[:5], tensor.numpy(), tensor.numpy()[2:]]) < MEGABYTE + SLACK


def test_what_holds_itself_has_a_size() -> None:
    ring: list[object] = [block()]
    ring.append(ring)
    assert size_of(ring) < MEGABYTE + SLACK
