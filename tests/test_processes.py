"""Processes that help: the same results as of threads, whatever happens to them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from operator import getitem
from pathlib import Path

import numpy as np
import pytest

from talking_face import cores, processes
from talking_face.animator import load_animator
from talking_face.arrays import Array
from talking_face.options import Look
from talking_face.processes import Helper, Helpers, Parcel, Shared
from talking_face.sound.audio import SAMPLE_RATE, Recording

pytestmark = pytest.mark.skipif(os.name != "posix", reason="there are no helpers on this system")

SQUARE = partial(np.full, (40, 30))  # an array of a piece's number


@pytest.fixture(autouse=True)
def possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other tests do without."""
    monkeypatch.setattr(processes, "POSSIBLE", True)


@pytest.fixture
def helpers() -> Iterator[Helpers]:
    """Two, ready."""
    team = Helpers()
    team.hire(2, Parcel(SQUARE))
    assert team.idle() == 2
    yield team
    team.dismiss()


def pieces(work: Callable[[int], Array], helpers: Helpers, count: int = 4) -> list[Array]:
    shared = Shared(work, helpers, 2)
    return [shared(index) for index in range(count)]


def test_helpers_do_what_threads_would(helpers: Helpers) -> None:
    for index, result in enumerate(pieces(SQUARE, helpers)):
        assert np.array_equal(result, SQUARE(index))
    assert helpers.made == 0, "threads made none"


def test_results_may_grow_and_stay_whole(helpers: Helpers) -> None:
    rows = [np.arange(10 ** (1 + index % 5), dtype=np.float32) for index in range(10)]
    found = pieces(partial(getitem, rows), helpers, 10)
    assert all(np.array_equal(one, other) for one, other in zip(rows, found, strict=True))
    assert helpers.made == 0


def test_several_works_take_turns(helpers: Helpers) -> None:
    """More than a helper remembers at once: it is given them again."""
    works = [partial(np.full, (number + 1,)) for number in range(processes.KEPT + 2)]
    shared = [Shared(work, helpers, 2) for work in works]
    for index in range(3):
        for work, by_helpers in zip(works, shared, strict=True):
            assert np.array_equal(by_helpers(index), work(index))
    assert helpers.made == 0


@pytest.mark.slow
def test_frames_are_the_same(portrait: Path, helpers: Helpers) -> None:
    animator = load_animator()
    face = animator.fit(portrait)
    noise = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    speech = animator.listen(Recording(noise.astype(np.float32)))
    motion = animator.expressed(animator.sample(speech, 1)[0])
    frame = partial(animator.renderer(face, Look(size=96)).frame, motion)
    for index, found in enumerate(pieces(frame, helpers, 8)):
        assert np.array_equal(found, frame(index))
    assert helpers.made == 0


def test_what_cannot_be_handed_over_is_done_here(helpers: Helpers) -> None:
    found = pieces(lambda index: np.array([index]), helpers)
    assert np.array_equal(np.concatenate(found), [0, 1, 2, 3])
    assert helpers.made == 4
    assert helpers.idle() == 2


