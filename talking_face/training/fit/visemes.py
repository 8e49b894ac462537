"""Learn to tell p, b, m from f, v, and from o, u, w, by the sound of the clips of a cache.

    python -m talking_face.training.fit.visemes --clips CLIPS --cache CACHE

CLIPS is a folder of talking videos or a table of them, and CACHE what
`talking_face.training.data.prepare` made of them. What is said in each clip,
`talking_face.training.data.phones` tells; it is kept in CACHE/phones.json. Learned is from the
split `train` alone, by multinomial logistic regression on the largest principal components of the
encoder's activations; shown is how well speakers' phones are told apart whom it didn't hear.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save
from torch import Tensor
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.face.model import load_face_model
from talking_face.mapping.visemes import AROUND, KINDS, Visemes, tell
from talking_face.motion import FPS
from talking_face.sound.audio import load_audio
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.phones import Phone, Phonetician, grid_words
from talking_face.training.fit.listeners import moments
from talking_face.training.measure.lip_figures import format_table

PHONES = "phones.json"  # of a cache: key -> name, start and end of each phone
COMPONENTS = 512  # 83 % of the activations' variance
ITERATIONS = 60
DECAY = 3e-4  # on squared weights, beside nats
_AT_ONCE = 4000  # frames; bounds the memory
_KEPT = 50  # clips after which the file is written

logger = logging.getLogger(__name__)


def kinds_of(phones: Sequence[Phone], frames: int) -> Array:
    """The number in `KINDS` of what is said at each frame, (frames,) int64."""
    kinds = np.full(frames, KINDS.index("other"))
    for phone in phones:
        if phone.kind in KINDS:
            first = round(phone.start * FPS)
            kinds[first : max(first + 1, round(phone.end * FPS))] = KINDS.index(phone.kind)
    return kinds


def learn(
    examples: Sequence[Example], kinds: Mapping[str, Array], components: int = COMPONENTS
) -> Visemes:
    """The likeliest linear map; sources count by the root of their length.

    Args:
        kinds: key -> (frames,) of `kinds_of`.
        components: principal components that it may use.
    """
    mean, deviation = moments(examples)
    network = Visemes(len(mean))
    network.feature_mean.copy_(torch.from_numpy(mean))
    network.feature_scale.copy_(torch.from_numpy(1 / deviation))
    weights = torch.from_numpy(weights_of(examples))
    basis = principal(network, examples, weights, components)  # (3072, n)
    parts = [_neighbours(_standard(network, example) @ basis) for example in examples]
    heard = torch.cat(parts)  # (frames, 3 n)
    said = torch.from_numpy(np.concatenate([kinds[example.key] for example in examples]))
    answer = torch.nn.Linear(heard.shape[1], len(KINDS))
    torch.nn.init.zeros_(answer.weight)
    torch.nn.init.zeros_(answer.bias)
    optimiser = torch.optim.LBFGS(
        answer.parameters(), max_iter=ITERATIONS, history_size=10, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimiser.zero_grad()
        surprise = F.cross_entropy(answer(heard), said, reduction="none")
        value = (weights * surprise).sum() + DECAY * (answer.weight**2).sum()
        value.backward()
        return value

    optimiser.step(loss)
    with torch.no_grad():
        each = answer.weight.unflatten(1, (AROUND, -1)).transpose(0, 1)  # (3, 4, n)
        network.tell.weight.copy_((each @ basis.T).flatten(0, 1))
        network.tell.bias.zero_()
        here = slice(len(KINDS), 2 * len(KINDS))
        network.tell.bias[here] = answer.bias
    return network.requires_grad_(False)


def weights_of(examples: Sequence[Example]) -> Array:
    """How much each frame counts, (frames of all,) float32, together 1."""
    lengths = dict.fromkeys(sorted({example.source for example in examples}), 0)
    for example in examples:
        lengths[example.source] += len(example)
    each = [np.full(len(e), lengths[e.source] ** -0.5, dtype=np.float32) for e in examples]
    weights = np.concatenate(each)
    return weights / weights.sum()


def principal(
    network: Visemes, examples: Sequence[Example], weights: Tensor, components: int
) -> Tensor:
    """The main directions of standardised activations, (3072, n), each divided by the root of its
    deviation: what varies little is enlarged, but less than to the size of the rest."""
    size = len(network.feature_mean)
    spread, first = torch.zeros(size, size), 0
    for example in examples:
        heard = _standard(network, example)
        spread += (weights[first : first + len(heard), None] * heard).T @ heard
        first += len(heard)
    power, directions = torch.linalg.eigh(spread)
    chosen = slice(-components, None)
    return directions[:, chosen] / power[chosen].clamp(min=1e-6) ** 0.25


def _standard(network: Visemes, example: Example) -> Tensor:
    heard = torch.from_numpy(example.features.reshape(len(example), -1).astype(np.float32))
    return (heard - network.feature_mean) * network.feature_scale


def _neighbours(heard: Tensor) -> Tensor:
    """Each frame's (frames, n) beside those of the frames before and after, (frames, 3 n)."""
    before, after = torch.cat([heard[:1], heard[:-1]]), torch.cat([heard[1:], heard[-1:]])
    return torch.cat([before, heard, after], dim=1)


