"""What this process and all that it started use of the machine: work and memory.

Reads Linux' /proc; elsewhere nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def work() -> float:
    """Seconds that cores have worked for this process, for what it started, and what ended."""
    ticks = 0
    for folder in _family():
        try:
            fields = _after_name(folder)
        except OSError:  # ended meanwhile; its parent has its time
            continue
        ticks += sum(map(int, fields[11:15]))  # in programs and for them, its own and of the ended
    return ticks / _TICKS


def memory() -> dict[str, float]:
    """MiB by who holds them: this process and its helpers, Ray's workers, its services, its store.

    Pages of the store count for it alone: as many as the process has read that read most.
    """
    held = {"here": 0.0, "workers": 0.0, "services": 0.0, "store": 0.0}
    for folder in _family():
        try:
            name = (folder / "cmdline").read_bytes()
            lines = (folder / "status").read_text().splitlines()
        except OSError:
            continue
        sizes = dict(line.split(":", 1) for line in lines if line.startswith("Rss"))
        if not sizes:  # ended, and nobody asked how
            continue
        own, mapped = (int(sizes[key].split()[0]) / 1024 for key in ("RssAnon", "RssShmem"))
        if folder.name == str(os.getpid()) or b"talking_face.processes" in name:
            held["here"] += own
        else:
            worker = name.startswith(b"ray::") and b"Agent" not in name
            held["workers" if worker else "services"] += own
        held["store"] = max(held["store"], mapped)  # the same pages in each
    return held


def _family() -> Iterator[Path]:
    """The folders of this process and of its descendants in /proc."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # ended meanwhile
            children.setdefault(int(_after_name(folder)[1]), []).append(int(folder.name))
    found = [os.getpid()]
    for process in found:
        found.extend(children.get(process, []))
        yield Path("/proc", str(process))


def _after_name(folder: Path) -> list[str]:
    """The fields of a process's line from its state on; its name may hold anything."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
