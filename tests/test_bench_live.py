"""What is said of a live face that is spoken to for minutes."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from talking_face.bench_live import pace
from talking_face.live.supply import SOUND_FRAME
from talking_face.motion import FPS


def told(lost: int, capsys: pytest.CaptureFixture[str], left_out: int = -1) -> str:
    """What `pace` prints of two seconds, of which so many samples of one frame are lost."""
    moments = []
    waiting = 0
    for number in range(2 * FPS + 1):
        waiting += SOUND_FRAME - (lost if number == FPS else 0)
        if number == left_out:
            continue
        moments.append(SimpleNamespace(time=number / FPS, sound=np.zeros(waiting, np.int16)))
        waiting = 0
    animator: Any = SimpleNamespace(stream=lambda *_, **__: nullcontext(moments))
    face: Any = None
    pace(animator, face, np.zeros(16_000, np.float32), 2 / 60)
    return capsys.readouterr().out


def test_sound_that_parts_from_the_frames_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ends 0.0 ms off" in told(0, capsys)
    assert "ends 20.0 ms off" in told(SOUND_FRAME // 2, capsys)


def test_frames_that_are_left_out_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert "100 % of the frames are shown" in told(0, capsys)
    assert "98 % of the frames are shown" in told(0, capsys, left_out=7)
    assert "ends 0.0 ms off" in told(0, capsys, left_out=7)  # its sound comes with the next one
