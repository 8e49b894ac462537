"""What happens when something on the page is clicked, typed or dropped."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import gradio as gr

from talking_face.editing.edit import PRESETS, Edit
from talking_face.options import MAX_SEED
from talking_face.web.messages import Report, Stopped, plain_sentences, reporter
from talking_face.web.models import animator
from talking_face.web.orders import check_audio, face_at, is_example, look_at
from talking_face.web.page import Asked, Page, Updates
from talking_face.web.settings import SLIDERS, Settings, from_recipe, slider_values, told_takes
from talking_face.web.shots import (
    Shot,
    compare,
    draw,
    mixed,
    next_index,
    plan,
    plot,
    preview,
    render,
    shared,
    spoken,
)
from talking_face.web.uploads import Upload, received
from talking_face.web.visits import Visit, Visits

PROGRESS = gr.Progress()
SHOWN = gr.update(visible=True)
HIDDEN = gr.update(visible=False)
READY = gr.update(interactive=True)
BUSY = gr.update(interactive=False)
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
# Uploads are read by talking_face alone, as they came: Gradio would decode and convert them.
RAW: dict[str, Any] = QUIET | {"preprocess": False}
LOOKS: dict[str, Any] = RAW | {"queue": True, "concurrency_id": "looks", "concurrency_limit": 2}
# What is asked before an order waits for its turn. Looking for a face takes a core for a while, so
# only as many look as there are cores; each answers within seconds. Outside of Gradio's queue, the
# page wouldn't show the sentence of an error.
CHECKS: dict[str, Any] = RAW | {
    "queue": True,
    "concurrency_id": "checks",
    "concurrency_limit": max(2, os.cpu_count() or 1),
}
SHORT: dict[str, Any] = LOOKS | {"preprocess": True, "show_progress": "minimal"}
TURN: dict[str, Any] = {"concurrency_id": "clips", "api_visibility": "private"}
DICE = f"() => [Math.floor(Math.random() * {MAX_SEED + 1}), '']"

# Yields what each card shows as soon as it does; None empties it.
Work = Callable[[Visit, Asked, Report], Iterator[tuple[int, "Shot | None"]]]


def connect(demo: gr.Blocks, page: Page, visits: Visits) -> None:
    """Wire the page up."""
    _material(page)
    _recipe(demo, page)
    show = _previews(page, visits)
    _runs(page, visits, show)
    _files(page, visits)
    demo.unload(visits.end)


def _material(page: Page) -> None:
    material, choices = page.material, page.choices

    def look(photo: Upload) -> Updates:
        if photo is None:
            none = gr.update(visible=False, value=None)
            return {material.face: none, material.faces: none, page.consent: HIDDEN}
        found = look_at(photo)
        several = found.outlined is not None
        return {
            material.photo: gr.skip() if found.shown is None else gr.update(value=found.shown),
            material.face: gr.update(choices=found.choices, value=0, visible=several),
            material.faces: gr.update(value=found.outlined, visible=several),
            page.consent: gr.update(visible=not is_example(received(photo))),
        }

    def pick(photo: Upload, event: gr.SelectData) -> Any:
        index = face_at(photo, *event.index)
        return gr.skip() if index is None else index

    def say(text: str, voice: str, speed: float) -> tuple[Any, Any]:
        with plain_sentences():
            path, phonemes = spoken(text, voice, speed)
        return path, gr.update(value=phonemes, visible=True)

    def sound_of(film: Upload) -> str:
        with plain_sentences():
            return str(received(film))

    def mesh(photo: Upload, face: Any) -> Any:
        if photo is None:
            return None
        with plain_sentences():
            return animator().show_mesh(animator().fit(received(photo), face or 0))

    parts = [material.photo, material.faces, material.face, page.consent]
    material.photo.input(look, material.photo, parts, **LOOKS)
    material.faces.select(pick, material.photo, material.face, **LOOKS)
    material.audio.input(check_audio, material.audio, **LOOKS)
    material.film.upload(sound_of, material.film, material.audio, **RAW)
    material.speak.click(
        say,
        [material.text, material.voice, material.speed],
        [material.audio, material.phonemes],
        **SHORT,
    )
    page.mesh_box.expand(mesh, [material.photo, material.face], page.mesh, **LOOKS)
    takes = choices.parts["takes"]
    choices.dice.click(None, outputs=[choices.parts["seed"], takes], js=DICE, **QUIET)
    for name in ("samples", "seed"):  # other clips are wanted than those of the recipe
        choices.parts[name].input(lambda: "", outputs=takes, **QUIET)
    choices.parts["background"].change(
        lambda kind: (gr.update(visible=kind == "colour"), gr.update(visible=kind == "image")),
        choices.parts["background"],
        [choices.parts["colour"], choices.backdrop],
        **QUIET,
    )


def _recipe(demo: gr.Blocks, page: Page) -> None:
    """The settings go into the page's address and the browser's storage, and come from there."""
    settings, link = page.settings, page.sharing.link
    told = gr.Textbox(visible=False)

    def restore(told: str) -> Updates:
        return {settings[name]: value for name, value in from_recipe(told).items()}

    demo.load(restore, told, list(settings.values()), js="() => talkingFace.recall()", **QUIET)
    defaults = asdict(Settings())
    gr.on(
        [demo.load, *(part.change for part in settings.values())],
        None,
        list(settings.values()),
        link,
        js="(...values) => talkingFace.remember("
        f"{json.dumps({name: defaults[name] for name in settings})}, values)",
        **QUIET,
    )


def _runs(page: Page, visits: Visits, show: dict[str, Any]) -> None:
    """Everything that makes clips: checked at once, then carried out when its turn comes."""

    def begin_new(request: gr.Request, *values: Any) -> tuple[Any, Any]:
        with plain_sentences():
            visit, asked = visits.of(request), Asked.read(page, values)
            visit.check_free()
            order = asked.order()
            order.check()
            plan(order, visit.shots, asked.kept)
            visits.reserve(visit)
        return BUSY, SHOWN

    def begin(request: gr.Request, *values: Any) -> tuple[Any, Any]:
        with plain_sentences():
            visit = visits.of(request)
            Asked.read(page, values).order_for(visit.shot(visit.chosen)).check()
            visits.reserve(visit)
        return BUSY, SHOWN

    def end(request: gr.Request) -> tuple[Any, Any]:
        visits.of(request).release()
        return READY, HIDDEN

    def stop(request: gr.Request) -> Updates:
        visits.of(request).release()
        return {page.status: "Cancelled.", page.start: READY, page.cancel: HIDDEN}

    def choose(slot: int, request: gr.Request) -> None:
        visits.of(request).chosen = slot

    def plotted(theme: str, request: gr.Request) -> Any:
        shown = visits.of(request).shown()
        return plot(shown, "dark" if theme == "dark" else "light") if shown else None

    def pick(index: int) -> tuple[Any, ...]:
        return (*page.pairs[index], gr.update(visible=False, value=None), HIDDEN, HIDDEN)

    def say(audio: Upload, text: str, voice: str, speed: float) -> Any:
        """Who typed a text needn't press "Speak" as well."""
        if audio is not None or not (text or "").strip():
            return gr.skip()
        with plain_sentences():
            return spoken(text, voice, speed)[0]

    material, stage = page.material, page.stage
    chosen = [material.photo, material.audio, material.face, material.faces, page.consent]
    said = page.start.click(
        say,
        [material.audio, material.text, material.voice, material.speed],
        material.audio,
        **LOOKS,
    )
    picked = page.examples.click(pick, page.examples, chosen, **QUIET)
    rolls = [roll(slot) for slot in range(len(stage.cards))]
    orders: list[tuple[Any, Callable[..., Any], Work]] = [
        (said.success, begin_new, generate),
        (picked.then, begin_new, generate),
        (page.expression.apply.click, begin, change),
        (page.expression.apply_all.click, begin, change_all),
        (page.comparing.mix.click, begin, mix),
        *((card.roll.click, begin, work) for card, work in zip(stage.cards, rolls, strict=True)),
    ]
    buttons = [page.start, page.cancel]
    under_way = []
    for asked_for, check, work in orders:
        ready = asked_for(check, page.asked, buttons, **CHECKS)
        if work not in rolls:  # who rolls one again looks at it
            ready.success(None, js="() => talkingFace.toResults()", **QUIET)
        running = ready.success(
            carry_out(work, page, visits),
            page.asked,
            page.outcome,
            preprocess=False,
            show_progress_on=page.status,
            concurrency_id="clips",
            api_visibility="private",
        )
        for ended in (running.then, running.failure):  # Gradio 6.31 leaves `then` out on errors
            ended(end, outputs=buttons, **QUIET)
        running.success(
            plotted, page.comparing.theme, page.comparing.plot, js="talkingFace.theme", **SHORT
        )
        running.success(**show)
        under_way.append(running)
    outputs = [page.status, *buttons]
    page.cancel.click(stop, outputs=outputs, cancels=under_way, **QUIET)
    stage.chosen.input(choose, stage.chosen, **QUIET)
    for slot, card in enumerate(stage.cards):
        card.alone.click(None, js=f"() => talkingFace.alone({slot})", **QUIET)


