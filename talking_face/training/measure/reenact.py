"""Measure the generator: let it re-enact real clips from one of their frames.

    python -m talking_face.training.measure.reenact --clips CLIPS --split val --output FOLDER

CLIPS is a manifest, a folder with a `manifest.csv`, or a folder of videos. The first frame of a
clip with a frontal face and open eyes is the photo; the tracked motion of the whole clip drives it,
and every frame is compared with the real one. Beside the generator stand: its flow without the
painters of mouth and eyes, a puppet of thin-plate splines that pulls the photo's landmarks in the
image plane to where the same motion has them, and the photo held still. All are driven by the same
coefficients; a puppet pulled by the tracked landmarks themselves would be no generator, for no
motion that is drawn or edited has them. The pose is followed without the limits of a finished clip.
Beside it is told how sharp the flow keeps its photo: the variance of the face's Laplacian over that
of the photo brought to the same places by a spline.
Prints a table a source and writes `figures.json` with the figures of every clip and a contact sheet
`sheet_SOURCE.png` of a few.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import map_coordinates
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.errors import FaceUnsuitable, NoFaceFound, TalkingFaceError
from talking_face.face.face import Face, find_faces, fit_face
from talking_face.face.landmarks import (
    FACE_OVAL,
    INNER_LIP_CORNERS,
    INNER_LIP_LOWER,
    INNER_LIP_UPPER,
    LOWER_LID,
    UPPER_LID,
    interocular,
    mouth_opening,
    track_face,
)
from talking_face.face.model import FaceModel, fit_pose, load_face_model, rotation_angles
from talking_face.motion import Motion
from talking_face.picture.brush import sample
from talking_face.picture.mouth.shading import Shading, load_mouth_light
from talking_face.picture.mouth.teeth import TeethGenerator, draw_teeth
from talking_face.picture.renderer import Flow, Renderer
from talking_face.training.data.clips import ClipFile, read_clips
from talking_face.training.data.motions import relative_motion
from talking_face.training.data.tracks import MIN_TRACKED, Track
from talking_face.training.fit.face_model import BROWS, lid_opening
from talking_face.training.measure.picture_figures import (
    OUTER_LIPS,
    Embed,
    PictureFigures,
    face_embedding,
    format_table,
    laplacian,
    means,
    picture_figures,
    polygon,
)
from talking_face.training.measure.sheet import PARTS
from talking_face.weights import load_weights

FRONTAL = 15.0  # degrees of yaw and of pitch within which a photo counts as frontal
AWAKE = 0.75  # of the clip's usual eye opening, from which eyes count as open
AWAY = 0.9  # inter-ocular distances around the face that do not count as background
FAINT = 0.05  # of a person's presence, below which a pixel is background
GRID = 4  # pixels between the places where the splines are evaluated
SMOOTHING = 100.0  # of the splines: with less, closing lids and lips fold them (best for them)
PUPPET = sorted(
    {*FACE_OVAL, *OUTER_LIPS, *INNER_LIP_UPPER, *INNER_LIP_LOWER, *INNER_LIP_CORNERS, *BROWS}
    | {i for lids in UPPER_LID + LOWER_LID for i in lids}
    | {1, 2, 4, 5, 6, 168, 195, 197, 98, 327, 50, 280, 205, 425, 468, 473}
)
KEPT_EVERY = 10  # frames between two whose sharpness is compared with the spline's
SHEET_CLIPS, SHEET_FRAMES = 4, 6
CELL = 216  # pixels, height of a cell of the sheet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reenactment:
    """One clip and its imitations.

    Attributes:
        source: index of the frame that is the photo.
        ok: (frames,) bool, the real face was tracked.
        marks: (frames, 478, 3) float32, of the real frames.
        frames: column -> (frames, H, W, 3) uint8 RGB; "real" first.
        background: (H, W) bool, pixels that neither head nor body reach.
        kept: the photo's sharpness that the flow keeps, 1 for all of it.
    """

    source: int
    ok: Array
    marks: Array
    motion: Motion
    frames: dict[str, Array]
    background: Array
    kept: float


def reenact(real: Array, model: FaceModel, teeth: TeethGenerator, shading: Shading) -> Reenactment:
    """Re-enact a clip from one of its own frames.

    Args:
        real: (frames, H, W, 3) uint8 RGB, H and W even.

    Raises:
        NoFaceFound, FaceUnsuitable: there is no frame that could be the photo.
    """
    marks = np.stack(list(track_face(real)))
    ok = Track("", "", "", "", marks).ok
    if ok.sum() < min(MIN_TRACKED, len(real)):
        raise NoFaceFound("The clip hardly shows a face. Leave it out.")
    source, face = choose_source(real, marks, ok, model)
    motion = relative_motion(marks, ok, source, face, model)
    strip = draw_teeth(teeth, int(face.digest[:8], 16))
    ours = Renderer(face, model, strip, shading, "photo", limits_pose=False)
    wanted = [ours.landmarks(motion, index) for index in range(len(motion))]
    columns = {
        "real": real,
        "ours": np.stack(list(ours.frames(motion))),
        "flow only": np.stack(list(flow_only(ours, motion))),
        "thin-plate": np.stack(
            [thin_plate(real[source], wanted[source], landmarks) for landmarks in wanted]
        ),
        "still": np.broadcast_to(real[source], real.shape),
    }
    moved = [index for index in np.flatnonzero(ok) if index != source][::KEPT_EVERY]
    kept = [sharpness_kept(ours, motion, int(index)) for index in moved]
    still = still_pixels(real, marks[ok])
    return Reenactment(source, ok, marks, motion, columns, still, float(np.mean(kept or [1.0])))


def flow_only(renderer: Renderer, motion: Motion) -> Iterator[Array]:
    """Frames of a motion, (H, W, 3) uint8 RGB, without what the painters of mouth and eyes add."""
    for index in range(len(motion)):
        flow = renderer.flow(motion, index)
        yield renderer.plate.place(renderer.composite(flow, motion, index))


def sharpness_kept(renderer: Renderer, motion: Motion, index: int) -> float:
    """Variance of the face's Laplacian over that of `moved_by_spline`, of one frame's flow."""
    flow = renderer.flow(motion, index)
    pictures = renderer.composite(flow, motion, index), moved_by_spline(renderer, flow)
    face = polygon(flow.points[list(FACE_OVAL), :2], flow.map_x.shape)
    ours, exact = (float(laplacian(picture)[face].var()) for picture in pictures)
    return ours / exact


def moved_by_spline(renderer: Renderer, flow: Flow) -> Array:
    """The photo brought to where it is in a frame by a spline of fifth order, (h, w, 3) uint8."""
    places = np.stack([flow.map_y, flow.map_x]) + renderer.plate.margin
    colours = renderer.plate.wide.astype(np.float32).transpose(2, 0, 1)
    exact = [map_coordinates(colour, places, order=5, mode="mirror") for colour in colours]
    return np.clip(np.rint(np.stack(exact, axis=-1)), 0, 255).astype(np.uint8)


def choose_source(real: Array, marks: Array, ok: Array, model: FaceModel) -> tuple[int, Face]:
    """The first frame with a frontal face and open eyes, and its face.

    Raises:
        NoFaceFound, FaceUnsuitable: no such frame.
    """
    tracked = np.flatnonzero(ok)
    pose = fit_pose(marks[tracked], model.mean, model.rigid)
    turn = np.abs(rotation_angles(pose.rotation))[:, :2].max(1)
    eyes = lid_opening(pose.unproject(marks[tracked])).mean(1)
    suits = (turn < FRONTAL) & (eyes > AWAKE * np.percentile(eyes, 75))
    if not suits.any():
        raise FaceUnsuitable(
            f"The face is never turned less than {FRONTAL:.0f}° with open eyes. Leave it out."
        )
    source = int(tracked[np.argmax(suits)])
    faces = find_faces(real[source])
    away = [float(np.abs(face - marks[source])[:, :2].mean()) for face in faces]
    face = fit_face(real[source], faces, model, int(np.argmin(away)) if away else None)
    return source, face


def thin_plate(photo: Array, source: Array, target: Array) -> Array:
    """Pull a photo's landmarks to those of a frame by a thin-plate spline (Bookstein, 1989).

    Args:
        photo: (H, W, 3) uint8 RGB. source, target: (478, 3) pixels.
    """
    height, width = photo.shape[:2]
    x, y = np.meshgrid(np.linspace(0, width - 1, 5), np.linspace(0, height - 1, 5))
    frame = np.stack([x, y], axis=-1).reshape(-1, 2)
    frame = frame[(frame % [width - 1, height - 1] == 0).any(1)]  # the border stays
    here = np.concatenate([target[PUPPET, :2], frame])
    there = np.concatenate([source[PUPPET, :2], frame])
    spline = RBFInterpolator(here, there - here, smoothing=SMOOTHING, kernel="thin_plate_spline")
    rows, columns = -(-height // GRID), -(-width // GRID)
    y, x = np.mgrid[:rows, :columns]
    # Centres of the coarse cells, as cv2.resize places them.
    places = np.stack([x, y], axis=-1).reshape(-1, 2) * GRID + (GRID - 1) / 2
    coarse = spline(places).reshape(rows, columns, 2).astype(np.float32)
    shift = cv2.resize(coarse, (columns * GRID, rows * GRID), interpolation=cv2.INTER_LINEAR)
    shift = shift[:height, :width]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return sample(photo, x + shift[..., 0], y + shift[..., 1])


def still_pixels(frames: Array, marks: Array) -> Array:
    """Pixels (H, W) that neither a person nor a tracked face (n, 478, 3) comes near."""
    from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

    away = np.ones(frames.shape[1:3], dtype=np.uint8)
    with SelfieSegmentation(model_selection=0) as network:
        for frame in frames[:: len(frames) // 8 or 1]:
            person = network.process(np.ascontiguousarray(frame)).segmentation_mask
            away[person > FAINT] = 0
    radius = round(AWAY * float(np.median(interocular(marks))))
    for face in marks[::5]:
        for x, y in face[list(FACE_OVAL)[::3], :2]:
            cv2.circle(away, (int(x), int(y)), radius, (0,), -1)
    return away > 0


def measure(clip: Reenactment, embed: Embed | None) -> dict[str, PictureFigures]:
    """Figures of every column; the photo itself doesn't count."""
    counts = clip.ok.copy()
    counts[clip.source] = False
    result = {}
    for column, made in clip.frames.items():
        if column == "real":
            continue
        marks = np.stack(list(track_face(made)))
        real = clip.frames["real"]
        result[column] = picture_figures(
            real, made, clip.marks, marks, counts, clip.background, embed
        )
    return result


