"""A motion changed after it was drawn, without drawing it again."""
