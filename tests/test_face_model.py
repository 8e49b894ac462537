"""The face model: rotations, poses, and fits whose answer is known."""

import numpy as np
import pytest

from talking_face.face.landmarks import mouth_opening
from talking_face.face.lips import LipContact, contact, lip_gaps
from talking_face.face.model import (
    FaceModel,
    Pose,
    fit_pose,
    load_face_model,
    rotation_angles,
    rotation_matrix,
)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


def test_signs_of_the_rotation() -> None:
    nose, right = np.array([0.0, 0.0, -1.0]), np.array([1.0, 0.0, 0.0])
    assert (rotation_matrix(np.array([20, 0, 0])) @ nose)[0] > 0.3  # yaw: to image right
    assert (rotation_matrix(np.array([0, 20, 0])) @ nose)[1] > 0.3  # pitch: down
    assert (rotation_matrix(np.array([0, 0, 20])) @ right)[1] > 0.3  # roll: clockwise


def test_angles_invert_the_matrix() -> None:
    angles = np.random.default_rng(0).uniform(-40, 40, size=(50, 3))
    assert np.allclose(rotation_angles(rotation_matrix(angles)), angles)


def test_pose_fit_recovers_a_known_pose(model: FaceModel) -> None:
    pose = Pose(rotation_matrix(np.array([12.0, -7, 4])), np.array(110.0), np.array([250, 300, 9]))
    found = fit_pose(pose.project(model.mean), model.mean, model.rigid)
    assert np.allclose(found.rotation, pose.rotation, atol=1e-6)
    assert np.isclose(found.scale, 110)
    assert np.allclose(found.unproject(pose.project(model.mean)), model.mean, atol=1e-6)


def test_neutral_mean_has_closed_lips(model: FaceModel) -> None:
    assert np.abs(lip_gaps(model.mean)).max() < 1e-3


def test_first_lower_coefficient_opens_the_mouth(model: FaceModel) -> None:
    def opening(amount: float) -> float:
        lower = np.zeros(16)
        lower[0] = amount
        return float(mouth_opening(model.mean + model.displacement(lower, np.zeros(6))))

    assert opening(2.0) > opening(1.0) + 0.05 > 0.05


def test_fit_recovers_expression(model: FaceModel) -> None:
    generator = np.random.default_rng(1)
    lower, upper = generator.normal(size=16) * 0.7, generator.normal(size=6) * 0.7
    identity = model.identity @ (generator.normal(size=model.identity.shape[-1]) * 0.7)
    shape = model.mean + identity + model.displacement(lower, upper)
    pose = Pose(rotation_matrix(np.array([8.0, 5, -3])), np.array(120.0), np.array([256, 256, 0]))
    _, expression = model.fit(pose.project(shape))
    opened = model.displacement(expression[:16], expression[16:])
    true = model.displacement(lower, upper)
    lips = [13, 14, 61, 291, 0, 17]
    assert np.abs(opened[lips, :2] - true[lips, :2]).max() < 0.03


def test_ridge_projection_recovers_coefficients(model: FaceModel) -> None:
    coefficients = np.random.default_rng(2).normal(size=(5, 22))
    moved = model.displacement(coefficients[:, :16], coefficients[:, 16:])
    found = model.expression(moved, damping=1e-6)
    assert np.allclose(found, coefficients, atol=1e-2)


def test_contact_closes_small_gaps_and_leaves_large_ones() -> None:
    gaps = np.linspace(-0.05, 0.2, 500)
    closed = contact(gaps)
    assert (closed[gaps < 0.006] == 0).all()
    assert np.allclose(closed[gaps > 0.02], gaps[gaps > 0.02])
    assert (np.diff(closed) >= -1e-12).all()  # no gap shrinks when the mouth opens
    assert np.abs(np.diff(closed)).max() < 2.5 * np.diff(gaps).max()  # and none jumps


def test_lip_contact_sets_gaps_exactly(model: FaceModel) -> None:
    lips = LipContact(model.mean)
    lower = np.zeros(16)
    lower[0] = -1.0  # pushes the lips through each other
    shape = model.mean + model.displacement(lower, np.zeros(6))
    assert lip_gaps(shape).min() < -0.005
    shape[:, 1] += lips.correction(shape)
    assert np.allclose(lip_gaps(shape), 0, atol=1e-6)
