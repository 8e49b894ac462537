"""Upper teeth for photos that show none: one drawing of a small generative network per photo.

Generative Adversarial Nets, Goodfellow et al. 2014 (arXiv 1406.2661). Knows strips of teeth, seen
from the front under neutral light; knows nothing of faces, lips or frames. The network is trained
by `talking_face.training.fit.teeth`.

Where what is in a strip: `talking_face.picture.mouth.strip`. Above the crowns it is gum; everything
but teeth and gums is transparent and belongs to the dark of the mouth.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.picture.mouth.strip import (
    HEIGHT,
    INCISAL_ROW,
    LIP_ROW,
    MIDLINE_COLUMN,
    TOOTH,
    WIDTH,
)

LATENT = 48  # numbers that a strip is drawn from
_CHANNELS = (128, 128, 96, 48, 24)  # of the five stages, coarse to fine
_COARSE = (HEIGHT // 16, WIDTH // 16)
_BRIGHTEST = 1.25  # highlights may be brighter than the white that strips are scaled by
_KNEE = 0.85  # brightness above which highlights are compressed to stay below 1
_GUM = np.array([0.66, 0.38, 0.35], np.float32)  # means of the training portraits, white level 1
_STRAY_HUE = 0.35  # share that is kept of hues which are neither tooth nor gum
_RED_BELOW = (0.35, 0.85)  # brightness (mean of R, G, B): all gum's hue below; any hue above
_GUM_ROWS = (5.0, 13.0)  # above the first all is gum; below the second all is as drawn
_HAZE = 0.15  # coverage below this is none, and as close to 1 is full
_LONGEST = (3.0, 7.0)  # rows below the incisal edge: teeth may reach the first, none the second
_CHEEK_SHADE = 0.35  # how much darker than the middle the ends are, in the shade of the cheeks
_SIDE_FADE = 6.0  # columns over which the last teeth fade into the dark of the cheek
# Behind the canines, where strips have learned little, the row goes on: mirror images of the last
# teeth, as narrow as a row that turns backwards looks, higher and darker column by column.
_CROWN_ROWS = slice(26, 31)  # at which the last tooth is looked for
_NARROWED, _RISE, _DARKER = 0.6, 0.4, 0.05
_LEAST_WIDTH = 28.0  # columns from the midline to the last tooth; strips of fewer are left as is


class TeethGenerator(nn.Module):
    """Draws strips from latent vectors, and keeps the vectors that were found to draw good ones.

    Args:
        n_cast: how many latent vectors it keeps; see `talking_face.training.fit.teeth.choose_cast`.
    """

    cast: Tensor  # (n_cast, 48)

    def __init__(self, n_cast: int = 0) -> None:
        super().__init__()
        rows, columns = _COARSE
        self.first = nn.Linear(LATENT, _CHANNELS[0] * rows * columns)
        inputs = (_CHANNELS[0], *_CHANNELS[:-1])
        self.stages = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(inputs, _CHANNELS, strict=True)
        )
        self.styles = nn.ModuleList(nn.Linear(LATENT, 2 * channels) for channels in _CHANNELS)
        self.last = nn.Conv2d(_CHANNELS[-1], 4, 3, padding=1)
        self.register_buffer("cast", torch.zeros(n_cast, LATENT))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (n, 48), standard normal → strips (n, 4, 48, 128): RGB up to 1.25, alpha 0–1."""
        x = F.leaky_relu(self.first(latents), 0.2).unflatten(1, (_CHANNELS[0], *_COARSE))
        for index, (stage, style) in enumerate(zip(self.stages, self.styles, strict=True)):
            if index:
                x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            scale, shift = style(latents)[:, :, None, None].chunk(2, dim=1)
            x = F.leaky_relu(stage(x) * (1 + scale) + shift, 0.2)
            x = x * (x.square().mean(dim=1, keepdim=True) + 1e-6).rsqrt()
        x = self.last(x)
        return torch.cat([torch.sigmoid(x[:, :3]) * _BRIGHTEST, torch.sigmoid(2 * x[:, 3:])], dim=1)

    @classmethod
    def from_weights(cls, tensors: dict[str, Array]) -> TeethGenerator:
        """The trained generator, from tensors as `load_weights("teeth")` returns them."""
        generator = cls(n_cast=len(tensors["cast"]))
        state = {name: torch.from_numpy(np.array(t, np.float32)) for name, t in tensors.items()}
        generator.load_state_dict(state)
        return generator.eval().requires_grad_(False)


def draw_teeth(generator: TeethGenerator, seed: int) -> Array:
    """One strip of upper teeth with gums; the same for the same seed.

    The seed chooses one of the generator's cast of latent vectors and whether it is mirrored.

    Args:
        generator: from `TeethGenerator.from_weights`.
        seed: 0 or more.

    Returns:
        (48, 128, 4) float32 in 0–1: RGB, not multiplied by alpha, under neutral light, its 90th
        percentile of brightness over the teeth about 1; alpha is the soft coverage by teeth and
        gums. Rows and columns: see `talking_face.picture.mouth.strip`.

    Raises:
        ValueError: the generator has no cast.
    """
    if not len(generator.cast):
        raise ValueError("the generator has no cast; train it or load its weights")
    rng = np.random.default_rng(seed)
    latent = generator.cast[int(rng.integers(len(generator.cast)))]
    mirrored = bool(rng.integers(2))
    with torch.no_grad():
        strip = finish_strips(generator(latent[None]))[0]
    return np.ascontiguousarray(strip[:, ::-1] if mirrored else strip)


