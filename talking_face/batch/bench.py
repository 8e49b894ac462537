"""How fast batches are: `python -m talking_face.batch.bench`.

Prints clips a minute and the work of all processes a job, for one process without Ray on one core
and on all, and for crews of 1, 2, … workers on as many cores; and what 1,000 minutes of video take.
`--soak N` works on N tiny jobs instead and prints how the memory of all processes grows.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from talking_face.animator import load_animator
from talking_face.batch.engine import Crew, Outcomes, one_by_one
from talking_face.batch.job import Job, job_of, make
from talking_face.batch.ledger import Ledger
from talking_face.batch.table import read_rows
from talking_face.batch.usage import memory, work
from talking_face.cluster import ONE_CORE, Cluster
from talking_face.cores import available
from talking_face.files import shipped

JOBS_A_WORKER = 6
SAMPLES = 1
LINES, LOOKS = 10, 20  # of a soak's table, and at the memory for each of them
IDLE = 10.0  # seconds
TINY = 64  # pixels; jobs of this size are of half a second, too
# Clips of a job's recording, the longest of the examples of about five seconds.
SOUND = "pie.wav"
CORES = {"a laptop, 4 cores": 4, "a server, 16 cores": 16, "a cluster, 256 cores": 256}


class Cost(NamedTuple):
    """What jobs took: seconds that went by, and seconds of work, of all processes together."""

    passed: float
    worked: float


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--workers", type=int, nargs="*", default=[*range(1, available() + 1)])
    parser.add_argument("--jobs", type=int, default=JOBS_A_WORKER, help="a worker")
    parser.add_argument("--soak", type=int, metavar="N", help="work on N tiny jobs")
    parser.add_argument("--limit", type=float, default=7200.0, help="of the soak, in seconds")
    parser.add_argument(
        "--price", type=float, default=0.04, help="of a core and hour (default: %(default)s)"
    )
    parser.add_argument("--crew", type=int, help=argparse.SUPPRESS)  # one line of the table
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.soak:
            soak(Path(folder), options.soak, options.limit)
        elif options.crew is not None:
            print(json.dumps(measured(Path(folder), options.crew, options.jobs)))
        else:
            compare(options.workers, options.jobs, options.price)


def compare(crews: list[int], jobs: int, price: float) -> None:
    """Throughput and work against workers."""
    seconds = len(load_animator().listen(shipped("assets") / "recordings" / SOUND)) / 25
    print(f"{SAMPLES} clip of {seconds:.1f} s a job, 512 × 512, {jobs} jobs a worker\n")
    print(
        "| who | cores | seconds a job | clips a minute | times one core | cores at work ", end=""
    )
    print("| core seconds a job | more than one core's |\n|---|---|---|---|---|---|---|---|")
    base = _line("one process, no Ray", 0, 1, jobs, None)
    if available() > 1:
        _line("one process, no Ray", 0, available(), jobs, base)
    costs = [_line(f"Ray, {crew} at work", crew, crew, jobs, base) for crew in crews]
    print(f"\nRay's services alone keep {idle():.3f} cores at work.")
    hours = min(cost.worked for cost in costs) / seconds * 60_000 / 3600
    print(f"\n1,000 minutes of video: {hours:.1f} core hours, {price * hours:.2f} at ", end="")
    print(f"{price:g} each:\n\n| machine | minutes |\n|---|---|")
    for name, cores in CORES.items():
        print(f"| {name} | {60 * hours / cores:.0f} |")


def _line(who: str, crew: int, cores: int, jobs: int, base: Cost | None) -> Cost:
    """Measure in a process of its own, on so many cores, and print it."""
    mine = os.sched_getaffinity(0)
    environment = dict(os.environ, **(ONE_CORE if cores == 1 else {}))
    command = [sys.executable, "-m", "talking_face.batch.bench", f"--crew={crew}", f"--jobs={jobs}"]
    os.sched_setaffinity(0, sorted(mine)[:cores])  # what is started inherits it
    try:
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    finally:
        os.sched_setaffinity(0, mine)
    cost = Cost(*json.loads(ran.stdout.splitlines()[-1]))
    base = base or cost
    print(
        f"| {who} | {cores} | {cost.passed:.2f} | {60 / cost.passed:.1f} "
        f"| {base.passed / cost.passed:.2f} | {cost.worked / cost.passed:.2f} "
        f"| {cost.worked:.2f} | {100 * (cost.worked / base.worked - 1):+.0f} % |",
        flush=True,
    )
    return cost


def idle() -> float:
    """How many cores a cluster that does nothing keeps at work."""
    with closing(Cluster()):
        time.sleep(IDLE)  # until it has begun
        worked, began = work(), time.perf_counter()
        time.sleep(IDLE)
        return (work() - worked) / (time.perf_counter() - began)


def measured(folder: Path, crew: int, jobs: int) -> Cost:
    """What a job costs so many workers, or this process where they are 0; models are loaded."""
    some = jobs_of(folder, jobs * max(1, crew))
    warm = jobs_of(folder, 4 * max(1, crew), size=TINY)
    if not crew:
        list(one_by_one(make, warm))
        return _timed(lambda: one_by_one(make, some), len(some))
    with closing(Cluster(workers=crew)) as cluster:
        spread = Crew(cluster).spread
        list(spread(make, warm))
        return _timed(lambda: spread(make, some), len(some))


def _timed(begin: Callable[[], Outcomes], count: int) -> Cost:
    worked, began = work(), time.perf_counter()
    for job, outcome in begin():
        if outcome.error:
            raise RuntimeError(f"{job.name}: {outcome.error}")
    return Cost((time.perf_counter() - began) / count, (work() - worked) / count)


def soak(folder: Path, count: int, limit: float) -> None:
    """Many tiny jobs, and the memory of all processes during each tenth of them, in the mean."""
    jobs = jobs_of(folder, count, size=TINY)
    began, done = time.perf_counter(), 0
    looks: list[dict[str, float]] = []
    held: list[dict[str, float]] = []
    print("| jobs | seconds | this process | workers | Ray's services | object store, MiB |")
    print("|---|---|---|---|---|---|")
    with closing(Cluster()) as cluster, closing(Ledger(folder / "out")) as ledger:
        for job, outcome in Crew(cluster).spread(make, ledger.begin(jobs)):
            ledger.keep(job, outcome)
            done += 1
            past = time.perf_counter() - began
            if done % max(1, count // LINES // LOOKS) == 0:
                looks.append(memory())
            if done % max(1, count // LINES) == 0:
                held.append({name: mean(look[name] for look in looks) for name in looks[0]})
                looks.clear()
                cells = " | ".join(f"{value:.0f}" for value in held[-1].values())
                print(f"| {done} | {past:.0f} | {cells} |", flush=True)
            if past > limit:
                break
    lines = (folder / "out" / "results.jsonl").read_text().splitlines()
    made = sum(not json.loads(line)["error"] for line in lines)
    print(f"\n{made} of {count} made.")
    if len(held) > 1:
        grown = ", ".join(f"{name} {held[-1][name] - held[0][name]:+.0f}" for name in held[0])
        print(f"From the first of these lines to the last, in MiB: {grown}.")


def jobs_of(folder: Path, count: int, size: int = 512) -> list[Job]:
    """So many jobs on the example portraits, each with another seed."""
    photos = sorted((shipped("assets") / "portraits").glob("*.jpg"))
    sound = shipped("assets") / "recordings" / SOUND
    if size == TINY:
        sound = _beginning(sound, folder / "beginning.wav")
    rows: list[dict[str, Any]] = [
        {
            "photo": str(photos[index % len(photos)]),
            "sound": str(sound),
            "samples": SAMPLES,
            "size": size,
            "seed": index,
        }
        for index in range(count)
    ]
    table = folder / f"{count}-{size}.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    digests: dict[tuple[Path, int, int], str] = {}
    return [job_of(row, digests) for row in read_rows(table)]


def _beginning(sound: Path, path: Path) -> Path:
    """The first half second of a WAV file, in another."""
    with wave.open(str(sound), "rb") as file, wave.open(str(path), "wb") as cut:
        cut.setparams(file.getparams())
        cut.writeframes(file.readframes(file.getframerate() // 2))
    return path


if __name__ == "__main__":
    main()
