"""Which addresses of the internet the page's server fetches because a client names them: by itself,
none.

Gradio downloads what a client gives as an address instead of a file, also to the tools of
assistants. It refuses addresses of the server's own network; here it is asked to refuse all that
the server's owner hasn't allowed, at every hop, too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
import httpx
import safehttpx
from gradio import processing_utils

ADDRESSES_VARIABLE = "TALKING_FACE_ADDRESSES"  # hosts, "*.example.org" with those below it, or "*"
LARGEST = 200 * 2**20  # bytes of a file
PATIENCE = 120.0  # seconds in which it must have come
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def allowed(host: str) -> bool:
    """Whether the owner allows a host's files to be fetched; private ones are refused besides."""
    names = [name.strip().lower() for name in os.environ.get(ADDRESSES_VARIABLE, "").split(",")]
    host = host.lower().rstrip(".")
    return any(
        name == "*" or host == name or (name.startswith("*.") and host.endswith(name[1:]))
        for name in names
        if name
    )


def public(address: str) -> bool:
    """Whether a numeric address is one of the internet's, not of some network's own.

    Those of the one kind that stand for one of the other kind are as public as that.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: list[Any] = []
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    return ip.is_global and not ip.is_multicast and all(public(str(one)) for one in inner if one)


async def resolved(host: str) -> str:
    """A numeric address of a host, all of whose addresses are public.

    Raises:
        gradio.Error: it has none, or others, too.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except (OSError, UnicodeError):
        found = []
    addresses = [str(one[4][0]) for one in found]
    if not addresses or not all(map(public, addresses)):
        raise gr.Error(
            "This address isn't one of the public internet. Upload the file.", print_exception=False
        )
    return addresses[0]


class _Limited(httpx.AsyncByteStream):
    """What a server answers, as long as it is no larger than an upload may be, and soon over."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left, until = LARGEST, time.monotonic() + PATIENCE
        async for piece in self._stream:
            left -= len(piece)
            if left < 0 or time.monotonic() > until:
                raise gr.Error(
                    "The file at this address is too large or comes too slowly. Upload it.",
                    print_exception=False,
                )
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


class OnlyAllowed(httpx.AsyncBaseTransport):
    """Requests to hosts that are allowed and public; to others nothing is sent.

    The connection goes to the very address that was looked at, whatever the name means later.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https") or not allowed(request.url.host):
            raise gr.Error(
                "This server doesn't fetch files from addresses. Upload the file, or send it as "
                "data.",
                print_exception=False,
            )
        transport = safehttpx.AsyncSecureTransport(await resolved(request.url.host))
        response = await transport.handle_async_request(request)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Limited(response.stream)
        return response


def guard() -> None:
    """Send whatever Gradio fetches through `OnlyAllowed`."""
    setattr(processing_utils, "async_transport", OnlyAllowed())  # noqa: B010 - typed as None
