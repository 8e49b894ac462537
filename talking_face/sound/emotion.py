"""The emotion in a voice: which mood, how pleasant and how excited, twice a second, and how surely.

A small network on the statistics of `talking_face.sound.delivery`, trained on acted speech. Knows
moods, nothing of faces. The plane is Russell's, A circumplex model of affect (1980).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter1d
from torch import Tensor, nn

from talking_face.arrays import Array, Float32
from talking_face.curves import smoothstep
from talking_face.frozen import Frozen
from talking_face.moods import MOODS
from talking_face.motion import FPS
from talking_face.sound.delivery import N_DELIVERY, delivery
from talking_face.sound.speech import Speech
from talking_face.weights import load_weights

HOP_SECONDS = 0.5
PASSAGE_SECONDS = 3.0  # that each answer is about; most of the training's sentences are as long
SMOOTHING = 1.0  # answers, standard deviation
HEARD = (*MOODS, "bored")  # what the network tells apart; boredom shows on a face as nothing does
# How likely a mood must be before it shows at all, and before it shows in full. What is told
# between them is told by roots, so that a mood which is merely suspected is seen as a trace.
DOUBTFUL, SURE = 0.05, 0.64
# The valence from which a smile is believed, and at which in full: it is heard more surely than
# that somebody is happy, which some sad voices seem to be.
UNPLEASANT, BELIEVED = -0.3, 0.2
# The valence from which, and at which in full, a voice smiles that is heard as surprised, or, by
# `GLAD`, as anything but neutral: half of the happy ones are, and others lie below.
PLEASANT, DELIGHTED, GLAD = 0.0, 0.4, 0.6
SILENT = 0.05  # weight of an answer about a passage in which nobody speaks

N_PROJECTED = 256
WIDTH = 96
CLIPPED = 6.0  # standard deviations; statistics of other microphones can be far off


@dataclass(frozen=True, eq=False)
class Emotion(Frozen):
    """What is felt in a recording, at n moments half a second apart.

    Attributes:
        seconds: (n,) float32, the moments, the first at 0.25 s.
        probabilities: (n, 8) float32 of the moods, in the order of `MOODS`; each row adds up to 1.
            Calibrated: of answers with 0.7, about 70 % are right.
        valence, arousal: (n,) float32, -1 (unpleasant, drowsy) to 1 (pleasant, excited).
    """

    seconds: Float32
    probabilities: Float32
    valence: Float32
    arousal: Float32

    @property
    def confidence(self) -> Float32:
        """The probability of the likeliest mood at each moment, (n,) float32."""
        return self.probabilities.max(axis=1)

    @property
    def mood(self) -> str:
        """The likeliest mood of the whole recording."""
        return MOODS[int(self.probabilities.mean(axis=0).argmax())]

    def moods(self, frames: int) -> Float32:
        """How much of each mood a face should show, (frames, 8) float32 from 0 to 1.

        See `face_of`.
        """
        return self._at_frames(face_of(self.probabilities, self.valence), frames)

    def affect(self, frames: int) -> Float32:
        """Valence and arousal of each frame, (frames, 2) float32."""
        return self._at_frames(np.stack([self.valence, self.arousal], axis=1), frames)

    def _at_frames(self, values: Array, frames: int) -> Float32:
        moments = (np.arange(frames) + 0.5) / FPS
        curves = [np.interp(moments, self.seconds, column) for column in values.T]
        return np.stack(curves, axis=1).astype(np.float32)


class EmotionNetwork(nn.Module):
    """Statistics of a passage -> logits of `HEARD`, valence and arousal.

    Several small networks, trained apart, read the same projection, and their answers are averaged.
    """

    centre: Tensor  # (N_DELIVERY,), what is usual
    spread: Tensor  # (N_DELIVERY,)
    temperature: Tensor  # (), by which the logits are divided so that probabilities come true

    def __init__(self, members: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(N_DELIVERY))
        self.register_buffer("spread", torch.ones(N_DELIVERY))
        self.register_buffer("temperature", torch.ones(()))
        self.project = nn.Linear(N_DELIVERY, N_PROJECTED, bias=False)
        self.members = nn.ModuleList(Member() for _ in range(members))

    def projected(self, statistics: Tensor) -> Tensor:
        """(B, N_DELIVERY) -> (B, N_PROJECTED)."""
        usual = (statistics - self.centre) / self.spread
        return self.project(usual.clamp(-CLIPPED, CLIPPED))

    def forward(self, statistics: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N_DELIVERY) -> probabilities (B, 9) of `HEARD`, and (B, 2) valence and arousal."""
        x = self.projected(statistics)
        answers = torch.stack([member(x) for member in self.members]).mean(dim=0)
        logits, affect = answers.split([len(HEARD), 2], dim=1)
        return F.softmax(logits / self.temperature, dim=1), affect.clamp(-1.0, 1.0)


