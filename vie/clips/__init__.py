"""Clips out of an index: sampling, crops, colour, batches."""
