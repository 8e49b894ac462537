"""What the owner of an installation can refuse: material, addresses, too many orders."""

import asyncio
import socket
import sys
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pytest
import safehttpx
from gradio import processing_utils

from talking_face import load_animator
from talking_face.errors import OptionInvalid, Refused
from talking_face.gate import _gate, admit
from talking_face.remote import RemoteAnimator
from talking_face.sound.voice import speak
from talking_face.web import addresses
from talking_face.web.limits import Limits, count_order


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A gate that refuses everything, and what it was asked about."""
    asked: list[str] = []

    def refuse(kind: str, material: object) -> str:
        asked.append(f"{kind} {type(material).__name__}")
        return "Nobody is animated here."

    module = types.ModuleType("doorkeeper")
    module.refuse = refuse  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "doorkeeper", module)
    monkeypatch.setenv("TALKING_FACE_GATE", "doorkeeper:refuse")
    _gate.cache_clear()  # another test's has the same name
    return asked


def test_a_gate_refuses_before_any_work(gate: list[str], portrait: Path, speech: Path) -> None:
    animator = load_animator("cpu")
    for work in (
        lambda: animator.fit(portrait),
        lambda: animator.faces(portrait),
        lambda: animator.listen(speech),
        lambda: speak("Good morning."),
    ):
        with pytest.raises(Refused, match=r"Nobody is animated here\."):
            work()
    assert gate == ["photo ndarray", "photo ndarray", "sound Recording", "text str"]


@pytest.mark.usefixtures("gate")
def test_nothing_that_the_gate_refuses_reaches_a_cluster(portrait: Path, speech: Path) -> None:
    """Its workers may have another gate, or none."""
    nobody: Any = None
    animator = RemoteAnimator(load_animator("cpu").models, nobody)
    for work in (lambda: animator.fit(portrait), lambda: animator.listen(speech)):
        with pytest.raises(Refused, match=r"Nobody is animated here\."):
            work()


@pytest.mark.parametrize("named", ["nowhere:gate", "talking_face.gate:nothing", "gate", ":"])
def test_a_gate_that_isnt_there_lets_nobody_in(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKING_FACE_GATE", named)
    with pytest.raises(OptionInvalid, match="TALKING_FACE_GATE"):
        admit("photo", np.zeros((64, 64, 3), np.uint8))


def fetch(address: str) -> None:
    async def get() -> None:
        await processing_utils.async_ssrf_protected_get(address)

    asyncio.run(get())


@pytest.mark.parametrize(
    "address",
    ["http://example.org/a.jpg", "https://huggingface.co/a.jpg", "http://127.0.0.1/a.jpg"],
)
def test_no_address_is_fetched_unless_its_host_is_allowed(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing_utils, "async_transport", None)
    monkeypatch.setattr(addresses, "resolved", pytest.fail)
    addresses.guard()
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "example.com, *.example.net")
    with pytest.raises(gr.Error, match="doesn't fetch files from addresses"):
        fetch(address)


INNER = """127.0.0.1 127.1 2130706433 0x7f000001 0.0.0.0 10.0.0.1 172.16.0.1 192.168.1.1
169.254.169.254 100.64.0.1 100.100.100.200 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 localhost
[::1] [::] [fe80::1] [fd00::1] [ff02::1] [::ffff:10.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::]
[2001:db8::1]""".split()


@pytest.mark.parametrize("host", INNER)
def test_private_addresses_are_refused_even_where_all_are_allowed(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processing_utils, "async_transport", None)
    monkeypatch.setattr(safehttpx, "AsyncSecureTransport", pytest.fail)
    addresses.guard()
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "*")
    with pytest.raises(gr.Error, match="public internet"):
        fetch(f"http://{host}:9/a.jpg")


def test_what_is_public_is_public() -> None:
    for address in ("93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"):
        assert addresses.public(address)


def answers(monkeypatch: pytest.MonkeyPatch, *rounds: list[str]) -> list[str]:
    """A name server that says other things each time it is asked; returns what it is asked."""
    asked: list[str] = []

    async def getaddrinfo(_: object, host: str, *__: object, **___: object) -> list[Any]:
        asked.append(host)
        told = rounds[min(len(asked), len(rounds)) - 1]
        kinds = [socket.AF_INET6 if ":" in one else socket.AF_INET for one in told]
        return [(kind, 1, 6, "", (one, 0)) for kind, one in zip(kinds, told, strict=True)]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_with_an_inner_address_beside_public_ones_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers(monkeypatch, ["93.184.215.14", "127.0.0.1"])
    with pytest.raises(gr.Error, match="public internet"):
        asyncio.run(addresses.resolved("example.com"))


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever its name means a moment later."""
    asked = answers(monkeypatch, ["93.184.215.14"], ["127.0.0.1"])
    reached: list[str] = []

    async def answer(_: object, request: httpx.Request) -> httpx.Response:
        reached.append(request.url.host)
        return httpx.Response(200, content=b"a picture")

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    monkeypatch.setattr(processing_utils, "async_transport", None)
    addresses.guard()
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "example.com")
    fetch("http://example.com/a.jpg")
    assert reached == ["93.184.215.14"]
    assert asked == ["example.com"]
    with pytest.raises(gr.Error, match="public internet"):
        fetch("http://example.com/a.jpg")
    assert len(reached) == 1


