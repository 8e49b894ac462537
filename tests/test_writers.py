"""Every file that leaves the package says what it is; a new writer can't be forgotten."""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talking_face import Motion, ffmpeg
from talking_face.clips.mark import Mark
from talking_face.clips.verification import Verdict, verify
from talking_face.clips.video import read_frames
from talking_face.exports import write_speech
from talking_face.sound.voice import speak
from talking_face.web import endpoints

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "talking_face"
WORDS, UNSEEN, STATEMENT, PLAIN = "words", "invisible", "statement", "plain"
ALL = {WORDS, UNSEEN, STATEMENT, PLAIN}

# How a file's name ends, and which marks it has. docs/provenance.md has the same in its table.
MARKS = {
    "_stereo.mp4": ALL,
    "_stereo-half.mp4": ALL,
    "_anaglyph.mp4": ALL,
    "_view.mp4": ALL,
    "comparison.mp4": ALL,
    ".mp4": ALL,
    "preview.png": ALL,
    "mesh.png": ALL,
    "plot.png": {STATEMENT},
    "faces.png": {STATEMENT},
    ".png": ALL,
    ".gif": ALL,
    ".glb": {UNSEEN, STATEMENT, PLAIN},
    ".obj": {PLAIN},
    ".mtl": {PLAIN},
    "_texture.jpg": {UNSEEN, STATEMENT},
    "_arkit.csv": {PLAIN},
    "_arkit.json": {PLAIN},
    ".npz": {PLAIN},
    ".csv": set(),
    ".wav": {STATEMENT, PLAIN},
}
GENERATED = {name for name in MARKS if name not in ("plot.png", "faces.png")}

# Every function of the package that writes a file or encodes a picture, and what is done there.
WRITERS = {
    "clips/credentials.py:sign": "the statement itself",
    "clips/certificates.py:_put": "the installation's key",
    "clips/marks.py:write_picture": ".png preview.png mesh.png faces.png",
    "clips/plots.py:write_plot": "plot.png",
    "clips/share.py:write_gif": ".gif",
    "clips/share.py:write_poster": ".png",
    "clips/stereo.py:say_side_by_side": "a part of write_clip",
    "clips/video.py:write_clip": ".mp4",
    "clips/video.py:_sound": "samples for ffmpeg, gone when it has read them",
    "clips/video.py:write_comparison": "comparison.mp4",
    "animator.py:render_motion": ".mp4",
    "animator.py:compare": "comparison.mp4",
    "animator.py:clips": ".mp4 .npz",
    "exports.py:_video": "_stereo.mp4 _stereo-half.mp4 _anaglyph.mp4 _view.mp4",
    "exports.py:write_take": ".mp4",
    "exports.py:write_speech": ".wav",
    "head/gltf.py:write_glb": ".glb",
    "head/gltf.py:glb_of": ".glb",
    "head/live_link.py:write_live_link": "_arkit.csv",
    "head/live_link.py:write_curves": "_arkit.json",
    "head/obj.py:write_obj": ".obj .mtl _texture.jpg",
    "motion.py:save": ".npz .csv",
    "motion_files.py:write_motion": ".npz .csv",
    "motion_table.py:write_table": ".csv",
    "sound/voice.py:save": ".wav",
    "sound/audio.py:_load_bytes": "what came by a pipe, to be read",
    "sound/decode.py:_copy": "a sound that tells a wrong length, to be read",
    "cli.py:_chatter_hidden": "nothing: libraries' chatter is dropped",
    "commands.py:_write_pictures": ".png .gif",
    "commands.py:write_motions": ".npz .csv",
    "files.py:writing": "for the writers",
    "remote.py:render_motion": ".mp4, as a worker made it",
    "results.py:add": "names and checksums of results",
    "batch/ledger.py:begin": "names and checksums of results",
    "batch/ledger.py:_publish": "files that a job made, and their names",
    "batch/ledger.py:_append": "names of results",
    "batch/job.py:_placed": "an input, to be read",
    "processes.py:_file": "memory that only this process and its helpers see",
    "processes.py:opened": "that memory, to be read",
    "processes.py:ask": "that memory, to be read",
    "batch/bench.py:jobs_of": "a table to measure with",
    "batch/bench.py:_beginning": "a sound to measure with",
    "bench.py:time_frame": ".mp4 to measure with",
    "web/endpoints.py:mix": ".npz",
    "web/endpoints.py:table": ".csv",
    "web/endpoints.py:compare": "comparison.mp4",
    "web/endpoints.py:poster": ".png",
    "web/endpoints.py:gif": ".gif",
    "web/outlets.py:packed": "live frames",
    "web/seats.py:second": "frames that nobody sees",
    "web/shots.py:_render": ".mp4 .npz",
    "web/shots.py:compare": "comparison.mp4",
    "web/shots.py:pictured": "preview.png mesh.png plot.png faces.png",
    "web/shots.py:shared": ".png .gif .csv",
}
_WRITING = {
    "write_bytes", "write_text", "writing", "appearing", "imwrite", "imencode", "savez",
    "savez_compressed", "tofile", "save", "save_to_bytes", "write_clip", "write_comparison",
    "write_picture", "write_poster", "write_gif", "write_motion", "write_table", "fdopen",
}  # fmt: skip


