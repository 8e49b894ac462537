"""Re-enactment: known answers on a short clip that is itself rendered."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from talking_face.clips.video import write_clip
from talking_face.face.face import Face, find_faces, fit_face
from talking_face.face.landmarks import mouth_opening, track_face
from talking_face.face.model import FaceModel, load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import Motion
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.training.data.motions import relative_motion
from talking_face.training.measure import reenact as command
from talking_face.training.measure.picture_figures import (
    BEST_PSNR,
    FIGURES,
    PictureFigures,
    format_table,
    lead,
    means,
    picture_figures,
    region_boxes,
)
from talking_face.training.measure.reenact import flow_only, measure, reenact, thin_plate
from talking_face.weights import load_weights

SIZE = 288  # pixels, of the clip
YAW, ROLL = 6.0, -5.0  # degrees, the furthest turn
OPENED = 1.8  # standard deviations of the coefficient that opens the mouth
FRAMES = 9


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return load_face_model()


@pytest.fixture(scope="module")
def teeth() -> TeethGenerator:
    return TeethGenerator.from_weights(load_weights("teeth"))


@pytest.fixture(scope="module")
def face(portrait: Path, model: FaceModel) -> Face:
    photo = load_photo(portrait)
    return fit_face(photo, find_faces(photo), model)


@pytest.fixture(scope="module")
def renderer(face: Face, model: FaceModel, teeth: TeethGenerator) -> Renderer:
    return Renderer(face, model, draw_teeth(teeth, 0), load_mouth_light(), size=SIZE)


@pytest.fixture(scope="module")
def clip(renderer: Renderer) -> np.ndarray:
    """The head turns, tilts, opens its mouth and comes back; (9, 288, 288, 3) uint8."""
    way = np.sin(np.linspace(0, np.pi, FRAMES))
    still = Motion.still(FRAMES)
    rotation, lower = still.rotation.copy(), still.lower.copy()
    rotation[:, 0], rotation[:, 2] = YAW * way, ROLL * way
    lower[:, 0] = OPENED * way
    return np.stack(list(renderer.frames(still.replace(rotation=rotation, lower=lower))))


@pytest.fixture(scope="module")
def marks(clip: np.ndarray) -> np.ndarray:
    return np.stack(list(track_face(clip)))


@pytest.fixture(scope="module")
def motion(clip: np.ndarray, marks: np.ndarray, model: FaceModel) -> Motion:
    photo = fit_face(clip[0], find_faces(clip[0]), model)
    return relative_motion(marks, np.ones(FRAMES, dtype=bool), 0, photo, model)


def figures_of(
    real: np.ndarray, made: np.ndarray, marks: np.ndarray, made_marks: np.ndarray | None = None
) -> PictureFigures:
    return picture_figures(
        real,
        made,
        marks,
        marks if made_marks is None else made_marks,
        np.ones(len(real), dtype=bool),
        np.ones(real.shape[1:3], dtype=bool),
    )


def test_the_photo_itself_does_not_move(motion: Motion) -> None:
    assert np.abs(motion[0:1].as_array()).max() < 1e-3
    assert np.abs(motion[4:5].as_array()).max() > 1


def test_the_turn_of_the_head_is_recovered(motion: Motion) -> None:
    assert motion.rotation[4] == pytest.approx([YAW, 0, ROLL], abs=1.5)
    assert np.abs(motion.rotation[-1]).max() < 1.5


def test_the_opening_mouth_is_recovered(motion: Motion, model: FaceModel) -> None:
    shape = model.mean + model.displacement(motion.lower, motion.upper)
    wanted = model.mean + OPENED * model.lower[..., 0]
    opened = mouth_opening(shape) - mouth_opening(model.mean)
    assert opened[4] == pytest.approx(mouth_opening(wanted) - mouth_opening(model.mean), rel=0.3)
    assert not motion.rest.any()


def test_lost_frames_are_interpolated(
    clip: np.ndarray, marks: np.ndarray, model: FaceModel
) -> None:
    photo = fit_face(clip[0], find_faces(clip[0]), model)
    ok = np.arange(FRAMES) != 4
    broken = np.where(ok[:, None, None], marks, np.nan)
    motion = relative_motion(broken, ok, 0, photo, model)
    assert motion.rotation[4, 0] == pytest.approx(motion.rotation[[3, 5], 0].mean(), abs=0.5)


def test_identical_frames_are_perfect(clip: np.ndarray, marks: np.ndarray) -> None:
    figures = figures_of(clip, clip, marks)
    assert figures.psnr_face == figures.psnr_mouth == figures.psnr_eyes == BEST_PSNR
    assert figures.ssim_face == pytest.approx(1)
    assert figures.sharpness == figures.mouth_energy == figures.flicker_face == 1
    assert figures.error == figures.error_mouth == figures.error_eyes == figures.lost == 0
    assert math.isnan(figures.identity)


def test_figures_tell_what_was_done_to_the_frames(clip: np.ndarray, marks: np.ndarray) -> None:
    brighter = np.clip(clip.astype(int) + 10, 0, 255).astype(np.uint8)
    assert figures_of(clip, brighter, marks).psnr_mouth == pytest.approx(28.1, abs=0.3)
    blurred = np.stack([cv2.GaussianBlur(frame, (0, 0), 2) for frame in clip])
    figures = figures_of(clip, blurred, marks)
    assert figures.sharpness < 0.5
    assert figures.mouth_energy < 0.7
    assert figures.psnr_face < 40
    moved = figures_of(clip, clip, marks, marks + np.float32([3, 0, 0]))
    unit = np.linalg.norm(marks[:, 33] - marks[:, 263], axis=1)
    assert moved.error == pytest.approx(float((300 / unit).mean()), rel=0.01)


def test_a_face_that_is_lost_counts_as_lost(clip: np.ndarray, marks: np.ndarray) -> None:
    gone = np.where(np.arange(FRAMES)[:, None, None] % 3 == 0, np.nan, marks)
    figures = figures_of(clip, clip, marks, gone)
    assert figures.lost == pytest.approx(1 / 3)
    assert figures.error == 0


def test_mouth_and_eyes_lie_within_the_face(marks: np.ndarray) -> None:
    boxes = region_boxes(marks[4], (SIZE, SIZE))
    rows, columns = boxes["face"][0]
    assert len(boxes["eyes"]) == 2
    for down, across in boxes["mouth"] + boxes["eyes"]:
        assert rows.start <= down.start < down.stop <= rows.stop
        assert columns.start <= across.start < across.stop <= columns.stop


def test_flow_only_differs_where_it_is_painted_and_nowhere_else(
    renderer: Renderer, marks: np.ndarray
) -> None:
    lower = np.zeros((1, 16), dtype=np.float32)
    lower[0, 0] = OPENED
    motion = Motion.still(1).replace(lower=lower)
    (bare,) = flow_only(renderer, motion)
    differs = np.abs(renderer.frame(motion).astype(int) - bare).max(-1)
    mouth = region_boxes(marks[4], (SIZE, SIZE))["mouth"][0]
    assert differs[mouth].max() > 30
    assert (differs > 0).sum() < 0.05 * differs.size
    still = Motion.still(1)
    (bare,) = flow_only(renderer, still)
    assert (bare == renderer.frame(still)).all()


def test_the_puppet_follows_its_landmarks(clip: np.ndarray, marks: np.ndarray) -> None:
    assert np.abs(thin_plate(clip[0], marks[0], marks[0]).astype(int) - clip[0]).max() <= 1
    target = marks[0] + np.float32([8, 0, 0])
    moved = thin_plate(clip[0], marks[0], target)
    again = np.stack(list(track_face([moved])))[0]
    assert (again - marks[0])[1, 0] == pytest.approx(8, abs=1)


@pytest.mark.slow
def test_ours_comes_nearer_than_the_still_photo(
    clip: np.ndarray, model: FaceModel, teeth: TeethGenerator
) -> None:
    made = reenact(clip, model, teeth, load_mouth_light())
    assert made.source == 0
    assert 0.95 < made.kept < 1.1
    assert list(made.frames) == ["real", "ours", "flow only", "thin-plate", "still"]
    # The photo comes back as it is.
    assert (made.frames["ours"][0] == clip[0]).all()
    figures = measure(made, None)
    assert figures["ours"].psnr_face > figures["still"].psnr_face + 3
    assert figures["ours"].psnr_mouth > figures["still"].psnr_mouth + 3
    assert figures["ours"].error < 0.5 * figures["still"].error
    assert figures["still"].flicker_face == 0


def test_means_and_leads() -> None:
    good = PictureFigures(**dict.fromkeys(FIGURES, 1.0))
    half = dataclasses.replace(good, sharpness=0.5, psnr_face=3.0, identity=math.nan)
    double = dataclasses.replace(good, sharpness=2.0, psnr_face=5.0)
    table = means([{"ours": half, "other": good}, {"ours": double, "other": good}])
    assert table["ours"]["sharpness"] == pytest.approx(1)
    assert table["ours"]["psnr_face"] == 4
    assert table["ours"]["identity"] == 1
    assert lead({"ours": 30.0, "a": 28.0, "b": 29.0}, "psnr_mouth") == pytest.approx(1)
    assert lead({"ours": 2.0, "a": 3.0}, "error") == pytest.approx(1)
    assert lead({"ours": 0.5, "a": 1.6}, "mouth_energy") < 0
    assert "4.00" in format_table("grid", 2, table)


@pytest.mark.slow
def test_the_command_writes_figures_and_a_sheet(
    clip: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "clips").mkdir()
    write_clip(clip, tmp_path / "clips" / "a.mp4", None, None)
    arguments = ["reenact", "--clips", str(tmp_path / "clips"), "--output", str(tmp_path / "out")]
    arguments += ["--split", "val", "--frames", "6"]
    (tmp_path / "clips" / "manifest.csv").write_text(
        "path,source,speaker,split\na.mp4,made,one,val\n"
    )
    monkeypatch.setattr(sys, "argv", arguments)
    command.main()
    assert "made (1 clips)" in capsys.readouterr().out
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert figures["made"]["means"]["ours"]["psnr_face"] > 25
    assert figures["made"]["means"]["ours"]["identity"] is None
    (clip_figures,) = figures["made"]["clips"].values()
    assert 0.95 < clip_figures["sharpness kept"] < 1.1
    sheet = cv2.imread(str(tmp_path / "out" / "sheet_made.png"))
    assert sheet.shape[0] == 5 * command.CELL
