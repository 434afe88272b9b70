"""A checkpoint that the authors' code wrote, at width 8 with random weights, and its outputs."""

import io
import json
import logging
import random
import shutil
import struct
import tarfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import google_crc32c
import numpy as np
import pytest
import torch

import vie
from vie.clips.sampling import sampling
from vie.config.load import load_config
from vie.import_checkpoint import main
from vie.models import release
from vie.models.checkpoint_format import encoder_of
from vie.models.release import read_release
from vie.models.tensorflow_checkpoint import FOOTER, TensorBundle
from vie.probe import _network_metadata
from vie.reporting.published import PROBE, comparable
from vie.runtime.errors import VieError
from vie.runtime.torch_files import content_digest

HERE = Path(__file__).with_name("released")
NAME = "checkpoint-1450000"
DATA = f"{NAME}.data-00000-of-00001"


@pytest.fixture(scope="module")
def recipe():
    root = Path(__file__).parents[2]
    config = load_config(root / "config.yaml", root / "experiments/kinetics400.yaml")
    return config["recipes"]["vie_3dresnet"]


@pytest.fixture
def bundle(tmp_path):
    """A copy of the checkpoint, to damage; its index."""
    for name in (f"{NAME}.index", DATA):
        shutil.copy(HERE / name, tmp_path)
    return tmp_path / f"{NAME}.index"


def packed(folder, path, prefix="a/b/", mode="w"):
    """The checkpoint as a tar, as it was released."""
    with tarfile.open(path, mode) as archive:
        for file in sorted(folder.glob(f"{NAME}.*")):
            archive.add(file, prefix + file.name)
    return path


def test_the_network_gives_what_the_authors_code_gave(recipe):
    network = encoder_of(read_release(HERE / f"{NAME}.index", recipe))
    outputs = np.load(HERE / "outputs.npz")
    clip = (
        torch.from_numpy(outputs["clip"]).permute(0, 4, 1, 2, 3).double() / 255
    )  # (1, 3, T, H, W)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # protocol section 3
    mean, std = (torch.tensor(each).double().view(1, 3, 1, 1, 1) for each in (mean, std))
    with torch.no_grad():
        embedding, features = network.double()((clip - mean) / std)
    found = {"embedding": embedding, **features}
    for name in ("conv3", "conv4", "conv5", "embedding"):
        theirs = np.moveaxis(outputs[name], -1, 1)  # (N, T, H, W, C) -> (N, C, T, H, W)
        error = np.abs(found[name].numpy() - theirs).max() / np.abs(theirs).max()
        assert error < 1e-5, name  # float32's of the authors' code: 2e-6


def test_step_and_unused_variables_are_said(recipe, caplog):
    with caplog.at_level(logging.INFO):
        content = read_release(HERE / f"{NAME}.index", recipe)
    assert (content["step"], content["n_train"]) == (1_450_000, 40)
    assert content["recipe"]["encoder"]["width"] == 8
    assert "bank" not in content
    assert "memory bank is left out: no index of training videos is given" in caplog.messages[0]
    unused = caplog.messages[-1].split("not used: ")[1].split(", ")
    assert len(unused) == 57 + 3  # slots of the optimiser; bank, labels and clusters
    assert {"instance/memory_bank", "resnet_model/conv3d/kernel/Momentum"} <= set(unused)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (lambda theirs: np.unique(theirs, return_inverse=True)[1], None),
        (lambda theirs: theirs[:-1], "it has 40 rows, and index.parquet 39 videos"),
        (lambda theirs: np.roll(theirs, 1), "rows that have one class there are of several"),
        (lambda theirs: np.zeros_like(theirs), "rows that have one class there are of several"),
        (lambda theirs: np.arange(40), "rows that have one class there are of several"),
    ],
)
def test_the_bank_is_taken_where_its_videos_are_the_indexs(
    recipe, caplog, monkeypatch, labels, problem
):
    """As far as the classes of all rows tell: the release numbers them in another order."""
    theirs = TensorBundle(HERE / f"{NAME}.index").array("instance/all_labels").copy()
    theirs[:2] = 245  # two videos of one class
    ours, real = labels(theirs), TensorBundle.array
    monkeypatch.setattr(
        TensorBundle, "array", lambda b, n: theirs if n == "instance/all_labels" else real(b, n)
    )
    monkeypatch.setattr(release, "load_index", lambda path: SimpleNamespace(labels=ours))
    with caplog.at_level(logging.INFO):
        content = read_release(HERE / f"{NAME}.index", recipe, Path("index.parquet"))
    assert (problem or "not used") in caplog.text
    if problem:
        assert "bank" not in content
        return
    vectors = content["bank"]["vectors"]
    assert vectors.shape == (40, 128)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(40))
    assert "instance/all_labels" not in caplog.messages[-1]


