"""One frame of a head as Wavefront OBJ, with its material and texture beside it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from talking_face.arrays import Array
from talking_face.files import writing
from talking_face.head.gltf import AXES, JPEG_QUALITY, METRES, SYNTHETIC
from talking_face.head.head import Head


def write_obj(head: Head, displacement: Array, path: Path) -> list[Path]:
    """Write NAME.obj, NAME.mtl and NAME_texture.jpg, in the axes and units of the glb.

    Args:
        displacement: (478, 3) of the landmarks from rest, canonical; the head looks ahead.

    Returns:
        The three paths, the obj's first.

    Raises:
        OutputUnwritable.
    """
    material = path.with_suffix(".mtl")
    texture = path.with_name(f"{path.stem}_texture.jpg")
    points = (head.points + head.spread @ displacement) * AXES * METRES
    lines = [f"# {SYNTHETIC}", f"mtllib {material.name}", "usemtl head"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in points]
    lines += [f"vt {u:.6f} {1 - v:.6f}" for u, v in head.uv]
    for name, triangles in (("face", head.face), ("relief", head.relief)):
        lines.append(f"g {name}")
        lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in triangles[:, ::-1] + 1]
    with writing(path) as hidden:
        hidden.write_text("\n".join(lines) + "\n", encoding="ascii")
    look = f"# {SYNTHETIC}\nnewmtl head\nKa 0 0 0\nKd 1 1 1\nillum 0\nmap_Kd {texture.name}\n"
    with writing(material) as hidden:
        hidden.write_text(look, encoding="ascii")
    quality = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(head.atlas[..., ::-1]), quality)
    with writing(texture) as hidden:
        hidden.write_bytes(jpeg.tobytes())
    return [path, material, texture]
