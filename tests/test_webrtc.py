"""A live face by WebRTC, called by a client that speaks it: pictures, sound, and the microphone."""

from __future__ import annotations

import asyncio
import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import websocket

from talking_face.sound.audio import SAMPLE_RATE, load_audio
from talking_face.web import live
from talking_face.web.live import SEATS

pytest.importorskip("aiortc")
from aiortc import (
    AudioStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame

BEGIN = {"photo": "woman_long_hair.jpg", "size": 128, "rate": 48000, "microphone": True}
PACKET = 320  # samples, 20 ms


class Microphone(AudioStreamTrack):
    """Somebody who says the same again and again."""

    def __init__(self, wave: np.ndarray) -> None:
        super().__init__()
        self._wave, self._at = (32767 * wave).astype(np.int16), 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(PACKET / SAMPLE_RATE)
        said = np.take(self._wave, range(self._at, self._at + PACKET), mode="wrap")
        frame = AudioFrame.from_ndarray(said[None], "s16", "mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, self._at
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self._at += PACKET
        return frame


@pytest.fixture
def address(page: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(live, "carried", lambda: 3)
    yield page.replace("http", "ws", 1) + live.PLACE
    assert SEATS.taken == 0


def said(socket: Any, name: str) -> Any:
    while True:
        message = socket.recv()
        if isinstance(message, str) and name in (told := json.loads(message)):
            return told[name]


async def call(socket: Any, wave: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The pictures and the sound of some seconds of a call."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    frames: list[np.ndarray] = []
    sounds: list[np.ndarray] = []
    tasks = []

    async def look(track: Any) -> None:
        while True:
            frame = await track.recv()
            if track.kind == "video":
                frames.append(frame.to_ndarray(format="rgb24"))
            else:
                sounds.append(frame.to_ndarray().reshape(-1))

    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(look(track))))
    peer.addTransceiver("video", "recvonly")
    peer.addTrack(Microphone(wave))
    await peer.setLocalDescription(await peer.createOffer())
    offer = {"type": peer.localDescription.type, "sdp": peer.localDescription.sdp}
    socket.send(json.dumps({"offer": offer}))
    answer = await asyncio.to_thread(said, socket, "answer")
    await peer.setRemoteDescription(RTCSessionDescription(**answer))
    assert await asyncio.to_thread(said, socket, "webrtc")
    for _ in range(600):
        await asyncio.sleep(0.05)
        if len(frames) > 75 and np.abs(np.concatenate(sounds)).max() > 3000:
            break
    await peer.close()
    for task in tasks:
        task.cancel()
    return frames, np.concatenate(sounds)


@pytest.mark.slow
def test_a_call_shows_a_face_that_says_what_its_microphone_hears(
    address: str, recordings: list[Any]
) -> None:
    wave = load_audio(recordings[0].with_name("grid.wav")).waveform[: 2 * SAMPLE_RATE]
    socket = websocket.create_connection(address, timeout=60)
    try:
        socket.send(json.dumps(BEGIN))
        assert said(socket, "webrtc") is True
        frames, sound = asyncio.run(call(socket, wave))
        assert frames[-1].shape == (128, 128, 3)
        mouths = np.array([frame[75:110, 40:90].mean() for frame in frames[5:]])
        assert np.ptp(mouths) > 1
        assert np.abs(sound).max() > 3000
        # Who hangs up goes on by the WebSocket.
        assert said(socket, "webrtc") is False
        while not isinstance(socket.recv(), bytes):
            pass
        socket.send('{"offer": {"sdp": "none"}}')
        assert "no offer" in said(socket, "error")
        socket.send('{"stop": true}')
        while socket.recv():
            pass
    finally:
        socket.close()


def test_without_it_somebody_is_told_what_to_install(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "webrtc", lambda: False)
    socket = websocket.create_connection(address, timeout=60)
    socket.send(json.dumps(BEGIN))
    assert said(socket, "webrtc") is False
    socket.send('{"offer": {}}')
    assert "requirements-webrtc.txt" in said(socket, "error")
    socket.send('{"stop": true}')
    while socket.recv():
        pass
    socket.close()
