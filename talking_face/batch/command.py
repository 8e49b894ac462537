"""`python -m talking_face batch JOBS -o OUT`: checks the jobs of a table, or carries them out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from talking_face.arguments import FAILED, OK, PARTLY
from talking_face.batch.engine import Crew, Work, one_by_one
from talking_face.batch.job import Job, Outcome, check, job_of, make
from talking_face.batch.ledger import Ledger
from talking_face.batch.table import Row, read_rows
from talking_face.cluster import Cluster, ray_is_here
from talking_face.errors import OptionInvalid

HINT = "ray isn't installed: one job after another. For all cores: pip install ray"


def run(options: argparse.Namespace) -> int:
    """Check or carry out the jobs of a table; returns the exit code.

    Raises:
        TalkingFaceError: nothing could be done, or the disk is full.
    """
    if options.workers is not None and options.workers < 1:
        raise OptionInvalid("--workers must be 1 or more.")
    if options.workers is not None and options.address:
        raise OptionInvalid("The cluster at --address has its own workers: leave --workers out.")
    rows = read_rows(options.jobs)
    return _dry_run(options, rows) if options.dry_run else _carry_out(options, rows)


def _dry_run(options: argparse.Namespace, rows: Sequence[Row]) -> int:
    jobs, wrong = _jobs(rows)
    faults = {row.number: error for row, error in wrong}
    alike: dict[tuple[object, ...], list[Job]] = {}
    for job in jobs:
        alike.setdefault(_material(job), []).append(job)
    first = [some[0] for some in alike.values()]
    for job, outcome in _worked(options, check, first, "Checking"):
        if outcome.error:
            faults |= {other.line: outcome.error for other in alike[_material(job)]}
    names = {row.number: row.name for row in rows}
    for line, error in sorted(faults.items()):
        print(f"line {line}, {names[line]}: {error}")
    print(f"{len(rows) - len(faults)} of {len(rows)} jobs can be done.")
    return PARTLY if faults else OK


def _carry_out(options: argparse.Namespace, rows: Sequence[Row]) -> int:
    jobs, wrong = _jobs(rows)
    with closing(Ledger(options.output)) as ledger:
        left = ledger.begin(jobs)
        failed = len(wrong)
        for row, error in wrong:
            ledger.refuse(row, error)
        free = []
        for job in left:
            if reason := ledger.in_the_way(job):
                ledger.keep(job, Outcome(error=reason))
                failed += 1
            else:
                free.append(job)
        done = len(jobs) - len(left)
        for job, outcome in _worked(options, make, free, "Making"):
            ledger.keep(job, outcome)
            failed += outcome.error is not None
            done += outcome.error is None
            if outcome.error:
                tqdm.write(f"talking_face: {job.name}: {outcome.error}", sys.stderr)
            else:
                tqdm.write(str(options.output / job.name))
    if failed:
        print(
            f"talking_face: {failed} of {len(rows)} jobs failed; results.jsonl says why.",
            file=sys.stderr,
        )
    return OK if not failed else PARTLY if done else FAILED


def _jobs(rows: Sequence[Row]) -> tuple[list[Job], list[tuple[Row, str]]]:
    """The jobs of the rows, and the rows that are none, with the reason."""
    jobs, wrong = [], []
    known: dict[tuple[Path, int, int], str] = {}
    for row in rows:
        if row.error is not None:
            wrong.append((row, row.error))
            continue
        try:
            jobs.append(job_of(row, known))
        except OSError as error:
            wrong.append((row, f"{error.filename} can't be read ({error.strerror})."))
    return jobs, wrong


def _material(job: Job) -> tuple[object, ...]:
    """What tells a job from others that a check can't tell apart: it draws nothing."""
    chance = ("seed", "name", "output")
    said = {key: value for key, value in vars(job.options).items() if key not in chance}
    return tuple(sorted((key, str(value)) for key, value in said.items()))


def _worked(
    options: argparse.Namespace, work: Work, jobs: Sequence[Job], what: str
) -> Iterator[tuple[Job, Outcome]]:
    """The outcome of each job, as it comes, under a bar that tells how long it still takes."""
    shape = "{desc} {n_fmt} of {total_fmt} |{bar}| {elapsed} gone, {remaining} to go"
    if not jobs:
        return
    crewed = _crewed(options) and (options.address or len(jobs) > 1)
    cluster = Cluster(options.address, options.workers) if crewed else None
    try:
        coming = Crew(cluster).spread(work, jobs) if cluster else one_by_one(work, jobs)
        with (
            closing(coming),
            tqdm(desc=what, total=len(jobs), bar_format=shape, disable=None, leave=False) as bar,
        ):
            for job, outcome in coming:
                yield job, outcome
                bar.update()
    finally:
        if cluster:
            cluster.close()


def _crewed(options: argparse.Namespace) -> bool:
    if options.address or (options.workers or 1) > 1 or ray_is_here():
        return options.workers != 1
    print(f"talking_face: {HINT}", file=sys.stderr)
    return False
