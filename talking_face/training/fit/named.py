"""Moods that a stranger names, on photos of people who speak.

What is learned of real faces comes out fainter, or as another mood, where it is rendered on a photo
and seen again; words move the face, too, and each sample has a manner of its own. So each mood's
mean is changed, by as little as it takes, until a classifier that knows real faces
(`talking_face.training.measure.feelings.train`) names it on portraits that speak, in any manner.
They are to be other portraits than those that it is measured on.

Rendering and tracking say how a change of the motion is seen; they are slow, and tell nothing of
slopes. So random expressions are rendered first, from which `Followed` learns how far tracked
landmarks follow those that the motion asks for; after that, the blendshape network is asked alone.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from talking_face.animator import Animator
from talking_face.arrays import Array
from talking_face.editing.edit import Edit
from talking_face.editing.expression import (
    BROADER,
    CHANGED,
    FARTHEST,
    N_CHANGED,
    N_WAYS,
    WAYS,
    ExpressionModel,
    express,
)
from talking_face.errors import TalkingFaceError
from talking_face.moods import MOODS, NONE
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.picture.renderer import Renderer
from talking_face.training.data.scores import Blendshapes
from talking_face.training.data.scores import Look as Sees
from talking_face.training.measure.feelings import NAMED, SIZE, moments

FREE = sum(CHANGED[name] for name in ("lower", "upper", "nuance", "lids"))  # of a mean's numbers
LIDS = slice(FREE - CHANGED["lids"], FREE)
FRAMES, TRIALS = 6, 12  # of a portrait: moments at rest, and random expressions
WEAKEST, STRONGEST, STRAYING = 0.4, 1.5, 0.55  # of these: times a mood's mean, and what is added
PARTS, RIDGE = 32, 0.005  # of the landmarks' motion, that are told apart; of their regression
SHOWN = 4  # moments of a portrait on which a mood is to be named
STEP, LONGEST = 0.25, 0.7  # of a slope; and by how much a number changes in a round, at most
ROUNDS = 5
# Weights beside the likelihood: of what was learned, most of all for mouths, which would grow lips
# that nobody has; and of small steps.
NEAR_MOUTH, NEAR, CAREFUL = 0.04, 0.01, 0.02
STIFFER = {"disgusted": 4.0}  # times, a mouth that would pout and miss a closure

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Moment:
    """A portrait that speaks without feeling anything.

    Attributes:
        motion: of one frame. asked: (478, 2) where it wants the landmarks, pixels.
        marks: (478, 2) where they are tracked, pixels. scores: (52,) likewise.
    """

    renderer: Renderer
    motion: Motion
    asked: Array
    marks: Array
    scores: Array

    @property
    def unit(self) -> float:
        """Pixels a canonical unit."""
        return float(self.renderer.plate.pose.scale)

    def feeling(self, mood: int, change: Array, parting: Array) -> Motion:
        """The motion with a change (37,) as a mood's expression; `parting` as in the model."""
        mean = np.zeros((len(MOODS), N_CHANGED), dtype=np.float32)
        mean[mood] = change
        ways = np.zeros((len(MOODS), N_WAYS, N_CHANGED), dtype=np.float32)
        felt = np.zeros_like(self.motion.feeling)
        felt[:, mood] = 1.0
        model = ExpressionModel(mean, ways, parting.astype(np.float32))
        return express(self.motion.replace(feeling=felt), self.renderer.model, model)

    def displaced(self, motion: Motion) -> Array:
        """How far another motion wants the landmarks to be from here, (478, 2) canonical units."""
        return (self.renderer.landmarks(motion, 0)[:, :2] - self.asked) / self.unit


class Followed:
    """How far landmarks, as they are tracked, follow those that a motion asks for.

    Linear, in the principal ways in which they are asked to move.

    Args:
        asked, tracked: (n, 478, 2) displacements, canonical units.
    """

    def __init__(self, asked: Array, tracked: Array) -> None:
        flat = asked.reshape(len(asked), -1)
        self._ways = np.linalg.svd(flat, full_matrices=False)[2][:PARTS].T
        parts = flat @ self._ways
        gram = parts.T @ parts
        ridge = RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
        self._follows = np.linalg.solve(gram + ridge, parts.T @ tracked.reshape(len(asked), -1))

    def __call__(self, asked: Array) -> Array:
        """Displacements (n, 478, 2) as they are likely to be tracked."""
        return (asked.reshape(len(asked), -1) @ self._ways @ self._follows).reshape(asked.shape)


