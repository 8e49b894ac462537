"""Who is on the page, what their cards show, and how their work is stopped.

A visitor is one open page; what belongs to it is forgotten when the page is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock

import gradio as gr
from cachetools import TTLCache

from talking_face.errors import OptionInvalid
from talking_face.interruption import Stopped
from talking_face.options import MAX_SAMPLES
from talking_face.web.shots import Shot

MOST_VISITS = 500
MOST_MOTION = 2**28  # bytes of motions that all pages together may show
# Seconds in which an order's turn is waited for; then it holds nobody up any more. A page that is
# open still gets its turn, however long the queue.
LAPSE = 180.0


@dataclass
class Visit:
    """One open page.

    Attributes:
        shots: what each card shows; None for an empty one.
        chosen: the card whose sound is heard and which is changed.
        stop: set to end the run that is under way or waiting; None where there is none.
        reserved: when that run was ordered, seconds; None once it is under way.
        clock: tells the time.
    """

    shots: list[Shot | None] = field(default_factory=lambda: [None] * MAX_SAMPLES)
    chosen: int | None = None
    stop: Event | None = None
    reserved: float | None = None
    clock: Callable[[], float] = time.monotonic

    @property
    def ordered(self) -> bool:
        """Whether a run is under way, or was ordered so lately that it can still be expected."""
        if self.stop is None:
            return False
        return self.reserved is None or self.clock() - self.reserved < LAPSE

    @property
    def size(self) -> int:
        """Bytes of the motions that the cards hold."""
        return sum(shot.motion.nbytes for shot in self.shots if shot)

    def shown(self) -> list[tuple[int, Shot]]:
        """The cards that show a finished clip, with their places."""
        return [(slot, shot) for slot, shot in enumerate(self.shots) if shot and shot.path]

    def shot(self, slot: int | None) -> Shot:
        """The clip of a card.

        Raises:
            OptionInvalid: it shows none.
        """
        shown = dict(self.shown())
        if slot not in shown:
            raise OptionInvalid("There is no clip yet. Generate some first, then choose one.")
        return shown[slot]

    def check_free(self) -> None:
        """Raise OptionInvalid while an order of this visitor is waiting or under way."""
        if self.ordered:
            raise OptionInvalid(
                "Your last order is still being worked on. Wait until it is done, or cancel it."
            )

    def reserve(self) -> None:
        """Order a run; it waits for its turn. Raises as `check_free`."""
        self.check_free()
        if self.stop is not None:  # one that lapsed
            self.stop.set()
        self.stop, self.reserved = Event(), self.clock()

    @contextmanager
    def running(self) -> Iterator[Event]:
        """The run's turn has come; it has to end when the event is set.

        Raises:
            Stopped: it was cancelled while it waited.
        """
        stop = self.stop
        if stop is None:
            raise Stopped
        self.reserved = None
        try:
            yield stop
        finally:
            if self.stop is stop:
                self.stop = None

    def release(self) -> None:
        """Stop the run, if there is one; the next can be ordered."""
        if self.stop:
            self.stop.set()
            self.stop = None


class Visits:
    """The visits of everybody who is on the page."""

    def __init__(
        self, seconds: float, most_waiting: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Who is there.

        Args:
            seconds: after which an abandoned page is forgotten.
            most_waiting: orders that may wait or be under way at a time.
            clock: tells the time, seconds.
        """
        self._most_waiting = most_waiting
        self._clock = clock
        self._visits: TTLCache[str, Visit] = TTLCache(MOST_VISITS, seconds, timer=clock)
        self._lock = Lock()

    def of(self, request: gr.Request) -> Visit:
        """The visit that a request belongs to."""
        with self._lock:
            visit = self._visits.pop(str(request.session_hash), None) or Visit(clock=self._clock)
            while self._visits and sum(v.size for v in self._visits.values()) > MOST_MOTION:
                self._visits.popitem()[1].release()  # who was away for longest
            self._visits[str(request.session_hash)] = visit  # its time begins again
            return visit

    def expire(self) -> None:
        """Forget the pages whose time is over."""
        with self._lock:
            for _, visit in self._visits.expire():
                visit.release()

    def reserve(self, visit: Visit) -> None:
        """Order a run; it waits for its turn.

        Raises:
            OptionInvalid: there are too many orders, or one of this visitor.
        """
        with self._lock:
            waiting = sum(other.ordered for other in self._visits.values())
            if waiting >= self._most_waiting:
                raise OptionInvalid(
                    f"{waiting} people are waiting already. Please try again in a few minutes."
                )
            visit.reserve()

    def end(self, request: gr.Request) -> None:
        """The page was closed: stop its work and forget what it showed."""
        with self._lock:
            visit = self._visits.pop(str(request.session_hash), None)
        if visit:
            visit.release()
