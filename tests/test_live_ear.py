"""Live ears: hop by hop they say what they say of a whole stream, and nearly what clips say."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from talking_face import load_animator
from talking_face.arrays import Array, Float32
from talking_face.face.lips import mouth_readout
from talking_face.files import shipped
from talking_face.live import phones
from talking_face.live.chorus import Chorus, LiveEar
from talking_face.live.ear import BACK, Ear
from talking_face.live.int8 import Int8Linear, to_int8
from talking_face.live.phones import AHEAD, HOP, NEW, LiveEncoder, Phones, add_thin, moments
from talking_face.mapping.listeners import N_HEARD, N_PROSODY, Listener, prosody_inputs, run
from talking_face.motion import FPS
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.sound.encoder import log_power
from talking_face.sound.prosody import FRAME
from talking_face.training.data.streams import FULL, Lesson, Streams, disturbed, lesson, spectra
from talking_face.training.fit.live_ear import Likeness, Recipe, judge, teach
from talking_face.training.fit.pupil import Pupil, hopped
from talking_face.weights import load_weights

MODELS = load_animator("cpu").models
EAR = MODELS.live_ear
ENCODER = LiveEncoder(MODELS.ear).requires_grad_(False)  # of 32 bits
add_thin(ENCODER, load_weights("live_ear"))
TEACHERS = cast(Sequence[Listener], list(MODELS.mapping.listeners))


@pytest.fixture(scope="module")
def spoken(words: Float32) -> Float32:
    """Two seconds of speech behind a silent frame."""
    begin = int(np.argmax(np.abs(words) > 0.05))
    return np.pad(words[begin:][: 2 * SAMPLE_RATE], (FRAME, 0))


def at_once(encoder: LiveEncoder, wave: Float32, first: int = 0) -> Array:
    """Features of all hops."""
    with torch.inference_mode():
        power = spectra(torch.from_numpy(wave)[None])
        return encoder(*moments(power), torch.tensor([first]))[0].numpy()


def hop_by_hop(encoder: LiveEncoder, wave: Float32, first: int = 0) -> Array:
    hearing = Phones(encoder)
    hearing._place = first
    stops = range((1 + NEW) * FRAME, len(wave) + 1, HOP * FRAME)
    return np.stack([hearing.hear(wave[max(0, stop - 20 * FRAME) : stop]) for stop in stops])


@pytest.mark.parametrize("first", [0, phones.PERIOD - 20])
def test_hop_by_hop_it_says_what_it_says_of_all_at_once(spoken: Float32, first: int) -> None:
    whole, parts = (way(ENCODER, spoken, first) for way in (at_once, hop_by_hop))
    assert whole.shape == parts.shape
    # The last column of a spectrum is told a little otherwise where the sound ends.
    assert np.median(np.abs(whole - parts)) < 0.01 * whole.std()
    assert np.corrcoef(whole.ravel(), parts.ravel())[0, 1] > 0.999


def test_eight_bits_say_what_the_encoder_says(spoken: Float32) -> None:
    exact, short = (hop_by_hop(one, spoken) for one in (ENCODER, EAR.encoder))
    for block in range(exact.shape[2]):
        parts = exact[:, :, block].ravel(), short[:, :, block].ravel()
        assert np.corrcoef(*parts)[0, 1] > 0.99, block
    assert np.abs(exact - short).max() > 0  # the shipped one is the short one


@pytest.mark.parametrize("engine", ["x86", "qnnpack"])
def test_a_layer_of_eight_bits_has_a_scale_for_each_row(
    engine: str,
) -> None:
    if engine not in torch.backends.quantized.supported_engines:
        pytest.skip(f"this build of PyTorch has no {engine}")
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine
    try:
        torch.manual_seed(0)
        layer = torch.nn.Linear(64, 32)
        with torch.no_grad():
            layer.weight.mul_(torch.logspace(-4, 2, 32)[:, None])
            layer.weight[7] = 0.0
        x = torch.randn(3, 5, 64)
        exact, short = layer(x), Int8Linear(layer)(x)
        scale = layer.weight.abs().amax(1) + 1e-6
        assert short.shape == exact.shape
        assert ((short - exact).abs() / scale).max() < 0.3
        assert torch.equal(short[..., 7], exact[..., 7])
        network = torch.nn.Sequential(layer, torch.nn.GELU(), torch.nn.Linear(32, 4, bias=False))
        exact = network(x)
        to_int8(network)
        assert [type(part) for part in network] == [Int8Linear, torch.nn.GELU, Int8Linear]
        assert np.corrcoef(network(x).ravel(), exact.detach().ravel())[0, 1] > 0.999
    finally:
        torch.backends.quantized.engine = before


def test_without_an_engine_for_eight_bits_all_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(4, 4))
    monkeypatch.setattr(torch.backends, "quantized", SimpleNamespace(engine="none"))
    to_int8(network)
    assert type(network[0]) is torch.nn.Linear


def test_nothing_is_known_of_what_comes_later(spoken: Float32) -> None:
    other = spoken.copy()
    stop = (1 + NEW + 10 * HOP) * FRAME
    other[stop + 200 :] = 0.0  # the window of the spectrum is 200 samples wide on either side
    whole, cut = at_once(ENCODER, spoken), at_once(ENCODER, other)
    assert np.allclose(whole[:11], cut[:11], atol=1e-3)
    assert not np.allclose(whole[12], cut[12], atol=0.1)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, spoken: Float32) -> None:
    monkeypatch.setattr(phones, "PAST", 8)
    monkeypatch.setattr(phones, "LOUDEST", 10)
    hearing = Phones(EAR.encoder)
    for _ in range(8):
        hearing.hear(spoken[: 20 * FRAME])
    assert {part.shape[2] for pair in hearing._kept for part in pair} == {16}
    assert len(hearing._loudest) == 5
    monkeypatch.undo()
    mask = phones.visible(3)
    size = 2 * NEW
    assert mask[:size, size:].sum() == 0  # nothing of later hops
    assert mask[size : 2 * size, : 2 * HOP].all()  # what is final
    assert not mask[size : 2 * size, 2 * HOP : size].any()  # not what was for the time being
    hops = phones.PAST // HOP + 2
    assert not phones.visible(hops)[-1, :size].any()  # nor what is long ago


def test_thin_matrices_change_a_network() -> None:
    plain = LiveEncoder(MODELS.ear).requires_grad_(False)
    parts: dict[str, Array] = {}
    for name, weight in plain.named_parameters():
        if weight.dim() > 1:
            parts[f"{name}.up"] = np.zeros((len(weight), 2), dtype=np.float16)
            parts[f"{name}.down"] = np.ones((2, weight[0].numel()), dtype=np.float16)
        else:
            parts[f"{name}.plus"] = np.zeros(weight.shape, dtype=np.float16)
    same, other = (LiveEncoder(MODELS.ear).requires_grad_(False) for _ in range(2))
    add_thin(same, parts)
    changed = dict(same.named_parameters())
    assert all(torch.equal(weight, changed[name]) for name, weight in plain.named_parameters())
    name = "blocks.3.mlp.0.weight"
    parts[f"{name}.up"][5] = 0.5
    parts["ln_post.bias.plus"] += 0.25
    add_thin(other, parts)
    assert torch.allclose(other.get_parameter(name)[5], changed[name][5] + 1.0)
    assert torch.equal(other.get_parameter(name)[6], changed[name][6])
    assert torch.allclose(other.ln_post.bias, changed["ln_post.bias"] + 0.25)
    kept = MODELS.ear.blocks[3].get_parameter("mlp.0.weight")
    assert torch.equal(kept, plain.get_parameter(name))  # the clips' ear hears as before


def test_a_lesson_is_what_clips_hear(words: Float32) -> None:
    wave = words[: 2 * SAMPLE_RATE]
    assert np.allclose(spectra(torch.from_numpy(wave)[None])[0], log_power(wave), atol=1e-3)
    one = lesson(Recording(wave), "a corpus", "someone")
    speech = load_animator("cpu").listen((SAMPLE_RATE, wave))
    voice = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    assert len(one) == len(speech)
    assert np.allclose(one.voice, voice, atol=1e-5)
    assert np.allclose(one.wave.ravel() / FULL, wave[: len(one) * FRAME], atol=1e-4)
    pupil = Pupil(MODELS.ear, TEACHERS, 2).eval()
    power = spectra(torch.from_numpy(np.pad(wave, (FRAME, SAMPLE_RATE)))[None])
    known = torch.from_numpy(np.pad(voice, ((0, FPS), (0, 0))))[None]
    features, answer = pupil.teach(power, known)
    # Clips have no silent frame before them, so positions are one frame off.
    ours, theirs = features[0, : len(one)].numpy(), speech.features.reshape(len(speech), -1)
    alike = [np.corrcoef(*pair)[0, 1] for pair in zip(ours, theirs, strict=True)]
    assert np.median(alike) > 0.9
    whole = np.mean([run(each, speech.features, voice) for each in TEACHERS], axis=0)
    assert np.corrcoef(answer[0, : len(one), 0], whole[:, 0])[0, 1] > 0.95


def invented(speaker: str, source: str, seed: int) -> Lesson:
    """A lesson of noise, whose frames can be told apart."""
    rng = np.random.default_rng(seed)
    wave = rng.integers(-3000, 3000, (60, FRAME)).astype(np.int16)
    return Lesson(source, speaker, wave, rng.random((60, N_PROSODY)).astype(np.float32))


def test_streams_string_lessons_together_with_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("talking_face.training.data.streams._SPEEDS", (1.0, 1.0))
    lessons = [invented("a", "grid", 1), invented("b", "firstimp", 2)]
    rng = np.random.default_rng(0)
    wave, voice, counts = Streams(lessons, 150, torch.device("cpu")).draw(rng, 12)
    assert wave.shape == (12, 151 * FRAME)
    assert not wave[:, :FRAME].any()
    known = np.concatenate([one.voice for one in lessons])
    waves = np.concatenate([one.wave for one in lessons]) / np.float32(FULL)
    whose = []
    for stream in range(12):
        for frame in range(150):
            sound = wave[stream, (frame + 1) * FRAME : (frame + 2) * FRAME].numpy()
            if counts[stream, frame] < 1.0:
                assert np.abs(sound).max() < 1e-5
                assert not voice[stream, frame].any()
                continue
            (match,) = np.flatnonzero(np.isclose(known, voice[stream, frame]).all(1))
            assert np.allclose(sound, waves[match], atol=1e-5)
            whose.append(match // 60)
    assert 12 * 75 < len(whose) < 12 * 150
    assert np.mean(whose) > 0.6  # who speaks as people do is heard more often


def test_streams_go_faster_and_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    tone = np.sin(2 * np.pi * 400 * np.arange(200 * FRAME) / SAMPLE_RATE)
    wave = np.round(8000 * tone).astype(np.int16).reshape(200, FRAME)
    one = Lesson("grid", "a", wave, np.ones((200, N_PROSODY), dtype=np.float32))
    monkeypatch.setattr("talking_face.training.data.streams._LEAD", 0.0)
    monkeypatch.setattr("talking_face.training.data.streams._MIDDLE", 0.0)
    for speed in (0.9, 1.1):
        monkeypatch.setattr("talking_face.training.data.streams._SPEEDS", (speed, speed))
        heard, _, _ = Streams([one], 100, torch.device("cpu")).draw(np.random.default_rng(0), 1)
        assert heard.shape == (1, 101 * FRAME)
        spectrum = np.abs(np.fft.rfft(heard[0].numpy()))
        assert spectrum.argmax() * SAMPLE_RATE / heard.shape[1] == pytest.approx(400 * speed, abs=3)
        assert heard.abs().max() == pytest.approx(8000 / FULL, rel=0.1)


def test_other_rooms_are_heard_and_the_beginning_stays_silent(spoken: Float32) -> None:
    wave = torch.from_numpy(np.stack([spoken, spoken]))
    heard, again = (disturbed(wave, np.random.default_rng(0)) for _ in range(2))
    assert torch.equal(heard, again)
    assert not heard[:, :FRAME].any()
    assert heard.abs().max() <= 1
    assert not torch.allclose(heard[0], heard[1], atol=1e-3)
    for one in heard.numpy():
        assert np.isfinite(one).all()
        loudness = [np.abs(w[FRAME:]).reshape(-1, FRAME).mean(1) for w in (one, spoken)]
        assert np.corrcoef(*loudness)[0, 1] > 0.5


@pytest.mark.slow
def test_a_pupil_comes_nearer_to_its_teachers_and_is_kept_whole(spoken: Float32) -> None:
    one = lesson(Recording(spoken[FRAME:][: int(1.4 * SAMPLE_RATE)]), "grid", "someone")
    recipe = Recipe(steps=16, batch=1, frames=24, rank=4, average=0.5, kept=1.0)
    pupil = teach(MODELS.ear, TEACHERS, [one], MODELS.face, recipe)
    fresh = Pupil(MODELS.ear, TEACHERS, recipe.rank).eval()
    likeness = Likeness(MODELS.face, TEACHERS[0])
    power = spectra(torch.from_numpy(np.pad(one.wave.ravel() / np.float32(FULL), (FRAME, 0)))[None])
    voice, first = torch.from_numpy(one.voice)[None], torch.tensor([0])
    answers = {}
    for name, each in (("after", pupil), ("before", fresh)):
        with torch.no_grad():
            heard, answers[name] = each(power, voice, first)
            known = each.teach(power, voice)
        answers[f"loss {name}"] = likeness(heard, answers[name], *known, torch.ones(1, len(one)))
    assert answers["loss after"] < 0.9 * answers["loss before"]
    assert judge(pupil, one, MODELS.face).alike > 0.5

    parts = {name: part.float().numpy() for name, part in pupil.parts().items()}
    encoder = LiveEncoder(MODELS.ear).requires_grad_(False)
    add_thin(encoder, parts)
    chorus = Chorus(TEACHERS)
    heard = encoder(*moments(power), first)[0].numpy()
    final = heard[:, :HOP].reshape(-1, *heard.shape[2:])
    hops, ours = hopped(voice)[0].numpy(), answers["after"][0].numpy()
    assert ours.shape == (len(heard), NEW, N_HEARD)
    for hop in (0, 3, len(heard) - 1):
        before = slice(max(0, HOP * hop - BACK), HOP * hop)
        features = np.concatenate([final[before], heard[hop]])
        theirs = chorus.answer(features, np.concatenate([voice[0, before].numpy(), hops[hop]]))
        assert np.abs(theirs[-NEW:] - ours[hop]).max() < 0.02 * np.abs(ours).max()


def test_only_a_part_of_what_was_learned_is_kept() -> None:
    pupils = [Pupil(MODELS.ear, TEACHERS, 2) for _ in range(2)]
    for pupil, share in zip(pupils, (1.0, 0.5), strict=True):
        torch.manual_seed(0)
        for parameter in pupil.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter)
        pupil.keep(share)
    whole, half = (pupil.parts() for pupil in pupils)
    assert whole.keys() == half.keys()
    for name, part in whole.items():
        left = 1.0 if name.endswith(".down") else 0.5
        assert torch.allclose(half[name].float(), left * part.float(), atol=0.01), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["boat", "pie"])
def test_the_shipped_one_says_early_what_clips_say_in_the_end(name: str) -> None:
    """On recordings that nothing was learned from, from the very first sound on."""
    wave = load_audio(shipped("assets") / "recordings" / f"{name}.wav").waveform[: 4 * SAMPLE_RATE]
    speech = load_animator("cpu").listen((SAMPLE_RATE, wave))
    voice = prosody_inputs(speech.energy, speech.activity, speech.voicing)
    whole = np.mean([run(one, speech.features, voice) for one in TEACHERS], axis=0)
    weights, _ = mouth_readout(MODELS.face)
    plain = LiveEar(LiveEncoder(MODELS.ear), Chorus(TEACHERS))
    likeness = []
    for networks in (EAR, plain):
        ear, shown = Ear(networks, MODELS.face), []
        sound = np.pad(wave, (0, (AHEAD + HOP) * FRAME))
        for start in range(0, len(sound) - HOP * FRAME + 1, HOP * FRAME):
            ear.hear(sound[start : start + HOP * FRAME])
            shown.append(ear._face[-AHEAD - HOP : -AHEAD, : len(weights)] @ weights[:, 0])
        live = np.concatenate(shown[AHEAD // HOP :])[: len(whole)]
        real = whole[: len(live), : len(weights)] @ weights[:, 0]
        likeness.append(np.corrcoef(live, real)[0, 1])
    assert likeness[0] > 0.9
    assert likeness[0] > likeness[1] + 0.02
