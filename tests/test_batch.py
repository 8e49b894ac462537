"""Many clips from a table: what is read, what is made, what is left alone, and going on again."""

from __future__ import annotations

import argparse
import errno
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from talking_face.arguments import FAILED, INTERRUPTED, OK, PARTLY
from talking_face.batch import command, engine, ledger
from talking_face.batch.engine import AHEAD, Crew
from talking_face.batch.job import Job, Outcome, job_of
from talking_face.batch.ledger import Ledger
from talking_face.batch.table import read_rows
from talking_face.clips.video import read_frames
from talking_face.errors import JobsUnreadable, OutputUnwritable
from talking_face.motion import Motion

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def table(tmp_path: Path, portrait: Path, short_speech: Path) -> Callable[..., Path]:
    """Writes a table beside copies of a photo and a sound, called photo.jpg and sound.wav."""
    (tmp_path / "photo.jpg").write_bytes(portrait.read_bytes())
    (tmp_path / "sound.wav").write_bytes(short_speech.read_bytes())

    def write(text: str, name: str = "jobs.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return write


def assert_alike(one: Path, other: Path) -> None:
    """Whether two clips show the same; the invisible mark tells them apart."""
    pictures = [np.stack(list(read_frames(path))).astype(int) for path in (one, other)]
    assert np.abs(pictures[0] - pictures[1]).mean() < 4


def lines(folder: Path) -> dict[str, dict[str, Any]]:
    read = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len({line["name"] for line in read}) == len(read)
    return {line["name"]: line for line in read}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_spreadsheets_and_json_lines_say_the_same(
    table: Callable[..., Path], encoding: str
) -> None:
    cells = "photo;Sound;name;pose-strength;gaze;poster;background;text\n\n"
    cells += "photo.jpg;sound.wav;one;0.5;-3 2;yes;#aabbcc;\n"
    cells += 'photo.jpg;;two;;;no;photo.jpg;"Yes; no."\n'
    rows = [
        {"photo": "photo.jpg", "sound": "sound.wav", "name": "one", "pose_strength": 0.5,
         "gaze": [-3, 2], "poster": True, "background": "#aabbcc"},
        {"photo": "photo.jpg", "name": "two", "text": "Yes; no.", "background": "photo.jpg"},
    ]  # fmt: skip
    text = "\n".join(map(json.dumps, rows))
    first = read_rows(table(cells, encoding=encoding))
    second = read_rows(table(text, "jobs.jsonl"))
    assert [row.options for row in first] == [row.options for row in second]
    assert [row.number for row in first] == [3, 4]
    one, two = (row.options for row in first)
    assert one is not None
    assert two is not None
    assert (one.pose_strength, one.gaze, one.poster, one.samples) == (0.5, [-3.0, 2.0], True, 4)
    assert one.photo == table("").parent / "photo.jpg"
    assert (two.text, two.background) == ("Yes; no.", str(one.photo))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("photo,sonud\na,b\n", "column"),
        ("photo,sound\na\n", "Line 2 .* 1 cells for 2"),
        ('{"photo": "a"}\n{"photo": \n', "Line 2 .* not JSON"),
        ("photo,sound,samples,Photo\na,b,2,c\n", 'two columns for "photo"'),
        ("photo,sound,audio\na,b,\n", 'two columns for "audio"'),
        ("photo,sound\n", "no jobs"),
        ("", "no jobs"),
    ],
)
def test_what_is_no_table_is_told(table: Callable[..., Path], text: str, complaint: str) -> None:
    with pytest.raises(JobsUnreadable, match=complaint):
        read_rows(table(text))


def test_a_text_may_hold_what_parts_lines_elsewhere(table: Callable[..., Path]) -> None:
    said = "One.\u2028Two.\x85Three.\x0bFour."
    row = {"photo": "photo.jpg", "text": said}
    for written in (
        table(json.dumps(row, ensure_ascii=False), "jobs.jsonl"),
        table(f"photo,text\r\nphoto.jpg,{said}\r\n"),
    ):
        (read,) = read_rows(written)
        assert read.options is not None
        assert read.options.text == said


def test_each_row_that_can_not_be_is_told_and_the_others_are_read(
    table: Callable[..., Path],
) -> None:
    rows = read_rows(
        table(
            "photo,sound,name,samples,poster\n"
            "photo.jpg,sound.wav,good,2,\n"
            "photo.jpg,sound.wav,../up,,\n"
            "photo.jpg,sound.wav,twice,,\n"
            "photo.jpg,sound.wav,Twice,,\n"
            "photo.jpg,gone.wav,gone,,\n"
            "photo.jpg,sound.wav,many,lots,\n"
            "photo.jpg,sound.wav,picture,,perhaps\n"
            "photo.jpg,,silent,,\n"
        )
    )
    told = {row.name: row.error for row in rows}
    assert told.pop("good") is None
    words = [
        "can't be a folder",
        "called",
        "called",
        "no file",
        "invalid int",
        "yes or no",
        "AUDIO",
    ]
    for (name, error), word in zip(told.items(), words, strict=True):
        assert error is not None, name
        assert word in error


