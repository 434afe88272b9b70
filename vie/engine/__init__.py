"""Training: the loop, checkpoints, schedules, prediction."""
