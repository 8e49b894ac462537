"""Strips of mouths with phones: what is measured of mouths that are known, and what is drawn."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from talking_face.animator import Animator
from talking_face.clips.video import write_clip
from talking_face.sound.audio import load_audio
from talking_face.training.data.clips import read_clips
from talking_face.training.data.phones import SILENCE, Phone
from talking_face.training.data.prepare import prepare_clip
from talking_face.training.measure import strips
from talking_face.training.measure.phone_figures import Mouth, Said, phone_table
from talking_face.training.measure.strips import ACROSS, CELL, draw_strip, mouth_cells

FRAMES = 50
PHONES = [Phone(SILENCE, 0, 0.4), Phone("B", 0.4, 0.6), Phone("AA", 0.6, 1), Phone("P", 1, 1.2)]


def mouth(shut: list[int], wide: float = 0.0, late: int = 0) -> Mouth:
    """Open but in these frames and their neighbours; as wide as it is open, times `wide`."""
    opening = np.full(FRAMES, 0.1) + 0.02 * np.sin(np.arange(FRAMES) / 2)
    for frame in shut:
        opening[frame - 1 : frame + 2] = 0.0
    opening = np.roll(opening, late)
    return Mouth(opening, 0.6 + wide * opening, np.ones(FRAMES, dtype=bool))


# -- figures ------------------------------------------------------------------------------------


def test_the_same_mouth_does_the_same() -> None:
    table = phone_table([Said.of(PHONES, mouth([12, 27], 1.0), mouth([12, 27], 1.0))])
    assert list(table) == ["closed", "open", SILENCE]
    assert table["closed"]["phones"] == 2
    for row in table.values():
        for name in ("opens", "width", "closes", "shut", "speed"):
            assert row[name] == pytest.approx(row[f"ours {name}"], abs=1e-9)
    assert table["closed"]["found"] == table["closed"]["closes"] == 1
    assert math.isnan(table["closed"]["wrong"])
    assert table["closed"]["late"] == 0
    assert table["open"]["closes"] == table["open"]["wrong"] == 0
    assert table["open"]["width"] > 0 > table["closed"]["width"]  # less the clip's mean
    assert table["open"]["opens"] > 8  # hundredths


def test_closures_are_found_missed_and_invented() -> None:
    said = Said.of(PHONES, mouth([12, 27]), mouth([12, 20]))
    table = phone_table([said])
    assert table["closed"]["found"] == 0.5
    assert table["closed"]["ours closes"] == 0.5
    assert table["open"]["wrong"] == 1
    assert math.isnan(table["open"]["found"])
    late = phone_table([Said(PHONES, mouth([12, 27]), mouth([13, 28]))])
    assert late["closed"]["late"] == 1


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_a_recording_out_of_step_is_put_right(late: int) -> None:
    said = Said.of(PHONES, mouth([12, 27], late=late), mouth([12, 27]))
    known = said.real.ok
    assert known.sum() == FRAMES - abs(late)
    assert said.real.opening[known] == pytest.approx(said.ours.opening[known])


def test_where_the_real_mouth_is_not_known_nothing_counts() -> None:
    real = mouth([12, 27])
    real.ok[24:] = False
    table = phone_table([Said(PHONES, real, mouth([12, 27]))])
    assert table["closed"]["phones"] == 1
    assert "open" not in phone_table([Said(PHONES[:2], real, mouth([12]))])


# -- pictures -----------------------------------------------------------------------------------


def test_a_mouth_is_shown_upright_and_its_jaw_falls() -> None:
    """A white spot where the chin is, in a picture turned by 30 degrees."""
    marks = np.zeros((2, 478, 3))
    face = {33: (-50, 0), 263: (50, 0), 61: (-25, 60), 291: (25, 60), 14: (0, 60)}
    turn = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    for index, place in face.items():
        marks[:, index, :2] = turn @ place + 150
    frame = np.zeros((300, 300, 3), dtype=np.uint8)
    spot = turn @ (0.0, 80.0) + 150
    cv2.circle(frame, (round(spot[0]), round(spot[1])), 3, (255, 255, 255), -1)
    marks[1, 14, :2] += turn @ (0.0, 9.0)  # the jaw falls: the view stays
    first, second = mouth_cells([frame, frame], marks)
    assert first.shape == (CELL[1], CELL[0], 3)
    y, x = np.argwhere(first[..., 0] > 128).mean(axis=0)
    assert x == pytest.approx(CELL[0] / 2, abs=1.5)
    assert CELL[1] * 0.6 < y < CELL[1]
    assert np.array_equal(first, second)
    marks[1] = np.nan
    assert mouth_cells([frame, frame], marks)[1].max() == 0


def test_a_strip_has_all_frames_and_the_phones_above_them() -> None:
    grey = [np.full((CELL[1], CELL[0], 3), 10 * i % 200 + 40, dtype=np.uint8) for i in range(25)]
    curves = [np.linspace(0, 0.2, 25), np.linspace(0.2, 0, 25)]
    empty = draw_strip("title", [], [grey, grey], curves)
    named = draw_strip("title", [Phone("B", 0.4, 0.8)], [grey, grey], curves)
    assert empty.shape[1] == ACROSS * CELL[0]
    top, line = strips.LABELS, strips.LABELS + 2 * CELL[1] + strips.CURVES
    assert empty.shape[0] == top + 2 * line
    for i in (0, 19, 20, 24):  # the last ones in the second line
        y = top + line * (i // ACROSS) + strips.LABELS + CELL[1] // 2
        assert empty[y, (i % ACROSS) * CELL[0] + 5, 0] == 10 * i % 200 + 40
        assert empty[y + CELL[1], (i % ACROSS) * CELL[0] + 5, 0] == 10 * i % 200 + 40
    changed = np.argwhere((empty != named).any(axis=2))
    assert changed[:, 0].min() >= top
    assert changed[:, 0].max() < top + strips.LABELS
    assert changed[:, 1].min() == 10 * CELL[0]
    later = draw_strip("title", [Phone("B", 0.4, 0.8)], [grey, grey], curves, start=5)
    assert np.argwhere((empty != later).any(axis=2))[:, 1].min() == 5 * CELL[0]


class Told:
    """A phonetician who says the same of everything that lasts."""

    def hear(self, waveform: np.ndarray, words: str | None) -> list[Phone]:
        assert words == "place blue by v seven soon"
        seconds = len(waveform) / 16_000
        return [Phone("B", 0.2, 0.4), Phone("AA", 0.4, seconds)]


def test_the_command_draws_and_tells(
    animator: Animator,
    portrait: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    speech = animator.listen(short_speech)
    face = animator.fit(portrait)
    (motion,) = animator.sample(speech, 1, seed=0)
    video = tmp_path / "clips" / "grid" / "pbbv7s.mp4"
    video.parent.mkdir(parents=True)
    write_clip(list(animator.render(face, motion)), video, load_audio(short_speech))
    with (tmp_path / "clips" / "manifest.csv").open("w", newline="") as file:
        rows = [("path", "source", "speaker", "split"), ("grid/pbbv7s.mp4", "grid", "a", "val")]
        csv.writer(file).writerows(rows)
    cache = tmp_path / "cache"
    cache.mkdir()
    (clip,) = read_clips(tmp_path / "clips")
    made = prepare_clip(clip, cache)
    with (cache / "index.csv").open("w", newline="") as file:
        names = ("key", "path", "source", "speaker", "split", "frames", "tracked")
        row = (clip.key, clip.path, "grid", "a", "val", made.frames, made.tracked)
        csv.writer(file).writerows([names, row])
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(portrait.read_bytes())
    monkeypatch.setattr(strips, "Phonetician", Told)
    output = tmp_path / "strips"
    arguments = ["--clips", tmp_path / "clips", "--cache", cache, "--portraits", photos]
    monkeypatch.setattr(sys, "argv", ["strips", *map(str, arguments), "--output", str(output)])
    strips.main()
    header, closed, opened = capsys.readouterr().out.strip().splitlines()
    assert header.split()[:2] == ["grid", "phones"]
    assert (closed.split()[:2], opened.split()[:2]) == (["closed", "1.00"], ["open", "1.00"])
    strip = np.asarray(Image.open(output / f"{clip.key}.png"))
    lines = -(-len(motion) // ACROSS)
    assert strip.shape[0] == strips.LABELS + lines * (strips.LABELS + 2 * CELL[1] + strips.CURVES)
    real, ours = (strip[32 + i * CELL[1] :][: CELL[1], : 20 * CELL[0]].astype(int) for i in (0, 1))
    assert np.abs(real - ours).mean() < 12  # the same face says the same
