"""What is told while work is under way, and when it fails: stages, time left, sentences."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

import gradio as gr
from gradio.context import LocalContext

from talking_face.errors import OutputUnwritable, TalkingFaceError
from talking_face.interruption import Stopped, heed, heeding
from talking_face.options import Progress
from talking_face.web.calls import over


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


def untold(fraction: float, stage: str) -> None:
    """A Progress for orders of programs, which aren't told how far they are."""


@contextmanager
def heeding_client() -> Iterator[None]:
    """What is done for a client's call stops once that client doesn't want it any more.

    Gradio forgets a call that is cancelled and marks one whose client has closed the connection,
    but lets its function run on; it has no public way to ask. A stopped call ends with a sentence,
    though nobody waits for it.
    """
    blocks, call = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    request = LocalContext.request.get(None)

    def unwanted() -> bool:
        if over(request):
            return True
        if blocks is None or call is None:  # not in the queue: nobody can cancel it
            return False
        event = blocks._queue.event_ids_to_events.get(call)
        return event is None or not event.alive

    try:
        with heeding(unwanted):
            heed()
            yield
    except Stopped as stopped:
        raise gr.Error("The order was cancelled.", print_exception=False) from stopped
