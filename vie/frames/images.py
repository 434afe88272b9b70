"""Image files -> videos of a single JPEG frame.

Files come from the internet and may be broken or hostile. Bytes, pixels and formats are bounded
before anything is decoded; an image is read whole, or it is refused with a reason. An ordinary JPEG
that is small enough keeps its bytes. All others are decoded by Pillow, turned upright, converted to
RGB, made smaller if they are larger, and encoded anew.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import PIL
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from vie.frames.container import check_file
from vie.frames.ffmpeg import Frames
from vie.frames.process import MAX_PIXELS
from vie.frames.unusable import UnusableVideoError

# No format that names other files, runs a program (PostScript) or is of vectors.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
MAX_BYTES = 256 * 2**20  # of a file
MAX_SIDE = 32_768  # pixels; a JPEG has at most 65,535
MAX_SCANS = 100  # of a JPEG: each makes decoding longer; usual progressive ones have about ten
QUALITY = 95  # of JPEGs that are encoded here, on libjpeg's scale
ORIENTATION, UPRIGHT = 0x0112, 1  # tag of EXIF, and its value where nothing has to be turned
DEEP = ("I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16 bits a pixel


@dataclass(frozen=True)
class ImageSettings:
    """How images become frames: `frames` of the config, for datasets of images."""

    shorter_side: int  # of the frames at most, in pixels

    fps: ClassVar[float] = 1  # an image counts as a second
    quality: ClassVar[str] = "kept"  # in place of ffmpeg's: most JPEGs are as they were

    @property
    def made_by(self) -> dict[str, str]:
        """The program that the bytes of JPEGs depend on, and its version."""
        return {"pillow": PIL.__version__}


@contextmanager
def quiet() -> Iterator[None]:
    """Without warnings of Pillow: what is wrong with an image is in its reason, or harmless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def image_frames(path: Path, settings: ImageSettings) -> Frames:
    """The single JPEG frame of an image file, which may have any name.

    Of an animation only the first picture counts. Transparency is dropped, as `convert("RGB")` of
    Pillow does; 16 bits a pixel become 8.

    Raises:
        UnusableVideoError: the message is the reason.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnusableVideoError(f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UnusableVideoError(f"more than {MAX_BYTES // 2**20} MiB")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            _check_size(image, content)
            if _is_kept(image, content, settings.shorter_side):
                return Frames([content], *image.size)
            return _encoded(image, settings.shorter_side)
    except UnusableVideoError:
        raise
    except UnidentifiedImageError as error:
        known = ", ".join(FORMATS)
        raise UnusableVideoError(f"cannot be decoded: its content is none of {known}") from error
    except Image.DecompressionBombError as error:
        raise UnusableVideoError("more pixels than can be read") from error
    except Exception as error:  # Pillow raises anything on damaged files
        detail = str(error).strip() or type(error).__name__
        raise UnusableVideoError(f"cannot be decoded: {detail}") from error


def _check_size(image: Image.Image, content: bytes) -> None:
    """Refuse an image by its header.

    Raises:
        UnusableVideoError: it has more pixels, or more to decode, than is read.
    """
    width, height = image.size
    if min(width, height) < 1:
        raise UnusableVideoError(f"cannot be decoded: it has {width} x {height} pixels")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise UnusableVideoError(f"more pixels than can be read: {width} x {height}")
    if _is_jpeg(image) and content.count(b"\xff\xda") > MAX_SCANS:
        raise UnusableVideoError(f"a JPEG of more than {MAX_SCANS} scans")


def _is_jpeg(image: Image.Image) -> bool:
    return image.format in ("JPEG", "MPO") or "jpeg" in str(image.info.get("compression"))


def _is_kept(image: Image.Image, content: bytes, shorter_side: int) -> bool:
    """Whether the bytes of an image can be a frame as they are."""
    ordinary = image.format == "JPEG" and image.mode in ("RGB", "L")
    if not ordinary or min(image.size) > shorter_side or not content.endswith(b"\xff\xd9"):
        return False
    if image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
        return False
    try:
        height, width, _ = simplejpeg.decode_jpeg(content).shape
    except ValueError:  # what Pillow makes of it is seen later
        return False
    return bool((width, height) == image.size)


def _encoded(image: Image.Image, shorter_side: int) -> Frames:
    """An image that is decoded and encoded anew."""
    size = _smaller(image.size, shorter_side)
    # A JPEG is decoded at a half, a quarter or an eighth of its size, if that is twice as large as
    # wanted: the rest is left to a filter that keeps what is fine.
    image.draft(image.mode, (2 * size[0], 2 * size[1]))
    image.load()
    if image.mode == "F" or image.mode == "I":
        raise UnusableVideoError(f"pixels of {image.mode} are of no known range")
    upright: Image.Image = ImageOps.exif_transpose(image)
    if upright.mode in DEEP:
        upright = upright.point(lambda level: level / 257 + 0.5).convert("L")
    upright = upright.convert("RGB")
    size = _smaller(upright.size, shorter_side)
    if size != upright.size:
        upright = upright.resize(size, Image.Resampling.BICUBIC)
    file = io.BytesIO()
    upright.save(file, "JPEG", quality=QUALITY)
    return Frames([file.getvalue()], *size)


def _smaller(size: tuple[int, int], shorter_side: int) -> tuple[int, int]:
    """Size in which the shorter side has at most so many pixels, in the same proportions."""
    scale = min(1.0, shorter_side / min(size))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height
