"""How good and how quick the live face is: `python -m talking_face.bench_live`.

For each recording: the live lips beside those of the clip of the same sound and seed (correlation
of their opening at the constant delay, closures kept and right, how much quicker they move), and
the CPU time of hearing a second. Then that of rendering, of encoding as H.264 and of the first
frame, the delay from a sound to its frame, by how much sound and frames part in ten minutes, and
with `--hours` what becomes of head, eyes and memory in so long a stream, with `--minutes` how well
a face that is spoken to for so long, rendered and all, keeps to the clock.

All times but the delay's waiting and those of `--minutes` are of the CPU, so that other programs
count for little.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from talking_face.animator import Animator, load_animator
from talking_face.arrays import Array, UInt8
from talking_face.clips.fragments import Fragments
from talking_face.cores import one_thread
from talking_face.face.face import Face
from talking_face.face.lips import mouth_readout
from talking_face.files import shipped
from talking_face.live.performance import Performance
from talking_face.live.phones import AHEAD, HOP
from talking_face.live.stream import DELAY
from talking_face.live.supply import SOUND_FRAME, Cutter
from talking_face.models import Models
from talking_face.motion import FPS, Motion
from talking_face.options import STYLES
from talking_face.sound.prosody import FRAME
from talking_face.sound.rates import SAMPLE_RATE, SOUND_RATE

RECORDINGS = ("grid.wav", "pie.wav", "boat.wav")
PORTRAIT = "woman_long_hair.jpg"
SHUT = 0.03  # inter-ocular distances
NEAR = 1  # frames by which a closure may be off


def opening(motion: Motion, models: Models) -> Array:
    """How far the lips of the mean face are apart, (frames,), inter-ocular distances."""
    weights, bias = mouth_readout(models.face)
    opened: Array = np.concatenate([motion.lower, motion.upper], axis=1) @ weights[:, 0] + bias[0]
    return opened


def perform(models: Models, wave: Array, seed: int = 0) -> tuple[Motion, float]:
    """The live motion of a sound, (n,) float32 at 16 kHz, and the CPU seconds that it took."""
    networks = models.live_ear, models.mapping, models.eyes, models.face
    live = Performance(*networks, seed, 0, 1.0, STYLES["natural"], models.emotion)
    size = HOP * FRAME
    wave = np.pad(wave, (0, (AHEAD + HOP) * FRAME))
    begun = time.process_time()
    parts = [live.hear(wave[s : s + size]).motion for s in range(0, len(wave) - size + 1, size)]
    rows = np.concatenate([part.as_array() for part in parts])
    return Motion.from_array(rows), time.process_time() - begun


def shared(some: Array, others: Array) -> float:
    """The part of the frames of `some` that have one of `others` within `NEAR`."""
    near = np.abs(some[:, None] - others[None]).min(axis=1, initial=1 << 30) <= NEAR
    return float(near.mean()) if len(some) else 1.0


@one_thread()
def main() -> int:
    parser = argparse.ArgumentParser(prog="talking_face.bench_live", description=__doc__)
    parser.add_argument("recordings", nargs="*", type=Path, help="sounds instead of the examples")
    parser.add_argument("--hours", type=float, default=0.0, help="also a stream of so many hours")
    parser.add_argument(
        "--minutes", type=float, default=0.0, help="also so many at the clock's pace"
    )
    options = parser.parse_args()
    assets = shipped("assets")
    animator = load_animator("cpu")
    models = animator.models
    for path in options.recordings or [assets / "recordings" / name for name in RECORDINGS]:
        speech = animator.listen(path)
        (clip,) = animator.sample(speech, 1, seed=0)
        motion, spent = perform(models, speech.recording.waveform)
        live, whole = opening(motion, models)[: len(clip)], opening(clip, models)
        likeness = np.corrcoef(live, whole)[0, 1]
        shut, closed = np.flatnonzero(whole < SHUT), np.flatnonzero(live < SHUT)
        speed = np.abs(np.diff(live)).mean() / np.abs(np.diff(whole)).mean()
        print(
            f"{path.name}: opening r {likeness:.3f}, closures kept {shared(shut, closed):.2f} and "
            f"right {shared(closed, shut):.2f}, speed {speed:.2f} of the clip's; hearing "
            f"{1000 * spent / motion.duration:.0f} ms of CPU a second"
        )
    face = animator.fit(assets / "portraits" / PORTRAIT)
    begun = time.process_time()
    renderer = animator.renderer(face)
    perform(models, np.zeros(FRAME, dtype=np.float32))
    renderer.frame(motion)
    first = time.process_time() - begun
    begun, count = time.process_time(), min(100, len(motion))
    frames = [renderer.frame(motion, index) for index in range(count)]
    frame = (time.process_time() - begun) / count
    hop = spent / len(motion) * HOP
    encoded = encode(frames) / count
    print(
        f"rendering {1000 * frame * FPS:.0f} ms of CPU a second at 512 pixels, encoding as H.264 "
        f"{1000 * encoded * FPS:.0f} ms"
    )
    work = hop + frame + encoded
    print(
        f"delay {1000 * DELAY:.0f} ms, and {1000 * work:.0f} ms of CPU for hearing a hop and "
        f"rendering and encoding its first frame: {1000 * (DELAY + work):.0f} ms"
    )
    busy = spent / motion.duration + (frame + encoded) * FPS
    print(f"a second takes {busy:.2f} s of one core; the first frame {1000 * first:.0f} ms")
    drift(600)
    if options.hours:
        endure(models, speech.recording.waveform, options.hours)
    if options.minutes:
        pace(animator, face, speech.recording.waveform, options.minutes)
    return 0


def encode(frames: list[UInt8]) -> float:
    """Seconds of CPU that encoding takes, ffmpeg's and ours."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + used.ru_utime + used.ru_stime

    begun, silence = spent(), np.zeros(SOUND_FRAME, dtype=np.int16)
    height, width = frames[0].shape[:2]
    fragments = Fragments(height, width, lambda _: None)
    for number, frame in enumerate(frames):
        fragments.add(number / FPS, frame, silence)
    fragments.end()
    return spent() - begun


