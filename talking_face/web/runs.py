"""Everything that makes clips: checked at once, then carried out when its turn comes.

Each button orders one kind of `Work`. Its order is checked and a turn reserved, then the work runs
behind those that came earlier, and at last the page is told that it may order again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import gradio as gr

from talking_face.interruption import Stopped, heeding_steps
from talking_face.options import Progress
from talking_face.web.events import BUSY, CHECKS, HIDDEN, LOOKS, QUIET, READY, SHORT, SHOWN
from talking_face.web.limits import count_order
from talking_face.web.messages import heeding_client, plain_sentences, reporter
from talking_face.web.page import Asked, Page, Updates
from talking_face.web.settings import told_takes
from talking_face.web.shots import (
    Shot,
    draw,
    mixed,
    next_index,
    pictured,
    plan,
    plot,
    render,
    spoken,
)
from talking_face.web.uploads import Upload
from talking_face.web.visits import Visit, Visits

PROGRESS = gr.Progress()

# Yields what each card shows as soon as it does; None empties it.
Work = Callable[[Visit, Asked, Progress], Iterator[tuple[int, "Shot | None"]]]
Check = Callable[..., tuple[Any, ...]]  # raises what is wrong with an order, and reserves its turn


class Runs:
    """The buttons of one page that make clips.

    Args:
        page, visits: what they are wired to.
        show: options of the event that draws the preview, which follows each run.
    """

    def __init__(self, page: Page, visits: Visits, show: dict[str, Any]) -> None:
        self._page, self._visits, self._show = page, visits, show
        self._under_way: list[Any] = []

    def connect(self) -> None:
        """Wire them up."""
        page, begin = self._page, self._begin
        for asked_for in (self._said().success, self._picked().then):
            self._order(asked_for, self._begin_new, generate)
        self._order(page.expression.apply.click, begin, change)
        self._order(page.expression.apply_all.click, begin, change_all)
        self._order(page.comparing.mix.click, begin, mix)
        for slot, card in enumerate(page.stage.cards):
            # Who rolls one again looks at it already.
            self._order(card.roll.click, begin, roll(slot), to_results=False)
        outputs = [page.status, page.start, page.cancel]
        page.cancel.click(self._stop, outputs=outputs, cancels=self._under_way, **QUIET)

    def _order(
        self, asked_for: Callable[..., Any], check: Check, work: Work, to_results: bool = True
    ) -> None:
        """What happens when an event asks for work."""
        page, buttons = self._page, [self._page.start, self._page.cancel]
        ready = asked_for(check, page.asked, [*buttons, page.status], **CHECKS)
        if to_results:
            ready.success(None, js="() => talkingFace.toResults()", **QUIET)
        running = ready.success(
            carry_out(work, page, self._visits),
            page.asked,
            page.outcome,
            preprocess=False,
            show_progress_on=page.status,
            concurrency_id="clips",
            api_visibility="private",
        )
        for ended in (running.then, running.failure):  # Gradio 6.31 leaves `then` out on errors
            ended(self._end, outputs=buttons, **QUIET)
        theme, plotted = page.comparing.theme, page.comparing.plot
        running.success(self._plotted, theme, plotted, js="talkingFace.theme", **SHORT)
        running.success(**self._show)
        self._under_way.append(running)

    def _said(self) -> Any:
        """Who typed a text and presses "Generate" needn't press "Speak" as well."""
        material = self._page.material
        typed = [material.audio, material.text, material.voice, material.speed]
        return self._page.start.click(say_if_typed, typed, material.audio, **LOOKS)

    def _picked(self) -> Any:
        """An example takes the place of photo and recording, and is ordered at once."""
        page, material = self._page, self._page.material
        places = [material.photo, material.audio, material.face, material.faces, page.consent]

        def pick(index: int) -> tuple[Any, ...]:
            return (*page.pairs[index], gr.update(visible=False, value=None), HIDDEN, HIDDEN)

        return page.examples.click(pick, page.examples, places, **QUIET)

    def _begin_new(self, request: gr.Request, *values: Any) -> tuple[Any, ...]:
        with plain_sentences():
            visit, asked = self._visits.of(request), Asked.read(self._page, values)
            visit.check_free()
            order = asked.order()
            order.check()
            plan(order, visit.shots, asked.kept)
            count_order()
            self._visits.reserve(visit)
        return BUSY, SHOWN, ""

    def _begin(self, request: gr.Request, *values: Any) -> tuple[Any, ...]:
        with plain_sentences():
            visit = self._visits.of(request)
            Asked.read(self._page, values).order_for(visit.shot(visit.chosen)).check()
            count_order()
            self._visits.reserve(visit)
        return BUSY, SHOWN, ""

    def _end(self, request: gr.Request) -> tuple[Any, Any]:
        self._visits.of(request).release()
        return READY, HIDDEN

    def _stop(self, request: gr.Request) -> Updates:
        self._visits.of(request).release()
        page = self._page
        return {page.status: "Cancelled.", page.start: READY, page.cancel: HIDDEN}

    def _plotted(self, theme: str, request: gr.Request) -> Any:
        shown = self._visits.of(request).shown()
        if not shown:
            return None
        drawn = plot(shown, "dark" if theme == "dark" else "light")
        return str(pictured(drawn, "plot", "dataDrivenMedia"))


