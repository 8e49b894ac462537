"""What happens when something on the page is clicked, typed or dropped."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import gradio as gr

from talking_face.options import MAX_SEED
from talking_face.web.events import HIDDEN, LOOKS, QUIET, RAW, SHORT, TURN
from talking_face.web.feelings import heard_picture
from talking_face.web.limits import count_order
from talking_face.web.messages import heeding_client, plain_sentences
from talking_face.web.orders import check_audio, emotion_of, face_at, is_example, look_at, mesh_over
from talking_face.web.page import Asked, Page, Updates
from talking_face.web.runs import Runs
from talking_face.web.settings import CHANGES, Settings, from_recipe
from talking_face.web.shots import compare, pictured, preview, shared, spoken
from talking_face.web.uploads import Upload, received
from talking_face.web.visits import Visits

DICE = f"() => [Math.floor(Math.random() * {MAX_SEED + 1}), '']"


def connect(demo: gr.Blocks, page: Page, visits: Visits) -> None:
    """Wire the page up."""
    _material(page)
    _recipe(demo, page)
    show = _previews(page, visits)
    Runs(page, visits, show).connect()
    _cards(page, visits)
    _files(page, visits)
    demo.unload(visits.end)


def _material(page: Page) -> None:
    material, choices = page.material, page.choices

    def look(photo: Upload) -> Updates:
        if photo is None:
            none = gr.update(visible=False, value=None)
            return {material.face: none, material.faces: none, page.consent: HIDDEN}
        found = look_at(photo)
        for note in found.notes:
            gr.Info(note)
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

    def hear(audio: Upload) -> None:
        for note in check_audio(audio):
            gr.Info(note)

    def feel(audio: Upload) -> Any:
        told = heard_picture(emotion_of(audio))
        return gr.update(value=told, visible=bool(told))

    def say(text: str, voice: str, speed: float) -> tuple[Any, Any]:
        with plain_sentences(), heeding_client():
            path, phonemes = spoken(text, voice, speed)
        return path, gr.update(value=phonemes, visible=True)

    def sound_of(film: Upload) -> str:
        with plain_sentences():
            return str(received(film))

    def mesh(photo: Upload, face: Any) -> Any:
        if photo is None:
            return None
        with plain_sentences():
            return str(pictured(mesh_over(received(photo), face or 0), "mesh"))

    parts = [material.photo, material.faces, material.face, page.consent]
    material.photo.input(look, material.photo, parts, **LOOKS)
    material.faces.select(pick, material.photo, material.face, **LOOKS)
    material.audio.change(feel, material.audio, material.heard, **LOOKS)
    material.audio.input(hear, material.audio, **LOOKS)
    filmed = material.film.upload(sound_of, material.film, material.audio, **RAW)
    filmed.success(hear, material.audio, **LOOKS)
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


def _cards(page: Page, visits: Visits) -> None:
    """Which card is heard, and which plays alone."""
    stage = page.stage

    def choose(slot: int, request: gr.Request) -> None:
        visits.of(request).chosen = slot

    stage.chosen.input(choose, stage.chosen, **QUIET)
    for slot, card in enumerate(stage.cards):
        card.alone.click(None, js=f"() => talkingFace.alone({slot})", **QUIET)


def _previews(page: Page, visits: Visits) -> dict[str, Any]:
    """Show at once what a slider does; returns the event that draws the preview."""
    panel = page.expression
    changes = {name: page.settings[name] for name in CHANGES}

    def look(request: gr.Request, moment: Any, *values: Any) -> Any:
        visit, asked = visits.of(request), Asked.read(page, values)
        if visit.chosen is None:
            return gr.skip()
        with plain_sentences():
            shot = asked.changed(visit.shot(visit.chosen))
            return str(pictured(preview(shot, float(moment) if moment else None), "preview"))

    def unchanged() -> list[Any]:
        return [getattr(Settings, name) for name in changes]

    shown: dict[str, Any] = {
        "fn": look,
        "inputs": [panel.moment, *page.asked],
        "outputs": panel.preview,
        "js": "(_, ...values) => [talkingFace.moment(), ...values]",
        **LOOKS,
        "show_progress": "minimal",
    }
    moved = [part.input for part in (page.settings | {"add": panel.add}).values()]
    gr.on([*moved, page.stage.chosen.input], trigger_mode="always_last", **shown)
    panel.reset.click(unchanged, outputs=list(changes.values()), **QUIET).then(**shown)
    return shown


def _files(page: Page, visits: Visits) -> None:
    """What is made of finished clips."""

    def side_by_side(request: gr.Request) -> Any:
        shots = [shot for _, shot in visits.of(request).shown()]
        with plain_sentences():
            if len(shots) > 1:
                count_order()
            clip = compare(shots)
        return gr.update(visible=True, value=clip)

    def share(request: gr.Request) -> Any:
        visit = visits.of(request)
        with plain_sentences():
            shot = visit.shot(visit.chosen)
            count_order()
            files = shared(shot)
        return gr.update(value=[str(path) for path in files], visible=True)

    page.sharing.start.click(share, outputs=page.sharing.files, **TURN)
    page.comparing.start.click(
        side_by_side,
        outputs=page.comparing.clip,
        **TURN,
    )
