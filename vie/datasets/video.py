"""A video as a list or a folder names it, before its file is opened."""

from typing import NamedTuple


class Video(NamedTuple):
    """One annotated video.

    Attributes:
        video: unique id.
        path: of its file, relative to the folder of videos.
        label: class name.
        start, end: of the annotated clip within the file, in whole seconds. Both are 0 if the
            file's name says that it is the clip.
        file_found: whether the file existed when the list was read.
    """

    video: str
    path: str
    label: str
    start: int = 0
    end: int = 0
    file_found: bool = False
