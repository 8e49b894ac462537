"""Training and evaluation; nothing in here is imported by the demo."""
