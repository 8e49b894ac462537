"""Talking Face: one photo and one recording become several different talking clips."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from talking_face.machine_code import find_room
from talking_face.version import __version__ as __version__

if TYPE_CHECKING:
    from talking_face.animator import Animator as Animator
    from talking_face.animator import load_animator as load_animator
    from talking_face.clips.clip import Clip as Clip
    from talking_face.clips.mark import Mark as Mark
    from talking_face.editing.change import mix as mix
    from talking_face.editing.edit import Edit as Edit
    from talking_face.errors import TalkingFaceError as TalkingFaceError
    from talking_face.moods import MOODS as MOODS
    from talking_face.motion import FPS as FPS
    from talking_face.motion import Motion as Motion
    from talking_face.options import Look as Look

# Where each public name lives. They are imported when they are first asked for, so that nobody
# waits for networks and ffmpeg who only wants to know what there is.
_HOMES = {
    "FPS": "motion",
    "MOODS": "moods",
    "Animator": "animator",
    "Clip": "clips.clip",
    "Edit": "editing.edit",
    "Look": "options",
    "Mark": "clips.mark",
    "Motion": "motion",
    "TalkingFaceError": "errors",
    "load_animator": "animator",
    "mix": "editing.change",
}
__all__ = [*_HOMES]

find_room()


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # so that it is looked up once
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