def writers() -> set[str]:
    """Functions that call something that writes a file: "file.py:function"."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith("training/"):
            continue
        functions = [
            one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.FunctionDef)
        ]
        for function in functions:
            inner = {
                id(part)
                for one in ast.walk(function)
                if isinstance(one, ast.FunctionDef) and one is not function
                for part in ast.walk(one)
            }
            calls = [
                one
                for one in ast.walk(function)
                if isinstance(one, ast.Call) and id(one) not in inner
            ]
            if any(map(_writes, calls)):
                found.add(f"{name}:{function.name}")
    return found


def _writes(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    modes = [one.value for one in call.args if isinstance(one, ast.Constant)]
    opened = name == "open" and any(
        isinstance(one, str) and set(one) & set("wax+") and set(one) <= set("rwaxbt+")
        for one in modes
    )
    return name in _WRITING or opened


def test_every_writer_is_known() -> None:
    """Who adds one says here what its files carry, and adds them to the files below."""
    assert writers() == set(WRITERS)


# -- what they write ------------------------------------------------------------------------------

SECRET, SUNG = "Whereabouts 48.8584 N", "Sung by Somebody"


@pytest.fixture(scope="module")
def telltale(tmp_path_factory: pytest.TempPathFactory, portrait: Path, speech: Path) -> list[Path]:
    """A photo and a sound that tell where and by whom they were taken, in every place there is."""
    folder = tmp_path_factory.mktemp("telltale")
    picture = Image.open(portrait)
    exif = picture.getexif()
    exif[0x010E], exif[0x013B], exif[0x8298] = SECRET, SECRET, SECRET  # description, artist, rights
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 30.0), 29: SECRET})
    exif.get_ifd(0x8769)[0x9286] = SECRET.encode()
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a>{SECRET}</a></x:xmpmeta>'.encode()
    photo = folder / "photo.jpg"
    profile = b"\0" * 128 + SECRET.encode()
    told = {"exif": exif, "comment": SECRET.encode(), "xmp": xmp, "icc_profile": profile}
    picture.save(photo, **told)
    assert photo.read_bytes().count(SECRET.encode()) >= 6
    chapters = folder / "chapters.txt"
    chapters.write_text(f";FFMETADATA1\ntitle={SUNG}\n[CHAPTER]\nSTART=0\nEND=500\ntitle={SUNG}\n")
    sound = folder / "sound.mp4"
    command = [*ffmpeg.command(), *ffmpeg.source(speech), "-f", "ffmetadata", "-i", str(chapters)]
    command += ["-map", "0:a", "-map_metadata", "1", "-map_chapters", "1", "-t", "0.6", "-c:a"]
    command += ["aac", "-metadata", f"location={SECRET}", "-metadata", f"artist={SUNG}"]
    command += ["-metadata:s:a", f"handler_name={SUNG}", str(sound)]
    subprocess.run(command, check=True)
    assert sound.read_bytes().count(SUNG.encode()) >= 3
    return [photo, sound]


@pytest.fixture(scope="module")
def written(telltale: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of every file that the package writes, made of them."""
    from talking_face import cli

    folder = tmp_path_factory.mktemp("written")
    options = "--samples 2 --size 256 --poster --gif --plot --view 20 0".split()
    for kind in ("glb", "obj", "arkit", "stereo-half", "anaglyph"):
        options += ["--export", kind]
    given = [str(path) for path in telltale]
    assert cli.main([*given, "-o", str(folder), *options]) == 0
    # Half a second of two pictures of 256 pixels side by side, or of 320, doesn't always keep the
    # mark that isn't seen.
    apart = tmp_path_factory.mktemp("stereo")
    large = "--samples 1 --size 384 --export stereo".split()
    assert cli.main([*given, "-o", str(apart), *large]) == 0
    (pair,) = apart.glob("*_stereo.mp4")
    shutil.move(pair, folder)
    (motion,) = folder.glob("sample-1*.npz")
    Motion.load(motion).save(motion.with_suffix(".csv"))
    write_speech(speak("Good morning."), folder / "speech.wav")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


