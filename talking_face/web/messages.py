"""What is told while work is under way, and when it fails: stages, time left, sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr

from talking_face.errors import OutputUnwritable, TalkingFaceError
from talking_face.options import Progress


class Stopped(Exception):
    """The visitor has cancelled the run, or left."""


@contextmanager
def plain_sentences() -> Iterator[None]:
    """The package's errors become messages on the page."""
    try:
        yield
    except TalkingFaceError as error:
        raise gr.Error(sentence(error), print_exception=False) from error


def sentence(error: TalkingFaceError) -> str:
    """What the page tells of an error; folders of its machine are nobody's business."""
    if isinstance(error, OutputUnwritable):
        return "The page's machine can't write the result: its disk may be full. Try again later."
    return str(error)


def reporter(
    progress: gr.Progress, stop: Event, clock: Callable[[], float] = time.monotonic
) -> Progress:
    """A function that shows a stage and the time left, and raises Stopped once `stop` is set."""
    began = clock()

    def report(fraction: float, message: str) -> None:
        nonlocal began
        if stop.is_set():
            raise Stopped
        if fraction == 0:
            began = clock()  # what came before tells nothing of what is to come
        elapsed = clock() - began
        if elapsed > 1:
            message += f" · about {elapsed / fraction * (1 - fraction):.0f} s left"
        progress(fraction, desc=message)

    return report
