"""What a motion feels: chosen, changed, kept in files, told on the page."""

from pathlib import Path

import numpy as np
import pytest

from talking_face import MOODS, Animator, Edit, Motion, load_animator
from talking_face.errors import OptionInvalid
from talking_face.moods import PLACES, check_feeling, told_feeling, weights_of
from talking_face.motion import CHANNELS
from talking_face.motion_space import ADDED
from talking_face.web.feelings import heard_picture, heard_words


@pytest.fixture(scope="module")
def animator() -> Animator:
    return load_animator("cpu")


def test_feelings_are_read_and_told() -> None:
    for feeling in ("voice", "none", "sad", (0.5, -0.25)):
        assert check_feeling(told_feeling(feeling)) == check_feeling(feeling) == feeling
    for wrong in ("bored", "", "1,2,3", "a,b", "0,2", 3, None, [1], {"a": 1}, ("0", None)):
        with pytest.raises(OptionInvalid):
            check_feeling(wrong)


def test_a_place_is_the_moods_around_it() -> None:
    for mood, place in PLACES.items():
        assert MOODS[weights_of(place).argmax()] == mood
        assert weights_of(mood).tolist() == [float(name == mood) for name in MOODS]
    between = np.mean([PLACES["happy"], PLACES["surprised"]], axis=0)
    assert sorted(weights_of(tuple(between)))[-2] > 0.4
    assert not weights_of("none").any()


def test_a_feeling_is_changed_without_drawing_again(animator: Animator, short_speech: Path) -> None:
    speech = animator.listen(short_speech)
    motion, other = animator.sample(speech, samples=2)
    assert motion.feeling[:, :-1].max() < 0.05  # plain reading
    assert motion.feeling[0, -1] != other.feeling[0, -1]  # each has its own manner
    sad = animator.edit(motion, Edit(feeling="sad"), speech)
    drawn = [name for name in CHANNELS if name != "feeling"]
    assert all(np.array_equal(getattr(sad, name), getattr(motion, name)) for name in drawn)
    assert sad.feeling[-1, MOODS.index("sad")] > 0.3
    part = Edit(feeling="happy", start=0.4, stop=0.8)
    both = animator.edit(sad, part, speech)
    assert np.array_equal(both.feeling[:10], sad.feeling[:10])
    assert both.feeling[15, MOODS.index("happy")] > 0.3
    assert both.feeling[15, MOODS.index("sad")] < sad.feeling[15, MOODS.index("sad")]
    again = animator.edit(both, Edit(feeling="voice"), speech)
    assert np.array_equal(again.feeling, motion.feeling)
    assert not animator.edit(both, Edit(feeling="none")).feeling[:, :-1].any()
    half = animator.edit(sad, Edit(feeling="voice", feeling_strength=0.5))  # without the sound
    np.testing.assert_allclose(half.feeling[:, :-1], sad.feeling[:, :-1] / 2, atol=1e-6)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_motions_carry_what_they_feel(animator: Animator, tmp_path: Path, suffix: str) -> None:
    motion = animator.edit(Motion.still(10), Edit(feeling=(0.3, 0.6), feeling_strength=1.2))
    motion.save(tmp_path / f"motion{suffix}")
    assert Motion.load(tmp_path / f"motion{suffix}") == motion
    assert animator.edit(motion, Edit(feeling="none")) == Motion.still(10)


def test_motions_of_the_first_space_are_read(tmp_path: Path) -> None:
    old = {name: np.ones((4, size)) for name, size in CHANNELS.items() if name not in ADDED}
    np.savez(tmp_path / "old.npz", space="talking-face-motion-1", fps=25, **old)
    read = Motion.load(tmp_path / "old.npz")
    assert not read.feeling.any()
    assert not read.nuance.any()
    assert read.rest.all()


def test_what_is_heard_is_told(animator: Animator, speech: Path) -> None:
    heard = animator.emotion(animator.listen(speech))
    words = heard_words(heard)
    assert words.startswith("The voice sounds neutral (")
    assert words in heard_picture(heard)
    assert heard_picture(heard).count("<polyline") == 2
    assert heard_picture(None) == ""