@pytest.fixture(scope="module")
def pictures(telltale: list[Path], written: list[Path]) -> list[Path]:
    """The pictures that only the page and its API give."""
    from gradio.utils import get_upload_folder

    folder = Path(get_upload_folder()) / "telltale"
    folder.mkdir()
    (motion,) = (path for path in written if path.match("sample-1*.npz"))
    photo, moved = ({"path": shutil.copy(path, folder)} for path in (telltale[0], motion))
    return [
        Path(endpoints.faces(photo)[1].path),
        Path(endpoints.mesh(photo).path),
        Path(endpoints.preview(photo, moved, consent=True).path),
    ]


def kind_of(path: Path) -> str:
    """Which of `MARKS` a file is; the first that fits."""
    name = path.name.replace("comparison_seed-0", "comparison")
    name = "plot.png" if name.startswith("plot_seed-0") else name
    return next(ending for ending in MARKS if name.endswith(ending))


def words_in(path: Path) -> bool:
    """Whether "AI-generated" is where it should be in a picture or the first frame of a video."""
    with closing(read_frames(path)) as frames:
        frame = (
            next(frames) if path.suffix == ".mp4" else np.asarray(Image.open(path).convert("RGB"))
        )
    found = []
    for corner in ("bottom-right", "bottom-left"):  # a comparison's own is to the left
        mark = Mark(corner=corner)
        pill = mark.pill(*frame.shape[:2])
        top, left = mark.place(pill, *frame.shape[:2])
        there = frame[top:, left:][: pill.shape[0], : pill.shape[1]].mean(2)
        letters = pill[..., 0].astype(float)
        inside = pill[..., 3] > 100
        found.append(float(np.corrcoef(there[inside], letters[inside])[0, 1]))
    return max(found) > 0.7


def marks_of(path: Path, verdict: Verdict) -> set[str]:
    told = verdict.told()
    found = {UNSEEN} if told["invisible"]["found"] else set()
    found |= {STATEMENT} if told["manifest"]["valid"] else set()
    found |= {PLAIN} if told["plain"]["found"] else set()
    pictured = path.suffix in (".mp4", ".png", ".gif")
    return found | ({WORDS} if pictured and words_in(path) else set())


@pytest.mark.slow
def test_every_kind_of_file_is_written_here(written: list[Path], pictures: list[Path]) -> None:
    assert {kind_of(path) for path in [*written, *pictures]} == set(MARKS)


