"""Train the light of open mouths on pairs of frames of talking people.

    python -m talking_face.training.fit.shading --clips CLIPS --cache CACHE

Of each training clip some frames are photos in turn, one of them with a mouth as closed as the clip
has it; the tracked motion of other frames, with an open mouth, is rendered on them, and the network
of `talking_face.picture.mouth.shading` learns what to multiply the painting by to come near the
real mouth. CACHE is what `talking_face.training.data.prepare` writes. The examples are kept in it,
as `mouth_light.npz`, and used again where they are there already.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file
from torch import Tensor, nn
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.errors import TalkingFaceError
from talking_face.face.face import fit_face
from talking_face.face.landmarks import interocular, mouth_opening
from talking_face.face.model import FaceModel, load_face_model
from talking_face.picture.mouth.light import LUMA, Light
from talking_face.picture.mouth.opening import opening_of
from talking_face.picture.mouth.painter import INNER_LOOP
from talking_face.picture.mouth.shading import (
    LEAST_LIPS,
    MOST_LIGHT,
    MOST_TINT,
    SLOPE,
    Interior,
    cells,
    features,
)
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.training.data.clips import ClipFile, read_clips
from talking_face.training.data.motions import relative_motion
from talking_face.training.data.tracks import MIN_TRACKED, Track
from talking_face.training.measure.reenact import load_clip
from talking_face.weights import load_weights, weights_folder

A_SPEAKER = 10  # clips of one speaker, at most
SHORT = 150  # frames; longer clips give more pairs
PHOTOS, FRAMES = (2, 5), (4, 10)  # of a short clip and of a long one: photos, and frames for each
LONGEST = 120  # frames of a clip that are read
OPENED = 0.035  # inter-ocular distances, from which a mouth is worth learning from
SMALLEST = 28.0  # pixels of an inter-ocular distance
TURNED = 25.0  # degrees; a photo isn't turned further
BATCH, STEPS, RATE = 64, 3000, 1e-3
LONGEST_STEP = 0.5  # norm to which gradients are cut: a few examples are far off
AVERAGING = 0.01  # share of a new step in the averaged weights
FEW = 3e-4, 0.05  # weights of strong factors, and of factors that change from cell to cell
ABSOLUTE = 0.1  # weight of the absolute error beside the squared one

N_FEATURES, N_OUTPUTS = 14, 3
CHANNELS = 24

logger = logging.getLogger(__name__)


class LightNetwork(nn.Module):
    """Features (n, 14, 8, 16) to logarithms of factors (n, 3, 8, 16): light, red and blue.

    Its tensors are those of a `MouthLight`, which does the same to one mouth.
    """

    def __init__(self) -> None:
        super().__init__()
        sizes = [N_FEATURES, CHANNELS, CHANNELS, CHANNELS, N_OUTPUTS]
        self.layers = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, padding_mode="replicate") for a, b in pairwise(sizes)
        )
        nn.init.zeros_(self.layers[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[-1].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), SLOPE)
        x = torch.tanh(self.layers[-1](x))
        return torch.cat([MOST_LIGHT * x[:, :1], MOST_TINT * x[:, 1:]], dim=1)

    def tensors(self) -> dict[str, Array]:
        """What `MouthLight.from_weights` takes, and a weight file holds."""
        return {name: tensor.numpy() for name, tensor in self.state_dict().items()}


class Watcher:
    """Stands in for the network: keeps what it is shown, and leaves the light as it is."""

    def __init__(self) -> None:
        self.seen: tuple[Interior, Light] | None = None

    def light_factors(self, interior: Interior, light: Light) -> Array:
        self.seen = interior, light
        return np.ones((1, 1, 3), dtype=np.float32)


def examples_of(
    frames: Array,
    marks: Array,
    model: FaceModel,
    teeth: TeethGenerator,
    rng: np.random.Generator,
) -> Iterator[dict[str, Array]]:
    """Examples of one clip.

    Args:
        frames: (n, H, W, 3) uint8 RGB. marks: (n, 478, 3) pixels, NaN where the face was lost.
    """
    ok = Track("", "", "", "", marks).ok
    if ok.sum() < MIN_TRACKED or np.median(interocular(marks[ok])) < SMALLEST:
        return
    opening = np.where(ok, mouth_opening(marks), -1)
    opened, good = np.flatnonzero(opening > OPENED), np.flatnonzero(ok)
    if len(opened) < 2:
        return
    long = int(len(frames) >= LONGEST)
    most_closed = good[np.argsort(opening[good])[: max(3, len(good) // 4)]]
    photos = [rng.choice(most_closed), *rng.choice(good, PHOTOS[long] - 1)]
    for photo in photos:
        try:
            face = fit_face(frames[photo], [marks[photo]], model)
        except TalkingFaceError:
            continue
        if np.abs(face.angles[:2]).max() > TURNED:
            continue
        motion = relative_motion(marks, ok, photo, face, model)
        strip = draw_teeth(teeth, int(rng.integers(1 << 30)))
        watcher = Watcher()
        renderer = Renderer(face, model, strip, watcher, "photo")
        for index in rng.choice(opened, min(len(opened), FRAMES[long]), replace=False):
            watcher.seen = None
            renderer.frame(motion, index)
            if watcher.seen is None:
                continue
            interior, light = watcher.seen
            lips = max(float(light.lips @ LUMA), LEAST_LIPS)
            loop = opening_of(marks[index][INNER_LOOP, :2].astype(np.float64))
            share = cells(interior.share.astype(np.float32)[..., None], interior.opening)
            yield {
                "features": features(interior, light),
                "share": share.transpose(2, 0, 1),
                "real": (cells(frames[index].astype(np.float32), loop) / (255 * lips)).transpose(
                    2, 0, 1
                ),
            }


def gather(
    clips: list[ClipFile], cache: Path, model: FaceModel, teeth: TeethGenerator, seed: int
) -> dict[str, Array]:
    """Examples of many clips: features (n, 14, 8, 16), share, real, and the source of each."""
    rng = np.random.default_rng(seed)
    of_speaker: Counter[tuple[str, str]] = Counter()
    rows: list[dict[str, Array]] = []
    for place in tqdm(rng.permutation(len(clips)), desc="render"):
        clip = clips[place]
        path = cache / f"{clip.key}.landmarks.npy"
        if of_speaker[clip.source, clip.speaker] >= A_SPEAKER or not path.is_file():
            continue
        of_speaker[clip.source, clip.speaker] += 1
        frames = load_clip(clip.path, LONGEST)
        marks = np.load(path)[: len(frames)]
        found = examples_of(frames[: len(marks)], marks, model, teeth, rng)
        rows += [{**row, "source": np.array(clip.source)} for row in found]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def train(examples: dict[str, Array], steps: int, seed: int) -> LightNetwork:
    """The network, its weights averaged over the steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    counts = Counter(examples["source"].tolist())
    # Large openings count more; a source counts by the root of its size.
    by_source = np.array([counts[name] ** -0.5 for name in examples["source"].tolist()])
    seen, share, real = (
        torch.from_numpy(examples[n]).float() for n in ("features", "share", "real")
    )
    weight = (
        seen[:, :1] * torch.from_numpy(by_source / by_source.mean())[:, None, None, None].float()
    )
    network, average = LightNetwork(), LightNetwork()
    average.load_state_dict(network.state_dict())
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
    for step in range(steps):
        chosen = torch.from_numpy(rng.choice(len(seen), BATCH))
        batch = [part[chosen] for part in (seen, share, real, weight)]
        if rng.random() < 0.5:
            batch = [part.flip(-1) for part in batch]
        logs = network(batch[0])
        error = error_of(logs, *batch)
        smooth = sum(torch.diff(logs, dim=axis).square().mean() for axis in (2, 3))
        loss = error + FEW[0] * logs.square().mean() + FEW[1] * smooth
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST_STEP)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                mean.lerp_(value, AVERAGING)
        if step % 500 == 0:
            logger.info("step %d: error %.4f", step, float(error.detach()))
    return average.eval().requires_grad_(False)


