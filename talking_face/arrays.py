"""Names for the types of arrays; shapes, units and axes stand in the docstrings.

What comes in and goes out says its type; between, where numpy's operators answer with any type
under the release of numpy that mediapipe needs, an array is an `Array`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float32 = NDArray[np.float32]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]
UInt8 = NDArray[np.uint8]
UInt32 = NDArray[np.uint32]
