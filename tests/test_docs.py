"""What the documents say: their examples run, and whatever they name is there."""

import argparse
import importlib
import importlib.util
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from talking_face import checking
from talking_face.arguments import build_parser, parse
from talking_face.batch.arguments import build_parser as build_batch_parser

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "talking_face"
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "weights/README.md",
    ROOT / "deploy/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
ADDRESS = "http://127.0.0.1:7860"
FOREIGN = {"--extra-index-url", "--nproc-per-node"}  # options of pip and torchrun
IGNORED = {".venv", ".venv/bin/python", "weights/insightface/"}  # not in the repository
KINDS = (".py", ".md", ".txt", ".toml", ".css", ".js")  # of our own files; others are a user's
NAMES = [str(document.relative_to(ROOT)) for document in DOCUMENTS]


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def python_blocks() -> Iterator[Any]:
    for name in NAMES:
        found = re.findall(r"^```python\n(.*?)^```", text_of(name), re.DOTALL | re.MULTILINE)
        for number, block in enumerate(found, 1):
            yield pytest.param(block, id=f"{name}-{number}")


def without_blocks(text: str) -> str:
    """Prose and tables."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def codes(name: str) -> list[str]:
    """What stands in backticks."""
    found = re.findall(r"`([^`]+)`", without_blocks(text_of(name)))
    return [" ".join(code.split()) for code in found]


def shell_lines(name: str) -> list[str]:
    """Commands in blocks and in backticks, each in one line."""
    text = text_of(name).replace("\\\n", " ")
    fenced = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    indented = re.findall(r"^    (\S.*)$", rest, re.MULTILINE)
    return [*"\n".join(fenced).splitlines(), *indented, *codes(name)]


def commands() -> Iterator[Any]:
    """(module, arguments) of every `python -m`."""
    for name in NAMES:
        for line in shell_lines(name):
            words = shlex.split(line, comments=True) if line.startswith("python -m ") else []
            if len(words) > 2:
                yield pytest.param(words[2], words[3:], id=f"{name}: {line[10:60]}")


# -- examples -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("block", list(python_blocks()))
def test_python_examples_run(
    block: str,
    request: pytest.FixtureRequest,
    portrait: Path,
    short_speech: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if ADDRESS in block:
        block = block.replace(ADDRESS, request.getfixturevalue("page"))
    shutil.copy(portrait, tmp_path / "photo.jpg")
    shutil.copy(short_speech, tmp_path / "speech.wav")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("talking_face.picture.plate.CROP_SIZE", 128)  # unless an example says it
    exec(compile(block, "example", "exec"), {})
    printed = capsys.readouterr().out
    assert bool(printed) == ("print(" in block)
    if "/generate" in block or "call_tool" in block:
        assert ".mp4" in printed
    if made := re.search(r'samples=(\d).*output="(\w+)"', block):
        assert len(list(Path(made[2]).glob("*.mp4"))) == int(made[1])
        assert printed.count(".mp4") == int(made[1])
    for named in re.findall(r'"([\w-]+\.(?:mp4|npz))"', block):
        assert Path(named).stat().st_size > 0


class Parsed(Exception):
    """The arguments were fine; nothing else is to be done."""


@pytest.mark.parametrize(("module", "arguments"), list(commands()))
def test_commands_are_understood(
    module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if module == "talking_face":
        if arguments[:1] == ["batch"]:
            build_batch_parser().parse_args(arguments[1:])
        elif arguments[:1] == [checking.COMMAND]:
            checking.parse(arguments[1:])
        else:
            parse(arguments)
        return
    real = argparse.ArgumentParser.parse_args

    def parse_only(parser: argparse.ArgumentParser) -> None:
        parser.allow_abbrev = False
        real(parser)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed):
        importlib.import_module(module).main()


@pytest.mark.parametrize(
    "name", ["README.md", "docs/command-line.md", "docs/training.md", "docs/figures.md"]
)
def test_there_are_commands_to_understand(name: str) -> None:
    assert any(line.startswith("python -m talking_face") for line in shell_lines(name))


# -- what is named --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_options_that_are_named_exist(name: str) -> None:
    sources = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    known = set(re.findall(r'"(--[a-z-]+)"', sources)) | FOREIGN
    known |= set(build_parser()._option_string_actions)
    named = {option for code in codes(name) for option in re.findall(r"(?<!\S)--[a-z-]+", code)}
    assert named <= known


def test_every_option_of_the_command_line_is_told() -> None:
    table = re.findall(r"^\| (`-.*?) \|", text_of("docs/command-line.md"), re.MULTILINE)
    told = re.findall(r"`(--?[a-z-]+)`", " ".join(table))
    assert len(told) == len(set(told))
    assert {*told, "-h", "--help"} == set(build_parser()._option_string_actions)


def test_every_endpoint_is_told(page: str) -> None:
    told = re.findall(r"^\| `(\w+)` \|", text_of("docs/api.md"), re.MULTILINE)
    published = Client(page, verbose=False).view_api(return_format="dict", print_info=False)
    assert sorted(f"/{name}" for name in told) == sorted(published["named_endpoints"])


def is_there(path: str, name: str) -> bool:
    """Whether a path leads somewhere, from the root, the package, or the document's folder."""
    places = (ROOT, PACKAGE, (ROOT / name).parent)
    return any(any(place.glob(path.rstrip("/"))) for place in places)


@pytest.mark.parametrize("name", NAMES)
def test_paths_that_are_named_exist(name: str) -> None:
    ours = {path.name for path in (*ROOT.iterdir(), *PACKAGE.iterdir()) if path.is_dir()}
    paths = [
        code
        for code in codes(name)
        if re.fullmatch(r"[\w./?-]+", code) and code not in IGNORED
        if code.endswith(KINDS) or ("/" in code and code.split("/")[0] in ours)
    ]
    assert [path for path in paths if not is_there(path, name)] == []


@pytest.mark.parametrize("name", NAMES)
def test_modules_that_are_named_exist(name: str) -> None:
    words = re.findall(r"(?:python -m|-m) (talking_face[\w.]*)", text_of(name))
    words += [code for code in codes(name) if re.fullmatch(r"talking_face(\.\w+)+", code)]
    assert [word for word in words if not is_importable(word)] == []


def is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_make_exist(name: str) -> None:
    targets = set(re.findall(r"^([\w-]+):", text_of("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:^|`)\s*make ([\w-]+)", "\n".join(shell_lines(name)), re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", text_of(name)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


def test_every_guide_is_linked_from_the_readme() -> None:
    for document in DOCUMENTS[1:]:
        assert f"]({document.relative_to(ROOT)})" in text_of("README.md")


# -- how they look --------------------------------------------------------------------------------


def test_the_readme_is_for_newcomers() -> None:
    lines = text_of("README.md").splitlines()
    assert len(lines) <= 160
    assert lines[0] == "---"  # a Space reads what follows
    assert "app_file: app.py" in lines


@pytest.mark.parametrize("name", NAMES)
def test_lines_fit_a_screen(name: str) -> None:
    prose = [line for line in text_of(name).splitlines() if not line.startswith("|")]
    assert [line for line in prose if len(line) > 100] == []


@pytest.mark.parametrize("name", NAMES)
def test_no_merge_is_left_half_done(name: str) -> None:
    assert re.findall(r"^(?:<{7}|={7}|>{7})(?: .*)?$", text_of(name), re.MULTILINE) == []
