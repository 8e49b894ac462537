"""All parts of the page together, what a run is given of them and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr

from talking_face.web.material import Choices, Material
from talking_face.web.orders import Order
from talking_face.web.panels import Comparing, Expression, Sharing, Stage
from talking_face.web.settings import Settings
from talking_face.web.shots import Shot
from talking_face.web.uploads import Upload
from talking_face.web.visits import Visit

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Page:
    """Everything on the page that does something."""

    examples: gr.Dataset
    pairs: list[tuple[str, str]]  # photo and recording of each example
    material: Material
    mesh_box: gr.Accordion
    mesh: gr.Image
    choices: Choices
    consent: gr.Checkbox
    start: gr.Button
    cancel: gr.Button
    status: gr.Markdown
    stage: Stage
    expression: Expression
    comparing: Comparing
    sharing: Sharing
    later: list[Any]  # shown once there is a clip

    @property
    def settings(self) -> dict[str, Any]:
        """The components that a recipe holds, by the names of `Settings`."""
        return self.choices.parts | self.expression.parts

    @property
    def mixing(self) -> list[gr.Dropdown]:
        return [self.comparing.lips, self.comparing.head, self.comparing.blinks]

    @property
    def asked(self) -> list[Any]:
        """The inputs of every run; `Asked` reads their values."""
        return [
            self.material.photo,
            self.material.audio,
            self.material.face,
            self.consent,
            self.choices.backdrop,
            self.stage.chosen,
            self.expression.add,
            *self.mixing,
            *(card.keep for card in self.stage.cards),
            *self.settings.values(),
        ]

    @property
    def outcome(self) -> list[Any]:
        """What a run changes."""
        return [
            self.status,
            *self.stage.shown,
            *self.mixing,
            self.comparing.clip,
            self.sharing.files,
            self.choices.parts["takes"],
            *self.later,
        ]

    def around(self, visit: Visit) -> Updates:
        """What to show beside the cards: which can be heard, mixed, changed."""
        slots = [slot for slot, _ in visit.shown()]
        if visit.chosen not in slots:
            visit.chosen = slots[0] if slots else None
        places = [(str(slot + 1), slot) for slot in slots]
        samples = [(f"Sample {slot + 1}", slot) for slot in slots]
        return {
            self.stage.bar: gr.update(visible=bool(slots)),
            self.stage.chosen: gr.update(choices=places, value=visit.chosen),
            **{
                part: gr.update(choices=samples, value=slots[min(place, len(slots) - 1)])
                for place, part in enumerate(self.mixing)
                if slots
            },
            **{part: gr.update(visible=bool(slots)) for part in self.later},
        }


@dataclass(frozen=True)
class Asked:
    """The values of `Page.asked`."""

    uploads: tuple[Upload, Upload, Any, Any, Upload]  # photo, recording, face, consent, backdrop
    chosen: int | None
    add: bool
    mixing: list[int]
    kept: list[bool]
    values: dict[str, Any]

    @classmethod
    def read(cls, page: Page, values: Sequence[Any]) -> Asked:
        uploads, (chosen, add), mixing, rest = values[:5], values[5:7], values[7:10], values[10:]
        cards = len(page.stage.cards)
        settings = dict(zip(page.settings, rest[cards:], strict=True))
        return cls(tuple(uploads), chosen, bool(add), list(mixing), list(rest[:cards]), settings)

    def settings(self) -> Settings:
        """Raises as `Settings.read`."""
        return Settings.read(self.values)

    def order(self) -> Order:
        """Raises as `Order.read`."""
        return Order.read(*self.uploads, self.values)

    def order_for(self, shot: Shot) -> Order:
        """The photo and recording of a card with the settings of now; raises as `Order.read`."""
        photo, audio = ({"path": str(path)} for path in (shot.order.photo, shot.order.audio))
        return Order.read(photo, audio, shot.order.face, True, self.uploads[4], self.values)

    def changed(self, shot: Shot) -> Shot:
        """A card's motion with the changes that the sliders ask for, to be rendered."""
        order = self.order_for(shot)
        earlier = shot.edits if self.add else ()
        return replace(shot, order=order, edits=(*earlier, *order.settings.edits))
