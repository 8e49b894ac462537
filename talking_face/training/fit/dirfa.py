"""Train the DIRFA mapping network on the clips of a cache.

    python -m talking_face.training.fit.dirfa --cache CACHE --output weights/dirfa.safetensors

CACHE is the folder that `talking_face.training.data.prepare` wrote and
`talking_face.training.data.augment` added to. First the listeners are trained, each from another
beginning, on sound and lips that were brought together clip by clip; then the decoder learns what
they leave open. Only clips of the split `train` are used. One in six of their speakers is held out
to stop the decoder's training when it no longer gets better for people whom it doesn't know.
`--resume FOLDER` keeps what is finished and goes on from there; `--no-bias` trains the decoder
without the temporal bias, for comparison. A GPU is used where there is one; `torchrun
--nproc-per-node N -m talking_face.training.fit.dirfa …` uses N.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save, save_file

from talking_face.arrays import Array
from talking_face.face.model import FaceModel, load_face_model
from talking_face.mapping.decoder import N_STATE
from talking_face.mapping.dirfa import LISTENERS, Dirfa
from talking_face.mapping.listeners import N_LOWER, N_OUTPUTS, Listener, run
from talking_face.training.data.augment import SPEEDS, at_speed, other_hearings
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.sequences import TALKING, MotionSequence, load_sequences
from talking_face.training.fit import parallel
from talking_face.training.fit.decoder import (
    DecoderRecipe,
    lip_freedom,
    train_decoder,
)
from talking_face.training.fit.listeners import Recipe, estimate_offsets, shifted_targets, train

STEPS = 800  # of each listener

logger = logging.getLogger(__name__)


def train_listeners(
    examples: list[Example], cache: Path, model: FaceModel, recipe: Recipe, folder: Path
) -> list[Listener]:
    """Several networks that differ in their first weights and in the order of what they see."""
    files = [folder / f"listener_{index}.safetensors" for index in range(LISTENERS)]
    listeners = []
    targets: dict[str, Array] = {}
    everything: list[Example] = []
    for index, file in enumerate(files):
        if not file.is_file():
            if not targets:
                offsets = find_offsets(examples, model, recipe, folder / "offsets.json")
                everything, targets = all_hearings(examples, cache, offsets)
            logger.info("listener %d of %d", index + 1, LISTENERS)
            listener = train(everything, targets, model, replace(recipe, seed=recipe.seed + index))
            if parallel.is_first():
                save_file(listener.state_dict(), file)
            parallel.wait()
        listener = Listener()
        listener.load_state_dict(load_file(file))
        listeners.append(listener.eval().requires_grad_(False))
    return listeners


def find_offsets(
    examples: list[Example], model: FaceModel, recipe: Recipe, file: Path
) -> dict[str, float]:
    """How late the lips of each clip are, in frames; kept in a file."""
    if not file.is_file():
        seen = shifted_targets(examples, dict.fromkeys((e.key for e in examples), 0.0))
        first = replace(recipe, steps=min(recipe.first_steps, recipe.steps))
        offsets = estimate_offsets(examples, seen, model, first)
        if parallel.is_first():
            file.write_text(json.dumps(offsets))
        parallel.wait()
    return json.loads(file.read_text())


def all_hearings(
    examples: list[Example], cache: Path, offsets: dict[str, float]
) -> tuple[list[Example], dict[str, Array]]:
    """Each clip as it is, twice, and as it was heard again; what to learn of each, (frames, 24).

    As it is counts for more: without other hearings, lips of speakers whom no training saw follow
    as well in clean sound and worse in disturbed.
    """
    targets = shifted_targets(examples, offsets)
    others = other_hearings(cache, examples)
    if not others:
        logger.warning("no other hearings in the cache: run …training.data.augment first")
    for other in others:
        key, name = other.key.rsplit("~", 1)
        targets[other.key] = at_speed(targets[key], SPEEDS[name])[: len(other)]
    return [*examples, *examples, *others], targets


def expected(listeners: list[Listener]) -> Callable[[Example], Array]:
    """What the listeners expect of a clip, (frames, 22)."""

    def hear(example: Example) -> Array:
        heard = [run(listener, example.features, example.prosody) for listener in listeners]
        return np.mean(heard, axis=0)[:, :N_OUTPUTS]

    return hear


def straying(sequences: Sequence[MotionSequence]) -> Array:
    """Covariance (16, 16) of how talking people's lips stray from the expected ones."""
    talking = [s for s in sequences if s.source in TALKING and s.audio is not None]
    stray = np.concatenate([s.states[s.ok, N_STATE - N_LOWER :] for s in talking])
    return np.cov(stray, rowvar=False)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, default=Path("weights/dirfa.safetensors"))
    parser.add_argument(
        "--resume", type=Path, help="folder for finished parts; CACHE/dirfa unless told"
    )
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--steps", type=int, default=STEPS, help="of each listener")
    parser.add_argument(
        "--decoder-steps", type=int, default=DecoderRecipe.steps, help="of the decoder, at most"
    )
    parser.add_argument("--no-bias", action="store_true", help="decoder without temporal bias")
    options = parser.parse_args()
    parallel.start()
    level = logging.INFO if parallel.is_first() else logging.WARNING
    logging.basicConfig(level=level, format="%(message)s")
    folder = options.resume or options.cache / "dirfa"
    folder.mkdir(parents=True, exist_ok=True)
    model = load_face_model()
    examples = load_examples(options.cache, model, "train", SOURCES)
    recipe = Recipe(steps=options.steps, seed=options.seed)

    network = Dirfa(biased=not options.no_bias)
    network.listeners = torch.nn.ModuleList(
        train_listeners(examples, options.cache, model, recipe, folder)
    )
    sequences = load_sequences(options.cache, model, examples, expected([*network.listeners]))
    decoder_recipe = DecoderRecipe(
        steps=options.decoder_steps, seed=options.seed, biased=not options.no_bias
    )
    trained = train_decoder(sequences, model, decoder_recipe)
    network.decoder, network.style_scale, network.together = trained[:3]
    network.usual_affect, network.stirring = trained[3:]
    free, tight = lip_freedom(model, straying(sequences))
    network.free.copy_(torch.from_numpy(free))
    network.tight.copy_(torch.from_numpy(tight))
    half = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    content = save(half)
    if parallel.is_first():
        options.output.write_bytes(content)
    logger.info('"%s": "%s"', options.output.name, hashlib.sha256(content).hexdigest())
    parallel.stop()


if __name__ == "__main__":
    main()
