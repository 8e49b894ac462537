"""The inside of the mouth: painted in layers once per photo, lit frame by frame."""
