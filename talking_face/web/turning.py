"""The page's tab of three dimensions: a head in a viewer, and its files.

The viewer itself is viewer.js, beside app.js. What it shows is a glb of the chosen sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from talking_face.errors import OptionInvalid
from talking_face.exports import export, render_view
from talking_face.face.face import Face
from talking_face.head.view import Camera
from talking_face.motion import Motion
from talking_face.options import DEPTH, EXPORTS, file_name
from talking_face.sound.speech import Speech
from talking_face.web.events import TURN
from talking_face.web.folders import new_folder
from talking_face.web.limits import count_order
from talking_face.web.messages import plain_sentences
from talking_face.web.models import animator
from talking_face.web.shots import Shot
from talking_face.web.visits import Visits

NAMES = {  # for people
    "glb": "Head with animation (glb)",
    "obj": "One frame (obj)",
    "arkit": "ARKit curves (csv, json)",
    "stereo": "Video for two eyes, side by side",
    "stereo-half": "The same at half width",
    "anaglyph": "Video for red-cyan glasses",
}
VIEWER = """<div id="head-stage" data-three="{three}">
  <div class="picture"></div>
  <span class="synthetic">AI-generated</span>
  <output aria-live="polite">No head is shown yet: it needs a clip. Generate some first.</output>
  <div class="choices">
    <label><input type="checkbox" name="bare"> face alone</label>
    <label><input type="checkbox" name="mesh"> mesh</label>
  </div>
</div>"""
HELP = """Drag the head, or use the arrow keys; plus and minus zoom, and so do two fingers. It
speaks while the chosen sample plays."""


@dataclass(frozen=True)
class Turning:
    """The tab and its parts."""

    tab: gr.Tab
    start: gr.Button
    head: gr.File
    kinds: gr.CheckboxGroup
    depth: gr.Slider
    make: gr.Button
    film: gr.Button
    files: gr.File

    @classmethod
    def create(cls, tab: gr.Tab, three: Path) -> Turning:
        """Args: tab: what it stands in. three: where three.js lies, which Gradio serves."""
        start = gr.Button("Show the chosen sample in 3-D", variant="primary", elem_id="turn")
        gr.HTML(VIEWER.format(three=f"gradio_api/file={three}"), elem_id="viewer")
        gr.Markdown(HELP)
        head = gr.File(visible="hidden", elem_id="head-file")
        with gr.Accordion("Files for other tools", open=False):
            names = [(NAMES[kind], kind) for kind in EXPORTS]
            kinds = gr.CheckboxGroup(names, value=["glb"], label="Make", elem_id="kinds")
            depth = gr.Slider(
                0, 1, DEPTH, step=0.05, label="Depth of the videos for two eyes", elem_id="depth"
            )
            make = gr.Button("Make the files", size="md", elem_id="make-files")
            film = gr.Button("Video from where I look", size="md", elem_id="film")
            files = gr.File(
                label="Files", file_count="multiple", interactive=False, visible=False,
                elem_id="head-files",
            )  # fmt: skip
        return cls(tab, start, head, kinds, depth, make, film, files)

    def connect(self, visits: Visits) -> None:
        """Wire it up."""

        def show(request: gr.Request) -> str:
            with plain_sentences():
                (glb,) = exported(_chosen(visits, request), ["glb"])
                for note in head_notes(_chosen(visits, request)):
                    gr.Info(note)
            return str(glb)

        def make(kinds: list[str], depth: float, request: gr.Request) -> Any:
            with plain_sentences():
                files = exported(_chosen(visits, request), kinds, depth)
            return gr.update(value=[str(path) for path in files], visible=True)

        def film(yaw: float, pitch: float, request: gr.Request) -> Any:
            with plain_sentences():
                path = viewed(_chosen(visits, request), Camera(yaw, pitch))
            return gr.update(value=[str(path)], visible=True)

        yaw, pitch = gr.Number(0, visible=False), gr.Number(0, visible=False)
        self.tab.select(None, js="() => talkingHead.begin()")
        shown = self.start.click(show, outputs=self.head, **TURN)
        shown.success(None, self.head, js="(file) => talkingHead.show(file)")
        shown.failure(None, js="() => talkingHead.miss()")
        self.make.click(make, [self.kinds, self.depth], self.files, **TURN)
        angles = "() => talkingHead.angles()"
        self.film.click(film, [yaw, pitch], self.files, js=angles, **TURN)


def _chosen(visits: Visits, request: gr.Request) -> Shot:
    visit = visits.of(request)
    return visit.shot(visit.chosen)


def exported(shot: Shot, kinds: list[str], depth: float = DEPTH) -> list[Path]:
    """A shot as files of some of `EXPORTS`; raises as `export`, and `Refused`: too many orders."""
    if not kinds:
        raise OptionInvalid("There is no kind of file to make yet. Choose one.")
    count_order()
    stem = new_folder() / file_name(shot.name)
    face, motion, speech = performed(shot)
    look = shot.order.look
    return [
        path
        for kind in dict.fromkeys(kinds)
        for path in export(animator(), face, motion, kind, stem, speech, look, depth=depth)
    ]


def viewed(shot: Shot, camera: Camera) -> Path:
    """A shot as a video from elsewhere; raises as `render_view`, and `Refused`."""
    count_order()
    path = new_folder() / f"{file_name(shot.name)}_view.mp4"
    face, motion, speech = performed(shot)
    return render_view(animator(), face, motion, camera, path, speech, shot.order.look)


def performed(shot: Shot) -> tuple[Face, Motion, Speech]:
    """The face, the changed motion and the sound of a shot."""
    face = animator().fit(shot.order.photo, shot.order.face)
    speech = animator().listen(shot.order.audio)
    return face, animator().edit(shot.motion, shot.edits, speech), speech


def head_notes(shot: Shot) -> tuple[str, ...]:
    """What is missing of a shot's head, for people."""
    return animator().head(animator().fit(shot.order.photo, shot.order.face)).notes
