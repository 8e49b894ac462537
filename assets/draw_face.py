"""Draws assets/portraits/drawn.jpg: a painted face that the face tracker accepts.

    python assets/draw_face.py assets/portraits/drawn.jpg

Shapes are closed curves through a few points, filled with a colour, softened and laid over each
other like glazes, from the background to the highlights. Coordinates are pixels of a 640 × 640
picture; the face looks straight ahead, so most shapes come with their mirror image.
"""

import argparse

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 640
GRAIN = 2  # drawn larger, then scaled down
MIDDLE = 320  # the face's line of symmetry

SKIN, SHADE, LIGHT = (226, 172, 140), (176, 112, 88), (246, 208, 180)
HAIR, HAIR_LIGHT = (74, 40, 30), (132, 78, 50)
COAT, COLLAR = (44, 84, 104), (232, 222, 204)
LIP, LIP_DARK = (188, 84, 82), (112, 44, 48)
BROW, LASHES, IRIS = (66, 38, 28), (40, 24, 22), (70, 104, 84)


def curve(points: list[tuple[float, float]], steps: int = 16) -> list[tuple[float, float]]:
    """A closed Catmull-Rom spline through the points."""
    corners = np.array(points, dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    smooth = []
    for i in range(len(corners)):
        a, b, c, d = (corners[(i + k) % len(corners)] for k in (-1, 0, 1, 2))
        smooth.append(
            b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
        )
    return [tuple(point) for point in np.concatenate(smooth)]


def mirrored(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(2 * MIDDLE - x, y) for x, y in points]


class Canvas:
    """A picture that takes one glaze after the other."""

    def __init__(self, top: tuple[int, int, int], bottom: tuple[int, int, int]) -> None:
        ramp = np.linspace(0, 1, SIDE * GRAIN)[:, None, None]
        rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
        self.image = Image.fromarray(np.repeat(rows, SIDE * GRAIN, axis=1).astype(np.uint8))

    def glaze(
        self,
        points: list[tuple[float, float]],
        colour: tuple[int, int, int],
        blur: float = 0.7,
        opacity: float = 1.0,
        both: bool = False,
        inside: list[tuple[float, float]] | None = None,
    ) -> None:
        """Fill the curve; `both` adds its mirror image, `inside` keeps the glaze in another."""
        mask = self._mask([points, mirrored(points)] if both else [points], blur)
        if inside is not None:
            frames = [inside, mirrored(inside)] if both else [inside]
            mask = np.minimum(mask, self._mask(frames, 0.7))
        alpha = Image.fromarray((mask * opacity).astype(np.uint8))
        self.image.paste(Image.new("RGB", self.image.size, colour), mask=alpha)

    def _mask(self, shapes: list[list[tuple[float, float]]], blur: float) -> np.ndarray:
        mask = Image.new("L", self.image.size)
        for points in shapes:
            outline = [(x * GRAIN, y * GRAIN) for x, y in curve(points)]
            ImageDraw.Draw(mask).polygon(outline, fill=255)
        return np.asarray(mask.filter(ImageFilter.GaussianBlur(blur * GRAIN)), dtype=float)


FACE = [
    (320, 160), (378, 172), (416, 216), (424, 280), (418, 340), (398, 396), (362, 438), (320, 452),
    (278, 438), (242, 396), (222, 340), (216, 280), (224, 216), (262, 172),
]  # fmt: skip
EYE = [
    (246, 297),
    (258, 288),
    (272, 284),
    (288, 288),
    (300, 299),
    (286, 305),
    (270, 307),
    (256, 304),
]


def circle(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    return [(x + radius * np.cos(turn), y + radius * np.sin(turn)) for turn in turns]


def paint_body(canvas: Canvas) -> None:
    canvas.glaze(
        [(320, 110), (450, 180), (462, 330), (446, 500), (194, 500), (178, 330), (190, 180)],
        HAIR,
        3,
    )
    canvas.glaze(
        [(40, 660), (70, 590), (180, 540), (320, 530), (460, 540), (570, 590), (600, 660)],
        COAT,
        1.5,
    )
    canvas.glaze(
        [(262, 400), (378, 400), (384, 500), (414, 545), (320, 600), (226, 545), (256, 500)],
        SKIN,
        1.5,
    )
    canvas.glaze([(262, 420), (378, 420), (380, 470), (320, 520), (260, 470)], SHADE, 12, 0.75)
    canvas.glaze([(150, 660), (180, 600), (214, 560), (250, 660)], (30, 60, 78), 8, 0.6, both=True)
    canvas.glaze([(226, 530), (262, 520), (318, 606), (300, 660), (200, 600)], COLLAR, 1, both=True)


def paint_face(canvas: Canvas) -> None:
    ear = [(214, 280), (202, 276), (196, 300), (204, 336), (220, 350), (226, 310)]
    canvas.glaze(ear, SKIN, 1.2, both=True)
    canvas.glaze([(212, 292), (204, 296), (210, 326), (220, 332)], SHADE, 3, 0.6, both=True)
    canvas.glaze(FACE, SKIN, 1.2)
    side = [(216, 200), (248, 220), (244, 300), (262, 380), (300, 440), (250, 440), (205, 330)]
    canvas.glaze(side, SHADE, 14, 0.55, both=True, inside=FACE)
    canvas.glaze([(270, 190), (370, 190), (384, 240), (320, 262), (256, 240)], LIGHT, 16, 0.7)
    canvas.glaze(
        [(238, 330), (262, 318), (292, 340), (280, 368), (250, 364)], LIGHT, 11, 0.55, both=True
    )
    canvas.glaze(
        [(236, 350), (262, 340), (284, 358), (262, 382)], (214, 118, 98), 13, 0.35, both=True
    )
    canvas.glaze([(296, 424), (344, 424), (346, 444), (294, 444)], LIGHT, 7, 0.5)


def paint_nose(canvas: Canvas) -> None:
    canvas.glaze(
        [(298, 286), (308, 276), (309, 320), (300, 346), (292, 330)], SHADE, 6, 0.4, both=True
    )
    canvas.glaze([(314, 276), (326, 276), (329, 330), (320, 350), (311, 330)], LIGHT, 4, 0.8)
    canvas.glaze([(290, 350), (300, 340), (304, 356), (294, 362)], SHADE, 3, 0.65, both=True)
    canvas.glaze([(300, 359), (308, 355), (314, 361), (306, 364)], LIP_DARK, 1.6, 0.8, both=True)
    canvas.glaze([(298, 364), (342, 364), (330, 371), (310, 371)], SHADE, 3, 0.6)


def paint_eyes(canvas: Canvas) -> None:
    canvas.glaze(
        [(238, 292), (272, 264), (306, 286), (300, 302), (246, 300)], SHADE, 6, 0.55, both=True
    )
    canvas.glaze(EYE, (240, 234, 226), 0.7, both=True)
    canvas.glaze(circle(273, 295, 12.5), IRIS, 0.7, both=True, inside=EYE)
    canvas.glaze(circle(273, 299, 8), (132, 164, 128), 3, 0.6, both=True, inside=EYE)
    canvas.glaze(circle(273, 295, 5.2), (16, 12, 12), 0.6, both=True, inside=EYE)
    lid = [
        (244, 298),
        (256, 285),
        (272, 280),
        (290, 285),
        (302, 299),
        (286, 290),
        (272, 286),
        (258, 290),
    ]
    canvas.glaze(lid, LASHES, 0.8, both=True)
    canvas.glaze([(250, 304), (270, 309), (288, 307), (270, 311)], LASHES, 1, 0.45, both=True)
    canvas.glaze([(248, 280), (270, 270), (296, 280), (270, 274)], SHADE, 1.5, 0.8, both=True)
    for x in (269, 363):
        canvas.glaze(circle(x, 291, 2.4), (255, 255, 255), 0.5)
    brow = [(234, 268), (256, 252), (284, 252), (302, 262), (284, 260), (256, 260)]
    canvas.glaze(brow, BROW, 1.6, 0.9, both=True)


def paint_mouth(canvas: Canvas) -> None:
    upper = [
        (282, 397),
        (304, 389),
        (314, 387),
        (320, 390),
        (326, 387),
        (336, 389),
        (358, 397),
        (340, 400),
        (320, 401),
        (300, 400),
    ]
    lower = [
        (282, 397),
        (300, 399),
        (320, 401),
        (340, 399),
        (358, 397),
        (342, 411),
        (320, 416),
        (298, 411),
    ]
    canvas.glaze([(290, 408), (350, 408), (340, 426), (300, 426)], SHADE, 5, 0.6)
    canvas.glaze(upper, (168, 70, 72), 1)
    canvas.glaze(lower, LIP, 1)
    canvas.glaze([(304, 405), (336, 405), (330, 411), (310, 411)], (232, 150, 142), 3, 0.6)
    canvas.glaze(
        [
            (280, 397),
            (300, 399),
            (320, 400.5),
            (340, 399),
            (360, 397),
            (340, 401),
            (320, 402),
            (300, 401),
        ],
        LIP_DARK,
        0.8,
        0.9,
    )


def paint_hair(canvas: Canvas) -> None:
    front = [
        (322, 196), (300, 200), (262, 212), (236, 250), (224, 300), (206, 330), (184, 400),
        (180, 300), (194, 190), (250, 124), (330, 112), (400, 130), (446, 190), (460, 300),
        (456, 400), (434, 330), (416, 300), (404, 250), (376, 208), (344, 190),
    ]  # fmt: skip
    canvas.glaze(front, HAIR, 2)
    shine = [
        (320, 136), (266, 150), (222, 214), (204, 300), (220, 210), (262, 156),
    ]  # fmt: skip
    canvas.glaze(shine, HAIR_LIGHT, 9, 0.8, both=True, inside=front)
    locks = [(184, 380), (206, 350), (216, 430), (212, 500), (196, 536), (178, 490)]
    canvas.glaze(locks, HAIR, 2, both=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the painted portrait of assets/.")
    parser.add_argument("output", help="the .jpg to write")
    output = parser.parse_args().output
    canvas = Canvas((132, 142, 128), (86, 82, 88))
    canvas.glaze([(60, 60), (420, 20), (600, 260), (380, 420), (90, 300)], (168, 172, 150), 60, 0.7)
    for layer in (paint_body, paint_face, paint_nose, paint_eyes, paint_mouth, paint_hair):
        layer(canvas)
    picture = np.asarray(canvas.image.reduce(GRAIN), dtype=float)
    weave = np.random.default_rng(0).normal(0, 1.5, (SIDE, SIDE, 1))  # a hint of canvas
    picture = np.clip(picture + weave, 0, 255).astype(np.uint8)
    Image.fromarray(picture).save(output, quality=92)


if __name__ == "__main__":
    main()
