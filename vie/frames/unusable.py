"""The reason why a video cannot be used."""

from vie.runtime.errors import VieError

MISSING = "missing file"  # the reason of a video without a file


class UnusableVideoError(VieError):
    """A video cannot be used. The message is the reason: a category, then a detail."""
