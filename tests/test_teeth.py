from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from talking_face.face.landmarks import (
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    N_LANDMARKS,
)
from talking_face.picture.mouth.strip import (
    HEIGHT,
    INCISAL_ROW,
    LIP_ROW,
    MIDLINE_COLUMN,
    SPAN,
    WIDTH,
)
from talking_face.picture.mouth.teeth import (
    LATENT,
    TeethGenerator,
    draw_teeth,
    finish_strips,
)
from talking_face.training.data.teeth_strips import Strip, cut_strip, dental_midline, stack_strips
from talking_face.training.fit import teeth as training
from talking_face.weights import weights_folder

TOOTH, GAP, LIP, SKIN, CAVITY = (
    (235, 225, 205),
    (150, 120, 110),
    (180, 80, 85),
    (205, 165, 140),
    (35, 12, 14),
)
EYES = 200.0  # pixels between the outer eye corners of the drawn smile
MIDLINE, EDGE = 256.0, 316.0  # x of its dental midline, y of its incisal edge


@pytest.fixture(scope="module")
def generator() -> TeethGenerator:
    return TeethGenerator.from_weights(load_file(weights_folder() / "teeth.safetensors"))


@pytest.fixture(scope="module")
def cast(generator: TeethGenerator) -> np.ndarray:
    """Every strip that the shipped generator can draw, (n, 48, 128, 4)."""
    with torch.no_grad():
        return finish_strips(generator(generator.cast))


def draw_smile(angle: float = 0.0, teeth: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """A picture (512, 512, 3) of a smile with six upper teeth, and its landmarks."""
    landmarks = np.zeros((N_LANDMARKS, 3), np.float32)
    landmarks[33, :2], landmarks[263, :2] = (256 - EYES / 2, 180), (256 + EYES / 2, 180)
    x = np.linspace(176, 336, len(INNER_LIP_UPPER) + 2)
    bow = 1 - ((x - 256) / 80) ** 2
    first, last = INNER_LIP_CORNERS
    landmarks[[first, *INNER_LIP_UPPER, last], :2] = np.c_[x, 286 + 3 * bow]
    landmarks[list(INNER_LIP_LOWER), :2] = np.c_[x, 286 + 44 * bow][1:-1]

    image = np.full((512, 512, 3), SKIN, np.uint8)
    cv2.ellipse(image, (256, 300), (100, 50), 0, 0, 360, LIP, -1)
    outline = landmarks[[first, *INNER_LIP_UPPER, last, *INNER_LIP_LOWER[::-1]], :2]
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.round(outline).astype(np.int32)], 1)
    interior = np.full_like(image, CAVITY)
    if teeth:
        for left, right in ((-58, -42), (-42, -26), (-26, 0), (0, 26), (26, 42), (42, 58)):
            corners = (int(MIDLINE) + left, 270), (int(MIDLINE) + right - 1, int(EDGE) - 1)
            cv2.rectangle(interior, *corners, GAP, -1)
            corners = (int(MIDLINE) + left + 1, 270), (int(MIDLINE) + right - 2, int(EDGE) - 1)
            cv2.rectangle(interior, *corners, TOOTH, -1)
    image[inside > 0] = interior[inside > 0]

    turn = cv2.getRotationMatrix2D((256, 256), angle, 1.0)
    landmarks[:, :2] = landmarks[:, :2] @ turn[:, :2].T + turn[:, 2]
    return cv2.warpAffine(image, turn, (512, 512), borderValue=SKIN), landmarks


def test_a_seed_is_a_strip(generator: TeethGenerator) -> None:
    strips = [draw_teeth(generator, seed) for seed in range(12)]
    assert np.array_equal(draw_teeth(generator, 3), strips[3])
    for strip in strips:
        assert strip.shape == (HEIGHT, WIDTH, 4)
        assert strip.dtype == np.float32
        assert strip.min() >= 0
        assert strip.max() <= 1
    # Of 32 latent vectors and their mirror images, 12 draws hold 11 different ones on average.
    assert len({strip.tobytes() for strip in strips}) >= 6


