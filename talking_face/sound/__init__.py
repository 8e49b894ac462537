"""From a recording or a text to speech: what is said and how, frame by frame of the video."""
