"""The page's actions for programs: each a documented function, over HTTP and as an MCP tool.

The docstrings are the documentation that clients see. Files arrive as records of uploads, whose
paths nobody has checked before `received` does, and leave as files of Gradio's own folder.
"""

# No "from __future__ import annotations" here: Gradio reads the annotations as types.
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import gradio as gr
import numpy as np
from gradio.events import api

from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.video import write_comparison
from talking_face.editing import change
from talking_face.errors import OptionInvalid
from talking_face.moods import MOODS
from talking_face.options import number
from talking_face.sound.voice import voices
from talking_face.web import shots
from talking_face.web.feelings import heard_words
from talking_face.web.folders import new_folder
from talking_face.web.given import Look, given_motion, given_shot, present, read_edits, read_look
from talking_face.web.limits import count_order
from talking_face.web.messages import heeding_client, plain_sentences, untold
from talking_face.web.models import animator
from talking_face.web.orders import Order, mesh_over, outlined_faces
from talking_face.web.settings import Settings
from talking_face.web.shots import Shot


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
    feeling: str = Settings.feeling,
    feeling_strength: float = Settings.feeling_strength,
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
        feeling: "voice" (what is heard), "none", a mood (neutral, calm, happy, sad, angry, fearful,
            disgusted or surprised), or valence and arousal from -1 to 1, such as "0.4,-0.2".
        feeling_strength: how much of it is shown, 0 to 1.5.

    Returns:
        The clips (mp4), their motions (npz), all clips side by side (mp4; none for one sample),
        a plot of the motions (png), and the seed.
    """
    values: dict[str, Any] = {"samples": samples, "seed": seed, "diversity": diversity}
    values |= {"style": style, "pose_strength": pose_strength, "expression": expression}
    values |= {"feeling": feeling, "feeling_strength": feeling_strength}
    with plain_sentences(), heeding_client():
        values |= read_look(look)
        order = Order.read(photo, audio, face, consent, None, values)
        order.check()
        count_order()
        changes = (*order.settings.edits, *read_edits(edits))
        places = list(enumerate(order.settings.shown_takes()))
        made = [_finished(shot) for _, shot in shots.draw(order, places, untold, changes)]
        comparison = shots.compare(made) if len(made) > 1 else None
        plot = shots.plot(list(enumerate(made)), "light")
    return (
        files_of(shot.path for shot in made),
        files_of(shot.motion_path for shot in made),
        file_of(comparison) if comparison else None,
        file_of(shots.pictured(plot, "plot", "dataDrivenMedia")),
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
        edits: a list of changes that add up, such as [{"smile": 0.8, "start": 1, "stop": 2.5}], at
            most 100. Names: pose_strength, expression and blinks (0 to 2), mouth_opening (0.5 to
            1.5), smile, brows, inner_brows and eyes (-1 to 1), gaze ([right, down], degrees);
            feeling, as for the endpoint "generate", and feeling_strength (0 to 1.5); start, stop
            and fade in seconds.
        look: framing, size and background, as for the endpoint "generate".
        face: which face of several, counted from 0, the largest first.
        consent: true says that you have the right to use this photo and voice; needed.

    Returns:
        The clip (mp4) and the changed motion (npz).
    """
    with plain_sentences(), heeding_client():
        shot = given_shot(photo, audio, motion, edits, look, face, consent)
        count_order()
        ((_, made),) = shots.render([(0, shot)], untold)
        return file_of(_finished(made).path), file_of(made.motion_path)


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
    with plain_sentences(), heeding_client():
        # No sound is needed for a still, so the photo stands in for the recording.
        shot = given_shot(photo, photo, motion, edits, look, face, consent)
        moment = number("The moment", seconds)
        frame = shots.preview(shot, None if moment < 0 else moment, heard=False)
    return file_of(shots.pictured(frame, "preview"))


def mix(lips: gr.FileData, head: gr.FileData, blinks: gr.FileData) -> gr.FileData:
    """A motion with the lips of one, the head, brows and gaze of another, the blinks of a third.

    Args:
        lips: a motion of "generate" (npz or csv).
        head: another of the same length.
        blinks: another of the same length.

    Returns:
        The motion (npz); "edit" renders it.
    """
    with plain_sentences(), heeding_client():
        motion = change.mix(*(given_motion(part) for part in (lips, head, blinks)))
        path = new_folder() / "mix.npz"
        motion.save(path)
    return file_of(path)


def compare(clips: list[gr.FileData]) -> gr.FileData:
    """Put 2 to 6 clips side by side in one.

    Args:
        clips: mp4 files, as "generate" gives them.

    Returns:
        One clip (mp4).
    """
    with plain_sentences(), heeding_client():
        given = clips if isinstance(clips, list) else []
        paths = [present(clip) for clip in given[:7]]
        if not 2 <= len(paths) <= 6:
            raise OptionInvalid("Give 2 to 6 clips to compare.")
        count_order()
        names = [path.stem.replace("_", " · ") for path in paths]
        return file_of(write_comparison(paths, names, new_folder() / "comparison.mp4"))


