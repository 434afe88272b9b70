"""What every part of the library may use: errors, files, logs, randomness, processes."""
