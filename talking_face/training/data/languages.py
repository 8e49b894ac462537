"""Which language a clip speaks, where its source or its file's name tells."""

from __future__ import annotations

import re

from talking_face.training.data.examples import Example

OF_SOURCE = {"grid": "English", "lrwar": "Arabic", "firstimp": "English"}
OF_CODE = {
    "ar": "Arabic", "en": "English", "hi": "Hindi", "kr": "Korean", "pl": "Polish",
    "pt": "Portuguese", "th": "Thai", "zh": "Mandarin",
}  # fmt: skip
_NAMED = re.compile(r"_Language_([a-z]{2})__")  # as TalkVid names clips


def language(example: Example) -> str | None:
    """In English; None where nothing tells."""
    named = _NAMED.search(example.key)
    if named:
        return OF_CODE.get(named.group(1))
    return OF_SOURCE.get(example.source)
