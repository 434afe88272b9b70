"""A video as a list or a folder names it, before its file is opened."""

from typing import NamedTuple


class Video(NamedTuple):
    """One annotated video.

    `start` and `end` of the annotated clip within the file, in seconds, are both 0 if the file's
    name says that it is the clip.
    """

    video: str  # unique id
    path: str  # of its file, relative to the folder of videos
    label: str  # class name
    start: float = 0  # whole seconds where others annotated them
    end: float = 0
    file_found: bool = False  # when the list was read
