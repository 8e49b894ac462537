"""Average the speech encoder's activations at each position of its window, over speech.

Run as `python -m talking_face.training.fit.encoder_positions CLIPS`, where CLIPS is a folder with a
`manifest.csv`. Takes about two minutes. Prints the checksum for the registry in `weights.py`.
"""

from __future__ import annotations

import argparse
import hashlib

import numpy as np
import torch
from safetensors.numpy import save
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.sound.audio import load_audio
from talking_face.sound.encoder import MEL_RATE, WINDOW_SECONDS, SpeechEncoder, log_mel
from talking_face.training.data.clips import read_manifest
from talking_face.weights import load_weights, weights_folder

WINDOWS = 400
_COLUMNS = WINDOW_SECONDS * MEL_RATE


@torch.inference_mode()
def average_activations(encoder: SpeechEncoder, mel: Array, windows: int) -> Array:
    """Mean of `encoder` over windows at random places of a long spectrogram.

    Args:
        encoder: any.
        mel: (80, m) float32, much longer than a window.
        windows: how many.

    Returns:
        (6, 500, 512) float32.
    """
    rng = np.random.default_rng(0)
    starts = rng.integers(0, mel.shape[1] - _COLUMNS, windows)
    total = sum(
        encoder(torch.from_numpy(mel[None, :, start : start + _COLUMNS]))[0].double()
        for start in tqdm(starts)
    )
    return (total / windows).float().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", help="folder with a manifest.csv")
    folder = parser.parse_args().clips

    clips = [c for c in read_manifest(folder) if c.has_audio and c.split == "train"]
    spectrograms = [log_mel(load_audio(clip.path).waveform) for clip in tqdm(clips)]
    encoder = SpeechEncoder()
    tensors = load_weights("speech_encoder")
    encoder.load_state_dict(
        {name: torch.from_numpy(array.astype(np.float32)) for name, array in tensors.items()},
        strict=False,  # `typical` is what we are about to make
    )
    mean = average_activations(encoder, np.concatenate(spectrograms, axis=1), WINDOWS)
    content = save({"typical": mean.astype(np.float16)})
    path = weights_folder() / "speech_positions.safetensors"
    path.write_bytes(content)
    print(f'"{path.name}": "{hashlib.sha256(content).hexdigest()}"')


if __name__ == "__main__":
    main()