def test_no_more_is_taken_than_an_upload_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield bytes(2**20)

    async def answer(*_: object) -> httpx.Response:
        return httpx.Response(200, stream=Endless())

    answers(monkeypatch, ["93.184.215.14"])
    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", answer)
    monkeypatch.setattr(processing_utils, "async_transport", None)
    monkeypatch.setattr(addresses, "LARGEST", 2**22)
    addresses.guard()
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "*")
    with pytest.raises(gr.Error, match="too large"):
        fetch("http://example.com/a.jpg")


def test_a_redirect_leads_to_no_host_that_isnt_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Redirects(httpx.AsyncBaseTransport):
        def __init__(self, address: str) -> None:
            pass

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.host)
            return httpx.Response(302, headers={"Location": "http://inside.example.org/secret"})

    async def public(_: str) -> str:
        return "93.184.215.14"

    monkeypatch.setattr(processing_utils, "async_transport", None)
    monkeypatch.setattr(safehttpx, "AsyncSecureTransport", Redirects)
    monkeypatch.setattr(addresses, "resolved", public)
    addresses.guard()
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "example.com")
    with pytest.raises(gr.Error, match="doesn't fetch"):
        fetch("http://example.com/a.jpg")
    assert asked == ["example.com"]


def test_hosts_are_allowed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKING_FACE_ADDRESSES", "example.com, *.example.net")
    assert addresses.allowed("example.com")
    assert addresses.allowed("A.Example.Net.")
    for host in ("", "example.net", "example.com.evil.org", "badexample.com", "evilexample.net"):
        assert not addresses.allowed(host)
    monkeypatch.delenv("TALKING_FACE_ADDRESSES")
    assert not addresses.allowed("example.com")


def test_a_visitor_orders_so_often_an_hour_and_no_oftener() -> None:
    now = [0.0]
    limits = Limits(lambda: now[0])
    for _ in range(3):
        limits.count("one", 3)
        now[0] += 600
    with pytest.raises(Refused, match=r"3 orders an hour .* in 31 minutes"):
        limits.count("one", 3)
    limits.count("another", 3)
    now[0] += 1801  # the first order is an hour old
    limits.count("one", 3)
    with pytest.raises(Refused):
        limits.count("one", 3)


def test_without_a_limit_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALKING_FACE_ORDERS_PER_HOUR", raising=False)
    for _ in range(100):
        count_order()
    monkeypatch.setenv("TALKING_FACE_ORDERS_PER_HOUR", "many")
    with pytest.raises(OptionInvalid, match="TALKING_FACE_ORDERS_PER_HOUR"):
        count_order()
    monkeypatch.setenv("TALKING_FACE_ORDERS_PER_HOUR", "0")
    with pytest.raises(Refused):
        count_order()
