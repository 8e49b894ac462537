"""Talking Face: one photo and one recording become several different talking clips."""

from talking_face.animator import Animator, Clip, load_animator
from talking_face.clips.mark import Mark
from talking_face.editing.change import mix
from talking_face.editing.edit import PRESETS, Edit
from talking_face.errors import TalkingFaceError
from talking_face.motion import FPS, Motion

__all__ = [
    "FPS",
    "PRESETS",
    "Animator",
    "Clip",
    "Edit",
    "Mark",
    "Motion",
    "TalkingFaceError",
    "load_animator",
    "mix",
]
