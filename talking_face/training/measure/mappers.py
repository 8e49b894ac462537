"""Where animations come from that are to be measured: mapping networks, files, other people.

A mapping network is a function draw(speech, indices, seed, diversity) -> motions; here it becomes a
`Mapper`, which draws for a clip of the cache.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors.torch import load_file

from talking_face.errors import MotionUnreadable, OptionInvalid
from talking_face.face.model import FaceModel
from talking_face.mapping.decoder import STEP
from talking_face.mapping.dirfa import Dirfa, load_dirfa
from talking_face.mapping.events import load_eyes
from talking_face.mapping.listeners import N_OUTPUTS
from talking_face.mapping.sampler import draw, expected_face
from talking_face.mapping.visemes import load_visemes
from talking_face.motion import Motion
from talking_face.sound.speech import Speech
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.sequences import as_sequence
from talking_face.training.rivals import draw_baseline, load_baseline, load_head

Draw = Callable[[Speech, Sequence[int], int, float], list[Motion]]
UNBIASED = "unbiased"
NAMES = (
    "baseline; dirfa, the shipped network; dirfa:FILE, other weights of it; unbiased:FILE, weights "
    "without the temporal bias; people, real motions of the split train; or a folder of motions"
)


class Mapper(Protocol):
    """Anything that animates clips."""

    @property
    def hears(self) -> bool:
        """Whether sound and diversity make a difference."""
        ...

    def draw(
        self, example: Example, indices: Sequence[int], seed: int, diversity: float
    ) -> list[Motion]:
        """The samples of these indices, each as long as the clip."""
        ...

    def log_likelihood(self, example: Example) -> float | None:
        """Of the clip's real motion, natural logarithm per frame; None where none is given."""
        ...


@dataclass(frozen=True)
class Network:
    """A mapping network, hearing the clip."""

    network: Draw
    likelihood: Callable[[Example], float] | None = None
    hears: bool = True

    def draw(
        self, example: Example, indices: Sequence[int], seed: int, diversity: float
    ) -> list[Motion]:
        return self.network(example.speech, indices, seed, diversity)

    def log_likelihood(self, example: Example) -> float | None:
        return self.likelihood(example) if self.likelihood else None


class OtherSound:
    """A control: the same mapper hears another clip, whose animation is repeated or cut to fit."""

    hears = True

    def __init__(self, mapper: Mapper, examples: Sequence[Example]) -> None:
        self._mapper = mapper
        pairs = zip(examples, shuffled(examples), strict=True)
        self._heard = {example.key: other for example, other in pairs}

    def draw(
        self, example: Example, indices: Sequence[int], seed: int, diversity: float
    ) -> list[Motion]:
        motions = self._mapper.draw(self._heard[example.key], indices, seed, diversity)
        return [
            Motion.from_array(motion.as_array()[np.arange(len(example)) % len(motion)])
            for motion in motions
        ]

    def log_likelihood(self, example: Example) -> None:  # noqa: ARG002
        return None


class Files:
    """Motions from a folder: KEY.npz for one sample of a clip, KEY-0.npz, KEY-1.npz … for several.

    Longer ones are cut; files of a clip are samples in the order of their numbers, and where fewer
    are there than asked for, fewer are given.
    """

    hears = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def draw(
        self,
        example: Example,
        indices: Sequence[int],
        seed: int,  # noqa: ARG002
        diversity: float,  # noqa: ARG002
    ) -> list[Motion]:
        numbered = [self._folder / f"{example.key}-{index}.npz" for index in indices]
        paths = [path for path in numbered if path.is_file()]
        motions = [Motion.load(path) for path in paths or [self._folder / f"{example.key}.npz"]]
        for motion in motions:
            if len(motion) < len(example):
                raise MotionUnreadable(
                    f"The motion of {example.key} has {len(motion)} frames and its clip "
                    f"{len(example)}. Make it from the clip's own sound."
                )
        return [motion[: len(example)] for motion in motions]

    def log_likelihood(self, example: Example) -> None:  # noqa: ARG002
        return None


