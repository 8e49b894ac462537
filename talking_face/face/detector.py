"""insightface's own face detector, for whoever has put its models in place.

Nothing is downloaded: the packs (buffalo_l and others) are licensed for non-commercial research
only, so their owner decides. Without one, MediaPipe finds the faces.
"""

from __future__ import annotations

import logging
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from talking_face.arrays import Array
from talking_face.errors import OptionInvalid, WeightsCorrupt, WeightsMissing
from talking_face.face.landmarks import interocular, mesh_in_box
from talking_face.options import shown
from talking_face.weights import weights_folder

VARIABLE = "TALKING_FACE_INSIGHTFACE"  # environment variable naming a pack's folder
LICENCE = "insightface's model packs are for non-commercial research use only"
INPUT = (640, 640)  # pixels, the size at which the detector looks at a photo

logger = logging.getLogger(__name__)


def find_pack(folder: str | Path | None = None) -> Path | None:
    """The pack's folder: the argument, $TALKING_FACE_INSIGHTFACE, or `weights/insightface/`.

    Returns:
        None where no pack was asked for and none is there.

    Raises:
        WeightsMissing: a folder was named, but it holds no .onnx model.
    """
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise WeightsMissing(
            f"insightface models can't be read from {shown(folder)}. Give the path of their folder."
        )
    named = folder or os.environ.get(VARIABLE)
    path = Path(named) if named else weights_folder() / "insightface"
    if any(path.glob("*.onnx")):
        return path
    if named:
        raise WeightsMissing(
            f"The folder {path} holds no insightface models (.onnx). Put the files of a model "
            "pack there, or leave the setting out to find faces with MediaPipe."
        )
    return None


@lru_cache(maxsize=1)
def _detector(folder: Path) -> Any:
    try:
        from insightface.model_zoo import get_model
    except ImportError as error:
        raise OptionInvalid(
            f"The models in {folder} need the package insightface, which isn't installed. Install "
            "it, or leave the models out to find faces with MediaPipe."
        ) from error
    for path in sorted(folder.glob("*.onnx")):
        model = get_model(str(path), providers=["CPUExecutionProvider"])
        if getattr(model, "taskname", None) == "detection":
            model.prepare(ctx_id=-1, input_size=INPUT)
            logger.warning("finding faces with %s: %s", path.name, LICENCE)
            return model
    raise WeightsCorrupt(
        f"None of the models in {folder} is a face detector. Use a complete insightface pack, "
        "for example one with det_10g.onnx."
    )


def detect_faces_with_pack(image: Array, folder: Path) -> list[Array]:
    """Landmarks (478, 3) of the faces that insightface finds, largest first, pixels.

    Args:
        image: (H, W, 3) uint8 RGB.
        folder: of `find_pack`.

    Raises:
        OptionInvalid: insightface isn't installed.
        WeightsCorrupt: none of the models is a face detector.
    """
    boxes, _ = _detector(folder).detect(np.ascontiguousarray(image[..., ::-1]))
    faces = [face for box in boxes if (face := mesh_in_box(image, tuple(box[:4]))) is not None]
    return sorted(faces, key=lambda face: -float(interocular(face)))
