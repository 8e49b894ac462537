"""Work is spread over the cores in order, in bounds, and each piece takes one thread."""

import gc
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import cv2
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from talking_face import cores


@pytest.fixture(autouse=True)
def _alone() -> None:
    """Wait for what other tests have left to the background: threads are everybody's."""
    end = time.monotonic() + 60
    while cores._pools._inside and time.monotonic() < end:
        gc.collect()  # streams that nobody has closed
        time.sleep(0.05)
    assert not cores._pools._inside


def test_results_come_in_order_whoever_is_first() -> None:
    def work(index: int) -> int:
        time.sleep(0.01 if index % 2 else 0.0)
        return index * index

    assert list(cores.in_order(work, 20)) == [index * index for index in range(20)]


def test_several_cores_work_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 3)
    meeting = threading.Barrier(3, timeout=10)
    pool = ThreadPoolExecutor(3)
    monkeypatch.setattr(cores, "_pool", lambda: pool)
    # Each waits for two others: alone, nobody would ever get on.
    assert len(list(cores.in_order(lambda _: meeting.wait(), 6))) == 6


def test_little_is_made_before_it_is_asked_for() -> None:
    begun: list[int] = []
    frames = cores.in_order(begun.append, 1000)
    next(frames)
    time.sleep(0.1)
    assert len(begun) <= cores.AHEAD * cores.available() + 1
    frames.close()  # type: ignore[attr-defined]
    time.sleep(0.1)
    assert len(begun) <= cores.AHEAD * cores.available() + 1


def test_a_failure_reaches_the_caller_and_ends_the_work() -> None:
    begun: list[int] = []

    def work(index: int) -> None:
        begun.append(index)
        if index == 1:
            raise ValueError("no such frame")

    with pytest.raises(ValueError, match="no such frame"):
        list(cores.in_order(work, 1000))
    assert len(begun) < 20


def blas() -> set[int]:
    """Threads of numpy's and scipy's linear algebra."""
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


def test_one_thread_for_all_who_are_inside_and_then_as_before() -> None:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(3)
    cv2.setNumThreads(3)
    as_before = threadpool_limits(3, user_api="blas")
    come, leave = threading.Event(), threading.Event()

    def second() -> None:
        with cores.one_thread():
            come.set()
            leave.wait(60)

    other = threading.Thread(target=second)
    try:
        with cores.one_thread():
            other.start()
            assert come.wait(60)
            assert torch.get_num_threads() == 1
        assert cv2.getNumThreads() == 1
        assert blas() == {1}
        leave.set()
        other.join(60)
        assert (torch.get_num_threads(), cv2.getNumThreads()) == (3, 3)
        assert max(blas()) == 3
    finally:
        as_before.restore_original_limits()
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_a_thread_that_comes_in_later_has_no_helpers_either() -> None:
    """Else two threads of torch wait for each other in every small operation."""
    inside, done = threading.Event(), threading.Event()
    found: list[int] = []

    def other() -> None:
        torch.set_num_threads(3)  # so that it is known what it had
        torch.ones(3).sum()
        found.append(torch.get_num_threads())
        inside.wait(60)
        with cores.one_thread():
            found.append(torch.get_num_threads())
            done.wait(60)
        found.append(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    thread = threading.Thread(target=other)
    try:
        thread.start()
        while not found:
            time.sleep(0.01)
        with cores.one_thread():
            inside.set()
            while len(found) < 2:
                time.sleep(0.01)
        assert torch.get_num_threads() == 2, "who leaves first has its own again"
        done.set()
        thread.join(60)
        assert found == [3, 1, 3]
        assert set(cores.in_order(lambda _: torch.get_num_threads(), 8)) == {1}
    finally:
        done.set()
        torch.set_num_threads(before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system doesn't fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_cores_of_its_own() -> None:
    """As on machines that fork a process for each use of the GPU."""
    assert list(cores.in_order(abs, 3)) == [0, 1, 2]
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            with cores.one_thread():
                pass

    other = threading.Thread(target=come_and_go)
    other.start()
    try:
        for _ in range(2):
            child = get_context("fork").Process(target=lambda: list(cores.in_order(abs, 3)))
            child.start()
            child.join(60)
            assert child.exitcode == 0
    finally:
        stop.set()
        other.join()


def test_a_process_is_told_only_of_the_cores_it_may_use() -> None:
    assert 1 <= cores.available() <= torch.multiprocessing.cpu_count()


def test_a_program_may_end_while_somebody_is_inside():
    """As with a stream that nobody closed: there is nothing to complain of."""
    program = (
        "from talking_face.cores import single_pools\n"
        "def steps():\n    with single_pools():\n        yield\n"
        "held = steps()\nnext(held)\nimport wave\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
