"""What of the invisible mark survives what people do to videos, and how often it is seen in vain.

    python -m talking_face.training.measure.survival survive --portraits FOLDER --clips 50
    python -m talking_face.training.measure.survival unmarked FOLDER FOLDER …

The first renders clips of portraits, with recordings of assets/, treats each in every way of
`TREATMENTS` and prints, as a table, how many are still detected, how many payloads are read, and
how many bits of the code come through. The second looks for the mark in files that have none, and
compares the best correlations with what the theory promises.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from talking_face import ffmpeg
from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array
from talking_face.clips.credentials import read_statement
from talking_face.clips.detection import CERTAIN, Found, detect, mean_contrast
from talking_face.clips.mark import Mark
from talking_face.clips.marks import new_payload
from talking_face.clips.payload import encode
from talking_face.clips.verification import luma
from talking_face.clips.video import write_clip
from talking_face.clips.watermark import PUBLIC_KEY, Watermark
from talking_face.errors import TalkingFaceError
from talking_face.files import shipped
from talking_face.sound.speech import Speech

REPORTED = 5  # clips after which the table is printed again
FRAMES = 75  # of each clip, unless told
H264 = "-c:v libx264 -pix_fmt yuv420p -crf "
_CROP = "-vf crop=trunc(iw*.4)*2:trunc(ih*.4)*2:iw*.15:ih*.06 " + H264 + "23"
# Options of ffmpeg for one or several steps, and the suffix of the last one's file.
TREATMENTS: dict[str, tuple[str, list[str]]] = {
    "as written": (".mp4", []),
    "H.264, CRF 18": (".mp4", [H264 + "18"]),
    "H.264, CRF 23": (".mp4", [H264 + "23"]),
    "H.264, CRF 28": (".mp4", [H264 + "28"]),
    "H.264, CRF 33": (".mp4", [H264 + "33"]),
    "H.265, CRF 28": (".mp4", ["-c:v libx265 -preset fast -crf 28 -x265-params log-level=error"]),
    "VP9, CRF 33": (".webm", ["-c:v libvpx-vp9 -crf 33 -b:v 0 -deadline realtime -cpu-used 6"]),
    "AV1, CRF 35": (".mkv", ["-c:v libsvtav1 -preset 9 -crf 35 -svtav1-params lp=1"]),
    "480p, CRF 28": (".mp4", ["-vf scale=-2:480 " + H264 + "28"]),
    "720, 480, 360p and back": (
        ".mp4",
        [f"-vf scale=-2:{side} {H264}23" for side in (720, 480, 360, 512)],
    ),
    "messenger: 360p, CRF 30": (".mp4", ["-vf scale=-2:360 " + H264 + "30"]),
    "cropped to 80 %": (".mp4", [_CROP]),
    "30, then 25 fps": (".mp4", [f"-r {rate} {H264}23" for rate in (30, 25)]),
    "brighter by 20 %": (".mp4", ["-vf lutrgb=r=val*1.2:g=val*1.2:b=val*1.2 " + H264 + "23"]),
    "darker by 20 %": (".mp4", ["-vf lutrgb=r=val*.8:g=val*.8:b=val*.8 " + H264 + "23"]),
    "contrast plus 20 %": (".mp4", ["-vf eq=contrast=1.2 " + H264 + "23"]),
    "contrast minus 20 %": (".mp4", ["-vf eq=contrast=.8 " + H264 + "23"]),
    "mirrored": (".mp4", ["-vf hflip " + H264 + "23"]),
    "GIF loop": (".gif", ["-t 2.4 -vf fps=12.5,scale=320:-2,split[a][b];[a]palettegen[p];[b][p]"
                          "paletteuse=dither=bayer:bayer_scale=4"]),
    "WebP loop": (".webp", ["-t 2.4 -vf fps=12.5,scale=320:-2 -c:v libwebp_anim -quality 75"]),
    "screen recording": (
        ".mp4", ["-vf gblur=sigma=.7,scale=-2:trunc(ih*.68)*2:flags=bilinear " + H264 + "26"]
    ),
    "2 s out of it": (".mp4", ["-ss 0.6 -t 2 " + H264 + "23"]),
    "one still frame": (".jpg", ["-ss 1.2 -frames:v 1 -q:v 3"]),
    "turned by 3 degrees": (".mp4", ["-vf rotate=3*PI/180 " + H264 + "23"]),
    "cropped to 50 %": (
        ".mp4", ["-vf crop=trunc(iw*.25)*2:trunc(ih*.25)*2 " + H264 + "23"]
    ),
}  # fmt: skip


def treat(clip: Path, folder: Path, name: str) -> Path:
    """The clip after one of the treatments."""
    suffix, steps = TREATMENTS[name]
    for number, step in enumerate(steps):
        last = number + 1 == len(steps)
        made = folder / f"treated{number}{suffix if last else '.mp4'}"
        command = [*ffmpeg.command(), *ffmpeg.source(clip), "-threads", "1", *step.split(), "-an"]
        subprocess.run([*command, str(made)], check=True)
        clip = made
    return clip


def survive(
    animator: Animator, portraits: list[Path], names: list[str], frames: int = FRAMES
) -> None:
    """Print the table of some treatments, over a clip of each portrait."""
    recordings = sorted((shipped("assets") / "recordings").glob("*.wav"))
    speeches = cycle([animator.listen(path) for path in recordings])
    found: dict[str, list[tuple[Found, bool, float]]] = defaultdict(list)
    likeness: list[float] = []
    with TemporaryDirectory() as scratch:
        for number, (portrait, speech) in enumerate(zip(portraits, speeches, strict=False)):
            made = _clip(animator, portrait, speech, (number, frames), Path(scratch))
            if made is None:
                continue
            clip, psnr, word = made
            likeness.append(psnr)
            for name in names:
                field = mean_contrast(luma(treat(clip, Path(scratch), name)))
                assert field is not None
                seen = detect(field, PUBLIC_KEY)
                right = float(np.mean(np.sign(seen.bits) == word))
                read = seen.payload is not None
                found[name].append((seen, read, right))
            missed = [name for name, seen in found.items() if not seen[-1][0].present]
            print(f"{portrait.name}: PSNR {psnr:.1f} dB, missed {missed or 'nowhere'}", flush=True)
            if number % REPORTED == REPORTED - 1 or number == len(portraits) - 1:
                _report(found, likeness, frames)


def _report(
    found: dict[str, list[tuple[Found, bool, float]]], likeness: list[float], frames: int
) -> None:
    """Print the table of the clips so far."""
    print(f"\n{len(likeness)} clips of {frames} frames, PSNR {min(likeness):.1f} dB and more, "
          f"{np.mean(likeness):.1f} on average\n")  # fmt: skip
    print("| treatment | detected | read | bits right |\n|---|---|---|---|")
    for name, results in found.items():
        detected = np.mean([seen.present for seen, *_ in results])
        read = np.mean([read for _, read, _ in results])
        right = np.mean([right for *_, right in results])
        print(f"| {name} | {100 * detected:.0f} % | {100 * read:.0f} % | {100 * right:.1f} % |")


def _clip(
    animator: Animator, portrait: Path, speech: Speech, drawn: tuple[int, int], folder: Path
) -> tuple[Path, float, Array] | None:
    """A marked clip, its PSNR against the unmarked one in dB, and the word in it.

    Args:
        drawn: the seed of its motion, and its frames.
    """
    try:
        face = animator.fit(portrait)
    except TalkingFaceError as error:
        print(f"{portrait.name}: {error}")
        return None
    seed, count = drawn
    motion = animator.sample(speech, 1, seed)[0][:count]
    plain = list(animator.render(face, motion))
    path = write_clip(plain, folder / "clip.mp4", mark=Mark())
    told = read_statement(path).making or {}
    payload = replace(new_payload(), clip=told["settings"]["clip"])
    height, width = plain[0].shape[:2]
    paint = Watermark(payload, height, width, PUBLIC_KEY)
    errors = [float(np.mean((paint(frame).astype(float) - frame) ** 2)) for frame in plain[::5]]
    return path, 10 * float(np.log10(255**2 / np.mean(errors))), encode(payload)


def unmarked(folders: list[Path], crops: int) -> None:
    """Print how strongly files without a mark seem to have one."""
    chances, alarms = [], []
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        for number, field in enumerate(_fields(path, crops)):
            seen = detect(field, PUBLIC_KEY)
            chances.append(seen.chance)
            if seen.present:
                alarms.append(f"{path} {number}")
        if len(chances) % 100 == 0:
            print(len(chances), min(chances, default=1), flush=True)
    print(f"{len(chances)} pictures and clips without a mark; false alarms: {alarms or 'none'}")
    for bound in (1.0, 0.5, 0.1, 1e-2, 1e-3, 1e-4, CERTAIN):
        below = np.mean(np.array(chances) < bound)
        print(f"bound below {bound:g}: {below:.5f} of them (at most {bound:g} is promised)")


def _fields(path: Path, crops: int) -> Iterator[Array]:
    """The field of a file, and of random pieces of its first frame."""
    try:
        frames = list(islice(luma(path), 10))
    except TalkingFaceError:
        return
    field = mean_contrast(frames)
    if field is not None:
        yield field
    chance = np.random.default_rng(len(path.name))
    for _ in range(crops):
        height, width = frames[0].shape
        side = int(chance.uniform(0.5, 0.9) * min(height, width))
        top, left = chance.integers(height - side + 1), chance.integers(width - side + 1)
        piece = np.ascontiguousarray(frames[0][top : top + side, left : left + side])
        field = mean_contrast([np.asarray(cv2.resize(piece, (256, 256)), dtype=np.uint8)])
        if field is not None:
            yield field


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    marked = commands.add_parser("survive")
    marked.add_argument("--portraits", type=Path, required=True)
    marked.add_argument("--clips", type=int, default=50)
    marked.add_argument("--frames", type=int, default=FRAMES)
    marked.add_argument("--only", nargs="+", choices=TREATMENTS, default=[*TREATMENTS])
    plain = commands.add_parser("unmarked")
    plain.add_argument("folders", type=Path, nargs="+")
    plain.add_argument("--crops", type=int, default=0, help="pieces of each, too")
    options = parser.parse_args()
    if options.command == "unmarked":
        unmarked(options.folders, options.crops)
        return
    paths = sorted(options.portraits.rglob("*.jpg"))
    even = np.linspace(0, len(paths) - 1, min(options.clips, len(paths))).round().astype(int)
    survive(load_animator("cpu"), [paths[index] for index in even], options.only, options.frames)


if __name__ == "__main__":
    main()
