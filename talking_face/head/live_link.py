"""ARKit's curves as files: Live Link Face's CSV, and JSON for scripts of Blender, Unity and VRM.

The CSV has no place for words: readers take every line for a frame and every column for a shape. So
the JSON says for both that they are synthetic, and names the CSV with its SHA-256.

The CSV has Timecode, BlendShapeCount and the 61 columns of the app: 52 blendshapes (0..1), then
yaw, pitch and roll of head and eyes in radians. Yaw is positive to the picture's right, pitch
downwards, roll clockwise, as everywhere in this package; the head's are from the photo's pose.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

from talking_face.arrays import Array
from talking_face.face.model import rotation_angles
from talking_face.files import writing
from talking_face.head.gltf import SYNTHETIC
from talking_face.head.names import ARKIT
from talking_face.head.performance import Performance
from talking_face.motion import FPS

PARTS = ("Head", "LeftEye", "RightEye")
ANGLES = tuple(f"{part}{axis}" for part in PARTS for axis in ("Yaw", "Pitch", "Roll"))
COLUMNS = (*(name[0].upper() + name[1:] for name in ARKIT), *ANGLES)


def write_live_link(performance: Performance, gaze: Array, path: Path) -> Path:
    """Write the CSV.

    Args:
        gaze: (frames, 2) degrees.

    Raises:
        OutputUnwritable.
    """
    rows = [",".join(("Timecode", "BlendShapeCount", *COLUMNS))]
    values = np.concatenate([performance.curves.weights, _angles(performance, gaze)], axis=1)
    for index, row in enumerate(values):
        minutes, seconds = divmod(index // FPS, 60)
        time = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}:{index % FPS:02d}.000"
        rows.append(",".join((time, str(len(COLUMNS)), *(f"{value:.6f}" for value in row))))
    with writing(path) as hidden:
        hidden.write_text("\n".join(rows) + "\n", encoding="ascii")
    return path


def write_curves(performance: Performance, gaze: Array, path: Path, table: Path) -> Path:
    """Write the JSON: names, and one list of numbers a frame; raises as `write_live_link`.

    Args:
        table: the finished CSV, for which the JSON speaks, too.
    """
    angles = _angles(performance, gaze)
    told = {
        "generator": "talking_face",
        "synthetic": True,
        "note": SYNTHETIC,
        "sha256": {table.name: hashlib.sha256(table.read_bytes()).hexdigest()},
        "fps": FPS,
        "blendShapeNames": list(ARKIT),
        "frames": [[round(float(value), 5) for value in row] for row in performance.curves.weights],
        "angleNames": list(ANGLES),
        "angles": [[round(float(value), 5) for value in row] for row in angles],
        "residual": round(performance.curves.residual, 4),
    }
    with writing(path) as hidden:
        hidden.write_text(json.dumps(told), encoding="ascii")
    return path


def _angles(performance: Performance, gaze: Array) -> Array:
    """(frames, 9) radians, in the order of `ANGLES`."""
    photo = performance.head.pose.rotation
    turns = np.stack([pose.rotation @ photo.T for pose in performance.poses])
    eyes = np.concatenate([gaze, np.zeros((len(gaze), 1))], axis=1)
    return np.radians(np.concatenate([rotation_angles(turns), eyes, eyes], axis=1))
