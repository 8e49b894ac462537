"""The checker on the page and for programs: what any file says of how it was made."""

# No "from __future__ import annotations" here: Gradio reads the annotations as types.
from typing import Any

import gradio as gr
from gradio.events import api

from talking_face.clips.verification import verify as look_for_marks
from talking_face.errors import UploadUnknown
from talking_face.web.events import RAW
from talking_face.web.messages import plain_sentences
from talking_face.web.uploads import received

HELP = """Drop any picture, video or sound here, or what else was made here, to see whether it says
of itself that a machine made it: by its signed statement, by the invisible mark that this program
sets, or in plain words. The file is deleted as all uploads are."""


def verify(file: gr.FileData) -> dict[str, Any]:
    """Say whether a file is marked as made by a machine.

    Args:
        file: a picture, a video, a sound, or another file that was made here.

    Returns:
        A mapping of "manifest" (the signed statement: found, valid, trusted, signer, tool,
        generated, making, parts, problem), "invisible" (the invisible mark: found, probability,
        false_alarm and, where it can be read, tool, version, clip and day), "plain" (its plain
        words: found, text) and "sentences".
    """
    with plain_sentences():
        if file is None:
            raise UploadUnknown("There is no file yet. Give one.")
        verdict = look_for_marks(received(file))
        return verdict.told() | {"sentences": verdict.sentences()}


def publish() -> None:
    """Make the endpoint known; call it while the page is being built."""
    api(verify, api_name="verify", concurrency_id="looks")


def create() -> None:
    """The tab's content, wired up; call it where it is to be."""
    gr.Markdown(HELP)
    file = gr.File(
        label="Any file",
        type="filepath",
        elem_id="verify-file",
    )
    answer = gr.Markdown(min_height=40, elem_id="verify-answer")

    def check(upload: Any) -> str:
        if upload is None:
            return ""
        return "\n".join(f"- {sentence}" for sentence in verify(upload)["sentences"])

    checked = RAW | {"queue": True, "concurrency_id": "looks", "show_progress": "minimal"}
    file.change(check, file, answer, **checked)
