"""The page's actions over HTTP and as MCP tools."""

import csv
import re
from ast import literal_eval
from base64 import b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import gradio as gr
import httpx
import numpy as np
import pytest
from assistant import assistant, call_tool, data_url
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from talking_face.clips.video import read_frames
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid
from talking_face.motion import FPS, Motion
from talking_face.sound.audio import load_audio
from talking_face.web import turning
from talking_face.web.given import read_edits
from talking_face.web.messages import plain_sentences

SIDE = 128


@pytest.fixture(scope="module")
def client(page: str) -> Client:
    return Client(page, verbose=False)


@pytest.fixture(scope="module")
def made(client: Client, portrait: Path, short_speech: Path) -> Any:
    """What "generate" answers: clips, motions, comparison, plot, seed."""
    return client.predict(
        photo=handle_file(str(portrait)),
        audio=handle_file(str(short_speech)),
        samples=2,
        seed=7,
        look={"size": SIDE},
        api_name="/generate",
    )


def test_generate_gives_clips_motions_comparison_and_plot(made: Any, short_speech: Path) -> None:
    clips, motions, comparison, plot, seed = made
    assert seed == 7
    recording = load_audio(short_speech)
    pictures = []
    for clip in clips:
        frames = list(read_frames(clip))
        assert len(frames) == recording.frames
        assert frames[0].shape == (SIDE, SIDE, 3)
        assert load_audio(clip).duration == pytest.approx(recording.frames / FPS, abs=0.05)
        pictures.append(np.stack(frames[::5]).astype(float))
    assert len(pictures) == 2
    assert np.percentile(np.abs(pictures[0] - pictures[1]), 99) > 10  # the samples differ
    assert [len(Motion.load(path)) for path in motions] == [recording.frames] * 2
    assert next(read_frames(comparison)).shape[1] == 2 * SIDE
    assert Image.open(plot).size[0] > 500


@pytest.mark.slow
def test_an_edit_renders_the_same_motion_otherwise(
    client: Client, made: Any, portrait: Path, short_speech: Path
) -> None:
    photo, sound = handle_file(str(portrait)), handle_file(str(short_speech))
    motion = handle_file(made[1][0])
    still = [{"pose_strength": 0, "blinks": 0}]
    clip, moved = client.predict(photo, sound, motion, still, look={"size": SIDE}, api_name="/edit")
    assert len(list(read_frames(clip))) == len(Motion.load(moved))
    assert not Motion.load(moved).rotation.any()
    np.testing.assert_array_equal(Motion.load(moved).lower, Motion.load(made[1][0]).lower)
    frames = [
        np.asarray(Image.open(client.predict(photo, motion, edits, 0.4, api_name="/preview")))
        for edits in ([], [{"feeling": "happy"}])
    ]
    assert np.abs(np.subtract(*frames, dtype=float)).max() > 50


def test_motions_are_mixed_and_tabulated(client: Client, made: Any) -> None:
    first, second = made[1]
    mixed = Motion.load(client.predict(*map(handle_file, (first, second, first)), api_name="/mix"))
    np.testing.assert_array_equal(mixed.rotation, Motion.load(second).rotation)
    np.testing.assert_array_equal(mixed.lids, Motion.load(first).lids)
    with Path(client.predict(handle_file(first), api_name="/table")).open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(Motion.load(first))
    assert float(rows[5]["rotation_0"]) == pytest.approx(Motion.load(first).rotation[5, 0])


@pytest.mark.slow
def test_clips_are_compared_and_shared(client: Client, made: Any) -> None:
    clips, motions = made[:2]
    three = client.predict([handle_file(clips[0])] * 3, api_name="/compare")
    assert next(read_frames(three)).shape[1] == 3 * SIDE
    both = handle_file(clips[0]), handle_file(motions[0])
    assert Image.open(client.predict(*both, api_name="/poster")).size == (SIDE, SIDE)
    assert Image.open(client.predict(*both, api_name="/gif")).n_frames > 5


def test_a_photo_is_looked_at(client: Client, portrait: Path) -> None:
    photo = handle_file(str(portrait))
    boxes, outlined = client.predict(photo, api_name="/faces")
    size = Image.open(portrait).size
    assert len(boxes) == 1
    assert 0 <= boxes[0][0] < boxes[0][2] <= size[0]
    assert Image.open(outlined).size == size
    mesh = np.asarray(Image.open(client.predict(photo, api_name="/mesh")).convert("RGB"))
    assert (mesh != np.asarray(Image.open(portrait).convert("RGB"))).mean() > 0.02


