"""Workers for jobs: this process, or those of Ray, on this machine or on a cluster.

Knows who works on what, what several jobs share, and what to do when a worker dies; knows nothing
of what a job is about. With Ray, what jobs share lies once in its object store while any of them
needs it, and no more than `AHEAD` jobs a worker are under way, however many there are.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Sequence
from typing import Any

from talking_face.batch.job import Job, Outcome, fit, hear
from talking_face.cluster import Cluster
from talking_face.errors import WorkersMissing

Outcomes = Generator[tuple[Job, Outcome], None, None]
Work = Callable[..., Outcome]  # (job, face, speech, *inputs)

logger = logging.getLogger(__name__)

AHEAD = 2  # jobs a worker that are handed over before they are finished


def one_by_one(work: Work, jobs: Sequence[Job]) -> Outcomes:
    """Each job's outcome; worked on here, one after another."""
    for job in jobs:
        try:
            inputs = [job.inputs[name].read_bytes() for name in sorted(job.inputs)]
        except OSError as error:
            yield job, _gone(error)
            continue
        try:
            outcome = work(job, None, None, *inputs)
        except Exception as error:  # no job takes others with it, as in a cluster
            logger.debug("%s failed", job.name, exc_info=True)
            outcome = Outcome(
                error=f"The job failed ({error or type(error).__name__}). Try it again."
            )
        yield job, outcome


class Crew:
    """The workers of a cluster, and what they share.

    Args:
        cluster: stays open when the crew's work is done.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._fit, self._hear = cluster.remote(fit), cluster.remote(hear)

    def spread(self, work: Work, jobs: Sequence[Job]) -> Outcomes:
        """Each job's outcome, as they are finished; what is under way ends with the iterator."""
        shared = Counter(key for job in jobs for key in _keys(job))
        remote = self._cluster.remote(work)
        kept: dict[Hashable, Any] = {}
        coming: dict[Any, Job] = {}
        waiting = deque(jobs)
        try:
            while waiting or coming:
                while waiting and len(coming) < AHEAD * self._cluster.workers:
                    job = waiting.popleft()
                    try:
                        coming[remote.remote(job, *self._known(job, kept, shared))] = job
                    except OSError as error:
                        yield job, _gone(error)
                    for key in _keys(job):
                        shared[key] -= 1
                        if not shared[key]:  # nobody needs it any more
                            kept.pop(key, None)
                if not coming:
                    continue
                for done in self._cluster.finished(list(coming), 1.0):
                    yield coming.pop(done), self._outcome(done)
        finally:
            for reference in coming:
                self._cluster.cancel(reference)

    def _known(self, job: Job, kept: dict[Hashable, Any], shared: Counter[Hashable]) -> list[Any]:
        """Face, speech and inputs of a job: themselves, or where they lie in the object store."""

        def blob(name: str) -> Any:
            key = "input", job.digests[name]
            if key not in kept:
                kept[key] = self._cluster.put(job.inputs[name].read_bytes())
            return kept[key]

        inputs = [blob(name) for name in sorted(job.inputs)]
        face = speech = None
        if job.photo and shared["face", job.photo] + (("face", job.photo) in kept) > 1:
            key: Hashable = ("face", job.photo)
            if key not in kept:
                kept[key] = self._fit.remote(blob("photo"), job.photo[1])
            face = kept[key]
        if job.sound and shared["sound", job.sound] + (("sound", job.sound) in kept) > 1:
            key = ("sound", job.sound)
            if key not in kept:
                kept[key] = self._hear.remote(job, *inputs)
            speech = kept[key]
        return [face, speech, *inputs]

    def _outcome(self, reference: Any) -> Outcome:
        try:
            outcome: Outcome = self._cluster.get(reference)
        except WorkersMissing as error:
            return Outcome(error=str(error))
        return outcome


def _keys(job: Job) -> list[Hashable]:
    """What a job may share with others."""
    keys: list[Hashable] = [("input", digest) for digest in job.digests.values()]
    if job.photo:
        keys.append(("face", job.photo))
    if job.sound:
        keys.append(("sound", job.sound))
    return keys


def _gone(error: OSError) -> Outcome:
    return Outcome(error=f"{error.filename} can't be read ({error.strerror}). Check the path.")
