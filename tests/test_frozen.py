"""Values made of arrays: safe from writing, comparable, and their copies too."""

import copy
import importlib
import pickle
import pkgutil
import re
from dataclasses import dataclass, fields, is_dataclass, replace

import numpy as np
import pytest

import talking_face
from talking_face.clips.clip import Clip
from talking_face.face.face import Face
from talking_face.face.model import Pose
from talking_face.frozen import Frozen, read_only, sealed
from talking_face.motion import CHANNELS, N_CHANNELS, Motion
from talking_face.picture.plate import Plate
from talking_face.sound.audio import Recording
from talking_face.sound.speech import Speech
from talking_face.web.orders import Order
from talking_face.web.shots import Shot


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


def recording(**changes: object) -> Recording:
    return replace(Recording(numbers(16000)), **changes)


def pose(**changes: object) -> Pose:
    return replace(Pose(np.eye(3), np.array(60.0), np.array([1.0, 2.0, 0.0])), **changes)


def motion(**changes: object) -> Motion:
    return replace(Motion.from_array(numbers(20, N_CHANNELS)), **changes)


def speech(**changes: object) -> Speech:
    curves = {name: numbers(25) for name in ("energy", "activity", "pitch", "voicing")}
    made = Speech(recording(), numbers(80, 100), numbers(25, 6, 512), **curves)
    return replace(made, **changes)


def face(**changes: object) -> Face:
    photo = np.full((64, 64, 3), 9, dtype=np.uint8)
    return replace(
        Face(photo, numbers(478, 3), pose(), numbers(478, 3), numbers(22), "abc"), **changes
    )


CHANGES = [
    (recording, {"waveform": np.zeros(16000, np.float32)}),
    (pose, {"scale": np.array(61.0)}),
    (motion, {"gaze": np.zeros((20, 2))}),
    (speech, {"energy": np.zeros(25, np.float32)}),
    (speech, {"recording": recording(waveform=np.zeros(16000, np.float32))}),
    (face, {"photo": np.zeros((64, 64, 3), np.uint8)}),
    (face, {"pose": pose(origin=np.zeros(3))}),
    (face, {"digest": "abd"}),
]


@pytest.mark.parametrize(("make", "changes"), CHANGES)
def test_equal_content_makes_equal_and_other_content_does_not(make, changes) -> None:
    assert make() is not make()
    assert make() == make()
    assert hash(make()) == hash(make())
    assert make(**changes) != make()
    assert len({make(), make(), make(**changes)}) == 2
    assert make() != "something else"
    assert make() != None  # noqa: E711


def test_length_type_and_missing_parts_tell_apart() -> None:
    assert motion()[:10] != motion()
    assert Recording(np.zeros(9, np.float32)) != Recording(np.zeros(9, np.float64))
    assert pose(scale=None) != pose()
    assert pose(scale=np.float64(60.0)) == pose()  # what arithmetic makes of an array ()
    assert hash(pose(scale=np.float64(60.0))) == hash(pose())


def test_minus_zero_equals_zero_and_has_its_hash() -> None:
    still, turned = Motion.still(3), Motion.still(3).replace(gaze=np.full((3, 2), -0.0))
    assert still == turned
    assert hash(still) == hash(turned)


def test_clips_and_shots_compare(tmp_path) -> None:
    assert Clip(0, 1, motion()) == Clip(0, 1, motion())
    assert Clip(0, 1, motion()) != Clip(0, 1, Motion.still(20))
    order = Order(tmp_path / "photo.jpg", tmp_path / "voice.wav")
    assert Shot(order, "sample 1", motion()) == Shot(order, "sample 1", motion())
    assert Shot(order, "sample 1", motion()) != Shot(order, "sample 1", Motion.still(20))
    image = np.zeros((64, 64, 3), np.uint8)
    plates = [Plate(image, pose(), image, 0, 0, 0, image, image, None) for _ in range(2)]
    assert plates[0] == plates[0]
    assert plates[0] != plates[1]


def test_no_class_of_arrays_compares_them_as_if_they_were_numbers() -> None:
    """What `@dataclass` does by itself raises: an array of truths is not one truth."""
    for found in pkgutil.walk_packages(talking_face.__path__, "talking_face."):
        if ".training" in found.name or found.name.endswith("__main__"):
            continue
        for kind in vars(importlib.import_module(found.name)).values():
            if isinstance(kind, type) and is_dataclass(kind):
                types = [str(field.type) for field in fields(kind)]
                if any(re.match(r"(tuple\[)?(np\.ndarray|Tensor)", name) for name in types):
                    assert not kind.__dataclass_params__.eq, kind


# -- writing --------------------------------------------------------------------------------------


def arrays_of(value: Frozen) -> list[np.ndarray]:
    found = []
    for part in (getattr(value, field.name) for field in fields(value)):
        if isinstance(part, Frozen):
            found += arrays_of(part)
        elif isinstance(part, np.ndarray):
            found.append(part)
    return found


@pytest.mark.parametrize("make", [recording, pose, motion, speech, face])
@pytest.mark.parametrize(
    "copied", [lambda v: v, copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))]
)
def test_nobody_writes_into_a_value_or_its_copies(make, copied) -> None:
    value = copied(make())
    assert value == make()
    assert len(arrays_of(value)) >= 1
    for array in arrays_of(value):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 7
        while isinstance(array.base, np.ndarray):
            array = array.base
            assert not array.flags.writeable
    assert value == make()


def test_arrays_of_the_caller_stay_writable_and_apart() -> None:
    channels = {name: numbers(20, size) for name, size in CHANNELS.items()}
    whole = numbers(1, N_CHANNELS)  # one frame: its channels are contiguous views
    made, one = Motion(**channels), Motion.from_array(whole)
    before, single = made.as_array(), one.as_array()
    for array in (*channels.values(), whole):
        array[:] = 7
    assert np.array_equal(made.as_array(), before)
    assert np.array_equal(one.as_array(), single)
    made.as_array()[:] = 7
    assert np.array_equal(made.as_array(), before)
    sound = numbers(16000)
    recorded = Recording(sound)
    sound[:] = 0
    assert recorded.waveform.any()


def test_only_what_somebody_could_write_into_is_copied() -> None:
    own = sealed(numbers(10))
    assert read_only(own) is own
    assert read_only(own[2:]).base is own
    unchangeable = np.frombuffer(b"12345678", dtype=np.float32)
    assert read_only(unchangeable) is unchangeable
    theirs = numbers(10)
    for seen in (theirs, theirs[2:], np.broadcast_to(theirs, (3, 10)), sealed(theirs[:4])):
        safe = read_only(seen)
        assert not np.shares_memory(safe, theirs)
        assert not safe.flags.writeable
    assert theirs.flags.writeable
    kept = motion()
    assert kept.replace(gaze=np.zeros((20, 2))).lower is kept.lower


def test_a_field_can_hold_something_else() -> None:
    @dataclass(frozen=True, eq=False)
    class Named(Frozen):
        name: str
        values: np.ndarray | None = None

    assert Named("a") == Named("a") != Named("b")
    assert Named("a") != Named("a", numbers(3))
