"""Speed and memory of the whole path on this machine: `python -m talking_face.bench`.

Prints the first load, each stage of one run of several samples, the time a frame of the renderer's
and the encoder's stages, and the wall time per second of output video and sample, which is the
figure that the README quotes.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from talking_face.animator import load_animator
from talking_face.clips.video import write_clip
from talking_face.face.face import Face
from talking_face.files import shipped
from talking_face.models import Models
from talking_face.motion import Motion
from talking_face.options import Look
from talking_face.picture.mouth.teeth import draw_teeth
from talking_face.picture.renderer import Renderer
from talking_face.sound.audio import SAMPLE_RATE, Recording, load_audio
from talking_face.warm_up import warm_up

LOAD = """from talking_face import load_animator
from talking_face.warm_up import warm_up
warm_up(load_animator())"""  # as the page does before its first visitor
ASSETS = shipped("assets")


def time_stages(
    models: Models, face: Face, motion: Motion, size: int, recording: Recording
) -> dict[str, float]:
    """Seconds a frame that each stage of one clip takes, one after the other."""
    renderer = Renderer(
        face, models.face, draw_teeth(models.teeth, 0), models.mouth_light, size=size
    )
    stages = dict.fromkeys(("flow", "composite", "paint", "encode"), 0.0)
    frames = []
    for index in range(len(motion)):
        times = [time.perf_counter()]
        flow = renderer.flow(motion, index)
        times.append(time.perf_counter())
        window = renderer.composite(flow, motion, index)
        times.append(time.perf_counter())
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

    rows: list[tuple[str, float]] = []
    mark = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal mark
        rows.append((name, time.perf_counter() - mark))
        mark = time.perf_counter()

    # In a process of its own: imports, models, all that comes before the first face.
    subprocess.run([sys.executable, "-c", LOAD], check=True)
    lap("first load")
    animator = load_animator()
    warm_up(animator)
    waveform = load_audio(options.audio).waveform
    wanted = round(options.seconds * SAMPLE_RATE)
    recording = Recording(np.resize(waveform, wanted))
    mark = time.perf_counter()

    look = Look(size=options.size)
    start = time.perf_counter()
    face = animator.fit(options.photo)
    lap("fit the face")
    speech = animator.listen(recording)
    lap("hear the recording")
    motions = animator.sample(speech, options.samples)
    lap("draw the motions")
    for _ in animator.render(face, motions[0][:1], look):
        pass
    lap("prepare the face")
    with tempfile.TemporaryDirectory() as folder:
        clips = list(animator.animate(face, speech, options.samples, look=look, output=folder))
        lap("render and encode")
        if options.samples > 1:
            animator.compare(clips, Path(folder) / "comparison.mp4")
            lap("comparison clip")
    total = time.perf_counter() - start
    frames = len(speech) * options.samples
    peak = peak_memory()
    stages = time_stages(animator.models, face, motions[0], options.size, recording)

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.samples} samples of {speech.recording.duration:.1f} s at {options.size} px\n")
    for name, seconds in rows:
        print(f"{name:24}{seconds:8.2f} s")
    print(f"{'all but the first load':24}{total:8.2f} s\n")
    for name, seconds in stages.items():
        print(f"{name:24}{1000 * seconds:8.1f} ms a frame")
    print(f"everything              {1000 * total / frames:8.1f} ms a frame")
    print(f"per second of video and sample {25 * total / frames:.2f} s")
    if peak is not None:
        print(f"peak memory             {peak:8.2f} GiB")


if __name__ == "__main__":
    main()