def test_the_paths_of_a_checkpoint_may_be_any(bundle, tmp_path, recipe):
    """Brackets in names, and links to other places."""
    folder = tmp_path / "a [b]* {c}"
    folder.mkdir()
    for file in (bundle, bundle.with_name(DATA)):
        shutil.copy(file, folder / file.name.replace(NAME, "step[1]"))
    (tmp_path / "step1.index").touch()
    odd = read_release(folder / "step[1].index", recipe)
    (tmp_path / "linked").mkdir()
    for name in (bundle.name, DATA):
        (tmp_path / "linked" / name).symlink_to(tmp_path / name)
    linked = read_release(tmp_path / "linked" / bundle.name, recipe)
    tar = packed(tmp_path, tmp_path / "released.tar")
    (tmp_path / "link.tar").symlink_to(tar)
    found = [content_digest(one["encoder"]) for one in (odd, linked)]
    assert found == [content_digest(read_release(tmp_path / "link.tar", recipe)["encoder"])] * 2


def test_at_the_papers_scale_it_is_comparable(recipe):
    """What the file and the paper's recipe say is what published values ask for, but for width."""
    content = read_release(HERE / f"{NAME}.index", recipe)
    content["recipe"]["encoder"]["width"] = 64
    known = {
        "dataset_official_name": "kinetics400",
        **{"n_train": 239_000, "n_val": 19_600, "classes": 400, "size": 112},
        "frames": {"fps": 25, "shorter_side": 320},
        "networks": [_network_metadata(content)],
        "sampling": json.loads(json.dumps(asdict(sampling("3dresnet")))),
        "probe": {"clips": 5, "optimiser": PROBE},
        "steps": 595_000,
    }
    assert comparable(known, "VIE-3DResNet", "kinetics400")
    known["networks"][0]["encoder"]["width"] = 8
    assert not comparable(known, "VIE-3DResNet", "kinetics400")


def test_the_command_line_writes_a_checkpoint(tmp_path, capsys):
    output = tmp_path / "vie_3dresnet.pt"
    main([str(HERE / f"{NAME}.index"), str(output)])
    assert "step 1450000, 40 videos" in capsys.readouterr().out
    encoder = vie.load_encoder(output)
    assert (encoder.input.frames, encoder.input.size, encoder.dimensions) == (16, 112, 128)
    with pytest.raises(VieError, match="is there already"):
        main([str(HERE / f"{NAME}.index"), str(output)])


def test_a_tar_is_read_where_it_lies(bundle, tmp_path):
    path = packed(tmp_path, tmp_path / "released.tar", prefix="../../etc/")
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
    with pytest.raises(VieError, match="shards are incomplete: found 00000-of-00002"):
        TensorBundle(halves)
    data.unlink()
    with pytest.raises(VieError, match="shards are incomplete: found none"):
        TensorBundle(bundle)


def varint(number):
    found = b""
    while number >= 0x80:
        found, number = found + bytes([number & 0x7F | 0x80]), number >> 7
    return found + bytes([number])


