"""Doors of Gradio's server that this page doesn't use, kept shut; and how much may come in.

Gradio would fetch any public address for anybody (`file=http…`), hand recordings of the screen to
ffmpeg as they are (`process_recording`), keep what somebody has on the page for as long as it runs
(`deep_link`), and offer what is for developers. Bodies of requests other than uploads, which have a
limit of their own, are read into memory.
"""

from __future__ import annotations

import re

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST = 96 * 2**20  # bytes of a body: arguments, and files as data
_UPLOADS = re.compile(r"/gradio_api/upload/?$")
_SHUT = re.compile(
    r"^(?:(?!/file[=/]|/assets/|/static/|/svelte/).)*"  # names of files may be what they like
    r"/(?:process_recording|deep_link|runs|run-history|monitoring|profiling|dev|custom_component"
    r"|vibe-[a-z-]+|undo-vibe-edit)(?:/|$)"
    r"|/proxy="
    r"|/file[=/]\s*[a-z][a-z0-9+.-]+:",  # a scheme; a single letter is a drive of Windows
    re.IGNORECASE,
)


class Doors:
    """ASGI middleware, in front of everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _SHUT.search(scope["path"]):
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
        elif _UPLOADS.search(scope["path"]):
            await self._app(scope, receive, send)
        elif _length(scope) > LARGEST:
            await PlainTextResponse("This is too much at once.", 413)(scope, receive, send)
        else:
            await self._app(scope, _limited(receive), send)


def _length(scope: Scope) -> int:
    """What a request says of its body's length; 0 where it says nothing."""
    told = dict(scope["headers"]).get(b"content-length", b"")
    return int(told) if told.isdigit() and len(told) < 20 else LARGEST + 1 if told else 0


def _limited(receive: Receive) -> Receive:
    """The same, which ends as if the client had gone where more comes than is allowed."""
    came = 0

    async def received() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        return message if came <= LARGEST else {"type": "http.disconnect"}

    return received