def factors(logs: Tensor) -> Tensor:
    """Logarithms (n, 3, h, w) of light, red and blue to factors of red, green and blue."""
    light, red, blue = logs.unbind(1)
    return torch.exp(torch.stack([light + red, light, light + blue], dim=1))


def error_of(logs: Tensor, seen: Tensor, share: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """How far what will be seen, painting and moved photo, is from the real mouth."""
    made = share * seen[:, :3] * factors(logs) + (1 - share) * seen[:, 3:6]
    away = made - real
    return ((away.square() + ABSOLUTE * away.abs()) * weight).mean()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--cache", type=Path, required=True, help="what prepare wrote")
    parser.add_argument("--output", type=Path, default=weights_folder())
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    kept = options.cache / "mouth_light.npz"
    if not kept.is_file():
        clips = [clip for clip in read_clips(options.clips) if clip.split == "train"]
        models = load_face_model(), TeethGenerator.from_weights(load_weights("teeth"))
        np.savez_compressed(kept, **gather(clips, options.cache, *models, options.seed))
    with np.load(kept) as stored:
        examples = dict(stored)
    logger.info("%d examples", len(examples["source"]))
    network = train(examples, options.steps, options.seed)
    save_file(network.tensors(), options.output / "mouth_light.safetensors")


if __name__ == "__main__":
    main()
