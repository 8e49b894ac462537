"""Listeners of live faces: they learn from what a live face hears, and answer better for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import pytest
import torch

from talking_face import load_animator
from talking_face.arrays import Array, Float32
from talking_face.files import shipped
from talking_face.live.chorus import WINDOWS, Chorus, load_chorus, place
from talking_face.live.ear import AHEAD, HOP, SPAN, Ear
from talking_face.live.phones import TAIL
from talking_face.mapping.articulation import articulate, mouth_readout
from talking_face.mapping.listeners import N_PROSODY, Listener, prosody_inputs, run
from talking_face.mapping.listeners import WIDTH as HIDDEN
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import BLOCKS, WIDTH
from talking_face.sound.prosody import FRAME
from talking_face.training.data.moments import Lesson, lessons
from talking_face.training.fit.live_ear import Likeness, Pupil, Recipe, answer, held_out, teach

MODELS = load_animator("cpu").models
TEACHERS = cast(Sequence[Listener], list(MODELS.mapping.listeners))


class Spy(Chorus):
    """Keeps what it was asked last."""

    def __init__(self) -> None:
        super().__init__(TEACHERS)
        self.features = self.voice = np.zeros(0)
        self.place = 0.0

    def answer(self, features: Float32, prosody: Array, window: int) -> Float32:
        self.features, self.voice, self.place = features, prosody, place(window)
        return super().answer(features, prosody, window)


@pytest.fixture(scope="module")
def spoken(words: Float32) -> Lesson:
    """Two seconds, without a room before them."""
    always = np.random.default_rng(0)
    sound = words[begin(words) :][: 2 * SAMPLE_RATE]
    (lesson,) = lessons(Recording(sound), "someone", MODELS.ear, TEACHERS, always)
    return lesson


def begin(words: Float32) -> int:
    """Where somebody begins to speak."""
    return int(np.argmax(np.abs(words) > 0.05))


def test_a_moment_is_what_the_ear_tells_its_listeners(words: Float32, spoken: Lesson) -> None:
    assert spoken.room == 0
    spy = Spy()
    ear = Ear(MODELS.ear, spy, MODELS.face)
    spy.features = np.zeros(0)  # what silence is
    for hop in range(20):
        ear.hear(words[begin(words) :][hop * HOP * FRAME : (hop + 1) * HOP * FRAME])
        features, voice, inside, _, asked, at = spoken.moment(hop)
        count = int(inside.sum())
        if not len(spy.features):
            continue  # nobody spoke yet
        count = min(count, len(spy.features))
        ours = features[-count:].reshape(count, BLOCKS, WIDTH).numpy()
        apart = np.abs(ours - spy.features[-count:])
        # Where the ear rested until there was a voice, it has heard the first frames at once.
        assert np.median(apart) < 0.02, hop
        assert np.median(apart[-2:]) < 0.01, hop
        assert np.abs(voice.numpy()[-count:] - spy.voice[-count:]).mean() < 0.03
        assert torch.equal(inside, asked)
        assert at == pytest.approx(spy.place)
    assert count == SPAN


def test_the_answers_to_learn_are_those_of_the_whole_recording(
    words: Float32, spoken: Lesson
) -> None:
    speech = load_animator("cpu").listen((SAMPLE_RATE, words[begin(words) :][: 2 * SAMPLE_RATE]))
    voice = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    whole = np.mean([run(one, speech.features, voice) for one in TEACHERS], axis=0)
    theirs = spoken.moment(15)[3]
    assert np.allclose(theirs.numpy()[-10:], whole[22:32], atol=1e-4)


def test_nothing_is_asked_of_a_quiet_room(words: Float32) -> None:
    rng = np.random.default_rng(1)
    found = [
        next(lessons(Recording(words[:SAMPLE_RATE]), "a", MODELS.ear, TEACHERS, rng))
        for _ in range(4)
    ]
    roomy = next(one for one in found if one.room > SPAN)
    assert roomy.moment(roomy.room // HOP - 1)[4].sum() == 0
    assert roomy.moment(roomy.room // HOP + 1)[4].sum() in (3, 4)


def learned(speaker: str, rng: np.random.Generator) -> Lesson:
    """A speaker of whom the teacher knows more than the newest sound tells, always the same."""
    hops = 20
    size = TAIL + HOP
    known = rng.standard_normal((size + HOP * hops, BLOCKS, WIDTH)).astype(np.float16)
    known[:size] = 0
    newest = np.stack([known[HOP * (hop + 1) :][:size] for hop in range(hops)])
    more = torch.randn(HIDDEN, generator=torch.Generator().manual_seed(0))
    features = torch.from_numpy(known[size:]).float().flatten(1)[None]
    around = torch.zeros(1, 2 * hops, N_PROSODY), torch.ones(1, 2 * hops)
    return Lesson(
        speaker=speaker,
        newest=torch.from_numpy(newest),
        curves=np.tile([-30.0, -30.0, 1.0], (2 * hops, 1)).astype(np.float32),
        answer=TEACHERS[0](features, *around, more.expand(1, 2 * hops, -1))[0],
        room=0,
    )


def test_pupils_come_nearer_to_the_teacher_for_speakers_they_do_not_know() -> None:
    rng = np.random.default_rng(0)
    names = [f"speaker {i}" for i in range(20)]
    taught = [learned(name, rng) for name in names]
    others = [one for one in taught if held_out(one.speaker)]
    assert 0 < len(others) < len(taught)
    recipe = Recipe(steps=40, batch=8, every=10, learning_rate=0.005, rank=4)
    pupil = teach(TEACHERS[:1], taught, MODELS.face, recipe)
    likeness = Likeness(MODELS.face, TEACHERS[0].output_scale)
    moments = [one.moment(hop) for one in others for hop in (5, 9)]
    before = likeness(*answer(Pupil(TEACHERS[:1], recipe.rank), moments)).item()
    assert likeness(*answer(pupil, moments)).item() < 0.9 * before
    again = teach(TEACHERS[:1], taught, MODELS.face, recipe)
    assert torch.equal(pupil.up, again.up)


def test_a_chorus_corrects_as_its_pupil_does() -> None:
    lesson = learned("someone", np.random.default_rng(1))
    torch.manual_seed(0)
    pupil = Pupil(TEACHERS, 4).eval()
    for part in (pupil.up, pupil.shift, pupil.gain):
        torch.nn.init.normal_(part, std=0.3)
    for hop in (3, 17):
        moment = lesson.moment(hop)
        (ours,), _, _ = answer(pupil, [moment])
        count = int(moment[2].sum())
        heard = moment[0][-count:].unflatten(1, (BLOCKS, WIDTH)).numpy(), moment[1][-count:].numpy()
        chorus = Chorus(TEACHERS, pupil.correction())
        theirs = chorus.answer(*heard, 2 * (hop + 1))
        assert np.allclose(ours.detach().numpy()[-count:], theirs, atol=1e-3 * np.abs(theirs).max())
        plain = Chorus(TEACHERS).answer(*heard, 2 * (hop + 1))
        assert np.abs(plain - theirs).max() > 0.1
    assert [place(window) for window in WINDOWS] == pytest.approx(range(len(WINDOWS)))
    assert place(400) == len(WINDOWS) - 1


def test_at_the_beginning_the_shipped_ones_know_more_than_the_teachers() -> None:
    wave = load_audio(shipped("assets") / "recordings" / "boat.wav").waveform[: 2 * SAMPLE_RATE]
    always = np.random.default_rng(0)
    (spoken,) = lessons(Recording(wave), "someone", MODELS.ear, TEACHERS, always)
    weights, _ = mouth_readout(MODELS.face)
    off = {}
    for name, chorus in (("pupils", load_chorus(MODELS.mapping)), ("teachers", Chorus(TEACHERS))):
        errors = []
        for hop in range(4, FPS, 2):
            features, voice, _, theirs, _, _ = spoken.moment(hop)
            heard = features.unflatten(1, (BLOCKS, WIDTH)).numpy(), voice.numpy()
            ours = chorus.answer(*heard, 2 * (hop + 1))
            both = [articulate(one, MODELS.face) @ weights[:, 0] for one in (ours, theirs.numpy())]
            errors.append((both[0] - both[1])[-AHEAD - HOP : -AHEAD])
        off[name] = float(np.square(errors).mean())
    assert off["pupils"] < 0.9 * off["teachers"]
