"""Train the sync critic, which tells whether a mouth moves to what is heard.

    python -m talking_face.training.fit.critic --cache CACHE

CACHE is the folder that `talking_face.training.data.prepare` wrote; where
`talking_face.training.fit.dirfa` has left the offsets of its clips there, they are put right first.
The critic is written to `CACHE/critic.safetensors`, where
`talking_face.training.measure.evaluate` finds it. It is for measuring and isn't shipped.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from talking_face.arrays import Array
from talking_face.face.model import load_face_model
from talking_face.mapping.listeners import N_OUTPUTS, Listener
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.windows import Windows
from talking_face.training.fit import parallel
from talking_face.training.fit.listeners import shifted_targets, standardise
from talking_face.training.measure.sync import CRITIC, REACH, Critic

STEPS = 1000
LEARNING_RATE = 1e-3
DROPOUT = 0.5
PLAN = (
    ("grid", 12, 75), ("lrwar", 24, 32), ("styletalk", 8, 75), ("talkvid", 8, 75),
    ("firstimp", 20, 75), ("dolos", 4, 75), ("marlin", 2, 75),
)  # fmt: skip

logger = logging.getLogger(__name__)


def train_critic(
    examples: Sequence[Example], targets: Mapping[str, Array], steps: int, seed: int = 0
) -> Critic:
    """Learn which mouth belongs to a sound: of a batch's clips, and of the lags of its own.

    Args:
        targets: key -> (frames, 24), as the listeners' loss takes them, sound and lips in step.
    """
    torch.manual_seed(seed)
    generator = parallel.generator(seed)
    device = parallel.device()
    scales = Listener()
    standardise(scales, examples)
    critic = Critic(DROPOUT)
    critic.feature_mean.copy_(scales.feature_mean)
    critic.feature_scale.copy_(scales.feature_scale)
    mouths = np.concatenate([targets[e.key][e.ok, N_OUTPUTS:] for e in examples])
    critic.mouth_scale.copy_(torch.from_numpy(mouths.std(axis=0)))
    critic.to(device)
    windows = Windows(examples, targets, PLAN, device)
    optimiser = torch.optim.AdamW(critic.parameters(), LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
    for step in range(steps):
        features, prosody, _, target, ok = windows.draw(generator)
        mouth = target[..., N_OUTPUTS:]
        known = ok[..., None]
        mouth = (mouth - (mouth * known).sum(1, True) / known.sum(1, True).clamp(min=1)) * known
        heard, seen = critic.hear(features, prosody), critic.see(mouth)
        curve = critic.likeness(heard, seen, ok)
        middle = torch.full((len(curve),), REACH, device=device)
        pairs = torch.einsum("itc,jtc->ij", heard * known, seen) / known.sum(1).clamp(min=1)
        pairs = critic.sharpness.exp() * pairs
        own = torch.arange(len(pairs), device=device)
        loss = F.cross_entropy(curve, middle) + F.cross_entropy(pairs, own)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 200 == 199:
            logger.info("critic step %d: loss %.3f", step + 1, loss.item())
    return critic.eval().requires_grad_(False).cpu()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--steps", type=int, default=STEPS)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    examples = load_examples(options.cache, load_face_model(), "train", SOURCES)
    offsets = dict.fromkeys((example.key for example in examples), 0.0)
    known = options.cache / "dirfa" / "offsets.json"
    if known.is_file():
        offsets |= json.loads(known.read_text())
    critic = train_critic(examples, shifted_targets(examples, offsets), options.steps)
    save_file(critic.state_dict(), options.cache / CRITIC)


if __name__ == "__main__":
    main()
