"""What can be written behind `python -m talking_face batch`: names, defaults, help."""

from __future__ import annotations

import argparse
from pathlib import Path

from talking_face.arguments import add_output, add_verbosity, program

EXAMPLES = """\
examples:
  a table with the columns photo, sound, name and samples; try it, then do it
      %(prog)s course.csv --dry-run
      %(prog)s course.csv -o clips
  the same on a cluster that is running
      %(prog)s course.csv -o clips --address ray://head:10001

Run it again to go on where it was: what is done isn't made twice. Exit code: 0 all done, 1 some
jobs failed, 2 nothing could be done, 130 interrupted.
"""


def build_parser() -> argparse.ArgumentParser:
    """The options of a batch; those of its jobs stand in the table."""
    parser = argparse.ArgumentParser(
        prog=f"{program()} batch",
        description="Makes the clips of a table: CSV or JSON lines, a job a row. Columns: photo, "
        "sound or text, name, and any option of a single run.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("jobs", metavar="JOBS", type=Path, help="the table")
    add_output(parser, "gets a folder for each job, and results.jsonl")
    parser.add_argument(
        "--dry-run", action="store_true", help="check every row, list all faults, make nothing"
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="how many jobs at a time on this machine (default: a core each)",
    )
    parser.add_argument(
        "--address", metavar="ADDRESS", help="of a running Ray cluster that does the work"
    )
    add_verbosity(parser)
    return parser
