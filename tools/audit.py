"""What is installed, against the lock files, and against known weaknesses: `make audit`.

Prints each package with the version that is locked and the one that is here, which no network is
needed for. Where pip-audit is installed (nothing here installs it), it is asked for weaknesses that
are known of the locked versions, for which it needs a network. Ends with 1 where a version differs
or a weakness is known.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

LOCKS = ("requirements.lock", "requirements-torch.lock", "requirements-dev.lock")
ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def locked() -> dict[str, set[str]]:
    """The versions that the lock files name of each package; several where Pythons differ."""
    found: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version in ENTRY.findall(Path(lock).read_text()):
            found.setdefault(name, set()).add(version)
    return found


def installed(name: str) -> str | None:
    """The version that is here, without what tells builds apart; None where it isn't."""
    try:
        return metadata.version(name).partition("+")[0]
    except metadata.PackageNotFoundError:
        return None


def main() -> int:
    differing = 0
    for name, versions in sorted(locked().items()):
        here = installed(name)
        differs = here is not None and here not in versions
        differing += differs
        told = "not installed" if here is None else f"{here} is here" if differs else ""
        print(f"{name:28} {', '.join(sorted(versions)):24} {told}".rstrip())
    print(f"\n{differing} packages differ from the lock files.")
    if importlib.util.find_spec("pip_audit") is None:
        print("pip-audit isn't installed, so nobody was asked for known weaknesses.")
        return int(differing > 0)
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += [part for lock in LOCKS for part in ("-r", lock)]
    return int(differing > 0) or subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
