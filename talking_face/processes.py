"""Processes beside this one that take pieces of work from its threads, one for each core.

Threads of one Python wait for each other, however many cores there are. A helper is a Python of its
own that does what a thread would have done, and hands the array back in memory that both see. It
takes a second to start. Until then, on systems where there are none, and where one fails, the
thread does the work itself.
"""

from __future__ import annotations

import atexit
import logging
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from itertools import count
from multiprocessing.connection import Connection, Pipe
from multiprocessing.reduction import recv_handle, send_handle
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import IO, Any

import cv2
import numpy as np

from talking_face.arrays import Array

POSSIBLE = os.name == "posix" and not getattr(sys, "frozen", False)
ALIGNED = 64  # bytes: where arrays begin
LARGEST = 300_000_000  # bytes of a piece of work with all that it needs; more isn't copied
PATIENCE = 60.0  # seconds that a piece may take, and a helper to start
IDLE = 2.0  # seconds without work, after which a helper forgets what it was given
KEPT = 4  # works that a helper remembers at once: of several orders
PROVEN = 100  # pieces after which a helper that dies is replaced
MANY = 300  # pieces that threads make before helpers start: as long as that takes, they will save

# A helper finds the modules where this process does, whatever it was started from.
_START = (
    "import sys; sys.path[:] = {path!r}; "
    "from talking_face.processes import serve; serve({handle}, {parent})"
)
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

logger = logging.getLogger(__name__)


def _file() -> IO[bytes]:
    """Memory that can be handed to another process, as a file without a name."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("talking_face"), "w+b")
    return tempfile.TemporaryFile()


class Parcel:
    """Work and all that it needs, pickled once for all helpers; the arrays lie beside the pickle.

    Raises:
        ValueError: it is larger than `LARGEST`.
        Exception: whatever can't be pickled raises.
    """

    _numbers = count()

    def __init__(self, work: Callable[[int], Array]) -> None:
        self.number = next(self._numbers)
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(work, 5, buffer_callback=buffers.append)
        arrays = [buffer.raw() for buffer in buffers]
        sizes = [array.nbytes for array in arrays]
        if sum(sizes) > LARGEST:
            raise ValueError(f"{sum(sizes)} bytes are too many for helpers")
        index = pickle.dumps((head, sizes))
        self.file = _file()
        self.file.write(len(index).to_bytes(8, "little") + index)
        for array in arrays:
            self.file.seek(_aligned(self.file.tell()))
            self.file.write(array)
        self.file.flush()

    @staticmethod
    def opened(handle: int) -> Callable[[int], Array]:
        """The work of a parcel's file; what it writes into its arrays, nobody else sees."""
        with os.fdopen(handle, "rb") as file:
            memory = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        place = 8 + int.from_bytes(memory[:8], "little")
        head, sizes = pickle.loads(memory[8:place])
        arrays = []
        for size in sizes:
            place = _aligned(place)
            arrays.append(memory[place : place + size])
            place += size
        work: Callable[[int], Array] = pickle.loads(head, buffers=arrays)
        return work


def _aligned(place: int) -> int:
    return -(-place // ALIGNED) * ALIGNED


class Helper:
    """One process, which does one piece of work at a time.

    Raises:
        OSError: it doesn't start.
    """

    def __init__(self) -> None:
        self.done = 0
        self._connection, theirs = Pipe()
        self._result = memoryview(b"")
        code = _START.format(path=sys.path, handle=theirs.fileno(), parent=os.getpid())
        environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for this process, which then ends them
                pass_fds=[theirs.fileno()],
                env=environment,
            )

    def ask(self, parcel: Parcel, index: int) -> Array | None:
        """The result of one piece of a parcel's work; None where it failed there.

        Raises:
            OSError, EOFError: the process is gone, or hangs.
        """
        self._connection.send((parcel.number, index))
        answer = self._answer()
        if answer == "unknown":
            send_handle(self._connection, parcel.file.fileno(), self._process.pid)
            answer = self._answer()
        if isinstance(answer, str):
            logger.debug("a helper failed: %s", answer)
            return None
        shape, kind, grown = answer
        if grown:
            with os.fdopen(recv_handle(self._connection), "rb") as file:
                self._result = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        result: Array = np.ndarray(shape, kind, self._result)
        self.done += 1
        return result.copy()

    def end(self) -> None:
        """Let nothing of it stay."""
        self._process.kill()
        self._process.wait()
        self._connection.close()

    def _answer(self) -> Any:
        if not self._connection.poll(PATIENCE):
            raise OSError("no answer")
        return self._connection.recv()