class Member(nn.Module):
    """One of the small networks: (B, N_PROJECTED) -> (B, 9 + 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(0.3),
            nn.Linear(N_PROJECTED, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(WIDTH, WIDTH // 2),
            nn.GELU(),
            nn.Dropout(0.5),
            nn.Linear(WIDTH // 2, len(HEARD) + 2),
        )

    def forward(self, projected: Tensor) -> Tensor:
        return self.layers(projected)


@torch.inference_mode()
def hear_emotion(speech: Speech, network: EmotionNetwork) -> Emotion:
    """Tell the emotion of a recording.

    Args:
        network: of `load_emotion`.
    """
    moments = np.arange(HOP_SECONDS / 2, max(len(speech) / FPS, HOP_SECONDS), HOP_SECONDS)
    half = PASSAGE_SECONDS / 2
    passages = [
        slice(max(0, round((moment - half) * FPS)), max(1, round((moment + half) * FPS)))
        for moment in moments
    ]
    statistics = np.stack([delivery(speech, passage) for passage in passages])
    probabilities, affect = (part.numpy() for part in network(torch.from_numpy(statistics)))
    spoken = np.array([speech.activity[passage].mean() for passage in passages])
    weights = np.maximum(spoken, SILENT)[:, None]
    answers = np.concatenate([shown(probabilities), affect], axis=1) * weights
    smooth = gaussian_filter1d(answers, SMOOTHING, axis=0, mode="nearest")
    smooth /= gaussian_filter1d(weights, SMOOTHING, axis=0, mode="nearest")
    smooth = smooth.astype(np.float32)
    return Emotion(
        seconds=moments.astype(np.float32),
        probabilities=smooth[:, :-2],
        valence=smooth[:, -2],
        arousal=smooth[:, -1],
    )


def shown(probabilities: Array) -> Array:
    """Probabilities (n, 9) of `HEARD` as those of `MOODS` (n, 8): who is bored looks neutral."""
    moods = probabilities[:, : len(MOODS)].copy()
    moods[:, 0] += probabilities[:, -1]
    return moods


def face_of(probabilities: Array, valence: Array) -> Array:
    """How much of each mood a face should show, (n, 8) from 0 to 1, of what is heard.

    Doubt is shown faintly or not at all, and so is a neutral voice: column 0 is zero. Whether it
    smiles is valence's to say, too.

    Args:
        probabilities: (n, 8) of `MOODS`. valence: (n,).
    """
    sure = smoothstep(np.sqrt(probabilities), DOUBTFUL**0.5, SURE**0.5)
    sure[:, 0] = 0.0
    happy, surprised = MOODS.index("happy"), MOODS.index("surprised")
    believed = smoothstep(valence, UNPLEASANT, BELIEVED) * sure[:, happy]
    felt = np.maximum(sure[:, surprised], GLAD * (1 - probabilities[:, 0]))
    sure[:, happy] = np.maximum(believed, smoothstep(valence, PLEASANT, DELIGHTED) * felt)
    return np.asarray(sure)


def load_emotion() -> EmotionNetwork:
    """The shipped network, frozen, on the CPU.

    Raises:
        WeightsMissing, WeightsCorrupt: its file isn't there or is damaged.
    """
    tensors = load_weights("emotion")
    members = {name.split(".")[1] for name in tensors if name.startswith("members.")}
    network = EmotionNetwork(len(members))
    network.load_state_dict(
        {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()}
    )
    return network.requires_grad_(False).eval()
