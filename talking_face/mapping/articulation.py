"""Articulation: from what lips do on average to what one speaker's lips do.

An average over all the ways of saying something is slow: a b comes a little earlier here and later
there, so what is quick in each of them is blurred in their mean. Two things give it back.

- Crispness: opening and width go through a filter that leaves slow changes as they are and
  strengthens quick ones, by as much as the mean is weaker there than people whom no training saw.
- Closure: a b with parted lips is seen by everyone. So listeners tell beside the expected face how
  surely the lips meet, and where they do, they are brought together.

Both change the coefficients by the least that changes opening and width.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import firwin2

from talking_face.arrays import Array
from talking_face.curves import smoothstep
from talking_face.face.landmarks import INNER_LIP_LOWER, INNER_LIP_UPPER, MOUTH_CORNERS
from talking_face.face.model import FaceModel
from talking_face.motion import CHANNELS, FPS

N_LOWER = CHANNELS["lower"]

SURE = (0.3, 0.5)  # probability that the lips meet: no change, closed
_PRESSED = 0.01  # by which closed lips overlap, inter-ocular distances: surely closed on any face
_HERTZ = [0.0, 3.0, 6.0, 8.0, 10.0, FPS / 2]
_CRISP = [
    firwin2(9, _HERTZ, [1.0, 1.0, middle, (middle + fast) / 2, fast, fast], fs=FPS)
    for middle, fast in ((1.3, 1.8), (1.4, 2.0))  # opening, width
]


def mouth_readout(model: FaceModel) -> tuple[Array, Array]:
    """Lip opening and mouth width of coefficients, as linear functions of them.

    Returns:
        weights (22, 2) and bias (2,): coefficients @ weights + bias is the vertical gap of the
        three middle inner-lip pairs and the distance of the mouth's corners along x, of the mean
        face. The gap is negative where lips overlap.
    """
    basis = np.concatenate([model.lower, model.upper], axis=-1)
    upper, lower = list(INNER_LIP_UPPER[3:6]), list(INNER_LIP_LOWER[3:6])
    right, left = MOUTH_CORNERS
    weights = np.stack(
        [
            (basis[lower, 1] - basis[upper, 1]).mean(0),
            basis[left, 0] - basis[right, 0],
        ],
        axis=1,
    )
    mean = model.mean
    bias = np.array(
        [(mean[lower, 1] - mean[upper, 1]).mean(), mean[left, 0] - mean[right, 0]],
    )
    return weights.astype(np.float32), bias.astype(np.float32)


def articulate(coefficients: Array, meeting: Array, model: FaceModel) -> Array:
    """Make an expected face as quick as a speaker's, and close its lips where they meet.

    Args:
        coefficients: (frames, 22), lower face then upper face.
        meeting: (frames,) probability that the lips meet.

    Returns:
        (frames, 22) float32.
    """
    weights, bias = mouth_readout(model)
    mouth = coefficients @ weights + bias
    reach = len(_CRISP[0]) // 2
    crisp = np.column_stack(
        [
            np.convolve(np.pad(curve, reach, mode="edge"), taps, mode="valid")
            for curve, taps in zip(mouth.T, _CRISP, strict=True)
        ]
    )
    closed = np.maximum(crisp[:, 0] + _PRESSED, 0.0) * smoothstep(meeting, *SURE)
    crisp[:, 0] -= closed
    change = (crisp - mouth) @ np.linalg.pinv(weights[:N_LOWER])  # (frames, 16)
    said = coefficients.astype(np.float32)
    said[:, :N_LOWER] += change
    return said
