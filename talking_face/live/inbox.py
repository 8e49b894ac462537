"""What a live face is given to say: chunks of sound as they arrive, and texts, spoken meanwhile.

One thread gives, another one asks for the next chunk and waits for it. Texts are spoken sentence by
sentence, so that the face begins before the paragraph has been worked out.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from typing import Any

import numpy as np

from talking_face.arrays import Float32
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.gate import admit
from talking_face.live.chunks import Chunks, Resampler
from talking_face.options import MAX_TEXT
from talking_face.sound.voice import check_text, speak

MOST_WAITING = 60.0  # seconds of sound that nobody has asked for yet
_SHORTEST = 0.001  # seconds that a chunk counts for at least, however short it is
_LAG = 0.3  # seconds of a microphone's sound that may wait; then its silence is left out
_QUIET = 0.01  # of full scale
_PAUSE = 0.2  # seconds between sentences
_LONG = 160  # characters; longer sentences are spoken in parts, where they have commas
_ENDS = re.compile(r"(?<=[.!?…:;。！？؟])[\"'”’)\]]*\s+|\s*\n\s*|(?<=[。！？])")
_COMMAS = re.compile(r"(?<=[,،、—–])\s+")


def sentences(text: str) -> list[str]:
    """A text in parts that are spoken one after the other, at most about `_LONG` characters."""
    parts: list[str] = []
    for sentence in filter(str.strip, _ENDS.split(text)):
        line = ""
        for clause in _COMMAS.split(sentence) if len(sentence) > _LONG else [sentence]:
            if line and len(line) + len(clause) > _LONG:
                parts.append(line)
                line = ""
            line = f"{line} {clause}".strip()
        parts.append(line)
    return [part for part in parts if any(map(str.isalnum, part))]


class Inbox:
    """An iterable of mono chunks at one rate, for `Animator.stream`, that others fill.

    Args:
        rate, channels: of the chunks that are put into it, see `Chunks`.
        microphone: the chunks come as they are recorded; where they pile up, silence is left out.

    Raises:
        OptionInvalid.
    """

    def __init__(self, rate: int, channels: int = 1, microphone: bool = False) -> None:
        self._chunks = Chunks((), rate, channels)
        self.rate, self._microphone = self._chunks.rate, microphone
        self._sound: deque[Float32] = deque()
        self._samples = 0  # of all of them
        self._texts: deque[tuple[str, str | None]] = deque()
        self._error: TalkingFaceError | None = None
        self._speaker: Thread | None = None
        self._cleared = 0  # how often everything was forgotten
        self._closed = False
        self._change = Condition()

    def put(self, chunk: Any) -> None:
        """Give a chunk, as `Chunks.mono` reads it.

        Raises:
            AudioUnreadable: it is no sound.
            OptionInvalid: more than `MOST_WAITING` seconds would be waiting.
        """
        samples = self._chunks.mono(chunk)
        if not len(samples):
            return
        with self._change:
            waiting = max(self._waiting(), _SHORTEST * len(self._sound))
            if waiting + len(samples) / self.rate > MOST_WAITING:
                raise OptionInvalid(
                    f"More than {MOST_WAITING:g} s of sound are waiting to be said. Send it as it "
                    "is to be heard."
                )
            quiet = np.abs(samples).max(initial=0.0) < _QUIET
            if not (self._microphone and quiet and waiting > _LAG):
                self._add(samples)

    def say(self, text: str, voice: str | None = None) -> list[str]:
        """Speak a text after what is said already; what can't be spoken is told by `failure`.

        Args:
            voice: a `Voice.id`; None takes the first one.

        Returns:
            Its sentences, as they will be spoken.

        Raises:
            TextUnspeakable, Refused.
            OptionInvalid: too much text is waiting.
        """
        plain = check_text(text)
        admit("text", plain)
        parts = sentences(plain)
        with self._change:
            if sum(len(part) for part, _ in self._texts) + len(plain) > MAX_TEXT:
                raise OptionInvalid(
                    f"More than {MAX_TEXT:,} characters are waiting to be said. Wait until some "
                    "have been."
                )
            self._texts.extend((part, voice) for part in parts)
            if self._speaker is None:
                self._speaker = Thread(target=self._speak, daemon=True, name="live voice")
                self._speaker.start()
            self._change.notify_all()
        return parts

    def failure(self) -> TalkingFaceError | None:
        """What went wrong since this was last asked for; the rest is spoken all the same."""
        with self._change:
            error, self._error = self._error, None
        return error

    def clear(self) -> None:
        """Forget all that waits."""
        with self._change:
            self._cleared += 1
            self._sound.clear()
            self._samples = 0
            self._texts.clear()
            self._change.notify_all()

    def close(self) -> None:
        """No more will come; what waits may still be asked for."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def __iter__(self) -> Iterator[Float32]:
        while True:
            with self._change:
                self._change.wait_for(lambda: self._sound or self._closed)
                if not self._sound:
                    return
                piece = self._sound.popleft()
                self._samples -= len(piece)
                self._change.notify_all()
            yield piece

    def _waiting(self) -> float:
        return self._samples / self.rate

    def _add(self, samples: Float32) -> None:
        self._sound.append(samples)
        self._samples += len(samples)
        self._change.notify_all()

    def _speak(self) -> None:
        """Speak the texts, each sentence while the one before is heard."""
        while True:
            with self._change:
                self._change.wait_for(
                    lambda: self._closed or (self._texts and self._waiting() < MOST_WAITING / 4)
                )
                if self._closed:
                    return
                text, voice = self._texts.popleft()
                cleared = self._cleared
            try:
                spoken = speak(text, voice)
            except TalkingFaceError as error:
                with self._change:
                    self._error = error
                continue
            sound = np.pad(spoken.samples, (0, round(_PAUSE * spoken.rate)))
            sound = Resampler(spoken.rate, self.rate).resample(sound)
            with self._change:
                if self._cleared == cleared:
                    self._add(sound)
