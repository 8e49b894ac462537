"""Strips of mouths with the phones above them: a real speaker's, and the same speech on a portrait.

    python -m talking_face.training.measure.strips --clips CLIPS --cache CACHE --output FOLDER

CLIPS is a folder of talking videos or a table of them, and CACHE what
`talking_face.training.data.prepare` made of them. Clips of speakers whom no training saw are spoken
by the likeliest animation, `--each` of each source. Printed is what mouths do at the phones of each
class: see `talking_face.training.measure.phone_figures`.

Of `--strips` clips of each source, every frame of `--seconds` is drawn into FOLDER/KEY.png, on the
portraits of `--portraits` in turn; below the mouths is how far both are open, the real one's in
white. Phones come from `talking_face.training.data.phones`: GRID's are those of its sentences, the
others' are recognised by ear and no more than a guess.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.errors import TalkingFaceError
from talking_face.face.landmarks import MOUTH_CORNERS
from talking_face.face.model import FaceModel, load_face_model
from talking_face.motion import FPS, Motion
from talking_face.sound.audio import load_audio
from talking_face.training.data.clips import read_clips
from talking_face.training.data.examples import SOURCES, Example, load_examples
from talking_face.training.data.phones import NOISE, SILENCE, Phone, Phonetician, grid_words
from talking_face.training.data.tracks import load_tracks
from talking_face.training.measure.evaluate import PORTRAITS, choose, print_table
from talking_face.training.measure.lip_figures import mouth_curves
from talking_face.training.measure.mappers import NAMES, find_mapper
from talking_face.training.measure.phone_figures import Mouth, Said, phone_table
from talking_face.training.measure.videos import PORTRAIT_SUFFIXES

CELL = (76, 60)  # pixels, width and height of a mouth
HALF_WIDTH = 0.42  # inter-ocular distances that it shows to either side
ACROSS = 20  # frames in a line
LABELS, CURVES = 16, 40  # pixels, heights of the phones and of the curves
HIGHEST = 0.2  # inter-ocular distances; openings at the upper border of the curves
BACK, INK, OURS, FRAME = (24, 24, 28), (240, 240, 240), (255, 150, 40), (70, 70, 78)
COLOURS = {
    "closed": (255, 90, 90), "lip on teeth": (255, 190, 60), "rounded": (110, 190, 255),
    "protruded": (160, 150, 255), "open": (120, 230, 120), "spread": (240, 240, 110),
}  # fmt: skip

logger = logging.getLogger(__name__)


def mouth_cells(frames: Sequence[Array], marks: Array) -> list[Array]:
    """The mouth of each frame, upright, (60, 76, 3) uint8 RGB; black where no face is known.

    What is shown moves with the eyes, not with the lips: a jaw that falls is seen to fall.

    Args:
        frames: (H, W, 3) uint8 RGB.
        marks: (frames, 478, 3) pixels, NaN where unknown.
    """
    right, left = marks[:, 33, :2], marks[:, 263, :2]
    along = left - right  # and the same turned by a right angle: the axes of a face
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], axis=1)], axis=1)
    axes /= (along**2).sum(axis=1)[:, None, None]
    mouths = marks[:, [*MOUTH_CORNERS, 14], :2].mean(axis=1) - (left + right) / 2
    place = np.nanmedian(np.einsum("tij,tj->ti", axes, mouths), axis=0)
    width, height = CELL
    scale = width / (2 * HALF_WIDTH)
    cells: list[Array] = []
    for frame, axis, eyes in zip(frames, axes, (left + right) / 2, strict=True):
        if not np.isfinite(axis).all():
            cells.append(np.zeros((height, width, 3), dtype=np.uint8))
            continue
        matrix = np.column_stack(
            [scale * axis, np.array([width, height]) / 2 - scale * (axis @ eyes + place)]
        )
        method = cv2.INTER_AREA if np.linalg.norm(matrix[0, :2]) < 1 else cv2.INTER_CUBIC
        cells.append(cv2.warpAffine(np.ascontiguousarray(frame), matrix, CELL, flags=method))
    return cells


def draw_strip(
    title: str, phones: Sequence[Phone], rows: Sequence[Sequence[Array]], openings: Sequence[Array],
    start: int = 0,
) -> Array:  # fmt: skip
    """Lines of frames one below the other, each with its phones above and its curves below.

    Args:
        phones: seconds from the beginning of the clip.
        rows: of the real mouth and of ours, the cells of each frame.
        openings: of both, (frames,) inter-ocular distances.
        start: the clip's frame that the first cell shows.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    width, height = CELL
    count = len(rows[0])
    line = LABELS + len(rows) * height + CURVES
    lines = -(-count // ACROSS)
    sheet = Image.new("RGB", (ACROSS * width, LABELS + lines * line), BACK)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    pen.text((4, 1), title, fill=INK, font=font)
    for number in range(lines):
        top, first = LABELS + number * line, number * ACROSS
        last = min(first + ACROSS, count)
        for phone in phones:
            here, there = ((t * FPS - start - first) * width for t in (phone.start, phone.end))
            if phone.name in (SILENCE, NOISE) or there <= 0 or here >= (last - first) * width:
                continue
            colour = COLOURS.get(phone.kind, INK)
            pen.rectangle((max(here, 0), top, there, top + LABELS - 1), outline=FRAME)
            pen.text((max(here, 0) + 3, top + 1), phone.name, fill=colour, font=font)
        for place, row in enumerate(rows):
            y = top + LABELS + place * height
            sheet.paste(Image.fromarray(np.hstack(row[first:last])), (0, y))
        bottom = top + line - 2
        scale = (CURVES - 4) / HIGHEST
        pen.line((0, bottom, sheet.width, bottom), fill=FRAME)
        for curve, colour in zip(openings, (INK, OURS), strict=True):
            heights = bottom - scale * np.clip(curve[first:last], 0, HIGHEST)
            points = [((i + 0.5) * width, float(y)) for i, y in enumerate(heights)]
            pen.line(points, fill=colour, width=2)
    return np.asarray(sheet)


def strip_of(
    example: Example, motion: Motion, phones: Sequence[Phone], path: Path, marks: Array,
    animator: Animator, portrait: Path, frames: range, model: FaceModel,
) -> Array:  # fmt: skip
    """The strip of some frames of a clip whose video is at `path`, its motion on a portrait.

    Raises:
        PhotoUnreadable, NoFaceFound, VideoUnreadable and others of the portrait and of the video.
    """
    real = list(islice(read_frames(path), frames.start, frames.stop))
    frames = range(frames.start, frames.start + len(real))
    renderer = animator.renderer(animator.fit(portrait))
    shown = [renderer.frame(motion, index) for index in frames]
    places = np.stack([renderer.landmarks(motion, index) for index in frames])
    opening = mouth_curves(motion, model)[0]
    part = slice(frames.start, frames.stop)
    return draw_strip(
        f"{example.key}, from frame {frames.start}: above the real mouth, below {portrait.stem}",
        phones,
        [mouth_cells(real, marks[part]), mouth_cells(shown, places)],
        [np.where(example.ok, example.opening, np.nan)[part], opening[part]],
        frames.start,
    )


def lively(example: Example, count: int) -> range:
    """So many frames of a clip in which most is said, or all where there are no more."""
    count = min(count, len(example))
    sums = np.convolve(example.activity, np.ones(count), mode="valid")
    start = int(sums.argmax())
    return range(start, start + count)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--cache", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder for the strips")
    parser.add_argument("--split", default="val", choices=("train", "val"))
    parser.add_argument("--sources", nargs="+", default=SOURCES)
    parser.add_argument("--mapper", default="dirfa", metavar="NAME", help=NAMES)
    parser.add_argument("--portraits", type=Path, default=PORTRAITS)
    parser.add_argument("--each", type=int, default=12, metavar="N", help="of a source; 0: all")
    parser.add_argument("--strips", type=int, default=4, metavar="N", help="drawn of each source")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a strip")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        measure(options, load_face_model())
    except TalkingFaceError as error:
        sys.exit(str(error))


