"""ffmpeg as a program: never hanging, heard while it works, and opening nothing but one file."""

import logging
import os
import re
import signal
import stat
import subprocess
import time
import wave
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from talking_face import ffmpeg
from talking_face.clips.video import read_frames, write_clip, write_comparison
from talking_face.errors import (
    AudioUnreadable,
    EncodingFailed,
    FfmpegMissing,
    OutputUnwritable,
    TalkingFaceError,
    VideoUnreadable,
)
from talking_face.interruption import Stopped, heeding
from talking_face.sound import decode
from talking_face.sound.audio import SAMPLE_RATE, load_audio

RAW_WORDS = ("0x", "[in#", "Invalid data", "Error opening", "whitelist", "exit status")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A second of noise."""
    path = tmp_path / "sound.wav"
    noise = np.random.default_rng(0).integers(-9000, 9000, SAMPLE_RATE)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(noise.astype("<i2").tobytes())
    return path


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a shell script in the place of ffmpeg; $FFMPEG in it is the real one."""
    real = ffmpeg.find_ffmpeg()

    def put(script: str) -> None:
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\nFFMPEG={real}\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: str(program))

    return put


# --- it never hangs --------------------------------------------------------------------------

CHATTY = 'yes "a long complaint about nothing at all" | head -c 1000000 >&2; exec $FFMPEG "$@"'


@pytest.mark.slow
def test_one_that_talks_much_is_heard_out(instead, moving_frames, tone, tmp_path, sound):
    """It says more than a pipe holds before it takes the first picture."""
    clip = write_clip(moving_frames, tmp_path / "clip.mp4", tone)
    instead(CHATTY)
    chatty = write_clip(moving_frames, tmp_path / "chatty.mp4", tone)
    assert abs(chatty.stat().st_size - clip.stat().st_size) < 0.05 * clip.stat().st_size
    assert len(list(read_frames(chatty))) == 25
    assert load_audio(sound).duration == 1.0
    assert len(list(read_frames(clip))) == 25
    assert write_comparison([clip], ["a"], tmp_path / "all.mp4").is_file()


def test_only_so_much_of_what_it_says_is_kept(instead):
    instead('echo first >&2; yes "more and more" | head -c 3000000 >&2; echo last >&2; exit 3')
    with ffmpeg.started(ffmpeg.command()) as process:
        ended = process.end()
    assert ended.failed
    assert ended.status == 3
    assert ended.said.startswith("first")
    assert ended.said.endswith("last")
    assert len(ended.said) <= 2 * ffmpeg.SAID


@pytest.mark.parametrize("sleep", ["exec sleep 60", "sleep 60"], ids=["itself", "its child"])
def test_one_that_hangs_is_ended(
    sleep, instead, moving_frames, tone, tmp_path, sound, monkeypatch
) -> None:
    clip = write_clip(moving_frames, tmp_path / "clip.mp4", tone)
    there = sorted(tmp_path.iterdir())
    instead(sleep)
    monkeypatch.setattr(ffmpeg, "STALL", 0.2)
    monkeypatch.setattr(decode, "_DECODING", 0.2)
    began = time.monotonic()
    large = [np.zeros((512, 512, 3), np.uint8)] * 30  # more than a pipe holds
    for frames in (moving_frames, large):
        with pytest.raises(EncodingFailed, match="it takes too long"):
            write_clip(frames, tmp_path / "new.mp4", tone)
    with pytest.raises(EncodingFailed, match="it takes too long"):
        ffmpeg.run(ffmpeg.command(), bytes(1_000_000), tmp_path / "a.mp4", tmp_path / "new.mp4")
    with pytest.raises(AudioUnreadable, match="it takes too long"):
        load_audio(sound)
    with pytest.raises(VideoUnreadable, match="it takes too long"):
        list(read_frames(clip))
    assert time.monotonic() - began < 10
    assert sorted(set(tmp_path.iterdir()) - {tmp_path / "bin"}) == there


def test_one_that_works_but_gets_nowhere_is_ended(instead, tmp_path, monkeypatch):
    instead("while true; do echo out_time=00:00:01; sleep 0.02; done")
    monkeypatch.setattr(ffmpeg, "STALL", 0.3)
    with pytest.raises(EncodingFailed, match="it takes too long"):
        ffmpeg.run(ffmpeg.command(), None, tmp_path / "a.mp4", tmp_path / "a.mp4")


def test_one_that_is_slow_but_gets_on_is_let(instead, tmp_path, monkeypatch):
    instead("for i in 1 2 3 4 5 6 7 8; do echo out_time=00:00:0$i; sleep 0.2; done")
    monkeypatch.setattr(ffmpeg, "STALL", 1.2)
    ffmpeg.run(ffmpeg.command(), None, tmp_path / "a.mp4", tmp_path / "a.mp4")


def test_a_slow_producer_of_frames_is_no_hanging_ffmpeg(moving_frames, tmp_path, monkeypatch):
    def slow():
        for frame in moving_frames[:4]:
            time.sleep(0.7)
            yield frame

    monkeypatch.setattr(ffmpeg, "STALL", 2.0)
    assert len(list(read_frames(write_clip(slow(), tmp_path / "clip.mp4")))) == 4


def test_a_slow_reader_of_frames_is_no_hanging_ffmpeg(moving_frames, tmp_path, monkeypatch):
    clip = write_clip(moving_frames, tmp_path / "clip.mp4")
    monkeypatch.setattr(ffmpeg, "STALL", 2.0)
    frames = read_frames(clip)
    next(frames)
    time.sleep(2.2)
    assert len(list(frames)) == 24


