"""Cutting out the part of a photo that is animated."""

import numpy as np
import pytest

from talking_face.face.face import Face, fit_face
from talking_face.face.model import Pose, load_face_model
from talking_face.picture import matte
from talking_face.picture.plate import CROP_SIDE, cut_plate


def face_at(x: float, y: float, unit: float, height: int, width: int) -> Face:
    """The mean face somewhere in a photo of noise that is nowhere dark."""
    model = load_face_model()
    photo = np.random.default_rng(0).integers(100, 160, (height, width, 3), dtype=np.uint8)
    marks = Pose(np.eye(3), np.array(unit), np.array([x, y, 0.0])).project(model.mean)
    return fit_face(photo, [marks.astype(np.float32)], model)


@pytest.mark.parametrize("place", [(20, 20), (300, 10), (290, 195)])
@pytest.mark.parametrize(("unit", "size"), [(30, 115), (70, 333), (400, 512)])
def test_a_crop_never_reaches_beyond_the_photo(
    place: tuple[int, int], unit: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even around a face so far at the edge that it would be refused."""
    monkeypatch.setattr("talking_face.face.face._cut_off", lambda *_: False)
    plate = cut_plate(face_at(*place, unit, 201, 307), "crop", size)
    assert plate.image.shape == (size // 2 * 2, size // 2 * 2, 3)
    assert plate.image.min() > 40


def test_a_crop_at_the_photos_own_scale_is_a_copy_of_its_pixels() -> None:
    face = face_at(101.3, 95.1, 200 / CROP_SIDE * 2, 200, 230)  # as large as the photo is high
    plate = cut_plate(face, "crop", 200)
    places = [left for left in range(31) if (plate.image == face.photo[:, left : left + 200]).all()]
    assert len(places) == 1
    marks = plate.pose.project(face.shape)
    np.testing.assert_allclose(marks[:, 0], face.landmarks[:, 0] - places[0], atol=1e-3)
    np.testing.assert_allclose(marks[:, 1], face.landmarks[:, 1], atol=1e-3)


def test_a_head_that_the_photo_cuts_off_goes_on_round(monkeypatch: pytest.MonkeyPatch) -> None:
    face = face_at(150, 200, 60, 300, 300)
    rows, columns = np.mgrid[:300, :300]
    widths = []
    for top in (2, -8, -25):  # of the hair; the photo cuts the latter two off
        head = np.hypot((columns - 150) / 60, (rows - top - 130) / 130) < 1
        monkeypatch.setattr(matte, "see_person", lambda _, seen=head: np.float32(seen))
        plate = cut_plate(face, "photo")
        step = float(plate.pose.scale) / 10  # a tenth of an inter-ocular distance
        above = [plate.person[plate.margin - 1 - round(k * step)] for k in (0, 0.6, 1.2)]
        widths.append([float(row.sum()) / step for row in above])
    assert widths[0] == [0, 0, 0]  # it isn't seen again beyond the strip above it
    for first, second, third in widths[1:]:
        assert first > second + 0.5 > third + 1
    assert widths[2][2] > 4  # of 20
