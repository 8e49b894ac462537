"""Text to speech: a recording for those who can't or won't make one.

Every engine is one row of `ENGINES`. An engine offers only the voices that can speak at once: those
that come with it or are on this machine already. Nothing is ever downloaded.

    spoken = speak("Good morning.")
    animator.listen(spoken.recording)
"""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import tempfile
import time
import unicodedata
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from talking_face.arrays import Array, Float32
from talking_face.errors import OptionInvalid, TextUnspeakable, VoiceMissing
from talking_face.files import is_pipe, read_pipe, result_path, writing
from talking_face.frozen import Frozen
from talking_face.gate import admit
from talking_face.interruption import heed
from talking_face.options import MAX_TEXT, VOICE_SPEEDS, check_range, shown
from talking_face.sound import kokoro
from talking_face.sound.audio import MAX_SECONDS, MIN_SECONDS, Recording

COMMENT = "AI-generated speech (talking_face)"  # in every sound file of a voice
PEAK = 0.7  # of full scale, 3 dB below it: as loud as recordings are

_TOO_LONG = (
    f"The text would be spoken for more than {MAX_SECONDS / 60:g} minutes. "
    "Shorten it or let it be spoken faster."
)
_SHOWN = 5  # characters that a message quotes
_CHUNK = 400  # phonemes; what hibari was made for in one piece
_WORDS_A_MINUTE = 175  # of eSpeak NG at speed 1
_TIMEOUT = 120  # seconds; eSpeak NG speaks ten minutes in a few
_LOOK = 0.1  # seconds between two looks whether it is still wanted

_one_at_a_time = Lock()  # hibari fills its tables as it goes


@dataclass(frozen=True)
class Voice:
    """A voice that can speak on this machine.

    Attributes:
        engine: a name in `ENGINES`.
        name: what the engine calls it.
        language: as in "en-US".
        label: for people.
    """

    engine: str
    name: str
    language: str
    label: str

    @property
    def id(self) -> str:
        """What tells this voice from all others, such as "hibari/heart"."""
        return f"{self.engine}/{self.name}"


@dataclass(frozen=True, eq=False)
class Spoken(Frozen):
    """A text, spoken.

    Attributes:
        recording: for `Animator.listen`.
        phonemes: the sounds that the voice chose, a line a sentence, in the engine's phonetic
            alphabet (close to IPA).
        voice: who speaks.
        samples: (n,) float32 in [-1, 1], mono: the sound at the engine's own rate.
        rate: Hz.
    """

    recording: Recording
    phonemes: str
    voice: Voice
    samples: Float32
    rate: int

    def save(self, path: str | Path) -> None:
        """Write a 16-bit WAV file at the engine's own rate, with a comment that it is synthetic.

        Raises:
            OutputUnwritable: the folder can't be written, or the disk is full.
        """
        path = result_path(path, ".wav")
        pcm = np.round(self.samples * np.iinfo(np.int16).max).astype("<i2").tobytes()
        with writing(path) as hidden:
            with wave.open(str(hidden), "wb") as file:
                file.setparams((1, 2, self.rate, 0, "NONE", ""))
                file.writeframes(pcm)
            hidden.write_bytes(_commented(hidden.read_bytes(), COMMENT))


def _commented(wav: bytes, comment: str) -> bytes:
    """The same WAV file with a comment (RIFF's LIST of INFO)."""
    words = comment.encode("ascii") + b"\0"
    words += b"\0" * (len(words) % 2)
    entry = b"ICMT" + struct.pack("<I", len(words)) + words
    chunk = b"LIST" + struct.pack("<I", 4 + len(entry)) + b"INFO" + entry
    return wav[:4] + struct.pack("<I", len(wav) + len(chunk) - 8) + wav[8:] + chunk


def voices() -> list[Voice]:
    """The voices that can speak right now, the default first; none where no engine is installed."""
    return [voice for engine in ENGINES.values() for voice in engine.voices()]


def check_text(text: str) -> str:
    """The text without what nobody can say: control characters and surplus spaces.

    Raises:
        TextUnspeakable: there is no letter or digit, or there are too many characters.
    """
    if not isinstance(text, str):
        raise TextUnspeakable(f"A text is needed to speak, not {shown(text)}. Write some words.")
    plain = "".join(
        " " if unicodedata.category(c) in ("Cc", "Cs", "Co") and c != "\n" else c
        for c in unicodedata.normalize("NFC", text)
    ).strip()
    if not plain:
        raise TextUnspeakable("There is no text yet. Write what the face should say.")
    if len(plain) > MAX_TEXT:
        raise TextUnspeakable(
            f"The text has {len(plain):,} characters. Shorten it to {MAX_TEXT:,} at most."
        )
    if not any(c.isalnum() for c in plain):
        raise TextUnspeakable("There is nothing to say in the text. Write at least one word.")
    return plain


