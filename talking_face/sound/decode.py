"""Sound out of files, decoded once: what the networks hear is what the clip will sound like.

Knows parts, tracks, channels and timestamps. Of several tracks it takes the one on which somebody
speaks, or mixes those that take turns; of more than two channels it makes two that keep the speech.
What was chosen, left out or put right is told in sentences.
"""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from talking_face import ffmpeg
from talking_face.arrays import Array
from talking_face.contents import Contents, look_into
from talking_face.errors import AudioUnreadable
from talking_face.ffmpeg import Part
from talking_face.motion_space import FPS
from talking_face.sound import channels, lengths, tracks
from talking_face.sound.parts import split, tags
from talking_face.sound.prosody import QUIETEST
from talking_face.sound.rates import SAMPLE_RATE, SOUND_RATE

MAX_PARTS = 256
MAX_TRACKS = 32
MAX_CHANNELS = 64  # that ffmpeg can mix

ADVICE = "Use a sound or video file that a media player can play."

_DECODING = 120.0  # seconds of wall time; 10 minutes of sound decode in a few
_COPIED = 1 << 24  # bytes at once
_BLOCK = 10  # seconds of a track that are looked at together
_LOST = 0.5  # seconds at the end of a file, and more, that are missed
_DAMAGED = 3  # complaints; where recordings were joined there are one or two
_NO_FRAME = "Header missing"  # in what isn't sound, such as a title between two recordings
_CUT_SHORT = (
    "The recording ends too early: of its {told:.1f} s only the first {there:.1f} s are there."
)
_PART_DAMAGED = "Some of the recording is damaged and left out."
# Times that go back, and what ffmpeg says about a decoder's complaint, behind it.
_NO_DAMAGE = ("dts", "Error submitting packet", "Error while decoding")

_CLIPPED = 0.001  # share of samples beyond full scale; with so few it was meant, and they are cut
_NUMBERS = "aeval='if(isnan(val(ch))+isinf(val(ch)),0,val(ch))':c=same,"

# Two channels as loud as they are: left alone, ffmpeg takes 3 dB off mono. Some decoders don't say
# that their one channel is mono, which must be named before it can be put on both sides.
_NAMED = "aformat=channel_layouts=mono|stereo|3.0|4.0|5.0|5.1|6.1|7.1,"
_STEREO = f"{_NAMED}pan=stereo|FL<FL+FC|FR<FR+FC"
# One or two without a place, or at one where ffmpeg mixes nothing: `val` of what isn't there is
# the last one's.
_BOTH = "aeval=val(0)|val(1):c=stereo"
# Of more channels, as ffmpeg thinks fit; in floating point, where it doesn't turn them down.
_MIX = "aformat=sample_fmts=fltp:channel_layouts=stereo"
_MONO = "aformat=sample_fmts=fltp:channel_layouts=mono"

# Each piece is heard where the one before it ends, unless it comes late by more than _GAP. Small
# steps are no gaps: where the format changes on the way, demuxers go on counting in the old one.
# Register 0 holds the length of the piece before, 1 the sum of the gaps, 2 how late this one is,
# all in samples. What is later than any recording may last costs no more silence than that.
_GAP = SOUND_RATE // 4
_LATEST = 600 * SOUND_RATE
_TIMES = (
    f"asetpts='st(2, min({_LATEST}, if(isnan(PREV_INPTS), PTS, PTS - PREV_INPTS - ld(0))));"
    f"st(1, ld(1) + ld(2) * gt(ld(2), if(isnan(PREV_INPTS), 0, {_GAP})));"
    "st(0, S); NB_CONSUMED_SAMPLES + ld(1)',aresample=async=1:first_pts=0"
)


