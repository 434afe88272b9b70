"""What ffmpeg says: its lines, taken apart, and reasons in words instead of its riddles."""

import re
from typing import NamedTuple

LINE = re.compile(r"(?:\[([^\]]*?) @ 0x[0-9a-f]+\] )*\[(\w+)\] ?(.*)")
ERRORS = ("error", "fatal", "panic")
# Warnings that tell of lost or wrong pictures.
CORRUPT = re.compile(
    r"corrupt (input packet|decoded frame)|Packet corrupt|incomplete frame"
    r"|edit unit sync lost"
)
# Errors of decoders that leave the picture as it is: of messages beside it, and of encoders that
# use more than they declare.
HARMLESS = re.compile(
    r"\bSEI\b|number of reference frames|mmco: unref short failure|illegal short term buffer"
    r"|VUI|TemporalOffset",
    re.IGNORECASE,
)
# Errors of frames that refer to some before the first one, as in a part of a film.
OF_EARLIER = re.compile(r"\bref|reference|POC|frame num|non-intra slice in an IDR", re.IGNORECASE)
TOO_LARGE = re.compile(r"Picture size (\d+x\d+) exceeds")
# What ffmpeg says -> what it means. The first that fits is taken.
MEANINGS = {
    "File ended prematurely": "truncated: the file ends before its last frame",
    "partial file|Attempted to read next track": "truncated: the file ends within a frame",
    "moov atom not found": "cannot be decoded: no video, or one without its index, as after a "
    "download that stopped",
    "Cannot determine format of input|unspecified size|dimensions not set": "cannot be "
    "decoded: the file holds only the beginning of a video",
    "opening input: Invalid data|header parsing failed": "cannot be decoded: no "
    "video, or one whose beginning is damaged",
    "Cannot allocate memory": "too large: ffmpeg would need more memory than it is given",
    "Decoder not found|no decoder found|Could not find codec": "cannot be decoded: this ffmpeg "
    "does not know the video's codec",
    "maximum error rate|exceeds maximum": "cannot be decoded: most frames are damaged",
}


class Line(NamedTuple):
    """One line of ffmpeg with `-v level+...`."""

    who: str  # such as "h264" or "in#0/matroska,webm"; "": ffmpeg itself
    level: str  # "": goes on from the line before, or is of another program
    text: str


def parse(line: str) -> Line:
    """One line, taken apart."""
    if found := LINE.match(line):
        return Line(found[1] or "", found[2], found[3].strip())
    return Line("", "", re.sub(r"\s+", " ", line).strip())


def is_damage(line: Line) -> bool:
    """Whether a line tells of lost or wrong pictures or sound."""
    if line.level in ERRORS:
        return not HARMLESS.search(line.text)
    return line.level == "warning" and bool(CORRUPT.search(line.text))


def reason(said: str) -> str:
    """The reason in what ffmpeg says: the first line is the cause, the others follow from it."""
    if re.search("matches no streams|does not contain any stream", said):
        return "no video stream"
    if "not on whitelist" in said:
        return "not a container that is read: refused by the list of formats"
    if found := TOO_LARGE.search(said):
        return too_large(found[1])
    for pattern, meaning in MEANINGS.items():
        if found := re.search(pattern, said):
            line = next(line for line in said.splitlines() if found[0] in line)
            return f"{meaning} ({line[:100]})"
    cause = next(filter(None, said.splitlines()), "ffmpeg does not say why")
    return f"cannot be decoded: {cause[:200].rstrip('.')}"


def too_large(size: str) -> str:
    """The reason for a size, such as 9000x9000, that is not allowed."""
    return f"too large: {size} pixels, more than frames.max_pixels allows"
