"""The registry of weight files: what the package ships, under which licence, and how it was made.

Knows where weights lie and what their bytes must be; knows nothing of what they mean.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load_file

from talking_face.arrays import Array
from talking_face.errors import WeightsCorrupt, WeightsMissing
from talking_face.files import shipped

WEIGHTS_VARIABLE = "TALKING_FACE_WEIGHTS"  # environment variable naming another folder


@dataclass(frozen=True)
class WeightSpec:
    """Everything about one set of weights.

    Attributes:
        licence: the terms that it ships under.
        build: the command that made the files.
        files: file name -> sha256; several files are shards that together hold the tensors.
    """

    licence: str
    build: str
    files: dict[str, str]


WEIGHTS: dict[str, WeightSpec] = {
    "face_model": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.face_model --cache CACHE",
        files={
            "face_model.safetensors": "ede4baf8cb8aaccb69da9558efcee92bb46358cf3c82888e4e1d37dad23708b5",  # noqa: E501
        },
    ),
    "teeth": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.teeth --portraits FOLDER --output OUT",
        files={
            "teeth.safetensors": "a135ea5517080a68c7035f98a85464e0964e15be6def88919024256d61fdda2b",
        },
    ),
    "dirfa": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.dirfa --cache CACHE",
        files={
            "dirfa.safetensors": "9b05833e9f7db52a3165800f3886bdfbbfa18586f1651e5e58af0c474d164a3c",
        },
    ),
    "mouth_light": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.shading --clips CLIPS --cache CACHE",
        files={
            "mouth_light.safetensors": "d5a91a2211dac91092fbdab83c02a96c1cb65462d929cfe41d1e51af060d5ada",  # noqa: E501
        },
    ),
    "idle": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.events --cache CACHE",
        files={
            "idle.safetensors": "36d20099499e73160bf18518030e6e1077a5cd7da8fcd00ac287d836ace45562",
        },
    ),
    "speech_encoder": WeightSpec(
        licence="MIT, copyright OpenAI 2022 (Whisper tiny.en, encoder only): LICENSE-whisper",
        build="python -m talking_face.training.fit.encoder_weights ENCODER.safetensors",
        files={
            "speech_encoder-00001-of-00002.safetensors": "fc9e4d74aa34c4528b470c5f1bf42131720103284929555d721f34a672446b92",  # noqa: E501
            "speech_encoder-00002-of-00002.safetensors": "23a8857b33c4792900fc41ea11d56f50534b7f0bbf485d59ec71c40a7171deef",  # noqa: E501
        },
    ),
    "speech_positions": WeightSpec(
        licence="MIT, as speech_encoder; averages over the training clips",
        build="python -m talking_face.training.fit.encoder_positions CLIPS",
        files={
            "speech_positions.safetensors": "5fc5dbe518369b6eafd14a71b2a804774f7c4032ad083b490bd8e320b3cf9382",  # noqa: E501
        },
    ),
    "baseline": WeightSpec(
        licence="Apache-2.0; see weights/README.md for the data that it was learned from",
        build="python -m talking_face.training.fit.listeners --cache CACHE",
        files={
            "baseline.safetensors": "179e2944e6c6cfcbb3abbed608dd2df86e098a284fb60e0ad8491cf12ff2117c",  # noqa: E501
        },
    ),
}


def weights_folder() -> Path:
    """The folder that holds the weights: $TALKING_FACE_WEIGHTS, or the one that is shipped."""
    return Path(os.environ.get(WEIGHTS_VARIABLE) or shipped("weights"))


def load_weights(name: str) -> dict[str, Array]:
    """Tensors of one entry of `WEIGHTS`.

    Args:
        name: a key of the registry.

    Returns:
        Tensor name -> array, in the precision in which it is stored.

    Raises:
        WeightsMissing: a file isn't there.
        WeightsCorrupt: a file's checksum is wrong, or it can't be read.
    """
    spec = WEIGHTS[name]
    tensors: dict[str, Array] = {}
    for file, expected in spec.files.items():
        path = weights_folder() / file
        try:
            _verify(path, expected)
            tensors |= load_file(path)
        except FileNotFoundError as error:
            raise WeightsMissing(
                f"The weight file {path} is missing. Restore it from the project's repository, "
                f"or make it again with: {spec.build}"
            ) from error
        except (SafetensorError, OSError) as error:
            raise WeightsCorrupt(
                f"The weight file {path} can't be read ({error}). Restore it from the project's "
                "repository."
            ) from error
    return tensors


@cache
def _verify(path: Path, expected: str) -> None:
    """Check a file's sha256 once a process; raises WeightsCorrupt where it differs."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        raise WeightsCorrupt(
            f"The weight file {path} is damaged: its checksum is {found[:12]}…, not "
            f"{expected[:12]}…. Restore it from the project's repository."
        )
