"""The commands that make the weights."""
