"""Which phones are said in a recording, and when.

pocketsphinx (`pip install -r requirements-phones.txt`) tells them; its package carries a model of
English. Where the words of a recording are known, its phones are found by laying the words along
the sound: few are off by more than a frame of video. Else they are recognised one by one, without
any words, as nearest as English comes to what is heard: many are mistaken for a neighbour, more so
in other languages, and of a single one nothing follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from talking_face.arrays import Array
from talking_face.errors import OptionInvalid

# What lips have to do, and the phones of it, in the letters of the CMU dictionary.
CLASSES = {
    "closed": ("P", "B", "M"),
    "lip on teeth": ("F", "V"),
    "rounded": ("UW", "UH", "OW", "OY", "AO", "W"),
    "protruded": ("SH", "ZH", "CH", "JH", "R", "ER"),
    "open": ("AA", "AE", "AH", "AW", "AY", "EH"),
    "spread": ("IY", "IH", "EY", "Y"),
    "tongue": ("T", "D", "N", "L", "S", "Z", "TH", "DH"),
    "throat": ("K", "G", "NG", "HH"),
}
SILENCE, NOISE = "silence", "noise"
CLASS_OF = {name: label for label, names in CLASSES.items() for name in names}

HOP = 0.01  # seconds, of pocketsphinx's frames
# Of the sentences of the GRID corpus, the words that the letters of a file's name stand for; a
# letter of the alphabet is said as it is. Cooke et al., JASA 120(5), 2006.
_GRID = (
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    {
        "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
        "8": "eight", "9": "nine", "z": "zero",
    },
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)  # fmt: skip
_FAR = 1e-80  # likelihood beside the best one below which words are given up
_NEAR = 1e-48  # the same of phones; narrower than this, some recordings are lost
_LANGUAGE_WEIGHT, _INSERTION = 2.0, 0.3  # as pocketsphinx advises for phones


@dataclass(frozen=True)
class Phone:
    """One phone: its name in the CMU dictionary, or `SILENCE` or `NOISE`; its time in seconds."""

    name: str
    start: float
    end: float

    @property
    def kind(self) -> str:
        """One of `CLASSES`, `SILENCE` or `NOISE`."""
        return CLASS_OF.get(self.name, self.name)


class Phonetician:
    """Hears phones: where the words are known, those; else whatever is likeliest."""

    def __init__(self) -> None:
        """Load pocketsphinx and its model of English.

        Raises:
            OptionInvalid: pocketsphinx isn't installed.
        """
        try:
            from pocketsphinx import Decoder, get_model_path
        except ImportError as error:
            raise OptionInvalid(
                "Phones are told by the package pocketsphinx, which isn't installed: "
                "pip install -r requirements-phones.txt"
            ) from error
        common = {"lm": None, "loglevel": "FATAL"}
        self._words: Any = Decoder(bestpath=False, beam=_FAR, **common)
        self._phones: Any = Decoder(
            allphone=get_model_path("en-us/en-us-phone.lm.bin"), lw=_LANGUAGE_WEIGHT,
            pip=_INSERTION, beam=_NEAR, pbeam=_NEAR, **common,
        )  # fmt: skip

    def align(self, waveform: Array, words: str) -> list[Phone] | None:
        """The phones of known words.

        Args:
            waveform: (n,) floating point in [-1, 1], 16 kHz.
            words: in small letters, one space between two.

        Returns:
            All phones in their order, with the silences between them; None where a word isn't in
            the dictionary, or something else was said.
        """
        try:
            self._words.set_align_text(words)
            _decode(self._words, waveform)
            if self._words.hyp() is None:
                return None
            self._words.set_alignment()
            _decode(self._words, waveform)
        except RuntimeError:  # all that it says of words that it can't find
            return None
        found = self._words.get_alignment()
        return [_phone(p.name, p.start, p.start + p.duration) for p in found.phones()]

    def recognise(self, waveform: Array) -> list[Phone]:
        """The likeliest phones of (n,) samples as in `align`."""
        _decode(self._phones, waveform)
        if self._phones.hyp() is None:
            return []
        return [_phone(s.word, s.start_frame, s.end_frame + 1) for s in self._phones.seg()]

    def hear(self, waveform: Array, words: str | None) -> list[Phone]:
        """The phones of these words, or whatever is heard where they aren't known or not there."""
        aligned = self.align(waveform, words) if words else None
        return aligned if aligned is not None else self.recognise(waveform)


def grid_words(name: str) -> str | None:
    """The sentence of a recording of the GRID corpus by its name, such as "pbbv7s"."""
    if len(name) != len(_GRID) or any(c not in meant for c, meant in zip(name, _GRID, strict=True)):
        return None
    return " ".join(meant[c] for c, meant in zip(name, _GRID, strict=True))


def _decode(decoder: Any, waveform: Array) -> None:
    samples = (np.clip(waveform, -1.0, 1.0) * 32767).astype(np.int16)
    decoder.reinit_feat()  # what was heard before is forgotten
    decoder.start_utt()
    decoder.process_raw(samples.tobytes(), full_utt=True)
    decoder.end_utt()


def _phone(name: str, start: int, end: int) -> Phone:
    if name not in CLASS_OF:
        name = SILENCE if name == "SIL" else NOISE
    return Phone(name, round(start * HOP, 2), round(end * HOP, 2))
