"""How much one visitor may order: as many clips an hour as the server's owner says.

A visitor is an address of the network here; whoever shares one shares its limit.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from threading import Lock

from cachetools import LRUCache
from gradio.context import LocalContext

from talking_face.errors import OptionInvalid, Refused
from talking_face.web.calls import host_of

LIMIT_VARIABLE = "TALKING_FACE_ORDERS_PER_HOUR"  # unlimited unless set
HOUR = 3600.0  # seconds
MOST_VISITORS = 10_000


class Limits:
    """Who has ordered how often within the last hour.

    Args:
        clock: tells the time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._orders: LRUCache[str, deque[float]] = LRUCache(MOST_VISITORS)
        self._lock = Lock()

    def count(self, visitor: str, most: int) -> None:
        """Take note of an order.

        Raises:
            Refused: it would be one too many, and isn't counted.
        """
        now = self._clock()
        with self._lock:
            orders = self._orders.pop(visitor, deque())
            while orders and now - orders[0] >= HOUR:
                orders.popleft()
            self._orders[visitor] = orders
            if len(orders) >= most:
                minutes = int((orders[0] + HOUR - now) / 60) + 1 if orders else 60
                raise Refused(
                    f"This server takes {most} orders an hour from each visitor. Try again in "
                    f"{minutes} minutes."
                )
            orders.append(now)


_limits = Limits()


def count_order(visitor: str | None = None) -> None:
    """Take note of an order.

    Args:
        visitor: an address; None is that of whose request is being answered.

    Raises:
        Refused: one too many.
        OptionInvalid: the limit isn't a number.
    """
    told = os.environ.get(LIMIT_VARIABLE)
    if not told:
        return
    if not told.isdecimal():
        raise OptionInvalid(f"{LIMIT_VARIABLE} must be a whole number, such as 20.")
    _limits.count(visitor or host_of(LocalContext.request.get(None)), int(told))
