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
        build: the command that made the files.
        files: file name -> sha256; several files are shards that together hold the tensors.
        licence: the terms that it ships under.
    """

    build: str
    files: dict[str, str]
    licence: str = "Apache-2.0; see weights/README.md for the data that it was learned from"


WEIGHTS: dict[str, WeightSpec] = {
    "face_model": WeightSpec(
        build="python -m talking_face.training.fit.face_model --cache CACHE, then "
        "python -m talking_face.training.fit.nuance --scores SCORES",
        files={
            "face_model.safetensors": "ede4baf8cb8aaccb69da9558efcee92bb46358cf3c82888e4e1d37dad23708b5",  # noqa: E501
            "face_nuance.safetensors": "987188a84d7dda28fe920130a3e77443cded4545227730bfca9521717ee36f6b",  # noqa: E501
        },
    ),
    "teeth": WeightSpec(
        build="python -m talking_face.training.fit.teeth --portraits FOLDER --output OUT",
        files={
            "teeth.safetensors": "a135ea5517080a68c7035f98a85464e0964e15be6def88919024256d61fdda2b",
        },
    ),
    "dirfa": WeightSpec(
        build="python -m talking_face.training.fit.dirfa --cache CACHE",
        files={
            "dirfa.safetensors": "c48b91c4ee2677d4f568f4ac84e188786029cff20b5a777a65398eeb1a771056",
        },
    ),
    "visemes": WeightSpec(
        build="python -m talking_face.training.fit.visemes --clips CLIPS --cache CACHE",
        files={
            "visemes.safetensors": "1acfdb3e1bf467e8150756b85ec1f96971bf6ad7c2e31134868ab0a966fa6fd9",  # noqa: E501
        },
    ),
    "live_ear": WeightSpec(
        build="python -m talking_face.training.fit.live_ear --clips CLIPS --table TABLE",
        files={
            "live_ear.safetensors": "f441e02e8a608a7920541b8dbd726ed5c5b07495d1938a739152a0789c048a24",  # noqa: E501
        },
    ),
    "mouth_light": WeightSpec(
        build="python -m talking_face.training.fit.shading --clips CLIPS --cache CACHE",
        files={
            "mouth_light.safetensors": "d5a91a2211dac91092fbdab83c02a96c1cb65462d929cfe41d1e51af060d5ada",  # noqa: E501
        },
    ),
    "idle": WeightSpec(
        build="python -m talking_face.training.fit.events --cache CACHE",
        files={
            "idle.safetensors": "36d20099499e73160bf18518030e6e1077a5cd7da8fcd00ac287d836ace45562",
        },
    ),
    "feeling": WeightSpec(
        build="python -m talking_face.training.fit.feeling --scores SCORES --task TASK "
        "--portraits PHOTO … --audio SPEECH",
        files={
            "feeling.safetensors": "8b07cfbe1ec1fa8187a9dab54ba1f881d9ce3c45a0acb3d41ded9428ea4be985",  # noqa: E501
        },
    ),
    "skin": WeightSpec(
        build="python -m talking_face.training.fit.skin --scores SCORES --clips CLIPS",
        files={
            "skin.safetensors": "b464bb0144dd0046e9c8ca5f536b6cf5f14c1f04ef2ffd4c48f302b24e617173",
        },
    ),
    "emotion": WeightSpec(
        build="python -m talking_face.training.fit.emotion --table TABLE --heard HEARD "
        "--cache CACHE",
        files={
            "emotion.safetensors": "d2e3a907f46c812c6e4609e489a78f63d1856faa2a241fe0a58feaf52173dbba",  # noqa: E501
        },
    ),
    "speech_encoder": WeightSpec(
        licence="MIT, copyright OpenAI 2022 (Whisper base, encoder only): LICENSE-whisper",
        build="python -m talking_face.training.fit.encoder_weights ENCODER.safetensors",
        files={
            "speech_encoder-00001-of-00005.safetensors": "0c4999aeaebb990943da0bd617d1282acd3fca3f7d0c7395a9029b1d8a2a146e",  # noqa: E501
            "speech_encoder-00002-of-00005.safetensors": "d85cbc7b2d3d74c45c540e2644424c6fd9ae807e49c26bb5ef5216a57ea2419d",  # noqa: E501
            "speech_encoder-00003-of-00005.safetensors": "11d2f410b78c9248c02190992a104a29e48d7b717115e4d084873171fd451ee7",  # noqa: E501
            "speech_encoder-00004-of-00005.safetensors": "717625c675d7f23ef46ae7f11b995a410fd7077fbf7365663ebece7b48d94e2e",  # noqa: E501
            "speech_encoder-00005-of-00005.safetensors": "65e27dd85a38917e93cab877c3cb9d311060abb994a5a413c11f91033bbd40ba",  # noqa: E501
        },
    ),
    "speech_positions": WeightSpec(
        licence="MIT, as speech_encoder; averages over the training clips",
        build="python -m talking_face.training.fit.encoder_positions CLIPS",
        files={
            "speech_positions.safetensors": "b7a7db1cf0c11580989226267d279d0907b54ec5849420e03939f4cba326c79b",  # noqa: E501
        },
    ),
    "arkit": WeightSpec(
        build="python -m talking_face.training.fit.blendshapes --scores SCORES "
        "--portraits PHOTO … --task TASK --output OUT",
        files={
            "arkit.safetensors": "5d4fdcce40232c694300d2b0053c764385aedbfd3ef827c6e9c4d0c261d711a1",
        },
    ),
    "baseline": WeightSpec(
        build="python -m talking_face.training.fit.listeners --cache CACHE",
        files={
            "baseline.safetensors": "a114a0e9d7c1842c2ef7d1743edff892cb90a1327e7060d3cf91bea8fe4cf92e",  # noqa: E501
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
