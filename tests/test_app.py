"""The web page without a browser: what its functions do, and how it starts."""

import pickle
import shutil
import wave
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import cast

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from talking_face.clips.video import read_frames
from talking_face.errors import (
    AudioUnreadable,
    ConsentMissing,
    OptionInvalid,
    PhotoUnreadable,
)
from talking_face.interruption import Stopped
from talking_face.motion import FPS, Motion
from talking_face.options import file_name, sample_label
from talking_face.sound.audio import load_audio
from talking_face.web import models, orders, shots
from talking_face.web.folders import new_folder
from talking_face.web.messages import reporter
from talking_face.web.orders import Order
from talking_face.web.settings import Settings
from talking_face.web.shots import Shot
from talking_face.web.visits import LAPSE, Visit, Visits

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def no_face(tmp_path: Path) -> Path:
    ramp = np.linspace(0, 255, 400 * 400, dtype=np.uint8).reshape(400, 400)
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    return tmp_path / "ramp.png"


@pytest.fixture
def two_people(portraits: list[Path], tmp_path: Path) -> Path:
    """A photo of two people, the one on the right closer to the camera."""
    photo = Image.new("RGB", (1000, 600), "grey")
    left, right = (Image.open(portraits[index]).convert("RGB") for index in (1, 2))
    photo.paste(left.resize((400, 400)), (0, 200))
    photo.paste(right.resize((600, 600)), (400, 0))
    photo.save(tmp_path / "two.png")
    return tmp_path / "two.png"


Uploaded = Callable[[Path], dict[str, str]]


def shot(order: Order, seed: int, index: int, frames: int = 10) -> Shot:
    """A card that shows a finished clip."""
    return Shot(order, f"{index}", Motion.still(frames), (seed, index), path=Path("clip.mp4"))


# -- photo and recording --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_largest_face_is_chosen_and_others_are_offered(
    two_people: Path, uploaded: Uploaded
) -> None:
    found = orders.look_at(uploaded(two_people))
    assert found.choices == [
        ("Face 1, number 2 from the left", 0),
        ("Face 2, number 1 from the left", 1),
    ]
    photo = np.asarray(Image.open(two_people))
    assert found.outlined is not None
    assert found.outlined.shape == photo.shape
    assert (found.outlined != photo).any()
    assert orders.face_at(uploaded(two_people), 200, 400) == 1
    assert orders.face_at(uploaded(two_people), 700, 250) == 0
    assert orders.face_at(uploaded(two_people), 5, 5) is None


def test_one_face_needs_no_picker(portrait: Path, uploaded: Uploaded) -> None:
    found = orders.look_at(uploaded(portrait))
    assert len(found.choices) == 1
    assert found.outlined is None
    assert found.shown is None


def test_a_photo_that_browsers_cannot_show_is_shown_as_pixels(
    portrait: Path, tmp_path: Path, uploaded: Uploaded
) -> None:
    Image.open(portrait).save(tmp_path / "photo.tiff")
    shown = orders.look_at(uploaded(tmp_path / "photo.tiff")).shown
    assert shown is not None
    assert shown.dtype == np.uint8


def test_a_photo_upside_down_is_shown_upright_and_said(
    portrait: Path, tmp_path: Path, uploaded: Uploaded
) -> None:
    Image.open(portrait).rotate(180).save(tmp_path / "turned.png")
    found = orders.look_at(uploaded(tmp_path / "turned.png"))
    assert found.notes == ("The photo was turned upright: the face in it was upside down.",)
    assert found.shown is not None
    assert (found.shown == np.asarray(Image.open(portrait).convert("RGB"))).all()
    assert orders.look_at(uploaded(portrait)).notes == ()


def test_bad_uploads_are_told_at_once(no_face: Path, tmp_path: Path, uploaded: Uploaded) -> None:
    letter = tmp_path / "letter.wav"
    letter.write_text("Dear reader, this is not a sound.\n" * 100)
    with pytest.raises(gr.Error, match="No face was found in the photo"):
        orders.look_at(uploaded(no_face))
    with pytest.raises(gr.Error, match=r"letter\.wav can't be read as a sound"):
        orders.check_audio(uploaded(letter))


