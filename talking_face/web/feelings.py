"""Feelings on the page: what was heard, in words and as a curve, and what is chosen instead.

The choice is one value, as `talking_face.moods.check_feeling` reads it; `app.js` keeps its buttons
and its pad in step.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from talking_face.arrays import Array
from talking_face.moods import FEELINGS, MAX_STRENGTH, MOODS, NONE, PLACES, VOICE
from talking_face.sound.emotion import Emotion
from talking_face.web.settings import Settings

NAMES = {VOICE: "From the voice", NONE: "None"}
UNSURE = 0.45  # probability of the likeliest mood below which it is only guessed
CLEAR = 0.3  # of valence and arousal: less isn't spoken of
HEIGHT = 40.0  # of the curves, in a hundred units of width
# Both names of an event are needed here, in quotes, or Gradio doesn't know that there is one.
ON_LOAD = "talkingFace.feelings(element, props, () => (trigger('input'), trigger('change')), watch)"


def feeling_parts() -> dict[str, Any]:
    """The components of the choice, by the names of `Settings`."""
    return {
        "feeling": gr.HTML(
            Settings.feeling, html_template=_choice(), js_on_load=ON_LOAD, elem_id="feeling"
        ),
        "feeling_strength": gr.Slider(
            0,
            MAX_STRENGTH,
            Settings.feeling_strength,
            step=0.1,
            label="Feeling strength",
            info="How much of it is shown. 1 is natural.",
            elem_id="feeling-strength",
        ),
    }


def _choice() -> str:
    """Buttons for the names, and a pad for every place between the moods."""
    buttons = "".join(
        f'<button type="button" role="radio" data-feeling="{name}" aria-checked="false" '
        f'tabindex="-1">{NAMES.get(name, name.capitalize())}</button>'
        for name in FEELINGS
    )
    words = "".join(
        f'<span style="left:{50 + 46 * x:.2f}%;top:{50 - 46 * y:.2f}%" '
        f'data-place="{name}" aria-hidden="true">{name}</span>'
        for name, (x, y) in PLACES.items()
    )
    return (
        '<div class="choice"><div class="moods" role="radiogroup" aria-label="Feeling">'
        f"{buttons}</div>"
        '<div class="pad" role="slider" tabindex="0" aria-label="Feeling by valence (left and '
        'right) and arousal (up and down)" aria-valuemin="-1" aria-valuemax="1" '
        f'aria-valuenow="0"><i></i>{words}<b></b></div></div>'
    )


def heard_words(heard: Emotion) -> str:
    """What was heard, in a sentence or two; of the tone only what is clear."""
    chances = heard.probabilities.mean(axis=0)
    first, second = np.argsort(-chances)[:2]
    sure = f"{100 * chances[first]:.0f} % sure"
    if chances[first] < UNSURE:
        told = f"Hard to say: perhaps {MOODS[first]} or {MOODS[second]} ({sure})."
    else:
        told = f"The voice sounds {MOODS[first]} ({sure})."
    tone = _word(heard.valence, "unpleasant", "pleasant"), _word(heard.arousal, "calm", "excited")
    said = " and ".join(word for word in tone if word)
    return f"{told} Its tone is {said}." if said else told


def _word(values: Array, low: str, high: str) -> str:
    mean = float(np.mean(values))
    return "" if abs(mean) < CLEAR else high if mean > 0 else low


def heard_picture(heard: Emotion | None) -> str:
    """HTML of what was heard over time: words, and curves of valence, arousal and confidence."""
    if heard is None:
        return ""
    end = float(heard.seconds[-1] + heard.seconds[0])
    across = 100 * heard.seconds / end
    sure = _points(across, HEIGHT * (1 - heard.confidence))
    curves = "".join(
        f'<polyline class="{name}" points="{_points(across, HEIGHT * (1 - values) / 2)}"/>'
        for name, values in (("valence", heard.valence), ("arousal", heard.arousal))
    )
    words = heard_words(heard)
    return (
        f'<div class="heard"><p>{words}</p>'
        f'<svg viewBox="0 0 100 {HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="Valence, arousal and confidence over time">'
        f'<polygon class="sure" points="{across[0]:.1f},{HEIGHT:g} {sure} '
        f'{across[-1]:.1f},{HEIGHT:g}"/>'
        f'<line x1="0" x2="100" y1="{HEIGHT / 2:g}" y2="{HEIGHT / 2:g}"/>{curves}</svg>'
        '<p class="legend"><span class="valence">valence</span> <span class="arousal">arousal'
        '</span> <span class="sure">confidence</span></p></div>'
    )


def _points(x: Array, y: Array) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
