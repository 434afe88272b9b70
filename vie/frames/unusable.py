"""The reason why a video cannot be used."""

from vie.runtime.errors import VieError

MISSING = "missing file"  # the reason of a video without a file
# How reasons begin that do not say that a file is broken: other settings may admit the video.
BY_SETTINGS = ("too ", "timed out", "clip beyond", "not the only clip", "killed", MISSING)


class UnusableVideoError(VieError):
    """A video cannot be used. The message is the reason: a category, then a detail."""