def table(motion: gr.FileData) -> gr.FileData:
    """A motion as a table: one row a frame at 25 fps, one named column a coefficient.

    Args:
        motion: of "generate" or "mix" (npz).

    Returns:
        The table (csv).
    """
    with plain_sentences(), heeding_client():
        path = new_folder() / "motion.csv"
        given_motion(motion).save(path)
    return file_of(path)


def poster(clip: gr.FileData, motion: gr.FileData) -> gr.FileData:
    """A picture of a clip in mid-speech, for a card or a preview.

    Args:
        clip: mp4, as "generate" or "edit" gives it.
        motion: the npz that came with it.

    Returns:
        The picture (png).
    """
    with plain_sentences(), heeding_client():
        path, moved = present(clip), given_motion(motion)
        count_order()
        picture = new_folder() / "poster.png"
        return file_of(write_poster(path, picture, moved, animator().models.face))


def gif(clip: gr.FileData, motion: gr.FileData) -> gr.FileData:
    """A silent loop of 2 to 3 s of a clip, for places that play no video.

    Args:
        clip: mp4, as "generate" or "edit" gives it.
        motion: the npz that came with it.

    Returns:
        The loop (gif).
    """
    with plain_sentences(), heeding_client():
        path, moved = present(clip), given_motion(motion)
        count_order()
        loop = new_folder() / "loop.gif"
        return file_of(write_gif(path, loop, moved, animator().models.face))


def faces(photo: gr.FileData) -> tuple[list[list[int]], gr.FileData]:
    """Find the faces in a photo.

    Args:
        photo: an image.

    Returns:
        Boxes [x0, y0, x1, y1] in pixels of the photo turned upright, the largest face first, and
        that photo with the faces numbered from 1 (png).
    """
    with plain_sentences(), heeding_client():
        path = present(photo)
        boxes = [[int(side) for side in box] for box in animator().faces(path)]
        return boxes, file_of(
            shots.pictured(outlined_faces(path), "faces", "algorithmicallyEnhanced")
        )


def mesh(photo: gr.FileData, face: int = 0) -> gr.FileData:
    """Show the mesh that is fitted to a face.

    Args:
        photo: an image with a face seen from the front.
        face: which face of several, counted from 0, the largest first.

    Returns:
        The photo with the mesh over the face (png).
    """
    with plain_sentences(), heeding_client():
        return file_of(shots.pictured(mesh_over(present(photo), face), "mesh"))


def emotion(audio: gr.FileData) -> dict[str, Any]:
    """Hear the emotion of a voice.

    Args:
        audio: a sound or video file, 0.3 s to 10 minutes.

    Returns:
        A mapping: "words" (a sentence), "seconds" (moments, half a second apart), and for each
        moment "valence" and "arousal" (-1 to 1), "confidence" (of the likeliest mood) and
        "probabilities" (a list for each mood).
    """
    with plain_sentences(), heeding_client():
        heard = animator().emotion(animator().listen(present(audio)))
    curves = {name: getattr(heard, name) for name in "seconds valence arousal confidence".split()}
    return {
        "words": heard_words(heard),
        **{name: np.round(curve, 3).tolist() for name, curve in curves.items()},
        "probabilities": {
            mood: np.round(chances, 3).tolist()
            for mood, chances in zip(MOODS, heard.probabilities.T, strict=True)
        },
    }


def speak(text: str, voice: str = "", speed: float = 1.0) -> tuple[gr.FileData, str]:
    """Speak a text, to be used instead of a recording.

    Args:
        text: up to 8,000 characters in the voice's language.
        voice: one of "voices"; empty takes the first.
        speed: 0.5 to 2.

    Returns:
        The sound (wav), and the phonemes that the voice chose.
    """
    with plain_sentences(), heeding_client():
        path, phonemes = shots.spoken(text, voice or None, speed)
    return file_of(path), phonemes


def list_voices() -> list[str]:
    """List the voices that "speak" can use.

    Returns:
        Their names, the default first.
    """
    return [voice.id for voice in voices()]


def publish() -> None:
    """Make the endpoints known; call it while the page is being built."""
    for work in (generate, edit, compare, poster, gif):
        api(work, api_name=work.__name__, concurrency_id="clips")
    for look in (preview, mix, table, faces, mesh, emotion, speak):
        api(look, api_name=look.__name__, concurrency_id="looks")
    api(list_voices, api_name="voices", concurrency_id="looks")


def _finished(shot: Shot) -> Shot:
    if shot.error:
        raise shot.error
    return shot


def file_of(path: Path | None) -> gr.FileData:
    return gr.FileData(path=str(path))


def files_of(paths: Iterable[Path | None]) -> list[Any]:
    """Several files, as mappings: records in lists are given no address by Gradio."""
    return [file_of(path).model_dump() for path in paths]
