"""Videos that tests make."""

import subprocess

import pytest

from vie.frames.process import ffmpeg_executable


def run_ffmpeg(*arguments, content=None):
    """Run ffmpeg on `content` (bytes); the test is skipped where it lacks an encoder."""
    argv = [ffmpeg_executable(), "-y", "-v", "error", *map(str, arguments)]
    done = subprocess.run(argv, input=content, capture_output=True)
    said = done.stderr.decode("utf-8", "replace").strip()
    if "Unknown encoder" in said:
        pytest.skip(said)
    assert done.returncode == 0, said
