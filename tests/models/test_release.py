"""A checkpoint that the authors' code wrote, at width 8 with random weights, and its outputs."""

import io
import json
import logging
import random
import shutil
import tarfile
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.models.bundles import DATA, NAME, RELEASED, packed, rewritten, write_bundle
from vie.clips.sampling import sampling
from vie.config.load import load_config
from vie.models import release
from vie.models.checkpoint_format import encoder_of
from vie.models.release import read_release
from vie.models.tensorflow_checkpoint import TensorBundle
from vie.probe import _network_metadata
from vie.reporting.differences import PROBE, differences
from vie.runtime.errors import VieError
from vie.runtime.torch_files import content_digest


@pytest.fixture(scope="module")
def recipe():
    root = Path(__file__).parents[2]
    config = load_config(root / "config.yaml", root / "experiments/kinetics400.yaml")
    return config["recipes"]["vie_3dresnet"]


def test_the_network_gives_what_the_authors_code_gave(recipe):
    network = encoder_of(read_release(RELEASED / f"{NAME}.index", recipe))
    outputs = np.load(RELEASED / "outputs.npz")
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
        content = read_release(RELEASED / f"{NAME}.index", recipe)
    assert (content["step"], content["n_train"]) == (1_450_000, 40)
    assert content["recipe"]["encoder"]["width"] == 8
    assert "bank" not in content
    assert "memory bank is left out: only training that goes on" in caplog.messages[0]
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
    theirs = TensorBundle(RELEASED / f"{NAME}.index").array("instance/all_labels").copy()
    theirs[:2] = 245  # two videos of one class
    ours, real = labels(theirs), TensorBundle.array
    monkeypatch.setattr(
        TensorBundle, "array", lambda b, n: theirs if n == "instance/all_labels" else real(b, n)
    )
    monkeypatch.setattr(release, "load_index", lambda path: SimpleNamespace(labels=ours))
    with caplog.at_level(logging.INFO):
        content = read_release(RELEASED / f"{NAME}.index", recipe, Path("index.parquet"))
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
    content = read_release(RELEASED / f"{NAME}.index", recipe)
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
    assert differences(known, "VIE-3DResNet", "kinetics400") == []
    known["networks"][0]["encoder"]["width"] = 8
    assert differences(known, "VIE-3DResNet", "kinetics400")


def test_another_network_is_refused_before_memory_is_taken(tmp_path, recipe):
    path = write_bundle(tmp_path / "x", {"resnet_model/conv3d/kernel": np.zeros((1, 1), "<f4")})
    with pytest.raises(VieError, match="does not hold the authors' VIE-3DResNet"):
        read_release(path, recipe)


VARIANCE = "resnet_model/batch_normalization_3/moving_variance"
NO_STEP = "holds no whole number of steps as global_step"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(({"global_step": np.array(number)}, NO_STEP) for number in (7.5, np.nan, np.inf)),
        ({"global_step": np.array(7, "<f4")}, NO_STEP),
        ({"global_step": np.arange(2)}, NO_STEP),
        ({"global_step": None}, NO_STEP),
        ({"global_step": np.array(-1)}, "global_step is -1, which is no number of steps"),
        ({VARIANCE: np.full(8, -1e-3, "<f4")}, f"{VARIANCE} holds a variance below zero"),
        ({VARIANCE: np.full(8, np.nan, "<f4")}, "not finite"),
        ({VARIANCE: np.zeros(8, "<f8")}, "float64, not float32"),
        ({VARIANCE: np.zeros(9, "<f4")}, r"has the shape \(9,\), and \(8,\) is needed"),
    ],
)
def test_numbers_that_no_training_gives_are_refused(tmp_path, recipe, changes, message):
    with pytest.raises(VieError, match=message):
        read_release(rewritten(tmp_path / "x", changes), recipe)


def test_shapes_are_compared_before_anything_is_read(tmp_path, recipe, monkeypatch):
    last = "resnet_model/dense/bias"
    path = rewritten(tmp_path / "x", {last: np.zeros(129, "<f4")})
    monkeypatch.setattr(TensorBundle, "check", lambda bundle: pytest.fail("it is read"))
    monkeypatch.setattr(TensorBundle, "array", lambda bundle, name: pytest.fail("it is read"))
    with pytest.raises(VieError, match=f"{last} has the shape"):
        read_release(path, recipe)


def test_the_bank_is_read_only_where_it_is_wanted(recipe, monkeypatch):
    read, real = [], TensorBundle.array
    monkeypatch.setattr(TensorBundle, "array", lambda b, name: read.append(name) or real(b, name))
    read_release(RELEASED / f"{NAME}.index", recipe)
    assert "global_step" in read
    assert not any(name.startswith("instance/") for name in read)


def test_a_release_may_lack_a_bank(tmp_path, recipe, caplog):
    """Or have another's."""
    bank = "instance/memory_bank"
    for number, problem in ((None, "it holds none"), (np.zeros(3, "<f4"), "it has the shape (3,)")):
        with caplog.at_level(logging.INFO):
            content = read_release(rewritten(tmp_path / "x", {bank: number}), recipe)
        assert f"its memory bank is left out: {problem}" in caplog.text
        assert "n_train" not in content
        assert encoder_of(content).metadata["n_train"] is None


def test_what_else_is_in_a_tar_is_said(bundle, tmp_path, recipe, caplog):
    bundle.with_name(f"{NAME}.meta").write_text("a graph")
    bundle.with_name(f"{NAME}.\x1b[31m").write_text("red")
    with caplog.at_level(logging.INFO):
        read_release(packed(tmp_path, tmp_path / "released.tar"), recipe)
    assert f"not used: 'a/b/{NAME}.\\x1b[31m', a/b/{NAME}.meta, instance/" in caplog.text


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
