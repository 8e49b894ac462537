"""Label real faces: landmarks and MediaPipe's 52 blendshape scores of clips and of stills.

    python -m talking_face.training.data.scores --clips CLIPS --faces faces.csv \\
        --task face_landmarker.task --output SCORES

Each clip gives `SOURCE__STEM.npz`; the stills of a table (columns path, source, person, emotion)
give one, `stills_faces.npz`. What is there already isn't made again. The task file is MediaPipe's
landmarker (Apache-2.0), which isn't shipped: it is for training and measuring alone.
"""

from __future__ import annotations

import argparse
import csv
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from talking_face.arrays import Array
from talking_face.clips.video import read_frames
from talking_face.face.landmarks import N_LANDMARKS
from talking_face.training.data.clips import read_clips

N_SCORES = 52
STILL_SIDE, STILL_MARGIN = 256, 64  # pixels: stills are scaled to this, and given a border
SCORE_NAMES = (
    "_neutral browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff "
    "cheekSquintLeft cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft "
    "eyeLookDownRight eyeLookInLeft eyeLookInRight eyeLookOutLeft eyeLookOutRight eyeLookUpLeft "
    "eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft eyeWideRight jawForward jawLeft "
    "jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight mouthFrownLeft "
    "mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight "
    "mouthPressLeft mouthPressRight mouthPucker mouthRight mouthRollLower mouthRollUpper "
    "mouthShrugLower mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft "
    "mouthStretchRight mouthUpperUpLeft mouthUpperUpRight noseSneerLeft noseSneerRight "
).split()
# The landmarks that the blendshape network is shown.
SCORED = [
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
]  # fmt: skip
LONGEST = 1500  # frames of a clip
ACTED = re.compile(r"^([MW]\d{3})_front_([a-z]+)_level\d")  # clips of MEAD name mood and person
MOOD_OF = {"disgust": "disgusted", "fear": "fearful"}  # other words for a mood

Look = Callable[[Array, int], tuple[Array, Array] | None]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Faces of one clip, or the stills of one person.

    Attributes:
        source, person: whose, unique together.
        split: "train" or "val".
        moods: one a frame; "" where nobody has named it.
        landmarks: (n, 478, 3) float32 pixels.
        scores: (n, 52) float32.
        still: frames follow no other.
        path: of the clip, below its manifest's folder; "" of stills.
        index: (n,) which frames of it these are.
    """

    source: str
    person: str
    split: str
    moods: list[str]
    landmarks: Array
    scores: Array
    still: bool
    path: str
    index: Array


class Blendshapes:
    """The network of a task file that tells scores from landmarks alone.

    Args:
        task: MediaPipe's face landmarker.
    """

    def __init__(self, task: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter

        with zipfile.ZipFile(task) as parts:
            content = parts.read("face_blendshapes.tflite")
        self._network = Interpreter(model_content=content, num_threads=1)
        self._network.allocate_tensors()
        self._input = self._network.get_input_details()[0]["index"]
        self._output = self._network.get_output_details()[0]["index"]

    def scores(self, landmarks: Array) -> Array:
        """Scores (n, 52) of landmarks (n, 478, 2 or 3), in pixels."""
        found = []
        for marks in landmarks:
            self._network.set_tensor(self._input, marks[None, SCORED, :2].astype(np.float32))
            self._network.invoke()
            found.append(self._network.get_tensor(self._output).copy())
        return np.stack(found)


@contextmanager
def landmarker(task: Path, video: bool) -> Iterator[Look]:
    """What finds landmarks (478, 3) in pixels, and scores (52,), in an image at a time in ms."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(task)),
        output_face_blendshapes=True,
        running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
        min_face_detection_confidence=0.3,
        min_face_presence_confidence=0.3,
        min_tracking_confidence=0.3,
    )
    with vision.FaceLandmarker.create_from_options(options) as network:

        def look(image: Array, milliseconds: int = 0) -> tuple[Array, Array] | None:
            picture = mediapipe.Image(
                image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
            )
            found = (
                network.detect_for_video(picture, milliseconds)
                if video
                else network.detect(picture)
            )
            if not found.face_blendshapes:
                return None
            height, width = image.shape[:2]
            marks = [(p.x * width, p.y * height, p.z * width) for p in found.face_landmarks[0]]
            scores = [category.score for category in found.face_blendshapes[0]]
            return np.array(marks, np.float32), np.array(scores, np.float32)

        yield look


