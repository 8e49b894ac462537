"""Moods that a stranger names, on photos of people who speak.

What is learned of real faces comes out fainter, or as another mood, where it is rendered on a photo
and seen again. So each mood's mean is changed, by as little as it takes, until a classifier that
knows real faces (`talking_face.training.measure.feelings.train`) names it on portraits that speak.
They are to be other portraits than those that it is measured on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from talking_face.animator import Animator
from talking_face.arrays import Array
from talking_face.editing.edit import Edit
from talking_face.editing.expression import CHANGED, N_WAYS, ExpressionModel, express
from talking_face.errors import TalkingFaceError
from talking_face.moods import MOODS, NONE
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.picture.renderer import Renderer
from talking_face.training.data.scores import Look as Sees
from talking_face.training.measure.feelings import NAMED, SIZE, moments

FREE = sum(CHANGED[name] for name in ("lower", "upper", "nuance", "lids"))  # of a mean's numbers
FRAMES = 2  # of a portrait
STEP, FARTHEST = 0.25, 1.0  # of a slope; and by how much a number changes in a round, at most
ROUNDS = 2
# Weights beside the likelihood: of what was learned, most of all for mouths, which would grow lips
# that nobody has; and of small steps.
NEAR_MOUTH, NEAR, CAREFUL = 0.04, 0.01, 0.02

logger = logging.getLogger(__name__)


class Portraits:
    """Moments of portraits that speak without feeling anything, to be rendered in any mood.

    Args:
        photos: those that can't be animated are left out.
        audio: a recording of plain speech.
        sees: scores a picture.
    """

    def __init__(self, animator: Animator, photos: Sequence[Path], audio: Path, sees: Sees) -> None:
        self._sees, self._model = sees, animator.models.face
        self._moments: list[tuple[Renderer, Motion, Array]] = []
        speech = animator.listen(audio)
        for index, photo in enumerate(photos):
            try:
                renderer = animator.renderer(animator.fit(photo), Look(size=SIZE))
            except TalkingFaceError as error:
                logger.warning("%s is left out: %s", photo.name, error)
                continue
            (motion,) = animator.sample(speech, [index])
            calm = animator.edit(motion, Edit(feeling=NONE), speech)
            felt = animator.edit(motion, Edit(feeling="happy"), speech)
            for frame in moments(felt, FRAMES):
                still = calm[frame : frame + 1]
                seen = sees(renderer.frame(animator.expressed(still)), 0)
                if seen is not None:
                    self._moments.append((renderer, still, seen[1]))

    def scores(self, mood: int, mean: Array, parting: Array) -> Array:
        """What a mood's mean (37,) changes at strength 1, (n, 52): see `ExpressionModel`."""
        means = np.zeros((len(MOODS), len(mean)), dtype=np.float32)
        means[mood] = mean
        ways = np.zeros((len(MOODS), N_WAYS, len(mean)), dtype=np.float32)
        feeling = ExpressionModel(means, ways, parting.astype(np.float32))
        found = []
        for renderer, motion, usual in self._moments:
            felt = np.zeros_like(motion.feeling)
            felt[:, mood] = 1.0
            shown = express(motion.replace(feeling=felt), self._model, feeling)
            seen = self._sees(renderer.frame(shown), 0)
            found.append(np.zeros_like(usual) if seen is None else seen[1] - usual)
        return np.stack(found)


def named(
    mood: int, mean: Array, parting: Array, portraits: Portraits, classifier: nn.Linear
) -> Array:
    """A mood's mean (37,), changed so that the classifier names it on the portraits.

    Steps of maximum likelihood, each with slopes of its own, over lower, upper, nuance and lids.
    """
    changed = np.array(mean, dtype=np.float64)
    wanted = NAMED.index(MOODS[mood])
    for turn in range(ROUNDS + 1):
        now = portraits.scores(mood, changed, parting)
        logits = classifier(torch.from_numpy(now).float())
        right = float((logits.argmax(1) == wanted).float().mean())
        logger.info("%s: %.2f named in round %d", MOODS[mood], right, turn)
        if turn == ROUNDS:
            break
        units = STEP * np.eye(len(mean))[:FREE]
        slopes = [(portraits.scores(mood, changed + u, parting) - now) / STEP for u in units]
        step = _step(now, np.stack(slopes, axis=2), (changed - mean)[:FREE], wanted, classifier)
        changed[:FREE] += step * min(1.0, FARTHEST / float(np.abs(step).max()))
    return changed


def _step(now: Array, slopes: Array, away: Array, wanted: int, classifier: nn.Linear) -> Array:
    """The change (32,) by which scores (n, 52) of slopes (n, 52, 32) are likeliest to be named."""
    scores, by = torch.from_numpy(now).float(), torch.from_numpy(slopes).float()
    begun = torch.from_numpy(away).float()
    near = torch.full((FREE,), NEAR)
    near[: CHANGED["lower"]] = NEAR_MOUTH
    target = torch.full((len(now),), wanted)
    step = torch.zeros(FREE, requires_grad=True)
    optimiser = torch.optim.LBFGS([step], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        error = nn.functional.cross_entropy(classifier(scores + by @ step), target)
        error = error + (near * (begun + step).square()).sum() + CAREFUL * step.square().sum()
        error.backward()
        return error

    optimiser.step(loss)
    return step.detach().numpy().astype(np.float64)
