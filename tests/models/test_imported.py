"""Weights from elsewhere: a checkpoint of vie, a state_dict in safetensors, the release."""

import json
import logging
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import vie
from vie.clips.transform import ClipTransform
from vie.engine.run import Data, Run
from vie.finetune import build_classifier
from vie.models.checkpoint_format import describe, read
from vie.models.imported import import_weights
from vie.models.untrained import new_encoder
from vie.pretrain import PretrainOutputs, train_stage
from vie.runtime import torch_files
from vie.runtime.errors import VieError
from vie.runtime.files import digest

RELEASED = Path(__file__).with_name("released") / "checkpoint-1450000.index"


@pytest.fixture
def index(small_dataset):
    return small_dataset / "train" / "index.parquet"


@pytest.fixture
def network(recipe):
    """The network that the files hold, with statistics as training leaves them."""
    encoder = new_encoder(recipe, 3)
    for module in encoder.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
    return encoder.eval()


@pytest.fixture
def checkpoint(recipe, network, index, tmp_path):
    """Writes a checkpoint as a stage's end leaves it; returns its path."""

    def write(**changes):
        content = {
            **describe(recipe, ClipTransform.of(recipe), 30.0),
            "run_key": {"index": digest(index)},
            **{"stage": "local_aggregation", "step": 23, "seed": 1, "n_train": 24, "epoch": 5.75},
            "objectives": recipe["objective"],
            "encoder": network.state_dict(),
            "optimiser": {"state": {}, "param_groups": []},
            "bank": {"vectors": torch.nn.functional.normalize(torch.randn(24, 8), dim=1)},
        } | changes
        path = tmp_path / "stage.pt"
        torch_files.save(path, {k: v for k, v in content.items() if v is not None})
        return path

    return write


@pytest.fixture
def state(network, tmp_path):
    """Writes a state_dict in safetensors, with some tensors changed or left out (None)."""

    def write(metadata=None, **changes):
        tensors = network.state_dict() | {k.replace("__", "."): v for k, v in changes.items()}
        path = tmp_path / "network.safetensors"
        tensors = {k: v.contiguous() for k, v in tensors.items() if v is not None}
        save_file(tensors, path, metadata)
        return path

    return write


def refused(path, recipe, match, **arguments):
    with pytest.raises(VieError, match=match) as error:
        import_weights(path, recipe, path.with_name("imported.pt"), **arguments)
    assert str(path) in str(error.value)
    assert str(error.value).isprintable()
    assert not path.with_name("imported.pt").exists()


def test_both_kinds_give_the_same_network(recipe, network, checkpoint, state, tmp_path):
    clips = torch.randn(2, 3, 1, 32, 32)
    with torch.no_grad():
        expected = network(clips)[0]
    for path in (checkpoint(), state({"format": "pt"})):
        import_weights(path, recipe, tmp_path / "imported.pt", fps=25.0)
        encoder = vie.load_encoder(tmp_path / "imported.pt")
        with torch.no_grad():
            torch.testing.assert_close(encoder(clips)[0], expected)
        of_ours = path.suffix == ".pt"
        assert encoder.input.fps == (30.0 if of_ours else 25.0)
        assert encoder.metadata["step"] == (23 if of_ours else 0)
        content = torch_files.load(tmp_path / "imported.pt")
        assert content["imported_from"] == str(path)
        assert "optimiser" not in content  # its momentum is another run's
        # What the file does not say, nobody may take for said.
        assert ("optimiser" in content["recipe"]) is ("objectives" in content) is of_ours


@pytest.mark.parametrize(
    ("field", "value"), [("licence", ["MIT"]), ("provenance", "x"), ("frames", 3)]
)
def test_damaged_papers_are_refused(recipe, checkpoint, field, value):
    refused(checkpoint(**{field: value}), recipe, f": {field} is .* and has to be a ")


def test_an_imported_network_is_finetuned(recipe, network, state, tmp_path):
    import_weights(state(), recipe, tmp_path / "imported.pt", fps=25.0)
    classifier = build_classifier([read(tmp_path / "imported.pt")], 3, seed=0)
    theirs = network.state_dict()["trunk.resnet.stem.weight"]
    assert torch.equal(classifier.state_dict()["trunk.resnet.stem.weight"], theirs)


