"""From a photo to a fitted face: reading, finding landmarks, the linear face model, lips."""