def decode(path: Path, seconds: float) -> tuple[Array, tuple[str, ...]]:
    """The sound of a file, from its beginning to `seconds` at most.

    Sound that starts later than the picture of a video, or goes on after a gap, is preceded by
    silence, so that the samples keep the time of the file.

    Returns:
        (n, 2) int16 at 48 kHz, and sentences about what was chosen or repaired.

    Raises:
        AudioUnreadable: not a sound, damaged, or a video without sound.
        FfmpegMissing.
    """
    until = time.monotonic() + _DECODING
    try:
        parts = split(path)
    except OSError as error:
        raise AudioUnreadable(
            f"{path.name} can't be read ({error.strerror}). Check who may read it."
        ) from error
    if parts[-1][1] == 0:
        raise AudioUnreadable(f"{path.name} is empty. Use another copy of the recording.")
    notes = _told_parts(len(parts))
    sounds: list[Array] = []
    missed: list[AudioUnreadable] = []
    wanted = round(seconds * SOUND_RATE)
    for part in parts[:MAX_PARTS]:
        try:
            with _opened(path, part if len(parts) > 1 else None, notes) as (source, share):
                reader = _Reader(path, source, until, share)
                sounds.append(reader.sound(wanted))
        except AudioUnreadable as error:
            if time.monotonic() > until:
                raise
            missed.append(error)
            continue
        notes += reader.notes
        wanted -= len(sounds[-1])
        if wanted <= 0:
            break
    if not sounds:
        raise missed[0]
    if missed:
        some = "One of them can't be read and is"
        several = f"{len(missed)} of them can't be read and are"
        notes.append(f"{some if len(missed) == 1 else several} left out.")
    return np.concatenate(sounds), tuple(dict.fromkeys(notes))


@contextmanager
def _opened(
    path: Path, part: Part | None, notes: list[str]
) -> Iterator[tuple[list[str], float | None]]:
    """Options that open a part of a file, all of it for None; a copy if it tells a wrong length.

    And which share of the samples that it says it has are there, where it says so.
    """
    start, end = part or (0, path.stat().st_size)
    with path.open("rb") as file:
        correction = lengths.correction(file, (start, end))
        if not correction.patches:
            yield ffmpeg.source(path, part), correction.share
            return
        if correction.shorter:
            notes.append("The file says that it is shorter than it is; all of it is used.")
        with tempfile.TemporaryDirectory(prefix="talking_face_") as folder:
            copy = Path(folder) / f"copy{path.suffix}"
            try:
                file.seek(start)
                _copy(file, end - start, copy, correction.patches)
            except OSError as error:
                raise AudioUnreadable(
                    f"{path.name} tells a wrong length, and can't be copied to put that right "
                    f"({error.strerror}). Make room for temporary files."
                ) from error
            yield ffmpeg.source(copy), None


def _copy(file: BinaryIO, count: int, copy: Path, patches: tuple[lengths.Patch, ...]) -> None:
    """Copy so many bytes of a file, and write others over some of them."""
    with copy.open("wb") as target:
        while count > 0 and (block := file.read(min(_COPIED, count))):
            target.write(block)
            count -= len(block)
        for at, data in patches:
            target.seek(at)
            target.write(data)


def _mixed(sounds: Iterator[Array]) -> Array:
    """The sum of (n, 2) int16, which may end at different times; nothing is turned down."""
    mix = next(sounds)
    for sound in sounds:
        longer, shorter = (mix, sound) if len(mix) >= len(sound) else (sound, mix)
        mix = longer.copy()
        both = mix[: len(shorter)].astype(np.int32) + shorter
        mix[: len(shorter)] = np.clip(both, -(2**15), 2**15 - 1)
    return mix


def _told_parts(count: int) -> list[str]:
    if count == 1:
        return []
    if count > MAX_PARTS:
        return [f"The file holds {count} recordings, of which the first {MAX_PARTS} are used."]
    return [f"The file holds {count} recordings, which are used one after the other."]


