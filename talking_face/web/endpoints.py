"""The page's actions for programs: each a documented function, over HTTP and as an MCP tool.

The docstrings are the documentation that clients see. Files arrive as records of uploads, whose
paths nobody has checked before `received` does, and leave as files of Gradio's own folder.
"""

# No "from __future__ import annotations" here: Gradio reads the annotations as types.
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import gradio as gr
from gradio.events import api
from PIL import Image
from typing_extensions import TypedDict  # the one of Python 3.10 isn't enough for pydantic

from talking_face.arrays import Array
from talking_face.clips.credentials import Origin
from talking_face.clips.marks import write_picture
from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.video import write_comparison
from talking_face.editing import change
from talking_face.editing.edit import PRESETS, RANGES, Edit
from talking_face.errors import MotionUnreadable, OptionInvalid, UploadUnknown
from talking_face.motion import Motion
from talking_face.options import Framing, number
from talking_face.sound.voice import voices
from talking_face.web import shots
from talking_face.web.folders import new_folder
from talking_face.web.limits import count_order
from talking_face.web.messages import heeding_client, plain_end, plain_sentences
from talking_face.web.models import animator
from talking_face.web.orders import Order, mesh_over, outlined_faces
from talking_face.web.settings import Settings
from talking_face.web.shots import Shot
from talking_face.web.uploads import Upload, received

EDIT_NAMES = (*RANGES, "start", "stop", "fade", "preset")


class Look(TypedDict, total=False):
    """What a clip shows besides the motion; see `talking_face.options.Look`."""

    framing: Framing
    size: int
    background: str


def generate(
    photo: gr.FileData,
    audio: gr.FileData,
    samples: int = Settings.samples,
    seed: int = Settings.seed,
    diversity: float = Settings.diversity,
    style: Literal["calm", "natural", "lively"] = "natural",
    pose_strength: float = Settings.pose_strength,
    expression: float = Settings.expression,
    edits: list[dict[str, Any]] = [],  # noqa: B006 (the default is shown to clients)
    look: Look = {},  # noqa: B006
    face: int = 0,
    consent: bool = False,
) -> tuple[list[gr.FileData], list[gr.FileData], gr.FileData | None, gr.FileData, int]:
    """Make several different talking clips from one photo and one recording.

    Args:
        photo: an image with a face seen from the front.
        audio: a sound or video file, 0.3 s to 10 minutes.
        samples: how many clips, 1 to 6.
        seed: 0 to 2147483647; the same seed gives the same clips.
        diversity: how much the clips differ, 0 to 1.5.
        style: "calm", "natural" or "lively": how people move who speak so.
        pose_strength: how much the head moves, 0 (still) to 2.
        expression: strength of brows and of what the mouth does besides speaking, 0 to 2.
        edits: changes of the expression; see the endpoint "edit".
        look: a mapping, such as {"framing": "photo", "size": 768}. Names: framing ("crop" for head
            and shoulders, "photo" for the whole photo), size (pixels, the side of the crop or the
            longest side of the photo; 0 for what suits), background ("#rrggbb" puts a colour
            behind the head).
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo and voice; needed.

    Returns:
        The clips (mp4), their motions (npz), all clips side by side (mp4; none for one sample),
        a plot of the motions (png), and the seed.
    """
    values = {"samples": samples, "seed": seed, "diversity": diversity, "style": style}
    values |= {"pose_strength": pose_strength, "expression": expression}
    wanted = heeding_client()
    with plain_sentences(), plain_end():
        values |= _read_look(look)
        order = Order.read(photo, audio, face, consent, None, values)
        order.check()
        count_order()
        changes = (*order.settings.edits, *read_edits(edits))
        places = list(enumerate(order.settings.shown_takes()))
        made = [_finished(shot) for _, shot in shots.draw(order, places, wanted, changes)]
        wanted(1.0, "Comparing")
        comparison = shots.compare(made) if len(made) > 1 else None
        plot = shots.plot(list(enumerate(made)), "light")
    return (
        [_file(shot.path) for shot in made],
        [_file(shot.motion_path) for shot in made],
        _file(comparison) if comparison else None,
        _picture(plot, "plot"),
        order.settings.seed,
    )


