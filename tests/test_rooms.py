"""The order of the package's rooms: what a module may import, and who may load a model."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "talking_face"
MODULES = sorted(ROOT.rglob("*.py"))
# Each room may import from itself and from those before it; rooms of one line not from each other.
ROOMS = (
    {"hall"}, {"face"}, {"sound"}, {"mapping"}, {"editing"}, {"picture"}, {"head"}, {"clips"},
    {"live"}, {"animator"},
    {"cli", "web", "training"},
)  # fmt: skip
# The rooms of modules that lie in no folder of that name.
LYING = {
    **dict.fromkeys(
        (
            "arrays errors options gate version files cache cores interruption weights ffmpeg "
            "contents curves frozen moods motion motion_space motion_files motion_table "
            "machine_code processes"
        ).split(),
        "hall",
    ),
    **dict.fromkeys(
        "__init__ models memory senses commission warm_up cluster remote exports".split(),
        "animator",
    ),
    **dict.fromkeys(
        (
            "__main__ arguments edit_arguments checking commands results bench bench_live batch"
        ).split(),
        "cli",
    ),
}
# Who loads a model, beside the `load_…` functions themselves: the edges, where models are chosen.
LOADERS = {
    "animator._animator",
    "models.Models",  # for live faces, when the first is wanted
    "training.data.affects.main",
    "training.data.augment._encoder",
    "training.data.utterances.hear",
    "training.data.prepare._encoder",
    "training.fit.critic.main",
    "training.fit.dirfa.main",
    "training.fit.encoder_positions.main",
    "training.fit.events.main",
    "training.fit.feeling.main",
    "training.fit.listeners.main",
    "training.fit.live_ear.main",
    "training.fit.shading.main",
    "training.fit.visemes.main",
    "training.measure.crosstalk.main",
    "training.measure.emotion_figures.main",
    "training.fit.skin.main",
    "training.measure.evaluate.main",
    "training.measure.mappers.baseline_mapper",
    "training.measure.mappers.dirfa_mapper",
    "training.measure.reenact.main",
    "training.measure.sheet.main",
    "training.measure.strips.main",
}


def name_of(path: Path) -> str:
    """talking_face/face/model.py -> "face.model"."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


NAMES = {name_of(path) for path in MODULES}


def room_of(module: str) -> str:
    first = module.partition(".")[0]
    return LYING.get(first, first)


def imports(source: str) -> Iterator[str]:
    """The package's modules that a source imports, anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            package, _, inside = name.partition(".")
            if package == "talking_face":
                while inside and inside not in NAMES:  # a name in a module, not a module
                    inside = inside.rpartition(".")[0]
                yield inside or "__init__"


def backwards(module: str, source: str) -> list[str]:
    """The arrows of a module that point to a room after its own, or beside it."""
    places = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}
    here = room_of(module)
    return [
        f"{module} -> {other}"
        for other in imports(source)
        if room_of(other) != here and places[room_of(other)] >= places[here]
    ]


def loads(source: str, loaders: set[str]) -> Iterator[str]:
    """The top-level functions and classes of a source that call one of the loaders."""
    for owner in ast.parse(source).body:
        calls = (node.func for node in ast.walk(owner) if isinstance(node, ast.Call))
        called = {ast.unparse(call).rpartition(".")[2] for call in calls}
        name = getattr(owner, "name", "the module itself")
        if called & loaders and name not in loaders:
            yield name


def model_loaders() -> set[str]:
    """`load_weights`, and the functions load_… that call it."""
    found = {"load_weights"}
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("load_"):
                calls = {ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
                found |= {node.name} if "load_weights" in calls else set()
    return found


def test_every_module_has_a_room() -> None:
    assert {room_of(name) for name in NAMES} == set().union(*ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_arrow_points_back(path: Path) -> None:
    assert backwards(name_of(path), path.read_text()) == []


def test_an_arrow_that_points_back_is_found() -> None:
    hidden = "def f():\n    from talking_face.picture import brush\n"
    assert backwards("face.model", hidden) == ["face.model -> picture.brush"]
    assert backwards("picture.eyes", hidden) == []
    assert backwards("motion", "import talking_face.face.lips") == ["motion -> face.lips"]
    assert backwards("web.shots", "from talking_face.cli import main") == ["web.shots -> cli"]
    assert backwards("clips.video", "from talking_face import ffmpeg, animator") == [
        "clips.video -> animator"
    ]


def test_no_imports_go_round_in_circles() -> None:
    left = {name_of(path): set(imports(path.read_text())) - {name_of(path)} for path in MODULES}
    while free := {name for name, others in left.items() if not others & set(left)}:
        left = {name: others for name, others in left.items() if name not in free}
    assert left == {}


def test_models_are_loaded_at_the_edges_alone() -> None:
    loaders = model_loaders()
    assert {"load_face_model", "load_encoder", "load_dirfa", "load_eyes"} < loaders
    found = {
        f"{name_of(path)}.{name}" for path in MODULES for name in loads(path.read_text(), loaders)
    }
    assert found == LOADERS


def test_a_hidden_load_is_found() -> None:
    hidden = "class A:\n    def f(self):\n        return [model.load_eyes() for _ in '12']\n"
    assert list(loads(hidden, {"load_eyes"})) == ["A"]
    assert list(loads("X = load_eyes()", {"load_eyes"})) == ["the module itself"]