def test_a_generator_without_a_cast_says_so() -> None:
    with pytest.raises(ValueError, match="no cast"):
        draw_teeth(TeethGenerator(), 0)


def test_teeth_end_at_the_incisal_edge_and_before_the_ends_of_the_strip(cast: np.ndarray) -> None:
    middle = slice(int(MIDLINE_COLUMN) - 12, int(MIDLINE_COLUMN) + 13)
    alpha = cast[..., 3]
    assert alpha[:, int(LIP_ROW) : int(INCISAL_ROW) - 4, middle].mean(axis=(1, 2)).min() > 0.9
    assert alpha[:, int(INCISAL_ROW) + 6 :, middle].max() < 0.2
    assert alpha[:, :, [0, -1]].max() == 0


def test_a_row_goes_on_behind_the_canines_darker_and_higher(cast: np.ndarray) -> None:
    crowns = cast[:, 18:24]
    assert (crowns[:, :, 8:-8, 3].mean(axis=(1, 2)) > 0.97).mean() > 0.9
    middle = crowns[:, :, 56:72, :3].mean(axis=(1, 2, 3))
    ends = crowns[:, :, [8, 9, 10, -11, -10, -9], :3].mean(axis=(1, 2, 3))
    assert (ends < 0.8 * middle).all()
    lowest = np.array([[np.flatnonzero(s[:, c, 3] > 0.5).max() for c in (12, 63)] for s in cast])
    assert (lowest[:, 0] < lowest[:, 1]).mean() > 0.9


def test_teeth_are_white_apart_and_below_gums(cast: np.ndarray) -> None:
    crowns = cast[:, int(INCISAL_ROW) - 12 : int(INCISAL_ROW) - 2]
    brightness = crowns[..., :3].max(axis=-1)
    assert np.percentile(brightness[:, :, 40:88], 75, axis=(1, 2)).min() > 0.85
    across = crowns[..., :3].mean(axis=(1, 3))  # (n, 128)
    gap = across[:, 62:66].min(axis=1)
    beside = np.minimum(across[:, 50:58].max(axis=1), across[:, 70:78].max(axis=1))
    assert np.mean(gap < beside - 0.03) > 0.8

    def redness(rows: np.ndarray) -> float:
        return float((rows[..., 0] / rows[..., :3].sum(axis=-1)).mean())

    assert redness(cast[:, 6:11, 48:80]) > redness(crowns[:, :, 48:80]) + 0.02


def test_one_white_level_for_all(cast: np.ndarray) -> None:
    for strip in cast:
        brightness = strip[..., :3].max(axis=-1)[strip[..., 3] > 0.5]
        assert np.percentile(brightness, 90) == pytest.approx(0.96, abs=0.02)


@pytest.mark.parametrize("angle", [0.0, 12.0])
def test_cut_strips_are_registered_on_the_teeth(angle: float) -> None:
    strip = cut_strip(*draw_smile(angle))
    assert strip is not None
    assert strip.colour.shape == (HEIGHT, WIDTH, 3)
    scale = WIDTH / (SPAN * EYES)

    covered = strip.alpha[:, 60:68].mean(axis=1)
    assert covered[int(INCISAL_ROW) - 3] > 0.95
    assert covered[int(INCISAL_ROW) + 3] < 0.05
    luma = strip.colour[int(INCISAL_ROW) - 9 : int(INCISAL_ROW) - 3].mean(axis=(0, 2))
    window = slice(int(MIDLINE_COLUMN) - 6, int(MIDLINE_COLUMN) + 8)
    assert window.start + luma[window].argmin() == pytest.approx(MIDLINE_COLUMN, abs=1.5)
    for side in (-26, 26):  # the far edges of the central incisors
        at = round(MIDLINE_COLUMN + side * scale)
        assert luma[at - 2 : at + 3].min() < luma[at - 8 : at + 9].max() - 0.1

    bright = np.percentile(strip.colour[strip.alpha * strip.visible > 0.5].max(axis=1), 90)
    assert bright == pytest.approx(1, abs=0.01)


