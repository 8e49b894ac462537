"""Edits: what each slider does, measured by the tracker on rendered frames."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from talking_face import load_animator
from talking_face.arguments import build_parser
from talking_face.clips.marks import Marks
from talking_face.edit_arguments import edits_of
from talking_face.editing.blinks import change_blinks, find_blinks
from talking_face.editing.change import apply_edits, mix, telling_moment, weight
from talking_face.editing.directions import find_directions
from talking_face.editing.edit import RANGES, Edit
from talking_face.errors import OptionInvalid
from talking_face.face.face import Face, face_boxes, find_faces, fit_face
from talking_face.face.landmarks import (
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    IRIS_CENTRE,
    LOWER_LID,
    MOUTH_CORNERS,
    UPPER_LID,
    interocular,
    mesh_in_box,
    mouth_opening,
)
from talking_face.face.lips import TOUCHING, lip_gaps
from talking_face.face.model import load_face_model
from talking_face.face.photo import load_photo
from talking_face.motion import CHANNELS, FPS, Motion
from talking_face.options import Look
from talking_face.picture.mouth.shading import load_mouth_light
from talking_face.picture.renderer import Renderer

MODEL = load_face_model()
DIRECTIONS = find_directions(MODEL)
INNER_BROWS, OUTER_BROWS = [107, 336], [70, 300]

EXTREMES = Edit(smile=1, mouth_opening=1.5, expression=2)

Track = Callable[..., np.ndarray]


def vowel(opening: float = 0.13) -> Motion:
    """One frame of lips that far apart, in inter-ocular distances."""
    still = Motion.still(1)
    return still.replace(lower=(DIRECTIONS.opening * opening)[None], rest=np.ones((1, 1)))


def talking(seconds: float = 8.0) -> Motion:
    """Speech-like noise in every channel, lips that part and close, and a blink every 1.6 s."""
    random = np.random.default_rng(3)
    frames = int(seconds * FPS)
    arrays = {
        name: gaussian_filter1d(random.standard_normal((frames, size)), 3, axis=0)
        for name, size in CHANNELS.items()
    }
    syllables = np.maximum(np.sin(2 * np.pi * 3 * np.arange(frames) / FPS), -0.2) * 0.1
    arrays["lower"] += syllables[:, None] * DIRECTIONS.opening
    arrays["rest"] = np.ones((frames, 1))
    arrays["feeling"] = np.zeros((frames, CHANNELS["feeling"]))
    arrays["lids"] *= 0.02
    blink = np.array([0.3, 0.8, 1.0, 0.9, 0.6, 0.3, 0.1])
    for start in range(20, frames - 10, 40):
        here = arrays["lids"][start : start + len(blink)]
        here += blink[:, None] * (1 - here)
    return Motion(**arrays)


@pytest.fixture(scope="module")
def face() -> Face:
    photo = load_photo(Path(__file__).parents[1] / "assets/portraits/woman_long_hair.jpg")
    return fit_face(photo, find_faces(photo), MODEL)


@pytest.fixture(scope="module")
def renderer(face: Face) -> Renderer:
    teeth = np.ones((48, 128, 4), dtype=np.float32)
    return Renderer(face, MODEL, teeth, load_mouth_light(), size=384)


@pytest.fixture(scope="module")
def track(renderer: Renderer) -> Track:
    """Landmarks (478, 3) of an edited frame as the tracker sees them, in inter-ocular distances."""
    marks = renderer.plate.pose.project(renderer.face.shape)
    (box,) = face_boxes([marks])

    def tracked(edit: Edit, motion: Motion | None = None) -> np.ndarray:
        motion = apply_edits(vowel(0.0) if motion is None else motion, edit, MODEL)
        seen = mesh_in_box(renderer.frame(motion), box)
        assert seen is not None
        return (seen - seen[168]) / interocular(seen)

    return tracked


def height(marks: np.ndarray, points: tuple[int, ...] | list[int]) -> float:
    return float(marks[list(points), 1].mean())


# -- each slider on rendered frames ---------------------------------------------------------------


@pytest.mark.parametrize("opening", [0.0, 0.13])
def test_mouth_corners_rise_with_a_smile_and_sink_with_a_frown(
    track: Track, opening: float
) -> None:
    frown, plain, smile = (track(Edit(smile=s), vowel(opening)) for s in (-1, 0, 1))
    assert height(smile, MOUTH_CORNERS) < height(plain, MOUTH_CORNERS) - 0.025
    assert height(frown, MOUTH_CORNERS) > height(plain, MOUTH_CORNERS) + 0.02
    widths = [np.ptp(marks[list(MOUTH_CORNERS), 0]) for marks in (plain, smile)]
    assert widths[1] > widths[0] + 0.03
    for marks in (frown, smile):
        assert mouth_opening(marks) == pytest.approx(float(mouth_opening(plain)), abs=0.035)


def test_brows_rise_and_sink(track: Track) -> None:
    low, plain, high = (height(track(Edit(brows=b)), INNER_BROWS) for b in (-1, 0, 1))
    assert high < plain - 0.02
    assert low > plain + 0.015


def test_inner_brows_move_more_than_outer_ones(track: Track) -> None:
    knit, plain, worried = (track(Edit(inner_brows=b)) for b in (-1, 0, 1))
    assert height(worried, INNER_BROWS) < height(plain, INNER_BROWS) - 0.008
    assert height(knit, INNER_BROWS) > height(plain, INNER_BROWS) + 0.008
    tilts = [height(m, INNER_BROWS) - height(m, OUTER_BROWS) for m in (worried, plain, knit)]
    assert tilts == sorted(tilts)


def test_eyes_open_and_narrow(track: Track) -> None:
    def opening(marks: np.ndarray) -> float:
        return float(
            np.mean([marks[LOWER_LID[e][4], 1] - marks[UPPER_LID[e][4], 1] for e in (0, 1)])
        )

    narrow, plain, wide = (opening(track(Edit(eyes=e))) for e in (-1, 0, 1))
    assert narrow < 0.9 * plain
    assert wide > 1.06 * plain


def test_gaze_moves_the_irises(track: Track) -> None:
    irises = list(IRIS_CENTRE)
    plain = track(Edit())[irises].mean(0)
    right, down = (track(Edit(gaze=g))[irises].mean(0) for g in ((10, 0), (0, 10)))
    assert right[0] > plain[0] + 0.012
    assert down[1] > plain[1] + 0.008
    assert abs(right[1] - plain[1]) < 0.01
    assert abs(down[0] - plain[0]) < 0.01


def test_mouth_opening_scales_the_opening(track: Track) -> None:
    half, plain, more = (
        mouth_opening(track(Edit(mouth_opening=m), vowel())) for m in (0.5, 1, 1.5)
    )
    assert 0.35 < half / plain < 0.75
    assert 1.25 < more / plain < 1.7
    assert mouth_opening(track(Edit(mouth_opening=1.5))) < 0.02  # a closed mouth stays closed


def test_a_still_head_still_blinks_and_speaks(renderer: Renderer) -> None:
    motion = talking()
    held = apply_edits(motion, Edit(pose_strength=0), MODEL)
    poses = [renderer.head_pose(held, i) for i in (0, 50, 150)]
    assert all(np.array_equal(p.project(MODEL.mean), poses[0].project(MODEL.mean)) for p in poses)
    assert not held.rotation.any()
    assert not held.translation.any()
    for name in ("lower", "upper", "lids", "gaze"):
        assert np.array_equal(getattr(held, name), getattr(motion, name))
    double = apply_edits(motion, Edit(pose_strength=2), MODEL)
    assert np.allclose(double.rotation, 2 * motion.rotation)


def test_expression_scales_brows_and_spares_the_lips() -> None:
    motion = talking()
    flat, strong = (apply_edits(motion, Edit(expression=e), MODEL) for e in (0, 2))
    assert not flat.upper.any()
    assert np.allclose(strong.upper, 2 * motion.upper)
    for other in (flat, strong):
        assert np.abs(other.lower - motion.lower).max() > 0.1
        moved = MODEL.mean + MODEL.displacement(other.lower - motion.lower, np.zeros(6))
        assert np.abs(lip_gaps(moved) - lip_gaps(MODEL.mean)).max() < 0.006


@pytest.mark.parametrize("edit", [Edit(smile=0.85), Edit(smile=-0.7, mouth_opening=0.9), EXTREMES])
def test_lips_close_where_they_closed_before_and_part_where_they_parted(
    renderer: Renderer, edit: Edit
) -> None:
    motion = talking(3.0)
    edited = apply_edits(motion, edit, MODEL)
    before, after = (
        np.array([lip_gaps(renderer.deform(m, i))[4] for i in range(len(m))])
        for m in (motion, edited)
    )
    closed = before <= 0
    assert closed.sum() > 20
    assert (after[closed] < TOUCHING).all()
    assert np.corrcoef(before, after)[0, 1] > 0.98
    if edit != EXTREMES:
        assert (after[before > 0.05] > 0.03).all()


def test_a_smile_keeps_the_shapes_of_speech(renderer: Renderer) -> None:
    motion = talking(3.0)
    widths = []
    for edit in (Edit(), Edit(smile=1)):
        moved = apply_edits(motion, edit, MODEL)
        shapes = [renderer.deform(moved, i) for i in range(len(moved))]
        widths.append([np.ptp(shape[list(MOUTH_CORNERS), 0]) for shape in shapes])
    assert np.corrcoef(widths)[0, 1] > 0.95


# -- blinks -------------------------------------------------------------------------------------


def test_blinks_are_found() -> None:
    blinks = find_blinks(talking().lids)
    assert [blink.peak for blink in blinks] == list(range(22, 190, 40))
    assert find_blinks(np.zeros((100, 2), dtype=np.float32)) == []
    cut = np.zeros((30, 2), dtype=np.float32)
    cut[28:] = [[0.4], [0.9]]
    assert [blink.peak for blink in find_blinks(cut)] == [29]


@pytest.mark.parametrize("rate", [0.0, 0.4, 1.0, 1.6, 2.0])
def test_the_rate_of_blinks(rate: float) -> None:
    lids = talking(20.0).lids
    before = find_blinks(lids)
    edited = apply_edits(talking(20.0), Edit(blinks=rate), MODEL).lids
    after = find_blinks(edited)
    assert len(after) == pytest.approx(rate * len(before), abs=0.6)
    assert np.array_equal(edited, apply_edits(talking(20.0), Edit(blinks=rate), MODEL).lids)
    gaps = [b.first - a.last for a, b in itertools.pairwise(after)]
    assert not gaps or min(gaps) > 3
    if rate == 0:
        assert edited.max() < 0.2
    if rate > 1:
        kept = np.abs(edited - lids).max(1) == 0
        assert kept.mean() > 0.7
        assert edited.max() <= 1
        assert all(abs(np.ptp(b.shape) - np.ptp(before[0].shape)) < 0.15 for b in after)


def test_blinks_are_added_only_where_there_is_room() -> None:
    lids = talking(2.0).lids
    crowded = change_blinks(change_blinks(lids, 2.0), 2.0)
    after = find_blinks(crowded)
    assert len(after) <= 4
    assert all(b.first > a.last for a, b in itertools.pairwise(after))


# -- time, sums and rules -------------------------------------------------------------------------


def test_defaults_change_nothing() -> None:
    motion = talking(2.0)
    for edits in ([], Edit(), [Edit(), Edit(start=1)]):
        edited = apply_edits(motion, edits, MODEL)
        assert np.array_equal(edited.as_array(), motion.as_array())


def test_outside_its_time_an_edit_changes_nothing() -> None:
    motion = talking()
    edit = replace(EXTREMES, brows=-0.3, pose_strength=0.6, start=2.0, stop=5.0, blinks=2.0)
    edited = apply_edits(motion, edit, MODEL)
    changed = (edited.as_array() != motion.as_array()).any(1)
    seconds = np.arange(len(motion)) / FPS
    assert not changed[(seconds < 2) | (seconds > 5)].any()
    assert changed[(seconds > 2.1) & (seconds < 4.9)].all()
    assert len(find_blinks(edited.lids)) > len(find_blinks(motion.lids))


def test_an_edit_fades_in_and_out() -> None:
    held = weight(Edit(start=1, stop=3, fade=0.4), 100)
    assert held[:25].max() == 0
    assert held[76:].max() == 0
    assert held[40:60].min() == 1
    assert np.abs(np.diff(held)).max() < 0.2
    assert weight(Edit(stop=2), 100)[0] == 1  # from the beginning: there at once
    assert weight(Edit(start=2), 100)[-1] == 1
    assert weight(Edit(start=1, stop=1.2, fade=3), 100).max() > 0.85  # a fade has room in its edit
    assert set(weight(Edit(start=1, stop=2, fade=0), 100)) == {0.0, 1.0}


def test_edits_add_up_within_the_range_of_one() -> None:
    motion = talking(1.0)

    def edited(*edits: Edit) -> np.ndarray:
        return apply_edits(motion, edits, MODEL).as_array()

    apart = edited(Edit(smile=0.3, pose_strength=0.5), Edit(smile=0.4, brows=1, pose_strength=0.5))
    together = edited(Edit(smile=0.7, brows=1, pose_strength=0.25))
    assert np.allclose(apart, together, atol=1e-5)
    assert np.array_equal(edited(Edit(smile=1), Edit(smile=1)), edited(Edit(smile=1)))


@pytest.mark.parametrize("name", RANGES)
def test_values_outside_the_range_are_refused(name: str) -> None:
    low, high = RANGES[name]
    for bad in (low - 0.1, high + 0.1, float("nan")):
        with pytest.raises(OptionInvalid, match="must be between"):
            Edit(**{name: (bad, 0.0) if name == "gaze" else bad})


@pytest.mark.parametrize(
    "wrong", [{"start": 2.0, "stop": 1.0}, {"start": -1.0}, {"fade": -0.1}, {"gaze": (1.0,)}]
)
def test_impossible_times_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(OptionInvalid):
        Edit(**wrong)  # type: ignore[arg-type]


def test_mix_takes_each_part_from_its_motion() -> None:
    lips, head = talking(1.0), Motion.from_array(talking(1.0).as_array()[::-1])
    blinks = Motion.still(25)
    mixed = mix(lips=lips, head=head, blinks=blinks)
    for name, source in {
        "lower": lips, "rest": lips, "upper": head, "gaze": head, "rotation": head,
        "translation": head, "lids": blinks,
    }.items():  # fmt: skip
        assert np.array_equal(getattr(mixed, name), getattr(source, name)), name
    with pytest.raises(OptionInvalid, match="equally long"):
        mix(lips, head, Motion.still(24))


def test_the_telling_moment_is_an_open_mouth_within_the_edit() -> None:
    motion = talking()
    frame = telling_moment(motion, Edit(smile=1, start=4, stop=6), None, MODEL)
    assert 4 < frame / FPS < 6
    assert motion.lids[frame].max() < 0.3
    assert DIRECTIONS.gap @ motion.lower[frame] > 0.05
    assert telling_moment(motion, (), 1.0, MODEL) == 25
    assert telling_moment(motion, (), 99.0, MODEL) == len(motion) - 1


def test_directions_are_even_on_both_sides() -> None:
    lips = [*INNER_LIP_UPPER, *INNER_LIP_LOWER]
    for direction in (DIRECTIONS.smile, DIRECTIONS.frown):
        moved = np.einsum("ndk,k->nd", MODEL.lower, direction)
        left, right = moved[list(MOUTH_CORNERS)]
        assert left[1] == pytest.approx(right[1], abs=0.004)
        assert left[0] == pytest.approx(-right[0], abs=0.004)
        assert np.abs(lip_gaps(moved)).max() < 0.005
        assert np.isfinite(moved[lips]).all()


def test_options_become_an_edit() -> None:
    parser = build_parser()
    plain = ["photo.jpg", "speech.wav"]
    assert edits_of(parser.parse_args(plain)) == ()
    words = "--feeling happy --smile -0.5 --gaze -5 3 --between 1 2.5".split()
    (edit,) = edits_of(parser.parse_args(plain + words))
    assert edit == Edit(feeling="happy", smile=-0.5, gaze=(-5, 3), start=1, stop=2.5)
    (edit,) = edits_of(parser.parse_args([*plain, "--feeling=-0.4,0.2"]))
    assert edit == Edit(feeling=(-0.4, 0.2))
    (edit,) = edits_of(parser.parse_args([*plain, "--feeling-strength", "0.5"]))
    assert edit == Edit(feeling="voice", feeling_strength=0.5)
    with pytest.raises(OptionInvalid, match="The feeling must be voice, none, neutral"):
        edits_of(parser.parse_args([*plain, "--feeling", "bored"]))
    with pytest.raises(OptionInvalid, match="Smile"):
        edits_of(parser.parse_args([*plain, "--smile", "2"]))


def test_a_preview_is_a_frame_of_the_edited_motion(face: Face) -> None:
    animator = load_animator()
    motion = talking(2.0)
    edit = Edit(smile=1, pose_strength=0.5)
    edited = animator.edit(motion, edit)
    (frame,) = animator.render(face, edited[10:11], look=Look(size=128))
    shown = animator.preview(face, motion, edit, seconds=0.4, look=Look(size=128))
    differs = np.abs(shown.astype(int) - Marks().painter(128, 128)(frame))
    assert differs.mean() < 3  # the invisible mark is another one each time
    other = animator.preview(face, motion, seconds=1.4, look=Look(size=128))
    assert np.abs(shown.astype(int) - other).mean() > 2 * differs.mean()


def test_an_edit_without_an_end_is_written_as_one():
    edit = Edit(smile=0.5, start=1, stop=math.inf)
    assert edit.stop is None
    assert edit == Edit(smile=0.5, start=1)


@pytest.mark.parametrize("start", [3.0, 1e9, 1e308])
def test_an_edit_after_the_end_changes_nothing(start, recwarn):
    assert not weight(Edit(smile=1, start=start), 50).any()
    assert not recwarn.list
