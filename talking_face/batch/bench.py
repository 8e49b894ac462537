"""How fast batches are: `python -m talking_face.batch.bench`.

Prints clips a minute for one process without Ray and for crews of 1, 2, … workers, what Ray costs a
job, and what 1,000 minutes of video take. `--soak N` works on N tiny jobs instead and prints how
the memory of the process that hands them out grows.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
import wave
from contextlib import closing
from pathlib import Path
from typing import Any

from talking_face.animator import load_animator
from talking_face.batch.engine import Crew, one_by_one
from talking_face.batch.job import Job, job_of, make
from talking_face.batch.ledger import Ledger
from talking_face.batch.table import read_rows
from talking_face.cluster import Cluster
from talking_face.cores import available
from talking_face.files import shipped

JOBS_A_WORKER = 4
SAMPLES = 1
TINY = 64  # pixels; jobs of this size are of one second, too
# Clips of a job's recording, the longest of the examples of about five seconds.
SOUND = "pie.wav"
CORES = {"a laptop, 4 cores": 4, "a server, 16 cores": 16, "a cluster, 256 cores": 256}


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--workers", type=int, nargs="*", default=[*range(1, available() + 1)])
    parser.add_argument("--soak", type=int, metavar="N", help="work on N tiny jobs")
    parser.add_argument(
        "--price", type=float, default=0.04, help="of a core and hour (default: %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.soak:
            soak(Path(folder), options.soak)
        else:
            compare(Path(folder), options.workers, options.price)


def compare(folder: Path, crews: list[int], price: float) -> None:
    """Throughput against workers; each crew has its models loaded before its time begins."""
    warm = jobs_of(folder, 1, size=TINY)
    most = jobs_of(folder, JOBS_A_WORKER * max(crews))
    few = most[:JOBS_A_WORKER]
    seconds = len(load_animator().listen(shipped("assets") / "recordings" / SOUND)) / 25
    list(one_by_one(make, warm))
    alone = _timed(lambda: list(one_by_one(make, few))) / len(few)
    print(f"{SAMPLES} clip of {seconds:.1f} s a job, 512 × 512\n")
    print("| workers | seconds a job | clips a minute | times one process |\n|---|---|---|---|")
    print(f"| one process, no Ray | {alone:.2f} | {60 / alone:.1f} | 1.00 |")
    took = {}
    for workers in crews:
        jobs = most[: JOBS_A_WORKER * workers]
        with closing(Cluster(workers=workers)) as cluster:
            crew = Crew(cluster)
            list(crew.spread(make, warm * 4 * workers))
            took[workers] = _timed(lambda: list(crew.spread(make, jobs))) / len(jobs)  # noqa: B023
        each = took[workers]
        print(f"| {workers} | {each:.2f} | {60 / each:.1f} | {alone / each:.2f} |", flush=True)
    best = min(took, key=lambda workers: took[workers])
    hours = took[best] * available() / seconds * 60_000 / 3600
    print(
        f"\n1,000 minutes of video: {hours:.0f} core hours, {price * hours:.2f} at {price:g} each."
    )
    for name, cores in CORES.items():
        print(f"{name}: {hours / cores:.1f} hours")


def soak(folder: Path, count: int) -> None:
    """Many tiny jobs, and the memory of this process after each tenth of them."""
    jobs = jobs_of(folder, count, size=TINY)
    began, done = time.perf_counter(), 0
    with closing(Cluster()) as cluster, closing(Ledger(folder / "out")) as ledger:
        for job, outcome in Crew(cluster).spread(make, ledger.begin(jobs)):
            ledger.keep(job, outcome)
            done += 1
            if done % max(1, count // 10) == 0:
                held = _resident() / 2**20
                print(
                    f"{done} jobs, {time.perf_counter() - began:.0f} s: {held:.0f} MiB", flush=True
                )
    made = sum(
        1 for line in (folder / "out" / "results.jsonl").open() if not json.loads(line)["error"]
    )
    print(f"{made} of {count} made; at most {_most():.0f} MiB.")


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
    """The first second of a WAV file, in another."""
    with wave.open(str(sound), "rb") as file, wave.open(str(path), "wb") as cut:
        cut.setparams(file.getparams())
        cut.writeframes(file.readframes(file.getframerate()))
    return path


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _resident() -> float:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
