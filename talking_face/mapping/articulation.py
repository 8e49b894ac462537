"""Articulation: from what is likely of lips to what one speaker's lips do.

An average over all the ways of saying something is slow and says nothing of how far they lie apart:
a b comes a little earlier here and later there, so what is quick in each of them is blurred in
their mean. Three things give it back.

- Likelihood: listeners tell how likely each opening is, not only the mean of them all. The mouth
  opens as far as half of the speakers would, and where most would close it, it is closed.
- Crispness: opening and width go through a filter that leaves slow changes as they are and
  strengthens quick ones, by as much as they are weaker there than people whom no training saw.
- Closure: a b with parted lips is seen by everyone. So listeners also tell how surely the lips
  meet, and where they do, they are brought together.
- Visemes: so is an f or a w that looks like a b, though many people's lips nearly meet there. Where
  one of them is surely said, a gap is left, smaller than most people's.

All change the coefficients by the least that changes opening and width.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import firwin2
from scipy.special import expit, softmax

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.lips import mouth_readout
from talking_face.face.model import FaceModel
from talking_face.mapping.listeners import (
    N_HEARD,
    N_LOWER,
    N_OUTPUTS,
    N_PLAIN,
    OPENINGS,
    WIDTHS,
)
from talking_face.motion import FPS

SURE = (0.3, 0.5)  # probability that the lips meet: no change, closed
# Openings, inter-ocular distances, at surely such phones: half and a third of what is usual there.
ON_TEETH, ROUNDED = 0.03, 0.015
_TOLD = ((0.15, 0.4), (0.5, 0.8))  # probability of f and v, and of rounded ones: unsure, sure
_RATHER = (0.4, 0.7)  # part of the same, and not of p, b and m
_WIDEST_OPEN = 0.7  # inter-ocular distances; ends of the outer bins, and middles of those of width
_NARROWEST, _WIDEST = -0.22, 0.17
_PRESSED = 0.01  # by which closed lips overlap, inter-ocular distances: surely closed on any face
_HERTZ = [0.0, 3.0, 6.0, 8.0, 10.0, FPS / 2]
_CRISP = [
    firwin2(9, _HERTZ, [1.0, 1.0, middle, (middle + fast) / 2, fast, fast], fs=FPS)
    for middle, fast in ((1.3, 1.8), (1.4, 2.0))  # opening, width
]


def articulate(heard: Array, model: FaceModel) -> Array:
    """Make of what listeners heard the face of one speaker.

    Args:
        heard: (frames, 71), a listener's answer or the mean of several; of (frames, 23), without
            bins, the mouth of the expected face is taken. In (frames, 75) the logits of visemes
            come last.

    Returns:
        (frames, 22) float32, lower face then upper face.
    """
    coefficients, meeting = heard[:, :N_OUTPUTS], expit(heard[:, N_OUTPUTS])
    weights, bias = mouth_readout(model)
    mouth = coefficients @ weights + bias
    likely: Array = mouth.copy()
    if heard.shape[1] > N_PLAIN:
        opening, width = likely_mouth(heard[:, N_PLAIN:N_HEARD], bias).T
        likely[:, 0] = opening
        likely[:, 1] = (likely[:, 1] + width) / 2  # one too wide, the other too narrow for people
    reach = len(_CRISP[0]) // 2
    crisp = np.column_stack(
        [
            np.convolve(np.pad(curve, reach, mode="edge"), taps, mode="valid")
            for curve, taps in zip((likely - bias).T, _CRISP, strict=True)
        ]
    )
    crisp += bias
    closed = np.maximum(crisp[:, 0] + _PRESSED, 0.0) * smoothstep(meeting, *SURE)
    crisp[:, 0] -= closed
    if heard.shape[1] > N_HEARD:
        for least, sure in zip((ON_TEETH, ROUNDED), held_apart(heard[:, N_HEARD:]), strict=True):
            crisp[:, 0] += np.maximum(least - crisp[:, 0], 0.0) * sure
    change = (crisp - mouth) @ np.linalg.pinv(weights[:N_LOWER])  # (frames, 16)
    said = coefficients.astype(np.float32)
    said[:, :N_LOWER] += change
    return said


def held_apart(logits: Array) -> tuple[Array, Array]:
    """How surely lips don't meet, as f or v is said, and as a rounded phone is.

    Args:
        logits: (frames, 4) of `visemes.KINDS`.

    Returns:
        Each (frames,), 0 to 1.
    """
    met, teeth, rounded, _ = softmax(logits, axis=1).T
    met = np.maximum(met, np.append(met[1:], met[-1:]))  # lips meet a frame before it is heard
    on_teeth, round_ = (
        smoothstep(kind, *told) * smoothstep(kind / (kind + met), *_RATHER)
        for kind, told in zip((teeth, rounded), _TOLD, strict=True)
    )
    return on_teeth, round_


def likely_mouth(logits: Array, rest: Array) -> Array:
    """The median of how far lips open, and the mean of how wide a mouth is.

    Args:
        logits: (frames, 48), of the bins of opening and of width.
        rest: (2,) opening and width of the face at rest.

    Returns:
        (frames, 2), inter-ocular distances.
    """
    openings, widths = (softmax(part, axis=1) for part in np.split(logits, 2, axis=1))
    edges = np.concatenate([[0.0], OPENINGS, [_WIDEST_OPEN]])
    below = np.pad(np.cumsum(openings, axis=1), ((0, 0), (1, 0)))
    median = np.array([np.interp(0.5, row, edges) for row in below])
    middles = np.concatenate([[_NARROWEST], (WIDTHS[1:] + WIDTHS[:-1]) / 2, [_WIDEST]])
    opening = np.where(openings[:, 0] > 0.5, 0.0, median)
    return np.column_stack([opening, rest[1] + widths @ middles])
