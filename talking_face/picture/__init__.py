"""From a motion to frames: the photo is moved, and what it doesn't show is painted."""
