"""A video as a list or a folder names it, before anything is known about its file."""

from typing import NamedTuple


class Video(NamedTuple):
    """One annotated video.

    Attributes:
        video: unique id.
        path: of its file, relative to the folder of videos.
        label: class name.
        start, end: whole seconds of the file between which the video lies, where the file's name
            does not say that it was cut already; both 0: the video is all of the file.
        there: whether its file was seen when the list was read.
    """

    video: str
    path: str
    label: str
    start: int = 0
    end: int = 0
    there: bool = False
