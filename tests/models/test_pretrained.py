"""Networks that come with vie, found by their names."""

import runpy
from pathlib import Path

import pytest
import torch

import vie
from tests.models.test_export import checkpoint
from vie.models import pretrained as module
from vie.models import safetensors_file
from vie.models.checkpoint_format import encoder_of
from vie.runtime import torch_files
from vie.runtime.errors import VieError

MAKE = Path(__file__).parents[2] / "docs" / "make_pretrained.py"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """One network that comes with vie, as evening/vie_slow: its checkpoint."""
    monkeypatch.setattr(module, "FOLDER", tmp_path / "pretrained")
    content = checkpoint("slow", 4)
    source = tmp_path / "results" / "evening" / "encoders" / "vie_slow.pt"
    source.parent.mkdir(parents=True)
    torch_files.save(source, content)
    folder = tmp_path / "pretrained" / "evening"
    runpy.run_path(str(MAKE))["write"](source, folder / "vie_slow.safetensors")
    return content


def test_a_network_is_found_by_its_name(shipped, monkeypatch, tmp_path):
    tensors, _ = safetensors_file.read(module.FOLDER / "evening" / "vie_slow.safetensors")
    assert {one.dtype for one in tensors.values()} == {torch.float16, torch.int64}
    encoder = vie.load_encoder("evening/vie_slow")
    assert {one.dtype for one in encoder.parameters()} == {torch.float32}
    clips = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(clips)[0], encoder_of(shipped)(clips)[0], rtol=0, atol=0.01
        )
    # A file of the user's own comes first.
    other = checkpoint("single", 1)
    (tmp_path / "evening").mkdir()
    torch_files.save(tmp_path / "evening" / "vie_slow", other)
    monkeypatch.chdir(tmp_path)
    assert vie.load_encoder("evening/vie_slow").metadata["recipe"] == other["recipe"]


def test_its_card_says_how_it_is_loaded(shipped, tmp_path):
    card = (tmp_path / "pretrained" / "evening" / "vie_slow.md").read_text()
    assert 'vie.load_encoder("evening/vie_slow")' in card


@pytest.mark.parametrize("name", ["evening/vie_slwo", "../evening/vie_slow", "vie_slow", ""])
def test_other_names_are_an_error_that_names_what_there_is(shipped, name):
    with pytest.raises(VieError, match=r"no such checkpoint.*\(evening/vie_slow\)"):
        vie.load_encoder(name)


@pytest.mark.parametrize("network", ["single", "trn", "3dresnet", "slow", "slowfast"])
def test_the_networks_of_the_evening_come_with_vie(network):
    name = f"evening/vie_{network}"
    encoder = vie.load_encoder(name)
    assert encoder.metadata["recipe"]["encoder"]["network"] == network
    assert encoder.metadata["provenance"]["experiment"] == "evening"
    given = encoder.input
    clips = torch.randn(2, 3, given.frames, given.size, given.size)
    with torch.no_grad():
        embedding, _ = encoder(clips)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(2))
    assert encoder.metadata["stage"] == "local_aggregation"
    assert name in module.pretrained()[name].with_suffix(".md").read_text()