def test_mouths_without_teeth_give_no_strip() -> None:
    image, landmarks = draw_smile(teeth=False)
    assert cut_strip(image, landmarks) is None
    image, landmarks = draw_smile()
    landmarks[list(INNER_LIP_LOWER)] = landmarks[list(INNER_LIP_UPPER)]
    assert cut_strip(image, landmarks) is None


@pytest.mark.parametrize("offset", [-5.0, 0.0, 3.5])
def test_the_midline_is_the_axis_of_symmetry(offset: float) -> None:
    centre = (WIDTH - 1) / 2 + offset
    away = np.abs(np.arange(WIDTH) - centre)
    teeth = 0.9 - 0.5 * (np.abs(away[:, None] - [0.0, 17.0, 30.0, 43.0]) < 1.2).any(axis=1)
    image = np.broadcast_to(teeth[None, :, None], (HEIGHT, WIDTH, 3)).astype(np.float32)
    found = dental_midline(image, np.ones((HEIGHT, WIDTH), np.float32))
    assert found == pytest.approx(centre, abs=0.5)


def test_strips_are_seen_only_through_the_lips() -> None:
    strips = torch.rand(4, 4, HEIGHT, WIDTH)
    visible = torch.zeros(4, 1, HEIGHT, WIDTH)
    hidden = training.look(strips, visible, torch.Generator().manual_seed(0))
    assert hidden.abs().max() == 0
    visible[:, :, 20:30, 40:90] = 1
    seen = training.look(strips, visible, torch.Generator().manual_seed(0))
    assert seen[:, 4].mean() == pytest.approx(500 / (HEIGHT * WIDTH), rel=0.2)
    assert seen[:, :4][seen[:, 4:].expand(-1, 4, -1, -1) == 0].abs().max() == 0


@pytest.mark.slow
def test_training_learns_is_repeatable_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "BATCH", 4)
    strip = cut_strip(*draw_smile())
    assert strip is not None
    strips = stack_strips([strip, Strip(strip.colour * 0.9, strip.alpha, strip.visible)])
    assert strips.shape == (4, 5, HEIGHT, WIDTH)
    np.testing.assert_array_equal(strips[2], strips[0][:, :, ::-1])
    strips = strips.astype(np.float16).astype(np.float32)  # as a checkpoint keeps them

    straight = training.Trainer(strips, seed=5)
    before = straight.generator.last.weight.detach().clone()
    losses = [straight.advance() for _ in range(3)]
    assert not torch.equal(before, straight.generator.last.weight)

    halted = training.Trainer(strips, seed=5)
    assert halted.advance() == pytest.approx(losses[0], rel=1e-4)
    halted.save(tmp_path / "checkpoint.pt")
    resumed = training.Trainer.resume(tmp_path / "checkpoint.pt")
    assert [resumed.advance() for _ in range(2)] == [pytest.approx(x, rel=1e-3) for x in losses[1:]]
    assert resumed.step == 3


def test_a_broken_row_of_teeth_is_odder(cast: np.ndarray) -> None:
    even = cast[:6]
    even = np.where(np.arange(WIDTH)[:, None] < WIDTH // 2, even, even[:, :, ::-1])
    broken = even.copy()
    broken[:, 28:, 70:84, 3] = 0  # half an incisor is gone
    broken[:, :, 70:84, :3] *= 0.6
    scores, worse = training.oddness(even), training.oddness(broken)
    assert (worse[:, 0] > scores[:, 0] + 0.05).all()
    assert (worse[:, 1] > scores[:, 1]).all()


def test_latents_move_the_drawing(generator: TeethGenerator) -> None:
    latents = torch.randn(8, LATENT, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        drawn = generator(latents)
    assert drawn.shape == (8, 4, HEIGHT, WIDTH)
    apart = (drawn[:, None] - drawn[None]).abs().mean(dim=(2, 3, 4))
    assert apart[~torch.eye(8, dtype=torch.bool)].min() > 0.005