def test_a_voice_is_felt(client: Client, short_speech: Path) -> None:
    heard = client.predict(handle_file(str(short_speech)), api_name="/emotion")
    assert heard["words"].startswith("The voice sounds neutral")
    chances = np.array(list(heard["probabilities"].values()))
    assert chances.shape == (8, len(heard["seconds"]))
    np.testing.assert_allclose(chances.max(axis=0), heard["confidence"], atol=1e-3)


def test_a_text_is_spoken(client: Client) -> None:
    names = client.predict(api_name="/voices")
    sound, phonemes = client.predict("Good morning.", names[0], 1.2, api_name="/speak")
    assert load_audio(sound).duration > 0.4
    assert "m" in phonemes


def test_edits_are_read_as_they_come() -> None:
    assert read_edits([{"feeling": "sad", "start": 1}]) == (Edit(feeling="sad", start=1),)
    assert read_edits([{"feeling": [0.5, -1]}]) == (Edit(feeling=(0.5, -1.0)),)
    assert read_edits([{"gaze": [3, -2]}, {}]) == (Edit(gaze=(3, -2)), Edit())
    for wrong, sentence in (
        ([{"smle": 1}], "mapping of these names"),
        (["happy"], "mapping of these names"),
        ([{"feeling": "bored"}], "feeling must be voice, none, neutral"),
        ([{"feeling": [0, 2]}], "Arousal must be between -1 and 1"),
        ([{"smile": "much"}], "Smile must be a number"),
        ([{"gaze": 3}], "must be numbers"),
        ([{"smile": 3}], "Smile must be between"),
        ([{}] * 101, "100 edits at most"),
    ):
        with pytest.raises(OptionInvalid, match=sentence):
            read_edits(wrong)


def test_a_kind_that_is_named_often_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def write(*given: Any, **_: Any) -> list[Path]:
        made.append(given[3])
        return [Path(given[3])]

    monkeypatch.setattr(turning, "export", write)
    monkeypatch.setattr(turning, "performed", lambda _: (None, None, None))
    shot: Any = SimpleNamespace(name="one", order=SimpleNamespace(look=None))
    turning.exported(shot, ["stereo", "glb"] + ["stereo"] * 1000)
    assert made == ["stereo", "glb"]


# -- messages -------------------------------------------------------------------------------------


@pytest.fixture
def no_face(tmp_path: Path) -> Path:
    Image.linear_gradient("L").save(tmp_path / "ramp.png")
    return tmp_path / "ramp.png"


@pytest.fixture
def own_photo(portrait: Path, tmp_path: Path) -> Path:
    """A photo that doesn't come with the page."""
    Image.open(portrait).resize((300, 300)).save(tmp_path / "own.png")
    return tmp_path / "own.png"


@pytest.fixture
def text_as_sound(tmp_path: Path) -> Path:
    path = tmp_path / "letter.wav"
    path.write_text("Dear reader, this is not a sound.\n" * 100)
    return path


@pytest.mark.parametrize(
    ("photo", "audio", "options", "sentence"),
    [
        (None, "speech", {}, "There is no photo yet"),
        ("portrait", None, {}, "There is no recording yet"),
        ("own_photo", "speech", {}, "Say first that you may use this photo"),
        ("no_face", "speech", {"consent": True}, "No face was found in the photo"),
        ("portrait", "text_as_sound", {}, "can't be read as a sound"),
        ("speech", "speech", {"consent": True}, "photo"),
        ("portrait", "speech", {"samples": 9}, "Ask for 1 to 6 samples"),
        ("portrait", "speech", {"seed": -1}, "The seed must be between"),
        ("portrait", "speech", {"diversity": "much"}, "must be a number"),
        ("portrait", "speech", {"look": {"size": 7}}, "The output size must be between"),
        ("portrait", "speech", {"look": {"background": "blue"}}, "is not a colour"),
        ("portrait", "speech", {"edits": [{"smile": 9}]}, "Smile must be between"),
        ("portrait", "speech", {"face": 3}, "face"),
        ("portrait", "speech", {"look": {"framing": "feet"}}, "framing"),
        ("portrait", "speech", {"look": {"frame": "photo"}}, "A look is a mapping of these names"),
        ("portrait", "speech", {"look": 256}, "A look is a mapping of these names"),
    ],
)
def test_bad_requests_get_a_sentence(
    client: Client,
    request: pytest.FixtureRequest,
    photo: str | None,
    audio: str | None,
    options: dict[str, object],
    sentence: str,
) -> None:
    files = [
        handle_file(str(request.getfixturevalue(name))) if name else None for name in (photo, audio)
    ]
    with pytest.raises(AppError) as caught:
        client.predict(*files, **options, api_name="/generate")
    told = str(caught.value)
    assert sentence in told
    assert told.rstrip().endswith(".")
    assert "Traceback" not in told
    assert 'File "' not in told