def edit(
    photo: gr.FileData,
    audio: gr.FileData,
    motion: gr.FileData,
    edits: list[dict[str, Any]] = [],  # noqa: B006
    look: Look = {},  # noqa: B006
    face: int = 0,
    consent: bool = False,
) -> tuple[gr.FileData, gr.FileData]:
    """Render a motion that is there already, with changes of the expression.

    Args:
        photo: an image with a face seen from the front.
        audio: the recording that the clip is to have.
        motion: of "generate" or "mix" (npz or csv).
        edits: a list of changes that add up, such as [{"smile": 0.8, "start": 1, "stop": 2.5}].
            Names: pose_strength, expression and blinks (0 to 2), mouth_opening (0.5 to 1.5), smile,
            brows, inner_brows and eyes (-1 to 1), gaze ([right, down], degrees), preset (neutral,
            happy, sad, angry, surprised or calm); start, stop and fade in seconds.
        look: framing, size and background, as for the endpoint "generate".
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo and voice; needed.

    Returns:
        The clip (mp4) and the changed motion (npz).
    """
    with plain_sentences(), plain_end():
        shot = _given(photo, audio, motion, edits, look, face, consent)
        count_order()
        ((_, made),) = shots.render([(0, shot)], heeding_client())
        return _file(_finished(made).path), _file(made.motion_path)


def preview(
    photo: gr.FileData,
    motion: gr.FileData,
    edits: list[dict[str, Any]] = [],  # noqa: B006
    seconds: float = -1.0,
    look: Look = {},  # noqa: B006
    face: int = 0,
    consent: bool = False,
) -> gr.FileData:
    """One small frame of a changed motion, at once: what the changes do.

    Args:
        photo: an image with a face seen from the front.
        motion: of "generate" or "mix" (npz or csv).
        edits: a list of changes, as for the endpoint "edit".
        seconds: which moment; -1 takes one that shows the changes well.
        look: framing and background, as for the endpoint "generate".
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo; needed.

    Returns:
        The frame (png).
    """
    with plain_sentences():
        # No sound is needed for a still, so the photo stands in for the recording.
        shot = _given(photo, photo, motion, edits, look, face, consent)
        moment = number("The moment", seconds)
        frame = shots.preview(shot, None if moment < 0 else moment)
    return _picture(frame, "preview")


def mix(lips: gr.FileData, head: gr.FileData, blinks: gr.FileData) -> gr.FileData:
    """A motion with the lips of one, the head, brows and gaze of another, the blinks of a third.

    Args:
        lips: a motion of "generate" (npz or csv).
        head: another of the same length.
        blinks: another of the same length.

    Returns:
        The motion (npz); "edit" renders it.
    """
    with plain_sentences():
        motion = change.mix(*(_motion(part) for part in (lips, head, blinks)))
        path = new_folder() / "mix.npz"
        motion.save(path)
    return _file(path)


def compare(clips: list[gr.FileData]) -> gr.FileData:
    """Put 2 to 6 clips side by side in one.

    Args:
        clips: mp4 files, as "generate" gives them.

    Returns:
        One clip (mp4).
    """
    with plain_sentences():
        given = clips if isinstance(clips, list) else []
        paths = [_present(clip) for clip in given[:7]]
        if not 2 <= len(paths) <= 6:
            raise OptionInvalid("Give 2 to 6 clips to compare.")
        names = [path.stem.replace("_", " · ") for path in paths]
        return _file(write_comparison(paths, names, new_folder() / "comparison.mp4"))


def table(motion: gr.FileData) -> gr.FileData:
    """A motion as a table: one row a frame at 25 fps, one named column a coefficient.

    Args:
        motion: of "generate" or "mix" (npz).

    Returns:
        The table (csv).
    """
    with plain_sentences():
        path = new_folder() / "motion.csv"
        _motion(motion).save(path)
    return _file(path)


def poster(clip: gr.FileData, motion: gr.FileData) -> gr.FileData:
    """A picture of a clip in mid-speech, for a card or a preview.

    Args:
        clip: mp4, as "generate" or "edit" gives it.
        motion: the npz that came with it.

    Returns:
        The picture (png).
    """
    with plain_sentences():
        path = _present(clip)
        made, model = new_folder() / "poster.png", animator().models.face
        return _file(write_poster(path, made, _motion(motion), model))


def gif(clip: gr.FileData, motion: gr.FileData) -> gr.FileData:
    """A silent loop of 2 to 3 s of a clip, for places that play no video.

    Args:
        clip: mp4, as "generate" or "edit" gives it.
        motion: the npz that came with it.

    Returns:
        The loop (gif).
    """
    with plain_sentences():
        path = _present(clip)
        made, model = new_folder() / "loop.gif", animator().models.face
        return _file(write_gif(path, made, _motion(motion), model))


