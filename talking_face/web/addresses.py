"""Which addresses of the internet the page's server fetches because a client names them: by itself,
none.

Gradio downloads what a client gives as an address instead of a file, also to the tools of
assistants. It refuses addresses of the server's own network; here it is asked to refuse all that
the server's owner hasn't allowed, at every hop, too.
"""

from __future__ import annotations

import os

import gradio as gr
import httpx
import safehttpx
from gradio import processing_utils

ADDRESSES_VARIABLE = "TALKING_FACE_ADDRESSES"  # hosts, "*.example.org" with those below it, or "*"


def allowed(host: str) -> bool:
    """Whether the owner allows a host's files to be fetched; private ones are refused besides."""
    names = [name.strip().lower() for name in os.environ.get(ADDRESSES_VARIABLE, "").split(",")]
    host = host.lower().rstrip(".")
    return any(
        name == "*" or host == name or (name.startswith("*.") and host.endswith(name[1:]))
        for name in names
        if name
    )


class OnlyAllowed(httpx.AsyncBaseTransport):
    """Requests to hosts that are allowed and public; to others nothing is sent."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https") or not allowed(request.url.host):
            raise gr.Error(
                "This server doesn't fetch files from addresses. Upload the file, or send it as "
                "data.",
                print_exception=False,
            )
        address = await safehttpx.async_validate_url(request.url.host)
        return await safehttpx.AsyncSecureTransport(address).handle_async_request(request)


def guard() -> None:
    """Send whatever Gradio fetches through `OnlyAllowed`."""
    setattr(processing_utils, "async_transport", OnlyAllowed())  # noqa: B010 - typed as None