def test_motions_from_outside_are_read_or_refused_in_a_sentence(
    client: Client, tmp_path: Path
) -> None:
    Motion.still(3).save(tmp_path / "still.csv")
    lines = (tmp_path / "still.csv").read_text().replace(",", ";").replace(".", ",").splitlines()
    (tmp_path / "excel.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    told = client.predict(handle_file(tmp_path / "excel.csv"), api_name="/table")
    assert len(Motion.load(told)) == 3
    (tmp_path / "spoilt.csv").write_text("\n".join([lines[0], lines[1].replace("0,00", "nan")]))
    np.savez(tmp_path / "other.npz", space="other")
    for name, sentence in (
        ("spoilt.csv", "spoilt.csv can't be used as a motion: line 2 has 'nan' for seconds"),
        ("other.npz", "holds the motion space 'other'"),
    ):
        for action in (1, "/table"), (3, "/mix"):
            with pytest.raises(AppError) as caught:
                client.predict(*[handle_file(tmp_path / name)] * action[0], api_name=action[1])
            assert sentence in str(caught.value)
            assert "/tmp" not in str(caught.value)


@pytest.mark.slow
def test_an_assistant_is_told_where_each_file_is(
    page: str, portrait: Path, short_speech: Path
) -> None:
    given = {"photo": data_url(portrait), "audio": data_url(short_speech), "consent": True}
    answer = call_tool(page, "generate", {**given, "samples": 2, "look": {"size": SIDE}})
    assert not answer.isError, answer.content
    clips, motions, comparison, plot, _ = literal_eval(answer.content[0].text)
    motion = {"motion": "data:;base64," + b64encode(httpx.get(motions[0]["url"]).content).decode()}
    taken = call_tool(page, "export", given | motion | {"kinds": ["arkit"]})
    assert not taken.isError, taken.content
    files = [*clips, *motions, comparison, plot, *literal_eval(taken.content[0].text)]
    assert len(files) == 8
    for kinds in ([], ["usd"]):  # else an order that makes nothing
        refused = call_tool(page, "export", given | motion | {"kinds": kinds})
        assert refused.isError
        assert "exports are glb" in refused.content[0].text
    for file in files:
        found = httpx.get(file["url"])
        assert found.status_code == 200
        assert len(found.content) > 1000


@pytest.mark.parametrize("name", ["motion.npz", "motion.csv"])
def test_motions_may_come_without_their_name(page: str, tmp_path: Path, name: str) -> None:
    """As a data URL, the way that MCP clients send files."""
    Motion.still(3).save(tmp_path / name)

    answer = call_tool(page, "table", {"motion": data_url(tmp_path / name)})
    assert not answer.isError, answer.content


def test_a_full_disk_is_told_without_its_folders() -> None:
    with pytest.raises(gr.Error) as caught, plain_sentences():
        Motion.still(1).save("/nowhere/secret/motion.npz")
    assert "secret" not in str(caught.value)
    assert "Try again later" in str(caught.value)


# -- MCP ------------------------------------------------------------------------------------------


def test_every_action_is_an_mcp_tool(page: str, portrait: Path) -> None:
    async def use() -> tuple[dict[str, Any], Any, Any]:
        async with assistant(page) as session:
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            found = await session.call_tool("faces", {"photo": data_url(portrait)})
            silent = await session.call_tool("speak", {"text": " "})
            return tools, found, silent

    tools, found, silent = anyio.run(use)
    assert set(tools) == set(
        "generate edit preview mix compare table poster gif faces mesh speak list_voices "
        "emotion export view verify".split()
    )
    for tool in tools.values():
        assert len(tool.description) > 30
        for name, about in tool.inputSchema.get("properties", {}).items():
            assert about.get("description"), f"{tool.name} doesn't tell what {name} is"
    assert not found.isError
    assert re.search(r"\d+, \d+, \d+, \d+", found.content[0].text)
    assert silent.isError
    assert "There is no text yet" in silent.content[0].text
