"""The config: checked, completed, and read."""
