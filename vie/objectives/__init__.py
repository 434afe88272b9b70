"""What networks are trained for: the memory bank, and one file per objective (`table.py`)."""
