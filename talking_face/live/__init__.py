"""A face that speaks while the sound still comes: moments instead of clips."""