def masked(data):
    crc = google_crc32c.value(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def block(items):
    body = b"".join(
        varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in items
    )
    body += struct.pack("<II", 0, 1) + b"\0"
    return body + masked(body)


def entry(array, shard, offset, dtype, size=None):
    """A BundleEntryProto as protoc would write it."""
    shape = b"".join(
        b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(n) for n in array.shape)
    )
    size = array.nbytes if size is None else size
    return b"".join(
        [
            b"\x08" + varint(dtype),
            b"\x12" + varint(len(shape)) + shape,
            varint(3 << 3) + varint(shard),
            varint(4 << 3) + varint(offset),
            varint(5 << 3) + varint(size),
            b"\x35" + masked(array.tobytes()),
        ]
    )


def write_bundle(stem, arrays, shards=None, header=None, **changes):
    """The smallest writer of the format; `changes` falsify entries. Gives the index."""
    shards = shards or dict.fromkeys(arrays, 0)
    n = max(shards.values()) + 1
    data = [b""] * n
    items = [(b"", b"\x08" + varint(n) if header is None else header)]
    for name, array in arrays.items():
        shard = shards[name]
        dtype = {"f4": 1, "i8": 9}[array.dtype.str[1:]]
        described = {"shard": shard, "offset": len(data[shard]), "dtype": dtype} | changes
        items.append((name.encode(), entry(array, **described)))
        data[shard] += array.tobytes()
    for number, content in enumerate(data):
        Path(f"{stem}.data-{number:05d}-of-{n:05d}").write_bytes(content)
    entries = block(items)
    nothing = block([])
    where = varint(len(entries)) + varint(len(nothing) - 5)
    blocks = block([(b"~", varint(0) + varint(len(entries) - 5))])
    at = varint(len(entries) + len(nothing)) + varint(len(blocks) - 5)
    footer = (where + at).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    path = Path(f"{stem}.index")
    path.write_bytes(entries + nothing + blocks + footer)
    return path


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


def test_another_network_is_refused_before_memory_is_taken(tmp_path, recipe):
    path = write_bundle(tmp_path / "x", {"resnet_model/conv3d/kernel": np.zeros((1, 1), "<f4")})
    with pytest.raises(VieError, match="does not hold the authors' VIE-3DResNet"):
        read_release(path, recipe)


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


def refusal(path, recipe):
    try:
        read_release(path, recipe)
    except VieError as error:
        return str(error)
    return None


def harmless(whole, damaged):
    """Whether all files in two tars are the same: only padding differs."""
    found = []
    for content in (whole, bytes(damaged)):
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            found.append({m.name: archive.extractfile(m).read() for m in archive if m.isreg()})
    return found[0] == found[1]


def test_damages_are_sentences(bundle, tmp_path, recipe):
    """200 damages, of the index, of the data and of the tar."""
    data, tar = bundle.with_name(DATA), packed(tmp_path, tmp_path / "released.tar")
    whole = {path: path.read_bytes() for path in (bundle, data, tar)}
    draw = random.Random(1)
    for number in range(200):
        path = (bundle, data, tar)[number % 3]
        content = bytearray(whole[path])
        kind = draw.choice(("bit", "cut", "run"))
        at = draw.randrange(len(content))
        if kind == "bit":
            content[at] ^= 1 << draw.randrange(8)
        elif kind == "cut":
            del content[at:]
        else:
            content[at : at + 64] = draw.randbytes(len(content[at : at + 64]))
        path.write_bytes(content)
        said = refusal(tar if path == tar else bundle, recipe)
        if said is None:
            assert path == tar, (number, kind, at)
            assert harmless(whole[tar], content), (number, kind, at)
        else:
            assert str(path.parent) in said
            assert "\n" not in said
        path.write_bytes(whole[path])


def test_every_byte_of_the_index_counts(bundle):
    """But those of the footer that no reader looks at."""
    whole = bundle.read_bytes()
    for at in range(len(whole) - FOOTER):
        content = bytearray(whole)
        content[at] ^= 0x10
        bundle.write_bytes(content)
        with pytest.raises(VieError):
            TensorBundle(bundle)