def faces(photo: gr.FileData) -> tuple[list[list[int]], gr.FileData]:
    """Find the faces in a photo.

    Args:
        photo: an image.

    Returns:
        Boxes [x0, y0, x1, y1] in pixels of the photo turned upright, the largest face first, and
        that photo with the faces numbered from 1 (png).
    """
    with plain_sentences():
        path = _present(photo)
        boxes = [[int(side) for side in box] for box in animator().faces(path)]
        return boxes, _picture(outlined_faces(path), "faces")


def mesh(photo: gr.FileData, face: int = 0) -> gr.FileData:
    """Show the mesh that is fitted to a face.

    Args:
        photo: an image with a face seen from the front.
        face: which face of several, counted from 0, the largest first.

    Returns:
        The photo with the mesh over the face (png).
    """
    with plain_sentences():
        return _picture(mesh_over(_present(photo), face), "mesh")


def speak(text: str, voice: str = "", speed: float = 1.0) -> tuple[gr.FileData, str]:
    """Speak a text, to be used instead of a recording.

    Args:
        text: up to 8,000 characters in the voice's language.
        voice: one of "voices"; empty takes the first.
        speed: 0.5 to 2.

    Returns:
        The sound (wav), and the phonemes that the voice chose.
    """
    with plain_sentences():
        path, phonemes = shots.spoken(text, voice or None, speed)
    return _file(path), phonemes


def list_voices() -> list[str]:
    """List the voices that "speak" can use.

    Returns:
        Their names, the default first.
    """
    return [voice.id for voice in voices()]


def read_edits(given: Any) -> tuple[Edit, ...]:
    """Edits from what a client sends: mappings of the names of `Edit`, or a preset.

    Raises:
        OptionInvalid: an unknown name, or a value that isn't a number or is outside its range.
    """
    edits = []
    for one in given if isinstance(given, list | tuple) else [given] if given else []:
        if not isinstance(one, dict) or not set(one) <= set(EDIT_NAMES):
            raise OptionInvalid(
                "An edit is a mapping of these names: " + ", ".join(EDIT_NAMES) + "."
            )
        values = dict(one)
        preset = values.pop("preset", None)
        if preset is not None and (not isinstance(preset, str) or preset not in PRESETS):
            raise OptionInvalid("The presets are " + ", ".join(PRESETS) + ".")
        try:
            if "gaze" in values:
                values["gaze"] = tuple(values["gaze"])
            edits.append(replace(PRESETS.get(preset or "", Edit()), **values))
        except (TypeError, ValueError) as error:
            raise OptionInvalid("The values of an edit must be numbers.") from error
    return tuple(edits)


def publish() -> None:
    """Make the endpoints known; call it while the page is being built."""
    for work in (generate, edit):
        api(work, api_name=work.__name__, concurrency_id="clips")
    for look in (preview, mix, compare, table, poster, gif, faces, mesh, speak):
        api(look, api_name=look.__name__, concurrency_id="looks")
    api(list_voices, api_name="voices", concurrency_id="looks")


def _read_look(given: Any) -> dict[str, Any]:
    """The settings that a client's look stands for.

    Raises:
        OptionInvalid: not a mapping, or an unknown name.
    """
    look = given or {}
    if not isinstance(look, dict) or not set(look) <= set(Look.__annotations__):
        raise OptionInvalid(
            "A look is a mapping of these names: " + ", ".join(Look.__annotations__) + "."
        )
    values = {name: look[name] for name in ("framing", "size") if name in look}
    if colour := look.get("background"):
        values |= {"background": "colour", "colour": colour}
    return values


def _given(
    photo: Upload,
    audio: Upload,
    motion: Upload,
    edits: Any,
    look: Any,
    face: int,
    consent: bool,
) -> Shot:
    """A motion that is there already, to be shown on a face."""
    order = Order.read(photo, audio, face, consent, None, _read_look(look))
    return Shot(order, "edited", _motion(motion), edits=read_edits(edits))


def _motion(upload: Upload) -> Motion:
    if upload is None:
        raise MotionUnreadable('There is no motion yet. Give one that "generate" made.')
    return Motion.load(received(upload))


def _present(upload: Upload) -> Path:
    if upload is None:
        raise UploadUnknown("There is no file yet. Give one.")
    return received(upload)


def _finished(shot: Shot) -> Shot:
    if shot.error:
        raise shot.error
    return shot


def _file(path: Path | None) -> gr.FileData:
    return gr.FileData(path=str(path))


def _picture(picture: Array | Image.Image, name: str) -> gr.FileData:
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    return _file(write_picture(image, new_folder() / f"{name}.png", Origin({"picture": name})))
