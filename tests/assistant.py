"""An assistant that uses the page's tools over MCP."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult


@asynccontextmanager
async def assistant(page: str) -> AsyncIterator[ClientSession]:
    """A session with the page at an address, ready for calls."""
    async with (
        streamable_http_client(f"{page}/gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def call_tool(page: str, name: str, arguments: dict[str, Any]) -> CallToolResult:
    """What an assistant is answered."""

    async def use() -> CallToolResult:
        async with assistant(page) as session:
            return await session.call_tool(name, arguments)

    return anyio.run(use)


def data_url(path: Path) -> str:
    """A file as a part of a call's arguments."""
    return f"data:application/octet-stream;base64,{base64.b64encode(path.read_bytes()).decode()}"
