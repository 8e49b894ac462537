"""How finely sound is sampled: for those who hear it and for those who listen to the clip."""

SAMPLE_RATE = 16_000  # Hz; what the networks hear
SOUND_RATE = 48_000  # Hz; what a clip sounds like