def read_text(path: str | Path) -> str:
    """The text of a file, UTF-8.

    Raises:
        TextUnspeakable: no such file, or not text.
    """
    path = Path(path)
    try:
        if not path.is_file() and not is_pipe(path) and path.exists():
            raise TextUnspeakable(f"{path} is no file. Give one that holds the text.")
        return (read_pipe(path) if is_pipe(path) else path.read_bytes()).decode("utf-8-sig")
    except OSError as error:
        raise TextUnspeakable(
            f"The text {path} can't be read ({error.strerror}). Check the path."
        ) from error
    except UnicodeDecodeError as error:
        raise TextUnspeakable(f"{path} is not a text in UTF-8. Save it as plain text.") from error


def speak(text: str, voice: str | None = None, speed: float = 1.0) -> Spoken:
    """Speak a text; the same text, voice and speed give the same sound.

    Args:
        text: up to 8,000 characters in the voice's language.
        voice: a `Voice.id`; None takes the first of `voices()`.
        speed: 0.5 to 2, 1 is the voice's own.

    Raises:
        TextUnspeakable: nothing to say, too long, or letters that the voice doesn't know.
        OptionInvalid: there is no such voice, or the speed is outside its range.
        VoiceMissing: no engine is installed, or the voice's engine fails.
        Refused: the installation's gate doesn't want it spoken.
    """
    plain = check_text(text)
    admit("text", plain)
    check_range("The speed of the voice", speed, *VOICE_SPEEDS)
    chosen = _find(voice)
    samples, rate, phonemes = ENGINES[chosen.engine].speak(chosen, plain, speed)
    loudest = float(np.abs(samples).max(initial=0.0))
    if not phonemes.strip() or loudest == 0.0:
        raise TextUnspeakable(
            f"{chosen.label} finds nothing to say in the text. Write words of its language, or "
            "choose another voice."
        )
    if len(samples) > MAX_SECONDS * rate:
        raise TextUnspeakable(_TOO_LONG)
    missing = max(0, int(np.ceil(MIN_SECONDS * rate)) - len(samples))
    samples = np.pad(samples * (PEAK / loudest), (0, missing)).astype(np.float32)
    return Spoken(Recording.from_waveform(samples, rate), phonemes, chosen, samples, rate)


def _find(voice: str | None) -> Voice:
    there = voices()
    if not there:
        raise VoiceMissing(
            "No speech synthesiser is installed. Install the package hibari-tts, or use a "
            "recording."
        )
    if voice is None:
        return there[0]
    for candidate in there:
        if isinstance(voice, str) and candidate.id == voice:
            return candidate
    names = ", ".join(candidate.id for candidate in there[:_SHOWN])
    raise OptionInvalid(
        f"There is no voice {shown(voice)} on this machine. Use one of {names}"
        f"{', …' if len(there) > _SHOWN else ''}."
    )


# -- hibari ---------------------------------------------------------------------------------------


def _hibari_voices() -> list[Voice]:
    """Its own voice, and those that its own program has downloaded before."""
    if importlib.util.find_spec("hibari") is None:
        return []
    from hibari.voices import VOICES, voice_path

    found = []
    for name, about in VOICES.items():
        try:
            voice_path(name, download_missing=False)
        except FileNotFoundError:
            continue
        label = f"{name.capitalize()} · {about['accent']} English, {about['gender']}"
        found.append(Voice("hibari", name, about["language"], label))
    return found


@lru_cache(maxsize=2)
def _hibari(name: str) -> Any:
    from hibari import Hibari
    from hibari.voices import VOICES, sha256_of, voice_path

    model = voice_path(name, download_missing=False)
    if sha256_of(model) != VOICES[name]["sha256"]:
        raise VoiceMissing(
            f"The file of the voice {name} is damaged. Delete {model}, or choose another voice."
        )
    return Hibari(voice=name, model=model)


def _speak_hibari(voice: Voice, text: str, speed: float) -> tuple[Array, int, str]:
    unknown = [c for c in dict.fromkeys(text) if c.isalpha() and not _latin(c)]
    if unknown:
        raise TextUnspeakable(
            f"{voice.label} speaks English only and can't say {' '.join(unknown[:_SHOWN])}. Write "
            "it in Latin letters, or use a recording."
        )
    with _one_at_a_time:
        engine = _hibari(voice.name)
        try:
            sentences = [part for line in engine.phonemize(text) for part in _pieces(line)]
        except IndexError as error:  # it has no word beyond 10**36
            raise TextUnspeakable(
                f"{voice.label} can't read so long a number. Write it in parts, or in words."
            ) from error
        noise = np.random.default_rng(0)
        sound: list[Array] = []
        for sentence in sentences:
            heed()
            sound.append(engine.from_ids(engine.ids(sentence), speed, noise))
            if sum(map(len, sound)) > MAX_SECONDS * engine.sample_rate:
                raise TextUnspeakable(_TOO_LONG)
    samples = np.concatenate([np.zeros(0, np.float32), *sound])
    return samples, engine.sample_rate, "\n".join(sentences)


