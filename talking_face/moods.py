"""The moods: their names, their places in the plane of valence and arousal, and how one is chosen.

The places are the means that people gave the words in Russell and Mehrabian, Evidence for a
three-factor theory of emotions (Journal of Research in Personality 11, 1977), of pleasure and
arousal; for `calm` those of "relaxed". Knows nothing of voices and faces.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.errors import OptionInvalid
from talking_face.frozen import sealed
from talking_face.options import check_range, shown

PLACES: dict[str, tuple[float, float]] = {  # valence and arousal, each -1 to 1
    "neutral": (0.0, 0.0),
    "calm": (0.68, -0.46),
    "happy": (0.81, 0.51),
    "sad": (-0.63, -0.27),
    "angry": (-0.51, 0.59),
    "fearful": (-0.64, 0.60),
    "disgusted": (-0.60, 0.35),
    "surprised": (0.40, 0.67),
}
MOODS = tuple(PLACES)
CIRCUMPLEX: Array = sealed(np.array(list(PLACES.values())))  # (8, 2)
VOICE, NONE = "voice", "none"  # the other two feelings: what is heard, and no expression at all
FEELINGS = (VOICE, NONE, *MOODS)
MAX_STRENGTH = 1.5
NEAR = 0.2  # how far a mood reaches around its place, a standard deviation

Feeling = str | tuple[float, float]  # one of FEELINGS, or a place: (valence, arousal)


def check_feeling(value: Any) -> Feeling:
    """A feeling as it was given: a name, a place, or the text of one, such as "0.4,-0.2".

    Raises:
        OptionInvalid.
    """
    given = value.split(",") if isinstance(value, str) and "," in value else value
    given = given.tolist() if isinstance(given, np.ndarray) else given
    if isinstance(given, str):
        if given in FEELINGS:
            return given
    elif isinstance(given, Sequence) and len(given) == 2:
        try:
            place = [float(part) if isinstance(part, str) else part for part in given]
        except ValueError:
            pass
        else:
            return check_range("Valence", place[0], -1, 1), check_range("Arousal", place[1], -1, 1)
    raise OptionInvalid(
        f"The feeling must be {', '.join(FEELINGS)}, or valence and arousal as two numbers from "
        f"-1 to 1, not {shown(value)}."
    )


def told_feeling(feeling: Feeling) -> str:
    """A feeling as a text that `check_feeling` reads."""
    return feeling if isinstance(feeling, str) else f"{feeling[0]:g},{feeling[1]:g}"


def weights_of(feeling: Feeling) -> Float32:
    """How much of each mood a feeling other than the voice's is, (8,) float32, together at most 1.

    A place is the moods around it, by their distance.
    """
    if feeling == NONE:
        return np.zeros(len(MOODS), dtype=np.float32)
    if isinstance(feeling, str):
        return np.eye(len(MOODS), dtype=np.float32)[MOODS.index(feeling)]
    far = np.sum((CIRCUMPLEX - feeling) ** 2, axis=1) / (2 * NEAR**2)
    near = np.exp(far.min() - far)
    return (near / near.sum()).astype(np.float32)