def measure(options: argparse.Namespace, model: FaceModel) -> None:
    """The whole command."""
    phonetician = Phonetician()
    paths = {clip.key: clip.path for clip in read_clips(options.clips)}
    examples = load_examples(options.cache, model, options.split, options.sources)
    examples = choose([example for example in examples if example.key in paths], options.each)
    mapper = find_mapper(options.mapper, options.cache, model)
    said: dict[str, Said] = {}
    motions: dict[str, Motion] = {}
    for example in tqdm(examples, leave=False):
        path = paths[example.key]
        words = grid_words(path.stem) if example.source == "grid" else None
        phones = phonetician.hear(load_audio(path).waveform, words)
        (motion,) = mapper.draw(example, [0], 0, 0.0)
        real = Mouth(example.opening, example.width, example.ok)
        ours = Mouth(*mouth_curves(motion, model), np.ones_like(example.ok))
        motions[example.key], said[example.key] = motion, Said.of(phones, real, ours)
    for source in dict.fromkeys(example.source for example in examples):
        clips = [said[example.key] for example in examples if example.source == source]
        print_table(source, phone_table(clips))
    if options.strips:
        draw_strips(choose(examples, options.strips), paths, motions, said, options, model)


def draw_strips(
    examples: Sequence[Example], paths: dict[str, Path], motions: dict[str, Motion],
    said: dict[str, Said], options: argparse.Namespace, model: FaceModel,
) -> None:  # fmt: skip
    """Write FOLDER/KEY.png of each of these clips."""
    animator = load_animator()
    photos = sorted(p for p in options.portraits.iterdir() if p.suffix in PORTRAIT_SUFFIXES)
    marks = {track.key: track.landmarks for track in load_tracks(options.cache, options.split)}
    options.output.mkdir(parents=True, exist_ok=True)
    for turn, example in enumerate(tqdm(examples, leave=False)):
        key = example.key
        try:
            strip = strip_of(
                example, motions[key], said[key].phones, paths[key], marks[key], animator,
                photos[turn % len(photos)], lively(example, round(options.seconds * FPS)), model,
            )  # fmt: skip
        except TalkingFaceError as error:
            logger.warning("%s is left out: %s", key, error)
            continue
        Image.fromarray(strip).save(options.output / f"{key}.png")


if __name__ == "__main__":
    main()
