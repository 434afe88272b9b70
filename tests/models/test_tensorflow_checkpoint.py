"""Files of TensorFlow's form, good ones and those that were made to do harm."""

import shutil
import tarfile
import tracemalloc

import google_crc32c
import numpy as np
import pytest

from tests.models.bundles import (
    DATA,
    HEADER,
    NAME,
    block,
    entry,
    item,
    packed,
    write_bundle,
    write_table,
)
from vie.models import tensorflow_checkpoint
from vie.models.tensorflow_checkpoint import FOOTER, TensorBundle
from vie.models.tensorflow_files import BLOCK, MOST_HEADERS, Part
from vie.runtime.errors import VieError

SCALAR = entry(np.zeros((), "<f4"), 0, 0, 1)


def test_a_tar_is_read_where_it_lies(bundle, tmp_path):
    path = packed(tmp_path, tmp_path / "released.tar")
    before = sorted(tmp_path.parent.rglob("*"))
    theirs = TensorBundle(path)
    assert sorted(tmp_path.parent.rglob("*")) == before  # nothing is unpacked
    for name in ("global_step", "resnet_model/dense/kernel"):
        np.testing.assert_array_equal(theirs.array(name), TensorBundle(bundle).array(name))


def test_several_shards_are_read(bundle):
    data = bundle.with_name(DATA)
    halves = write_bundle(
        bundle.parent / "two",
        {"a": np.arange(6, dtype="<f4").reshape(2, 3), "b": np.arange(4, dtype="<i8")},
        shards={"a": 0, "b": 1},
    )
    theirs = TensorBundle(halves)
    np.testing.assert_array_equal(theirs.array("a"), np.arange(6).reshape(2, 3))
    np.testing.assert_array_equal(theirs.array("b"), np.arange(4))
    (bundle.parent / "two.data-00001-of-00002").unlink()
    with pytest.raises(VieError, match="beside its index: found 00000-of-00002"):
        TensorBundle(halves)
    data.unlink()
    with pytest.raises(VieError, match="beside its index: found none"):
        TensorBundle(bundle)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": 19}, "a: its type of numbers, 19 in types.proto, is not read"),
        ({"shard": 7}, "a lies in shard 7 of 1"),
        (
            {"offset": 1 << 62},
            "its variables end at byte .* which has 24: it is cut off",
        ),
        ({"size": 1 << 40}, "a: 1099511627776 bytes are no array of the shape 2x3"),
        ({"header": b"\x08\x01\x10\x01"}, "big-endian"),
        ({"header": b"\x08\x09"}, "names 9 shards, but 1 are there"),
    ],
)
def test_an_index_that_lies_is_refused(tmp_path, changes, message):
    with pytest.raises(VieError, match=message):
        TensorBundle(write_bundle(tmp_path / "x", {"a": np.zeros((2, 3), "<f4")}, **changes))


def test_compressed_and_foreign_files_are_refused(bundle, tmp_path):
    with pytest.raises(VieError, match="no uncompressed tar"):
        TensorBundle(packed(tmp_path, tmp_path / "released.tar.gz", mode="w:gz"))
    (tmp_path / "notes.tar").write_text("notes")
    with pytest.raises(VieError, match="no uncompressed tar"):
        TensorBundle(tmp_path / "notes.tar")
    with pytest.raises(VieError, match="no such file"):
        TensorBundle(tmp_path / "none.tar")
    with tarfile.open(tmp_path / "link.tar", "w") as archive:
        member = tarfile.TarInfo(f"{NAME}.index")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(VieError, match="holds 0"):
        TensorBundle(tmp_path / "link.tar")


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_every_byte_of_the_index_counts(bundle, every):
    """But those of the footer that no reader looks at."""
    whole = bundle.read_bytes()
    for at in range(0, len(whole) - FOOTER, every):
        content = bytearray(whole)
        content[at] ^= 0x10
        bundle.write_bytes(content)
        with pytest.raises(VieError):
            TensorBundle(bundle)


def refused(path, match):
    """The sentence, which takes no more memory than a small file deserves."""
    tracemalloc.start()
    try:
        with pytest.raises(VieError, match=match) as error:
            TensorBundle(path)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 600


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((0, 1 << 62), "a: its shape 0x4611686018427387904 is larger than any layer's"),
        ((0, *[1 << 31] * 7), "larger than any layer's"),
        ((1,) * 70, "a: it has 70 dimensions, more than any layer"),
        (((1 << 63) - 1,) * 60_000, "a: it has 60000 dimensions"),
        (((1 << 64) - 1,), "larger than any layer's"),
    ],
)
def test_shapes_beyond_any_layer_are_refused(tmp_path, shape, message):
    refused(write_bundle(tmp_path / "x", {"a": np.zeros(0, "<f4")}, shape=shape), message)


