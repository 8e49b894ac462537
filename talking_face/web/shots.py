"""The work behind the cards: draw, render, roll again, compare. Files go to Gradio's folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from talking_face.animator import PREVIEW
from talking_face.arrays import UInt8
from talking_face.clips.clip import part_of
from talking_face.clips.credentials import GENERATED, Origin
from talking_face.clips.marks import write_picture
from talking_face.clips.plots import Theme, plot_samples
from talking_face.clips.share import write_gif, write_poster
from talking_face.clips.video import write_comparison
from talking_face.editing.change import mix
from talking_face.editing.edit import Edit
from talking_face.errors import OptionInvalid, TalkingFaceError
from talking_face.exports import write_speech
from talking_face.face.face import Face
from talking_face.motion import Motion
from talking_face.options import Look, Progress, file_name, sample_label
from talking_face.sound.audio import load_audio
from talking_face.sound.speech import Speech
from talking_face.sound.voice import speak
from talking_face.web.folders import new_folder
from talking_face.web.limits import count_order
from talking_face.web.models import Take, animator, hear_and_draw
from talking_face.web.orders import Order


@dataclass(frozen=True)
class Shot:
    """What one card shows.

    Attributes:
        name: for people.
        motion: as drawn or mixed, before the edits.
        take: what it was drawn from; None for a mix.
        edits: what was changed since.
        path, motion_path: the clip (mp4) and its motion (npz); None where rendering failed.
        error: what went wrong; None where nothing did.
    """

    order: Order
    name: str
    motion: Motion
    take: Take | None = None
    edits: tuple[Edit, ...] = ()
    path: Path | None = None
    motion_path: Path | None = None
    error: TalkingFaceError | None = None

    @property
    def making(self) -> dict[str, Any]:
        """How the motion was made, for the signed statement of the clip."""
        settings = self.order.settings
        made: dict[str, Any] = {"name": self.name, "edits": [asdict(edit) for edit in self.edits]}
        if self.take is not None:
            made |= {"seed": self.take[0], "sample": self.take[1]}
            made |= {"diversity": settings.diversity, "style": settings.style}
        return made


def draw(
    order: Order,
    places: Sequence[tuple[int, Take]],
    report: Progress,
    edits: tuple[Edit, ...],
) -> Iterator[tuple[int, Shot]]:
    """Draw takes and render them.

    Args:
        places: the card and the take of each.
        edits: what is changed in each.
        report: called with a fraction 0..1 and a sentence; what it raises ends the work.

    Yields:
        (card, Shot) as each is finished.

    Raises:
        TalkingFaceError: see `Animator`.
    """
    report(0.0, "Looking at the photo")  # also while the models are being loaded
    face = animator().fit(order.photo, order.face)
    animator().prepare(face, order.look)
    report(0.0, "Listening to the recording")
    takes = [take for _, take in places]
    diversity, style = order.settings.diversity, order.settings.style
    speech, motions = hear_and_draw(load_audio(order.audio), takes, diversity, style)
    for done, ((slot, take), motion) in enumerate(zip(places, motions, strict=True)):
        seed, index = take
        shot = Shot(order, sample_label(index, seed), motion, take, edits)
        yield slot, _render(shot, face, speech, part_of(report, done, len(places)))


def render(shots: Sequence[tuple[int, Shot]], report: Progress) -> Iterator[tuple[int, Shot]]:
    """Render motions that are there already; as `draw`."""
    for done, (slot, shot) in enumerate(shots):
        report(done / len(shots), "Looking at the photo")
        face = animator().fit(shot.order.photo, shot.order.face)
        speech = animator().listen(shot.order.audio)
        yield slot, _render(shot, face, speech, part_of(report, done, len(shots)))


def _render(shot: Shot, face: Face, speech: Speech, report: Progress | None) -> Shot:
    path = new_folder() / f"{file_name(shot.name)}.mp4"
    try:
        moved = animator().edit(shot.motion, shot.edits, speech)
        animator().render_motion(
            face, moved, path, speech, shot.order.look, progress=report, making=shot.making
        )
        moved.save(path.with_suffix(".npz"))
    except TalkingFaceError as error:
        return replace(shot, path=None, motion_path=None, error=error)
    return replace(shot, path=path, motion_path=path.with_suffix(".npz"), error=None)


def preview(shot: Shot, seconds: float | None, heard: bool = True) -> UInt8:
    """One frame of a shot, (H, W, 3) uint8 RGB, without rendering the rest.

    Args:
        heard: whether the order has a recording.
        seconds: of which moment; None takes one that shows what the edits do.
    """
    look = Look(shot.order.look.framing, PREVIEW.size, shot.order.look.background)
    face = animator().fit(shot.order.photo, shot.order.face)
    feels = any(edit.feeling is not None for edit in shot.edits)
    speech = animator().listen(shot.order.audio) if feels and heard else None
    return animator().preview(face, shot.motion, shot.edits, seconds, look, speech)


def plot(shots: Sequence[tuple[int, Shot]], theme: Theme) -> Image.Image:
    """What tells shots apart, over time: the first one's recording and those that share it.

    Args:
        shots: with the card of each, whose colour its curves have.

    Raises:
        OptionInvalid: there are none.
    """
    if not shots:
        raise OptionInvalid("There is nothing to plot yet. Generate some samples first.")
    audio = shots[0][1].order.audio
    alike = [(slot, shot) for slot, shot in shots if shot.order.audio == audio]
    speech = animator().listen(audio)
    moved = [
        animator().expressed(animator().edit(shot.motion, shot.edits, speech)) for _, shot in alike
    ]
    labels = [shot.name for _, shot in alike]
    places = [slot for slot, _ in alike]
    model = animator().models.face
    return plot_samples(moved, labels, speech.recording, model, theme, places)


def plan(order: Order, shots: Sequence[Shot | None], kept: Sequence[Any]) -> list[tuple[int, Take]]:
    """Which takes to draw, and for which cards: kept ones stay, and the others get new takes.

    Raises:
        OptionInvalid: every card is kept.
    """
    held = {slot for slot, shot in enumerate(shots) if kept[slot] and shot and shot.path}
    wanted = order.settings.shown_takes()
    if not held:
        return list(enumerate(wanted))
    places = [slot for slot in range(len(wanted)) if slot not in held]
    if not places:
        raise OptionInvalid(
            "Every sample is kept. Let one go, or ask for more samples under Settings."
        )
    first = next_index(order, shots)
    return [(slot, (order.settings.seed, first + more)) for more, slot in enumerate(places)]


def next_index(order: Order, shots: Sequence[Shot | None]) -> int:
    """The first take of the order's seed that no card has shown yet."""
    seed = order.settings.seed
    shown = [shot.take[1] for shot in shots if shot and shot.take and shot.take[0] == seed]
    return 1 + max([*shown, len(order.settings.shown_takes()) - 1])


