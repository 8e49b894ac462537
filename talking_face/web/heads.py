"""The page's actions in three dimensions for programs; see `talking_face.web.endpoints`."""

# No "from __future__ import annotations" here: Gradio reads the annotations as types.
import gradio as gr
from gradio.events import api

from talking_face.exports import check_export
from talking_face.head.view import Camera
from talking_face.options import DEPTH, number
from talking_face.web.endpoints import file_of, files_of
from talking_face.web.given import given_shot
from talking_face.web.messages import heeding_client, plain_sentences
from talking_face.web.turning import exported, viewed


def export(
    photo: gr.FileData,
    audio: gr.FileData,
    motion: gr.FileData,
    kinds: list[str] = ["glb"],  # noqa: B006
    depth: float = DEPTH,
    face: int = 0,
    consent: bool = False,
) -> list[gr.FileData]:
    """Take a motion on a face into other tools: a head in 3-D, curves, videos for two eyes.

    Args:
        photo: an image with a face seen from the front.
        audio: the recording that the videos are to have.
        motion: of "generate" or "mix" (npz or csv).
        kinds: any of glb (the head with its animation), obj (one frame), arkit (the 52 curves, as
            Live Link Face's csv and as json), stereo, stereo-half (side by side), anaglyph.
        depth: of the videos for two eyes, 0 (flat) to 1.
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo and voice; needed.

    Returns:
        The files, in the order of the kinds.
    """
    with plain_sentences(), heeding_client():
        for kind in kinds if isinstance(kinds, list) and kinds else [kinds]:
            check_export(kind)
        shot = given_shot(photo, audio, motion, [], {}, face, consent)
        wanted = [kinds] if isinstance(kinds, str) else kinds
        return files_of(exported(shot, wanted, number("The depth", depth)))


def view(
    photo: gr.FileData,
    audio: gr.FileData,
    motion: gr.FileData,
    yaw: float = 20.0,
    pitch: float = 0.0,
    zoom: float = 1.0,
    orbit: float = 0.0,
    face: int = 0,
    consent: bool = False,
) -> gr.FileData:
    """Render a motion's head from elsewhere.

    Args:
        photo: an image with a face seen from the front.
        audio: the recording that the clip is to have.
        motion: of "generate" or "mix" (npz or csv).
        yaw: degrees to the picture's right, -35 to 35.
        pitch: degrees up, -20 to 20.
        zoom: 0.5 to 2.
        orbit: seconds that a slow circle through these angles takes; 0 stands still.
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo and voice; needed.

    Returns:
        The clip (mp4).
    """
    with plain_sentences(), heeding_client():
        camera = Camera(
            number("The yaw", yaw), number("The pitch", pitch),
            number("The zoom", zoom), number("The orbit", orbit),
        )  # fmt: skip
        return file_of(viewed(given_shot(photo, audio, motion, [], {}, face, consent), camera))


def publish() -> None:
    """Make the endpoints known; call it while the page is being built."""
    for work in (export, view):
        api(work, api_name=work.__name__, concurrency_id="clips")