def finish_strips(drawn: Tensor) -> Array:
    """The generator's output as it is shown: white level, gums to the top, ends that fade.

    Smiles hardly ever show what lies above the crowns, so the generator has learned little of it:
    there, the strip is covered wherever it is covered further down, and turns into plain gum.

    Args:
        drawn: (n, 4, 48, 128).

    Returns:
        (n, 48, 128, 4) float32 in 0–1.
    """
    strips = np.ascontiguousarray(drawn.detach().permute(0, 2, 3, 1).numpy(), dtype=np.float32)
    rows, from_midline = np.arange(HEIGHT), np.abs(np.arange(WIDTH) - MIDLINE_COLUMN)
    crown, ended, faded, shaded = (
        smoothstep(place, *ends).astype(np.float32)
        for place, ends in (
            (rows, _GUM_ROWS),
            (rows - INCISAL_ROW, _LONGEST),
            (from_midline, (MIDLINE_COLUMN - _SIDE_FADE, MIDLINE_COLUMN)),
            (from_midline, (MIDLINE_COLUMN / 3, MIDLINE_COLUMN)),
        )
    )
    gum_share = (1 - crown)[:, None, None]
    corridor = (1 - _CHEEK_SHADE * shaded)[:, None]
    for strip in strips:
        colour, alpha = strip[..., :3], strip[..., 3]
        alpha[:] = np.clip((alpha - _HAZE) / (1 - 2 * _HAZE), 0, 1)
        alpha *= (1 - ended)[:, None]
        alpha[:] = np.maximum.accumulate(alpha[::-1])[::-1]
        colour /= white_level(colour, alpha)
        colour[:] = _between_tooth_and_gum(colour)
        colour += gum_share * (_GUM * _shading(colour) - colour)
        colour *= corridor
        colour /= white_level(colour, alpha)
        colour[:] = _compress(colour)
        strip[:] = _continued(strip)
        alpha *= 1 - faded
    return strips


def _continued(strip: Array) -> Array:
    """A strip (48, 128, 4) whose teeth go on to either end, as a smile shows them."""
    row, column = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    side = np.where(column < MIDLINE_COLUMN, -1.0, 1.0)
    shown = strip[_CROWN_ROWS, :, 3].mean(axis=0) > 0.5
    away = np.abs(np.arange(WIDTH) - MIDLINE_COLUMN)
    last = [float(away[shown & (s * (np.arange(WIDTH) - MIDLINE_COLUMN) > 0)].max(initial=0.0))
            for s in (-1, 1)]  # fmt: skip
    if min(last) < _LEAST_WIDTH:
        return strip
    ends = np.where(side < 0, *last)
    beyond = np.maximum(np.abs(column - MIDLINE_COLUMN) - ends, 0.0)
    source = MIDLINE_COLUMN + side * (ends - beyond / _NARROWED)
    places = source.astype(np.float32), (row + _RISE * beyond).astype(np.float32)
    border = cv2.BORDER_REPLICATE
    mirrored = np.asarray(cv2.remap(strip, *places, cv2.INTER_LINEAR, None, border), np.float32)
    mirrored[..., :3] *= np.exp(-_DARKER * beyond)[..., None].astype(np.float32)
    share = smoothstep(beyond, 0.0, 1.5)[..., None]
    return np.asarray(strip + share * (mirrored - strip), dtype=np.float32)


def white_level(colour: Array, alpha: Array) -> float:
    """The 90th percentile of brightness (the largest of R, G, B) over teeth and gums."""
    covered = colour[alpha > 0.5]
    return float(np.percentile(covered.max(axis=-1), 90)) if len(covered) else 1.0


def _compress(colour: Array) -> Array:
    """Scale colours brighter than the knee so that 1 becomes about 0.96 and nothing exceeds 1."""
    brightness = np.maximum(colour.max(axis=-1, keepdims=True), 1e-6)
    room = 1.0 - _KNEE
    bent = _KNEE + room * np.tanh(np.maximum(brightness - _KNEE, 0.0) / room)
    return colour * np.minimum(1.0, bent / brightness)


def _between_tooth_and_gum(colour: Array) -> Array:
    """Take most of the green, blue and violet tints out: colours near the line of tooth and gum.

    In real mouths what is dark is red: gum, or teeth in the light that the lips let through.
    """
    tooth, gum = TOOTH / TOOTH.mean(), _GUM / _GUM.mean()
    brightness = np.maximum(colour.mean(axis=-1, keepdims=True), 1e-6)
    hue = colour / brightness
    along = ((hue - tooth) @ (gum - tooth) / np.square(gum - tooth).sum())[..., None]
    along = np.clip(along, 1 - smoothstep(brightness, *_RED_BELOW), 1.2)
    line = tooth + along * (gum - tooth)
    return np.maximum(line + _STRAY_HUE * (hue - line), 0) * brightness


def _shading(colour: Array) -> Array:
    """(128, 1) light on the teeth along the strip, 1 at its brightest."""
    light = colour[int(_GUM_ROWS[1]) : int(LIP_ROW) + 4].mean(axis=(0, 2))
    window = np.hanning(41)
    light = np.convolve(np.pad(light, 20, mode="edge"), window / window.sum(), mode="valid")
    return (light / light.max())[:, None].astype(np.float32)
