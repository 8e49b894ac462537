"""The web page: `python app.py`, or a Hugging Face Space. Its layout; the rest is in `web/`."""

import logging
import os
import sys
from pathlib import Path
from typing import Any

import gradio as gr
import spaces  # noqa: F401  (before torch, which it prepares on ZeroGPU machines)
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import BaseRoute, Route

from talking_face.clips.plots import COLOURS
from talking_face.web import checks, endpoints, heads, live, livetab, recordings
from talking_face.web.addresses import guard
from talking_face.web.calls import Calls
from talking_face.web.doors import Doors
from talking_face.web.feelings import feeling_parts
from talking_face.web.folders import keep_removing
from talking_face.web.material import Choices, Material
from talking_face.web.models import expire, orders_at_once, start_loading
from talking_face.web.page import Page
from talking_face.web.panels import Comparing, Expression, Sharing, Stage
from talking_face.web.turning import Turning
from talking_face.web.visits import Visits
from talking_face.web.wiring import connect

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
SWEPT_EVERY = 600  # seconds
LARGEST_UPLOAD = "200mb"
WAITING = 20  # orders of visitors, before others are asked to come back
QUEUED = 60  # these, orders of programs, and looks at photos
MIDDLEWARE = [Middleware(Doors), Middleware(Calls)]
SYSTEM_FONTS = ("system-ui", "sans-serif")

INTRODUCTION = """# Talking Face
One photo and one recording become **several different** talking clips: the same words, each time
with other head movements, blinks and glances."""
NOTICE = f"""Use photos and voices only of people who agree. Every clip is synthetic, and says so in
its lower right corner. Uploads and results are deleted after {KEPT_HOURS} hours; nobody else
sees them."""
WELCOME = """**The clips appear here, one by one.**

1. Add a photo of a face.
2. Add a recording of speech, or type what to say.
3. Press *Generate*.

Or click one of the examples."""


def create_demo() -> gr.Blocks:
    """Build the page; `demo.launch(**launch_options())` serves it."""
    guard()
    seconds = KEPT_HOURS * 3600
    visits = Visits(seconds, WAITING)
    keep_removing(SWEPT_EVERY, seconds, visits.expire, expire)
    gr.set_static_paths([ASSETS])  # else a copy is made, and deleted with the visitors' files
    with gr.Blocks(
        title="Talking Face", analytics_enabled=False, delete_cache=(SWEPT_EVERY, seconds)
    ) as demo:
        endpoints.publish()
        checks.publish()
        heads.publish()
        gr.Markdown(INTRODUCTION, elem_id="introduction")
        examples = gr.Dataset(
            label="Try one with a click",
            components=[gr.Image(type="filepath", render=False)],
            samples=[[str(ASSETS / "portraits" / name)] for name, _ in EXAMPLES],
            type="index",
            elem_id="examples",
        )
        with gr.Row(elem_id="columns"):
            with gr.Column(scale=2, min_width=320):
                material = Material.create()
                consent = gr.Checkbox(
                    label="I have the right to use this photo and voice",
                    visible=False,
                    elem_id="consent",
                )
                start = gr.Button("Generate", variant="primary", elem_id="generate")
                gr.Markdown(NOTICE, elem_id="notice")
                with gr.Accordion("Feeling", elem_id="feelings"):
                    feeling = feeling_parts()
                with gr.Accordion("Settings", elem_id="settings"):
                    choices = Choices.create(feeling)
                with gr.Accordion(
                    "What was found in the photo", open=False, elem_id="found"
                ) as mesh_box:
                    mesh = gr.Image(
                        label="The fitted mesh",
                        interactive=False,
                        buttons=["fullscreen"],
                        placeholder="Add a photo first.",
                        elem_id="mesh",
                    )
            with gr.Column(scale=3, min_width=320, elem_id="results"):
                with gr.Row(elem_id="progress"):
                    status = gr.Markdown(WELCOME, min_height=40, elem_id="status")
                    cancel = gr.Button(
                        "Cancel", variant="stop", size="sm", scale=0, visible=False, min_width=90,
                        elem_id="cancel",
                    )  # fmt: skip
                stage = Stage.create()
                with gr.Tabs(visible=False, elem_id="more") as more:
                    with gr.Tab("Expression"):
                        expression = Expression.create()
                    with gr.Tab("Compare & mix"):
                        comparing = Comparing.create()
                    with gr.Tab("3-D") as tab:
                        turning = Turning.create(tab, ASSETS / "viewer" / "three.min.js")
                    with gr.Tab("Share"):
                        sharing = Sharing.create()
                with gr.Accordion("Live", open=False, elem_id="live"):
                    livetab.create(material, consent)
                with gr.Accordion("Verify a file", open=False, elem_id="verify"):
                    checks.create()
        page = Page(
            examples=examples,
            pairs=[
                (str(ASSETS / "portraits" / portrait), str(ASSETS / "recordings" / recording))
                for portrait, recording in EXAMPLES
            ],
            material=material,
            mesh_box=mesh_box,
            mesh=mesh,
            consent=consent,
            choices=choices,
            start=start,
            cancel=cancel,
            status=status,
            stage=stage,
            expression=expression,
            comparing=comparing,
            sharing=sharing,
            later=[more],
        )
        connect(demo, page, visits)
        turning.connect(visits)
        demo.queue(max_size=QUEUED, default_concurrency_limit=orders_at_once())
    return demo


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
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )


def card_colours() -> str:
    """CSS that gives each card the colour of its curves in the plot."""
    rules = [
        f"{dark}#card-{slot} {{ --curve: {colour}; }}"
        for theme, dark in (("light", ""), ("dark", ".dark "))
        for slot, colour in enumerate(COLOURS[theme])
    ]
    return "\n".join(rules)


def live_routes() -> list[BaseRoute]:
    """The WebSocket of live faces, and the page for people who speak by typing."""

    async def typing(_: Request) -> FileResponse:
        return FileResponse(ROOT / "examples" / "typing.html")

    async def script(_: Request) -> FileResponse:
        return FileResponse(ROOT / "live.js", media_type="text/javascript")

    pages = [Route("/typing", typing), Route("/live.js", script)]
    return [live.route(), recordings.route(), *pages]


def launch_options() -> dict[str, Any]:
    """What `launch` needs to know of this page."""
    has_screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return {
        "theme": theme(),
        "css": card_colours(),
        "css_paths": ROOT / "app.css",
        "head": f"<script>{(ROOT / 'app.js').read_text()}</script>"
        f"<script>{(ROOT / 'live.js').read_text()}</script>"
        f'<script type="module">{(ROOT / "viewer.js").read_text()}</script>',
        "run_history": False,  # photos of faces and voices are nobody's history
        "max_file_size": LARGEST_UPLOAD,
        "footer_links": ["api", "settings"],
        "mcp_server": True,
        "app_kwargs": {"middleware": MIDDLEWARE, "routes": live_routes()},
        "ssr_mode": False,
        "inbrowser": has_screen and "SPACE_ID" not in os.environ,
    }


demo = create_demo()

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # else it tells every request
    start_loading()
    demo.launch(**launch_options())
