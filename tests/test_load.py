"""Many at once and many in a row, on a page in a process of its own: `make load`.

They measure time and memory, so nothing else may run beside them.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from visitor import Visitor

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
SOUND = ASSETS / "recordings" / "grid.wav"  # of three seconds
ORDERS = 200
SETTLED = 20  # orders after which everything has been loaded
GROWTH = 100 * 2**20  # bytes at most, after that
MEMORY = 2.5 * 2**30  # bytes at most
SLOWER = 1.15  # times: ten at once against ten in a row
NEAR = 0.2  # seconds: of two orders that come closer together, either may be first

pytestmark = [
    pytest.mark.load,
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="measures by Linux's /proc"),
]


@dataclass
class Server:
    """A page in a process of its own.

    Attributes:
        address: of the page.
        process: its number.
        results: where it keeps uploads and results.
        scratch: its folder for temporary files.
    """

    address: str
    process: int
    results: Path
    scratch: Path

    def bytes(self, name: str = "VmRSS") -> int:
        """Memory that it and its helpers hold; "VmHWM" is the most that each ever held."""
        return sum(held(process, name) for process in [self.process, *self.helpers()])

    def helpers(self) -> list[int]:
        """The processes that render beside it, for as long as it runs."""
        return [
            child
            for child in map(int, self.children().split())
            if b"talking_face.processes" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def threads(self) -> int:
        return len(list(Path(f"/proc/{self.process}/task").iterdir()))

    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process}/fd").iterdir()))

    def children(self) -> str:
        tasks = Path(f"/proc/{self.process}/task").iterdir()
        return "".join((task / "children").read_text() for task in tasks)


def held(process: int, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    results, scratch = tmp_path / "results", tmp_path / "scratch"
    scratch.mkdir()
    port = 7960 + os.getpid() % 30
    script = (
        "import app\n"
        "app.start_loading()\n"
        "options = app.launch_options() | {'inbrowser': False, 'quiet': True}\n"
        f"app.demo.launch(**options, server_name='127.0.0.1', server_port={port})\n"
    )
    told = (tmp_path / "told.txt").open("w+")
    places = {"GRADIO_TEMP_DIR": str(results), "TMPDIR": str(scratch)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ | places, stdout=told, stderr=told
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert process.poll() is None, (tmp_path / "told.txt").read_text()
            try:
                if httpx.get(f"{address}/config").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield Server(address, process.pid, results, scratch)
        told.seek(0)
        assert "Traceback" not in told.read()
    finally:
        process.kill()
        process.wait()
        told.close()


def visitor(server: Server, number: int, size: int, samples: int, sound: Path = SOUND) -> Visitor:
    """Somebody with a photo and a recording."""
    portraits = sorted((ASSETS / "portraits").glob("*.jpg"))
    somebody = Visitor(server.address)
    somebody.put("photo", portraits[number % len(portraits)])
    somebody.put("audio", sound)
    for name, value in (("size", size), ("samples", samples), ("seed", number)):
        somebody.set(name, value)
    return somebody


def test_ten_at_once_take_no_longer_than_ten_in_a_row(server: Server) -> None:
    visitor(server, 0, 128, 1).generate()  # everything is loaded

    def order(somebody: Visitor) -> tuple[float, float]:
        assert "Done" in somebody.generate()
        return somebody.ordered, time.monotonic()

    began = time.monotonic()
    for number in range(10):
        order(visitor(server, number, 256, 2))
    in_a_row = time.monotonic() - began

    everybody = [visitor(server, 100 + number, 256, 2) for number in range(10)]
    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        times = sorted(pool.map(order, everybody))
    at_once = time.monotonic() - began
    print(f"ten in a row {in_a_row:.1f} s, at once {at_once:.1f} s")
    assert at_once < SLOWER * in_a_row
    if (os.cpu_count() or 1) < 8:  # one order after the other
        for index, (ordered, done) in enumerate(times):
            assert all(
                done < other_done
                for other, other_done in times[index + 1 :]
                if other > ordered + NEAR
            )
    print(f"at most {server.bytes('VmHWM') / 2**30:.2f} GiB")
    assert server.bytes("VmHWM") < MEMORY


def test_nothing_is_left_of_two_hundred_orders(
    server: Server, tmp_path: Path, short_speech: Path
) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"This is no sound.\n" * 100)
    somebody = visitor(server, 0, 96, 1, short_speech)
    somebody.generate()
    before = None
    finished = 1
    for number in range(1, ORDERS):
        somebody.set("seed", number)
        if number % 10 == 3:  # cancelled on the way
            answers = somebody.generating()
            next(answers)
            somebody.cancel()
            answers.close()
        elif number % 10 == 6:  # wrong, and told so
            somebody.set("size", 7)
            with pytest.raises(ValueError, match="size"):
                somebody.generate()
            somebody.set("size", 96)
        elif number % 10 == 8:  # the page is closed in the middle, and opened again
            answers = somebody.generating()
            next(answers)
            somebody.leave()
            answers.close()
            somebody = visitor(server, number, 96, 1, short_speech)
        else:
            assert "Done" in somebody.generate()
            finished += 1
        if number == SETTLED:
            before = server.bytes(), server.threads(), server.open_files()
            helpers = sorted(server.helpers())
    somebody.leave()
    time.sleep(2)
    assert before is not None
    after = server.bytes(), server.threads(), server.open_files()
    grown = (after[0] - before[0]) / 2**20
    print(f"memory {grown:+.0f} MiB, threads and files {before[1:]}, then {after[1:]}")
    assert after[0] < before[0] + GROWTH
    assert after[1] <= before[1] + 2
    assert after[2] <= before[2] + 5
    assert sorted(map(int, server.children().split())) == helpers
    clips = list(server.results.rglob("*.mp4"))
    assert finished <= len(clips) <= ORDERS  # some that were to be cancelled were done before
    kinds = {path.suffix for path in server.results.rglob("*") if path.is_file()}
    assert kinds <= {".mp4", ".npz", ".jpg", ".wav", ".m4a", ".mp3", ".ogg", ".webp", ".png"}
    assert not [path for path in server.scratch.rglob("*") if path.is_file()]
