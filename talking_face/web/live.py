"""Live faces for programs and for the page: a WebSocket, mounted on the page's own server.

docs/live.md tells what is said on it. A session is one connection, and all that belongs to it ends
with it. Its frames are made and sent by a thread; what arrives is read by the server's loop.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from talking_face.arrays import Float32
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.face.face import Face
from talking_face.interruption import Stopped
from talking_face.live.inbox import Inbox
from talking_face.live.stream import DELAY, Stream
from talking_face.live.take import Take
from talking_face.motion import FPS
from talking_face.options import Look, shown
from talking_face.sound.rates import SOUND_RATE
from talking_face.web.limits import count_order
from talking_face.web.messages import sentence
from talking_face.web.models import animator
from talking_face.web.outlets import GONE, OUTLETS
from talking_face.web.recordings import make
from talking_face.web.seats import Seats, carried
from talking_face.web.wishes import Opening, read_edit, read_photo

PLACE = "/live"
SESSION_SECONDS = 3600.0
SEATS = Seats()
_PATIENCE = 20.0  # seconds for a client to say what it wants, and for it to take a frame
_WISHES = tuple("say voice interrupt edit photo consent record offer stop".split())

logger = logging.getLogger(__name__)


def route() -> WebSocketRoute:
    """What the page's server is given."""
    return WebSocketRoute(PLACE, serve)


@cache
def webrtc() -> bool:
    """Whether what it needs is installed."""
    return find_spec("aiortc") is not None


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
        count_order(_host(socket))
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
        self._leaving = self._gone = False
        self._sending: Future[Any] | None = None
        self._peer: Any = None  # of WebRTC
        self._telling: set[asyncio.Task[None]] = set()
        self._making: asyncio.Task[None] | None = None  # of a clip

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
            if self._peer:
                await self._peer.close()
            await asyncio.to_thread(thread.join, _PATIENCE)
            await self._finish_recording()
        if self._failure:
            raise self._failure

    async def _listen(self) -> None:
        """Take what the client says until it stops."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                self._gone = True
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
        for name in wish:
            if name not in _WISHES:
                raise OptionInvalid(f"There is no option {shown(name)}. Use {', '.join(_WISHES)}.")
        if not stream and not wish.keys().isdisjoint(("edit", "photo", "record")):
            raise OptionInvalid('The face isn\'t there yet. Wait for {"ready": true}.')
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
        if "record" in wish and stream:
            await self._record(stream, wish["record"])
        if "offer" in wish:
            await self._call(wish["offer"])
        return True

    # -- recordings ---------------------------------------------------------------------------

    async def _record(self, stream: Stream, on: Any) -> None:
        if self._making and not self._making.done():
            raise OptionInvalid("The recording before is still being made. Wait until it is ready.")
        if on and stream.recording:
            raise OptionInvalid('A recording is under way. End it with {"record": false} first.')
        if on:
            count_order(_host(self._socket))  # before, so that nobody records in vain
            stream.record()
            await _tell(self._socket, {"recording": True})
        else:
            self._making = asyncio.create_task(self._make(stream.cut()))

    async def _make(self, take: Take) -> None:
        """Make the clip of a take, and tell where it is."""
        told = 0.0

        def progress(done: float, _: str) -> None:
            nonlocal told
            if self._gone:
                raise Stopped
            if time.monotonic() - told > 1:
                told = time.monotonic()
                asyncio.run_coroutine_threadsafe(
                    _tell(self._socket, {"making": round(done, 2)}), self._loop
                )

        try:
            place = await asyncio.to_thread(make, take, self._opening.size, progress)
            await _tell(self._socket, {"recorded": place, "seconds": take.duration})
        except Stopped:
            logger.debug("nobody waits for the recording")
        except TalkingFaceError as error:
            await _tell(self._socket, {"error": sentence(error)})

    async def _finish_recording(self) -> None:
        """Whoever is still there gets what was being recorded."""
        if self._stream and self._stream.recording and not self._gone:
            with suppress(TalkingFaceError):  # there was no time for a frame
                self._making = asyncio.create_task(self._make(self._stream.cut()))
        if self._making:
            leaving = asyncio.create_task(self._until_gone())
            await asyncio.wait({self._making, leaving}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            await self._making

    async def _until_gone(self) -> None:
        while not self._gone:
            message = await self._socket.receive()
            self._gone = message["type"] == "websocket.disconnect"

    # -- moments ------------------------------------------------------------------------------

    async def _call(self, offer: Any) -> None:
        """Answer an offer of WebRTC; moments go that way as soon as the call stands."""
        if not webrtc():
            raise OptionInvalid(
                "This server has no WebRTC. Install it (pip install -r requirements-webrtc.txt), "
                "or take the frames from this WebSocket."
            )
        from talking_face.web.peer import Peer

        if self._peer:
            await self._peer.close()

        def told(stands: bool) -> None:
            task = self._loop.create_task(_tell(self._socket, {"webrtc": stands}))
            self._telling.add(task)  # the loop itself holds it too loosely
            task.add_done_callback(self._telling.discard)

        self._peer = Peer(self._hear, self._inbox.rate, told)
        await _tell(self._socket, {"answer": await self._peer.answer(offer)})

    def _hear(self, samples: Float32) -> None:
        with suppress(TalkingFaceError):  # more than can wait; there is more to come
            self._inbox.put(samples)

    def _produce(self) -> None:
        """Make moments and send them, in a thread of its own."""
        opening, outlet = self._opening, OUTLETS[self._opening.format](self._send)
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
            ready: dict[str, Any] = {
                "ready": True,
                "fps": FPS,
                "sound_rate": SOUND_RATE,
                "delay": DELAY,
            }
            ready |= {"mime": outlet.mime, "webrtc": webrtc()}
            self._wait_for(_tell(self._socket, ready))
            with stream:
                for moment in stream:
                    calling = self._peer and self._peer.stands
                    (self._peer if calling else outlet).give(moment)
                    if failure := self._inbox.failure():
                        self._wait_for(_tell(self._socket, {"error": sentence(failure)}))
                    if moment.time > SESSION_SECONDS or self._ended.is_set():
                        break
        except TalkingFaceError as error:
            self._failure = error
        except GONE as error:
            logger.debug("a live session ended: %s", error)
        finally:
            outlet.close()
            with suppress(RuntimeError):  # the server has stopped
                self._loop.call_soon_threadsafe(self._ended.set)

    def _send(self, data: bytes) -> None:
        self._wait_for(self._socket.send_bytes(data))

    def _wait_for(self, sending: Coroutine[Any, Any, None]) -> None:
        self._sending = asyncio.run_coroutine_threadsafe(sending, self._loop)
        if self._leaving:
            self._sending.cancel()
        self._sending.result(_PATIENCE)


async def _told(socket: WebSocket) -> Any:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1000))
    return _parsed(message.get("text"))


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise OptionInvalid("What isn't sound is said in JSON.") from error


async def _tell(socket: WebSocket, message: dict[str, Any]) -> None:
    if socket.client_state is WebSocketState.CONNECTED:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_text(json.dumps(message))  # half a character can't be sent as it is


def _host(socket: WebSocket) -> str:
    return socket.client.host if socket.client else ""


def _from_here(socket: WebSocket) -> bool:
    """Whether a browser that has opened this shows the server's own page; programs say nothing."""
    origin = socket.headers.get("origin")
    if not origin:
        return True
    asked = socket.headers.get("x-forwarded-host") or socket.headers.get("host")
    return urlsplit(origin).netloc == asked
