"""What the painters share."""

import numpy as np
import pytest

from talking_face.picture.brush import blend, soften


def test_softened_pixels_are_the_mean_of_those_around_and_the_others_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    before = image.astype(float)
    soften(image, np.int32([4, 4, 0]), np.int32([4, 5, 8]))
    assert np.abs(image[4, 4] - before[3:6, 3:6].mean((0, 1))).max() <= 0.5
    assert np.abs(image[4, 5] - before[3:6, 4:7].mean((0, 1))).max() <= 0.5
    assert (image != before).any(2).sum() == 3
    soften(image, np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
def test_colour_is_laid_over_a_part_as_far_as_the_mask_says(kind: type) -> None:
    numbers = np.random.default_rng(1)
    image = numbers.integers(0, 256, (12, 14, 3), dtype=np.uint8)
    before, part = image.astype(float), np.s_[2:9, 3:11]
    colour = numbers.uniform(0, 255, (7, 8, 3)).astype(kind)
    mask = numbers.uniform(size=(7, 8))
    mask[:2] = 0
    blend(image[part], colour, mask)
    expected = before[part] + (colour.astype(float) - before[part]) * mask[..., None]
    assert np.abs(image[part] - expected).max() <= 0.51
    before[part] = image[part]
    assert (image == before).all()


def test_colours_beyond_black_and_white_are_those() -> None:
    image = np.full((2, 2, 3), 128, dtype=np.uint8)
    blend(image, np.float32([[[-90] * 3, [400] * 3]] * 2), np.ones((2, 2)))
    assert image[..., 0].tolist() == [[0, 255], [0, 255]]


def test_colours_and_masks_fit_or_are_refused() -> None:
    image = np.zeros((3, 4, 3), dtype=np.uint8)
    blend(image, np.full((1, 1, 3), 200.0), np.full((3, 1), 0.5))
    assert (image == 100).all()
    with pytest.raises(ValueError, match="broadcast"):
        blend(image, np.zeros((2, 4, 3)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="broadcast"):
        blend(image, np.zeros((3, 4, 3)), np.ones((2, 4)))