def label_frames(frames: Iterable[Array], task: Path) -> tuple[Array, Array, Array]:
    """Landmarks (n, 478, 3), scores (n, 52) and whether there was a face (n,), of a video."""
    marks, scores, ok = [], [], []
    with landmarker(task, video=True) as look:
        for index, frame in enumerate(frames):
            found = look(frame, index * 40)
            ok.append(found is not None)
            nothing = np.zeros((N_LANDMARKS, 3), np.float32), np.zeros(N_SCORES, np.float32)
            own_marks, own_scores = found or nothing
            marks.append(own_marks)
            scores.append(own_scores)
            if len(ok) == LONGEST:
                break
    return np.stack(marks), np.stack(scores), np.array(ok)


def label_stills(table: Path, task: Path) -> dict[str, Array]:
    """Landmarks and scores of every still of a table in which a face is found."""
    rows: dict[str, list[object]] = {name: [] for name in ("source", "person", "emotion")}
    marks, scores = [], []
    with landmarker(task, video=False) as look, table.open(newline="") as file:
        for row in tqdm(list(csv.DictReader(file)), desc="stills"):
            # Such stills can be smaller than a photo that is to be animated.
            image = np.asarray(Image.open(table.parent.parent / row["path"]).convert("RGB"))
            size = (STILL_SIDE, round(STILL_SIDE * image.shape[0] / image.shape[1]))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC))
            border = (STILL_MARGIN,) * 4
            found = look(cv2.copyMakeBorder(image, *border, cv2.BORDER_REPLICATE), 0)
            if found is None:
                continue
            marks.append(found[0])
            scores.append(found[1])
            for name, values in rows.items():
                values.append(row[name])
    return {
        "landmarks": np.stack(marks),
        "scores": np.stack(scores),
        **{name: np.array(values) for name, values in rows.items()},
    }


def load_labelled(folder: Path) -> list[Labelled]:
    """Everything that the command wrote, clips first."""
    found = []
    for path in sorted(folder.glob("*__*.npz")):
        with np.load(path) as stored:
            ok = stored["ok"]
            acted = ACTED.match(str(stored["speaker"]))
            person = acted[1] if acted else str(stored["speaker"])
            mood = MOOD_OF.get(acted[2], acted[2]) if acted else ""
            if ok.any():
                found.append(
                    Labelled(
                        path.name.split("__")[0],
                        person,
                        str(stored["split"]),
                        [mood] * int(ok.sum()),
                        stored["landmarks"][ok],
                        stored["scores"][ok],
                        False,
                        str(stored["path"]),
                        np.flatnonzero(ok),
                    )
                )
    if (folder / "stills_faces.npz").is_file():
        with np.load(folder / "stills_faces.npz") as stored:
            moods = np.array([MOOD_OF.get(name, name) for name in stored["emotion"].tolist()])
            for source, person in sorted(set(zip(stored["source"], stored["person"], strict=True))):
                own = (stored["source"] == source) & (stored["person"] == person)
                found.append(
                    Labelled(
                        str(source),
                        str(person),
                        "val" if validation(str(person)) else "train",
                        moods[own].tolist(),
                        stored["landmarks"][own],
                        stored["scores"][own],
                        True,
                        "",
                        np.flatnonzero(own),
                    )
                )
    return found


def validation(person: str) -> bool:
    """Whether a person of the stills is one of the fifth that isn't trained on."""
    return sum(person.encode()) % 5 == 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True, help="manifest or folder of videos")
    parser.add_argument("--sources", nargs="+", help="of the clips; default: all")
    parser.add_argument("--faces", type=Path, help="table of stills, in a folder beside the clips'")
    parser.add_argument("--task", type=Path, required=True, help="face_landmarker.task")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    root = options.clips if options.clips.is_dir() else options.clips.parent
    clips = [c for c in read_clips(options.clips) if c.source in (options.sources or [c.source])]
    for clip in tqdm(clips, desc="clips"):
        path = options.output / f"{clip.source}__{clip.path.stem}.npz"
        if path.is_file():
            continue
        landmarks, scores, ok = label_frames(read_frames(clip.path), options.task)
        arrays = {"landmarks": landmarks, "scores": scores, "ok": ok}
        where = clip.path.relative_to(root) if clip.path.is_relative_to(root) else clip.path
        names = {"path": str(where), "speaker": clip.speaker, "split": clip.split}
        np.savez_compressed(path, **arrays, **names)
    if options.faces and not (options.output / "stills_faces.npz").is_file():
        stills = label_stills(options.faces, options.task)
        np.savez_compressed(options.output / "stills_faces.npz", **stills)


if __name__ == "__main__":
    main()