def test_what_is_not_used_is_said(recipe, checkpoint, state, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        import_weights(checkpoint(), recipe, tmp_path / "a.pt")
        import_weights(state({"made_by": "me"}), recipe, tmp_path / "b.pt")
    for words in (
        "no memory bank is taken over: only training that goes on",
        "not used: bank, optimiser, run_key",
        "it counts as step 0",
        "not used: notes on made_by",
    ):
        assert words in caplog.text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"run_key": None}, None),  # written by an import: the number of rows decides
        ({"run_key": {"index": "0" * 16}}, "of the videos of another index"),
        ({"run_key": None, "bank_index": "0" * 16}, "of the videos of another index"),
        ({"bank": {"vectors": torch.zeros(23, 8)}}, "it has 23 rows, and .* 24 videos"),
        ({"bank": {"vectors": torch.zeros(24, 9)}}, "none with vectors of 8 numbers"),
        ({"bank": {"vectors": torch.full((24, 8), torch.nan)}}, "not finite"),
        ({"bank": None}, "it holds none"),
    ],
)
def test_a_bank_is_taken_with_its_own_videos_alone(
    recipe, checkpoint, index, tmp_path, caplog, changes, problem
):
    path, output = checkpoint(**changes), tmp_path / "imported.pt"
    with caplog.at_level(logging.INFO):
        import_weights(path, recipe, output, index=index)
    content = torch_files.load(output)
    if problem:
        assert "bank" not in content
        assert any(problem.split(" .*")[0] in message for message in caplog.messages)
    else:
        assert torch.equal(content["bank"]["vectors"], torch_files.load(path)["bank"]["vectors"])
        assert content["bank_index"] == digest(index)


def test_the_networks_settings_have_to_be_the_recipes(recipe, checkpoint):
    other = recipe | {"encoder": recipe["encoder"] | {"width": 4, "bn_momentum": 0.003}}
    match = (
        r"width is 2 in the file and 4 in the recipe, bn_momentum is 0\.1 in the file and 0\.003"
    )
    refused(checkpoint(), other, match)
    refused(
        checkpoint(recipe={"encoder": [1]}), recipe, r"recipe\.encoder is .*, and has to be a dict"
    )
    refused(checkpoint(recipe=7), recipe, r"recipe is 7, and has to be a dict")
    refused(checkpoint(encoder=[1]), recipe, r"encoder is .*, and has to be a dict")
    refused(checkpoint(encoder=None, network={}, classes=[]), recipe, "a checkpoint of finetuning")
    refused(released_beside(checkpoint), recipe, "network is '3dresnet' in the file and 'single'")


def released_beside(checkpoint):
    """The release beside the other files."""
    folder = checkpoint().parent
    for file in RELEASED.parent.glob(f"{RELEASED.stem}.*"):
        shutil.copy(file, folder)
    return folder / RELEASED.name


def test_the_release_may_have_its_own_size(recipe, checkpoint, tmp_path):
    """If asked, but no other network."""
    path, output = released_beside(checkpoint), tmp_path / "imported.pt"
    ours = recipe | {"encoder": {"network": "3dresnet", "width": 4, "embedding": 8}}
    refused(path, ours, "width is 8 in the file and 4 in the recipe, embedding is 128")
    content = import_weights(path, ours, output, own_size=True)
    assert content["recipe"]["encoder"] == ours["encoder"] | {"width": 8, "embedding": 128}
    output.unlink()
    refused(path, recipe, "network is '3dresnet' in the file and 'single'", own_size=True)


def test_what_a_file_says_is_quoted(recipe, checkpoint, state, tmp_path, caplog):
    """No file writes lines or colours of its own into a log."""
    bad = "a\x1b[31m\nERROR"
    with caplog.at_level(logging.INFO):
        import_weights(checkpoint(**{bad: 1}), recipe, tmp_path / "a.pt")
        import_weights(state({bad: "x"}), recipe, tmp_path / "b.pt")
    assert all(message.isprintable() for message in caplog.messages)
    assert f"not used: {bad!r}, bank" in caplog.text
    assert f"notes on {bad!r}" in caplog.text
    refused(state(**{bad: torch.zeros(1)}), recipe, r"unknown: 'a\\x1b\[31m\\nERROR'$")
    path = state()
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F\x1b2"').replace(b'"I64"', b'"\n64"'))
    refused(path, recipe, "is no file of safetensors")
    found = {"encoder": recipe["encoder"] | {bad: bad}}
    refused(checkpoint(recipe=found), recipe, r"'a\\x1b\[31m\\nERROR' is 'a\\x1b\[31m\\nERROR' in")


