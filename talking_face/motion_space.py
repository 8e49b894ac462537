"""The motion space: what the numbers of an animation mean, apart from whose face they move.

This is the one place that documents it. A motion is a sequence of frames at 25 fps; each frame
holds the channels below. All zeros is the photo, unchanged.

=========== ====  ==============  ===============================================================
channel     size  unit            meaning
=========== ====  ==============  ===============================================================
lower       16    standard dev.   expression coefficients of lips, jaw and cheeks (face model)
upper       6     standard dev.   expression coefficients of brows and forehead (face model)
lids        2     1               closure of the (image-left, image-right) eye: 0 as in the photo,
                                  1 closed, negative wider
gaze        2     degrees         eyes relative to the head: (yaw, pitch), + to image right, + down
rotation    3     degrees         head relative to the photo: (yaw, pitch, roll); + turns the nose
                                  to image right, + nods down, + tilts clockwise in the image
translation 3     inter-ocular    head relative to the photo: (x right, y down, z), where z is the
                                  natural logarithm of the scale, + nearer
rest        1     1               how far the photo's own lower-face expression is brought to rest
                                  before `lower` is added: 0 keeps it, 1 removes it but for a
                                  closed mouth's smile, 2 that, too
nuance      8     standard dev.   what lids, brows and the skin around them do besides `lids` and
                                  `upper`: squints, wide eyes, knit brows (face model)
feeling     9     1               how much of each mood of `talking_face.moods`, eight of them, the
                                  face is to show, 0 to 1.5; then its manner, 0 to 999: which of
                                  the many ways of showing it, the same in all frames of a motion
=========== ====  ==============  ===============================================================

Signs are the image's, not the person's, so that a motion can be checked by looking at a frame.
"""

FPS = 25
CHANNELS: dict[str, int] = {
    "lower": 16,
    "upper": 6,
    "lids": 2,
    "gaze": 2,
    "rotation": 3,
    "translation": 3,
    "rest": 1,
    "nuance": 8,
    "feeling": 9,
}
ADDED = ("nuance", "feeling")  # files of the first motion space lack them; they are then zero
N_CHANNELS = sum(CHANNELS.values())
SPACE = "talking-face-motion-2"  # changes when the meaning of a channel changes
SPACES = ("talking-face-motion-1", SPACE)  # those that can be read
MANNERS = 1000  # of showing a feeling
MAX_SECONDS = 600.0  # of a recording, and so of its motion

# What a motion that comes from outside may hold.
MAX_VALUE = 1000.0  # of any channel: beyond what can be seen, and still drawn in no time
MIN_FPS, MAX_FPS = 10.0, 120.0
MAX_ROWS = int(MAX_SECONDS * MAX_FPS)
