"""The ear of a live face: what the last seconds of sound say of the newest frames.

Encoder and listeners hear the newest frames again at every hop, and answer for those that have
`AHEAD` frames of sound behind them. What the offline path measures over ten seconds
around a frame (how loud the voice is, how quiet the room) is measured over those that have been.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.curves import smoothstep
from talking_face.face.model import FaceModel
from talking_face.live.chorus import Chorus
from talking_face.live.phones import AGAIN, TAIL, Phones
from talking_face.live.temper import PASSAGE, Newest, Temper
from talking_face.mapping.articulation import articulate
from talking_face.mapping.decoder import audio_inputs, prosody_drive
from talking_face.mapping.listeners import N_OUTPUTS, REACH, prosody_inputs, rest_gate
from talking_face.moods import MOODS
from talking_face.sound import prosody
from talking_face.sound.emotion import EmotionNetwork
from talking_face.sound.encoder import BLOCKS, WIDTH, SpeechEncoder
from talking_face.sound.prosody import FRAME

HOP = 2  # frames, after which it hears again
AHEAD = 4  # frames of sound behind one that is answered for
SPAN = TAIL + HOP + 8  # frames of which the listeners hear at least, where there were so many
TRAIL = 300  # frames over which loudness is measured
_SAID = AHEAD + HOP + 6  # frames whose lips are worked out: those shown, and what their filter sees
_NEAR = 48  # frames of which all is kept: the decoder looks back at them
_QUIET = 75  # frames without a voice, after which the encoder rests


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
        self,
        encoder: SpeechEncoder,
        chorus: Chorus,
        model: FaceModel,
        emotion: EmotionNetwork | None = None,
    ) -> None:
        self._temper = Temper(emotion) if emotion else None
        self._phones, self._model = Phones(encoder), model
        self._chorus = chorus
        self._quiet = _silence(encoder, chorus)
        self.stop = 0
        self.forget()

    def forget(self) -> None:
        """As if all that was heard so far had been silence."""
        self._phones.forget()
        self._missed = 0  # frames that the encoder hasn't heard yet
        self._known = 0  # frames that it has
        self._wave = np.zeros(min(self.stop, AGAIN) * FRAME, dtype=np.float32)
        self._trail = np.tile(_STILL, (min(self.stop, TRAIL), 1))
        self._face = np.tile(self._quiet, (min(self.stop, _NEAR), 1))
        self._features = np.zeros((min(self.stop, AGAIN), BLOCKS, WIDTH), dtype=np.float32)

    def hear(self, samples: Float32, hurried: bool = False) -> Heard:
        """Hear the next `HOP` * `FRAME` samples, float32 at 16 kHz.

        Args:
            hurried: let the listeners rest at every other hop.
        """
        self.stop += HOP
        self._wave = np.concatenate([self._wave, samples])[-AGAIN * FRAME :]
        self._measure()
        level, energy, pitch, voicing = self._trail.T
        activity = prosody.speaking(level)
        voice = prosody_inputs(energy, activity, voicing)
        drive = prosody_drive(energy, activity, pitch, voicing)
        self._face = np.concatenate([self._face, np.tile(self._quiet, (HOP, 1))])[-_NEAR:]
        fresh = np.zeros((HOP, BLOCKS, WIDTH), dtype=np.float32)
        self._features = np.concatenate([self._features, fresh])[-PASSAGE:]
        self._missed += HOP
        if not activity[-_QUIET:].any():
            self._phones.forget()
            self._missed = self._known = 0
        elif not hurried or self._missed > HOP:
            self._listen(voice)
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
        """Let the listeners answer for the newest frames, those at the edge left as they were."""
        features = self._phones.hear(self._wave, self._missed)
        near = min(len(features), len(self._features))
        self._features[-near:] = features[-near:]
        self._known = min(max(self._known + self._missed, near), len(self._features))
        self._missed = 0
        count = min(max(SPAN, near), self._known)
        heard = self._features[-count:], voice[-count:]
        answer = self._chorus.answer(*heard, self._phones.frames)
        whole = count == len(self._face)  # nothing was before
        known = answer if whole else answer[REACH:]
        self._face[-len(known) :] = known[-len(self._face) :]


@lru_cache(maxsize=2)
def _silence(encoder: SpeechEncoder, chorus: Chorus) -> Array:
    """The answer where nobody speaks, (outputs,); the same for all who hear with these networks."""
    features = Phones(encoder).hear(np.zeros(AGAIN * FRAME, dtype=np.float32), AGAIN)
    voice = prosody_inputs(*np.tile([[prosody.QUIETEST], [0.0], [0.0]], AGAIN))
    return chorus.answer(features, voice, AGAIN)[AGAIN // 2]
