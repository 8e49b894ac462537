"""The encoder against numbers of an independent runtime.

`data/whisper_reference.npz` was made once with the PyPI package openai-whisper 20250625: its own
spectrogram (`whisper.audio.log_mel_spectrogram`) and its own `whisper.model.AudioEncoder`, holding
the same weights, heard `synthetic_voice(2.0)`; kept are every 8th band and 10th column of the
spectrogram, and every 10th position and 32nd channel of the six outputs. The two agreed to 1e-5
on the machine that made it; the tolerance leaves room for other processors.
"""

from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic_voice import RATE, synthetic_voice

from talking_face.sound.encoder import SpeechEncoder, load_encoder, log_mel, positions

REFERENCE = Path(__file__).parent / "data" / "whisper_reference.npz"
TOLERANCE = 2e-3  # outputs reach 50


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    return load_encoder()


def as_batch(waveform: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(log_mel(waveform))[None]


def test_spectrogram_agrees_with_whispers() -> None:
    with np.load(REFERENCE) as reference:
        mel = log_mel(synthetic_voice(2.0))
        assert mel.shape == (80, 200)
        np.testing.assert_allclose(mel[::8, ::10], reference["mel"], atol=TOLERANCE)


def test_outputs_of_all_blocks_agree_with_whispers(encoder: SpeechEncoder) -> None:
    with np.load(REFERENCE) as reference, torch.inference_mode():
        outputs = encoder(as_batch(synthetic_voice(2.0)))[0].numpy()
        assert outputs.shape == (6, 100, 512)
        expected = reference["outputs"]
        np.testing.assert_allclose(outputs[:, ::10, ::32], expected, atol=TOLERANCE)
        assert np.abs(expected).max() > 1  # the reference itself says something


def test_position_code_is_sines_then_cosines() -> None:
    code = positions(500).numpy()
    assert code.shape == (500, 512)
    np.testing.assert_allclose(code[:, 0], np.sin(np.arange(500)), atol=1e-4)
    np.testing.assert_allclose(code[:, 256], np.cos(np.arange(500)), atol=1e-4)
    np.testing.assert_allclose(code[:, 255], np.sin(np.arange(500) / 10_000), atol=1e-6)


def test_a_batch_is_heard_as_its_members_are(encoder: SpeechEncoder) -> None:
    voice = synthetic_voice(4.0)
    both = torch.cat([as_batch(voice[: 2 * RATE]), as_batch(voice[2 * RATE :])])
    with torch.inference_mode():
        together = encoder.hear(both)
        alone = torch.cat([encoder.hear(both[:1]), encoder.hear(both[1:])])
    torch.testing.assert_close(together, alone, atol=TOLERANCE, rtol=0)


def test_what_is_heard_hardly_depends_on_where_in_the_window_it_is(encoder: SpeechEncoder) -> None:
    voice = synthetic_voice(9.0)
    shift = 153  # positions at 50 Hz
    inner = slice(25, 100)
    early, late = as_batch(voice[shift * RATE // 50 :]), as_batch(voice)

    def agreement(listen) -> np.ndarray:  # correlation in each block, (6,)
        with torch.inference_mode():
            pairs = torch.stack([listen(early)[0, :, inner], listen(late)[0, :, shift:][:, inner]])
        return np.array([np.corrcoef(pairs[:, k].flatten(1))[0, 1] for k in range(6)])

    raw, heard = agreement(encoder.forward), agreement(encoder.hear)
    assert heard[0] > 0.95 > 0.6 > raw[0]
    assert heard.mean() > raw.mean() + 0.1
    assert heard.min() > 0.75
