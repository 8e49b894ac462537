"""What a visitor gets: cards, and what can be done with them. `wiring.py` brings them to life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from talking_face.editing.edit import RANGES
from talking_face.options import MAX_SAMPLES
from talking_face.web.messages import sentence
from talking_face.web.settings import Settings
from talking_face.web.shots import Shot

SLIDER_TEXTS = {  # label and step
    "mouth_opening": ("Mouth opening", 0.05),
    "smile": ("Frown ↔ smile", 0.05),
    "brows": ("Brows low ↔ high", 0.05),
    "inner_brows": ("Stern ↔ worried", 0.05),
    "eyes": ("Squint ↔ stare", 0.05),
    "gaze_x": ("Look left ↔ right", 1),
    "gaze_y": ("Look up ↔ down", 1),
    "blinks": ("Blinks", 0.1),
}
EXPRESSION_HELP = """Move a slider, or choose another feeling, and watch the preview. *Apply*
changes the clip; everything else in it stays. New samples get the same changes. Feeling and the two
strengths, which are chosen before anything is drawn, count to the changes, too."""
TIMES = (
    ("start", "From, seconds", "0 is the beginning."),
    ("stop", "To, seconds", "0 is the end."),
    ("fade", "Fade, seconds", "How softly it comes and goes."),
)

TRANSPORT = """<div role="group" aria-label="Play all samples together">
  <button type="button" id="play-all" aria-pressed="false">▶ Play all</button>
  <input type="range" id="seek" min="0" max="1" step="0.01" value="0" aria-label="Position">
  <output id="clock" for="seek">0:00 / 0:00</output>
