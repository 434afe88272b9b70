"""Datasets: what videos there are, and what they show."""