HEAD = "head__weight"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({HEAD: torch.zeros(8, 17)}, r"of another shape: head\.weight \(8, 17\), not \(8, 16\)"),
        ({HEAD: None, "head__bias": None}, r"missing: head\.weight, head\.bias$"),
        ({f"more{i}": torch.zeros(1) for i in range(7)}, r"unknown: more0, .* and 2 more"),
        ({HEAD: torch.full((8, 16), torch.inf)}, r"head\.weight holds numbers that are not finite"),
        (
            {HEAD: torch.full((8, 16), 1e300, dtype=torch.float64)},
            r"head\.weight holds numbers that are not",
        ),
        ({HEAD: torch.zeros(8, 16, dtype=torch.int32)}, r"head\.weight has the type torch\.int32"),
    ],
)
def test_tensors_that_do_not_fit_are_named(recipe, network, state, checkpoint, changes, match):
    refused(state(**changes), recipe, match)
    tensors = network.state_dict() | {k.replace("__", "."): v for k, v in changes.items()}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    refused(checkpoint(encoder=tensors), recipe, match)


def test_shapes_are_compared_before_memory_is_taken(recipe, state):
    """A header may promise more than any machine has."""
    path = state()
    whole = path.read_bytes()
    size = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + size])
    header["head.weight"]["shape"] = [1 << 40, 1 << 20]
    promised = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(promised)) + promised + whole[8 + size :])
    refused(path, recipe, r"no file of safetensors|head\.weight")


def test_damaged_files_are_sentences(recipe, state, checkpoint, tmp_path):
    for path, match in (
        (state(), "is no file of safetensors that can be read .*: get or make it again$"),
        (checkpoint(), "is not a checkpoint that can be read"),
    ):
        whole = path.read_bytes()
        for size in (0, 7, 100, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            refused(path, recipe, match)
        path.unlink()
        refused(path, recipe, "No such file|no such checkpoint")
        path.mkdir()
        refused(path, recipe, "is a folder: name the file of weights in it")
    (tmp_path / "weights.pth").touch()
    refused(tmp_path / "weights.pth", recipe, r"files that end in \.tar, \.index, \.pt, \.saf")


class Malicious:
    """Runs code where a pickle is loaded without care."""

    def __reduce__(self):
        return (print, ("pwned",))


def test_no_code_in_a_file_is_run(recipe, checkpoint, tmp_path, capsys):
    path = checkpoint()
    torch.save(torch_files.load(path) | {"encoder": Malicious()}, path)
    refused(path, recipe, "is not a checkpoint that can be read")
    foreign = {"network": "os:system", "embedding": 8}
    refused(checkpoint(recipe=recipe | {"encoder": foreign}), recipe, "network is 'os:system' in")
    assert "pwned" not in capsys.readouterr().out


def test_half_precision_is_widened(recipe, network, state, tmp_path):
    half = network.state_dict()["head.weight"].half()
    import_weights(state(**{HEAD: half}), recipe, tmp_path / "imported.pt")
    found = torch_files.load(tmp_path / "imported.pt")["encoder"]["head.weight"]
    assert found.dtype == torch.float32
    assert torch.equal(found, half.float())


@pytest.mark.parametrize("with_bank", [True, False])
def test_training_goes_on_from_an_imported_network(
    recipe, network, checkpoint, state, index, tmp_path, caplog, with_bank
):
    """Its network; the bank if it has one; no momentum."""
    path = checkpoint() if with_bank else state()
    imported, work = tmp_path / "imported.pt", tmp_path / "la.state"
    import_weights(path, recipe, imported, index=index, fps=25.0)
    still = recipe | {"optimiser": recipe["optimiser"] | {"lr": 1e-30, "weight_decay": 0.0}}
    still["schedule"] = {"local_aggregation": "1 steps", "lr_drops": []}
    with caplog.at_level(logging.INFO):
        train_stage(
            still,
            "local_aggregation",
            Data(index),
            Run(work, seed=1, name="test"),
            PretrainOutputs(tmp_path / "la.pt", tmp_path / "la.jsonl"),
            start_from=imported,
        )
    after = torch_files.load(tmp_path / "la.pt")
    assert torch.equal(after["encoder"]["head.weight"], network.state_dict()["head.weight"])
    assert after["step"] == (24 if with_bank else 1)
    said = "has no memory bank of these videos: a new, random one is used" in caplog.text
    assert said is not with_bank
    if with_bank:
        before = torch_files.load(path)["bank"]["vectors"]
        same = (after["bank"]["vectors"] == before).all(1)
        assert same.sum() == 24 - recipe["optimiser"]["batch"]
