"""The ear of a live face: what the last seconds of sound say of the newest frames.

It answers for frames that have `AHEAD` frames of sound behind them, and for the time being also for
those, as the decoder looks ahead. What the offline path measures over ten seconds around a frame
(how loud the voice is, how quiet the room) is measured over those that have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.curves import smoothstep
from talking_face.face.model import FaceModel
from talking_face.live.chorus import LiveEar
from talking_face.live.phones import AHEAD, HOP, NEW, Phones
from talking_face.live.temper import PASSAGE, Newest, Temper
from talking_face.mapping.articulation import articulate
from talking_face.mapping.decoder import audio_inputs, prosody_drive
from talking_face.mapping.listeners import N_OUTPUTS, prosody_inputs, rest_gate
from talking_face.moods import MOODS
from talking_face.sound import prosody
from talking_face.sound.emotion import EmotionNetwork
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.sound.prosody import FRAME

TRAIL = 300  # frames over which loudness is measured
BACK = 12  # frames before the new ones that the listeners hear, too
_WAVE = 20  # frames of sound that are kept
_SAID = AHEAD + HOP + 6  # frames whose lips are worked out: those shown, and what their filter sees
_NEAR = 48  # frames of which all is kept: the decoder looks back at them
_QUIET = 75  # frames without a voice, after which the encoder rests
_SILENT = 6  # hops of silence, from which it is known what is heard of it


@dataclass(frozen=True, eq=False)
class Heard:
    """What is known of the frames `start` … `stop` - 1, the newest that have been heard.

    Attributes:
        start, stop: numbers of frames, from the beginning of the stream.
        said: (m, 22) float32, the expected face of the newest of them, articulated.
        gate: (n,) how far the face speaks, see `rest_gate`.
        audio: (n, N_AUDIO) float32, what the decoder is told.
        felt: (8,) how much of each mood the voice shows, in the order of `MOODS`.
    """

    start: int
    stop: int
    said: Array
    gate: Array
    audio: Array
    felt: Array


# dB in the speech band: surely no voice, surely one. How loud this voice is going to be isn't known
# yet, and the noise of a room that begins after silence is not to part the lips.
_VOICE = (-58.0, -46.0)
_STILL = (prosody.QUIETEST, prosody.QUIETEST, 1.0, 0.0)  # level, energy, pitch and voicing


class Ear:
    """Hears a stream, `HOP` frames at a time; its memory is bounded."""

    def __init__(
        self, networks: LiveEar, model: FaceModel, emotion: EmotionNetwork | None = None
    ) -> None:
        self._temper = Temper(emotion) if emotion else None
        self._phones, self._chorus, self._model = Phones(networks.encoder), networks.chorus, model
        self._quiet = _silence(networks)
        self.stop = 0
        self.forget()

    def forget(self) -> None:
        """As if all that was heard so far had been silence."""
        self._phones.forget()
        self._known = 0  # frames that the encoder has heard
        self._wave = np.zeros(_WAVE * FRAME, dtype=np.float32)
        self._trail = np.tile(_STILL, (min(self.stop, TRAIL), 1))
        self._face = np.tile(self._quiet, (min(self.stop, _NEAR), 1))
        self._features = np.zeros((min(self.stop, PASSAGE), BLOCKS, WIDTH), dtype=np.float32)

    def hear(self, samples: Float32) -> Heard:
        """Hear the next `HOP` * `FRAME` samples, float32 at 16 kHz."""
        self.stop += HOP
        self._wave = np.concatenate([self._wave, samples])[-_WAVE * FRAME :]
        self._measure()
        level, energy, pitch, voicing = self._trail.T
        activity = prosody.speaking(level)
        voice = prosody_inputs(energy, activity, voicing)
        drive = prosody_drive(energy, activity, pitch, voicing)
        self._face = np.concatenate([self._face, np.tile(self._quiet, (HOP, 1))])[-_NEAR:]
        fresh = np.zeros((HOP, BLOCKS, WIDTH), dtype=np.float32)
        self._features = np.concatenate([self._features, fresh])[-PASSAGE:]
        if activity[-_QUIET:].any():
            self._listen(voice)
        else:
            self._phones.forget()
            self._known = 0
        near = slice(-len(self._face), None)
        return Heard(
            start=self.stop - len(self._face),
            stop=self.stop,
            said=articulate(self._face[-_SAID:], self._model),
            gate=rest_gate(np.minimum(activity, smoothstep(level, *_VOICE)))[near],
            audio=audio_inputs(self._face[:, :N_OUTPUTS], voice[near], drive[near]),
            felt=self._feel(energy, activity, pitch, voicing),
        )

    def _feel(self, *curves: Array) -> Array:
        """What the voice shows of each mood, (8,); nothing where no network tells."""
        if self._temper is None:
            return np.zeros(len(MOODS))
        count = min(len(self._features), len(curves[0]))
        known = (curve[-count:].astype(np.float32) for curve in curves)
        return self._temper.feel(Newest(self._features[-count:], *known), HOP)

    def _measure(self) -> None:
        """Measure the new frames, and the one before again, of which the end wasn't known."""
        fresh = HOP + (len(self._trail) > 0)
        piece = self._wave[-(fresh + 2) * FRAME :]  # filters need a moment to settle
        frames = len(piece) // FRAME
        curves = (
            prosody.speech_level(piece, frames),
            prosody.energy(piece, frames),
            *prosody.pitch(piece, frames),
        )
        kept = self._trail[: len(self._trail) + HOP - fresh]
        self._trail = np.concatenate([kept, np.stack(curves, axis=1)[-fresh:]])[-TRAIL:]

    def _listen(self, voice: Array) -> None:
        """Let the networks answer for the newest frames."""
        count = min(NEW, len(self._features))
        self._features[-count:] = self._phones.hear(self._wave)[-count:]
        self._known = min(self._known + HOP if self._known else count, len(self._features))
        near = min(BACK + NEW, self._known)
        answer = self._chorus.answer(self._features[-near:], voice[-near:])
        self._face[-count:] = answer[-count:]


@lru_cache(maxsize=2)
def _silence(networks: LiveEar) -> Array:
    """The answer where nobody speaks, (outputs,); the same for all who hear with these networks."""
    phones, quiet = Phones(networks.encoder), np.zeros(_WAVE * FRAME, dtype=np.float32)
    features = np.concatenate([phones.hear(quiet)[:HOP] for _ in range(_SILENT)])
    voice = prosody_inputs(*np.tile([[prosody.QUIETEST], [0.0], [0.0]], len(features)))
    return networks.chorus.answer(features, voice)[len(features) // 2]