def say_if_typed(audio: Upload, text: str, voice: str, speed: float) -> Any:
    """The typed text as a sound, where there is one and no recording."""
    if audio is not None or not (text or "").strip():
        return gr.skip()
    with plain_sentences(), heeding_client():
        return spoken(text, voice, speed)[0]


def carry_out(work: Work, page: Page, visits: Visits) -> Callable[..., Iterator[Updates]]:
    """The function behind a button that makes clips."""

    def run(
        request: gr.Request, progress: gr.Progress = PROGRESS, *values: Any
    ) -> Iterator[Updates]:
        visit, asked = visits.of(request), Asked.read(page, values)
        with plain_sentences(), suppress(Stopped), visit.running() as stop:
            gone = gr.update(visible=False, value=None)  # what was made of the clips before
            yield {page.comparing.clip: gone, page.sharing.files: gone}
            began = time.monotonic()
            steps = work(visit, asked, reporter(progress, stop))
            for slot, shot in heeding_steps(steps, stop.is_set):
                visit.shots[slot] = shot
                card = page.stage.cards[slot]
                yield (card.show(shot) if shot else card.hide()) | page.around(visit)
            settings = asked.settings()
            told = told_takes([shot.take for _, shot in visit.shown()], settings.seed)
            yield {
                page.status: f"Done in {time.monotonic() - began:.0f} s, "
                f"with seed {settings.seed}.",
                page.choices.parts["takes"]: told,
            }

    return run


def generate(visit: Visit, asked: Asked, report: Progress) -> Iterator[tuple[int, Shot | None]]:
    order = asked.order()
    places = plan(order, visit.shots, asked.kept)
    for slot, shot in enumerate(visit.shots):
        if shot and not (asked.kept[slot] and shot.path):
            yield slot, None
    yield from draw(order, places, report, order.settings.edits)


def roll(slot: int) -> Work:
    def again(visit: Visit, asked: Asked, report: Progress) -> Iterator[tuple[int, Shot | None]]:
        order = asked.order_for(visit.shot(slot))
        take = (order.settings.seed, next_index(order, visit.shots))
        return draw(order, [(slot, take)], report, order.settings.edits)

    return again


def change(visit: Visit, asked: Asked, report: Progress) -> Iterator[tuple[int, Shot | None]]:
    return render([(asked.chosen or 0, asked.changed(visit.shot(asked.chosen)))], report)


def change_all(visit: Visit, asked: Asked, report: Progress) -> Iterator[tuple[int, Shot | None]]:
    return render([(slot, asked.changed(shot)) for slot, shot in visit.shown()], report)


def mix(visit: Visit, asked: Asked, report: Progress) -> Iterator[tuple[int, Shot | None]]:
    return render([mixed(visit.shots, *asked.mixing)], report)
