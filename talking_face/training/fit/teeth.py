"""Train the network that draws upper teeth, on portraits of people who smile.

Run as

    python -m talking_face.training.fit.teeth --portraits FOLDER --output weights/teeth.safetensors

It cuts strips of teeth out of the portraits (`teeth_strips`), trains, keeps a checkpoint beside the
output (`teeth.checkpoint.pt`, taken up again with --resume), logs to the console, draws a contact
sheet (`teeth.png`), and prints the checksum for the registry in `weights.py`.

The discriminator sees real and drawn strips alike through the lips of a real smile, with the same
random changes of light and position: Differentiable Augmentation for Data-Efficient GAN Training,
Zhao et al. 2020 (arXiv 2006.10738). Spectral normalisation and hinge loss: Miyato et al. 2018
(arXiv 1802.05957).
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import logging
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from talking_face.arrays import Array
from talking_face.picture.mouth.strip import HEIGHT, INCISAL_ROW, WIDTH
from talking_face.picture.mouth.teeth import (
    LATENT,
    TeethGenerator,
    finish_strips,
)
from talking_face.training.data.teeth_strips import cut_strips, stack_strips

BATCH = 16
STEPS = 4200  # 20 minutes on two idle cores
EMA = 0.999  # decay of the averaged weights, per step
CHECKPOINT_STEPS = 200
CANDIDATES = 2048  # drawings that the cast is chosen from
CAST = 32

logger = logging.getLogger(__name__)


class Discriminator(nn.Module):
    """Tells real strips from drawn ones, as seen through lips.

    Sees (n, 5, 48, 128): colour × alpha, alpha (both × visible) and visible. Returns (n,) scores.
    """

    def __init__(self) -> None:
        super().__init__()
        widths = (5, 48, 96, 128, 160)
        self.stages = nn.ModuleList(
            spectral_norm(nn.Conv2d(i, o, 4, stride=2, padding=1)) for i, o in pairwise(widths)
        )
        self.mix = spectral_norm(nn.Conv2d(widths[-1] + 1, widths[-1], 3, padding=1))
        self.local = spectral_norm(nn.Conv2d(widths[-1], 1, 1))
        self.whole = spectral_norm(nn.Linear(widths[-1] * (HEIGHT // 16) * (WIDTH // 16), 1))

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.stages:
            x = F.leaky_relu(stage(x), 0.2)
        # How much the batch varies, so that drawings that are all alike are found out (Karras et
        # al. 2018, arXiv 1710.10196, section 3).
        spread = x.std(dim=0).mean().expand(len(x), 1, *x.shape[2:])
        x = F.leaky_relu(self.mix(torch.cat([x, spread], dim=1)), 0.2)
        return self.local(x).mean(dim=(1, 2, 3)) + self.whole(x.flatten(1))[:, 0]


def look(strips: Tensor, visible: Tensor, rng: torch.Generator) -> Tensor:
    """Strips through lips under random light and from a slightly random place.

    Args:
        strips: (n, 4, 48, 128) colour and alpha.
        visible: (n, 1, 48, 128), 1 inside the lips.
        rng: source of the randomness.

    Returns:
        (n, 5, 48, 128), the input of the discriminator; differentiable.
    """

    def vary(amount: float, *shape: int) -> Tensor:
        return (torch.rand(len(strips), *shape, generator=rng) * 2 - 1) * amount

    colour, alpha = strips[:, :3], strips[:, 3:]
    colour = (colour - 0.8) * (1 + vary(0.25, 1, 1, 1)) + 0.8
    colour = colour * (1 + vary(0.15, 1, 1, 1)) * (1 + vary(0.05, 3, 1, 1))
    seen = torch.cat([colour * alpha * visible, alpha * visible, visible], dim=1)
    zero = torch.zeros(len(strips))
    shift_x, shift_y = vary(10 / WIDTH), vary(8 / HEIGHT)  # in half strips: 5 columns, 4 rows
    scale = 1 + vary(0.07)
    place = torch.stack([scale, zero, shift_x, zero, scale, shift_y], dim=1).unflatten(1, (2, 3))
    return F.grid_sample(
        seen, F.affine_grid(place, list(seen.shape), align_corners=False), align_corners=False
    )


class Trainer:
    """The state of a training run; `save` and `resume` keep all of it."""

    def __init__(self, strips: Array, seed: int) -> None:
        self.strips = torch.from_numpy(strips)  # (n, 5, 48, 128)
        self.rng = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng():
            torch.manual_seed(seed)  # the layers' initial weights know no other source
            self.generator, self.discriminator = TeethGenerator(), Discriminator()
        # The layout of weights with which convolutions are 15 % faster on processors.
        self.generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.discriminator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.g_steps = torch.optim.Adam(self.generator.parameters(), 3e-4, betas=(0.0, 0.95))
        self.d_steps = torch.optim.Adam(self.discriminator.parameters(), 5e-4, betas=(0.0, 0.95))
        self.step = 0

    def _parts(self) -> dict[str, Any]:
        names = ("generator", "discriminator", "average", "g_steps", "d_steps")
        return {name: getattr(self, name) for name in names}

    def save(self, path: Path) -> None:
        state = {name: part.state_dict() for name, part in self._parts().items()}
        state |= {"step": self.step, "strips": self.strips.half(), "rng": self.rng.get_state()}
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        temporary.replace(path)

    @classmethod
    def resume(cls, path: Path) -> Trainer:
        state = torch.load(path, weights_only=True)
        trainer = cls(state["strips"].float().numpy(), seed=0)
        for name, part in trainer._parts().items():
            part.load_state_dict(state[name])
        trainer.rng.set_state(state["rng"])
        trainer.step = state["step"]
        return trainer

    def _real(self) -> Tensor:
        return self.strips[torch.randint(len(self.strips), (BATCH,), generator=self.rng)]

    def advance(self) -> tuple[float, float]:
        """One step of both networks; returns the hinge losses of discriminator and generator."""
        latents = torch.randn(BATCH, LATENT, generator=self.rng)
        drawn = self.generator(latents)
        real, lips = self._real(), self._real()[:, 4:]

        self.discriminator.requires_grad_(True)
        genuine = self.discriminator(look(real[:, :4], real[:, 4:], self.rng))
        false = self.discriminator(look(drawn.detach(), lips, self.rng))
        d_loss = F.relu(1 - genuine).mean() + F.relu(1 + false).mean()
        self.d_steps.zero_grad()
        d_loss.backward()
        self.d_steps.step()

        self.discriminator.requires_grad_(False)
        g_loss = -self.discriminator(look(drawn, self._real()[:, 4:], self.rng)).mean()
        self.g_steps.zero_grad()
        g_loss.backward()
        self.g_steps.step()

        self.step += 1
        decay = min(EMA, self.step / (self.step + 10))
        with torch.no_grad():
            for mean, now in zip(
                self.average.parameters(), self.generator.parameters(), strict=True
            ):
                mean.lerp_(now, 1 - decay)
        return d_loss.item(), g_loss.item()


def draw_sheet(strips: Array, columns: int = 6) -> Array:
    """Strips (n, 48, 128, 4) on the dark of a mouth, side by side: (H, W, 3) uint8 RGB."""
    dark = np.array([0.16, 0.07, 0.07], np.float32)
    pictures = strips[..., :3] * strips[..., 3:] + dark * (1 - strips[..., 3:])
    rows = [np.hstack(list(pictures[i : i + columns])) for i in range(0, len(pictures), columns)]
    rows[-1] = np.pad(rows[-1], ((0, 0), (0, rows[0].shape[1] - rows[-1].shape[1]), (0, 0)))
    return (np.clip(np.vstack(rows), 0, 1) * 255).round().astype(np.uint8)


def train(trainer: Trainer, steps: int, checkpoint: Path, sheet: Path) -> None:
    """Train up to that many steps in all; writes the checkpoint and a sheet of drawings."""
    fixed = torch.randn(36, LATENT, generator=torch.Generator().manual_seed(1))
    started, losses = time.monotonic(), []
    while trainer.step < steps:
        losses.append(trainer.advance())
        if trainer.step % CHECKPOINT_STEPS == 0 or trainer.step == steps:
            seconds = (time.monotonic() - started) / len(losses)
            d_loss, g_loss = np.mean(losses[-CHECKPOINT_STEPS:], axis=0)
            logger.info(
                "step %d: loss %.3f discriminator, %.3f generator; %.2f s a step",
                *(trainer.step, d_loss, g_loss, seconds),
            )
            trainer.save(checkpoint)
            with torch.no_grad():
                strips = finish_strips(trainer.average(fixed))
            cv2.imwrite(str(sheet), draw_sheet(strips)[..., ::-1])


def oddness(strips: Array) -> Array:
    """How far drawings are from even, symmetric, separate teeth; lower is better.

    Args:
        strips: (n, 48, 128, 4), from `finish_strips`.

    Returns:
        (n, 5) float: the share of fine detail that differs from its mirror image; the mean distance
        in pixels of the incisal edge from a parabola; minus the contrast of the gaps between teeth;
        minus the depth of the gap between the central incisors; minus the brightness of the darkest
        stretch as wide as a tooth, from canine to canine.
    """
    luma = strips[..., :3].mean(axis=-1)
    inner = slice(WIDTH // 2 - 44, WIDTH // 2 + 44)
    crown = slice(int(INCISAL_ROW) - 14, int(INCISAL_ROW) - 3)
    columns = np.arange(WIDTH)[inner]
    scores = []
    for picture, alpha in zip(luma, strips[..., 3], strict=True):
        across = picture[crown, inner].mean(axis=0)
        detail = across - cv2.GaussianBlur(across[None], (0, 0), 8)[0]
        mirrored = np.square(detail - detail[::-1]).sum() / (4 * np.square(detail).sum() + 1e-9)
        covered = (picture * alpha)[crown, inner].mean(axis=0)
        darkest = np.convolve(covered, np.ones(15) / 15, mode="valid").min()
        edge = alpha[HEIGHT // 3 :, inner].sum(axis=0)
        arc = np.polyval(np.polyfit(columns, edge, 2), columns)
        centre = len(across) // 2
        beside = min(across[centre - 14 : centre - 6].max(), across[centre + 6 : centre + 14].max())
        gap = beside - across[centre - 2 : centre + 2].min()
        scores.append((mirrored, np.abs(edge - arc).mean(), -detail.std(), -gap, -darkest))
    return np.array(scores)


@torch.no_grad()
def choose_cast(trainer: Trainer, seed: int) -> Tensor:
    """Latent vectors whose drawings look real, even and unlike each other, (32, 48).

    Of many random vectors, those that the discriminator finds real through several mouths and whose
    `oddness` is low; of these, the third that differ most.
    """
    rng = torch.Generator().manual_seed(seed)
    latents = torch.randn(CANDIDATES, LATENT, generator=rng)
    mouths = trainer.strips[torch.randperm(len(trainer.strips), generator=rng)[:BATCH], 4:]
    trainer.discriminator.eval()
    drawings, realism = [], []
    for batch in latents.split(BATCH):
        drawn = trainer.average(batch)
        seen = [look(drawn, mouths[torch.randperm(BATCH, generator=rng)], rng) for _ in range(4)]
        realism.append(torch.stack([trainer.discriminator(x) for x in seen]).mean(dim=0))
        drawings.append(finish_strips(drawn))
    trainer.discriminator.train()
    pictures = np.concatenate(drawings)
    criteria = np.c_[-torch.cat(realism).numpy(), oddness(pictures)]
    ranks = criteria.argsort(axis=0).argsort(axis=0) / CANDIDATES  # (n, 6), 0 is best
    # The worst of the criteria counts: one broken tooth is not made good by symmetry.
    best = np.argsort(np.sort(ranks, axis=1) @ np.array([1, 1, 1, 1, 1, 5]))[: 3 * CAST]

    small = np.stack([cv2.resize(pictures[i], (32, 12)).ravel() for i in best])
    chosen = [0]
    distance = np.full(len(best), np.inf)
    while len(chosen) < CAST:
        distance = np.minimum(distance, np.linalg.norm(small - small[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return latents[best[chosen]]


def export(trainer: Trainer, output: Path, seed: int) -> str:
    """Write the averaged generator with its cast, half precision; returns the file's sha256."""
    state = {**trainer.average.state_dict(), "cast": choose_cast(trainer, seed)}
    # safetensors writes the memory as it lies; these convolutions lie channels last.
    tensors = {name: np.ascontiguousarray(t.half().numpy()) for name, t in state.items()}
    content = save(tensors, {"licence": "MIT"})
    output.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--portraits", type=Path, help="folder of portraits, searched below too")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"default {STEPS}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    checkpoint = options.output.with_suffix(".checkpoint.pt")
    sheet = options.output.with_suffix(".png")
    if options.resume and checkpoint.exists():
        trainer = Trainer.resume(checkpoint)
    elif options.portraits:
        strips = cut_strips(options.portraits)
        if len(strips) < BATCH:
            parser.error(
                f"{options.portraits} holds {len(strips)} clean smiles; {BATCH} are needed"
            )
        trainer = Trainer(stack_strips(strips), options.seed)
    else:
        parser.error("give --portraits, or --resume with a checkpoint beside the output")
    train(trainer, options.steps, checkpoint, sheet)
    checksum = export(trainer, options.output, options.seed)
    generator = TeethGenerator.from_weights(load_file(options.output))
    cv2.imwrite(str(sheet), draw_sheet(finish_strips(generator(generator.cast)))[..., ::-1])
    print(f'"{options.output.name}": "{checksum}",')


if __name__ == "__main__":
    main()
