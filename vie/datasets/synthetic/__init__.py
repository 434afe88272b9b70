"""A small synthetic video dataset: class = an appearance x a motion."""
