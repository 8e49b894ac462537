"""The same answers wherever the networks run: only where there is a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from synthetic_voice import synthetic_voice

from talking_face.face.model import load_face_model
from talking_face.mapping.dirfa import load_dirfa
from talking_face.mapping.events import load_eyes
from talking_face.mapping.sampler import draw, expected_face
from talking_face.sound.audio import Recording
from talking_face.sound.encoder import load_encoder
from talking_face.sound.speech import listen

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

FEATURES = 1e-2  # of the largest activation
FACE = 5e-3  # standard deviations
MOTION = 5e-3  # of the motion's units


def test_networks_answer_alike_on_a_gpu() -> None:
    recording = Recording(synthetic_voice(12.0))
    model, eyes = load_face_model(), load_eyes()
    heard, faces, motions = [], [], []
    for device in ("cpu", "cuda"):
        speech = listen(recording, load_encoder(device))
        network = load_dirfa(device)
        heard.append(speech.features)
        faces.append(expected_face(network, speech)[:, :22])
        drawn = draw(network, eyes, model, speech, range(4), 0, 1.0)
        motions.append(np.stack([motion.as_array() for motion in drawn]))
    np.testing.assert_allclose(heard[1], heard[0], atol=FEATURES * np.abs(heard[0]).max())
    np.testing.assert_allclose(faces[1], faces[0], atol=FACE)
    np.testing.assert_allclose(motions[1], motions[0], atol=MOTION)
