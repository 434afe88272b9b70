"""Colours of frames: what a file's numbers mean, and the filters that make them a JPEG's.

The pictures of JPEGs are full-range BT.601 (JFIF). A video says by tags which matrix and range its
numbers have. Where it does not, the usual rule holds: BT.709 from `HD_LINES` lines on and BT.601
below; limited range (tv) for YUV, full range for RGB, grey and the formats named yuvj.
"""

import re

HD_LINES = 720
# ffmpeg's words on a stream: "... yuv420p(tv, bt709, progressive), 1280x720 ...".
FORMAT = re.compile(r", (\w+)(\([^()]*\))?, (\d+)x(\d+)")
MATRIX = re.compile(r"[(, ](bt709|fcc|bt470bg|smpte170m|smpte240m|bt2020n?c|ycgco|gbr)[/,)]")
# ffmpeg's names for the matrices of frames -> those that its filters know them by.
MATRICES = dict.fromkeys(("bt601", "bt470bg", "smpte170m"), "bt601")
MATRICES |= dict.fromkeys(("bt2020", "bt2020nc", "bt2020c"), "bt2020")
MATRICES |= {name: name for name in ("bt709", "fcc", "smpte240m")}
YUV = re.compile(r"yuv|nv\d|p\d{3}|y2\d\d|uyvy|yvyu|vuy")
GREY = re.compile(r"gray(\d*)")
# ffmpeg's ways to round to the nearest value, and to keep chroma at full size up to RGB and back.
EXACT = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
ONE_STEP = 32  # times; where more is asked of it, ffmpeg itself takes two steps, without the tags


def jpeg_filters(side: int, stream: str, matrix: str) -> list[str]:
    """ffmpeg's filters that resize frames and convert them for a JPEG, exact to a level of YUV.

    ffmpeg's own way from one matrix to another is off by as much as 10 levels, more the smaller
    the frames get; and from limited to full range its versions from 7.1 on lose half a level of
    chroma. Here frames become RGB of 16 bits together with their size, then limited-range YUV of
    16 bits, and a table makes that full-range, in whole levels of 8 bits.

    Args:
        side: pixels of the JPEG's shorter side.
        stream: ffmpeg's words on the video's stream, which name the tags that it has.
        matrix: that the frames are read by, of `matrix_of` or `frame_matrix`.
    """
    # dar is the displayed width over height: storage size times the aspect of a pixel.
    width = f"if(gte(dar,1),round({side}*dar),{side})"
    height = f"if(gte(dar,1),{side},round({side}/dar))"
    luma, chroma = _levels("(val/256-16)*255/219"), _levels("128+(val/256-128)*255/224")
    return [
        *_read_as_tagged(stream),
        *_smaller(side, stream),
        f"scale=w='{width}':h='{height}':in_color_matrix={matrix}:flags={EXACT}",
        "format=gbrp16",
        f"scale=out_color_matrix=bt601:out_range=limited:flags={EXACT}",
        "format=yuv420p16",
        f"lutyuv=y='{luma}':u='{chroma}':v='{chroma}'",
        "setparams=range=full",
        f"scale=flags={EXACT}:sws_dither=none",
        "format=yuvj420p",
    ]


def _levels(value: str) -> str:
    """A value of 8 bits as one of 16 bits, in whole levels of 8 bits."""
    return f"256*clip(round({value}),0,255)"


def matrix_of(stream: str) -> str:
    """The matrix of a stream's frames, by ffmpeg's name; "auto": as each frame is tagged, which
    ffmpeg takes for BT.601 where it is not."""
    found = FORMAT.search(stream)
    if found is None or MATRIX.search(found[2] or "") or int(found[4]) < HD_LINES:
        return "auto"
    return "bt709"


def frame_matrix(stream: str, used: str, tag: str, pixels: str, lines: int) -> str:
    """The matrix that a frame should be read by: `used`, if that is right.

    Decoders of VP9 and HEVC do not know a tag of the container, and frames of joined films may have
    other tags than the first.

    Args:
        stream: ffmpeg's words on the video's stream.
        used: what `jpeg_filters` was given.
        tag: of the frame, by ffmpeg's name; "unknown": it has none.
        pixels: their format, by ffmpeg's name.
        lines: of the frame.
    """
    found = FORMAT.search(stream)
    of_file = MATRIX.search(found[2] or "") if found else None
    reads = MATRICES.get(tag, "bt601") if used == "auto" else used
    if tag == "unknown":
        tag = of_file[1] if of_file else "bt709" if lines >= HD_LINES else "bt601"
    meant = MATRICES.get(tag, reads)
    return used if meant == reads or not YUV.match(pixels) else meant


def _read_as_tagged(stream: str) -> list[str]:
    """For grey of limited range, which ffmpeg 7.1 and later take for full-range: make it so."""
    found = FORMAT.search(stream)
    grey = GREY.match(found[1]) if found else None
    if not found or not grey or "(tv" not in (found[2] or ""):
        return []
    step, most = 2 ** (int(grey[1] or 8) - 8), 2 ** int(grey[1] or 8) - 1
    level = f"clip(round((val-{16 * step})*{most}/{219 * step}),0,{most})"
    return [f"lut=c0='{level}'", "setparams=range=full"]


def _smaller(side: int, stream: str) -> list[str]:
    """For frames that are far too large: a first step, in their own format."""
    found = FORMAT.search(stream)
    times = min(int(found[3]), int(found[4])) // side if found else 0
    if times <= ONE_STEP:
        return []
    step = 2 * times // ONE_STEP
    return [f"scale=w='iw/{step}':h='ih/{step}':flags={EXACT}"]