def test_arrays_of_nothing_are_read(tmp_path):
    path = write_bundle(tmp_path / "x", {"a": np.zeros((0, 5), "<f4"), "b": np.ones(2, "<f4")})
    assert TensorBundle(path).array("a").shape == (0, 5)


def shardless(tmp_path, blocks, **options):
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(4))
    return write_table(tmp_path / "x.index", blocks, **options)


def test_long_names_are_refused(tmp_path):
    """Each shares the whole name before it: 40,000 of them would take 800 MB."""
    items = [item(b"a", SCALAR, shared=i) for i in range(40_000)]
    refused(shardless(tmp_path, [block([HEADER, *items])]), "has a name of 1001 characters")


def test_more_variables_than_a_network_has_are_refused(tmp_path):
    items = [item(b"%05d" % i, SCALAR) for i in range(10_001)]
    refused(shardless(tmp_path, [block([HEADER, *items])]), "holds more than 10000 variables")


def test_an_index_of_megabytes_is_refused(tmp_path):
    items = [item(b"%05d" % i, SCALAR) for i in range(50_000)]
    refused(shardless(tmp_path, [block([HEADER, *items])]), "its index has .* bytes, more than any")


def test_no_block_is_read_twice(tmp_path, monkeypatch):
    items = [item(b"%04d" % i, SCALAR) for i in range(5000)]
    read, real = [], google_crc32c.value
    monkeypatch.setattr(google_crc32c, "value", lambda data: read.append(data) or real(data))
    for blocks in ([block([HEADER, *items])], [block([HEADER]), block([])]):  # one is empty
        path = shardless(tmp_path, blocks, repeat=5000)
        read.clear()
        refused(path, "the blocks of its index are out of order")
        assert len(read) == 3  # about the table, the list of blocks, one block


def test_names_ascend_from_block_to_block(tmp_path):
    blocks = [[HEADER, item(b"b", SCALAR)], [item(b"b", SCALAR)]]
    refused(shardless(tmp_path, map(block, blocks)), "the names in its index are out of order")
    blocks = [[HEADER, item(b"a", SCALAR)], [item(b"b", SCALAR)]]
    refused(shardless(tmp_path, map(block, blocks)), "b lies where another variable lies")


def test_gaps_between_variables_are_allowed(tmp_path):
    """TensorFlow's writer leaves some where it is told to align them."""
    arrays = {name: np.arange(3, dtype="<f4") for name in "ab"}
    theirs = TensorBundle(write_bundle(tmp_path / "x", arrays, gap=64))
    theirs.check()
    np.testing.assert_array_equal(theirs.array("b"), arrays["b"])


def test_checksums_are_compared_piece_by_piece(tmp_path, monkeypatch):
    path = write_bundle(tmp_path / "x", {"a": np.arange(1001, dtype="<f4")})
    theirs, sizes, real = TensorBundle(path), [], Part.read
    monkeypatch.setattr(tensorflow_checkpoint, "CHUNK", 500)
    monkeypatch.setattr(
        Part, "read", lambda part, at, size: sizes.append(size) or real(part, at, size)
    )
    theirs.check()
    assert sizes == [500] * 8 + [4]
    data = tmp_path / "x.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"?")
    with pytest.raises(VieError, match="a: its bytes are not those that were written"):
        theirs.check()


def test_names_are_quoted(tmp_path):
    name = "a\n\x1b[31mERROR: \u202e"
    path = write_bundle(tmp_path / "x", {name: np.zeros(3, "<f4")}, dtype=19)
    refused(path, r"'a\\n\\x1b\[31mERROR: \\u202e': its type of numbers")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo(f"/{name}"))
    refused(tmp_path / "x.tar", r"it holds '/a\\n.*' ?, which lies outside")


def test_links_to_other_folders_are_refused(bundle, tmp_path):
    """But not those beside the index, or beside what the index itself is a link to."""
    data = bundle.with_name(DATA)
    data.rename(tmp_path / "array")
    data.symlink_to("array")
    TensorBundle(bundle).check()
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "array").rename(other / "array")
    data.unlink()
    data.symlink_to(other / "array")
    refused(bundle, f"its {DATA} is a link to another folder")
    shutil.copy(bundle, other / "it")
    bundle.unlink()
    bundle.symlink_to(other / "it")
    TensorBundle(bundle).check()


