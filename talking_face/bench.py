"""Speed and memory of the whole path on this machine: `python -m talking_face.bench`.

Prints the first load, each stage of one run of several samples, and the wall time per second of
output video and sample, which is the figure that the README quotes.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from talking_face.animator import load_animator
from talking_face.audio import SAMPLE_RATE, Recording, load_audio

LOAD = "from talking_face import load_animator; load_animator()"
ASSETS = Path(__file__).resolve().parent.parent / "assets"


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
    waveform = load_audio(options.audio).waveform
    wanted = round(options.seconds * SAMPLE_RATE)
    recording = Recording(np.resize(waveform, wanted))
    mark = time.perf_counter()

    start = time.perf_counter()
    face = animator.fit(options.photo)
    lap("fit the face")
    speech = animator.listen(recording)
    lap("hear the recording")
    motions = animator.sample(speech, options.samples)
    lap("draw the motions")
    for _ in animator.render(face, motions[0][:1], size=options.size):
        pass
    lap("prepare the face")
    with tempfile.TemporaryDirectory() as folder:
        clips = list(
            animator.animate(face, speech, options.samples, size=options.size, output=Path(folder))
        )
        lap("render and encode")
        animator.compare(clips, Path(folder) / "comparison.mp4")
        lap("comparison clip")
    total = time.perf_counter() - start
    frames = len(speech) * options.samples
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    mark = time.perf_counter()
    for _ in animator.render(face, motions[0], size=options.size):
        pass
    alone = (time.perf_counter() - mark) / len(speech)

    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{options.samples} samples of {speech.recording.duration:.1f} s at {options.size} px\n")
    for name, seconds in rows:
        print(f"{name:24}{seconds:8.2f} s")
    print(f"{'all but the first load':24}{total:8.2f} s\n")
    print(f"render alone            {1000 * alone:8.1f} ms a frame")
    print(f"everything              {1000 * total / frames:8.1f} ms a frame")
    print(f"per second of video and sample {25 * total / frames:.2f} s")
    print(f"peak memory             {peak:8.2f} GiB")


if __name__ == "__main__":
    main()