def test_a_batch_makes_what_single_runs_make_and_goes_on_where_it_was(
    table: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    text = "photo,sound,name,samples,size,seed\n"
    text += "photo.jpg,sound.wav,a,1,64,3\nphoto.jpg,jobs.csv,bad,1,64,3\n"
    out = tmp_path / "out"
    batch = ("batch", table(text), "-o", out, "--workers", 1)
    code, printed, complaints = run(*batch)
    assert (code, printed) == (PARTLY, [str(out / "a")])
    assert "bad" in complaints
    made = lines(out)
    assert made["bad"]["error"].startswith("jobs.csv can't be read as a sound")
    assert not (out / "bad").exists()

    single = tmp_path / "single"
    assert run(tmp_path / "photo.jpg", tmp_path / "sound.wav", "-o", single,
               *"--samples 1 --size 64 --seed 3".split())[0] == OK  # fmt: skip
    for entry in made["a"]["made"]:
        path = out / entry["file"]
        assert path.stat().st_size == entry["bytes"]
        signed = entry["manifest"] or ""
        assert signed.startswith("urn:") == (path.suffix == ".mp4")
        if path.suffix == ".npz":
            assert Motion.load(path) == Motion.load(single / path.name)
        else:
            assert_alike(path, single / path.name)
    assert {entry["file"] for entry in made["a"]["made"]} == {
        "a/sample-1_seed-3.mp4", "a/sample-1_seed-3.npz"
    }  # fmt: skip

    # Nothing is made again, and a run that was killed before it wrote the line is found out.
    stamp = (out / "a").stat().st_mtime_ns
    (out / "results.jsonl").write_text('{"name": "a", "li')
    (out / ("." + 32 * "0")).mkdir()
    text = text.replace("photo.jpg,jobs.csv,bad,1,64,3\n", "")
    assert run("batch", table("\n" + text), "-o", out, "--workers", 1)[:2] == (OK, [])
    assert (out / "a").stat().st_mtime_ns == stamp
    assert lines(out) == {"a": made["a"] | {"line": 3}}

    # What somebody has put there is never replaced.
    (out / "a" / "notes.txt").write_text("mine")
    code, _, complaints = run("batch", table(text.replace(",3\n", ",4\n")), "-o", out)
    assert code == FAILED
    assert "isn't as a batch wrote it" in lines(out)["a"]["error"]
    assert (out / "a" / "notes.txt").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("heeding_ctrl_c")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_batch_goes_on_where_it_was(
    table: Callable[..., Path], run: Run, tmp_path: Path, workers: int
) -> None:
    if workers > 1:
        pytest.importorskip("ray", reason="ray isn't installed (pip install ray)")
    names = [f"clip-{number}" for number in range(30)]
    rows = [f"photo.jpg,sound.wav,{name},1,64,3\n" for name in names]
    made_of = table("photo,sound,name,samples,size,seed\n" + "".join(rows))
    out = tmp_path / "out"
    batch = ["batch", str(made_of), "-o", str(out), "--workers", str(workers)]
    with subprocess.Popen(
        [sys.executable, "-m", "talking_face", *batch], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        first = Path(process.stdout.readline().strip()).name
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    done = {name: line for name, line in lines(out).items() if not line["error"]}
    assert first in done
    assert len(done) < len(names)
    assert {path.name for path in out.iterdir() if path.is_dir()} == done.keys()

    stamps = {name: (out / name).stat().st_mtime_ns for name in done}
    made_of.write_text(made_of.read_text().splitlines()[0] + "\n" + "".join(rows[:6]))
    assert run(*batch[:-1], 1)[0] == OK
    assert stamps == {name: (out / name).stat().st_mtime_ns for name in done}
    assert lines(out).keys() >= set(names[:6])
    assert all(line["error"] is None for line in lines(out).values())


def test_a_dry_run_lists_all_faults_and_makes_nothing(
    table: Callable[..., Path], run: Run, tmp_path: Path
) -> None:
    wall = tmp_path / "wall.png"
    from PIL import Image

    Image.new("RGB", (200, 200), "white").save(wall)
    text = (
        "photo,sound,samples,seed\nphoto.jpg,sound.wav,,\nwall.png,sound.wav,,\n"
        "wall.png,sound.wav,,1\nphoto.jpg,wall.png,,\nphoto.jpg,sound.wav,7,\nx.jpg,sound.wav,,\n"
    )
    out = tmp_path / "out"
    code, printed, _ = run("batch", table(text), "-o", out, "--dry-run", "--workers", 1)
    assert code == PARTLY
    assert [line.partition(",")[0] for line in printed[:-1]] == [
        "line 3", "line 4", "line 5", "line 6", "line 7"
    ]  # fmt: skip
    assert printed[-1] == "1 of 6 jobs can be done."
    assert "No face" in printed[0]
    assert str(wall) not in printed[0].replace(str(wall), "")
    assert not out.exists()


def jobs_of(table: Path) -> list[Job]:
    return [job_of(row, {}) for row in read_rows(table)]


def test_a_job_that_fails_unexpectedly_takes_no_other_with_it(
    table: Callable[..., Path],
) -> None:
    jobs = jobs_of(table("photo,sound,seed\nphoto.jpg,sound.wav,0\nphoto.jpg,sound.wav,1\n"))

    def work(job: Job, *_: object) -> Outcome:
        if job is jobs[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        return Outcome(seconds=1)

    (_, one), (_, other) = engine.one_by_one(work, jobs)
    assert "No space left" in str(one.error)
    assert other == Outcome(seconds=1)


def test_a_dry_run_of_many_different_jobs_looks_at_each_once(
    table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Job] = []
    real = command._material
    rows = "".join(f"photo.jpg,sound.wav,{n / 100}\n" for n in range(50))
    path = table(f"photo,sound,smile\n{rows}")
    monkeypatch.setattr(command, "_material", lambda job: looked.append(job) or real(job))
    refused = Outcome(error="no")
    monkeypatch.setattr(command, "_worked", lambda *given: ((job, refused) for job in given[2]))
    options = argparse.Namespace(jobs=path, output=tmp_path, dry_run=True, workers=1, address=None)
    assert command.run(options) == PARTLY
    assert len(looked) <= 100


def test_a_full_disk_ends_the_run_and_leaves_nothing_half(
    table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (wanted,) = jobs_of(table("photo,sound,name\nphoto.jpg,sound.wav,a\n"))
    book = Ledger(tmp_path / "out")
    with pytest.raises(OutputUnwritable, match="Another batch"):
        Ledger(tmp_path / "out")
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.name == "second":
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    outcome = Outcome({"first": b"1", "second": b"22"})
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputUnwritable, match="goes on where it was"):
        book.keep(wanted, outcome)
    assert {path.name for path in book.folder.iterdir()} <= {ledger.LOCK, ledger.RESULTS}
    monkeypatch.undo()
    assert book.begin([wanted]) == [wanted]
    book.keep(wanted, outcome)
    assert book.begin([wanted]) == []
    (book.folder / "a" / "second").write_bytes(b"2")  # damaged
    assert book.begin([wanted]) == [wanted]
    book.close()


class Later:
    """A reference to what is worked out when it is asked for."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.value = cache(work)


class Here:
    """A cluster of two workers, in this process; the latest job is finished first."""

    workers = 2

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.most = 0

    def put(self, value: Any) -> Later:
        return Later(lambda: value)

    def remote(self, work: Any) -> Any:
        def later(*given: Any) -> Later:
            self.calls[work.__name__] += 1
            return Later(lambda: work(*map(self.get, given)))

        return SimpleNamespace(remote=later)

    def get(self, value: Any) -> Any:
        return value.value() if isinstance(value, Later) else value

    def finished(self, references: list[Later], seconds: float) -> list[Later]:
        assert seconds > 0
        self.most = max(self.most, len(references))
        return references[-1:]


def test_what_jobs_share_is_fitted_once_and_few_are_under_way(
    table: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"photo.jpg,sound.wav,j{index},{index}\n" for index in range(9)]
    jobs = jobs_of(table("photo,sound,name,seed\n" + "".join(names) + "photo.jpg,jobs.csv,x,0\n"))
    seen = []

    def fit(photo: bytes, index: int) -> Any:
        return "face", len(photo), index

    def hear(_: Job, *inputs: bytes) -> Any:
        return "speech", *map(len, inputs)

    def make(wanted: Job, face: Any, speech: Any, *inputs: bytes) -> Outcome:
        seen.append((wanted.name, face, speech, tuple(len(content) for content in inputs)))
        return Outcome()

    monkeypatch.setattr(engine, "fit", fit)
    monkeypatch.setattr(engine, "hear", hear)
    cluster: Any = Here()
    outcomes = list(Crew(cluster).spread(make, jobs))
    assert {wanted.name for wanted, _ in outcomes} == {wanted.name for wanted in jobs}
    assert cluster.calls == {"fit": 1, "hear": 1, "make": 10}
    assert cluster.most == AHEAD * cluster.workers
    photo = jobs[0].inputs["photo"].stat().st_size
    for name, face, speech, inputs in seen:
        assert face == ("face", photo, 0)
        assert inputs[1] == photo
        assert speech == (None if name == "x" else ("speech", *inputs))


def test_options_that_decide_nothing_make_no_other_job(table: Callable[..., Path]) -> None:
    jobs = jobs_of(
        table(
            "photo,sound,name,samples,seed\nphoto.jpg,sound.wav,a,,\nphoto.jpg,sound.wav,b,4,0\n"
            "photo.jpg,sound.wav,c,4,1\n"
        )
    )
    assert jobs[0].digest == jobs[1].digest != jobs[2].digest
