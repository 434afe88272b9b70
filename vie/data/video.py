"""A video as a list or a folder names it, before anything is known about its file."""

from typing import NamedTuple


class Video(NamedTuple):
    """One annotated video: unique id, path relative to the folder of videos, class name."""

    video: str
    path: str
    label: str
