"""What benchmarks say of processes' work and memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from talking_face.batch import usage

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc")
BUSY = "import time\nwhile time.process_time() < 0.4: pass\n"


def test_work_of_processes_counts_while_they_run_and_when_they_ended() -> None:
    before = usage.work()
    waiting = "print(flush=True)\ninput()"
    command = [sys.executable, "-c", BUSY + waiting]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        running = usage.work() - before
        process.communicate(b"\n")
    ended = usage.work() - before
    assert 0.35 <= running <= ended
    assert ended < running + 0.35  # counted once


def test_memory_of_processes_counts_as_long_as_they_run() -> None:
    before = usage.memory()
    hold = "held = bytearray(b'1') * (64 << 20)\nprint(flush=True)\ninput()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        during = usage.memory()
        process.communicate(b"\n")
    assert 60 < during["services"] - before["services"] < 100
    assert usage.memory()["services"] == pytest.approx(before["services"], abs=8)
    assert during["workers"] == before["workers"]