class Portraits:
    """Portraits that speak, in any mood and manner, as the tracker is likely to see them.

    Args:
        photos: those that can't be animated are left out.
        audio: a recording of plain speech.
        sees: scores a picture.
        network: scores landmarks.
        moods: what was learned of them.
    """

    def __init__(
        self,
        animator: Animator,
        photos: Sequence[Path],
        audio: Path,
        sees: Sees,
        network: Blendshapes,
        moods: ExpressionModel,
    ) -> None:
        self._network, self._moods = network, moods
        self._moments: list[Moment] = []
        self._usual: list[Array] = []
        self._rng = np.random.default_rng(0)
        speech = animator.listen(audio)
        asked, tracked = [], []
        strays: list[tuple[Array, Array, Array]] = []
        for index, photo in enumerate(photos):
            try:
                renderer = animator.renderer(animator.fit(photo), Look(size=SIZE))
            except TalkingFaceError as error:
                logger.warning("%s is left out: %s", photo.name, error)
                continue
            (motion,) = animator.sample(speech, [index])
            calm = animator.edit(motion, Edit(feeling=NONE), speech)
            felt = animator.edit(motion, Edit(feeling="happy"), speech)
            at_rest = []
            for frame in moments(felt, FRAMES):
                still = calm[frame : frame + 1]
                seen = sees(renderer.frame(still), 0)
                if seen is not None:
                    place = renderer.landmarks(still, 0)[:, :2]
                    at_rest.append(Moment(renderer, still, place, seen[0][:, :2], seen[1]))
            if not at_rest:
                continue
            self._moments += at_rest[:SHOWN]
            self._usual += [np.mean([m.scores for m in at_rest], axis=0)] * len(at_rest[:SHOWN])
            for trial in range(TRIALS):
                moment = at_rest[trial % len(at_rest)]
                motion = self._any(moment)
                seen = sees(renderer.frame(motion), 0)
                if seen is not None:
                    asked.append(moment.displaced(motion))
                    tracked.append((seen[0][:, :2] - moment.marks) / moment.unit)
                    strays.append((moment.marks, asked[-1] * 0 + moment.unit, seen[1]))
        self._follow = Followed(np.stack(asked), np.stack(tracked))
        # What neither of them foresees; a mood is to be named in spite of it.
        expected = self._follow(np.stack(asked))
        marks, units, scores = (np.stack(part) for part in zip(*strays, strict=True))
        self._left = scores - network.scores(marks + units * expected)
        logger.info("%d moments, %d expressions", len(self._moments), len(asked))

    def _any(self, moment: Moment) -> Motion:
        """A moment with some expression."""
        mood = int(self._rng.choice(np.flatnonzero(self._moods.mean.any(1))))
        change = self._moods.mean[mood] * self._rng.uniform(WEAKEST, STRONGEST)
        change = change + self._manner(mood)
        change[:FREE] += STRAYING * self._rng.standard_normal(FREE)
        return moment.feeling(mood, change, self._moods.parting)

    def _manner(self, mood: int) -> Array:
        how = FARTHEST * np.tanh(WAYS * self._rng.standard_normal(N_WAYS) / FARTHEST)
        return np.asarray(how @ self._moods.ways[mood])

    def manners(self, mood: int) -> tuple[Array, Array, Array]:
        """For each moment of `scores`, drawn at random: what the sample adds to a mood's mean,
        (n, 37), how strong it is, (n, 1), and what can't be foreseen of its scores, (n, 52)."""
        count = len(self._moments)
        added = np.stack([self._manner(mood) for _ in range(count)])
        strong = np.exp(BROADER * self._rng.standard_normal((count, 1)))
        return added, strong, self._left[self._rng.integers(len(self._left), size=count)]

    def scores(self, mood: int, mean: Array, manners: tuple[Array, Array, Array]) -> Array:
        """What a mood's mean (37,) makes of the portraits' usual scores, (n, 52)."""
        added, strong, left = manners
        changes = strong * (mean + added)
        displaced = self._follow(
            np.stack(
                [
                    moment.displaced(moment.feeling(mood, change, self._moods.parting))
                    for moment, change in zip(self._moments, changes, strict=True)
                ]
            )
        )
        marks = [
            moment.marks + moment.unit * moved
            for moment, moved in zip(self._moments, displaced, strict=True)
        ]
        return self._network.scores(np.stack(marks)) + left - np.stack(self._usual)


def named(mood: int, mean: Array, portraits: Portraits, classifier: nn.Linear) -> Array:
    """A mood's mean (37,), changed so that the classifier names it on the portraits.

    Steps of maximum likelihood, each with slopes of its own, over lower, upper, nuance and lids.
    Both eyes' lids change by as much: one eye that is wide and one that is narrow may be named, but
    are on no angry face.
    """
    changed = np.array(mean, dtype=np.float64)
    wanted = NAMED.index(MOODS[mood])
    manners = portraits.manners(mood)
    for turn in range(ROUNDS + 1):
        now = portraits.scores(mood, changed, manners)
        logits = classifier(torch.from_numpy(now).float())
        right = float((logits.argmax(1) == wanted).float().mean())
        logger.info("%s: %.2f named in round %d", MOODS[mood], right, turn)
        if turn == ROUNDS:
            break
        units = STEP * np.eye(len(mean))[:FREE]
        each = [(portraits.scores(mood, changed + u, manners) - now) / STEP for u in units]
        slopes = np.stack(each, axis=2)
        slopes[..., LIDS] = slopes[..., LIDS].mean(-1, keepdims=True)
        step = _step(now, slopes, (changed - mean)[:FREE], wanted, classifier)
        changed[:FREE] += step * min(1.0, LONGEST / max(float(np.abs(step).max()), 1e-9))
    return changed


def _step(now: Array, slopes: Array, away: Array, wanted: int, classifier: nn.Linear) -> Array:
    """The change (32,) by which scores (n, 52) of slopes (n, 52, 32) are likeliest to be named."""
    scores, by = torch.from_numpy(now).float(), torch.from_numpy(slopes).float()
    begun = torch.from_numpy(away).float()
    near = torch.full((FREE,), NEAR)
    near[: CHANGED["lower"]] = NEAR_MOUTH * STIFFER.get(NAMED[wanted], 1.0)
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
