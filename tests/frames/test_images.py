"""Damaged, odd and hostile images: each becomes a frame or has a reason."""

import errno
import io
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from vie.frames import images as module
from vie.frames.extract import Shard, extract_shard, read_rejected
from vie.frames.images import ImageSettings, image_frames, quiet
from vie.frames.index import build_index, load_index
from vie.frames.manifest import Video, class_names, write_classes, write_manifest
from vie.frames.unusable import UnusableVideoError
from vie.reporting.summary import QUANTILES, write_summary

SIDE = 48
SIZES = (44, 44, 45, 46, 47, 48, 48)  # quantiles of images of 44 and 48 pixels
SETTINGS = ImageSettings(SIDE)


def picture(width=60, height=44, mode="RGB"):
    """Smooth colours, which a JPEG keeps."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 200 // width + 20, y * 200 // height + 20, (x + y) * 100 // (width + height) + 60]
    return Image.fromarray(np.stack(planes, 2).astype(np.uint8)).convert(mode)


def saved(image, kind="JPEG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def deep():
    levels = np.linspace(0, 65535, 60 * 44).reshape(44, 60).astype(np.uint16)
    return Image.fromarray(levels)


def animation(kind):
    return saved(picture(), kind, save_all=True, append_images=[picture().rotate(180)])


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, height, data=b""):
    """A PNG that claims a size."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", zlib.compress(data))


