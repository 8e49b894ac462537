"""The contact sheet: one row a photo, one column a pose."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talking_face.motion import Motion
from talking_face.training.measure import sheet


def test_motions_are_joined_in_order() -> None:
    motion = sheet.joined([sheet.pose({"lids": [0.5, 0.5]}), Motion.still(2)])
    assert motion.lids[:, 0].tolist() == [0.5, 0, 0]


def test_a_row_for_each_photo_with_a_face(
    portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faceless = tmp_path / "faceless.png"
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(faceless)
    output = tmp_path / "sheet.png"
    arguments = [str(portrait), str(faceless), "--output", str(output), "--width", "48", "--grey"]
    monkeypatch.setattr(sys, "argv", ["sheet", *arguments])
    sheet.main()
    made = np.asarray(Image.open(output))
    assert made.shape == (round(48 * 1.6 / 1.35), 48 * len(sheet.POSES), 3)
    cells = np.split(made.astype(int), len(sheet.POSES), axis=1)
    changes = [np.abs(cell - cells[0]).mean() for cell in cells[2:]]  # it rests as it is
    assert min(changes) > 0.1
    assert np.ptp(made, axis=2).max() == 0
