"""Which calls of tools assistants (MCP) still wait for.

Gradio's MCP server passes a call on to the page's own queue and lets go of it: it tells nobody that
the assistant has closed the connection or taken the call back. Its requests keep their headers on
the way, though, so each call gets a number in a header here, in front of that server, and its
function can ask whether that number is still waited for.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PLACE = "/gradio_api/mcp"  # of Gradio's MCP server
HEADER = "x-talking-face-call"
# What tells assistants apart that name no session: their requests are numbered 1, 2, 3, … each.
_TELLING = ("authorization", "mcp-session-id", "user-agent", "x-forwarded-for")

Asker = tuple[Any, ...]


class _Call(NamedTuple):
    """Whose it is, its number there, and the address that it came from."""

    asker: Asker
    there: Any
    host: str


_waited_for: dict[str, _Call] = {}  # by a call's number here


def over(request: Any) -> bool:
    """Whether a request belongs to a call of a tool that nobody waits for any more."""
    headers = getattr(request, "headers", None)
    number = headers.get(HEADER) if headers is not None else None
    return number is not None and number not in _waited_for


def host_of(request: Any) -> str:
    """The network's address of whose request this is, also where a call of a tool led to it."""
    headers = getattr(request, "headers", None)
    number = headers.get(HEADER) if headers is not None else None
    if number in _waited_for:
        return _waited_for[number].host
    return str(getattr(getattr(request, "client", None), "host", ""))


class Calls:
    """ASGI middleware that numbers the calls, and forgets them when they are over."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or PLACE not in scope["path"]:
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._session(scope, receive, send)
        else:
            await self._call(scope, receive, send)

    async def _session(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A connection of the older kind, by which a session gets the answers of all its calls."""
        asker: Asker = ()

        async def sent(message: Message) -> None:
            nonlocal asker
            told = re.search(rb"session_id=(\w+)", message.get("body", b""))
            if told and not asker:
                asker = (told[1].decode(),)
            await send(message)

        async def received() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":  # the server may go on, in a thread
                leave()
            return message

        def leave() -> None:
            _forget([number for number, call in _waited_for.items() if call.asker == asker])

        try:
            await self._app(scope, received, sent)
        finally:
            leave()

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _body(receive)
        message = _read(body)
        asker = _asker(scope)
        if message.get("method") == "notifications/cancelled":
            _take_back(asker, message.get("params"))
        number = secrets.token_hex(16)
        _waited_for[number] = _Call(asker, message.get("id"), (scope.get("client") or ("",))[0])
        headers = [pair for pair in scope["headers"] if pair[0] != HEADER.encode()]
        headers.append((HEADER.encode(), number.encode()))
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        try:
            await self._app({**scope, "headers": headers}, again, send)
        finally:
            if len(asker) > 1:  # else the answer comes by the session's own connection
                _forget([number])


def _forget(numbers: list[str]) -> None:
    for number in numbers:
        _waited_for.pop(number, None)


def _take_back(asker: Asker, told: Any) -> None:
    """Forget the call that an assistant doesn't want any more, if it is clear which one that is."""
    there = told.get("requestId") if isinstance(told, dict) else None
    meant = [number for number, call in _waited_for.items() if call[:2] == (asker, there)]
    if there is not None and len(meant) == 1:
        _forget(meant)


def _asker(scope: Scope) -> Asker:
    session = re.search(rb"session_id=(\w+)", scope.get("query_string", b""))
    if session:
        return (session[1].decode(),)
    headers, client = Headers(scope=scope), scope.get("client")
    return (client[0] if client else None, *(headers.get(name) for name in _TELLING))


async def _body(receive: Receive) -> bytes:
    parts = []
    while (message := await receive())["type"] == "http.request":
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _read(body: bytes) -> dict[str, Any]:
    """A JSON-RPC message; an empty one where it is none."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}