class OtherPeople:
    """What real people score: motions of other clips of the source, whatever is said.

    A clip that is too short is continued backwards and forwards in turn.
    """

    hears = False

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = examples

    def draw(
        self,
        example: Example,
        indices: Sequence[int],
        seed: int,
        diversity: float,  # noqa: ARG002
    ) -> list[Motion]:
        others = [
            other
            for other in self._examples
            if other.source == example.source
            and other.ok.all()
            and other.speaker != example.speaker
        ]
        if not others:
            raise OptionInvalid(
                f"There are no other people's clips of {example.source} in the cache. "
                "Leave that source or the mapper people out."
            )
        key = zlib.crc32(example.key.encode())
        order = np.random.default_rng([key, seed]).permutation(len(others))
        motions = []
        for index in indices:
            generator = np.random.default_rng([key, seed, index])
            other = others[order[index % len(others)]].motion.as_array()
            start = int(generator.integers(max(len(other) - len(example), 0) + 1))
            part = other[start : start + len(example)]
            rest = len(example) - len(part)
            motions.append(Motion.from_array(np.pad(part, ((0, rest), (0, 0)), mode="reflect")))
        return motions

    def log_likelihood(self, example: Example) -> None:  # noqa: ARG002
        return None


def baseline_mapper() -> Network:
    """The rival, whose weights come with the shipped ones."""
    return Network(partial(draw_baseline, load_baseline(), load_head(), load_eyes()))


def dirfa_mapper(model: FaceModel, weights: Path | None = None, biased: bool = True) -> Network:
    """The DIRFA network: the shipped one, or other weights.

    Raises:
        OptionInvalid: the file isn't there.
        WeightsMissing, WeightsCorrupt: of the shipped ones.
    """
    if weights is None:
        network = load_dirfa()
    elif weights.is_file():
        network = Dirfa(biased=biased)
        network.load_state_dict(load_file(weights))
        network.visemes = load_visemes()
        network.decoder.double()
        network = network.requires_grad_(False).eval()
    else:
        raise OptionInvalid(f"There are no weights {weights}. Check the path.")
    drawing = partial(draw, network, load_eyes(), model)
    return Network(drawing, partial(log_likelihood, network))


@torch.inference_mode()
def log_likelihood(network: Dirfa, example: Example) -> float:
    """Of a real motion under the decoder, which is told the frames before; nats per frame.

    States are standardised, the style isn't told, and steps at a lost face don't count.
    """
    heard = expected_face(network, example.speech)[:, :N_OUTPUTS]
    sequence = as_sequence(example.motion, example.ok, example, heard, ["", ""])
    decoder = network.decoder
    states = torch.from_numpy(sequence.states[::STEP])[None] / decoder.state_scale
    audio = torch.from_numpy(np.asarray(sequence.audio, dtype=np.float32))[None]
    steps = states.shape[1] - 1
    mixture, _ = decoder(
        states[:, :-1],
        torch.cat([states[:, :1], states[:, :-2]], dim=1),
        decoder.hear(audio),
        torch.ones(audio.shape[:2], dtype=torch.bool),
        STEP * torch.arange(1, steps + 1),
        (decoder.no_style + decoder.no_affect)[None, None],
    )
    value = mixture.log_likelihood(states[:, 1:])[0].sum(-1)
    return float(value[torch.from_numpy(example.ok[STEP::STEP])].mean() / STEP)


def find_mapper(name: str, cache: Path, model: FaceModel) -> Mapper:
    """The mapper of a name on the command line, one of `NAMES`.

    Args:
        cache: where the training speakers are.

    Raises:
        OptionInvalid: there is no such mapper.
        WeightsMissing, WeightsCorrupt.
    """
    kind, _, file = name.partition(":")
    if name == "baseline":
        return baseline_mapper()
    if name == "dirfa":
        return dirfa_mapper(model)
    if kind in ("dirfa", UNBIASED) and file:
        return dirfa_mapper(model, Path(file), biased=kind != UNBIASED)
    if name == "people":
        return OtherPeople(load_examples(cache, model, "train", SOURCES))
    if Path(name).is_dir():
        return Files(Path(name))
    raise OptionInvalid(f"There is no mapper {name}. Name one of these: {NAMES}.")


def shuffled(examples: Sequence[Example]) -> list[Example]:
    """For each clip another one of its source, half the source away."""
    others = []
    for example in examples:
        of_source = [other for other in examples if other.source == example.source]
        place = next(i for i, other in enumerate(of_source) if other is example)
        others.append(of_source[(place + len(of_source) // 2) % len(of_source)])
    return others
