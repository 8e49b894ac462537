"""Workers for jobs: this process, or those of Ray, on this machine or on a cluster.

Knows who works on what, what several jobs share, and what to do when a worker dies; knows nothing
of what a job is about. With Ray, what jobs share lies once in its object store while any of them
needs it, and no more than `AHEAD` jobs a worker are under way, however many there are.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Sequence
from pathlib import Path
from typing import Any

import talking_face
from talking_face.batch.job import Job, Outcome, fit, hear
from talking_face.cores import available
from talking_face.errors import WorkersMissing

Outcomes = Generator[tuple[Job, Outcome], None, None]
Work = Callable[..., Outcome]  # (job, face, speech, *inputs)
AHEAD = 2  # jobs a worker that are handed over before they are finished
RETRIES = 3  # of a job whose worker or machine died
# A worker is one thread of one core; there are as many of them as cores.
_ENVIRONMENT = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}

logger = logging.getLogger(__name__)


def ray_is_here() -> bool:
    """Whether the package ray is installed."""
    return importlib.util.find_spec("ray") is not None


def one_by_one(work: Work, jobs: Sequence[Job]) -> Outcomes:
    """Each job's outcome; worked on here, one after another."""
    for job in jobs:
        try:
            inputs = [job.inputs[name].read_bytes() for name in sorted(job.inputs)]
        except OSError as error:
            yield job, _gone(error)
            continue
        yield job, work(job, None, None, *inputs)


class Crew:
    """Ray's workers.

    Args:
        address: of a cluster that is running ("auto" finds one on this machine); None starts one
            here, for as long as the crew is used.
        workers: how many, where it starts one; None takes a worker a core.

    Raises:
        WorkersMissing: nothing answers at that address, or it has another version of this package.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        import ray

        self._ray: Any = ray
        environment = dict(_ENVIRONMENT)
        if address is None:  # a checkout isn't installed
            here = str(Path(talking_face.__file__).parents[1])
            environment["PYTHONPATH"] = os.pathsep.join([here, *_search_path()])
        try:
            ray.init(
                address=address or "local",
                num_cpus=None if address else workers or available(),
                include_dashboard=None if address else False,
                runtime_env={"env_vars": environment},
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            logger.debug("ray: %s", error)
            raise WorkersMissing(
                f"No Ray cluster answers at {address}. Start one there, or leave --address out."
            ) from error
        remote: Any = ray.remote(num_cpus=1, max_retries=RETRIES)
        self._fit, self._hear = remote(fit), remote(hear)
        self._remote = remote
        version = ray.get(remote(_version).remote())
        if version != talking_face.__version__:
            self.close()
            raise WorkersMissing(
                f"The workers have version {version} of talking_face, and this is "
                f"{talking_face.__version__}. Install the same on both."
            )

    def close(self) -> None:
        """Let the workers go; a cluster that the crew didn't start stays."""
        self._ray.shutdown()

    @property
    def workers(self) -> int:
        """How many there are right now."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def spread(self, work: Work, jobs: Sequence[Job]) -> Outcomes:
        """Each job's outcome, as they are finished; what is under way ends with the iterator."""
        shared = Counter(key for job in jobs for key in _keys(job))
        remote = self._remote(work)
        kept: dict[Hashable, Any] = {}
        coming: dict[Any, Job] = {}
        waiting = deque(jobs)
        try:
            while waiting or coming:
                while waiting and len(coming) < AHEAD * self.workers:
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
                ready, _ = self._ray.wait(list(coming), timeout=1.0)
                for done in ready:
                    yield coming.pop(done), self._outcome(done)
        finally:
            for reference in coming:
                self._ray.cancel(reference, force=True)

    def _known(self, job: Job, kept: dict[Hashable, Any], shared: Counter[Hashable]) -> list[Any]:
        """Face, speech and inputs of a job: themselves, or where they lie in the object store."""

        def blob(name: str) -> Any:
            key = "input", job.digests[name]
            if key not in kept:
                kept[key] = self._ray.put(job.inputs[name].read_bytes())
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
        from ray.exceptions import RayError

        try:
            outcome: Outcome = self._ray.get(reference)
        except RayError as error:
            logger.debug("a worker failed: %s", error)
            cause = type(getattr(error, "cause", None) or error).__name__
            return Outcome(error=f"The worker failed ({cause}). Run the batch again.", again=True)
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


def _search_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _version() -> str:
    return talking_face.__version__