def test_what_was_chosen_of_a_recording_is_told_at_once(
    speech: Path, tmp_path: Path, uploaded: Uploaded
) -> None:
    recording = load_audio(speech)
    assert orders.check_audio(uploaded(speech)) == orders.check_audio(None) == ()
    sound = np.concatenate([recording.sound, -recording.sound], axis=1)
    with wave.open(str(tmp_path / "both.wav"), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(sound.tobytes())
    (note,) = orders.check_audio(uploaded(tmp_path / "both.wav"))
    assert note.startswith("Left and right, mixed, would lose the speech")


def test_an_order_needs_photo_recording_and_numbers(portrait: Path, speech: Path) -> None:
    photo, sound = {"path": str(portrait)}, {"path": str(speech)}  # examples needn't be uploaded
    with pytest.raises(PhotoUnreadable, match="no photo yet"):
        Order.read(None, sound)
    with pytest.raises(AudioUnreadable, match="no recording yet"):
        Order.read(photo, None)
    both = photo, sound
    with pytest.raises(OptionInvalid, match="Seed must be a whole number, not None"):
        Order.read(*both, values={"seed": None})
    with pytest.raises(OptionInvalid, match='Diversity must be a number, not "nan"'):
        Order.read(*both, values={"diversity": "nan"})
    with pytest.raises(OptionInvalid, match="Smile must be between -1 and 1"):
        Order.read(*both, values={"smile": 2})
    with pytest.raises(PhotoUnreadable, match="no image for the background"):
        Order.read(*both, values={"background": "image"})
    order = Order.read(*both, None, values={"samples": 2.0})
    assert order == Order(portrait, speech, 0, Settings(samples=2))


def test_only_uploaded_photos_need_a_word(
    portrait: Path, speech: Path, tmp_path: Path, uploaded: Uploaded
) -> None:
    renamed = shutil.copy(portrait, tmp_path / "mine.jpg")
    assert orders.is_example(Path(renamed))
    changed = tmp_path / "changed.jpg"
    changed.write_bytes(portrait.read_bytes() + b"\0")
    with pytest.raises(ConsentMissing, match="tick the box"):
        Order.read(uploaded(changed), uploaded(speech))
    Order.read(uploaded(changed), uploaded(speech), consent=True)
    Order.read(uploaded(Path(renamed)), uploaded(speech))


# -- what runs ------------------------------------------------------------------------------------


def test_the_gpu_is_asked_for_longer_when_there_is_more_to_do(speech: Path) -> None:
    recording = load_audio(speech)
    one, six = (models.gpu_seconds(recording, [(0, 0)] * count, 1.0, "natural") for count in (1, 6))
    assert 0 < one < six < 60


def test_what_the_gpu_gives_back_can_leave_its_process(short_speech: Path) -> None:
    given = models.hear_and_draw(load_audio(short_speech), [(0, 0), (7, 3)], 1.0, "natural")
    heard, motions = pickle.loads(pickle.dumps(given))
    assert len(motions) == 2
    assert all(len(motion) == len(heard) for motion in motions)
    assert all(isinstance(part, np.ndarray) for part in vars(motions[0]).values())
    assert (motions[0].rotation != motions[1].rotation).any()


def test_progress_tells_stage_and_time_left() -> None:
    told = []
    times = iter([0.0, 10.0, 10.0, 15.0])
    report = reporter(lambda *said, **more: told.append((said, more)), Event(), times.__next__)
    report(0.0, "Listening")
    report(0.25, "Rendering")
    assert told == [
        ((0.0,), {"desc": "Listening"}),
        ((0.25,), {"desc": "Rendering · about 15 s left"}),
    ]


def test_a_visitor_has_one_run_at_a_time_and_can_stop_it() -> None:
    visit = Visit()
    visit.reserve()
    with pytest.raises(OptionInvalid, match="last order is still being worked on"):
        visit.reserve()
    with visit.running() as stop:
        report = reporter(gr.Progress(), stop)
        report(0.1, "Rendering")
        visit.release()
        with pytest.raises(Stopped):
            report(0.3, "Rendering")
        visit.reserve()  # the next run can be ordered while the last one ends
    assert visit.stop is not None
    visit.release()
    with pytest.raises(Stopped), visit.running():
        pass


def test_an_order_whose_run_never_comes_holds_nobody_up() -> None:
    now = [0.0]
    visits = Visits(7200, most_waiting=1, clock=lambda: now[0])
    people = [cast(gr.Request, SimpleNamespace(session_hash=name)) for name in "ab"]
    first, second = (visits.of(person) for person in people)
    visits.reserve(first)
    now[0] = LAPSE - 1
    with pytest.raises(OptionInvalid, match="1 people are waiting"):
        visits.reserve(second)
    now[0] = LAPSE
    visits.reserve(second)
    with second.running():
        now[0] = 10 * LAPSE  # what is under way is, however long it takes
        with pytest.raises(OptionInvalid, match="1 people are waiting"):
            visits.reserve(first)
    with first.running() as stop:  # a page that waited for longer still gets its turn
        assert not stop.is_set()


def test_pages_together_hold_only_so_many_bytes(
    portrait: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Order(portrait, speech)
    monkeypatch.setattr("talking_face.web.visits.MOST_MOTION", 2 * Motion.still(10).nbytes)
    visits = Visits(7200, most_waiting=9)
    people = [cast(gr.Request, SimpleNamespace(session_hash=name)) for name in "abcd"]
    for person in people[:3]:
        visits.of(person).shots[0] = shot(order, 0, 0)
    visits.of(people[3])
    assert [bool(visits.of(person).shown()) for person in people] == [False, True, True, False]


def test_too_many_orders_are_refused_before_they_wait() -> None:
    visits = Visits(60, most_waiting=2)
    people = [cast(gr.Request, SimpleNamespace(session_hash=name)) for name in "abc"]
    first, second, third = (visits.of(person) for person in people)
    visits.reserve(first)
    visits.reserve(second)
    with pytest.raises(OptionInvalid, match="2 people are waiting already"):
        visits.reserve(third)
    visits.end(people[0])  # the page was closed
    visits.reserve(third)
    assert first.stop is None
    assert third.stop is not None


def test_a_stopped_run_leaves_no_clip(portrait: Path, short_speech: Path) -> None:
    stop = Event()
    stages = []

    def progress(fraction: float, desc: str) -> None:
        stages.append(desc)
        if fraction > 0.1:
            stop.set()

    def files() -> set[Path]:
        return set(new_folder().parent.rglob("*.mp4"))

    before = files()
    order = Order(portrait, short_speech, 0, Settings(size=128))
    with pytest.raises(Stopped):
        list(shots.draw(order, [(0, (0, 0))], reporter(progress, stop), ()))
    assert files() == before
    assert stages[-1].startswith("Rendering sample 1 of 1")


# -- cards ----------------------------------------------------------------------------------------


def test_kept_cards_stay_and_the_others_get_new_takes(portrait: Path, speech: Path) -> None:
    order = Order(portrait, speech, 0, Settings(samples=3, seed=5))
    nothing = [False] * 6
    empty = [None] * 6
    assert shots.plan(order, empty, nothing) == [(0, (5, 0)), (1, (5, 1)), (2, (5, 2))]
    shown = [*(shot(order, 5, index) for index in (0, 1, 2)), *[None] * 3]
    assert shots.plan(order, shown, nothing) == [(0, (5, 0)), (1, (5, 1)), (2, (5, 2))]
    kept = [False, True, *[False] * 4]
    assert shots.plan(order, shown, kept) == [(0, (5, 3)), (2, (5, 4))]
    assert shots.next_index(order, shown) == 3
    with pytest.raises(OptionInvalid, match="Every sample is kept"):
        shots.plan(order, shown, [True] * 6)


def test_a_mix_takes_the_next_free_card(portrait: Path, speech: Path) -> None:
    order = Order(portrait, speech)
    full = [shot(order, 0, index) for index in range(6)]
    slot, mixed = shots.mixed([*full[:2], None, *full[3:]], 0, 1, 1)
    assert (slot, mixed.name, mixed.take) == (2, "mix 1+2+2", None)
    assert shots.mixed(full, 0, 1, 2)[0] == 5
    with pytest.raises(OptionInvalid, match="equally long"):
        shots.mixed([full[0], shot(order, 0, 1, frames=20)], 0, 1, 1)
    with pytest.raises(OptionInvalid, match="Choose three samples"):
        shots.mixed([None] * 6, 0, 1, 2)


def test_the_preview_is_a_frame_of_the_clip(
    portrait: Path, short_speech: Path, uploaded: Uploaded
) -> None:
    values = {"size": 256, "smile": 0.8, "gaze_x": 4, "background": "colour", "colour": "#206040"}
    values |= {"start": 0.2, "fade": 0.1, "pose_strength": 1.5}
    order = Order.read(uploaded(portrait), uploaded(short_speech), values=values)
    drawn = shots.draw(order, [(0, (0, 0))], lambda *_: None, order.settings.edits)
    ((_, clip),) = drawn
    assert clip.path
    frames = list(read_frames(clip.path))
    for index in (2, 15):
        shown = shots.preview(clip, index / FPS).astype(float)[:200]  # the mark is below
        ahead, other = (np.abs(frames[i][:200] - shown).mean() for i in (index, index - 2))
        assert ahead < 3  # what encoding changes
        assert ahead < 0.8 * other


def test_names_become_file_names() -> None:
    assert file_name(sample_label(11, 7)) == "sample-12_seed-7"
    assert file_name("mix 1+2+3") == "mix-1+2+3"