def _latin(letter: str) -> bool:
    """Whether an English voice knows the letter; it reads µ and ª too."""
    return unicodedata.name(letter, "").startswith(("LATIN", "MICRO", "FEMININE", "MASCULINE"))


def _pieces(line: str) -> list[str]:
    """A line of phonemes cut at spaces into pieces of at most `_CHUNK`."""
    pieces = []
    while len(line) > _CHUNK:
        cut = line.rfind(" ", 1, _CHUNK + 1)
        cut = cut if cut > 0 else _CHUNK
        pieces.append(line[:cut].strip())
        line = line[cut:].strip()
    return [piece for piece in [*pieces, line] if piece]


# -- eSpeak NG ------------------------------------------------------------------------------------


def _espeak_voices() -> list[Voice]:
    program = shutil.which("espeak-ng")
    return [] if program is None else list(_espeak_list(program))


@lru_cache(maxsize=1)
def _espeak_list(program: str) -> tuple[Voice, ...]:
    try:
        listed = _run([program, "--voices"])
    except VoiceMissing:  # then it can't speak either
        return ()
    return tuple(parse_espeak_voices(listed))


def parse_espeak_voices(listed: str) -> list[Voice]:
    """What `espeak-ng --voices` prints, one voice a language, sorted by label.

    Columns: priority, language, age/gender, name with underscores for spaces, file, other
    languages. MBROLA's voices (files "mb/…") need more than eSpeak NG and are left out.
    """
    found = {}
    for line in listed.splitlines()[1:]:
        columns = line.split()
        if len(columns) >= 5 and not columns[4].startswith("mb/"):
            name = columns[3].strip("_").replace("_", " ")
            found[columns[1]] = Voice("espeak-ng", columns[1], columns[1], f"{name} · eSpeak NG")
    return sorted(found.values(), key=lambda voice: voice.label)


def _speak_espeak(voice: Voice, text: str, speed: float) -> tuple[Array, int, str]:
    with tempfile.TemporaryDirectory(prefix="talking_face_") as folder:
        sound = Path(folder) / "speech.wav"
        options = ["-v", voice.name, "-s", str(round(_WORDS_A_MINUTE * speed)), "-b", "1"]
        phonemes = _run(["espeak-ng", *options, "--ipa", "-w", str(sound), "--stdin"], text)
        if not sound.is_file():
            raise VoiceMissing("espeak-ng wrote no sound. Install it again, or use another voice.")
        with wave.open(str(sound)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
            rate = file.getframerate()
    lines = (line.strip() for line in phonemes.splitlines())
    return samples.astype(np.float32), rate, "\n".join(line for line in lines if line)


def _run(command: list[str], text: str = "") -> str:
    advice = "Install it again, or use another voice."
    try:
        status, answer, complaint = _answered(command, text.encode())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VoiceMissing(f"espeak-ng doesn't work ({error}). {advice}") from error
    if status != 0:
        said = complaint.decode(errors="replace").strip() or f"status {status}"
        raise VoiceMissing(f"espeak-ng failed ({said.splitlines()[0]}). {advice}")
    return answer.decode(errors="replace")


def _answered(command: list[str], text: bytes) -> tuple[int, bytes, bytes]:
    """How a program ended and what it said on both outputs; ended where nobody wants it any more.

    Raises:
        OSError, subprocess.TimeoutExpired.
        Stopped: nobody wants it any more.
    """
    pipe, end = subprocess.PIPE, time.monotonic() + _TIMEOUT
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        try:
            given: bytes | None = text
            while time.monotonic() < end:
                with suppress(subprocess.TimeoutExpired):
                    answer, complaint = process.communicate(given, timeout=_LOOK)
                    return process.returncode, answer, complaint
                heed()
                given = None  # it has that already, or goes on getting it
            raise subprocess.TimeoutExpired(command, _TIMEOUT)
        finally:
            process.kill()


# -- the table ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engine:
    """A synthesiser.

    Attributes:
        voices: lists the voices that can speak without a download; empty where the engine isn't
            installed.
        speak: (voice, text, speed) -> samples (n,) float32, their rate in Hz, phonemes.
    """

    voices: Callable[[], list[Voice]]
    speak: Callable[[Voice, str, float], tuple[Array, int, str]]


ENGINES = {
    "hibari": Engine(_hibari_voices, _speak_hibari),  # Apache-2.0, in requirements.txt
    "kokoro": Engine(  # Apache-2.0, in requirements-kokoro.txt
        lambda: [Voice("kokoro", *about) for about in kokoro.known()],
        lambda voice, text, speed: kokoro.speak(voice.name, text, speed, _run),
    ),
    "espeak-ng": Engine(_espeak_voices, _speak_espeak),  # GPL-3.0, a program of the system
}