def told_apart(
    network: Visemes, examples: Sequence[Example], kinds: Mapping[str, Array]
) -> dict[str, dict[str, float]]:
    """source -> areas under the curve by which kinds of phones are told, frame by frame."""
    table = {}
    for source in dict.fromkeys(example.source for example in examples):
        chosen = [example for example in examples if example.source == source]
        logits = np.concatenate([tell(network, example.features) for example in chosen])
        said = np.concatenate([kinds[example.key] for example in chosen])
        row = {"clips": float(len(chosen))}
        for name, one, other in (("p/f", 0, 1), ("p/w", 0, 2), ("f/w", 1, 2)):
            pair = np.isin(said, (one, other))
            row[name] = area(logits[pair, one] - logits[pair, other], said[pair] == one)
        table[source] = row
    return table


def area(scores: Array, positive: Array) -> float:
    """The chance that a positive has a higher score than another, scores all different."""
    count = int(positive.sum())
    if count in (0, len(positive)):
        return float("nan")
    ranks = np.argsort(np.argsort(scores))
    over = ranks[positive].sum() - count * (count - 1) / 2
    return float(over / (count * (len(positive) - count)))


def hear_phones(
    examples: Sequence[Example], paths: Mapping[str, Path], file: Path
) -> dict[str, list[Phone]]:
    """The phones of each clip; those that `file` lacks are heard, and written to it."""
    found: dict[str, list[list[Any]]] = json.loads(file.read_text()) if file.is_file() else {}
    missing = [example for example in examples if example.key not in found]
    if missing:
        phonetician = Phonetician()
        for number, example in enumerate(tqdm(missing, desc="phones", leave=False), 1):
            path = paths[example.key]
            words = grid_words(path.stem) if example.source == "grid" else None
            phones = phonetician.hear(load_audio(path).waveform, words)
            found[example.key] = [[phone.name, phone.start, phone.end] for phone in phones]
            if number % _KEPT == 0 or number == len(missing):
                file.write_text(json.dumps(found))
    return {key: [Phone(*phone) for phone in phones] for key, phones in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, default=Path("weights/visemes.safetensors"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    paths = {clip.key: clip.path for clip in read_clips(options.clips)}
    everything = load_examples(options.cache, load_face_model(), None, SOURCES)
    examples = [example for example in everything if example.key in paths]
    phones = hear_phones(examples, paths, options.cache / PHONES)
    kinds = {e.key: kinds_of(phones[e.key], len(e)) for e in examples}
    network = learn([e for e in examples if e.split == "train"], kinds)
    strangers = [e for e in examples if e.split != "train"]
    logger.info("%s", format_table(told_apart(network, strangers, kinds)))
    content = save({name: part.half().numpy() for name, part in network.state_dict().items()})
    options.output.write_bytes(content)
    logger.info('"%s": "%s"', options.output.name, hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
