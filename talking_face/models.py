"""Everything that was learned and is used to make clips, loaded from `weights/` in one go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from talking_face.arrays import Float32
from talking_face.editing.expression import ExpressionModel, load_expression
from talking_face.errors import OptionInvalid
from talking_face.face.model import FaceModel, load_face_model
from talking_face.head.blendshapes import load_blendshapes
from talking_face.live.chorus import LiveEar, load_live_ear
from talking_face.mapping.dirfa import Dirfa, load_dirfa
from talking_face.mapping.events import EyeModel, load_eyes
from talking_face.options import shown
from talking_face.picture.mouth.shading import MouthLight, load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator
from talking_face.picture.skin import SkinModel, load_skin
from talking_face.sound.emotion import EmotionNetwork, load_emotion
from talking_face.sound.encoder import SpeechEncoder, load_encoder
from talking_face.weights import load_weights


@dataclass(frozen=True, eq=False)
class Models:
    """The models of an `Animator`.

    Attributes:
        face: the linear face model, the geometry of every motion.
        ear: hears the phones.
        emotion: hears what is felt.
        mapping: the DIRFA network, speech to motion.
        expression: what moods do to a face.
        eyes: blinks and glances.
        teeth: draws a row for photos that show none.
        mouth_light: lights the inside of the mouth.
        arkit: (52, 478, 3) what the blendshapes of a head move.
        skin: folds the skin as expressions do.
        insightface_pack: folder of an insightface pack that finds the faces; None for MediaPipe.
    """

    face: FaceModel
    ear: SpeechEncoder
    emotion: EmotionNetwork
    mapping: Dirfa
    expression: ExpressionModel
    eyes: EyeModel
    teeth: TeethGenerator
    mouth_light: MouthLight
    arkit: Float32
    skin: SkinModel
    insightface_pack: Path | None = None

    @cached_property
    def live_ear(self) -> LiveEar:
        """Hears for live faces, before it is known how the sound goes on.

        Raises:
            WeightsMissing, WeightsCorrupt.
        """
        return load_live_ear(self.ear, self.mapping)


def load_models(device: str, insightface_pack: Path | None = None) -> Models:
    """The shipped models; those that hear and draw on the device.

    Raises:
        WeightsMissing, WeightsCorrupt.
    """
    return Models(
        face=load_face_model(),
        ear=load_encoder(device),
        emotion=load_emotion(),
        mapping=load_dirfa(device),
        expression=load_expression(),
        eyes=load_eyes(),
        teeth=TeethGenerator.from_weights(load_weights("teeth")),
        mouth_light=load_mouth_light(),
        arkit=load_blendshapes(),
        skin=load_skin(),
        insightface_pack=insightface_pack,
    )


def find_device(device: Any) -> str:
    """The name of a device that is there: "cpu", "cuda" or "cuda:1".

    Args:
        device: such a name, or torch's record of one; None takes a GPU where there is one.

    Raises:
        OptionInvalid.
    """
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    name = str(device) if isinstance(device, str | torch.device) else ""
    match = re.fullmatch(r"(cpu|cuda)(?::(\d{1,3}))?", name, re.ASCII)
    if not match:
        raise OptionInvalid(
            f'There is no device {shown(device)}. Use "cpu" or "cuda", or leave the device out.'
        )
    if match[1] == "cpu":
        return "cpu"
    if int(match[2] or 0) >= torch.cuda.device_count():
        raise OptionInvalid(
            f'There is no GPU for the device "{name}". Use "cpu", or leave the device out.'
        )
    return name
