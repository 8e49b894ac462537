"""The commands that measure, and the figures that they print."""
