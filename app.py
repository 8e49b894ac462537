"""The web page: `python app.py`, or a Hugging Face Space. Layout first, wiring last."""

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import spaces  # noqa: F401  (before torch, which it prepares on ZeroGPU machines)

from talking_face import web
from talking_face.animator import Clip
from talking_face.options import MAX_DIVERSITY, MAX_POSE_STRENGTH, MAX_SAMPLES, MAX_SEED
from talking_face.web import Order

ROOT = Path(__file__).resolve().parent
ASSETS = ROOT / "assets"
EXAMPLES = [  # portrait, recording
    ("woman_long_hair.jpg", "boat.wav"),
    ("astronaut.jpg", "pie.wav"),
    ("man_robe.jpg", "grid.wav"),
    ("woman_orange_shirt.jpg", "boat.wav"),
    ("man_black_shirt.jpg", "pie.wav"),
    ("drawn.jpg", "grid.wav"),
]
KEPT_HOURS = 2  # uploads and results; then Gradio deletes them
LARGEST_UPLOAD = "200mb"
WAITING = 20  # visitors in the queue, before others are asked to come back
SYSTEM_FONTS = ("system-ui", "sans-serif")

INTRODUCTION = """# Talking Face
One photo and one recording become **several different** talking clips: the same words, each time
with other head movements, blinks and glances. It runs on an ordinary computer."""
NOTICE = f"""Use photos and voices only of people who agree. Every clip is synthetic, and says so in
its lower right corner. Uploads and results are deleted after {KEPT_HOURS} hours; nobody else
sees them."""
WELCOME = "The clips appear here, one by one."
DICE = f"() => Math.floor(Math.random() * {MAX_SEED + 1})"

