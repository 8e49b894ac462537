"""Ray's workers, on test clusters of its own: the same clips, also when machines die."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_batch import assert_alike

import talking_face
from talking_face.animator import load_animator
from talking_face.batch.engine import Crew
from talking_face.batch.job import Job, Outcome, job_of, make
from talking_face.batch.table import read_rows
from talking_face.cluster import Cluster
from talking_face.errors import OptionInvalid, WorkersMissing
from talking_face.options import Look
from talking_face.remote import RemoteAnimator

pytest.importorskip("ray", reason="ray isn't installed (pip install ray)")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A cluster of a machine without workers and another one with a worker."""
    from ray.cluster_utils import Cluster as Nodes

    folders = Path(talking_face.__file__).parents[1], Path(__file__).parent
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, folders))
    made = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()
    del os.environ["PYTHONPATH"]


@pytest.fixture(scope="module")
def cluster(nodes: Any) -> Iterator[Cluster]:
    made = Cluster(nodes.address)
    yield made
    made.close()


def slowly(job: Job, face: Any, speech: Any, *inputs: bytes) -> Outcome:
    """As `make`, but there is time to die."""
    time.sleep(1.0)
    return make(job, face, speech, *inputs)


def deadly(died: Path, job: Job, face: Any, speech: Any, *inputs: bytes) -> Outcome:
    """As `make`, but the first worker to come here is killed as the system kills for memory."""
    try:
        died.touch(exist_ok=False)
    except FileExistsError:
        return make(job, face, speech, *inputs)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still here")


def jobs_for(folder: Path, portrait: Path, sound: Path, count: int) -> list[Job]:
    rows = [
        {"photo": str(portrait), "sound": str(sound), "samples": 1, "size": 64, "seed": seed}
        for seed in range(count)
    ]
    table = folder / "jobs.jsonl"
    table.write_text("\n".join(map(json.dumps, rows)))
    return [job_of(row, {}) for row in read_rows(table)]


def test_a_worker_that_is_killed_takes_no_job_with_it(
    cluster: Cluster, tmp_path: Path, portrait: Path, short_speech: Path
) -> None:
    died, jobs = tmp_path / "died", jobs_for(tmp_path, portrait, short_speech, 3)

    def work(*given: Any) -> Outcome:
        return deadly(died, *given)

    outcomes = list(Crew(cluster).spread(work, jobs))
    assert died.exists()
    assert sorted(job.name for job, _ in outcomes) == sorted(job.name for job in jobs)
    assert [outcome.error for _, outcome in outcomes] == [None] * len(jobs)
    assert all(outcome.files for _, outcome in outcomes)


def test_a_machine_that_dies_takes_no_job_with_it(
    nodes: Any, cluster: Cluster, tmp_path: Path, portrait: Path, short_speech: Path
) -> None:
    jobs = jobs_for(tmp_path, portrait, short_speech, 5)
    dying = nodes.list_all_nodes()[-1]
    outcomes: dict[str, Outcome] = {}
    for job, outcome in Crew(cluster).spread(slowly, jobs):
        outcomes[job.name] = outcome
        if len(outcomes) == 1:  # others are under way, and their inputs lie there
            nodes.remove_node(dying, allow_graceful=False)
            nodes.add_node(num_cpus=1)
    assert {name: outcome.error for name, outcome in outcomes.items()} == {
        job.name: None for job in jobs
    }
    here = make(
        jobs[-1], None, None, *(jobs[-1].inputs[n].read_bytes() for n in ("audio", "photo"))
    )
    there = outcomes[jobs[-1].name].files
    assert here.files.keys() == there.keys()
    (name,) = (name for name in there if name.endswith(".npz"))
    assert there[name] == here.files[name]


def test_the_page_s_clips_are_made_there_alike_and_can_be_stopped(
    cluster: Cluster, tmp_path: Path, portrait: Path, short_speech: Path
) -> None:
    here, there = load_animator(), RemoteAnimator(load_animator().models, cluster)
    told: list[float] = []
    paths: list[Path] = []
    for animator, report in ((here, None), (there, lambda fraction, _: told.append(fraction))):
        face, speech = animator.fit(portrait), animator.listen(short_speech)
        motion = animator.sample(speech, 1)[0]
        path = tmp_path / f"{type(animator).__name__}.mp4"
        paths.append(
            animator.render_motion(face, motion, path, speech, Look(size=64), progress=report)
        )
    assert_alike(*paths)
    assert told == sorted(told)
    assert told[-1] == 1.0

    class Enough(Exception):
        pass

    def stop(*_: object) -> None:
        raise Enough

    with pytest.raises(Enough):
        there.render_motion(face, motion, tmp_path / "stopped.mp4", speech, progress=stop)
    assert not list(tmp_path.glob("stopped*"))
    with pytest.raises(OptionInvalid, match="face"):
        there.fit(portrait, "none")  # type: ignore[arg-type]


def test_nobody_at_an_address_is_told() -> None:
    failed: list[Exception] = []

    def connect() -> None:
        try:
            Cluster("127.0.0.1:1")
        except WorkersMissing as error:
            failed.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join(60)
    assert len(failed) == 1
    assert "127.0.0.1:1" in str(failed[0])