</div>"""


@dataclass(frozen=True)
class Card:
    """The place of one sample on the page."""

    box: gr.Column
    video: gr.Video
    failure: gr.Markdown
    tools: gr.Row
    alone: gr.Button
    roll: gr.Button
    keep: gr.Checkbox
    clip: gr.DownloadButton
    motion: gr.DownloadButton

    @classmethod
    def create(cls, slot: int) -> Card:
        with gr.Column(
            visible=False, elem_classes="card", elem_id=f"card-{slot}", min_width=0
        ) as box:
            video = gr.Video(interactive=False, buttons=[])
            failure = gr.Markdown(visible=False)
            with gr.Row(elem_classes="tools") as tools:
                alone = gr.Button("▶ Alone", size="sm", min_width=0, elem_classes="alone")
                roll = gr.Button("↻ Re-roll", size="sm", min_width=0, elem_classes="roll")
                clip = gr.DownloadButton("⤓ Clip", size="sm", min_width=0, elem_classes="clip")
                motion = gr.DownloadButton(
                    "⤓ Motion", size="sm", min_width=0, elem_classes="motion"
                )
            keep = gr.Checkbox(
                label="Keep when generating again",
                container=False,
                min_width=0,
                elem_classes="keep",
            )
        return cls(box, video, failure, tools, alone, roll, keep, clip, motion)

    def show(self, shot: Shot) -> dict[Any, Any]:
        failed = shot.error is not None
        told = sentence(shot.error) if shot.error else ""
        return {
            self.box: gr.update(visible=True),
            self.video: gr.update(value=shot.path, label=shot.name, visible=not failed),
            self.failure: gr.update(value=f"{shot.name}: {told}", visible=failed),
            self.alone: gr.update(visible=not failed),
            self.keep: gr.update(visible=not failed),
            self.clip: gr.update(value=shot.path, visible=not failed),
            self.motion: gr.update(value=shot.motion_path, visible=not failed),
        }

    def hide(self) -> dict[Any, Any]:
        return {
            self.box: gr.update(visible=False),
            self.video: None,
            self.keep: False,
            self.clip: None,
            self.motion: None,
        }

    @property
    def shown(self) -> list[Any]:
        """What `show` and `hide` change."""
        return [
            self.box,
            self.video,
            self.failure,
            self.alone,
            self.keep,
            self.clip,
            self.motion,
        ]


@dataclass(frozen=True)
class Stage:
    """The cards, and what plays them together."""

    bar: gr.Column
    chosen: gr.Radio
    cards: list[Card]

    @classmethod
    def create(cls) -> Stage:
        with gr.Column(visible=False, min_width=0, elem_id="transport") as bar:
            gr.HTML(TRANSPORT)
            chosen = gr.Radio(
                [],
                label="Sound of",
                info="The others are silent. The changes below are for this one.",
                elem_id="chosen",
            )
        with gr.Row(elem_id="cards"):
            cards = [Card.create(slot) for slot in range(MAX_SAMPLES)]
        return cls(bar, chosen, cards)

    @property
    def shown(self) -> list[Any]:
        """What changes when cards come and go."""
        return [self.bar, self.chosen, *(part for card in self.cards for part in card.shown)]


@dataclass(frozen=True)
class Expression:
    """What is changed after sampling: sliders by the names of `Settings`, and a preview."""

    parts: dict[str, Any]
    reset: gr.Button
    preview: gr.Image
    moment: gr.Number
    add: gr.Checkbox
    apply: gr.Button
    apply_all: gr.Button

    @classmethod
    def create(cls) -> Expression:
        parts: dict[str, Any] = {}
        with gr.Row(elem_id="changing"):
            with gr.Column(scale=1, min_width=200, elem_id="watching"):
                preview = gr.Image(
                    label="Preview of the chosen sample",
                    interactive=False,
                    buttons=[],
                    elem_id="preview",
                )
            with gr.Column(scale=2, min_width=280):
                gr.Markdown(EXPRESSION_HELP)
                with gr.Column(min_width=0, elem_id="sliders"):
                    for name, (label, step) in SLIDER_TEXTS.items():
                        parts[name] = gr.Slider(
                            *RANGES["gaze" if name.startswith("gaze") else name],
                            getattr(Settings, name),
                            step=step,
                            label=label,
                            elem_id=name.replace("_", "-"),
                        )
                with (
                    gr.Accordion("Only for a part of the clip", open=False),
                    gr.Row(elem_id="times"),
                ):
                    for name, label, info in TIMES:
                        parts[name] = gr.Number(
                            getattr(Settings, name),
                            minimum=0,
                            step=0.1,
                            min_width=100,
                            label=label,
                            info=info,
                            elem_id=name,
                        )
                    add = gr.Checkbox(
                        label="On top of earlier changes",
                        info="Else they are replaced.",
                        min_width=160,
                        elem_id="add",
                    )
                apply = gr.Button("Apply to the chosen sample", variant="primary", elem_id="apply")
                with gr.Row():
                    apply_all = gr.Button("Apply to all samples", size="md", elem_id="apply-all")
                    reset = gr.Button("Reset", size="md", min_width=90, elem_id="reset")
        moment = gr.Number(0, visible=False)
        return cls(parts, reset, preview, moment, add, apply, apply_all)


@dataclass(frozen=True)
class Comparing:
    """All samples in one picture and in one clip, and a new one out of several."""

    plot: gr.Image
    theme: gr.Textbox
    lips: gr.Dropdown
    head: gr.Dropdown
    blinks: gr.Dropdown
    mix: gr.Button
    start: gr.Button
    clip: gr.Video

    @classmethod
    def create(cls) -> Comparing:
        plot = gr.Image(
            label="How the samples differ over time",
            format="png",
            interactive=False,
            buttons=["download"],
            elem_id="plot",
        )
        theme = gr.Textbox(visible=False)
        with gr.Row(elem_id="mixing"):
            lips, head, blinks = (
                gr.Dropdown([], label=label, min_width=100, elem_id=f"mix-{name}")
                for name, label in (
                    ("lips", "Lips of"),
                    ("head", "Head and brows of"),
                    ("blinks", "Blinks of"),
                )
            )
        mix = gr.Button("Mix them into a new sample", size="md", elem_id="mix")
        start = gr.Button("Put all clips side by side in one file", size="md", elem_id="compare")
        clip = gr.Video(
            label="Side by side",
            interactive=False,
            buttons=["download"],
            visible=False,
            elem_id="comparison",
        )
        return cls(plot, theme, lips, head, blinks, mix, start, clip)


@dataclass(frozen=True)
class Sharing:
    """Links and files."""

    link: gr.Textbox
    start: gr.Button
    files: gr.File

    @classmethod
    def create(cls) -> Sharing:
        link = gr.Textbox(
            label="Recipe link",
            info="Carries seed and settings, never the photo or the sound. "
            "With the same photo and recording it makes the same clips.",
            interactive=False,
            buttons=["copy"],
            elem_id="recipe",
        )
        start = gr.Button(
            "Picture, GIF and motion of the chosen sample", size="md", elem_id="share"
        )
        files = gr.File(
            label="Files", file_count="multiple", interactive=False, visible=False, elem_id="files"
        )
        return cls(link, start, files)