def carry_out(work: Work, page: Page, visits: Visits) -> Callable[..., Iterator[Updates]]:
    """The function behind a button that makes clips."""

    def run(
        request: gr.Request, progress: gr.Progress = PROGRESS, *values: Any
    ) -> Iterator[Updates]:
        visit, asked = visits.of(request), Asked.read(page, values)
        with plain_sentences(), suppress(Stopped), visit.running() as stop:
            gone = gr.update(visible=False, value=None)  # what was made of the clips before
            yield {page.status: "", page.comparing.clip: gone, page.sharing.files: gone}
            began = time.monotonic()
            for slot, shot in work(visit, asked, reporter(progress, stop)):
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


def generate(visit: Visit, asked: Asked, report: Report) -> Iterator[tuple[int, Shot | None]]:
    order = asked.order()
    places = plan(order, visit.shots, asked.kept)
    for slot, shot in enumerate(visit.shots):
        if shot and not (asked.kept[slot] and shot.path):
            yield slot, None
    yield from draw(order, places, report, order.settings.edits)


def roll(slot: int) -> Work:
    def again(visit: Visit, asked: Asked, report: Report) -> Iterator[tuple[int, Shot | None]]:
        order = asked.order_for(visit.shot(slot))
        take = (order.settings.seed, next_index(order, visit.shots))
        return draw(order, [(slot, take)], report, order.settings.edits)

    return again


