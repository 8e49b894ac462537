"""Where results lie until they are deleted: folders of their own inside Gradio's.

Gradio deletes uploads and what it has handed out itself, but not what a cancelled run leaves, or
files that an endpoint returns in a list. Whatever is in these folders goes when its time is up.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from gradio.utils import get_upload_folder

from talking_face.web.uploads import RESULTS, folder_name

logger = logging.getLogger(__name__)


def new_folder() -> Path:
    """A folder for results of the session whose request is being answered."""
    folder = Path(get_upload_folder()) / folder_name()
    folder.mkdir(mode=0o700, parents=True)
    return folder


def remove_old(seconds: float) -> None:
    """Remove the folders in which nothing has changed for so long.

    What can't be looked at or removed now is left for the next time.
    """
    with _left_for_next_time("The folders of results"):
        for folder in list(Path(get_upload_folder()).glob(f"{RESULTS}*")):
            with _left_for_next_time(str(folder)):
                if time.time() - folder.stat().st_mtime > seconds:
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _left_for_next_time(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # somebody else was faster, or may do what we may not
        logger.debug("%s can't be removed now: %s", what, error)


def keep_removing(every: float, seconds: float, *forget: Callable[[], None]) -> None:
    """Look for old folders from now on, as long as the program runs.

    Args:
        every: seconds between two looks.
        seconds: as in `remove_old`.
        forget: called at each look; what else has had its time.
    """

    def look() -> None:
        while True:
            time.sleep(every)
            remove_old(seconds)
            for forget_old in forget:
                forget_old()

    Thread(target=look, daemon=True, name="remove old results").start()
