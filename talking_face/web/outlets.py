"""How a live face's moments go to its client over the WebSocket: as pictures, or as a film.

docs/live.md tells what both look like. Each is given moments by the session's thread, and sends
with a function that waits until the client has taken what it sends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as Late
from typing import Protocol

import cv2
from starlette.websockets import WebSocketDisconnect

from talking_face.clips.fragments import MIME, Fragments
from talking_face.errors import EncodingFailed
from talking_face.live.stream import Moment

HEADER = struct.Struct("<dfI")  # time, gate, bytes of sound; behind it the sound, then the JPEG
GONE = (WebSocketDisconnect, RuntimeError, Late, CancelledError)  # what sending to nobody raises
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]

Send = Callable[[bytes], object]


class Outlet(Protocol):
    """Where moments go; `mime` says what a player makes of all that is sent together."""

    mime: str | None

    def give(self, moment: Moment) -> None:
        """Send it, or what is ready of those so far."""

    def close(self) -> None:
        """Let go of everything."""


class Pictures:
    """Each moment a message: a JPEG, and its sound."""

    mime: str | None = None

    def __init__(self, send: Send) -> None:
        self._send = send

    def give(self, moment: Moment) -> None:
        self._send(packed(moment))

    def close(self) -> None:
        pass


class Film:
    """One MP4 in pieces, as `Fragments` makes it."""

    mime: str | None = MIME

    def __init__(self, send: Send) -> None:
        self._send = send
        self._fragments: Fragments | None = None
        self._gone: BaseException | None = None

    def give(self, moment: Moment) -> None:
        """Raises what sending raised, and EncodingFailed."""
        if self._fragments is None:
            height, width = moment.frame.shape[:2]
            self._fragments = Fragments(height, width, self._deliver)
        taken = self._fragments.add(moment.time, moment.frame, moment.sound)
        if self._gone:
            raise self._gone
        if not taken:
            raise EncodingFailed("ffmpeg failed while the face was live. Start again.")

    def close(self) -> None:
        if self._fragments:
            self._fragments.close()

    def _deliver(self, piece: bytes) -> None:
        if self._gone is None:
            try:
                self._send(piece)
            except GONE as error:
                self._gone = error


def packed(moment: Moment) -> bytes:
    """A moment as it is sent, with its picture."""
    _, picture = cv2.imencode(".jpg", cv2.cvtColor(moment.frame, cv2.COLOR_RGB2BGR), _QUALITY)
    sound = moment.sound.astype("<i2").tobytes()
    return HEADER.pack(moment.time, moment.gate, len(sound)) + sound + picture.tobytes()


OUTLETS: dict[str, Callable[[Send], Outlet]] = {"jpeg": Pictures, "mp4": Film}
