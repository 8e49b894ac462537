"""Finding and fitting faces, and refusing what can't be animated."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.errors import (
    FaceIndexError,
    FaceUnsuitable,
    NoFaceFound,
    OptionInvalid,
    WeightsMissing,
)
from talking_face.face.detector import detect_faces_with_pack, find_pack
from talking_face.face.face import Face, face_boxes, find_faces, fit_face, look_for_faces
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo


def fit(photo: np.ndarray, index: int | None = None) -> Face:
    return fit_face(photo, find_faces(photo), load_face_model(), index)


def test_every_portrait_is_fitted(portraits: list[Path]) -> None:
    for path in portraits:
        face = fit(load_photo(path))
        again = face.pose.project(face.shape)
        assert np.abs(again - face.landmarks).max() < 0.01, path.name
        assert np.abs(face.angles).max() < 20, path.name


@pytest.mark.parametrize("side", [96, 200, 1500])
def test_size_of_the_photo_does_not_matter(portrait: Path, side: int) -> None:
    photo = load_photo(portrait)
    reference = fit(photo)
    close = photo[100:500, 100:500]
    scaled = cv2.resize(close, (side, side), interpolation=cv2.INTER_AREA)
    face = fit(scaled)
    assert np.isclose(face.pose.scale, reference.pose.scale * side / 400, rtol=0.06)
    assert np.abs(face.angles - reference.angles).max() < 6


@pytest.mark.slow
def test_several_faces_largest_first_and_by_index(portrait: Path) -> None:
    photo = load_photo(portrait)
    small = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    group = np.full((photo.shape[0], photo.shape[1] + small.shape[1], 3), 128, dtype=np.uint8)
    group[: small.shape[0], : small.shape[1]] = small
    group[:, small.shape[1] :] = photo
    faces = find_faces(group)
    assert len(faces) == 2
    large, little = face_boxes(faces)
    assert large[2] - large[0] > 1.7 * (little[2] - little[0])
    assert fit(group, 1).landmarks[:, 0].max() < small.shape[1]
    largest = fit(group)
    assert largest.landmarks[:, 0].min() > small.shape[1]
    assert len(largest.notes) == 1
    assert "2 faces" in largest.notes[0]
    assert fit(group, 0).notes == ()  # it was chosen
    with pytest.raises(FaceIndexError, match=r"has 2 faces, .* from 0 \(the largest\) to 1"):
        fit(group, 2)
    with pytest.raises(FaceIndexError, match="has one face, which is 0, so there is no face 3"):
        fit(small, 3)


def test_no_face_and_tiny_face_say_so(portrait: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    with pytest.raises(NoFaceFound):
        fit(noise)
    tiny = cv2.resize(load_photo(portrait), (90, 90), interpolation=cv2.INTER_AREA)
    with pytest.raises(FaceUnsuitable, match="too small"):
        fit(tiny)


def test_turned_face_says_so(portrait: Path) -> None:
    photo = load_photo(portrait)
    middle = (photo.shape[1] / 2, photo.shape[0] / 2)
    lying = cv2.warpAffine(photo, cv2.getRotationMatrix2D(middle, 75, 1.0), photo.shape[1::-1])
    with pytest.raises((FaceUnsuitable, NoFaceFound)):
        fit(lying)


def test_a_face_that_the_edge_cuts_off_says_so(portrait: Path) -> None:
    photo = load_photo(portrait)
    whole = find_faces(photo)[0]
    eye, mouth = int(whole[33, 0]), int(whole[0, 1])
    for part, left in (
        (photo[:, eye + 15 :], eye + 15),  # behind the corner of an eye
        (photo[:mouth], 0),  # at the upper lip
    ):
        cut = (whole - [left, 0, 0]).astype(np.float32)
        with pytest.raises(FaceUnsuitable, match=r"cuts the face off.* of the mouth\."):
            fit_face(part, [cut], load_face_model())
        with pytest.raises(FaceUnsuitable, match="choose another of its faces"):
            fit_face(part, [cut, cut], load_face_model())
    shown = (whole - [eye - 3, 0, 0]).astype(np.float32)  # only a cheek and an ear are cut off
    fit_face(photo[:, eye - 3 :], [shown], load_face_model())


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_photo_that_lies_on_its_side_is_turned(portrait: Path, turns: int) -> None:
    photo = load_photo(portrait)
    expected = face_boxes(find_faces(photo))[0]
    seen = look_for_faces(np.ascontiguousarray(np.rot90(photo, -turns)))
    found, faces = seen.turns, seen.faces
    assert found == turns
    assert np.abs(np.subtract(face_boxes(faces)[0], expected)).max() <= 2


@pytest.mark.slow
def test_upright_and_tilted_photos_stay(portraits: list[Path], portrait: Path) -> None:
    for path in portraits:
        assert look_for_faces(load_photo(path)).turns == 0, path.name
    photo = load_photo(portrait)
    middle = (photo.shape[1] / 2, photo.shape[0] / 2)
    tilted = cv2.warpAffine(photo, cv2.getRotationMatrix2D(middle, 40, 1.0), photo.shape[1::-1])
    assert look_for_faces(tilted).turns == 0


def texture(height: int, width: int) -> np.ndarray:
    """What a detector has to look through: leaves, gravel and light of all sizes."""
    rng = np.random.default_rng(0)
    sum_ = np.full((height, width, 3), 110, np.float32)
    for size in (8, 32, 128, 512):
        coarse = rng.normal(0, 22, (height // size + 2, width // size + 2, 3)).astype(np.float32)
        sum_ += cv2.resize(coarse, (width, height))
    return np.clip(sum_, 0, 255).astype(np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("eyes", "place"), [(22, (0.01, 0.01)), (22, (0.92, 0.9)), (26, (0.45, 0.72)), (45, (0.2, 0.3))]
)
def test_faces_of_fifty_pixels_are_found_wherever_they_are(
    portrait: Path, eyes: float, place: tuple[float, float]
) -> None:
    photo = load_photo(portrait)
    scale = eyes / float(fit(photo).pose.scale)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    street = texture(3000, 4000)
    top, left = int(place[0] * 3000), int(place[1] * 4000)
    street[top : top + small.shape[0], left : left + small.shape[1]] = small
    seen = look_for_faces(street)
    assert seen.turns == 0
    assert len(seen.faces) == 1
    nose = fit(photo).landmarks[1, :2] * scale + (left, top)
    assert np.abs(seen.faces[0][1, :2] - nose).max() < 6


@pytest.mark.slow
def test_nobody_is_found_where_nobody_is() -> None:
    assert not look_for_faces(texture(2000, 3000)).faces


@pytest.mark.slow
def test_a_far_face_in_a_large_photo_is_found(portrait: Path) -> None:
    photo = load_photo(portrait)
    scale = 28 / float(fit(photo).pose.scale)
    small = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    street = np.full((3000, 4000, 3), (90, 110, 120), dtype=np.uint8)
    top, left = 1300, 700
    street[top : top + small.shape[0], left : left + small.shape[1]] = small
    assert not find_faces(street)
    seen = look_for_faces(street)
    turns, faces = seen.turns, seen.faces
    assert turns == 0
    assert len(faces) == 1
    nose = fit(photo).landmarks[1, :2] * scale + (left, top)
    assert np.abs(faces[0][1, :2] - nose).max() < 6


@pytest.mark.parametrize("colour", [(120, 170, 205), (235, 235, 235), (25, 25, 28)])
def test_a_mask_over_the_mouth_is_said(portrait: Path, colour: tuple[int, int, int]) -> None:
    photo = load_photo(portrait)
    marks = find_faces(photo)[0]
    around = [197, 50, 147, 172, 149, 152, 378, 397, 376, 280]
    cv2.fillPoly(photo, [marks[around, :2].round().astype(np.int32)], colour)
    face = fit_face(photo, [marks], load_face_model())
    assert face.mouth_hidden
    assert face.notes[-1].startswith("The mouth seems to be hidden")


@pytest.mark.slow
def test_nothing_is_said_of_ordinary_mouths(portraits: list[Path]) -> None:
    for path in portraits:
        photo = load_photo(path)
        for seen in (photo, np.repeat(photo[..., 1:2], 3, axis=-1)):
            assert fit_face(seen, find_faces(photo), load_face_model()).notes == (), path.name


def test_a_pack_without_the_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "det.onnx").touch()
    monkeypatch.setitem(sys.modules, "insightface.model_zoo", None)
    with pytest.raises(OptionInvalid, match="insightface, which isn't installed"):
        detect_faces_with_pack(np.zeros((64, 64, 3), np.uint8), tmp_path)


def test_named_insightface_pack_must_hold_models(tmp_path: Path) -> None:
    assert find_pack(None) is None
    with pytest.raises(WeightsMissing, match="no insightface models"):
        find_pack(tmp_path)
