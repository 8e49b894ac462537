"""What a visitor gives and chooses: photo, voice, settings. `wiring.py` brings them to life."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from talking_face.editing.edit import RANGES
from talking_face.options import (
    FRAMINGS,
    MAX_DIVERSITY,
    MAX_SAMPLES,
    MAX_SEED,
    MAX_TEXT,
    STYLES,
    VOICE_SPEEDS,
)
from talking_face.sound.voice import voices
from talking_face.web.settings import SIZES, STRENGTHS, Settings

STRENGTH_TEXTS = {  # label and what it does
    "pose_strength": ("Pose strength", "How much the head moves. 0 holds it still, 1 is natural."),
    "expression": ("Expression strength", "Of brows and of what the mouth does besides speaking."),
}


@dataclass(frozen=True)
class Material:
    """Photo and voice."""

    photo: gr.Image
    faces: gr.Image
    face: gr.Dropdown
    audio: gr.Audio
    heard: gr.HTML
    film: gr.UploadButton
    text: gr.Textbox
    voice: gr.Dropdown
    speed: gr.Slider
    speak: gr.Button
    phonemes: gr.Textbox

    @classmethod
    def create(cls) -> Material:
        photo = gr.Image(
            label="Photo",
            type="filepath",
            sources=["upload", "clipboard"],
            buttons=[],
            height=230,
            placeholder="Drop a photo here, or click to choose one.\nOne face, from the front.",
            elem_id="photo",
        )
        faces = gr.Image(
            label="Click the face that should talk",
            interactive=False,
            visible=False,
            buttons=[],
            elem_id="faces",
        )
        face = gr.Dropdown(
            label="Which face", info="The photo has several.", visible=False, elem_id="face"
        )
        audio = gr.Audio(
            label="Recording",
            type="filepath",
            sources=["upload", "microphone"],
            buttons=[],
            elem_id="audio",
        )
        heard = gr.HTML(visible=False, elem_id="heard")
        film = gr.UploadButton(
            "Take the sound of a video", file_types=["video"], size="sm", elem_id="film"
        )
        there = [(voice.label, voice.id) for voice in voices()]
        with gr.Accordion(
            "No recording? Type what to say", open=False, visible=bool(there), elem_id="typing"
        ):
            text = gr.Textbox(
                label="Text",
                lines=3,
                max_length=MAX_TEXT,
                placeholder="Good morning. This is what I want to say.",
                elem_id="text",
            )
            with gr.Row():
                voice = gr.Dropdown(
                    there,
                    value=there[0][1] if there else None,
                    label="Voice",
                    min_width=190,
                    elem_id="voice",
                )
                speed = gr.Slider(*VOICE_SPEEDS, 1, step=0.05, label="Speed", min_width=140)
            speak = gr.Button("Speak it, to listen first", size="sm", elem_id="speak")
            phonemes = gr.Textbox(
                label="How the voice says it",
                lines=1,
                interactive=False,
                visible=False,
                elem_id="phonemes",
            )
        return cls(photo, faces, face, audio, heard, film, text, voice, speed, speak, phonemes)


@dataclass(frozen=True)
class Choices:
    """What is chosen before sampling, by the names of `Settings`."""

    parts: dict[str, Any]
    dice: gr.Button
    backdrop: gr.Image

    @classmethod
    def create(cls, feeling: dict[str, Any]) -> Choices:
        parts = dict(feeling)
        parts["samples"] = gr.Slider(
            1,
            MAX_SAMPLES,
            Settings.samples,
            step=1,
            label="Samples",
            info="How many different clips.",
        )
        parts["diversity"] = gr.Slider(
            0,
            MAX_DIVERSITY,
            Settings.diversity,
            step=0.1,
            label="Diversity",
            info="How much they differ. 1 is natural.",
        )
        parts["style"] = gr.Radio(
            [(name.capitalize(), name) for name in STYLES],
            value=Settings.style,
            label="Style",
            info="How lively head and brows are drawn.",
            elem_id="style",
        )
        for name in STRENGTHS:
            label, info = STRENGTH_TEXTS[name]
            parts[name] = gr.Slider(
                *RANGES[name],
                getattr(Settings, name),
                step=0.1,
                label=label,
                info=info,
                elem_id=name.replace("_", "-"),
            )
        with gr.Row(elem_id="seeds"):
            parts["seed"] = gr.Number(
                Settings.seed,
                precision=0,
                minimum=0,
                maximum=MAX_SEED,
                min_width=120,
                label="Seed",
                info="The same seed gives the same clips.",
                elem_id="seed",
            )
            dice = gr.Button("⚄ Roll", size="sm", scale=0, min_width=80)
        parts["takes"] = gr.Textbox(Settings.takes, visible=False)
        parts["framing"] = gr.Radio(
            [*zip(("Head and shoulders", "Whole photo"), FRAMINGS, strict=True)],
            value=Settings.framing,
            label="Framing",
        )
        parts["size"] = gr.Dropdown(
            [("As suits the photo", 0), *((f"{size} pixels", size) for size in SIZES)],
            value=Settings.size,
            label="Size of the clips",
            info="Smaller ones are made sooner.",
            elem_id="size",
        )
        parts["background"] = gr.Radio(
            [("As in the photo", "photo"), ("A colour", "colour"), ("An image", "image")],
            value=Settings.background,
            label="Background",
            elem_id="background",
        )
        parts["colour"] = gr.ColorPicker(
            Settings.colour, label="Colour", visible=False, elem_id="colour"
        )
        backdrop = gr.Image(
            label="Image behind the head",
            type="filepath",
            sources=["upload"],
            buttons=[],
            height=160,
            visible=False,
            elem_id="backdrop",
        )
        return cls(parts, dice, backdrop)