PROGRESS = gr.Progress()
SHOWN = gr.update(visible=True)
HIDDEN = gr.update(visible=False)
QUIET: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
# Uploads are read by talking_face alone, as they came: Gradio would decode and convert them.
UPLOADED: dict[str, Any] = {
    "preprocess": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
TO_RESULTS = """() => {
  const status = document.getElementById("status");
  if (status.getBoundingClientRect().bottom > window.innerHeight)
    status.scrollIntoView({ behavior: "smooth" });
}"""

Updates = dict[Any, Any]


@dataclass(frozen=True)
class Card:
    """The place of one sample on the page."""

    box: gr.Column
    video: gr.Video
    motion: gr.DownloadButton
    failure: gr.Markdown

    @classmethod
    def empty(cls) -> "Card":
        with gr.Column(visible=False, elem_classes="card", min_width=0) as box:
            video = gr.Video(interactive=False, buttons=["download"])
            failure = gr.Markdown(visible=False)
            motion = gr.DownloadButton("Download motion (.npz)", size="sm")
        return cls(box, video, motion, failure)

    def show(self, clip: Clip) -> Updates:
        failed = clip.error is not None
        return {
            self.box: gr.update(visible=True),
            self.video: gr.update(value=clip.path, label=clip.label, visible=not failed),
            self.motion: gr.update(value=clip.motion_path, visible=not failed),
            self.failure: gr.update(value=f"{clip.label}: {clip.error}", visible=failed),
        }

    def hide(self) -> Updates:
        return {self.box: gr.update(visible=False), self.video: None, self.motion: None}

    @property
    def parts(self) -> list[Any]:
        return [self.box, self.video, self.motion, self.failure]


def create_demo() -> gr.Blocks:
    """Build the page; `demo.launch(**launch_options())` serves it."""
    runs = web.Runs()
    with gr.Blocks(
        title="Talking Face",
        analytics_enabled=False,
        delete_cache=(600, KEPT_HOURS * 3600),
    ) as demo:
        gr.Markdown(INTRODUCTION, elem_id="introduction")
        examples = gr.Dataset(
            label="Try one with a click",
            components=[gr.Image(type="filepath", render=False)],
            samples=[[str(ASSETS / "portraits" / name)] for name, _ in EXAMPLES],
            type="index",
            elem_id="examples",
        )
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=300):
                photo = gr.Image(
                    label="Photo",
                    type="filepath",
                    sources=["upload", "clipboard"],
                    buttons=[],
                    height=260,
                    elem_id="photo",
                )
                face = gr.Dropdown(
                    label="Which face", info="The photo has several.", visible=False, elem_id="face"
                )
                audio = gr.Audio(
                    label="Recording",
                    type="filepath",
                    sources=["upload", "microphone"],
                    buttons=[],
                    elem_id="audio",
                )
                film = gr.UploadButton(
                    "Take the sound of a video", file_types=["video"], size="sm", elem_id="film"
                )
                with gr.Row():
                    start = gr.Button("Generate", variant="primary", elem_id="generate")
                    cancel = gr.Button("Cancel", variant="stop", visible=False, elem_id="cancel")
                gr.Markdown(NOTICE, elem_id="notice")
                with gr.Accordion("Settings"):
                    samples = gr.Slider(
                        1,
                        MAX_SAMPLES,
                        Order.samples,
                        step=1,
                        label="Samples",
                        info="How many different clips.",
                    )
                    diversity = gr.Slider(
                        0,
                        MAX_DIVERSITY,
                        Order.diversity,
                        step=0.1,
                        label="Diversity",
                        info="How much they differ. 1 is natural.",
                    )
                    pose = gr.Slider(
                        0,
                        MAX_POSE_STRENGTH,
                        Order.pose_strength,
                        step=0.1,
                        label="Head movement",
                        info="0 holds the head still, 1 is natural.",
                    )
                    with gr.Row(elem_id="seeds"):
                        seed = gr.Number(
                            Order.seed,
                            precision=0,
                            minimum=0,
                            maximum=MAX_SEED,
                            min_width=120,
                            label="Seed",
                            info="The same seed gives the same clips.",
                        )
                        dice = gr.Button("⚄ Roll", size="sm", scale=0, min_width=80)
                    framing = gr.Radio(
                        [("Head and shoulders", "crop"), ("Whole photo", "photo")],
                        value=Order.framing,
                        label="Framing",
                    )
            with gr.Column(scale=3, min_width=300):
                status = gr.Markdown(WELCOME, min_height=64, elem_id="status")
                with gr.Row(elem_id="cards"):
                    cards = [Card.empty() for _ in range(MAX_SAMPLES)]
                comparison = gr.Video(
                    label="Side by side",
                    interactive=False,
                    buttons=["download"],
                    visible=False,
                    elem_id="comparison",
                )

        inputs = [photo, audio, samples, seed, diversity, pose, framing, face]
        outputs = [status, start, cancel, comparison, *(p for card in cards for p in card.parts)]

        def run(
            photo: web.Upload,
            audio: web.Upload,
            samples: Any,
            seed: Any,
            diversity: Any,
            pose: Any,
            framing: Any,
            face: Any,
            request: gr.Request,
            progress: gr.Progress = PROGRESS,
        ) -> Iterator[Updates]:
            with (
                web.plain_sentences(),
                suppress(web.Stopped),
                runs.started(visitor(request)) as stop,
            ):
                order = web.read_order(photo, audio, samples, seed, diversity, pose, framing, face)
                yield {part: update for card in cards for part, update in card.hide().items()} | {
                    status: "",
                    comparison: gr.update(visible=False, value=None),
                }
                began = time.monotonic()
                for made in web.make_clips(order, web.reporter(progress, stop)):
                    if isinstance(made, Clip):
                        yield cards[made.index].show(made)
                    else:
                        yield {comparison: gr.update(visible=True, value=made)}
                seconds = time.monotonic() - began
                yield {status: f"Done in {seconds:.0f} s, with seed {order.seed}."}

        def stop_run(request: gr.Request) -> Updates:
            runs.stop(visitor(request))
            return {status: "Cancelled.", start: SHOWN, cancel: HIDDEN}

        def leave(request: gr.Request) -> None:
            runs.stop(visitor(request))

        def pick(index: int) -> tuple[str, str, Any]:
            portrait, recording = EXAMPLES[index]
            return (
                str(ASSETS / "portraits" / portrait),
                str(ASSETS / "recordings" / recording),
                gr.update(visible=False, value=0),
            )

        photo.input(web.check_photo, photo, [photo, face], **UPLOADED)
        audio.input(web.check_audio, audio, **UPLOADED)
        film.upload(lambda file: file, film, audio, **QUIET)
        dice.click(None, outputs=seed, js=DICE, **QUIET)
        picked = examples.click(pick, examples, [photo, audio, face], **QUIET)
        under_way = []
        for begun in (start.click, picked.then):
            busy = begun(lambda: (HIDDEN, SHOWN), outputs=[start, cancel], js=TO_RESULTS, **QUIET)
            running = busy.then(
                run,
                inputs,
                outputs,
                preprocess=False,
                show_progress_on=status,
                concurrency_id="clips",
                api_visibility="private",
            )
            for ended in (running.then, running.failure):  # Gradio 6.31 leaves `then` out on errors
                ended(lambda: (SHOWN, HIDDEN), outputs=[start, cancel], **QUIET)
            under_way.append(running)
        cancel.click(stop_run, outputs=[status, start, cancel], cancels=under_way, **QUIET)
        demo.unload(leave)
        gr.api(web.generate, api_name="generate", concurrency_id="clips")
        demo.queue(max_size=WAITING, default_concurrency_limit=1)
    return demo


def visitor(request: gr.Request) -> str:
    """Tells one open page from another."""
    return str(request.session_hash)


def theme() -> gr.themes.Base:
    """Gradio's own, with fonts that are on every machine and more contrast."""
    plain = gr.themes.Default(
        primary_hue="teal", font=SYSTEM_FONTS, font_mono=("ui-monospace", "monospace")
    )
    return plain.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_cancel_background_fill="#b91c1c",
        button_cancel_background_fill_dark="#b91c1c",
        button_cancel_background_fill_hover="#991b1b",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )


def launch_options() -> dict[str, Any]:
    """What `launch` needs to know of this page."""
    has_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return {
        "theme": theme(),
        "css_paths": ROOT / "app.css",
        "run_history": False,  # photos of faces and voices are nobody's history
        "allowed_paths": [str(ASSETS)],
        "max_file_size": LARGEST_UPLOAD,
        "footer_links": ["api", "settings"],
        "ssr_mode": False,
        "inbrowser": has_screen and "SPACE_ID" not in os.environ,
    }


demo = create_demo()

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else it tells every request
    web.start_loading()
    demo.launch(**launch_options())
