"""Speed and memory of the whole path on this machine: `python -m talking_face.bench`.

Prints the first load; each stage of one order of several samples, on the quiet machine and with
something else on every core, and how many times as long it then takes; the time a frame of the
renderer's and the encoder's stages; how many times one clip's CPU time the rendering for two eyes
takes; how long the first clip takes; and the wall time per second of output video and sample, also
of a single larger one.
"""

from __future__ import annotations

import argparse
import logging
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from talking_face.animator import Animator, load_animator
from talking_face.clips.stereo import packed
from talking_face.clips.video import write_clip
from talking_face.cores import available, one_thread
from talking_face.face.face import Face
from talking_face.files import shipped
from talking_face.models import Models
from talking_face.motion import FPS, Motion
from talking_face.options import Look
from talking_face.picture.mouth.teeth import draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.picture.stereo import StereoRenderer
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.warm_up import warm_up

LOAD = """from talking_face import load_animator
from talking_face.warm_up import warm_up
warm_up(load_animator())"""  # as the page does before its first visitor
ASSETS = shipped("assets")
LARGE = 1024  # pixels
LATER = ("other clips", "comparison clip")  # the stages behind the first clip
MEASURABLE = 0.05  # seconds; shorter stages are not compared


@one_thread()
def time_frame(
    models: Models, face: Face, motion: Motion, size: int, recording: Recording
) -> dict[str, float]:
    """Seconds a frame that each stage of one clip takes, one after the other on one core."""
    renderer = Renderer(
        face,
        models.face,
        draw_teeth(models.teeth, 0),
        models.mouth_light,
        size=size,
        skin=models.skin,
    )
    stages = dict.fromkeys(("flow", "composite", "shade and paint", "encode"), 0.0)
    frames = []
    for index in range(len(motion)):
        times = [time.perf_counter()]
        flow = renderer.flow(motion, index)
        times.append(time.perf_counter())
        window = renderer.composite(flow, motion, index)
        times.append(time.perf_counter())
        renderer.shade(window, flow, motion, index)
        renderer.paint(window, flow, motion, index)
        frames.append(renderer.plate.place(window))
        times.append(time.perf_counter())
        for name, seconds in zip(stages, np.diff(times), strict=False):
            stages[name] += seconds / len(motion)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_clip(frames, Path(folder) / "clip.mp4", recording)
        stages["encode"] = (time.perf_counter() - start) / len(motion)
    return stages


@one_thread()
def time_stereo(renderer: Renderer, motion: Motion) -> tuple[float, float]:
    """CPU seconds a frame of rendering a clip, and one for two eyes side by side."""
    pair = StereoRenderer(renderer)
    seconds = []
    for frame in (
        renderer.frame,
        lambda motion, index: packed(*pair.frame(motion, index), "side-by-side", None),
    ):
        frame(motion, 0)  # what is made once
        start = time.process_time()
        for index in range(len(motion)):
            frame(motion, index)
        seconds.append((time.process_time() - start) / len(motion))
    return seconds[0], seconds[1]


def time_order(
    animator: Animator, photo: Path, recording: Recording, samples: int, look: Look
) -> dict[str, float]:
    """Seconds that each stage of one order takes; nothing is remembered from before."""
    animator.memory.forget()
    stages: dict[str, float] = {}
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        now = time.perf_counter()
        stages[name], mark = now - mark, now

    face = animator.fit(photo)
    lap("fit the face")
    animator.prepare(face, look)  # beside what comes next, as the page does
    speech = animator.listen(recording)
    lap("hear the recording")
    motions = animator.sample(speech, samples)
    lap("draw the motions")
    next(animator.render(face, motions[0], look))
    lap("go on preparing the face")
    with tempfile.TemporaryDirectory() as folder:
        making = animator.animate(face, speech, samples, look=look, output=folder)
        clips = [next(making)]
        lap("first clip")
        clips += making
        if samples > 1:
            lap("other clips")
            animator.compare(clips, Path(folder) / "comparison.mp4")
            lap("comparison clip")
    return stages


@contextmanager
def busy_cores() -> Iterator[None]:
    """Something else that keeps every core busy, for as long as it takes."""
    neighbours = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(available())
    ]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def peak_memory() -> float | None:
    """GiB that this process has held at most; None on Windows, which doesn't tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 2**10  # bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, default=ASSETS / "portraits/woman_long_hair.jpg")
    parser.add_argument("--audio", type=Path, default=ASSETS / "recordings/boat.wav")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5.0, help="of the recording to use")
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    logging.disable(logging.WARNING)

    start = time.perf_counter()
    # In a process of its own: imports, models, all that comes before the first face.
    subprocess.run([sys.executable, "-c", LOAD], check=True)
    loading = time.perf_counter() - start
    animator = load_animator()
    warm_up(animator)
    waveform = load_audio(options.audio).waveform
    recording = Recording(np.resize(waveform, round(options.seconds * SAMPLE_RATE)))
    look = Look(size=options.size)

    quiet = time_order(animator, options.photo, recording, options.samples, look)
    peak = peak_memory()
    with busy_cores():
        busy = time_order(animator, options.photo, recording, options.samples, look)
    face = animator.fit(options.photo)
    (motion,) = animator.sample(animator.listen(recording), 1)
    large = time_order(animator, options.photo, recording, 1, Look(size=LARGE))
    frame = time_frame(animator.models, face, motion, options.size, recording)
    one, two = time_stereo(animator.renderer(face, look), motion)

    total = sum(quiet.values())
    frames = len(motion) * options.samples
    print(f"{platform.machine()}, {available()} cores, Python {platform.python_version()}")
    print(f"{options.samples} samples of {recording.duration:.1f} s at {options.size} px\n")
    print(f"{'first load':24}{loading:8.2f} s\n")
    print(f"{'':24}{'quiet':>8}  {'busy':>8}")
    for name, seconds in quiet.items():
        ratio = f"{busy[name] / seconds:8.1f} times" if seconds >= MEASURABLE else ""
        print(f"{name:24}{seconds:8.2f} s{busy[name]:8.2f} s{ratio}")
    print(f"{'all but the first load':24}{total:8.2f} s{sum(busy.values()):8.2f} s\n")
    for name, seconds in frame.items():
        print(f"{name:24}{1000 * seconds:8.1f} ms a frame, alone")
    print(f"{'for two eyes':24}{two / one:8.1f} times a clip's rendering, CPU")
    print(f"everything              {1000 * total / frames:8.1f} ms a frame")
    first = sum(seconds for name, seconds in quiet.items() if name not in LATER)
    print(f"first clip after        {first:8.2f} s")
    print(f"per second of video and sample {FPS * total / frames:.2f} s")
    alone = FPS * sum(large.values()) / len(motion)
    print(f"the same of a single sample at {LARGE} px {alone:.2f} s")
    if peak is not None:
        print(f"peak memory             {peak:8.2f} GiB")


if __name__ == "__main__":
    main()
