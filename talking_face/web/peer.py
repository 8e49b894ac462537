"""A live face by WebRTC: picture and sound as a call has them, and the microphone back.

aiortc does it, which is optional; this module is imported where somebody asks for it. The WebSocket
of the session carries offer, answer and all that is said in JSON. No server is asked for addresses:
where the two can't reach each other by those that they have, the WebSocket goes on carrying frames.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription
from av import AudioFrame, VideoFrame

from talking_face.arrays import Array, Float32
from talking_face.errors import OptionInvalid
from talking_face.live.chunks import Resampler
from talking_face.live.stream import Moment
from talking_face.sound.rates import SOUND_RATE

_TICKS = 90_000  # a second, of pictures
_PACKET = SOUND_RATE // 50  # samples that are sent together
_MOST = {"video": 25, "audio": 100}  # that wait, at most; then the oldest is left out
_LONGEST = 2**16  # characters of an offer
_MOST_ADDRESSES = 100  # of the client's, at which it is looked for
_PATIENCE = 5.0  # seconds for hanging up

_NO_OFFER = "This is no offer of WebRTC. Send the description that the browser made."


class Peer:
    """The server's end of a call. All but `give` belongs to the loop that it was made in.

    Args:
        hear: given the client's microphone, (n,) float32 at `rate`.
        rate: Hz.
        told: told whether the call stands, whenever that changes.
    """

    def __init__(
        self, hear: Callable[[Float32], object], rate: int, told: Callable[[bool], object]
    ) -> None:
        self._hear, self._rate, self._told = hear, rate, told
        self._loop = asyncio.get_running_loop()
        self._call = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._seen, self._heard = _Track("video"), _Track("audio")
        self._call.on("connectionstatechange", self._changed)
        self._call.on("track", self._listen)
        self._listening: set[asyncio.Task[None]] = set()
        self._said = 0  # samples
        self._left: Array = np.zeros(0, dtype=np.int16)
        self.stands = False

    async def answer(self, offer: Any) -> dict[str, str]:
        """The answer to an offer, a mapping of type and sdp.

        Raises:
            OptionInvalid: it is none.
        """
        try:
            await self._call.setRemoteDescription(_checked(offer))
            self._call.addTrack(self._seen)
            self._call.addTrack(self._heard)
            for way in self._call.getTransceivers():
                if way.kind == "video":  # nobody would look at the client's
                    way.direction = "sendonly"
            await self._call.setLocalDescription(await self._call.createAnswer())
        except OptionInvalid:
            raise
        except Exception as error:  # whatever the library stumbles over in it
            raise OptionInvalid(_NO_OFFER) from error
        made = self._call.localDescription
        return {"type": made.type, "sdp": made.sdp}

    def give(self, moment: Moment) -> None:
        """Send a moment, from any thread."""
        with suppress(RuntimeError):  # the server has stopped
            self._loop.call_soon_threadsafe(self._send, moment)

    async def close(self) -> None:
        """Hang up."""
        for task in self._listening:
            task.cancel()
        with suppress(Exception):  # what a broken offer has left half made
            await asyncio.wait_for(self._call.close(), _PATIENCE)

    def _send(self, moment: Moment) -> None:
        picture = VideoFrame.from_ndarray(np.ascontiguousarray(moment.frame), format="rgb24")
        picture.pts, picture.time_base = round(_TICKS * moment.time), Fraction(1, _TICKS)
        self._seen.put(picture)
        self._left = np.concatenate([self._left, moment.sound])
        while len(self._left) >= _PACKET:
            sound = AudioFrame.from_ndarray(self._left[None, :_PACKET], "s16", "mono")
            sound.sample_rate = SOUND_RATE
            sound.pts, sound.time_base = self._said, Fraction(1, SOUND_RATE)
            self._heard.put(sound)
            self._left, self._said = self._left[_PACKET:], self._said + _PACKET

    def _changed(self) -> None:
        stands = self._call.connectionState == "connected"
        if stands != self.stands:
            self.stands = stands
            self._told(stands)

    def _listen(self, track: MediaStreamTrack) -> None:
        if track.kind == "audio":
            task = self._loop.create_task(self._take(track))
            self._listening.add(task)

    async def _take(self, track: MediaStreamTrack) -> None:
        ways: dict[int, Resampler] = {}  # by the rate of what comes, which may change
        with suppress(MediaStreamError):  # it has ended
            while True:
                frame: Any = await track.recv()
                if frame.sample_rate not in ways:
                    ways = {frame.sample_rate: Resampler(frame.sample_rate, self._rate)}
                samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
                mono = samples.mean(axis=1, dtype=np.float32) / np.float32(32768)
                self._hear(ways[frame.sample_rate].resample(mono))


def _checked(offer: Any) -> RTCSessionDescription:
    """An offer of one picture and one sound; each more would open ports of its own.

    Raises:
        OptionInvalid: it is another one. Others, where it is none.
    """
    if offer["type"] != "offer" or len(offer["sdp"]) > _LONGEST:
        raise OptionInvalid(_NO_OFFER)
    parts = SessionDescription.parse(offer["sdp"]).media
    kinds, names = [part.kind for part in parts], {part.rtp.muxId for part in parts}
    if sorted(kinds) != ["audio", "video"] or len(names) < len(kinds):
        raise OptionInvalid("Offer one picture and one sound, and nothing else.")
    if sum(len(part.ice_candidates) for part in parts) > _MOST_ADDRESSES:
        raise OptionInvalid(f"Offer {_MOST_ADDRESSES} addresses at most.")
    return RTCSessionDescription(sdp=offer["sdp"], type="offer")


class _Track(MediaStreamTrack):
    """Frames that are handed on as they come."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self._frames: deque[Any] = deque(maxlen=_MOST[kind])
        self._there = asyncio.Event()

    def put(self, frame: Any) -> None:
        if self.readyState == "live":
            self._frames.append(frame)
            self._there.set()

    async def recv(self) -> Any:
        while not self._frames:
            self._there.clear()
            await self._there.wait()
        return self._frames.popleft()
