"""Bring the published speech encoder into `weights/`: half precision, in shards below 10 MB.

Run as `python -m talking_face.training.fit.encoder_weights SOURCE`, where SOURCE is a safetensors
file with the encoder of Whisper base. It prints the checksums for the registry in `weights.py`.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from talking_face.arrays import Array
from talking_face.weights import weights_folder

SHARD_BYTES = 9_500_000  # hosts of plain git repositories refuse files above 10 MB


def shard(tensors: dict[str, Array], limit: int = SHARD_BYTES) -> list[dict[str, Array]]:
    """Divide tensors, in their order, into groups of at most `limit` bytes.

    Raises:
        ValueError: one tensor alone is larger than the limit.
    """
    shards: list[dict[str, Array]] = [{}]
    room = limit
    for name, tensor in tensors.items():
        if tensor.nbytes > limit:
            raise ValueError(f"{name} alone has {tensor.nbytes} bytes, more than {limit}")
        if tensor.nbytes > room:
            shards.append({})
            room = limit
        shards[-1][name] = tensor
        room -= tensor.nbytes
    return shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="safetensors file of the encoder")
    source = parser.parse_args().source

    tensors = {name: tensor.astype(np.float16) for name, tensor in load_file(source).items()}
    shards = shard(tensors)
    for index, part in enumerate(shards, start=1):
        path = weights_folder() / f"speech_encoder-{index:05d}-of-{len(shards):05d}.safetensors"
        content = save(part, {"licence": "MIT, copyright OpenAI 2022"})
        path.write_bytes(content)
        print(f'"{path.name}": "{hashlib.sha256(content).hexdigest()}",')


if __name__ == "__main__":
    main()
