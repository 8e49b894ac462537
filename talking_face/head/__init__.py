"""A head in three dimensions: geometry, texture, blendshapes, and the files that they leave in."""
