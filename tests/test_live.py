"""The live face: the same lips as of a clip, whatever the chunks, at any time, without an end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from talking_face import Edit, load_animator
from talking_face.arrays import Array, Float32
from talking_face.errors import AudioUnreadable, OptionInvalid
from talking_face.face.lips import mouth_readout
from talking_face.live.chunks import Chunks, Resampler
from talking_face.live.ear import Ear
from talking_face.live.eyes import BLOCK, EndlessEyes
from talking_face.live.manner import Manner
from talking_face.live.performance import Performance
from talking_face.live.phones import HOP
from talking_face.live.posture import Posture
from talking_face.live.stream import _Mouth
from talking_face.live.supply import eager
from talking_face.live.temper import PASSAGE, Newest, Temper
from talking_face.mapping.events import draw_eyes
from talking_face.moods import MOODS
from talking_face.motion import FPS, Motion
from talking_face.sound.audio import SAMPLE_RATE
from talking_face.sound.delivery import delivery
from talking_face.sound.emotion import EmotionNetwork
from talking_face.sound.prosody import FRAME

ANIMATOR = load_animator("cpu")
MODELS = ANIMATOR.models
SHUT = 0.03  # inter-ocular distances
UNFELT = np.zeros(8)


def opening(motion: Motion) -> Array:
    weights, bias = mouth_readout(MODELS.face)
    return np.concatenate([motion.lower, motion.upper], axis=1) @ weights[:, 0] + bias[0]


def performance() -> Performance:
    networks = MODELS.live_ear, MODELS.mapping, MODELS.eyes, MODELS.face
    return Performance(*networks, 0, 0, 1.0, (0.0, 0.0))


def heard(live: Performance, wave: Float32) -> Motion:
    size = HOP * FRAME
    starts = range(0, len(wave) - size + 1, size)
    parts = [live.hear(wave[start : start + size]).motion.as_array() for start in starts]
    return Motion.from_array(np.concatenate(parts))


@pytest.fixture(scope="module")
def said(words: Float32) -> Motion:
    return heard(performance(), np.pad(words, (0, SAMPLE_RATE)))


def test_lips_are_those_of_the_clip_and_close_where_they_do(words: Float32, said: Motion) -> None:
    (clip,) = ANIMATOR.sample(ANIMATOR.listen((SAMPLE_RATE, words)), 1, seed=0)
    # Of the very first sound the encoder has heard too little; after that,
    live, whole = opening(said)[FPS : len(clip)], opening(clip)[FPS:]
    assert np.corrcoef(live, whole)[0, 1] > 0.97
    shut = np.flatnonzero(whole[5:-5] < SHUT) + 5
    assert np.mean([(live[i - 1 : i + 2] < SHUT).any() for i in shut]) > 0.9


def test_no_seam_is_seen_where_it_hears_again(said: Motion) -> None:
    jerk = np.abs(np.diff(opening(said), 2))
    phases = [jerk[phase::HOP].mean() for phase in range(HOP)]
    assert max(phases) < 2 * min(phases)


def test_nothing_jumps_between_listening_and_speaking(said: Motion) -> None:
    for channel, most in (("rotation", 1.5), ("translation", 0.02), ("upper", 0.6)):
        assert np.abs(np.diff(getattr(said, channel), axis=0)).max() < most, channel


def test_who_is_spoken_to_holds_the_mouth_shut_and_nods_a_little() -> None:
    posture = Posture(0, 0)
    rotation, translation = posture.hold(np.zeros(60 * FPS))
    nods = np.diff(rotation[3 * FPS :, 1])
    assert 1.0 < rotation[:, 1].max() < 4.0
    assert np.abs(nods).max() < 0.7
    assert (nods > 0.05).any()
    assert translation[:, 2].max() > 0.015
    speaking, _ = Posture(0, 0).hold(np.ones(60 * FPS))
    assert not speaking.any()


def test_silence_and_steady_noise_say_nothing() -> None:
    noise = 0.02 * np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE).astype(np.float32)
    for sound in (np.zeros(SAMPLE_RATE, dtype=np.float32), noise):
        assert opening(heard(performance(), sound))[3 * FPS :].max(initial=0.0) < SHUT


def test_the_first_minute_of_the_eyes_is_the_clip_s_and_the_next_goes_on() -> None:
    frames = BLOCK + 20 * FPS
    still, ahead = np.zeros((frames, 3)), np.zeros((2, 3))
    eyes = EndlessEyes(MODELS.eyes, 7, 0, 1.0)
    parts = [eyes.look(still[i : i + 2], ahead) for i in range(0, frames, 2)]
    lids, gaze = (np.concatenate(part) for part in zip(*parts, strict=True))
    whole = draw_eyes(MODELS.eyes, still, 7, 0, 1.0)
    assert np.allclose(gaze[: BLOCK - FPS], whole[1][: BLOCK - FPS], atol=1e-6)
    assert np.abs(lids - whole[0])[: BLOCK - FPS].max() < 0.02
    later = lids[BLOCK - 2 * FPS :]
    quickest = np.abs(np.diff(whole[0], axis=0)).max()
    assert later.max() > 0.5
    assert np.abs(np.diff(later, axis=0)).max() < 1.2 * quickest


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_any_rate_in_any_chunks_is_the_same_sound(rate: int) -> None:
    time_ = np.arange(rate) / rate
    tone = np.sin(2 * np.pi * 440 * time_).astype(np.float32)
    whole = Resampler(rate, SAMPLE_RATE).resample(tone)
    cut, way = np.random.default_rng(0).integers(1, 700, 9999).cumsum(), Resampler(rate, 16000)
    parts = np.split(tone, cut[cut < len(tone)])
    assert np.allclose(np.concatenate([way.resample(part) for part in parts]), whole, atol=1e-6)
    assert abs(len(whole) - SAMPLE_RATE) <= 1
    spectrum = np.abs(np.fft.rfft(whole[1000:9000] * np.hanning(8000)))
    assert np.argmax(spectrum) == 220
    assert spectrum[230:].max() < 1e-3 * spectrum.max()


def test_chunks_of_all_kinds_are_read_and_others_refused() -> None:
    chunks = Chunks([], 16000, channels=2)
    stereo = np.array([[8192, 0], [-16384, 16384]], dtype=np.int16)
    data = stereo.tobytes()
    got = np.concatenate([chunks.mono(data[:3]), chunks.mono(data[3:5]), chunks.mono(data[5:])])
    assert np.allclose(got, [0.125, 0.0])
    assert np.allclose(chunks.mono(stereo), got)
    assert np.allclose(chunks.mono(np.array([np.nan, 7.0, -0.5])), [0.0, 1.0, -0.5])
    assert len(chunks.mono(b"")) == 0
    for wrong in ("text", np.zeros(3, dtype=np.int64), np.zeros((2, 9)), [[1.0], [2.0, 3.0]]):
        with pytest.raises(AudioUnreadable):
            chunks.mono(wrong)
    for sound, rate in ((b"one chunk", 16000), ([], 100)):
        with pytest.raises(OptionInvalid):
            Chunks(sound, rate)


def test_a_mood_comes_without_a_jump_and_goes_again(said: Motion) -> None:
    manner = Manner(MODELS.face, MODELS.expression)
    shown = [manner.apply(said[i : i + 1], UNFELT) for i in range(5)]
    assert all(np.array_equal(m.lower, said[i : i + 1].lower) for i, m in enumerate(shown))
    manner.change(Edit(smile=0.8, gaze=(5, 0), pose_strength=0.0))
    shown += [manner.apply(said[i : i + 1], UNFELT) for i in range(5, 45)]
    gaze = np.array([m.gaze[0, 0] for m in shown]) - said.gaze[:45, 0]
    assert np.allclose(gaze[-1], 5, atol=0.1)
    assert np.abs(np.diff(gaze)).max() < 1.5
    assert np.abs(shown[-1].rotation).max() < 1e-6
    manner.change(Edit(feeling="happy"))
    felt = [manner.apply(said[i : i + 1], UNFELT) for i in range(45, 70)][-1]
    assert np.abs(felt.nuance).max() > 0
    assert not felt.feeling.any()


class Certain(EmotionNetwork):
    """Hears a happy voice wherever somebody speaks."""

    def __init__(self) -> None:
        super().__init__(0)

    def forward(self, statistics: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        happy = torch.zeros(len(statistics), 9)
        happy[:, MOODS.index("happy")] = 1.0
        return happy, torch.zeros(len(statistics), 2)


def test_what_a_voice_feels_comes_slowly_and_fades_in_silence(words: Float32) -> None:
    ear = Ear(MODELS.live_ear, MODELS.face, Certain())
    sound = np.concatenate([words, np.zeros(5 * SAMPLE_RATE, dtype=np.float32)])
    starts = range(0, len(sound) - HOP * FRAME, HOP * FRAME)
    amounts = [ear.hear(sound[start : start + HOP * FRAME]).felt for start in starts]
    happy = np.array(amounts)[:, MOODS.index("happy")]
    assert happy[: FPS // HOP].max() == 0
    assert happy.max() > 0.4
    assert happy.argmax() > 2 * FPS // HOP
    assert happy[-1] == 0
    manner = Manner(MODELS.face, MODELS.expression)
    still, felt = Motion.still(1), np.eye(8)[MOODS.index("happy")]
    heard = [manner.apply(still, felt) for _ in range(30)][-1]
    assert np.abs(heard.nuance).max() > 0
    manner.change(Edit(feeling="none"))
    assert not [manner.apply(still, felt) for _ in range(60)][-1].nuance.any()


def test_the_newest_seconds_say_nearly_what_a_recording_s_do(words: Float32) -> None:
    seen: list[Newest] = []

    class Spy(Temper):
        def feel(self, newest: Newest, frames: int) -> Array:
            seen.append(newest)
            return super().feel(newest, frames)

    ear = Ear(MODELS.live_ear, MODELS.face, MODELS.emotion)
    ear._temper = Spy(MODELS.emotion)
    for start in range(0, len(words) - HOP * FRAME, HOP * FRAME):
        ear.hear(words[start : start + HOP * FRAME])
    speech = ANIMATOR.listen((SAMPLE_RATE, words))
    live = delivery(seen[-1], slice(None))
    whole = delivery(speech, slice(0, len(seen) * HOP))
    assert len(seen[-1].features) == len(seen) * HOP <= PASSAGE
    usual = (torch.from_numpy(np.stack([live, whole])) - MODELS.emotion.centre) / (
        MODELS.emotion.spread
    )
    assert np.corrcoef(usual.numpy())[0, 1] > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "kind"), [(8000, "plain"), (48000, "stereo"), (16000, "clipped"), (44100, "bytes")]
)
def test_lips_are_the_same_however_the_sound_is_given(
    words: Float32, said: Motion, rate: int, kind: str
) -> None:
    sound = resample_poly(words, rate, SAMPLE_RATE).astype(np.float32)
    channels, chunk = 1, sound
    if kind == "stereo":
        channels, chunk = 2, np.repeat(sound[:, None], 2, axis=1)
    elif kind == "clipped":
        chunk = np.clip(30 * sound, -1, 1)
    elif kind == "bytes":
        chunk = (32767 * sound).astype("<i2").tobytes()
    pieces = [chunk[i : i + 3001] for i in range(0, len(chunk), 3001)]
    live = performance()
    passages = [live.hear(hop.heard) for hop in eager(Chunks(pieces, rate, channels))]
    motion = np.concatenate([passage.motion.as_array() for passage in passages])
    assert np.isfinite(motion).all()
    opened, plain = opening(Motion.from_array(motion)), opening(said)
    count = min(len(opened), len(plain))
    likeness = np.corrcoef(opened[:count], plain[:count])[0, 1]
    assert likeness > (0.75 if kind in ("clipped", "plain") else 0.97)


def test_music_without_a_voice_and_loud_noise_break_nothing() -> None:
    moments = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    steps = 220 * 2 ** (np.floor(moments * 4) % 8 / 12)
    chord = sum(np.sin(2 * np.pi * steps * ratio * moments) for ratio in (1, 1.26, 1.5)) / 3
    noise = np.random.default_rng(0).uniform(-1, 1, 4 * SAMPLE_RATE)
    for sound in (chord, noise):
        motion = heard(performance(), sound.astype(np.float32))
        assert np.isfinite(motion.as_array()).all()
        assert opening(motion).max() < 0.4  # of the eyes' distance: nobody shouts at music
        assert np.abs(motion.rotation).max() < 25


@pytest.mark.slow
@pytest.mark.parametrize("before", [0, 2, 10, 24, 48, 120])
def test_who_is_interrupted_may_be_spoken_to_at_once(words: Float32, before: int) -> None:
    """However long the stream is, and whether the ear had heard all of it or rested."""
    ear = Ear(MODELS.live_ear, MODELS.face)
    hop = HOP * FRAME
    loud = words[int(np.argmax(np.abs(words) > 0.1)) :]
    for index in range(before // HOP):
        ear.hear(loud[index * hop :][:hop] if index % 3 else np.zeros(hop, dtype=np.float32))
    ear.forget()
    for index in range(40):
        heard = ear.hear(loud[index * hop :][:hop])
        assert heard.stop == before + (index + 1) * HOP
        assert np.isfinite(heard.said).all()
    assert heard.gate.max() > 0.9


def test_an_interrupted_mouth_shuts_within_three_frames(words: Float32) -> None:
    live, mouth = performance(), _Mouth()
    passages = [live.hear(words[i : i + HOP * FRAME]) for i in range(0, 40 * FRAME, HOP * FRAME)]
    shown = [(p, i) for p in passages for i in range(len(p.gate))]
    before = [mouth.next(p, i, False) for p, i in shown[:-4]]
    after = [mouth.next(p, i, True) for p, i in shown[-4:]]
    assert opening(before[-1])[0] > 0.05 or max(opening(m)[0] for m in before) > 0.05
    assert opening(after[2])[0] < SHUT
    assert opening(after[3])[0] < SHUT
