"""What a live face's client may not do to its server, whatever it sends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from talking_face import load_animator
from talking_face.errors import OptionInvalid
from talking_face.face.face import Face
from talking_face.live import stream as streams
from talking_face.live.inbox import MOST_WAITING, Inbox
from talking_face.live.take import MOST_PHOTOS
from talking_face.options import Look
from talking_face.web.live import _parsed

RATE = 16_000


@pytest.mark.slow
def test_empty_and_tiny_chunks_fill_nothing_for_ever() -> None:
    inbox = Inbox(RATE)
    for _ in range(1000):
        inbox.put(b"")
    inbox.close()
    assert list(inbox) == []
    inbox = Inbox(RATE)
    for _ in range(60_000):  # 4 s
        inbox.put(b"\1\1")
    with pytest.raises(OptionInvalid, match="waiting"):
        inbox.put(b"\1\1")


@pytest.mark.slow
def test_giving_a_chunk_costs_the_same_however_many_wait() -> None:
    def cost(inbox: Inbox) -> float:
        began = time.thread_time()
        for _ in range(200):
            inbox.put(b"\1\1")
        return time.thread_time() - began

    inbox = Inbox(RATE)
    few = min(cost(inbox) for _ in range(5))
    for _ in range(40_000):
        inbox.put(b"\1\1")
    assert min(cost(inbox) for _ in range(5)) < 5 * few


def test_what_was_taken_or_forgotten_makes_room() -> None:
    inbox = Inbox(RATE)
    minute = np.full(round(MOST_WAITING * RATE), 0.1, dtype=np.float32)
    inbox.put(minute)
    with pytest.raises(OptionInvalid):
        inbox.put(minute[:9])
    assert len(next(iter(inbox))) == len(minute)
    inbox.put(minute)
    inbox.clear()
    inbox.put(minute)


def test_json_that_is_nested_for_ever_is_told() -> None:
    with pytest.raises(OptionInvalid, match="JSON"):
        _parsed("[" * 100_000)


# -- photos ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def face(portrait: Any) -> Face:
    return load_animator("cpu").fit(portrait)


def test_a_recording_shows_so_many_photos_and_no_more(face: Face) -> None:
    others = [replace(face, digest=f"{number:064d}") for number in range(MOST_PHOTOS)]
    with load_animator("cpu").stream(face, [], look=Look(size=64)) as stream:
        for other in others:  # nothing is kept yet
            stream.show(other)
        stream.show(face)
        while stream._screen[0] is not face:
            time.sleep(0.01)
        stream.record()
        for other in others[1:]:
            stream.show(other)
            stream.show(face)
        with pytest.raises(OptionInvalid, match="8 photos"):
            stream.show(others[0])


def test_the_photo_that_was_asked_for_last_is_seen(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the one before takes longer to prepare."""
    slow, quick = replace(face, digest="0" * 64), replace(face, digest="1" * 64)
    begun: list[Callable[[], object]] = []
    with load_animator("cpu").stream(face, [], look=Look(size=64)) as stream:
        monkeypatch.setattr(streams, "begin", begun.append)
        stream.show(slow)
        stream.show(quick)
        begun[1]()
        begun[0]()
        assert stream._screen[0] is quick


# -- calls ----------------------------------------------------------------------------------------


def test_offers_of_all_kinds_are_answered_or_refused_in_a_sentence() -> None:
    pytest.importorskip("aiortc")
    asyncio.run(_offers())


async def _offers() -> None:
    from aiortc import RTCConfiguration, RTCPeerConnection

    from talking_face.web.peer import Peer

    async def answered(offer: Any) -> str:
        peer = Peer(lambda _: None, RATE, lambda _: None)
        try:
            return (await peer.answer(offer))["sdp"]
        finally:
            await peer.close()

    async def offered(kinds: list[str], direction: str = "sendrecv") -> str:
        client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        for kind in kinds:
            client.addTransceiver(kind, direction)
        if not kinds:
            client.createDataChannel("none")
        await client.setLocalDescription(await client.createOffer())
        sdp: str = client.localDescription.sdp
        await client.close()
        return sdp

    good = await offered(["video", "audio"])
    answer = await answered({"type": "offer", "sdp": good})
    picture = answer[answer.index("m=video") : answer.index("m=audio")]
    assert "a=sendonly" in picture  # else the client's pictures would pile up here
    assert "a=sendrecv" in answer[answer.index("m=audio") :]
    assert await answered({"type": "offer", "sdp": await offered(["audio", "video"], "recvonly")})
    candidate = next(line for line in good.splitlines() if line.startswith("a=candidate"))
    for bad in (
        {"type": "answer", "sdp": good},
        {"type": "rollback", "sdp": good},
        {"type": "offer", "sdp": 5},
        {"type": "offer", "sdp": good.replace("m=video", "m=foo")},
        {"type": "offer", "sdp": good.replace("a=mid:1", "a=mid:0")},
        {"type": "offer", "sdp": good.replace("a=rtpmap:", "a=rtpmap:zz")},
        {"type": "offer", "sdp": good.replace("VP8", "X").replace("H264", "X")},
        {"type": "offer", "sdp": good + f"{candidate}\r\n" * 101},
        {"type": "offer", "sdp": good + "a=x\r\n" * 20_000},
        {"type": "offer", "sdp": await offered(["audio"] * 20)},
        {"type": "offer", "sdp": await offered(["audio"])},
        {"type": "offer", "sdp": await offered([])},
        "offer",
        None,
    ):
        with pytest.raises(OptionInvalid, match=r"[Oo]ffer"):
            await answered(bad)