@dataclass(frozen=True)
class _Reader:
    """One recording, by the options that open it, and until when it may take to read it."""

    path: Path
    source: list[str]
    until: float  # of the monotonic clock
    share: float | None = None  # of the samples that it says it has, that are there
    notes: list[str] = field(default_factory=list)

    def sound(self, most: int) -> Array:
        """As `decode`; `most` samples a channel."""
        contents = look_into(self.source, self._left())
        if isinstance(contents, ffmpeg.Ended):
            raise self._trouble(contents)
        if not contents.layouts:
            raise AudioUnreadable(
                f"{self.path.name} has no sound. Use a recording with a sound track."
            )
        chosen = self._choose_tracks(contents)
        sound = _mixed(self._track(track, contents, most) for track in chosen)
        seconds = len(sound) / SOUND_RATE
        told = self.share and seconds / self.share
        if contents.alone and contents.seconds:
            told = contents.seconds - max(0.0, contents.start)
        other = len(sound) == most or _PART_DAMAGED in self.notes  # reasons why it is shorter
        if told and told - seconds > _LOST and not other:
            self.notes.append(_CUT_SHORT.format(there=seconds, told=told))
        return sound

    def _track(self, track: int, contents: Contents, most: int) -> Array:
        mix = self._choose_mix(track, contents.layouts[track])
        if contents.floating[track]:
            mix = self._to_full_scale(track) + mix
        sound = self._decode(track, mix, contents.timed, most)
        silence = min(_LATEST, round(contents.late[track] * SOUND_RATE))
        return np.pad(sound, ((silence, 0), (0, 0)))[:most] if silence else sound

    def _choose_tracks(self, contents: Contents) -> list[int]:
        count = min(len(contents.layouts), MAX_TRACKS)
        if count == 1:
            return [0]
        heard_on = [self._voices(track, contents.late[track]) for track in range(count)]
        chosen, told = tracks.choose(heard_on, contents.preferred)
        self.notes.append(told)
        return chosen

    def _choose_mix(self, track: int, layout: str | None) -> str:
        """The filter that makes two channels of a track's."""
        if layout in ("mono", "stereo", None):
            return _STEREO
        counted = re.match(r"(\d+) channels", layout)
        unnamed = counted is not None and counted[0] == layout  # else their places follow
        count = int(counted[1]) if counted else 0
        if count in (1, 2):
            return _BOTH
        if count > MAX_CHANNELS:
            raise AudioUnreadable(
                f"{self.path.name} has {count} channels. "
                f"Use a recording with {MAX_CHANNELS} at most."
            )
        curves = self._levels(track, "anull")
        if not unnamed:
            mix = self._levels(track, _MONO)
            frames = min(curves.shape[1], mix.shape[1])
            if frames and channels.keeps(mix[0, :frames], curves[:, :frames]):
                return _MIX
        if not curves.size:  # then decoding will say why
            return _MIX
        chosen = channels.best(curves)
        self.notes.append(channels.told(chosen, len(curves)))
        sum_ = "+".join(f"{len(chosen) ** -0.5:.3f}*c{channel}" for channel in chosen)
        return f"pan=stereo|c0={sum_}|c1={sum_}"

    def _to_full_scale(self, track: int) -> str:
        """Filters in front of all others for floating point numbers that don't keep to [-1, 1]."""
        command = [*ffmpeg.command(), *self.source, "-map", f"0:a:{track}", "-c:a", "pcm_f32le"]
        count = beyond = wrong = 0
        peak = 1.0
        with ffmpeg.started([*command, "-f", "f32le", "-"], stdout=subprocess.PIPE) as process:
            while block := process.read(4 * _BLOCK * SOUND_RATE, self._left()):
                samples = np.abs(np.frombuffer(block[: len(block) // 4 * 4], "<f4"))
                finite = np.isfinite(samples)
                count, wrong = count + len(samples), wrong + int((~finite).sum())
                beyond += int((samples[finite] > 1.0).sum())
                peak = max(peak, float(samples.max(initial=0.0, where=finite)))
        filters = _NUMBERS if wrong else ""
        if beyond > _CLIPPED * count:
            self.notes.append("The recording is louder than full scale, so it is turned down.")
            filters += f"volume={1 / peak:.6e}:precision=float,"
        return filters

    def _levels(self, track: int, filters: str) -> Array:
        """`channels.levels` of a track behind some filters; of no frames if it can't be read."""
        curves = [channels.levels(block) for block in self._samples(track, filters)]
        return np.concatenate(curves, axis=1) if curves else np.zeros((1, 0), dtype=np.float32)

    def _voices(self, track: int, late: float) -> tuple[Array, Array]:
        """`channels.levels` and `channels.glides` of a track; of no frames if it can't be read.

        With silence in front of one that starts so many seconds late.
        """
        heard = [(channels.levels(b), channels.glides(b)) for b in self._samples(track, "anull")]
        if not heard:
            return np.zeros((1, 0), dtype=np.float32), np.zeros(0, dtype=bool)
        levels, glides = (np.concatenate(part, axis=-1) for part in zip(*heard, strict=True))
        before = round(min(late, _LATEST / SOUND_RATE) * FPS)
        silent = np.pad(levels, ((0, 0), (before, 0)), constant_values=QUIETEST)
        return silent, np.pad(glides, (before, 0))

    def _samples(self, track: int, filters: str) -> Iterator[Array]:
        """(n, channels) float32, 16 kHz: a track behind some filters, block by block."""
        command = [*self._command(track, filters, SAMPLE_RATE), "-c:a", "pcm_s16be", "-f", "au"]
        with ffmpeg.started([*command, "-"], stdout=subprocess.PIPE) as process:
            yield from self._blocks(process)

    def _blocks(self, process: ffmpeg.Process) -> Iterator[Array]:
        """Samples out of an AU file, whose header tells how many channels there are."""
        header = process.read(24, self._left())
        if len(header) < 24:
            return
        _, start, _, _, _, count = struct.unpack(">4s5I", header)
        process.read(start - len(header), self._left())
        size = 2 * count
        while block := process.read(_BLOCK * SAMPLE_RATE * size, self._left()):
            samples = np.frombuffer(block[: len(block) // size * size], ">i2").reshape(-1, count)
            if len(samples):
                yield samples.astype(np.float32) / 2**15

    def _decode(self, track: int, mix: str, timed: bool, most: int) -> Array:
        command = [*self._command(track, mix, SOUND_RATE), "-c:a", "pcm_s16le"]
        if timed:
            data = self._timed([*command, "-f", "nut", "-"], most * 4)
        else:
            with ffmpeg.started([*command, "-f", "s16le", "-"], stdout=subprocess.PIPE) as process:
                data = process.read(most * 4, self._left())
                if len(data) < most * 4:
                    self._check(process)
        return np.frombuffer(data[: len(data) // 4 * 4], "<i2").reshape(-1, 2)

    def _timed(self, command: list[str], size: int) -> bytes:
        """Decode to one format first, and only then put the pieces where they belong.

        One run can't do both: it begins to count anew wherever the format changes.
        """
        pipe = ["-protocol_whitelist", "pipe", "-copyts", "-f", "nut", "-i", "pipe:0"]
        placing = [*ffmpeg.command(), *pipe, "-af", _TIMES, "-c:a", "pcm_s16le", "-f", "s16le", "-"]
        with ffmpeg.started(command, stdout=subprocess.PIPE) as decoder:
            assert decoder.stdout is not None
            with ffmpeg.started(placing, decoder.stdout, subprocess.PIPE) as placer:
                decoder.stdout.close()  # the placer alone reads it
                data = placer.read(size, self._left())
                if len(data) < size:
                    self._check(decoder)
                    self._check(placer)
        return data

    def _command(self, track: int, filters: str, rate: int) -> list[str]:
        command = [*ffmpeg.command(), *self.source, "-map", f"0:a:{track}", "-af", filters]
        return [*command, "-ar", str(rate)]

    def _check(self, process: ffmpeg.Process) -> None:
        """Wait for an ffmpeg that has told all its sound, and hear whether there was trouble."""
        ended = process.end(self._left())
        if ended.failed:
            raise self._trouble(ended)
        said = ended.said.splitlines()
        said = [line for line in said if not any(words in line for words in _NO_DAMAGE)]
        if len(said) >= _DAMAGED:
            said = said[min(sum(_NO_FRAME in line for line in said), tags(self.path)) :]
        if len(said) >= _DAMAGED:
            self.notes.append(_PART_DAMAGED)

    def _trouble(self, ended: ffmpeg.Ended) -> AudioUnreadable:
        cause = ended.cause("it is damaged")
        return AudioUnreadable(f"{self.path.name} can't be read as a sound: {cause}. {ADVICE}")

    def _left(self) -> float:
        """Seconds."""
        return max(0.0, self.until - time.monotonic())
