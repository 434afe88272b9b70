"""Videos to frames to an index."""
