"""Loops over pixels, made into machine code by numba at their first use.

It is kept for other processes beside this package, in the user's cache, or where $NUMBA_CACHE_DIR
says; where nothing of that can be written, each process makes its own.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = "NUMBA_CACHE_DIR"  # environment variable: where numba keeps its code

logger = logging.getLogger(__name__)


def find_room() -> None:
    """Give numba a folder of its own where it can write neither beside librosa nor at home.

    librosa can't be imported without one. For the start of the package, before either is.
    """
    library = find_spec("librosa")
    places = [*(library.submodule_search_locations or [])] if library else []
    with suppress(RuntimeError):  # a user without a home
        places.append(os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"))
    if FOLDER in os.environ or any(map(_writable, map(Path, places))):
        return
    try:
        folder = tempfile.mkdtemp(prefix="talking_face_code_")  # nobody else can put code there
    except OSError:  # librosa will say what it misses
        return
    os.environ[FOLDER] = folder
    atexit.register(shutil.rmtree, folder, ignore_errors=True)


def _writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or in one that would be made for it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


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
