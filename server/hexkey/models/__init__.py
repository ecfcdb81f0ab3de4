"""Model files: where they come from, what they are, and proof that they are what was asked for."""