def test_nothing_runs_on(instead, tmp_path):
    """Neither ffmpeg nor what a script around it has started."""
    instead(f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    with ffmpeg.started(ffmpeg.command(), stdout=subprocess.PIPE):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    state = Path(f"/proc/{child}/stat")
    for _ in range(100):
        if not state.exists() or state.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("the script's child is still running")


def test_a_recording_that_nobody_wants_is_not_decoded_to_its_end(instead, sound, tmp_path):
    """It is ended in the middle of its sound."""
    pid = tmp_path / "pid"
    instead(
        f'case "$*" in *pcm_s16le*) echo $$ > {pid}; head -c 9999 /dev/zero; exec sleep 60;; esac\n'
        'exec $FFMPEG "$@"'
    )
    begun = time.monotonic()
    with heeding(pid.exists), pytest.raises(Stopped):
        load_audio(sound)
    assert time.monotonic() - begun < 10
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


# --- it opens one file and nothing that it names ------------------------------------------------

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
LISTS = {
    "ffconcat": "ffconcat version 1.0\nfile {}\n",
    "hls": PLAYLIST,
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="audio/mp4"><Representation id="0" bandwidth="9">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("suffix", ["wav", "mp4", "txt", "m3u8", "mpd", "ffconcat"])
@pytest.mark.parametrize("kind", LISTS)
def test_lists_of_other_files_are_refused(kind, suffix, sound, tmp_path):
    path = tmp_path / f"list.{suffix}"
    path.write_text(LISTS[kind].format(sound.name))
    with pytest.raises(AudioUnreadable, match=f"list.{suffix} can't be read as a sound") as caught:
        load_audio(path)
    assert not any(words in str(caught.value) for words in RAW_WORDS)
    with pytest.raises(VideoUnreadable, match=f"list.{suffix} can't be read as a video"):
        list(read_frames(path))
    with pytest.raises(TalkingFaceError):
        write_comparison([path], ["a"], tmp_path / "all.mp4")


def test_without_the_list_of_formats_the_list_would_be_played(sound, tmp_path):
    """What the test above guards against does happen."""
    (tmp_path / "list.wav").write_text(LISTS["ffconcat"].format(sound.name))
    command = [ffmpeg.find_ffmpeg(), "-v", "error", "-i", "file:list.wav", "-f", "null", "-"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0


@pytest.mark.parametrize(
    "name", ["concat:sound.wav|sound.wav", "subfile,,start,0,end,900,,:sound.wav", "-i", "sine=440"]
)
def test_names_are_only_names(name, sound, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AudioUnreadable, match="There is no file"):
        load_audio(name)
    Path(name).write_bytes(sound.read_bytes())
    assert load_audio(name).duration == 1.0


@pytest.mark.parametrize("program", ["found", "brought along"])
def test_the_formats_are_known_and_harmless(program):
    """A name that is spelt wrong would refuse its files and tell nobody."""
    path = ffmpeg.find_ffmpeg() if program == "found" else imageio_ffmpeg.get_ffmpeg_exe()
    listed = subprocess.run(
        [path, "-v", "error", "-demuxers"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"^ D[ Ed]+ (\S+)", listed, re.M))
    known = {name for names in known for name in names.split(",")}
    allowed = set(ffmpeg.FORMATS.split(","))
    assert len(known) > 200
    assert allowed <= known
    assert not allowed & {"concat", "hls", "dash", "image2", "lavfi", "imf", "sdp", "rtsp", "rtp"}


# --- what went wrong, in plain words -------------------------------------------------------------


def test_what_it_says_goes_into_the_log_alone(sound, caplog):
    sound.write_bytes(sound.read_bytes()[:20])
    with caplog.at_level(logging.DEBUG, "talking_face"), pytest.raises(AudioUnreadable) as caught:
        load_audio(sound)
    assert "Invalid data found" in caplog.text
    assert not any(words in str(caught.value) for words in RAW_WORDS)
    assert "damaged" in str(caught.value)


def test_one_that_crashes(instead, sound):
    instead("kill -SEGV $$")
    with pytest.raises(AudioUnreadable, match="this ffmpeg breaks down over it"):
        load_audio(sound)


def test_a_program_that_is_none(tmp_path, sound, monkeypatch):
    (tmp_path / "ffmpeg").write_text("no program")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setattr(ffmpeg, "find_ffmpeg", lambda: str(tmp_path / "ffmpeg"))
    with pytest.raises(FfmpegMissing) as caught:
        load_audio(sound)
    assert str(tmp_path) not in str(caught.value)


# --- other systems -------------------------------------------------------------------------------


@pytest.mark.slow
def test_systems_without_the_signal_of_large_files(moving_frames, tmp_path, monkeypatch):
    monkeypatch.delattr(signal, "SIGXFSZ")
    monkeypatch.delattr(os, "killpg")
    ended = ffmpeg.Ended(1, "av_interleaved_write_frame(): No space left on device", False)
    assert isinstance(ffmpeg.failure(ended, tmp_path / "a.mp4"), OutputUnwritable)
    ended = ffmpeg.Ended(-25, "", False)
    assert isinstance(ffmpeg.failure(ended, tmp_path / "a.mp4"), EncodingFailed)
    clip = write_clip(moving_frames * 20, tmp_path / "clip.mp4")
    frames = read_frames(clip)
    next(frames)
    frames.close()  # ends ffmpeg in mid-work
