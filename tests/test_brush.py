"""What the painters share."""

import numpy as np

from talking_face.picture.brush import soften


def test_softened_pixels_are_the_mean_of_those_around_and_the_others_stay() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    before = image.astype(float)
    soften(image, np.array([4, 4, 0]), np.array([4, 5, 8]))
    assert np.abs(image[4, 4] - before[3:6, 3:6].mean((0, 1))).max() <= 0.5
    assert np.abs(image[4, 5] - before[3:6, 4:7].mean((0, 1))).max() <= 0.5
    assert (image != before).any(2).sum() == 3
    soften(image, np.zeros(0, dtype=int), np.zeros(0, dtype=int))
