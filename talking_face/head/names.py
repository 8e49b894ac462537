"""Names that others read: ARKit's 52 blendshapes, and the 15 visemes of Oculus' lip sync."""

from __future__ import annotations

# In the order of Live Link Face's files. Left and right are the person's own, as ARKit has it.
ARKIT = tuple(
    """eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft
    eyeWideLeft eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight
    eyeSquintRight eyeWideRight jawForward jawRight jawLeft jawOpen mouthClose mouthFunnel
    mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight mouthFrownLeft mouthFrownRight
    mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight mouthRollLower
    mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight
    mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight browDownLeft
    browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight noseSneerLeft noseSneerRight tongueOut""".split()
)

# Each viseme as blendshapes at full strength; a name without a side means both.
VISEMES: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": {"mouthPress": 0.5, "mouthRollLower": 0.35, "mouthRollUpper": 0.3},
    "FF": {"jawOpen": 0.08, "mouthRollLower": 0.6, "mouthUpperUp": 0.25},
    "TH": {"jawOpen": 0.2, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15},
    "DD": {"jawOpen": 0.15, "mouthLowerDown": 0.3, "mouthUpperUp": 0.15, "mouthStretch": 0.1},
    "kk": {"jawOpen": 0.2, "mouthLowerDown": 0.25, "mouthUpperUp": 0.1},
    "CH": {"jawOpen": 0.1, "mouthFunnel": 0.6, "mouthPucker": 0.15},
    "SS": {"jawOpen": 0.05, "mouthStretch": 0.3, "mouthLowerDown": 0.3, "mouthUpperUp": 0.15},
    "nn": {"jawOpen": 0.15, "mouthLowerDown": 0.2, "mouthUpperUp": 0.1},
    "RR": {"jawOpen": 0.15, "mouthFunnel": 0.4, "mouthPucker": 0.2},
    "aa": {"jawOpen": 0.55, "mouthLowerDown": 0.2, "mouthUpperUp": 0.15},
    "E": {"jawOpen": 0.25, "mouthStretch": 0.25, "mouthSmile": 0.2, "mouthLowerDown": 0.25},
    "ih": {"jawOpen": 0.15, "mouthStretch": 0.25, "mouthSmile": 0.25, "mouthLowerDown": 0.2},
    "oh": {"jawOpen": 0.35, "mouthFunnel": 0.55, "mouthPucker": 0.2},
    "ou": {"jawOpen": 0.15, "mouthFunnel": 0.3, "mouthPucker": 0.75},
}


def mirrored(name: str) -> str:
    """The blendshape of the other side; itself where it has no side."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def viseme_weights(name: str) -> dict[str, float]:
    """A viseme as weights of the names in `ARKIT`."""
    weights: dict[str, float] = {}
    for shape, weight in VISEMES[name].items():
        sides = [shape] if shape in ARKIT else [f"{shape}Left", f"{shape}Right"]
        weights |= dict.fromkeys(sides, weight)
    return weights