def mixed(shots: Sequence[Shot | None], lips: int, head: int, blinks: int) -> tuple[int, Shot]:
    """A new sample with the lips of one card, the head of another and the blinks of a third.

    Returns:
        The card for it, which is the first free one or the last, and the shot, not yet rendered.

    Raises:
        OptionInvalid: they differ in length.
    """
    parts = [shots[slot] for slot in (lips, head, blinks)]
    sources = [shot for shot in parts if shot]
    if len(sources) < 3:
        raise OptionInvalid("Choose three samples to mix. Generate some first.")
    free = [slot for slot, shot in enumerate(shots) if not shot or not shot.path]
    motion = mix(*(shot.motion for shot in sources))
    name = "mix " + "+".join(str(slot + 1) for slot in (lips, head, blinks))
    return (free or [len(shots) - 1])[0], replace(sources[0], name=name, motion=motion, take=None)


def compare(shots: Sequence[Shot]) -> Path:
    """One clip that shows the others side by side.

    Raises:
        OptionInvalid: there are fewer than two.
    """
    clips = [(shot.path, shot.name) for shot in shots if shot.path]
    if len(clips) < 2:
        raise OptionInvalid("It takes two clips to compare. Generate at least two samples.")
    paths, names = zip(*clips, strict=True)
    return write_comparison(paths, names, new_folder() / "comparison.mp4")


def shared(shot: Shot) -> list[Path]:
    """Files of a finished shot for other places: picture, loop, clip, motion and its table."""
    if shot.path is None or shot.motion_path is None:
        raise OptionInvalid("This sample couldn't be rendered. Choose another one.")
    folder, name = new_folder(), shot.path.stem
    moved = Motion.load(shot.motion_path)
    poster = write_poster(shot.path, folder / f"{name}.png", moved, animator().models.face)
    loop = write_gif(shot.path, folder / f"{name}.gif", moved, animator().models.face)
    moved.save(folder / f"{name}.csv")
    return [poster, loop, shot.path, shot.motion_path, folder / f"{name}.csv"]


def pictured(picture: UInt8 | Image.Image, name: str, kind: str = GENERATED) -> Path:
    """A marked picture as a file with its statement.

    Args:
        kind: what it is, in IPTC's words.

    Raises:
        OutputUnwritable, CredentialsUnusable.
    """
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    origin = Origin({"picture": name}, kind=kind)
    return write_picture(image, new_folder() / f"{name}.png", origin)


def spoken(text: str, voice: str | None, speed: float) -> tuple[Path, str]:
    """A text as a sound file, and the phonemes that the voice chose.

    Raises:
        As `speak`; Refused: too many orders.
    """
    count_order()
    said = speak(text, voice, speed)
    path = new_folder() / "spoken.wav"
    write_speech(said, path)
    return path, said.phonemes
