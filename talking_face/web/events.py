"""How the page's events are run: what is queued, with what beside it, and what the page shows."""

from __future__ import annotations

from typing import Any

import gradio as gr

from talking_face.cores import available

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
    "concurrency_limit": max(2, available()),
}
SHORT: dict[str, Any] = LOOKS | {"preprocess": True, "show_progress": "minimal"}
# One order keeps about four cores busy, however many there are.
ORDERS = max(1, available() // 4)  # that are carried out side by side
TURN: dict[str, Any] = {"concurrency_id": "clips", "api_visibility": "private"}
