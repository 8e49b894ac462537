"""Write requirements*.lock anew: `make lock`, or `python tools/lock.py [FOLDER_OF_WHEELS]`.

uv finds the newest versions that the requirements admit, for all systems and Pythons of
pyproject.toml at once, and the hashes of all their files. PyTorch comes in two files of its own:
the index's build, on Linux with CUDA and its libraries, and the build without, of which the index
has none: the wheels in FOLDER_OF_WHEELS, and those that the file has already, while the version
stays. What only the tools need is in the fourth file.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

TORCH = ("torch==", "cuda-", "nvidia-", "triton==")  # how it and what CUDA needs begin
HEADER = "# Made by `make lock`: versions and hashes of {what}.\n"
COMPILE = (
    "uv pip compile --universal --python-version 3.10 --upgrade --generate-hashes --no-header "
    "--no-annotate --no-emit-index-url --no-emit-find-links --quiet"
).split()
ALWAYS = "python_full_version < '3.13'"
EVERYWHERE = (  # what uv says of a package that all these systems need
    "((platform_machine == 'arm64' and sys_platform == 'darwin') or (platform_machine == 'x86_64' "
    "and sys_platform == 'linux') or (platform_machine == 'AMD64' and sys_platform == 'win32'))"
)
ENTRY = re.compile(r"^[a-z0-9].*(?:\n    --hash=.*)*", re.MULTILINE)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def compiled(*arguments: str) -> list[str]:
    """The entries of a lock file, each with its hashes.

    They lose the conditions that hold everywhere: on a system that isn't meant, pip is to say that
    it finds no file of a package, and not to leave all packages out.
    """
    command = [Path(sys.executable).with_name("uv"), *COMPILE[1:], *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    text = done.stdout
    for condition in (EVERYWHERE, ALWAYS):
        for part in (f"{condition} and ", f" and {condition}", f" ; {condition}"):
            text = text.replace(part, "")
    return ENTRY.findall(text)


def cpu_build(version: str, wheels: str | None, lock: Path) -> str:
    """The entry for PyTorch without CUDA; ends the program where no file of it is known."""
    name = f"torch=={version}+cpu"
    hashes = set()
    for entry in ENTRY.findall(lock.read_text() if lock.exists() else ""):
        if entry.startswith(f"{name} "):
            hashes.update(HASH.findall(entry))
    if wheels:
        for path in Path(wheels).glob(f"torch-{version}+cpu-*.whl"):
            hashes.add(f"--hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    if not hashes:
        sys.exit(f"No wheel of {name} is known. Say where there are some: make lock WHEELS=folder")
    return " \\\n    ".join([name, *sorted(hashes)])


def write(path: Path, what: str, entries: list[str]) -> None:
    path.write_text("\n".join([HEADER.format(what=what), *entries, ""]))


def main() -> None:
    """Write the four files into the current folder."""
    names = ("", "-torch", "-torch-cpu", "-dev")
    lock, torch, cpu, dev = (Path(f"requirements{name}.lock") for name in names)
    entries = compiled("requirements.txt")
    (version,) = (found[1] for entry in entries if (found := re.match(r"torch==(\S+)", entry)))
    without = cpu_build(version, sys.argv[1] if len(sys.argv) > 1 else None, cpu)
    write(cpu, "PyTorch without CUDA", [without])
    write(torch, "PyTorch and its libraries", [e for e in entries if e.startswith(TORCH)])
    rest = [entry for entry in entries if not entry.startswith(TORCH)]
    write(lock, "what requirements.txt needs besides PyTorch", rest)
    tools = compiled("requirements-dev.txt", "--constraints", str(lock))
    more = [entry for entry in tools if entry not in rest]
    write(dev, "what requirements-dev.txt needs beyond that", more)


if __name__ == "__main__":
    main()
