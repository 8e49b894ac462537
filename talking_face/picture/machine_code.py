"""Loops over pixels, made into machine code by numba at their first use.

It is kept for other processes beside this package, in the user's cache, or where $NUMBA_CACHE_DIR
says; where nothing can be written, each process makes its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)


def compiled(function: Callable[..., None], *arguments: str) -> Callable[..., None]:
    """A function of arrays as machine code, which leaves the other threads alone.

    Args:
        arguments: numba's names of the types of its arguments, such as "float32[:, ::1]".
    """
    import numba

    signature = f"void({', '.join(arguments)})"
    options: dict[str, Any] = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    try:
        return numba.njit(signature, cache=True, **options)(function)
    except (RuntimeError, OSError) as error:  # no folder can be written, or the disk is full
        logger.debug("the machine code of %s isn't kept: %s", function.__name__, error)
        return numba.njit(signature, **options)(function)