def telling_frames(clip: Reenactment) -> list[int]:
    """Frames for the sheet: the photo, the widest mouth, a blink, the largest turn, and others."""
    opening = np.where(clip.ok, mouth_opening(clip.marks), -1)
    order = np.argsort(opening)
    middle = order[len(order) * 3 // 4]
    turn = np.abs(clip.motion.rotation).max(1) * clip.ok
    lids = clip.motion.lids.min(1) * clip.ok
    picked = [clip.source, order[-1], middle, order[len(order) // 2], lids.argmax(), turn.argmax()]
    return sorted(int(index) for index in picked)[:SHEET_FRAMES]


def cell(frame: Array, marks: Array) -> Array:
    """A frame's face, and beside it its mouth and its eyes enlarged; (216, w, 3) uint8."""
    unit = float(interocular(marks))
    parts = {}
    for part, height in (("face", CELL), ("mouth", CELL * 2 // 3), ("eyes", CELL // 3)):
        landmarks, half_width, half_height = PARTS[part]
        middle = marks[landmarks, :2].mean(0)
        width = CELL if part != "face" else round(CELL * half_width / half_height)
        scale = width / (2 * half_width * unit)
        matrix = np.array([[scale, 0, width / 2], [0, scale, height / 2]])
        matrix[:, 2] -= scale * middle
        parts[part] = cv2.warpAffine(
            np.ascontiguousarray(frame), matrix, (width, height), flags=cv2.INTER_CUBIC
        )
    return np.hstack([parts["face"], np.vstack([parts["mouth"], parts["eyes"]])])


def sheet_of(title: str, clip: Reenactment) -> Array:
    """Rows: real frames and each imitation; columns: telling frames."""
    chosen = telling_frames(clip)
    rows: list[Array] = []
    for column, frames in clip.frames.items():
        row = Image.fromarray(np.hstack([cell(frames[i], clip.marks[i]) for i in chosen]))
        names = f"{column}  {title}: " + ", ".join(map(str, chosen)) if not rows else column
        ImageDraw.Draw(row).text((4, 2), names, fill=(255, 255, 0), stroke_width=2, stroke_fill=0)
        rows.append(np.asarray(row))
    return np.vstack(rows)


def load_clip(path: Path, frames: int) -> Array:
    """The first frames of a video, (frames, H, W, 3) uint8 RGB, cropped to even sizes.

    Raises:
        VideoUnreadable, FfmpegMissing.
    """
    clip = np.stack(list(islice(read_frames(path), frames)))
    height, width = clip.shape[1:3]
    return np.ascontiguousarray(clip[:, : height // 2 * 2, : width // 2 * 2])


def choose(clips: Sequence[ClipFile], each: int) -> dict[str, list[ClipFile]]:
    """That many clips of each source, spread evenly over it; 0 takes all."""
    chosen = {}
    for source in dict.fromkeys(clip.source for clip in clips):
        of_source = [clip for clip in clips if clip.source == source]
        count = min(each or len(of_source), len(of_source))
        places = np.linspace(0, len(of_source) - 1, count).round().astype(int)
        chosen[source] = [of_source[place] for place in places]
    return chosen


def without_nan(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN."""
    return {key: None if math.isnan(value) else value for key, value in values.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--split", default="val", choices=("train", "val"))
    parser.add_argument("--sources", nargs="+", help="default: all")
    parser.add_argument("--output", type=Path, required=True, help="folder for figures and sheets")
    parser.add_argument("--limit", type=int, default=0, help="clips of each source; 0: all")
    parser.add_argument("--frames", type=int, default=75, help="of a clip, at most")
    parser.add_argument("--identity", type=Path, help="MobileFaceNet.onnx; default: not measured")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")

    model = load_face_model()
    teeth = TeethGenerator.from_weights(load_weights("teeth"))
    models = model, teeth, load_mouth_light()
    embed = face_embedding(options.identity) if options.identity else None
    if embed is None:
        print("Identity isn't measured: --identity names no network.")
    options.output.mkdir(parents=True, exist_ok=True)
    clips = [
        clip
        for clip in read_clips(options.clips)
        if clip.split == options.split and clip.source in (options.sources or [clip.source])
    ]
    results: dict[str, Any] = {}
    for source, chosen in choose(clips, options.limit).items():
        figures: dict[str, dict[str, PictureFigures]] = {}
        sources: dict[str, int] = {}
        kept: dict[str, float] = {}
        sheet: list[Array] = []
        for clip in tqdm(chosen, desc=source):
            try:
                made = reenact(load_clip(clip.path, options.frames), *models)
            except TalkingFaceError as error:
                logger.warning("%s is left out: %s", clip.path.name, error)
                continue
            figures[clip.key] = measure(made, embed)
            sources[clip.key], kept[clip.key] = made.source, made.kept
            if len(sheet) < SHEET_CLIPS:
                sheet.append(sheet_of(clip.path.stem, made))
        if not figures:
            continue
        table = means(list(figures.values()))
        print(f"\n{format_table(source, len(figures), table)}")
        print(f"{'sharpness kept':24}{np.mean(list(kept.values())):12.3f}")
        Image.fromarray(np.vstack(sheet)).save(options.output / f"sheet_{source}.png")
        results[source] = {
            "means": {column: without_nan(row) for column, row in table.items()},
            "clips": {
                key: {
                    "photo": sources[key],
                    "sharpness kept": kept[key],
                    **{column: without_nan(asdict(row)) for column, row in columns.items()},
                }
                for key, columns in figures.items()
            },
        }
        text = json.dumps(results, indent=1)
        (options.output / "figures.json").write_text(text)


if __name__ == "__main__":
    main()