@pytest.mark.slow
def test_every_file_has_its_marks(written: list[Path], pictures: list[Path]) -> None:
    found = {}
    for path in [*written, *pictures]:
        verdict = verify(path)
        found[kind_of(path)] = marks_of(path, verdict)
        if verdict.statement.found:
            assert verdict.statement.generated == (kind_of(path) in GENERATED), path.name
    assert found == MARKS


@pytest.mark.slow
def test_nothing_of_uploads_but_pictures_and_sound_reaches_any_file(
    written: list[Path], pictures: list[Path]
) -> None:
    for path in [*written, *pictures]:
        data = path.read_bytes()
        for words in (SECRET, SUNG):
            for code in ("utf-8", "utf-16-le", "utf-16-be"):
                assert words.encode(code) not in data, path.name
        if path.suffix in (".png", ".jpg", ".gif"):
            with Image.open(path) as picture:
                picture.load()
                assert not picture.getexif(), path.name
                assert "icc_profile" not in picture.info, path.name
                assert SECRET not in str(picture.info), path.name
        if path.suffix in (".mp4", ".wav"):
            asked = [ffmpeg.find_ffmpeg(), "-v", "error", "-i", str(path), "-f", "ffmetadata", "-"]
            told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
            assert "Whereabouts" not in told
            assert "Somebody" not in told
            assert "CHAPTER" not in told


@pytest.mark.slow
def test_the_table_of_curves_is_spoken_for_by_the_json_beside_it(
    written: list[Path], tmp_path: Path
) -> None:
    (table,) = (path for path in written if path.match("sample-1*_arkit.csv"))
    beside = table.with_suffix(".json")
    told = json.loads(beside.read_text())
    assert told["sha256"] == {table.name: hashlib.sha256(table.read_bytes()).hexdigest()}
    assert beside.name in (verify(table).plain or "")
    alone = Path(shutil.copy(table, tmp_path))
    assert verify(alone).plain is None
    shutil.copy(beside, tmp_path)
    assert verify(alone).plain
    alone.write_text(alone.read_text().replace("0.", "1.", 1))
    assert verify(alone).plain is None, "it isn't the one that was meant"


@pytest.mark.slow
def test_a_changed_head_is_no_longer_as_signed(written: list[Path], tmp_path: Path) -> None:
    (head,) = (path for path in written if path.match("sample-1*.glb"))
    data = head.read_bytes()
    changed = tmp_path / "changed.glb"
    for place in (data.index(b"AI-generated"), data.index(b"\xff\xd8\xff") + 500):
        changed.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        told = verify(changed).statement
        assert told.found
        assert not told.valid


@pytest.mark.parametrize("kind", [".obj", ".json", ".csv", ".npz", ".glb", ".wav", ".srt"])
def test_files_that_say_nothing_are_told_to_say_nothing(
    kind: str, tmp_path: Path, run: Callable[..., tuple[int, list[str], str]]
) -> None:
    path = tmp_path / f"file{kind}"
    path.write_bytes(b"# v 1 2 3\n" * 20)
    code, printed, said = run("verify", "--json", path)
    assert (code, said) == (0, "")
    (told,) = json.loads("\n".join(printed))
    assert not told["manifest"]["found"]
    assert not told["manifest"]["problem"]
    assert not told["plain"]["found"]
    assert told["invisible"] | {"found": False, "possible": False} == told["invisible"]


def test_the_documents_list_every_file_and_its_marks() -> None:
    told = (ROOT / "docs" / "provenance.md").read_text()
    rows = [line.split("|")[1:-1] for line in told.splitlines() if line.startswith("| `")]
    listed = {
        ending.strip(" `"): {
            name
            for name, cell in zip((WORDS, UNSEEN, STATEMENT, PLAIN), cells[:4], strict=True)
            if cell.strip() == "yes"
        }
        for names, *cells in rows
        if len(cells) >= 4
        for ending in names.split(",")
    }
    assert listed == MARKS
