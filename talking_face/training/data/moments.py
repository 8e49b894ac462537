"""Speech as a live face hears it, moment by moment, and what is heard where all of it is known.

A lesson goes through the live encoder from a window's beginning, as `talking_face.live.ear` does it
with a stream, some of them after a moment of a quiet room. What the shipped listeners answer for
the whole recording is what is to be said of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from talking_face.arrays import Array, Float32
from talking_face.live.chorus import place
from talking_face.live.ear import HOP, SPAN, TRAIL
from talking_face.live.phones import AGAIN, TAIL, Phones
from talking_face.mapping.listeners import N_PROSODY, Listener, prosody_inputs, run
from talking_face.sound import prosody
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import BLOCKS, WIDTH, WINDOW_SECONDS, SpeechEncoder
from talking_face.sound.prosody import FRAME
from talking_face.sound.rates import SAMPLE_RATE
from talking_face.sound.speech import listen

LONGEST = WINDOW_SECONDS * SAMPLE_RATE // FRAME  # frames of a lesson
SHORTEST = 20  # frames of one
_NEWEST = TAIL + HOP  # frames that are heard again after a hop
_ROOM = 0.5  # of the recordings begin in a quiet room
_ROOM_FRAMES = (5, 50)
_ROOM_LOUDNESS = (-75.0, -52.0)  # dB

Moment = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Lesson:
    """Some seconds of speech.

    Attributes:
        speaker: whose.
        newest: (hops, TAIL + HOP, 6, 512) float16, what the encoder says after each hop of the
            newest frames; 0 before the beginning.
        curves: (frames, 3) float32, level of the speech band, energy and voicing.
        answer: (frames, outputs) float32, of the listeners that know all.
        room: how many frames at the beginning are of a quiet room; nothing is asked of them.
    """

    speaker: str
    newest: Tensor
    curves: Float32
    answer: Tensor
    room: int

    def __len__(self) -> int:
        """Hops."""
        return len(self.newest)

    def moment(self, hop: int) -> Moment:
        """What is known after a hop of the `SPAN` newest frames, and what is to be said of them.

        Returns:
            (SPAN, 3072) features, (SPAN, 4) of `prosody_inputs`, (SPAN,) 1 where there is sound,
            (SPAN, outputs) the answer, (SPAN,) 1 where it counts, and the window's `place`, all
            float32.
        """
        stop = (hop + 1) * HOP
        count = min(stop, SPAN)
        features = torch.zeros(SPAN, BLOCKS * WIDTH)
        features[-_NEWEST:] = self.newest[hop].flatten(1)
        # Of older frames, what was said last of each.
        for before in range(hop - 1, -1, -1):
            at = SPAN - _NEWEST - (hop - before) * HOP
            if at <= -HOP:
                break
            rows = self.newest[before, :HOP].flatten(1)[max(0, -at) :]
            features[max(0, at) : at + HOP] = rows
        level, energy, voicing = self.curves[max(0, stop - TRAIL) : stop].T
        voice = torch.zeros(SPAN, N_PROSODY)
        known = prosody_inputs(energy, prosody.speaking(level), voicing)
        voice[-count:] = torch.from_numpy(known[-count:])
        inside, asked = torch.zeros(SPAN), torch.zeros(SPAN)
        inside[-count:] = 1.0
        answer = torch.zeros(SPAN, self.answer.shape[1])
        answer[-count:] = self.answer[stop - count : stop]
        asked[SPAN - min(count, max(0, stop - self.room)) :] = 1.0
        return features, voice, inside, answer, asked, torch.tensor(place(stop))


def lessons(
    recording: Recording,
    speaker: str,
    encoder: SpeechEncoder,
    listeners: Sequence[Listener],
    rng: Generator,
) -> Iterator[Lesson]:
    """The lessons of a recording, `LONGEST` frames of it each."""
    speech = listen(recording, encoder)
    voice = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    answer = np.mean([run(one, speech.features, voice) for one in listeners], axis=0)
    for start in range(0, len(speech) - SHORTEST, LONGEST):
        frames = _ROOM_FRAMES if start == 0 and rng.random() < _ROOM else (0, 0)
        room = int(rng.integers(frames[0], frames[1] + 1))
        stop = min(start + LONGEST - room, len(speech))
        loud = 10 ** (rng.uniform(*_ROOM_LOUDNESS) / 20)
        quiet = (loud * rng.standard_normal(room * FRAME)).astype(np.float32)
        wave = np.concatenate([quiet, recording.waveform[start * FRAME : stop * FRAME]])
        count = len(wave) // FRAME
        silent = np.zeros((room, answer.shape[1]), dtype=np.float32)
        yield Lesson(
            speaker=speaker,
            newest=hear(wave, encoder),
            curves=np.stack(
                [
                    prosody.speech_level(wave, count),
                    prosody.energy(wave, count),
                    prosody.pitch(wave, count)[1],
                ],
                axis=1,
            ),
            answer=torch.from_numpy(np.concatenate([silent, answer[start:stop]])),
            room=room,
        )


def hear(wave: Array, encoder: SpeechEncoder) -> Tensor:
    """What the live encoder says of a sound, (n,) float32 at 16 kHz, as `Lesson.newest` has it."""
    phones, hops = Phones(encoder), len(wave) // FRAME // HOP
    newest = torch.zeros(hops, _NEWEST, BLOCKS, WIDTH, dtype=torch.half)
    for hop in range(hops):
        stop = (hop + 1) * HOP * FRAME
        heard = phones.hear(wave[max(0, stop - AGAIN * FRAME) : stop], HOP)
        newest[hop, -len(heard) :] = torch.from_numpy(heard).half()
    return newest