def jpeg_of(width, height):
    """A JPEG that claims a size."""
    content = saved(picture())
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def many_scans(count):
    """A progressive JPEG whose last scan is there many times."""
    content = saved(picture(), progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * count + b"\xff\xd9"


PLAIN, PNG = saved(picture(), quality=90), saved(picture(), "PNG")
# What each is as Pillow reads it; all are encoded anew.
ODD = {
    "CMYK": saved(picture(mode="CMYK")),
    "PNG as JPEG": PNG,
    "GIF": saved(picture(), "GIF"),
    "animated GIF": animation("GIF"),
    "animated WebP": animation("WEBP"),
    "animated PNG": animation("PNG"),
    "WebP": saved(picture(), "WEBP", quality=95),
    "BMP": saved(picture(), "BMP"),
    "TIFF": saved(picture(), "TIFF"),
    "TIFF with a JPEG in it": saved(picture(), "TIFF", compression="jpeg"),
    "palette": saved(picture().quantize(32), "PNG"),
    "palette with a transparent colour": saved(picture().quantize(32), "PNG", transparency=b"\0"),
    "alpha": saved(picture(mode="RGBA"), "PNG"),
    "grey with alpha": saved(picture(mode="LA"), "PNG"),
    "bits": saved(picture(mode="1"), "PNG"),
    "large": saved(picture(200, 150)),
    "very large": saved(picture(1000, 750)),
    "large and turned": saved(picture(200, 150), exif=turned(6)),
    "tall": saved(picture(50, 200), "PNG"),
    "with bytes after its end": PLAIN + b"more",
    **{f"turned {n}": saved(picture(), exif=turned(n)) for n in range(2, 9)},
}
KEPT = {
    "plain": PLAIN,
    "grey": saved(picture(mode="L")),
    "progressive": saved(picture(), progressive=True),
    "4:4:4": saved(picture(), subsampling=0),
    "with a comment": saved(picture(), comment=b"x" * 1000),
    "upright by its tag": saved(picture(), exif=turned(1)),
    "of one pixel": saved(picture(1, 1)),
    "a line": saved(picture(3000, 1)),
}
BROKEN = {
    "empty": (b"", "empty file"),
    "text": (b"no image" * 99, "cannot be decoded: its content is none of JPEG, PNG, "),
    "zeros": (bytes(5000), "cannot be decoded: its content is none of"),
    "page": (b"<html>Not found</html>", "cannot be decoded: its content is none of"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "cannot be decoded: its content"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "cannot be decoded"),
    "two bytes": (b"\xff\xd8", "cannot be decoded"),
    "half a JPEG": (PLAIN[: len(PLAIN) // 2], "cannot be decoded: "),
    "half a PNG": (PNG[: len(PNG) // 2], "cannot be decoded: "),
    "header of a PNG": (png_of(40, 40), "cannot be decoded"),
    "wide PNG": (png_of(2**31 - 1, 2**31 - 1), "more pixels than can be read"),
    "large PNG": (png_of(20_000, 20_000), "more pixels than can be read"),
    "thin PNG": (png_of(200_000, 10), "more pixels than can be read: 200000 x 10"),
    "large JPEG": (jpeg_of(60_000, 60_000), "more pixels than can be read"),
    "many scans": (many_scans(200), "a JPEG of more than 100 scans"),
    "floats": (saved(picture(mode="F"), "TIFF"), "pixels of F are of no known range"),
    "integers": (saved(picture(mode="I"), "TIFF"), "pixels of I are of no known range"),
}


def frame_of(tmp_path, content, name="image.JPEG", settings=SETTINGS):
    path = tmp_path / name
    path.write_bytes(content)
    with quiet():
        frames = image_frames(path, settings)
    (jpeg,) = frames.jpegs
    pixels = simplejpeg.decode_jpeg(jpeg)  # (H, W, 3) uint8, as the loader reads it
    assert pixels.shape[:2] == (frames.height, frames.width)
    return jpeg, pixels


def expected_pixels(content):
    """Pillow's own, made smaller without its shortcuts."""
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    scale = min(1, SIDE / min(upright.size))
    size = [round(side * scale) for side in upright.size]
    return np.asarray(upright.resize(size, Image.Resampling.BICUBIC), float)


@pytest.mark.parametrize("name", KEPT)
def test_ordinary_jpegs_keep_their_bytes(tmp_path, name):
    assert frame_of(tmp_path, KEPT[name])[0] == KEPT[name]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.filterwarnings("ignore:Palette images:UserWarning")  # of the comparison
def test_odd_images_look_as_pillow_shows_them(tmp_path, name):
    jpeg, pixels = frame_of(tmp_path, ODD[name])
    wanted = expected_pixels(ODD[name])
    assert pixels.shape == wanted.shape
    assert min(pixels.shape[:2]) <= SIDE
    assert np.abs(pixels - wanted).mean() < 4  # of 255
    assert jpeg != ODD[name]


def test_sixteen_bits_keep_their_range(tmp_path):
    levels = np.asarray(deep(), float) / 257
    for kind in ("PNG", "TIFF"):
        _, pixels = frame_of(tmp_path, saved(deep(), kind))
        assert np.abs(pixels[:, :, 0] - levels).max() < 8


@pytest.mark.parametrize("name", BROKEN)
def test_broken_images_have_a_reason(tmp_path, name):
    content, reason = BROKEN[name]
    with pytest.raises(UnusableVideoError) as error:
        frame_of(tmp_path, content)
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)
    assert "0x" not in str(error.value)  # no addresses: reasons are counted


def test_what_is_no_file_has_a_reason(tmp_path):
    (tmp_path / "folder.JPEG").mkdir()
    os.mkfifo(tmp_path / "pipe.JPEG")
    (tmp_path / "nowhere.JPEG").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.JPEG").symlink_to(tmp_path / "loop.JPEG")
    (tmp_path / "device.JPEG").symlink_to("/dev/zero")
    for name, reason in {
        "folder": "not a regular file",
        "pipe": "not a regular file",
        "nowhere": "missing file",
        "loop": "cannot be read: ",
        "device": "not a regular file",
        "absent": "missing file",
    }.items():
        with pytest.raises(UnusableVideoError) as error:
            image_frames(tmp_path / f"{name}.JPEG", SETTINGS)
        assert str(error.value).startswith(reason), name
    (tmp_path / "linked.JPEG").symlink_to(tmp_path / "real")
    (tmp_path / "real").write_bytes(PLAIN)
    assert image_frames(tmp_path / "linked.JPEG", SETTINGS).jpegs == [PLAIN]


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = tmp_path / "secret.JPEG"
    path.write_bytes(PLAIN)
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def refused(*args, **settings):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(module.Path, "open", refused)
    with pytest.raises(UnusableVideoError, match="cannot be read: Permission denied"):
        image_frames(path, SETTINGS)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 2**20)
    path = tmp_path / "large.JPEG"
    with path.open("wb") as file:
        file.truncate(2**34)
    with pytest.raises(UnusableVideoError, match="more than 1 MiB"):
        image_frames(path, SETTINGS)


def split_of(folder, videos):
    """Manifest, one shard and index of images in folder/images -> the files of the index."""
    manifest = folder / "manifest.parquet"
    write_manifest(videos, class_names(videos), manifest)
    outputs = [folder / f"0-of-1{end}" for end in (".tar", ".parquet", ".rejected.csv")]
    extract_shard(Shard(manifest, 0, 1, *outputs), folder / "images", SETTINGS, processes=2)
    made = [folder / name for name in ("index.parquet", "index.sizes.npy", "rejected.csv")]
    build_index(manifest, *([path] for path in outputs), *made, min_frames=1)
    return made


def damaged(count):
    """Images with random bytes changed, cut or doubled, of every kind."""
    rng = np.random.default_rng(0)
    kinds = [*ODD.values(), *KEPT.values()]
    for i in range(count):
        content = bytearray(kinds[i % len(kinds)])
        for _ in range(int(rng.integers(1, 9))):
            place = int(rng.integers(len(content)))
            match int(rng.integers(4)):
                case 0:
                    content[place] = int(rng.integers(256))
                case 1:
                    del content[place : place + int(rng.integers(40))]
                case 2:
                    content[place:place] = rng.bytes(int(rng.integers(40)))
                case 3:
                    head = min(place, 40)
                    content[head : head + 4] = rng.bytes(4)
            content = content or bytearray(b"x")
        yield bytes(content)


def test_every_image_is_indexed_or_recorded(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    """A whole shard of images, from files to the index, in bounded time."""
    folder = tmp_path / "images"
    folder.mkdir()
    files = {
        **{f"odd {name}": content for name, content in ODD.items()},
        **{f"kept {name}": content for name, content in KEPT.items()},
        **{f"broken {name}": content for name, (content, _) in BROKEN.items()},
        **{f"damaged {i}": content for i, content in enumerate(damaged(300))},
    }
    for name, content in files.items():
        (folder / f"{name}.JPEG").write_bytes(content)
    os.mkfifo(folder / "pipe.JPEG")
    names = [*files, "pipe", "absent"]
    videos = [Video(f"a/{name}", f"{name}.JPEG", "a", 0, 0, True) for name in names]
    start = time.monotonic()
    made = split_of(tmp_path, videos)
    assert time.monotonic() - start < 60
    index = load_index(made[0])
    refused = {row["video"]: row["reason"] for row in read_rejected(made[2])}
    assert {*index.videos.to_pylist(), *refused} == {video.video for video in videos}
    assert len(index) + len(refused) == len(videos)
    usable = {f"a/odd {name}" for name in ODD} | {f"a/kept {name}" for name in KEPT}
    assert usable <= {*index.videos.to_pylist()}
    assert {f"a/broken {name}" for name in BROKEN} < refused.keys()
    for i in range(len(index)):
        pixels = simplejpeg.decode_jpeg(*index.read_frames(i, [0]))
        assert pixels.shape[:2] == (index.heights[i], index.widths[i])
    assert (index.fps, index.shorter_side, index.quality) == (1, SIDE, "kept")
    assert index.of_images
    assert set(index.n_frames.tolist()) == {1}
    assert "Warning" not in capfd.readouterr().err


def test_a_summary_speaks_of_images(tmp_path):
    (tmp_path / "images").mkdir()
    for name, content in (("a", PLAIN), ("b", ODD["large"]), ("c", b"")):
        (tmp_path / "images" / f"{name}.JPEG").write_bytes(content)
    videos = [Video(name, f"{name}.JPEG", "ant", 0, 0, True) for name in "abc"]
    made = split_of(tmp_path, videos)
    write_classes(["ant"], tmp_path / "classes.csv")
    table, plots = tmp_path / "summary.csv", [tmp_path / "summary.svg", tmp_path / "summary.png"]
    arguments = {"train": made[0]}, {"train": made[2]}, tmp_path / "classes.csv", table, plots
    write_summary(*arguments, {"train": 5}, "mine")
    assert table.read_text().splitlines() == [
        "split,quantity,name,value",
        "train,images,all,2",
        "train,images,ant,2",
        *(f"train,shorter_side,p{q},{px}" for q, px in zip(QUANTILES, SIZES, strict=True)),
        "train,rejected,all,1",
        "train,rejected,empty file,1",
        "train,expected,images,5",
        "train,difference,images,-3",
    ]
    assert "duration" not in plots[0].read_text()
