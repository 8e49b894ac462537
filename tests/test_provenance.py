"""The marks of results: always there, as they say, and read again by the checker."""

import datetime
import json
import os
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from talking_face import ffmpeg
from talking_face.clips import certificates, credentials
from talking_face.clips.credentials import Origin, read_statement
from talking_face.clips.declared import declared
from talking_face.clips.detection import TRIES, WHOLE_TRIES, detect, mean_contrast
from talking_face.clips.mark import Mark, chosen_mark, installed_mark
from talking_face.clips.marks import new_payload
from talking_face.clips.payload import LENGTH, TOOL, VERSION, Payload, decode, encode
from talking_face.clips.verification import LOOKED_AT, luma, verify
from talking_face.clips.video import write_clip, write_comparison
from talking_face.clips.watermark import PUBLIC_KEY, Watermark
from talking_face.errors import CredentialsUnusable, FileUnverifiable, OptionInvalid
from talking_face.face.photo import load_photo

TODAY = datetime.datetime.now(datetime.timezone.utc).date()


@pytest.fixture(scope="module")
def photo(portrait: Path) -> np.ndarray:
    return cv2.resize(load_photo(portrait)[:, :], (384, 384), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="module")
def clip(portraits: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten marked frames of a portrait that sways."""
    photo = load_photo(next(path for path in portraits if path.stem == "astronaut"))
    photo = cv2.resize(photo, (512, 512), interpolation=cv2.INTER_AREA)
    turns = [np.float32([[1, 0, np.sin(n / 2)], [0, 1, 0]]) for n in range(10)]
    frames = [
        cv2.warpAffine(photo, turn, photo.shape[1::-1], borderMode=cv2.BORDER_REFLECT)
        for turn in turns
    ]
    origin = Origin({"seed": 3}, {"photo": "ab" * 32})
    return write_clip(frames, tmp_path_factory.mktemp("clip") / "clip.mp4", origin=origin)


def treated(clip: Path, path: Path, *options: str) -> Path:
    command = [*ffmpeg.command(), *ffmpeg.source(clip), *options, str(path)]
    subprocess.run(command, check=True)
    return path


# --- the visible one ---------------------------------------------------------------------------


@pytest.mark.parametrize("behind", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("mark", [Mark(opacity=0.5), Mark(opacity=0.5, size=0.8), Mark()])
def test_the_mark_is_legible_on_whatever_is_behind(mark: Mark, behind: int) -> None:
    frame = np.full((256, 256, 3), behind, np.uint8)
    pill = mark.pill(256, 256)
    top, left = mark.place(pill, 256, 256)
    there = mark.painter(256, 256)(frame)[top:, left:][: pill.shape[0], : pill.shape[1]]
    linear = (np.sort(there[..., 0].ravel()) / 255.0) ** 2.2
    light, dark = linear[-5:].mean(), np.median(linear)
    assert (light + 0.05) / (dark + 0.05) > 3  # what WCAG asks of large letters


def test_only_the_installation_takes_the_mark_away(monkeypatch: pytest.MonkeyPatch) -> None:
    assert installed_mark() == Mark()
    assert chosen_mark(text=None, corner="top-left") == Mark(corner="top-left")
    monkeypatch.setenv("TALKING_FACE_MARK", '{"text": "Synthetic", "opacity": 0.9}')
    assert installed_mark() == Mark("Synthetic", opacity=0.9)
    monkeypatch.setenv("TALKING_FACE_MARK", "off")
    assert installed_mark() is None
    for wrong in ("no", "[1]", '{"colour": "red"}', '{"opacity": 0}'):
        monkeypatch.setenv("TALKING_FACE_MARK", wrong)
        with pytest.raises(OptionInvalid):
            installed_mark()


def test_a_logo_is_put_before_the_text(tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    Image.new("RGB", (40, 40), (255, 0, 0)).save(logo)
    pill = Mark(logo=logo).pill(512, 512)
    assert pill.shape[1] > Mark().pill(512, 512).shape[1]
    red = (pill[..., 0] > 200) & (pill[..., 1] < 50)
    assert red.sum() > 50
    assert np.nonzero(red)[1].max() < pill.shape[1] / 2


@pytest.mark.parametrize("opacity", ["0", "0.2"])
def test_no_option_makes_the_mark_invisible(
    run: Callable[..., tuple[int, list[str], str]], portrait: Path, speech: Path, opacity: str
) -> None:
    code, _, complaint = run(portrait, speech, "--mark-opacity", opacity)
    assert code == 2
    assert "between 0.5 and 1" in complaint


# --- the invisible one -------------------------------------------------------------------------


def test_payloads_come_back_through_noise() -> None:
    told = Payload(TOOL, VERSION, 1234567, TODAY)
    word = encode(told)
    assert word.shape == (LENGTH,)
    chance = np.random.default_rng(0)
    noisy = [word + chance.normal(0, 0.8, LENGTH) for _ in range(10)]  # 10 % of the bits wrong
    assert all((np.sign(soft) != word).mean() > 0.03 for soft in noisy)
    assert [decode(soft)[0] for soft in noisy] == [told] * 10
    assert [decode(chance.normal(size=LENGTH))[0] for _ in range(10)] == [None] * 10


@pytest.mark.slow
@pytest.mark.parametrize("place", [(0, 0, 1.0), (37, 22, 1.0), (37, 22, 0.8)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_mark_is_found_after_cropping_scaling_and_mirroring(
    photo: np.ndarray, place: tuple[int, int, float], mirrored: bool
) -> None:
    told = Payload(TOOL, VERSION, 7654321, datetime.date(2026, 1, 2))
    marked = Watermark(told, *photo.shape[:2], "a key")(photo)
    error = np.mean((marked.astype(float) - photo) ** 2)
    assert 10 * np.log10(255**2 / error) >= 42
    top, left, part = place
    side = int(part * 384)
    cut = marked[top : top + side, left : left + side]
    cut = cv2.resize(cut[:, ::-1] if mirrored else cut, (300, 300), interpolation=cv2.INTER_AREA)
    field = mean_contrast([cv2.cvtColor(np.ascontiguousarray(cut), cv2.COLOR_RGB2GRAY)])
    found = detect(field, "a key")
    assert found.present
    assert found.payload == told
    assert found.mirrored == mirrored
    assert not detect(field, "another key").present


def test_skin_and_walls_are_left_alone_and_hair_is_not() -> None:
    chance = np.random.default_rng(2)
    scene = np.full((256, 256, 3), 150.0)
    scene[:, 128:] += chance.normal(0, 30, (256, 128, 1))  # as hair is
    scene[:, :64] += chance.normal(0, 1.5, (256, 64, 1))  # as skin is
    scene = np.clip(scene, 0, 255).astype(np.uint8)
    added = Watermark(new_payload(), 256, 256, PUBLIC_KEY)(scene).astype(float) - scene
    skin, wall, edge, hair = added[:, :60], added[:, 68:108], added[:, 108:124], added[:, 140:]
    assert max(skin.std(), wall.std(), edge.std()) < 0.5
    assert hair.std() > 2


def test_a_plain_wall_is_marked_faintly_and_still() -> None:
    wall = np.full((256, 256, 3), 200, np.uint8)
    mark = Watermark(new_payload(), 256, 256, PUBLIC_KEY)
    frames = [mark(wall).astype(int) for _ in range(5)]
    assert np.abs(frames[0] - 200).max() <= 4
    assert (frames[0] - 200).std() < 1
    assert max(np.abs(frame - frames[0]).max() for frame in frames) <= 1


@pytest.mark.slow
def test_unmarked_pictures_seem_marked_no_oftener_than_promised(portraits: list[Path]) -> None:
    """Real pictures and noise, under keys that nobody used."""
    chance = np.random.default_rng(1)
    fields = [mean_contrast([chance.integers(0, 256, (200, 260)).astype(np.uint8)])]
    fields += [mean_contrast([cv2.cvtColor(load_photo(p), cv2.COLOR_RGB2GRAY)]) for p in portraits]
    found = [detect(field, key) for field in fields[:4] for key in ("one", "two")]
    assert not any(seen.present for seen in found)
    assert np.mean([seen.chance < 0.1 for seen in found]) <= 0.25
    assert TRIES > WHOLE_TRIES > 1


# --- the statement -----------------------------------------------------------------------------


def test_a_clip_states_how_it_was_made(clip: Path) -> None:
    told = read_statement(clip)
    assert told.found
    assert told.valid
    assert told.generated
    assert not told.trusted
    assert told.making is not None
    assert told.making["settings"]["seed"] == 3
    assert told.making["sha256"] == {"photo": "ab" * 32}
    assert set(told.making["weights"]) >= {"dirfa.safetensors", "face_model.safetensors"}
    assert told.tool is not None
    assert told.tool.startswith("talking_face")


def test_a_changed_file_is_no_longer_as_signed(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    place = data.rindex(b"mdat") + 2000
    data[place] ^= 1
    changed = tmp_path / "changed.mp4"
    changed.write_bytes(data)
    told = read_statement(changed)
    assert told.found
    assert not told.valid
    assert told.problem


@pytest.mark.slow
def test_a_comparison_names_its_parts(clip: Path, tmp_path: Path) -> None:
    path = write_comparison([clip, clip], ["one", "two"], tmp_path / "both.mp4")
    told = read_statement(path)
    assert told.valid
    assert told.parts == ("clip.mp4", "clip.mp4")
    assert verify(path).mark.present


def test_certificate_and_key_can_be_ones_own(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = certificates._new_certificate()
    (tmp_path / "chain.pem").write_bytes(chain)
    (tmp_path / "key.pem").write_bytes(key)
    monkeypatch.setenv("TALKING_FACE_CERTIFICATE", str(tmp_path / "chain.pem"))
    monkeypatch.setenv("TALKING_FACE_CERTIFICATE_KEY", str(tmp_path / "key.pem"))
    assert certificates.installed_certificate() == (chain, key)
    (tmp_path / "key.pem").write_text("no key")
    copy = treated(clip, tmp_path / "copy.mp4", "-c", "copy")
    assert not read_statement(copy).found
    with pytest.raises(CredentialsUnusable, match="TALKING_FACE_CERTIFICATE"):
        credentials.sign(copy, Origin(), "copy.mp4")
    monkeypatch.delenv("TALKING_FACE_CERTIFICATE")
    with pytest.raises(CredentialsUnusable, match="TALKING_FACE_CERTIFICATE_KEY"):
        certificates.installed_certificate()


def test_the_own_certificate_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    made = certificates._own_certificate(tmp_path)
    kept = tmp_path / "signer.pem"
    assert kept.read_bytes() == b"".join(made)
    assert os.name == "nt" or kept.stat().st_mode & 0o077 == 0
    certificates._own_certificate.cache_clear()
    assert certificates._own_certificate(tmp_path) == made


def test_a_home_that_cant_be_written_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    chain, key = certificates._own_certificate(tmp_path / "file" / "talking_face")
    assert b"BEGIN CERTIFICATE" in chain
    assert b"BEGIN PRIVATE KEY" in key


# --- the checker -------------------------------------------------------------------------------


def test_everything_is_found_in_a_clip(clip: Path) -> None:
    told = verify(clip).told()
    assert told["manifest"]["valid"]
    assert told["invisible"]["found"]
    assert told["invisible"]["probability"] > 0.999999
    assert told["invisible"]["tool"] == "talking_face"
    assert told["invisible"]["clip"] == told["manifest"]["making"]["settings"]["clip"]
    assert told["invisible"]["day"] == TODAY.isoformat()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("small.mp4", "-vf scale=480:480 -c:v libx264 -crf 24"),  # at 28, 1 of 20 numbers is lost
        ("still.jpg", "-frames:v 1 -q:v 3"),
        ("loop.gif", "-vf scale=320:320"),
        ("loop.webp", "-c:v libwebp_anim -quality 75"),
        ("loop.webm", "-c:v libvpx-vp9 -crf 33 -b:v 0 -deadline realtime -cpu-used 6"),
    ],
)
def test_the_invisible_mark_outlasts_the_statement(
    clip: Path, tmp_path: Path, name: str, options: str
) -> None:
    verdict = verify(treated(clip, tmp_path / name, *options.split()))
    assert not verdict.statement.found
    assert verdict.mark.present


@pytest.mark.slow
def test_the_command_tells_people_and_programs(
    clip: Path, portrait: Path, run: Callable[..., tuple[int, list[str], str]], tmp_path: Path
) -> None:
    code, printed, complaint = run("verify", "--json", clip, portrait)
    assert (code, complaint) == (0, "")
    made, plain = json.loads("\n".join(printed))
    assert made["file"] == str(clip)
    assert made["manifest"]["found"]
    assert made["invisible"]["found"]
    assert not plain["manifest"]["found"]
    assert not plain["invisible"]["found"]
    text = tmp_path / "text.txt"
    text.write_text("no picture")
    code, printed, complaint = run("verify", portrait, text)
    assert code == 1
    assert "no valid mark found" in printed[0]
    assert "text.txt can't be read" in complaint
    assert run("verify", tmp_path / "nothing.mp4")[0] == 2


@pytest.mark.slow
def test_a_long_video_is_looked_at_in_pieces(clip: Path, tmp_path: Path) -> None:
    """As many frames of ten minutes as of a few seconds, from all over it."""
    command = [*ffmpeg.command(), "-stream_loop", "1500", *ffmpeg.source(clip), "-c", "copy"]
    subprocess.run([*command, str(tmp_path / "long.mp4")], check=True)
    began = sum(os.times()[:4])
    assert len(list(luma(tmp_path / "long.mp4"))) == LOOKED_AT
    assert sum(os.times()[:4]) - began < 5  # of the processor
    verdict = verify(tmp_path / "long.mp4")
    assert verdict.mark is not None
    assert verdict.mark.present


def test_pieces_come_from_all_over_a_video(tmp_path: Path) -> None:
    """Its pictures grow lighter, from black to white in a minute."""
    frames = (np.full((64, 64, 3), 255 * n // 1499, np.uint8) for n in range(1500))
    path = write_clip(frames, tmp_path / "lighter.mp4")
    light = [float(frame.mean()) for frame in luma(path)]
    assert len(light) == LOOKED_AT
    assert min(np.diff(light)) > -2
    assert light[0] < 20
    assert light[-1] > 180


def test_what_isnt_there_cant_be_verified(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing", "a\0b"):
        with pytest.raises(FileUnverifiable):
            verify(path)


# --- privacy -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_small_file_that_unfolds_is_looked_at_in_part(tmp_path: Path) -> None:
    """A picture of many large frames, and an archive of ever so many names."""
    frames = [Image.fromarray(np.full((2048, 2048), n, np.uint8)) for n in range(40)]
    frames[0].save(tmp_path / "large.gif", save_all=True, append_images=frames[1:])
    assert 4 <= len(list(luma(tmp_path / "large.gif"))) <= 16
    with zipfile.ZipFile(tmp_path / "names.npz", "w") as stored:
        for number in range(30_000):
            stored.writestr(f"{number}", b"")
    tracemalloc.start()
    assert declared(tmp_path / "names.npz") is None
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 13e6


def test_of_a_long_strip_its_beginning_is_looked_at(portraits: list[Path]) -> None:
    some = [cv2.resize(load_photo(path), (384, 384)) for path in portraits[:5]]
    strip = np.concatenate(some * 2, axis=1)
    told = Payload(TOOL, VERSION, 7654321, datetime.date(2026, 1, 2))
    marked = Watermark(told, *strip.shape[:2], PUBLIC_KEY)(strip)
    field = mean_contrast([cv2.cvtColor(marked, cv2.COLOR_RGB2GRAY)])
    assert field.shape == (240, 1440)
    assert detect(field, PUBLIC_KEY).payload == told


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 10])
def test_portraits_in_a_row_keep_the_mark(portraits: list[Path], count: int) -> None:
    """They repeat themselves every three tiles, so that what they show adds up as the mark does."""
    for path in portraits[:3]:
        strip = np.tile(cv2.resize(load_photo(path), (384, 384)), (1, count, 1))
        told = Payload(TOOL, VERSION, 7654321, datetime.date(2026, 1, 2))
        marked = Watermark(told, *strip.shape[:2], PUBLIC_KEY)(strip)
        field = mean_contrast([cv2.cvtColor(marked, cv2.COLOR_RGB2GRAY)])
        assert detect(field, PUBLIC_KEY).payload == told, path.name
        noise = np.square(marked.astype(float) - strip).mean()
        assert 10 * np.log10(255**2 / noise) > 41


@pytest.mark.slow
def test_nothing_that_uploads_say_of_people_reaches_results(
    portrait: Path, speech: Path, tmp_path: Path
) -> None:
    from talking_face import load_animator

    secret, sung = "Whereabouts 48.8584 N", "Sung by Somebody"
    picture = Image.open(portrait)
    exif = picture.getexif()
    exif[0x010E] = secret
    exif.get_ifd(0x8825)[1] = "N"
    picture.save(tmp_path / "photo.jpg", exif=exif, comment=secret.encode())
    tagged = tmp_path / "sound.mp4"
    command = [*ffmpeg.command(), *ffmpeg.source(speech), "-t", "0.6", "-c:a", "aac"]
    command += ["-metadata", f"title={sung}", "-metadata", f"location={secret}", str(tagged)]
    subprocess.run(command, check=True)
    assert sung.encode() in tagged.read_bytes()
    animator = load_animator("cpu")
    face, heard = animator.fit(tmp_path / "photo.jpg"), animator.listen(tagged)
    (made,) = animator.animate(face, heard, 1, output=tmp_path / "out")
    assert made.path is not None
    animator.compare([made], tmp_path / "out" / "comparison.mp4")
    for path in (tmp_path / "out").iterdir():
        data = path.read_bytes()
        assert secret.encode() not in data
        assert sung.encode() not in data
