"""What lips do at the phones of known texts, said by a voice.

    python -m talking_face.training.measure.spoken

Of recordings of people it is a guess which phones are said; of these it is known, and where, as
`talking_face.training.data.phones` lays the words along the sound. Printed is, of the likeliest
animation with and without `talking_face.mapping.visemes`, at how many phones of each class lips
meet in a frame of the phone itself, and at how many they are so near that no gap is drawn.
`--texts` names a file with a sentence a line, in words that the CMU dictionary has.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from talking_face.animator import load_animator
from talking_face.arrays import Array
from talking_face.errors import TalkingFaceError
from talking_face.mapping.sampler import draw
from talking_face.motion import FPS
from talking_face.sound.voice import speak
from talking_face.training.data.phones import Phone, Phonetician
from talking_face.training.measure.evaluate import print_table
from talking_face.training.measure.lip_figures import CLOSED, mouth_curves

SENTENCES = (
    "five of my friends have moved from above the bay",
    "we would put both wooden boats by the blue pool",
    "vera gave the waiter a very big map of paper",
    "who knows why the moon moves over the wide blue water",
    "bob and mom baked a huge apple pie for father",
    "few people ever found the half buried village wall",
    "please move the white sofa away from the wet window",
    "the brave woman put four fresh loaves on the table",
    "no one would believe how few of us were awake",
    "if you were alive you would love the view from above",
    "your move was wise but i would have waited for you",
    "a wolf would rather follow the river than wade through it",
    "the fever fell after five or six warm evenings",
    "maybe we should wash the brown shoes before we move",
    "our whole family voted for the favorite song",
    "would you open the window before you fall asleep",
    "the wolf ran off with half of the roof",
    "give me one more apple before you move off",
    "you must buy some more bread and butter for my mother",
    "people saw a blue van in front of the mall",
)
KINDS = ("closed", "lip on teeth", "rounded", "open")


def least_openings(phones: Sequence[Phone], opening: Array) -> Iterator[tuple[str, float]]:
    """The kind of each phone, and how far lips are open in its frame in which they are least so."""
    for phone in phones:
        first = min(round(phone.start * FPS), len(opening) - 1)
        last = max(first + 1, round(phone.end * FPS))
        yield phone.kind, float(opening[first:last].min())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=Path, help="a file with a sentence a line")
    parser.add_argument("--voice", help="of the page's; the first unless told")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    texts = options.texts.read_text().splitlines() if options.texts else SENTENCES
    try:
        measure(texts, options.voice)
    except TalkingFaceError as error:
        sys.exit(str(error))


def measure(texts: Sequence[str], voice: str | None) -> None:
    """The whole command."""
    animator, phonetician = load_animator("cpu"), Phonetician()
    models = animator.models
    mapping = models.mapping
    ways = {"without visemes": None, "with": mapping.visemes}
    found: dict[str, list[tuple[str, float]]] = {way: [] for way in ways}
    for text in texts:
        recording = speak(f"{text}.", voice).recording
        phones = phonetician.align(recording.waveform, text)
        if phones is None:
            sys.exit(f"The words of “{text}” weren't found in what the voice says.")
        speech = animator.listen(recording)
        for way, visemes in ways.items():
            mapping.visemes = visemes
            (motion,) = draw(mapping, models.eyes, models.face, speech, [0], 0, 0.0)
            opening, _ = mouth_curves(motion, models.face)
            found[way] += least_openings(phones, opening)
    for kind in KINDS:
        rows: dict[str, dict[str, float]] = {}
        for way, pairs in found.items():
            least = np.array([value for name, value in pairs if name == kind])
            if not len(least):
                continue
            rows[way] = {
                "phones": float(len(least)),
                "meet": float((least < CLOSED).mean()),
                "no gap": float((least == 0.0).mean()),
            }
        print_table(kind, rows)


if __name__ == "__main__":
    main()