@pytest.mark.parametrize("prefix", ["../../etc/", "/etc/", "a/../../"])
def test_members_outside_of_the_folder_are_refused(bundle, tmp_path, prefix):
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "x.tar", "w", format=form) as archive:
            for file in (bundle, bundle.with_name(DATA)):
                about = tarfile.TarInfo(f"{prefix}{'long' * 24}/{file.name}")
                archive.addfile(about)
        refused(tmp_path / "x.tar", "which lies outside of the folder")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_all_forms_are_read(bundle, tmp_path, form):
    """With long names, other files, and those that macOS adds."""
    for name in ("checkpoint", f"{NAME}.meta", f"._{NAME}.index", f"._{DATA}"):
        (tmp_path / name).write_text("x" * 700)
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w", format=form) as archive:
        folder = f"./{'long' * 24}/é"
        archive.add(tmp_path, folder, recursive=False)
        for file in sorted(set(tmp_path.iterdir()) - {path}):
            archive.add(file, f"{folder}/{file.name}")
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd" * 20
        if form != tarfile.USTAR_FORMAT:  # its links are short
            archive.addfile(link)
    theirs = TensorBundle(path)
    theirs.check()
    assert theirs.entries == TensorBundle(bundle).entries
    found = {name.rsplit("/", 1)[-1] for name in theirs.others} - {"link"}
    assert found == {"checkpoint", f"{NAME}.meta", f"._{NAME}.index", f"._{DATA}"}


def member(kind, size, content=b""):
    found = tarfile.TarInfo("././@LongLink")
    found.type, found.size = kind, size
    return found.tobuf(tarfile.GNU_FORMAT) + content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
@pytest.mark.parametrize("size", [1 << 50, 16 << 30, 1 << 17])
def test_headers_that_claim_much_are_refused(tmp_path, kind, size):
    path = tmp_path / "x.tar"
    path.write_bytes(member(kind, size) + bytes(1 << 18))
    refused(path, f"a header of {size} bytes")


def test_a_header_may_give_the_size(tmp_path):
    """As pax does where a file has more than 8 GB: the number in its own header means nothing."""
    write_bundle(tmp_path / "x", {"a": np.arange(300, dtype="<f4")})
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("x.index", "x.data-00000-of-00001"):
            about = archive.gettarinfo(tmp_path / name, name)
            about.pax_headers, about.size = {"size": str(about.size)}, 0
            archive.addfile(about)
            content = (tmp_path / name).read_bytes()
            archive.fileobj.write(content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0"))
    TensorBundle(tmp_path / "x.tar").check()


def test_headers_in_a_row_are_no_recursion(bundle, tmp_path):
    whole = packed(tmp_path, tmp_path / "whole.tar").read_bytes()
    path = tmp_path / "x.tar"
    path.write_bytes(member(tarfile.GNUTYPE_LONGNAME, 2, b"a\0") * 3000 + whole)
    refused(path, "found none")  # the first file, the shard, has the name a
    path.write_bytes(member(tarfile.GNUTYPE_LONGNAME, 0) * (MOST_HEADERS + 1))
    refused(path, f"more than {MOST_HEADERS} files")


@pytest.mark.parametrize(
    "content",
    [
        *(b"7 path", b"99999999 path=a\n", b"0 path=a\n", b"-1 a=b\n", b"x"),
        *(b"21 GNU.sparse.name=a\n", b"9 size=x\n", b"10 size=-9\n", b"40 size=%031d\n" % 9),
    ],
)
def test_damaged_headers_are_sentences(bundle, tmp_path, content):
    whole = packed(tmp_path, tmp_path / "whole.tar").read_bytes()
    path = tmp_path / "x.tar"
    path.write_bytes(member(tarfile.XHDTYPE, len(content), content) + whole)
    refused(path, "it has a header that is not read|cut off|twice|holds 0")


def test_files_with_holes_and_twice_the_same_are_refused(bundle, tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(member(tarfile.GNUTYPE_SPARSE, 0))
    refused(path, "it holds files with holes")
    packed(tmp_path, path)
    packed(tmp_path, path, mode="a", prefix="./a/b/")
    refused(path, f"it holds a/b/{DATA} twice")


def test_a_folder_and_what_cannot_be_read_are_sentences(bundle, tmp_path, monkeypatch):
    refused(tmp_path, "it is a folder: name the .index file or the tar in it")

    def fails(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Part, "read", fails)
    refused(bundle, r"it cannot be read \(Permission denied\)")
