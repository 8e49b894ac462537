"""What became of each job: folders that appear when they are whole, and a line for each.

`results.jsonl` in the output folder has one object a job. The same object lies as `.job.json` in
the folder of a job that was done, which is how a later run knows that it needn't do it again, also
where the run before was killed between the two.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from talking_face.batch.job import Job, Outcome
from talking_face.batch.table import Row
from talking_face.errors import OutputUnwritable
from talking_face.files import output_folder, writing

RESULTS, RECEIPT, LOCK = "results.jsonl", ".job.json", ".batch.lock"


class Ledger:
    """The output folder of a batch; one run at a time may write into it.

    Args:
        folder: made if it isn't there.

    Raises:
        OutputUnwritable: also where another run is writing into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = output_folder(folder)
        self._lock = FileLock(self.folder / LOCK)
        try:
            self._lock.acquire(blocking=False)
        except Timeout as error:
            raise OutputUnwritable(
                f"Another batch is writing into {folder}. Wait for it, or choose another folder."
            ) from error

    def close(self) -> None:
        """Let others write into the folder."""
        self._lock.release()

    def begin(self, jobs: Sequence[Job]) -> list[Job]:
        """Put the lines of jobs that are done already into the results; returns the others."""
        done = {job: line for job in jobs if (line := self._done(job))}
        with writing(self.folder / RESULTS) as hidden:
            hidden.write_text("".join(map(_line, done.values())), encoding="utf-8")
        return [job for job in jobs if job not in done]

    def in_the_way(self, job: Job) -> str | None:
        """Why the job's folder can't be made; None where it can."""
        folder = self.folder / job.name
        if not os.path.lexists(folder) or _whole(folder, _receipt(folder)):
            return None
        return (
            f"{folder} is there already, and it isn't as a batch wrote it. Move it away, or give "
            "the job another name."
        )

    def keep(self, job: Job, outcome: Outcome) -> None:
        """Write a job's files under its name, all at once, and its line.

        Raises:
            OutputUnwritable: the disk is full, or the folder can't be written.
        """
        record = _record(job, outcome)
        if outcome.files and outcome.error is None:
            self._publish(self.folder / job.name, outcome.files, record)
        elif outcome.files:  # what could be made of it; the job is tried again by the next run
            record |= {"made": [], "partly": [f"{job.name}/{name}" for name in _seen(outcome)]}
            self._publish(self.folder / job.name, outcome.files, record)
        self._append(record)

    def refuse(self, row: Row, error: str) -> None:
        """The line of a row that is no job."""
        self._append({"name": row.name, "line": row.number, "made": [], "error": error})

    def _publish(self, folder: Path, files: Mapping[str, bytes], record: Mapping[str, Any]) -> None:
        hidden = self.folder / f".{uuid.uuid4().hex}"
        try:
            hidden.mkdir()
            for name, content in files.items():
                (hidden / name).write_bytes(content)
            (hidden / RECEIPT).write_text(_line(record), encoding="utf-8")
            if folder.exists():  # as `in_the_way` has looked at it
                folder.rename(self.folder / f".{uuid.uuid4().hex}")
            hidden.rename(folder)
        except OSError as error:
            raise OutputUnwritable(
                f"{folder} can't be written ({error.strerror}). Make room on the disk, and run the "
                "batch again: it goes on where it was."
            ) from error
        finally:
            self._sweep()

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            with (self.folder / RESULTS).open("a", encoding="utf-8") as file:
                file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputUnwritable(
                f"{self.folder / RESULTS} can't be written ({error.strerror}). Make room on the "
                "disk, and run the batch again: it goes on where it was."
            ) from error

    def _done(self, job: Job) -> dict[str, Any] | None:
        folder = self.folder / job.name
        record = _receipt(folder)
        if record.get("job") != job.digest or record.get("error") or not _whole(folder, record):
            return None
        return record | {"line": job.line}

    def _sweep(self) -> None:
        """Remove hidden folders that were never finished, or replaced."""
        for path in self.folder.glob(".*"):
            if len(path.name) == 33 and path.is_dir():
                shutil.rmtree(path, ignore_errors=True)


def _record(job: Job, outcome: Outcome) -> dict[str, Any]:
    """A line of the results."""
    return {
        "name": job.name,
        "line": job.line,
        "job": job.digest,
        "seed": job.options.seed,
        "samples": job.options.samples,
        "seconds": round(outcome.seconds, 3),
        "made": [
            {
                "file": f"{job.name}/{name}",
                "bytes": len(content),
                "sha256": _sha256(content),
                "manifest": outcome.signed.get(name),
            }
            for name, content in _seen(outcome).items()
        ],
        "notes": list(outcome.notes),
        "error": outcome.error,
    }


def _seen(outcome: Outcome) -> dict[str, bytes]:
    return {name: data for name, data in outcome.files.items() if not name.startswith(".")}


def _receipt(folder: Path) -> dict[str, Any]:
    """What a job's folder says of itself; nothing where it says nothing."""
    with suppress(OSError, ValueError):
        record = json.loads((folder / RECEIPT).read_text(encoding="utf-8"))
        if isinstance(record, dict):
            return record
    return {}


def _whole(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a folder holds what its receipt says, and nothing of anybody else's."""
    if not record or folder.is_symlink():
        return False
    try:
        listed = {Path(made["file"]).name: made["bytes"] for made in record["made"]}
        listed |= {Path(name).name: None for name in record.get("partly", ())}
        there = {path.name: path.stat().st_size for path in folder.glob("[!.]*")}
    except (OSError, KeyError, TypeError):
        return False
    return there.keys() == listed.keys() and all(
        size in (None, there[name]) for name, size in listed.items()
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
