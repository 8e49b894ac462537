"""Where results lie until they are deleted: folders of their own inside Gradio's.

Gradio deletes uploads and what it has handed out itself, but not what a cancelled run leaves, or
files that an endpoint returns in a list. Whatever is in these folders goes when its time is up.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from threading import Thread

from gradio.utils import get_upload_folder

from talking_face.web.uploads import RESULTS, folder_name


def new_folder() -> Path:
    """A folder for results of the session whose request is being answered."""
    folder = Path(get_upload_folder()) / folder_name()
    folder.mkdir(mode=0o700, parents=True)
    return folder


def remove_old(seconds: float) -> None:
    """Remove the folders in which nothing has changed for so long."""
    for folder in Path(get_upload_folder()).glob(f"{RESULTS}*"):
        try:
            age = time.time() - folder.stat().st_mtime
        except FileNotFoundError:  # somebody else was faster
            continue
        if age > seconds:
            shutil.rmtree(folder, ignore_errors=True)


def keep_removing(every: float, seconds: float) -> None:
    """Look for old folders from now on, as long as the program runs."""

    def look() -> None:
        while True:
            time.sleep(every)
            remove_old(seconds)

    Thread(target=look, daemon=True, name="remove old results").start()
