"""Where the files of a TensorFlow checkpoint lie: in a folder, or in a tar that stays packed.

They come from strangers: no path of theirs is followed to another folder, and of a tar only
headers are read, each of a bounded size.
"""

import glob
import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from vie.runtime.errors import shown

SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
BLOCK = 512  # bytes: a tar's headers are one, and contents are filled up to whole ones
LONG_NAME, LONG_LINK, PAX, PAX_OF_ALL = b"L", b"K", b"x", b"g"  # headers of the next header
LONGEST_HEADER = 1 << 16  # bytes of such a header
MOST_HEADERS = 10_000  # in a tar; the release's has a handful


class DamageError(Exception):
    """What is wrong, without the name of the file."""


class Part(NamedTuple):
    """A file, or a member of a tar: `size` bytes from `start` in the file `path`."""

    path: Path
    start: int
    size: int

    def read(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= offset + size <= self.size:
            raise DamageError(f"bytes {offset} to {offset + size} lie outside of {self.size} bytes")
        with self.path.open("rb") as file:
            file.seek(self.start + offset)
            data = file.read(size)
        if len(data) != size:
            raise DamageError(f"{self.path} ends early")
        return data


class Files(NamedTuple):
    """The files of one checkpoint."""

    table: Part  # the `.index`
    shards: list[Part]  # in order
    others: list[str]  # names of what else is in a tar


def find_files(path: Path) -> Files:
    """The files of a checkpoint: `path` is its `.index`, or a tar of it.

    Raises:
        DamageError: they are incomplete, or lie in another folder.
    """
    if path.is_dir():
        raise DamageError("it is a folder: name the .index file or the tar in it")
    if not path.is_file():
        raise DamageError("there is no such file")
    others: list[str] = []
    if path.suffix == ".index":
        name, parts = path.name, _beside(path)
    else:
        parts, others = _members(path)
        indexes = [name for name in parts if name.endswith(".index")]
        if len(indexes) != 1:
            raise DamageError(
                "a tar of one checkpoint of TensorFlow holds one .index file, this one holds "
                f"{len(indexes)}"
            )
        name = indexes[0]
    stem, found = name.removesuffix(".index"), {}
    for shard, part in parts.items():
        if shard.startswith(stem) and (match := SHARD.fullmatch(shard[len(stem) :])):
            found[int(match[1]), int(match[2])] = part
        elif shard != name:
            others.append(shard)
    of = {total for _, total in found}
    if len(of) != 1 or sorted(number for number, _ in found) != list(range(*of)):
        names = ", ".join(sorted(f"{n:05d}-of-{total:05d}" for n, total in found)[:9]) or "none"
        raise DamageError(f"its .data-* files are not all beside its index: found {names}")
    return Files(parts[name], [found[key] for key in sorted(found)], others)


def _beside(index: Path) -> dict[str, Part]:
    """An index and its shards. They may be links to files beside the index, or beside what it is a
    link to: a folder of strangers gives nobody files of other places."""
    parts = {index.name: Part(index, 0, index.stat().st_size)}
    homes = {index.parent.resolve(), index.resolve().parent}
    for file in index.parent.glob(glob.escape(index.stem) + ".data-*"):
        if not SHARD.fullmatch(file.name[len(index.stem) :]) or not file.is_file():
            continue
        if file.resolve().parent not in homes:
            raise DamageError(
                f"its {shown(file.name)} is a link to another folder: put the file itself there"
            )
        parts[file.name] = Part(file, 0, file.stat().st_size)
    return parts


def _members(path: Path) -> tuple[dict[str, Part], list[str]]:
    """Name -> place of the plain files in a tar, and the names of what is no checkpoint's."""
    parts: dict[str, Part] = {}
    others: list[str] = []
    end, at = path.stat().st_size, 0
    said: dict[str, str] = {}  # what headers say of the next one
    with path.open("rb") as file:
        for _ in range(MOST_HEADERS):
            file.seek(at)
            block = file.read(BLOCK)
            if at and not block.strip(b"\0"):
                return parts, others
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except (tarfile.TarError, ValueError) as error:
                raise DamageError(f"it is no uncompressed tar, or damaged ({error})") from None
            about = header.type in (LONG_NAME, LONG_LINK, PAX, PAX_OF_ALL)
            size, start = header.size if about else _content(header, said), at + BLOCK
            if about and size > LONGEST_HEADER:
                raise DamageError(f"it has a header of {size} bytes: pack it anew with tar")
            if not 0 <= size <= end - start:
                raise DamageError(f"its {shown(header.name)} is cut off: get the file again")
            at = start + -(-size // BLOCK) * BLOCK
            if about:
                said |= _said(header.type, file.read(size))
                continue
            name = _inside(said.get("path", header.name))
            said = {}
            if header.isdir():
                continue
            if name in parts:
                raise DamageError(f"it holds {shown(name)} twice")
            # macOS packs a file `._name` of its own beside each file.
            of_macos = PurePosixPath(name).name.startswith("._")
            if header.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not of_macos:
                parts[name] = Part(path, start, size)
            else:
                others.append(name)
    raise DamageError(f"it holds more than {MOST_HEADERS} files, and a checkpoint is a few")


def _content(header: tarfile.TarInfo, said: dict[str, str]) -> int:
    """Bytes of a member; links and folders have a size in name at most."""
    if header.type == tarfile.GNUTYPE_SPARSE:
        raise DamageError("it holds files with holes, which is not read: pack it anew with tar")
    if header.isreg() or header.type not in tarfile.SUPPORTED_TYPES:
        return int(said.get("size", header.size))
    return 0


def _said(kind: bytes, data: bytes) -> dict[str, str]:
    """The path and the size that a header gives to the next one.

    A pax header is lines `length key=value`, where the length counts the whole line.
    """
    if kind == LONG_NAME:
        return {"path": data.split(b"\0")[0].decode("utf-8", "surrogateescape")}
    found, at = {}, 0
    while kind == PAX and at < len(data):
        digits = data[at : at + 8].split(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        key, _, value = data[at + len(digits) + 1 : at + length - 1].partition(b"=")
        whole = len(digits) + 2 <= length <= len(data) - at
        if not whole or key.startswith(b"GNU.sparse"):
            raise DamageError("it has a header that is not read: pack it anew with tar")
        if key == b"path":
            found["path"] = value.decode("utf-8", "surrogateescape")
        if key == b"size":
            if not value.isdigit() or len(value) > 20:
                raise DamageError("it has a header that is not read: pack it anew with tar")
            found["size"] = value.decode()
        at += length
    return found


def _inside(name: str) -> str:
    """A member's name without `./`, if it is of a place in the folder where a tar is unpacked."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DamageError(
            f"it holds {shown(name)}, which lies outside of the folder that it is unpacked in: "
            "pack it anew, or get the file again"
        )
    return str(path)
