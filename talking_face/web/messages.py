"""What is told while work is under way, and when it fails: stages, time left, sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr
from gradio.context import LocalContext

from talking_face.errors import OutputUnwritable, TalkingFaceError
from talking_face.options import Progress


class Stopped(Exception):
    """Who ordered the work has cancelled it, or left."""


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


def heeding_client() -> Progress:
    """A function that raises Stopped once the client whose call is under way doesn't want it.

    Gradio forgets a call that is cancelled and marks one whose client has closed the connection,
    but lets its function run on; it has no public way to ask. Call it inside the endpoint.
    """
    blocks, call = LocalContext.blocks.get(None), LocalContext.event_id.get(None)

    def report(fraction: float, message: str) -> None:
        del fraction, message
        if blocks is None or call is None:  # not in the queue: nobody can cancel it
            return
        event = blocks._queue.event_ids_to_events.get(call)
        if event is None or not event.alive:
            raise Stopped

    return report


@contextmanager
def plain_end() -> Iterator[None]:
    """A stopped call ends with a sentence, as nobody waits for its answer."""
    try:
        yield
    except Stopped as stopped:
        raise gr.Error("The order was cancelled.", print_exception=False) from stopped