def change(visit: Visit, asked: Asked, report: Report) -> Iterator[tuple[int, Shot | None]]:
    return render([(asked.chosen or 0, asked.changed(visit.shot(asked.chosen)))], report)


def change_all(visit: Visit, asked: Asked, report: Report) -> Iterator[tuple[int, Shot | None]]:
    return render([(slot, asked.changed(shot)) for slot, shot in visit.shown()], report)


def mix(visit: Visit, asked: Asked, report: Report) -> Iterator[tuple[int, Shot | None]]:
    return render([mixed(visit.shots, *asked.mixing)], report)


def _previews(page: Page, visits: Visits) -> dict[str, Any]:
    """Show at once what a slider does; returns the event that draws the preview."""
    panel = page.expression
    sliders = {name: part for name, part in panel.parts.items() if name in SLIDERS}

    def look(request: gr.Request, moment: Any, *values: Any) -> Any:
        visit, asked = visits.of(request), Asked.read(page, values)
        if visit.chosen is None:
            return gr.skip()
        with plain_sentences():
            shot = asked.changed(visit.shot(visit.chosen))
            return preview(shot, float(moment) if moment else None)

    def show(edit: Edit) -> Callable[[], list[float]]:
        return lambda: [slider_values(edit)[name] for name in sliders]

    shown: dict[str, Any] = {
        "fn": look,
        "inputs": [panel.moment, *page.asked],
        "outputs": panel.preview,
        "js": "(_, ...values) => [talkingFace.moment(), ...values]",
        **LOOKS,
        "show_progress": "minimal",
    }
    moved = [part.input for part in (*panel.parts.values(), panel.add)]
    gr.on([*moved, page.stage.chosen.input], trigger_mode="always_last", **shown)
    for name, button in panel.presets.items():
        button.click(show(PRESETS[name]), outputs=list(sliders.values()), **QUIET).then(**shown)
    panel.reset.click(show(Edit()), outputs=list(sliders.values()), **QUIET).then(**shown)
    return shown


def _files(page: Page, visits: Visits) -> None:
    """What is made of finished clips."""

    def side_by_side(request: gr.Request) -> Any:
        with plain_sentences():
            clip = compare([shot for _, shot in visits.of(request).shown()])
        return gr.update(visible=True, value=clip)

    def share(request: gr.Request) -> Any:
        visit = visits.of(request)
        with plain_sentences():
            files = shared(visit.shot(visit.chosen))
        return gr.update(value=[str(path) for path in files], visible=True)

    page.sharing.start.click(share, outputs=page.sharing.files, **TURN)
    page.comparing.start.click(
        side_by_side,
        outputs=page.comparing.clip,
        **TURN,
    )
