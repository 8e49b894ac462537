"""Tracked landmarks to motions: the targets of the mapping networks and of the evaluation."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from talking_face.arrays import Array
from talking_face.face.face import Face
from talking_face.face.landmarks import IRIS_CENTRE, UPPER_LID, mouth_opening, mouth_width
from talking_face.face.model import EYEBALL_RADIUS, FaceModel, fit_pose, rotation_angles
from talking_face.motion import CHANNELS, Motion
from talking_face.training.data.tracks import Track
from talking_face.training.fit.face_model import (
    close_lips,
    lid_opening,
    neutral_face,
    normalise_like,
)

SHUT = 0.25  # opening of a closed eye over its open one, as the tracker sees it
MAX_GAP = 5  # frames without a face that are interpolated; longer ones are marked as not ok


@dataclass(frozen=True)
class TrackedMotion:
    """A real motion, in the motion space, as the tracker saw it.

    Attributes:
        motion: relative to the speaker's neutral face and the clip's median pose; rest is 1.
        ok: (frames,) bool, False where the face was lost.
        opening: (frames,) inner-lip opening measured on the landmarks, inter-ocular distances.
        width: (frames,) mouth width, likewise.
        neutral: (478, 3) the speaker's neutral shape, canonical.
    """

    track: Track
    motion: Motion
    ok: Array
    opening: Array
    width: Array
    neutral: Array


def track_motions(tracks: list[Track], model: FaceModel) -> list[TrackedMotion]:
    """Motions of clips; clips of one speaker share a neutral face."""
    by_speaker: dict[str, list[int]] = defaultdict(list)
    for index, track in enumerate(tracks):
        by_speaker[f"{track.source}/{track.speaker}"].append(index)
    motions: dict[int, TrackedMotion] = {}
    for indices in by_speaker.values():
        clips = [tracks[i] for i in indices]
        neutral, still = speaker_neutral(clips, model)
        for index, clip in zip(indices, clips, strict=True):
            motions[index] = track_motion(clip, model, neutral, still)
    return [motions[i] for i in range(len(tracks))]


def speaker_neutral(clips: list[Track], model: FaceModel) -> tuple[Array, Array]:
    """The neutral shape (478, 3) of a speaker, lips exactly closed, and the same as measured."""
    marks = np.concatenate([clip.landmarks[clip.ok] for clip in clips])
    marks = marks[:: max(1, len(marks) // 2000)].astype(np.float64)
    shape = model.mean
    for _ in range(3):
        canonical = fit_pose(marks, shape, model.rigid).unproject(marks)
        shape = normalise_like(neutral_face(canonical), model.mean, model.rigid)
    return close_lips(shape), shape


def track_motion(track: Track, model: FaceModel, neutral: Array, still: Array) -> TrackedMotion:
    """One clip's motion, given its speaker's neutral shape, closed and as measured."""
    ok = track.ok
    marks = fill_gaps(track.landmarks, ok)
    pose = fit_pose(marks, still, model.rigid)
    canonical = pose.unproject(marks)
    coefficients = model.expression(canonical - neutral)
    angles = rotation_angles(pose.rotation)
    scale = np.median(pose.scale[ok])
    place = pose.origin[:, :2] / scale
    eyes = lid_opening(canonical)
    open_eyes = np.percentile(eyes[ok], 75, axis=0)
    closure = (1 - eyes / open_eyes) / (1 - SHUT)
    n_lower = CHANNELS["lower"]
    motion = Motion.still(len(marks)).replace(
        lower=coefficients[:, :n_lower],
        upper=coefficients[:, n_lower:],
        lids=np.clip(closure, -0.3, 1.0),
        gaze=gaze_angles(canonical, ok),
        rotation=angles - np.median(angles[ok], axis=0),
        translation=np.column_stack(
            [place - np.median(place[ok], axis=0), np.log(pose.scale / scale)]
        ),
        rest=np.ones((len(marks), 1), dtype=np.float32),
    )
    return TrackedMotion(
        track, motion, near(ok, MAX_GAP), mouth_opening(canonical), mouth_width(canonical), neutral
    )


def relative_motion(
    landmarks: Array, ok: Array, source: int, face: Face, model: FaceModel
) -> Motion:
    """What moves the photo that one frame of a clip is, so that it does what the clip does.

    Everything is relative to that frame as the tracker saw it, whose motion is therefore zero: the
    pose to its pose, lids and gaze to its eyes, and the expression to its own face (rest is 0, so
    that the photo's expression stays and `lower` and `upper` are displacements from it).

    Args:
        landmarks: (frames, 478, 3) pixels, of one tracking pass over the clip.
        ok: (frames,) bool, where the face was tracked; the other frames are interpolated.
        source: index of the frame that is the photo; it must be ok.
        face: that frame, fitted.
        model: the face model.
    """
    marks = fill_gaps(landmarks, ok)
    own = fit_pose(marks[source], face.shape, model.rigid).unproject(marks[source])
    pose = fit_pose(marks, own, model.rigid)
    canonical = pose.unproject(marks)
    coefficients = model.expression(canonical - own)
    eyes = lid_opening(canonical)
    scale = pose.scale[source]
    place = pose.origin[:, :2] / scale
    n_lower = CHANNELS["lower"]
    return Motion.still(len(marks)).replace(
        lower=coefficients[:, :n_lower],
        upper=coefficients[:, n_lower:],
        lids=np.clip((1 - eyes / eyes[source]) / (1 - SHUT), -0.3, 1.0),
        gaze=gaze_angles(canonical, np.arange(len(marks)) == source),
        rotation=rotation_angles(pose.rotation @ pose.rotation[source].T),
        translation=np.column_stack([place - place[source], np.log(pose.scale / scale)]),
        rest=np.zeros((len(marks), 1), dtype=np.float32),
    )


def gaze_angles(canonical: Array, ok: Array) -> Array:
    """Gaze (frames, 2) in degrees relative to the clip's median, mean of both eyes."""
    offset = []
    for centre, lid in zip(IRIS_CENTRE, UPPER_LID, strict=True):
        corners = canonical[:, [lid[0], lid[-1]], :2].mean(1)
        offset.append(canonical[:, centre, :2] - corners)
    sine = np.mean(offset, axis=0) / EYEBALL_RADIUS
    angle = np.degrees(np.arcsin(np.clip(sine, -0.8, 0.8)))
    return angle - np.median(angle[ok], axis=0)


def fill_gaps(landmarks: Array, ok: Array) -> Array:
    """Linear interpolation over lost frames, (frames, 478, 3) float64."""
    frames = np.arange(len(landmarks))
    good = np.flatnonzero(ok)
    position = np.interp(frames, good, np.arange(len(good)))
    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, len(good) - 1)
    part = (position - low)[:, None, None]
    return landmarks[good[low]] * (1 - part) + landmarks[good[high]].astype(np.float64) * part


def near(ok: Array, distance: int) -> Array:
    """(frames,) bool: a tracked frame lies within half that many frames on either side."""
    window = np.ones(distance, dtype=int)
    return np.convolve(ok.astype(int), window, mode="same") > 0
