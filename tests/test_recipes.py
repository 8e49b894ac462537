"""Links that hold the settings of a result, and sliders and edits that say the same."""

import inspect
import json

import gradio as gr
import pytest

import app
from talking_face import arguments
from talking_face.edit_arguments import edits_of
from talking_face.editing.edit import RANGES, Edit
from talking_face.errors import (
    OptionInvalid,
)
from talking_face.options import MAX_POSE_STRENGTH
from talking_face.web import endpoints, settings
from talking_face.web.settings import Settings


def test_a_recipe_tells_which_takes_are_shown() -> None:
    takes = [(7, 0), (7, 5), (9, 2)]
    told = settings.told_takes([takes[0], None, *takes[1:]], 7)
    assert told == "0,5,2@9"
    assert Settings(seed=7, takes=told).shown_takes() == takes
    assert settings.told_takes([(7, 0), (7, 1)], 7) == ""
    with pytest.raises(OptionInvalid, match="takes can't be read"):
        Settings(takes="0;1").shown_takes()


def test_a_link_restores_what_it_can() -> None:
    told = {"seed": "7", "smile": "0.5", "diversity": "much", "samples": "99", "photo": "x.jpg"}
    told |= {"framing": "photo", "style": "grand", "brows": "7", "stop": "-1"}
    told |= {"feeling": "0.5,-2", "feeling_strength": "7"}
    values = settings.from_recipe(json.dumps(told))
    assert values["seed"] == 7
    assert values["smile"] == 0.5
    assert values["samples"] == 6
    assert values["diversity"] == Settings.diversity
    assert values["framing"] == "photo"
    assert values["style"] == Settings.style
    assert values["brows"] == 1
    assert values["stop"] == 0
    assert (values["feeling"], values["feeling_strength"]) == (Settings.feeling, 1.5)
    assert "photo" not in values
    for feeling in ("sad", "0.5,-0.25"):
        assert settings.from_recipe(json.dumps({"feeling": feeling}))["feeling"] == feeling
    for broken in (None, "", "[1]", "{", '{"seed": "1e999"}'):
        assert settings.from_recipe(broken) == settings.from_recipe("{}")


def test_sliders_and_edits_say_the_same() -> None:
    assert Settings().edits == ()
    assert Settings(start=1, stop=2).edits == ()
    assert Settings(feeling="sad", start=1).edits == (Edit(feeling="sad", start=1),)
    assert Settings(feeling="0.5,-0.25").edits == (Edit(feeling=(0.5, -0.25)),)
    assert Settings(feeling_strength=0.5).edits == (Edit(feeling="voice", feeling_strength=0.5),)
    (edit,) = Settings(gaze_x=3, gaze_y=-2, start=1, stop=2).edits
    assert edit == Edit(gaze=(3, -2), start=1, stop=2)


@pytest.mark.slow
def test_strengths_are_the_same_everywhere() -> None:
    """On the page, in the API and on the command line: default, range and meaning."""
    demo = app.create_demo()
    for name, label in (("pose_strength", "Pose strength"), ("expression", "Expression strength")):
        sliders = [part for part in demo.blocks.values() if getattr(part, "label", "") == label]
        (slider,) = sliders
        default = getattr(Edit(), name)
        assert (slider.minimum, slider.maximum) == RANGES[name]
        assert slider.value == inspect.signature(endpoints.generate).parameters[name].default
        assert slider.value == default
        box = slider.parent
        while not isinstance(box, gr.Accordion):
            box = box.parent
        assert box.label == "Settings"
    command = ["photo.jpg", "speech.wav"]
    assert arguments.parse(command).pose_strength == Edit().pose_strength
    assert edits_of(arguments.parse(command)) == Settings().edits
    said = arguments.parse([*command, "--expression", "0.5"])
    assert edits_of(said) == Settings(expression=0.5).edits
    assert RANGES["pose_strength"] == (0, MAX_POSE_STRENGTH)
    with pytest.raises(OptionInvalid, match="Expression must be between 0 and 2"):
        _ = Settings(expression=2.1).edits


def test_a_picked_colour_is_understood() -> None:
    assert Settings(colour="rgba(16, 32.4, 255, 1)").colour == "#1020ff"
    assert Settings(colour="#abcdef").colour == "#abcdef"
