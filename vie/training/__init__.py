"""Pretraining, linear probe, schedules, checkpoints."""