def test_too_much_to_copy_is_done_here(helpers: Helpers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LARGEST", 1000)
    big = np.arange(4000).reshape(4, 1000)
    assert np.array_equal(np.stack(pieces(partial(getitem, big), helpers)), big)
    assert helpers.made == 4


def test_errors_are_those_of_the_work(helpers: Helpers) -> None:
    with pytest.raises(IndexError):
        pieces(partial(getitem, np.zeros((2, 3))), helpers)
    assert helpers.idle() == 2, "nobody is lost"
    assert np.array_equal(pieces(SQUARE, helpers)[3], SQUARE(3))


def test_a_helper_that_dies_is_not_missed(helpers: Helpers) -> None:
    victims = [helper._process for helper in helpers._alive]
    for victim in victims:
        victim.kill()
        victim.wait()
    assert [int(piece[0, 0]) for piece in pieces(SQUARE, helpers)] == [0, 1, 2, 3]
    assert helpers.idle() == 0
    assert not helpers._alive


def test_one_that_has_proved_itself_is_replaced(
    helpers: Helpers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROVEN", 1)
    pieces(SQUARE, helpers)
    before = {helper._process.pid for helper in helpers._alive}
    os.kill(min(before), signal.SIGKILL)
    shared = Shared(SQUARE, helpers, 2)
    deadline = time.monotonic() + 60
    while {helper._process.pid for helper in helpers._alive} == before or helpers.idle() < 2:
        assert np.array_equal(shared(3), SQUARE(3))
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert min(before) not in {helper._process.pid for helper in helpers._alive}


def test_one_that_hangs_is_given_up(helpers: Helpers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    for helper in helpers._alive:
        os.kill(helper._process.pid, signal.SIGSTOP)
    assert [int(piece[0, 0]) for piece in pieces(SQUARE, helpers)] == [0, 1, 2, 3]
    assert not helpers._alive


def test_helpers_come_where_there_is_much_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MANY", 5)
    team = Helpers()
    shared = Shared(SQUARE, team, 2)
    try:
        for index in range(4):
            shared(index)
        assert not team._hired
        deadline = time.monotonic() + 60
        shared(4)
        while team.idle() < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        made = team.made
        assert np.array_equal(shared(7), SQUARE(7))
        assert team.made == made
    finally:
        team.dismiss()


def test_one_core_needs_none() -> None:
    team = Helpers()
    team.hire(1, Parcel(SQUARE))
    assert team.idle() == 0
    assert not team._alive


def test_cores_use_helpers_that_were_hired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "available", lambda: 2)
    team = Helpers()
    monkeypatch.setattr(cores, "_helpers", team)
    try:
        cores.hire(SQUARE)
        assert team.idle() == 2
        many = list(cores.in_order(SQUARE, 50))
        assert all(np.array_equal(piece, SQUARE(index)) for index, piece in enumerate(many))
        assert team.made < 50
        assert sum(helper.done for helper in team._alive) > 10
    finally:
        team.dismiss()


def test_nobody_outlives_its_parent(tmp_path: Path) -> None:
    """Even one that is killed, and can't say good-bye."""
    told = tmp_path / "pids"
    program = (
        "import sys, time\nfrom functools import partial\nimport numpy as np\n"
        "from talking_face.processes import Helpers, Parcel\n"
        "team = Helpers(); team.hire(2, Parcel(partial(np.full, 3)))\n"
        f"open({str(told)!r}, 'w').write(' '.join(str(h._process.pid) for h in team._alive))\n"
        "print('ready', flush=True); time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    helpers = [int(pid) for pid in told.read_text().split()]
    assert len(helpers) == 2
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while any(runs(pid) for pid in helpers):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.slow
def test_a_program_ends_with_its_helpers() -> None:
    program = (
        "from functools import partial\nimport numpy as np\nfrom talking_face import cores\n"
        "cores.available = lambda: 2\n"
        "cores.hire(partial(np.full, 3)); print(cores._helpers.idle())\n"
    )
    root = Path(__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=root, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "2\n", "")


@pytest.mark.parametrize("named", [False, True])
def test_a_parcel_is_the_work_again(named: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the system has no memory files: then it lies in a temporary one."""
    if named:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    table = np.arange(12, dtype=np.float64).reshape(4, 3)
    odd = np.arange(7, dtype=np.uint8)
    turned = np.asfortranarray(np.arange(6).reshape(2, 3)).T
    parcel = Parcel(partial(getitem, [odd, table, turned, table[::2, 1:]]))
    work = Parcel.opened(os.dup(parcel.file.fileno()))
    for index, expected in enumerate([odd, table, turned, table[::2, 1:]]):
        assert np.array_equal(work(index), expected)
        assert work(index).flags.aligned
    work(1)[:] = -1
    again = Parcel.opened(os.dup(parcel.file.fileno()))
    assert np.array_equal(again(1), table), "what a helper writes, it alone sees"


def test_a_helper_knows_neither_work_nor_signal_of_the_terminal() -> None:
    """Ctrl-C reaches the group in the foreground, of which it isn't."""
    helper = Helper()
    try:
        assert os.getpgid(helper._process.pid) == helper._process.pid
    finally:
        helper.end()
    with pytest.raises(OSError, match=r"closed|Broken pipe|reset"):
        helper.ask(Parcel(SQUARE), 0)
