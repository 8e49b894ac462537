"""Ray's workers: on this machine, or on a cluster that is running.

Knows how to reach them and how to hand work over; knows nothing of what it is. The package ray is
optional and imported when a cluster is first asked for.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import talking_face
from talking_face.cores import available
from talking_face.errors import TalkingFaceError, WorkersMissing
from talking_face.interruption import heed

_PATIENCE = 0.5  # seconds between two looks whether a result is still wanted
RETRIES = 3  # of work whose worker or machine died
# A worker is one thread of one core; there are as many of them as cores.
ONE_CORE = {"LOKY_MAX_CPU_COUNT": "1", "OMP_NUM_THREADS": "1"}

logger = logging.getLogger(__name__)


def ray_is_here() -> bool:
    """Whether the package ray is installed."""
    return importlib.util.find_spec("ray") is not None


class Cluster:
    """Workers, one a core.

    Args:
        address: of a cluster that is running ("auto" finds one on this machine); None starts one
            here, for as long as this object is used.
        workers: how many, where it starts one; None takes a worker a core.

    Raises:
        WorkersMissing: ray isn't installed, nothing answers at that address, or the workers have
            another version of this package.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        if not ray_is_here():
            raise WorkersMissing("Several workers need the package ray: pip install ray")
        import ray

        self._ray: Any = ray
        environment = dict(ONE_CORE)
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
                f"No Ray cluster answers at {address}. Start one there, or leave the address out."
            ) from error
        version = self.get(self.remote(_version).remote())
        if version != talking_face.__version__:
            self.close()
            raise WorkersMissing(
                f"The workers have version {version} of talking_face, and this is "
                f"{talking_face.__version__}. Install the same on both."
            )

    def close(self) -> None:
        """Let the workers go; a cluster that was running before stays."""
        self._ray.shutdown()

    @property
    def workers(self) -> int:
        """How many there are right now."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def remote(self, work: Callable[..., Any]) -> Any:
        """What hands work over: `remote(work).remote(…)` gives a reference to its result."""
        return self._ray.remote(num_cpus=1, max_retries=RETRIES)(work)

    def put(self, value: Any) -> Any:
        """A reference to a value that many will need."""
        return self._ray.put(value)

    def get(self, reference: Any) -> Any:
        """What a reference stands for.

        Raises:
            TalkingFaceError: as it was raised there; WorkersMissing where the worker failed.
            Stopped: nobody wants it any more; the worker goes on.
        """
        from ray.exceptions import RayError

        try:
            while not self.finished([reference], _PATIENCE):
                heed()
            return self._ray.get(reference)
        except RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, TalkingFaceError):
                raise cause from None
            logger.debug("a worker failed: %s", error)
            name = type(cause or error).__name__
            raise WorkersMissing(f"A worker failed ({name}). Try it again.") from error

    def finished(self, references: list[Any], seconds: float) -> list[Any]:
        """Those whose results are there, or will be within so many seconds; at least one if any."""
        ready: list[Any] = self._ray.wait(references, timeout=seconds)[0]
        return ready

    def cancel(self, reference: Any) -> None:
        """Stop work, also where it is under way."""
        self._ray.cancel(reference, force=True)

    def stream(self, work: Callable[..., Iterator[Any]], *given: Any) -> Iterator[Any]:
        """What a generator yields there, as it does; closing this one stops it.

        Raises:
            As `get`.
        """
        coming = self.remote(work).options(num_returns="streaming").remote(*given)
        done = False
        try:
            for reference in coming:
                yield self.get(reference)
            done = True
        finally:
            if not done:
                self._ray.cancel(coming)


def _search_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _version() -> str:
    return talking_face.__version__
