"""The strip of upper teeth that is painted into a mouth: where what is in it.

It is fixed to the skull. Its geometry is that of the face, not of the mouth, so that teeth keep
their size when the lips move.
"""

import numpy as np

HEIGHT, WIDTH = 48, 128  # pixels of a strip
SPAN = 0.66  # width of a strip in inter-ocular distances (outer eye corners); pixels are square
INCISAL_ROW = 36.0  # lower edge of the central incisors
MIDLINE_COLUMN = (WIDTH - 1) / 2  # between the central incisors
LIP_ROW = 24.0  # upper inner lip of parted lips at rest: about half of the crown shows
# RGB of teeth in a strip: the means of the training portraits, white level 1.
TOOTH = np.array([1.00, 0.93, 0.83], np.float32)
