"""Recordings of live faces: made into clips aside, and handed out under names that nobody guesses.

They lie where all results lie, and go when their time is up.
"""

from __future__ import annotations

import re
from pathlib import Path

from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from talking_face.exports import write_take
from talking_face.live.take import Take
from talking_face.options import Look, Progress
from talking_face.web.folders import new_folder
from talking_face.web.models import animator
from talking_face.web.uploads import RESULTS

PLACE = "/live/recordings"
FILE = "live.mp4"
_NAME = re.compile(rf"{RESULTS}[0-9a-f]{{32}}-[0-9a-f]{{32}}")


def route() -> Route:
    """What the page's server is given."""
    return Route(f"{PLACE}/{{name}}", hand_out)


def make(take: Take, size: int, progress: Progress) -> str:
    """Make a clip of a take; its address, relative to the page's. One core, as others are live.

    Raises:
        As `write_take`; what `progress` raises.
    """
    folder = new_folder()
    path = folder / FILE
    try:
        write_take(animator(), take, path, Look(size=size), progress=progress, aside=True)
    finally:
        if not path.exists():
            folder.rmdir()
    return f"{PLACE}/{folder.name}".lstrip("/")


async def hand_out(request: Request) -> Response:
    """The file of a recording, to be saved."""
    name = request.path_params["name"]
    path = Path(get_upload_folder()) / name / FILE
    if not _NAME.fullmatch(name) or not path.is_file():
        gone = "This recording isn't here, or was deleted when its time was over."
        return PlainTextResponse(gone, status_code=404)
    return FileResponse(path, media_type="video/mp4", filename=FILE)