def drift(seconds: int, rate: int = 44_100) -> None:
    """Print by how much a click is off in so long a sound, as it is heard and as it is played."""
    cutter, number = Cutter(rate), 0
    off = {"heard": 0.0, "played": 0.0}
    second = np.zeros(rate, dtype=np.float32)
    second[rate // 2] = 1.0  # where no hop ends
    for _ in range(seconds):
        for hop in cutter.cut(second):
            played = hop.played / np.float32(32768)
            for way, samples in (("heard", hop.heard), ("played", played)):
                at = int(np.abs(samples).argmax())
                if abs(samples[at]) > 0.1:
                    click = (number + at / len(samples)) * HOP / FPS
                    off[way] = max(off[way], 1000 * abs(click % 1.0 - 0.5))
            number += 1
    print(
        f"in {seconds / 60:g} minutes of {rate / 1000:g} kHz a sound is heard {off['heard']:.2f} "
        f"ms and played {off['played']:.2f} ms off its time at most"
    )


def endure(models: Models, wave: Array, hours: float) -> None:
    """Print what becomes of a long stream: a recording and as long a pause, again and again."""
    networks = models.live_ear, models.mapping, models.eyes, models.face
    live = Performance(*networks, 0, 0, 1.0, STYLES["natural"])
    size = HOP * FRAME
    loop = np.pad(wave, (0, len(wave) + size - 2 * len(wave) % size))
    hops = loop[: len(loop) // size * size].reshape(-1, size)
    total = int(hours * 3600 * FPS / HOP)
    part = max(1, total // 8)
    rows: list[Array] = []
    frames = 0
    for number in range(total):
        passage = live.hear(hops[number % len(hops)])
        frames += len(passage.gate)
        rows.append(passage.motion.as_array())
        if (number + 1) % part == 0:
            motion = Motion.from_array(np.concatenate(rows))
            rows = []
            turned, blinks = np.mean(motion.rotation, axis=0), motion.lids[:, 0] > 0.5
            a_minute = np.count_nonzero(np.diff(blinks.astype(int)) == 1) / motion.duration * 60
            behind = (number + 1) * HOP - frames
            print(
                f"{frames / FPS / 3600:.2f} h: mean head {np.round(turned, 1)}°, deviation "
                f"{np.round(motion.rotation.std(axis=0), 1)}°, {a_minute:.0f} blinks a minute, "
                f"{behind} frames behind the sound, {memory():.0f} MB at most",
                flush=True,
            )


def pace(animator: Animator, face: Face, wave: Array, minutes: float) -> None:
    """Print, minute by minute, how a stream keeps to the clock while a microphone is spoken to."""
    size = SAMPLE_RATE // 50
    pieces = wave[: len(wave) // size * size].reshape(-1, size)
    begun = time.monotonic()

    def microphone() -> Iterator[Array]:
        for number in count():
            time.sleep(max(0.0, begun + (number + 1) * size / SAMPLE_RATE - time.monotonic()))
            yield pieces[number % len(pieces)]

    with animator.stream(face, microphone(), seed=0) as stream:
        late: list[float] = []
        apart, played, minute, since = 0.0, 0, 1, 0.0
        for moment in stream:
            late.append(time.monotonic() - begun - moment.time)
            played += len(moment.sound)
            apart = max(apart, abs(played / SOUND_RATE - moment.time - 1 / FPS))
            if moment.time < 60 * minute and moment.time < 60 * minutes:
                continue
            shown = len(late) / round((moment.time + 1 / FPS - since) * FPS)
            usual, most = 1000 * np.percentile(late, [50, 95])
            print(
                f"{moment.time / 60:.1f} min: a frame comes {usual:.0f} ms after its sound (95 %: "
                f"{most:.0f} ms), {100 * shown:.0f} % of the frames are shown, the sound "
                f"ends {1000 * apart:.1f} ms off them at most, {memory():.0f} MB at most",
                flush=True,
            )
            late, minute, since = [], minute + 1, moment.time + 1 / FPS
            if moment.time >= 60 * minutes:
                return


def memory() -> float:
    """The most that this process ever had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    sys.exit(main())
