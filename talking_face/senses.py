"""How photos and recordings come in: what is seen and heard in them, each worked out once.

Knows faces, speech and what is felt in it; nothing of motions, frames and clips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from talking_face.arrays import Array, UInt8
from talking_face.cache import digest_of
from talking_face.cores import one_thread
from talking_face.errors import FaceIndexError, FaceUnsuitable, NoFaceFound
from talking_face.face.face import Face, Seen, face_boxes, fit_face, look_for_faces
from talking_face.face.photo import Photo, PhotoSource, read_photo
from talking_face.frozen import sealed
from talking_face.gate import admit
from talking_face.memory import Memory, face_key, speech_key
from talking_face.models import Models
from talking_face.options import check_made, whole_number
from talking_face.sound.audio import AudioSource, Recording, recording_of
from talking_face.sound.emotion import Emotion, hear_emotion
from talking_face.sound.speech import Speech, listen


class Senses:
    """Sees faces and hears speech, and remembers both.

    Attributes:
        models: what it does so with.
        memory: what it remembers.
    """

    def __init__(self, models: Models, memory: Memory | None = None) -> None:
        self.models = models
        self.memory = memory or Memory()

    def faces(self, photo: PhotoSource) -> list[tuple[int, int, int, int]]:
        """Boxes (x0, y0, x1, y1) of the faces in a photo, pixels, the largest first.

        Of the photo turned `upright`, where it lies on its side.

        Raises:
            PhotoUnreadable.
        """
        return face_boxes(self._look(admitted(photo).pixels).faces)

    def upright(self, photo: PhotoSource) -> UInt8:
        """The photo as its faces stand upright, (H, W, 3) uint8 RGB; raises as `faces`."""
        pixels = admitted(photo).pixels
        return self._look(pixels).upright(pixels)

    @one_thread()
    def fit(self, photo: PhotoSource, face_index: int | None = None) -> Face:
        """Fit a face; do it once, then animate it as often as you like.

        Args:
            photo: a path, an image file in memory or open, a Pillow image or an array; see
                `load_photo`.
            face_index: which face, largest first; None takes the largest.

        Raises:
            PhotoUnreadable, NoFaceFound, FaceIndexError, FaceUnsuitable, Refused.
            OptionInvalid: the index is not a whole number.
        """
        if face_index is not None:
            face_index = whole_number("The number of the face", face_index)
        given = admitted(photo)
        pixels = given.pixels

        def fitted() -> Face:
            seen = self._look(pixels)
            upright = sealed(seen.upright(pixels))  # so that the face needs no copy of its own
            return fit_face(upright, seen.faces, self.models.face, face_index, seen.notes)

        return with_notes(
            given, lambda: self.memory.faces.get(face_key(pixels, face_index), fitted)
        )

    @one_thread()
    def _look(self, pixels: UInt8) -> Seen:
        pack = self.models.insightface_pack
        return self.memory.landmarks.get(digest_of(pixels), lambda: look_for_faces(pixels, pack))

    @one_thread()
    def listen(self, audio: AudioSource | tuple[int, Array] | Recording) -> Speech:
        """Hear a recording.

        Args:
            audio: a file that ffmpeg reads, sound or video: its path, its bytes, or itself, open;
                or (sample rate in Hz, samples); or a Recording.

        Raises:
            AudioUnreadable, AudioTooShort, AudioTooLong, FfmpegMissing, Refused.
        """
        recording = recording_of(audio)
        admit("sound", recording)
        key = speech_key(recording)
        return self.memory.speeches.get(key, lambda: listen(recording, self.models.ear))

    @one_thread()
    def emotion(self, speech: Speech) -> Emotion:
        """What is felt in a recording: moods, valence and arousal over time, and how surely."""
        check_made("`listen`", Speech, speech)
        network = self.models.emotion
        return self.memory.emotions.get(speech.digest, lambda: hear_emotion(speech, network))


def admitted(photo: PhotoSource) -> Photo:
    """A photo that the installation's gate, if there is one, lets in."""
    given = read_photo(photo)
    admit("photo", given.pixels)
    return given


def with_notes(photo: Photo, fit: Callable[[], Face]) -> Face:
    """The face that is fitted, or why there is none, with what is missing of its photo."""
    try:
        face = fit()
    except (NoFaceFound, FaceUnsuitable, FaceIndexError) as error:
        if not photo.notes:
            raise
        raise type(error)(" ".join((*photo.notes, str(error)))) from error
    return replace(face, notes=(*photo.notes, *face.notes)) if photo.notes else face
