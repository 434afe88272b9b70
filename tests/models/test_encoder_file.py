"""Encoder files: all that is needed to use a network, and nothing to go on training."""

import pytest
import torch

import vie
from vie.clips.transform import ClipTransform
from vie.models.checkpoint_format import describe
from vie.models.encoder_file import write_encoder
from vie.models.export import export
from vie.models.imported import import_weights
from vie.models.untrained import new_encoder
from vie.runtime import torch_files
from vie.runtime.errors import VieError

FRAMES = {"fps": 25.0, "shorter_side": 80, "quality": 3}


@pytest.fixture
def checkpoint(tmp_path, recipe):
    """One of training, with all that it goes on from: (file, network)."""
    encoder = new_encoder(recipe, 3)
    content = describe(recipe, ClipTransform.of(recipe), 25.0)
    content |= {"stage": "local_aggregation", "step": 7, "seed": 3, "n_train": 24}
    content |= {"version": "pretrain 2", "code": "abc", "objectives": {"temperature": 0.07}}
    content |= {"bank": {"vectors": torch.zeros(1000, 8)}, "optimiser": {"state": {}}}
    content |= {"encoder": encoder.state_dict(), "run_key": {"index": "here"}}
    torch_files.save(tmp_path / "local_aggregation.pt", content)
    return tmp_path / "local_aggregation.pt", encoder.eval()


def write(checkpoint, path, **changed):
    settings = {
        "recipe": {"label": "VIE-Single", "schedule": {"local_aggregation": "13 steps"}},
        "provenance": {"experiment": "demo", "dataset": "embedded"},
        "licence": "CC BY 4.0",
    }
    write_encoder(checkpoint, path, FRAMES, **(settings | changed))
    return torch_files.load(path)


def test_the_network_is_the_same_and_its_papers_are_with_it(checkpoint, tmp_path):
    source, network = checkpoint
    content = write(source, tmp_path / "e.pt")
    assert not {"bank", "optimiser", "run_key"} & set(content)
    assert (tmp_path / "e.pt").stat().st_size < source.stat().st_size
    encoder = vie.load_encoder(tmp_path / "e.pt")
    clips = torch.randn(2, 3, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(encoder(clips)[0], network(clips)[0])
    found = encoder.metadata
    assert found["frames"] == FRAMES
    assert found["licence"] == "CC BY 4.0"
    assert found["provenance"] == {
        **{"experiment": "demo", "dataset": "embedded", "imported_from": None},
        **{"objectives": {"temperature": 0.07}, "version": "pretrain 2", "code": "abc"},
    }
    assert found["recipe"]["label"] == "VIE-Single"
    assert found["recipe"]["schedule"] == {"local_aggregation": "13 steps"}
    assert (found["stage"], found["step"], found["seed"], found["n_train"]) == (
        *("local_aggregation", 7, 3),
        24,
    )
    assert encoder.input.fps == 25


def test_tensors_are_float32_and_alone(checkpoint, tmp_path):
    """Whatever memory the checkpoint's were views of, and in whatever order."""
    source, _ = checkpoint
    content = torch_files.load(source)
    state = content["encoder"]
    large = torch.randn(10, *state["head.weight"].shape, dtype=torch.float64)
    state["head.weight"] = large[4]
    torch_files.save(source, content)
    made = write(source, tmp_path / "e.pt")["encoder"]
    assert all(value.is_contiguous() for value in made.values())
    assert made["head.weight"].dtype == torch.float32
    assert made["head.weight"].untyped_storage().nbytes() == made["head.weight"].numel() * 4
    torch.testing.assert_close(made["head.weight"], large[4].float())
    counts = [value for name, value in made.items() if name.endswith("num_batches_tracked")]
    assert all(value.dtype == torch.int64 for value in counts)


def test_of_an_imported_network_what_nobody_says_is_not_made_up(checkpoint, tmp_path):
    """A state_dict that was imported knows neither frames nor a licence."""
    source, _ = checkpoint
    content = torch_files.load(source) | {"fps": None, "imported_from": "/home/me/a.safetensors"}
    del content["stage"], content["n_train"]
    torch_files.save(source, content)
    made = write(source, tmp_path / "e.pt", licence=None, provenance={"dataset": None})
    assert made["fps"] == 25
    assert (made["stage"], made["licence"]) == (None, None)
    assert made["provenance"]["imported_from"] == "a.safetensors"
    assert made["frames"] is None  # these videos are not those that it was trained on
    assert write(source, tmp_path / "e.pt")["licence"] == "CC BY 4.0"  # the config's


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_an_imported_encoder_keeps_its_papers(checkpoint, recipe, tmp_path, caplog, suffix):
    first = write(checkpoint[0], tmp_path / "first.pt", licence="GPL 3")
    if suffix == ".safetensors":
        export(vie.load_encoder(tmp_path / "first.pt"), first, tmp_path / "first", ["safetensors"])
    import_weights(tmp_path / f"first{suffix}", recipe, tmp_path / "imported.pt", fps=10.0)
    theirs = {"experiment": "mine", "dataset": None, "stages": []}
    second = tmp_path / "second.pt"
    how = {"recipe": {"label": "B"}, "provenance": theirs, "licence": "MIT"}
    write_encoder(
        tmp_path / "imported.pt", second, {"fps": 10.0, "shorter_side": 9, "quality": 9}, **how
    )
    found = torch_files.load(second)
    assert (found["licence"], found["frames"]) == ("GPL 3", FRAMES)
    assert found["provenance"] == first["provenance"] | {
        "imported_from": f"first{suffix}",
        "stages": [],
    }
    assert "that of the imported file, GPL 3, and not the config's, MIT" in caplog.text
    # Once more: where it came from first is what counts.
    import_weights(second, recipe, tmp_path / "imported.pt")
    write_encoder(tmp_path / "imported.pt", tmp_path / "third.pt", FRAMES, **how)
    assert torch_files.load(tmp_path / "third.pt")["provenance"] == found["provenance"]


def test_a_damaged_checkpoint_leaves_no_file(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    with pytest.raises(VieError, match="is not a checkpoint"):
        write(tmp_path / "a.pt", tmp_path / "e.pt")
    assert not (tmp_path / "e.pt").exists()