def serve(handle: int, parent: int) -> None:
    """What a helper does until the process that started it is gone."""
    cv2.setNumThreads(1)
    connection = Connection(handle)
    works: OrderedDict[int, Callable[[int], Array]] = OrderedDict()
    memory = memoryview(b"")
    while True:
        while not connection.poll(IDLE):
            works.clear()
            if os.getppid() != parent:
                return
        try:
            number, index = connection.recv()
            if number not in works:
                connection.send("unknown")
                works[number] = Parcel.opened(recv_handle(connection))
                if len(works) > KEPT:
                    works.popitem(last=False)
            works.move_to_end(number)
            result = np.asarray(works[number](index))
            grown = result.nbytes > len(memory)
            if grown:
                file = _file()
                file.truncate(result.nbytes)
                memory = memoryview(mmap.mmap(file.fileno(), result.nbytes))
            np.copyto(np.ndarray(result.shape, result.dtype, memory), result)
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001 - the thread that asks will meet it itself
            connection.send(repr(error))
            continue
        connection.send((result.shape, result.dtype.str, grown))
        if grown:
            with file:
                send_handle(connection, file.fileno(), parent)


class Helpers:
    """The helpers of this process, and how work gets to them."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[Helper] = SimpleQueue()
        self._alive: set[Helper] = set()
        self._lock = Lock()
        self._hired = False
        self.made = 0  # pieces that were made without them

    def hire(self, number: int, parcel: Parcel) -> None:
        """Start so many, once in the life of this process, and wait until they are ready.

        Each does the first piece of a parcel to begin with: all that this needs is loaded then.
        """
        with self._lock:
            if self._hired or not POSSIBLE or not sys.executable or number < 2:
                return
            self._hired = True
        atexit.register(self.dismiss)
        threads = [self._starting(parcel) for _ in range(number)]
        for thread in threads:
            thread.join()

    def idle(self) -> int:
        """How many have nothing to do right now."""
        return self._idle.qsize()

    def do(self, parcel: Parcel, index: int) -> Array | None:
        """A piece of work done by a helper; None where none is idle, or it failed."""
        try:
            helper = self._idle.get_nowait()
        except Empty:
            return None
        try:
            result = helper.ask(parcel, index)
        except (OSError, EOFError) as error:
            logger.debug("a helper is gone: %r", error)
            self._drop(helper)
            if helper.done >= PROVEN:
                self._starting(parcel)
            return None
        self._idle.put(helper)
        return result

    def dismiss(self) -> None:
        """End them all."""
        for helper in list(self._alive):
            self._drop(helper)

    def leave(self) -> None:
        """Know of them no more, in a process that was forked: they work for its parent."""
        self._alive = set()

    def _drop(self, helper: Helper) -> None:
        with self._lock:
            self._alive.discard(helper)
        helper.end()

    def _starting(self, parcel: Parcel) -> Thread:
        thread = Thread(target=self._start, args=[parcel], name="start a helper", daemon=True)
        thread.start()
        return thread

    def _start(self, parcel: Parcel) -> None:
        try:
            helper = Helper()
        except OSError as error:
            logger.debug("a helper doesn't start: %r", error)
            return
        with self._lock:
            self._alive.add(helper)
        try:
            helper.ask(parcel, 0)
        except (OSError, EOFError) as error:
            logger.debug("a helper doesn't start: %r", error)
            self._drop(helper)
        else:
            self._idle.put(helper)


class Shared:
    """Work that helpers do where they are there, and the thread that asks where they aren't.

    Args:
        work: gives the array of each piece.
        helpers: of this process.
        cores: how many it has.
    """

    def __init__(self, work: Callable[[int], Array], helpers: Helpers, cores: int) -> None:
        self._work, self._helpers, self._cores = work, helpers, cores
        self._lock = Lock()
        self._parcel: Parcel | None = None
        self._alone = not POSSIBLE

    def __call__(self, index: int) -> Array:
        """One piece, from any thread; raises what the work does."""
        helpers = self._helpers
        if not self._alone and helpers.idle():
            parcel = self.parcel()
            result = None if parcel is None else helpers.do(parcel, index)
            if result is not None:
                return result
        result = self._work(index)
        helpers.made += 1
        if helpers.made == MANY and (parcel := self.parcel()) is not None:
            hire = helpers.hire, (self._cores, parcel)
            Thread(target=hire[0], args=hire[1], name="hire helpers", daemon=True).start()
        return result

    def parcel(self) -> Parcel | None:
        """The work as helpers take it, made once; None where it can't be."""
        with self._lock:
            if self._parcel is None and not self._alone:
                try:
                    self._parcel = Parcel(self._work)
                except (pickle.PicklingError, AttributeError, TypeError, ValueError, OSError) as no:
                    logger.debug("not for helpers: %s", no)
                    self._alone = True
            return self._parcel
