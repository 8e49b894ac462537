"""From frames to files: clips with their mark, comparisons, pictures and plots."""
