"""Live faces for programs and for the page: a WebSocket, mounted on the page's own server.

docs/live.md tells what is said on it. A session is one connection, and all that belongs to it ends
with it. Its frames are made and sent by a thread; what arrives is read by the server's loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as Late
from contextlib import suppress
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import cv2
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.face.face import Face
from talking_face.live.inbox import Inbox
from talking_face.live.stream import DELAY, Moment, Stream
from talking_face.motion import FPS
from talking_face.options import Look
from talking_face.sound.rates import SOUND_RATE
from talking_face.web.limits import count_order
from talking_face.web.messages import sentence
from talking_face.web.models import animator
from talking_face.web.seats import Seats, carried
from talking_face.web.wishes import Opening, read_edit, read_photo

PLACE = "/live"
HEADER = struct.Struct("<dfI")  # time, gate, bytes of sound; behind it the sound, then the JPEG
SESSION_SECONDS = 3600.0
SEATS = Seats()
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]
_PATIENCE = 20.0  # seconds for a client to say what it wants, and for it to take a frame

logger = logging.getLogger(__name__)


def route() -> WebSocketRoute:
    """What the page's server is given."""
    return WebSocketRoute(PLACE, serve)


async def serve(socket: WebSocket) -> None:
    """One session, from its first message until one of both ends it."""
    await socket.accept()
    seated = False
    try:
        if not _from_here(socket):
            raise OptionInvalid("Live faces are for programs and for this server's own page.")
        opening = Opening.read(await asyncio.wait_for(_told(socket), _PATIENCE))
        most = await asyncio.to_thread(carried)
        SEATS.take(most)
        seated = True
        count_order(socket.client.host if socket.client else "")
        face = await asyncio.to_thread(animator().fit, opening.photo, opening.face)
        await _Session(socket, opening, face).run()
    except TalkingFaceError as error:
        await _tell(socket, {"error": sentence(error)})
    except (WebSocketDisconnect, asyncio.TimeoutError):
        pass
    finally:
        if seated:
            SEATS.leave()
        if socket.client_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close()


class _Session:
    """A connection with a face: what the client sends goes in, moments come out."""

    def __init__(self, socket: WebSocket, opening: Opening, face: Face) -> None:
        self._socket, self._opening = socket, opening
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._inbox = Inbox(opening.rate, opening.channels, opening.microphone)
        self._face = face
        self._stream: Stream | None = None
        self._failure: TalkingFaceError | None = None
        self._leaving = False
        self._sending: Future[Any] | None = None

    async def run(self) -> None:
        """Until it ends; raises what went wrong."""
        thread = Thread(target=self._produce, daemon=True, name="live session")
        thread.start()
        listening = asyncio.create_task(self._listen())
        ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait({listening, ended}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                listening.result()
        finally:
            for task in (listening, ended):
                task.cancel()
            self._leaving = True
            self._inbox.close()
            if self._stream:
                self._stream.close()
            if self._sending:  # to somebody who has gone it may take for ever
                self._sending.cancel()
            await asyncio.to_thread(thread.join, _PATIENCE)
        if self._failure:
            raise self._failure

    async def _listen(self) -> None:
        """Take what the client says until it stops."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            try:
                if message.get("bytes") is not None:
                    self._inbox.put(message["bytes"])
                elif not await self._obey(_parsed(message.get("text"))):
                    return
            except TalkingFaceError as error:
                await _tell(self._socket, {"error": sentence(error)})

    async def _obey(self, wish: Any) -> bool:
        """Do what a message wants; False where that is to stop."""
        stream = self._stream
        if not isinstance(wish, dict) or not wish:
            raise OptionInvalid('Say what is to be done, such as {"say": "Hello."}.')
        if wish.get("stop"):
            return False
        if wish.get("interrupt"):
            self._inbox.clear()
            if stream:
                stream.interrupt()
        if "say" in wish:
            parts = self._inbox.say(wish["say"], wish.get("voice"))
            await _tell(self._socket, {"saying": parts})
        if "edit" in wish and stream:
            stream.change(read_edit(wish["edit"]))
        if "photo" in wish and stream:
            photo = read_photo(wish["photo"], wish.get("consent"))
            stream.show(await asyncio.to_thread(animator().fit, photo))
        return True

    def _produce(self) -> None:
        """Make moments and send them, in a thread of its own."""
        opening = self._opening
        try:
            stream = animator().stream(
                self._face,
                self._inbox,
                self._inbox.rate,
                seed=opening.seed,
                style=opening.style,
                look=Look(size=opening.size),
            )
            self._stream = stream
            stream.change(opening.edit)
            ready = {"ready": True, "fps": FPS, "sound_rate": SOUND_RATE, "delay": DELAY}
            self._wait_for(_tell(self._socket, ready))
            with stream:
                for moment in stream:
                    self._wait_for(self._socket.send_bytes(packed(moment)))
                    if failure := self._inbox.failure():
                        self._wait_for(_tell(self._socket, {"error": sentence(failure)}))
                    if moment.time > SESSION_SECONDS or self._ended.is_set():
                        break
        except TalkingFaceError as error:
            self._failure = error
        except (WebSocketDisconnect, RuntimeError, Late, CancelledError) as error:
            logger.debug("a live session ended: %s", error)
        finally:
            with suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._ended.set)

    def _wait_for(self, sending: Coroutine[Any, Any, None]) -> None:
        self._sending = asyncio.run_coroutine_threadsafe(sending, self._loop)
        if self._leaving:
            self._sending.cancel()
        self._sending.result(_PATIENCE)


def packed(moment: Moment) -> bytes:
    """A moment as it is sent."""
    _, picture = cv2.imencode(".jpg", cv2.cvtColor(moment.frame, cv2.COLOR_RGB2BGR), _QUALITY)
    sound = moment.sound.astype("<i2").tobytes()
    return HEADER.pack(moment.time, moment.gate, len(sound)) + sound + picture.tobytes()


async def _told(socket: WebSocket) -> Any:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return _parsed(message.get("text"))


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError as error:
        raise OptionInvalid("What isn't sound is said in JSON.") from error


async def _tell(socket: WebSocket, message: dict[str, Any]) -> None:
    if socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(json.dumps(message, ensure_ascii=False))


def _from_here(socket: WebSocket) -> bool:
    """Whether a browser that has opened this shows the server's own page; programs say nothing."""
    origin = socket.headers.get("origin")
    if not origin:
        return True
    asked = socket.headers.get("x-forwarded-host") or socket.headers.get("host")
    return urlsplit(origin).netloc == asked
