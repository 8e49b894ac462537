"""What a listener is punished for: how far its face is from the real one, as people would see it.

An average of what lips might do is smaller and slower than what they do. So the size of the motion
is a loss of its own, beside the errors that shrink it and the correlation, which doesn't mind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from talking_face.arrays import Array
from talking_face.face.landmarks import FACE_OVAL
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel
from talking_face.mapping.listeners import N_OUTPUTS, N_PLAIN, OPENINGS, WIDTHS
from talking_face.motion import FPS
from talking_face.training.measure.lip_figures import CLOSED

NEARLY_CLOSED = 0.02  # lip opening, inter-ocular distances
_SMALL = (0.01, 0.01)  # deviation of opening and width in a window, inter-ocular distances
_SLOW = (0.1, 0.06)  # of their speed, a second


@dataclass(frozen=True)
class LossWeights:
    """The first two and `mouth` weigh lengths in inter-ocular distances."""

    points: float = 30.0
    velocity: float = 30.0
    coefficients: float = 0.1
    mouth: float = 10.0
    closing: float = 3.0  # how much more closed lips count in `mouth`
    correlation: float = 1.5
    quick: float = 0.5  # correlation of the changes
    size: float = 0.5
    speed: float = 0.5
    contact: float = 0.5
    bins: float = 0.5  # of opening and width, for listeners that tell their distributions


class Loss:
    """How far a predicted face is from the real one."""

    def __init__(self, model: FaceModel, scale: Tensor, weights: LossWeights) -> None:
        self.weights, self.scale = weights, scale
        readout, bias = mouth_readout(model)
        self.readout = torch.from_numpy(readout).to(scale.device)  # (22, 2): opening, width
        self.bias = torch.from_numpy(bias).to(scale.device)
        basis = np.concatenate([model.lower, model.upper], axis=-1)[mouth_points(model), :2]
        flat = torch.from_numpy(basis.reshape(-1, basis.shape[-1]).T.astype(np.float32))
        self.basis = flat.to(scale.device)
        self.edges = [torch.from_numpy(edges).to(scale.device) for edges in (OPENINGS, WIDTHS)]

    def __call__(self, predicted: Tensor, target: Tensor, ok: Tensor) -> Tensor:
        """Scalar loss.

        Absolute errors of mouth and jaw points, of their velocity, of the coefficients, and of
        lip opening and mouth width, where nearly closed lips count more; one minus the
        correlation of the last two and of their changes with what was tracked, so that timing
        counts whatever the speaker's amplitude; how far their deviation and that of their changes
        is from the real one, as a logarithm; the likelihood of closed lips; and, where there are
        bins, of the opening that was tracked and of the width beside the face at rest.

        Args:
            predicted: (B, T, 23 or 71) of a listener.
            target: (B, T, 24), 22 coefficients, then opening and width as tracked.
            ok: (B, T), 1 where the target is known.
        """
        w = self.weights
        weight = ok / ok.sum()
        face, contact = predicted[..., :N_OUTPUTS], predicted[..., N_OUTPUTS]
        known, seen = target[..., :N_OUTPUTS], target[..., N_OUTPUTS:]
        error = face - known
        points = error @ self.basis
        speed_ok = ok[:, 1:] * ok[:, :-1]
        speed_weight = speed_ok / speed_ok.sum()
        speed = (points[:, 1:] - points[:, :-1]).abs().mean(-1)
        mouth, real = face @ self.readout + self.bias, known @ self.readout + self.bias
        near = 1 + w.closing * torch.exp(-real[..., 0].clamp(min=0) / NEARLY_CLOSED)
        opening = (mouth[..., 0] - real[..., 0]).abs() * near
        width = (mouth[..., 1] - real[..., 1]).abs()
        met = (seen[..., 0] < CLOSED).float()
        surprise = F.binary_cross_entropy_with_logits(contact, met, reduction="none")
        rows = weight.sum(1)[:, None]
        changes, real_changes = FPS * mouth.diff(dim=1), FPS * seen.diff(dim=1)
        missed = torch.zeros_like(surprise)
        if predicted.shape[-1] > N_PLAIN:
            happened = (seen[..., 0], real[..., 1] - self.bias[1])
            likely = predicted[..., N_PLAIN:].chunk(2, dim=-1)
            for logits, edges, value in zip(likely, self.edges, happened, strict=True):
                place = torch.bucketize(value.contiguous(), edges)
                missed += F.cross_entropy(logits.transpose(1, 2), place, reduction="none")
        return (
            w.points * (points.abs().mean(-1) * weight).sum()
            + w.velocity * (speed * speed_weight).sum()
            + w.coefficients * ((error / self.scale).abs().mean(-1) * weight).sum()
            + w.mouth * ((opening + width) * weight).sum()
            + w.correlation * ((1 - correlation(mouth, seen, ok)) * rows).sum()
            + w.quick * ((1 - correlation(changes, real_changes, speed_ok)) * rows).sum()
            + w.size * (misfit(mouth, seen, ok, _SMALL) * rows).sum()
            + w.speed * (misfit(changes, real_changes, speed_ok, _SLOW) * rows).sum()
            + w.contact * (surprise * weight).sum()
            + w.bins * (missed * weight).sum()
        )


def correlation(a: Tensor, b: Tensor, ok: Tensor) -> Tensor:
    """Pearson's, over time, (B, T, n) -> (B, n); softly 0 where nothing moves."""
    weight = (ok / ok.sum(1, keepdim=True).clamp(min=1))[..., None]
    a = a - (a * weight).sum(1, keepdim=True)
    b = b - (b * weight).sum(1, keepdim=True)
    power = (a * a * weight).sum(1) * (b * b * weight).sum(1)
    return (a * b * weight).sum(1) / (power + 1e-8).sqrt()


def misfit(a: Tensor, b: Tensor, ok: Tensor, small: tuple[float, ...]) -> Tensor:
    """Logarithm of the ratio of deviations over time, absolute, (B, T, n) -> (B, n).

    Args:
        small: (n) deviations; what moves less hardly counts.
    """
    weight = (ok / ok.sum(1, keepdim=True).clamp(min=1))[..., None]
    least = a.new_tensor(small)
    deviations = [
        ((x - (x * weight).sum(1, keepdim=True)) ** 2 * weight).sum(1).add(1e-8).sqrt()
        for x in (a, b)
    ]
    ours, theirs = deviations
    counts = theirs / (theirs + least)
    return counts * torch.log((ours + 0.3 * least) / (theirs + 0.3 * least)).abs()


def mouth_points(model: FaceModel) -> Array:
    """Indices of the points that the mouth moves most, and of chin and jaw."""
    motion = np.sqrt((model.lower[:468] ** 2).sum((1, 2)))
    return np.union1d(np.argsort(motion)[-120:], FACE_OVAL[12:25])
