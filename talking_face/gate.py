"""A door that whoever runs the program may keep: a callable of theirs that refuses material.

$TALKING_FACE_GATE names it, as `module:function`. It is called with a kind and the material,
before any work on it:

    "photo", an (H, W, 3) uint8 RGB array
    "sound", a `talking_face.sound.audio.Recording`
    "text", what is to be spoken

and answers None, or a sentence that says why this is refused. What it raises ends the work, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

from talking_face.errors import OptionInvalid, Refused

GATE_VARIABLE = "TALKING_FACE_GATE"

Kind = Literal["photo", "sound", "text"]
Gate = Callable[[str, Any], "str | None"]


def admit(kind: Kind, material: Any) -> None:
    """Let the installation's gate look at something, if there is a gate.

    Raises:
        Refused: with its sentence.
        OptionInvalid: there should be a gate, and it can't be found.
    """
    named = os.environ.get(GATE_VARIABLE)
    if named:
        reason = _gate(named)(kind, material)
        if reason:
            raise Refused(str(reason))


@lru_cache(maxsize=4)
def _gate(named: str) -> Gate:
    module, _, function = named.partition(":")
    try:
        gate: Gate = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise OptionInvalid(
            f"{GATE_VARIABLE} names {named}, and there is no such function ({error}). "
            "Write it as module:function."
        ) from error
    return gate
