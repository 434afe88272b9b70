"""Checkpoints as TensorFlow writes them, and as nobody should: a small writer of the format."""

import struct
import tarfile
from pathlib import Path

import google_crc32c
import numpy as np

from vie.models.tensorflow_checkpoint import TensorBundle

RELEASED = Path(__file__).with_name("released")
NAME = "checkpoint-1450000"
DATA = f"{NAME}.data-00000-of-00001"
DTYPES = {"f4": 1, "f8": 2, "i4": 3, "i8": 9}


def packed(folder, path, prefix="a/b/", mode="w", **options):
    """The checkpoint as a tar, as it was released."""
    with tarfile.open(path, mode, **options) as archive:
        for file in sorted(folder.glob(f"{NAME}.*")):
            archive.add(file, prefix + file.name)
    return path


def rewritten(stem, changes):
    """The checkpoint with other variables, or without those that are None. Gives its index."""
    theirs = TensorBundle(RELEASED / f"{NAME}.index")
    arrays = {name: theirs.array(name) for name in theirs.entries} | changes
    return write_bundle(
        stem, {name: arrays[name] for name in sorted(arrays) if arrays[name] is not None}
    )


def varint(number):
    found = b""
    while number >= 0x80:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def field(number, content):
    """A field of a protobuf message: a number or bytes."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def masked(data):
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def item(key, value, shared=0):
    """A key, without the start that it shares with the one before, and its value."""
    return varint(shared) + varint(len(key)) + varint(len(value)) + key + value


def block(items):
    body = b"".join(items) + struct.pack("<II", 0, 1) + b"\0"
    return body + masked(body)


def entry(array, shard, offset, dtype, size=None, shape=None):
    """A BundleEntryProto as protoc would write it."""
    dimensions = array.shape if shape is None else shape
    about = b"".join(field(2, field(1, n)) for n in dimensions)
    numbers = (field(3, shard), field(4, offset), field(5, array.nbytes if size is None else size))
    return field(1, dtype) + field(2, about) + b"".join(numbers) + b"\x35" + masked(array.tobytes())


def write_table(path, blocks, repeat=1):
    """An index of these blocks, which names each of them several times."""
    data, handles = b"", []
    for content in blocks:
        handles += [varint(len(data)) + varint(len(content) - 5)] * repeat
        data += content
    nothing = block([])
    about = block([item(b"%06d" % i, handle) for i, handle in enumerate(handles)])
    where = varint(len(data)) + varint(len(nothing) - 5)
    at = varint(len(data) + len(nothing)) + varint(len(about) - 5)
    footer = (where + at).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    path.write_bytes(data + nothing + about + footer)
    return path


HEADER = item(b"", b"\x08\x01")  # one shard


def write_bundle(stem, arrays, shards=None, header=None, gap=0, **changes):
    """A checkpoint; `changes` falsify entries, `gap` bytes lie before each array."""
    shards = shards or dict.fromkeys(arrays, 0)
    n = max(shards.values()) + 1
    data = [b""] * n
    items = [item(b"", b"\x08" + varint(n) if header is None else header)]
    for name, array in arrays.items():
        shard, dtype = shards[name], DTYPES[np.dtype(array.dtype).str[1:]]
        data[shard] += bytes(gap)
        described = {"shard": shard, "offset": len(data[shard]), "dtype": dtype} | changes
        items.append(item(name.encode(), entry(array, **described)))
        data[shard] += array.tobytes()
    for number, content in enumerate(data):
        Path(f"{stem}.data-{number:05d}-of-{n:05d}").write_bytes(content)
    return write_table(Path(f"{stem}.index"), [block(items)])
