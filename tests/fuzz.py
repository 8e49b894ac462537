"""Hostile input: bytes, containers, arguments and links that nobody sane would send.

    python -m tests.fuzz 20000          # that many inputs; `make fuzz`
    python -m tests.fuzz --seconds 60

Each target is fed with values from the edges of what JSON can hold, or with mutations of real
files; the number of an input makes it again. Anything but an error of the package, an answer that
takes longer than `PATIENCE` of the processors, and memory beyond `MEMORY` is a find: it is printed,
and becomes a test in tests/test_hostile.py. Runs in processes of their own, so that a crash of a
decoder is a find, too, and not the end. Files whose structure is right and whose contents are
anything come from tests/test_structures.py.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
PATIENCE = 10  # seconds
MEMORY = 2 * 2**30  # bytes of a process
BATCH = 16  # inputs of one target before the next has its turn
STUFF = b"\0\xff\x7f\x80%n{}<>..//"

Target = Callable[[np.random.Generator, Path], Any]


# -- material -----------------------------------------------------------------------------------


def seeds() -> dict[str, list[bytes]]:
    """Small real files of each kind, to be mutated."""
    picture = Image.fromarray(np.mgrid[0:72, 0:96][0].astype(np.uint8)).convert("RGB")
    pictures = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "HEIF"):
        file = io.BytesIO()
        picture.save(file, kind)
        pictures.append(file.getvalue())
    sound = io.BytesIO()
    with wave.open(sound, "wb") as wav:
        wav.setparams((1, 2, 16000, 0, "NONE", ""))
        wav.writeframes((3000 * np.sin(np.arange(9000) / 9)).astype("<i2").tobytes())
    from talking_face import ffmpeg
    from talking_face.motion import Motion

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "sound.wav"
        source.write_bytes(sound.getvalue())
        sounds = [sound.getvalue()]
        for name, options in (("a.mp3", ""), ("a.ogg", "-c:a libvorbis"), ("a.flac", ""),
                              ("a.mp4", ""), ("a.mkv", "-c:a aac")):  # fmt: skip
            path = Path(folder) / name
            command = [*ffmpeg.command(), *ffmpeg.source(source), *options.split()]
            ffmpeg.run(command, None, path, path)
            sounds.append(path.read_bytes())
        video = Path(folder) / "v.mp4"
        command = [*ffmpeg.command(), *ffmpeg.raw_input("rgb24", 64, 64)]
        ffmpeg.run([*command, "-pix_fmt", "yuv420p"], bytes(64 * 64 * 3 * 4), video, video)
        motions = []
        for name in ("m.npz", "m.csv"):
            Motion.still(3).save(Path(folder) / name)
            motions.append((Path(folder) / name).read_bytes())
        videos = [video.read_bytes(), *sounds[4:]]
    return {
        "picture": pictures,
        "sound": sounds,
        "video": videos,
        "motion": motions,
        "head": [_head(pictures[0])],
        "text": [b'{"synthetic": true, "sha256": {"input.csv": "0"}}', b"# AI-generated\nv 1 2\n"],
    }


def _head(picture: bytes) -> bytes:
    """A glb with a texture, signed."""
    import pygltflib as gl

    from talking_face.clips.credentials import Origin, sign

    size = len(picture)
    file = gl.GLTF2(
        asset=gl.Asset(version="2.0", extras={"synthetic": True}),
        buffers=[gl.Buffer(byteLength=size)],
        bufferViews=[gl.BufferView(buffer=0, byteOffset=0, byteLength=size)],
        images=[gl.Image(bufferView=0, mimeType="image/jpeg")],
    )
    file.set_binary_blob(picture)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.glb"
        path.write_bytes(b"".join(file.save_to_bytes()))
        sign(path, Origin(), path.name)
        return path.read_bytes()


def mutated(data: bytes, chance: np.random.Generator) -> bytes:
    """A file as a bad disk, a bad network or a bad person leaves it."""
    changed = bytearray(data)
    for _ in range(int(chance.integers(1, 9))):
        place = int(chance.integers(len(changed) + 1))
        kind = chance.integers(6)
        if kind == 0 and changed:
            changed[place % len(changed)] ^= 1 << int(chance.integers(8))
        elif kind == 1:
            changed[place : place + int(chance.integers(64))] = b""
        elif kind == 2:
            changed[place:place] = chance.bytes(int(chance.integers(64)))
        elif kind == 3:  # sizes and counts live in aligned words near the beginning
            word = int(chance.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFF, 0x80000000]))
            order = "big" if chance.integers(2) else "little"
            spot = int(chance.integers(max(1, min(len(changed), 256))))
            changed[spot : spot + 4] = word.to_bytes(4, order)  # type: ignore[arg-type]
        elif kind == 4:
            piece = changed[place : place + int(chance.integers(256))]
            changed[place:place] = piece * int(chance.integers(1, 5))
        else:
            changed[place:place] = STUFF
    return bytes(changed[: 2**20])


def anything(chance: np.random.Generator, depth: int = 0) -> Any:
    """A value that JSON can hold, of any kind, often near the edge of something."""
    numbers = [0, -1, 1, 2, 7, 0.5, -0.0, 1e308, -1e308, float("nan"), float("inf"), 2**31,
               -(2**63), 10**400]  # fmt: skip
    texts = ["", "crop", "photo", "../../etc/passwd", "a\0b", "\ud800", "%s%n", "0,1,2@7",
             "x" * 5000, "rgb(1e999, 2, 3)", "#zzzzzz", "happy",
             "file:///etc/passwd", "１"]  # fmt: skip
    kind = chance.integers(7 if depth < 3 else 4)
    if kind == 0:
        return numbers[int(chance.integers(len(numbers)))]
    if kind == 1:
        return texts[int(chance.integers(len(texts)))]
    if kind == 2:
        return [None, True, False][int(chance.integers(3))]
    if kind == 3:
        return float(chance.normal() * 10.0 ** chance.integers(-3, 6))
    if kind == 4:
        return [anything(chance, depth + 1) for _ in range(int(chance.integers(4)))]
    return {
        str(anything(chance, 3)): anything(chance, depth + 1)
        for _ in range(int(chance.integers(4)))
    }


# -- targets ------------------------------------------------------------------------------------


def targets() -> dict[str, Target]:
    """What is fed, by name: each makes one input of chance and swallows it."""
    from talking_face.clips.verification import verify
    from talking_face.editing.edit import Edit
    from talking_face.face.photo import load_photo
    from talking_face.motion import Motion
    from talking_face.options import Look
    from talking_face.sound.audio import load_audio
    from talking_face.sound.voice import check_text
    from talking_face.web.given import read_edits, read_look
    from talking_face.web.orders import Order
    from talking_face.web.settings import Settings, from_recipe
    from talking_face.web.wishes import Opening

    material = seeds()

    def file(kind: str, chance: np.random.Generator, folder: Path) -> Path:
        chosen = material[kind][int(chance.integers(len(material[kind])))]
        data = chance.bytes(int(chance.integers(400))) if chance.random() < 0.1 else chosen
        suffixes = {"picture": ".png", "sound": ".wav", "video": ".mp4", "motion": ".npz"}
        suffixes |= {"head": ".glb"}
        if kind == "text":
            suffixes["text"] = (".json", ".csv", ".obj")[int(chance.integers(3))]
        named = ".csv" if kind == "motion" and not data.startswith(b"PK") else suffixes[kind]
        path = folder / f"input{named}"
        path.write_bytes(mutated(data, chance))
        return path

    def mapping(names: Any, chance: np.random.Generator) -> dict[str, Any]:
        return {name: anything(chance) for name in names if chance.random() < 0.4}

    edit_names = list(Edit.__dataclass_fields__)
    setting_names = list(Settings.__dataclass_fields__)

    def checked(settings: Settings) -> Any:
        return settings.shown_takes(), settings.edits

    return {
        "photo": lambda chance, folder: load_photo(file("picture", chance, folder)),
        "sound": lambda chance, folder: load_audio(file("sound", chance, folder)),
        "verify picture": lambda chance, folder: verify(file("picture", chance, folder)),
        "verify video": lambda chance, folder: verify(file("video", chance, folder)),
        "motion": lambda chance, folder: Motion.load(file("motion", chance, folder)),
        "edit": lambda chance, _: Edit(**mapping(edit_names, chance)),
        "edits": lambda chance, _: read_edits(
            anything(chance)
            if chance.random() < 0.3
            else [mapping([*edit_names, "feeling", "preset"], chance)]
        ),
        "look": lambda chance, _: read_look(
            mapping(("framing", "size", "background", "else"), chance)
        ),
        "Look": lambda chance, _: Look(**mapping(("framing", "size"), chance)),
        "settings": lambda chance, _: checked(Settings.read(mapping(setting_names, chance))),
        "recipe": lambda chance, _: from_recipe(
            mutated(json.dumps(mapping(setting_names, chance)).encode(), chance).decode("latin-1")
            if chance.random() < 0.5
            else json.dumps(mapping(setting_names, chance))
        ),
        "order": lambda chance, _: Order.read(
            {"path": anything(chance)}, {"path": anything(chance)}, anything(chance), True, None,
            mapping(setting_names, chance),
        ),
        "text": lambda chance, _: check_text(str(anything(chance))),
        "verify head": lambda chance, folder: verify(file("head", chance, folder)),
        "verify sound": lambda chance, folder: verify(file("sound", chance, folder)),
        "verify motion": lambda chance, folder: verify(file("motion", chance, folder)),
        "verify text": lambda chance, folder: verify(file("text", chance, folder)),
        "live": lambda chance, _: Opening.read(
            {"photo": "drawn.jpg"} | mapping([*Opening.__dataclass_fields__, "consent"], chance)
        ),
    }  # fmt: skip


def feed(name: str, target: Target, seed: int, folder: Path) -> str | None:
    """One input; what went wrong, if anything did."""
    from talking_face.errors import TalkingFaceError

    began = sum(os.times()[:4])  # of the processors: others may be busy with something else
    try:
        target(np.random.default_rng(seed), folder)
    except TalkingFaceError as error:
        if not str(error) or "\n" in str(error):
            return f"{name} {seed}: no plain sentence: {error!r}"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return f"{name} {seed}: {type(error).__name__}: {str(error)[:200]}"
    took = sum(os.times()[:4]) - began
    left = sorted(path.name for path in folder.iterdir() if not path.name.startswith("input"))
    if left:
        return f"{name} {seed}: it wrote {left}"
    return f"{name} {seed}: took {took:.0f} s" if took > PATIENCE else None


def most_memory() -> int:
    """Bytes that this process held at most; `getrusage` counts those of its parent, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def work(names: list[str], seeds: range, pipe: Any) -> None:
    """Feed targets in a process of its own, telling which input is next."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    known = targets()
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            name = names[seed // BATCH % len(names)]
            pipe.send((name, seed, None))
            pipe.send((name, seed, feed(name, known[name], seed, Path(folder))))
    used = most_memory()
    pipe.send(("memory", seeds.stop, f"{used / 2**30:.1f} GiB" if used > MEMORY else None))


def fuzz(count: int, seconds: float, first: int = 0) -> tuple[int, list[str]]:
    """Feed so many inputs, or as many as there is time for; returns their number and the finds."""
    names, finds, done = list(targets()), [], 0
    left = seconds  # without what it takes to import everything
    while done < count and left > 0:
        ours, theirs = multiprocessing.Pipe()
        todo = range(first + done, first + count)
        process = multiprocessing.get_context("spawn").Process(
            target=work, args=(names, todo, theirs)
        )
        process.start()
        theirs.close()
        began = None
        for name, seed, find in told(ours, process, left):
            began = began or time.monotonic()
            if find:
                finds.append(find)
                print(find, flush=True)
            done = max(done, seed - first + 1 if name != "memory" else done)
        left -= time.monotonic() - (began or time.monotonic())
        if process.is_alive():
            process.kill()
        process.join()
    return done, finds


def told(pipe: Any, process: Any, seconds: float) -> Iterator[tuple[str, int, str | None]]:
    """What a process tells for so long; a find where it hangs or dies over an input."""
    last, end = ("start", -1), float("inf")
    while time.monotonic() < end:
        patience = 300 if last[1] < 0 else PATIENCE + 5  # everything is imported at first
        try:
            if not pipe.poll(min(patience, max(0.0, end - time.monotonic()))):
                if time.monotonic() < end:
                    yield *last, f"{last[0]} {last[1]}: hangs"
                return
            name, seed, find = pipe.recv()
        except EOFError:
            process.join()
            if process.exitcode:
                why = signal.Signals(-process.exitcode).name if process.exitcode < 0 else "exit"
                yield *last, f"{last[0]} {last[1]}: the process ended by {why}"
            return
        if last[1] < 0:
            end = time.monotonic() + seconds
        last = (name, seed)
        yield name, seed, find


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    options = parser.parse_args()
    done, finds = fuzz(options.count, options.seconds, options.first)
    print(f"{done} inputs, {len(finds)} finds")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main())
