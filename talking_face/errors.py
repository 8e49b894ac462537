"""Every error that talking_face raises on purpose.

Each message is a plain sentence that says what is wrong and what to do about it. The command line
turns these errors into exit code 2 and the web page into a message; nothing else catches them.
"""


class TalkingFaceError(Exception):
    """Base class; catch this to catch every error of the package."""


class PhotoUnreadable(TalkingFaceError):
    """The photo is missing, truncated, not an image, or too large to decode safely."""


class NoFaceFound(TalkingFaceError):
    """No face was found in the photo."""


class FaceUnsuitable(TalkingFaceError):
    """The face is too small or turned too far from the camera."""


class FaceIndexError(TalkingFaceError):
    """A face was asked for by an index that the photo doesn't have."""


class AudioUnreadable(TalkingFaceError):
    """The recording is missing, not a sound, or has no sound in it."""


class AudioTooShort(TalkingFaceError):
    """The recording is shorter than the shortest one that can be animated."""


class AudioTooLong(TalkingFaceError):
    """The recording is longer than the longest one that can be animated."""


class TextUnspeakable(TalkingFaceError):
    """The text is empty, too long, or not in letters that the voice knows."""


class VoiceMissing(TalkingFaceError):
    """No speech synthesiser is installed, or the one chosen doesn't work."""


class VideoUnreadable(TalkingFaceError):
    """The video is missing, damaged, or has no pictures in it."""


class FileUnverifiable(TalkingFaceError):
    """A file that is to be checked isn't there, or can't be read."""


class FfmpegMissing(TalkingFaceError):
    """No ffmpeg program was found, neither on the path nor in imageio-ffmpeg."""


class EncodingFailed(TalkingFaceError):
    """ffmpeg could not write a clip."""


class OutputUnwritable(TalkingFaceError):
    """The output folder can't be written, or the disk is full."""


class CredentialsUnusable(TalkingFaceError):
    """The certificate of this installation, or its key, can't sign."""


class Refused(TalkingFaceError):
    """The installation's own rules refuse a photo, a recording, a text or a visitor."""


class WeightsMissing(TalkingFaceError):
    """A weight file is not where it should be."""


class WeightsCorrupt(TalkingFaceError):
    """A weight file is there, but its checksum is wrong."""


class MotionUnreadable(TalkingFaceError):
    """A motion file is missing, damaged, or of another motion space."""


class OptionInvalid(TalkingFaceError):
    """An option is outside its range."""


class UploadUnknown(TalkingFaceError):
    """A client names a file that it hasn't uploaded, or that isn't there any more."""


class ConsentMissing(TalkingFaceError):
    """Nobody has said that an uploaded photo may be used."""


class JobsUnreadable(TalkingFaceError):
    """A table of jobs is missing, damaged, or has columns that mean nothing."""


class WorkersMissing(TalkingFaceError):
    """The cluster can't be reached, or its workers are of another version."""
