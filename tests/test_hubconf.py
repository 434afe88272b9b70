"""hubconf.py of a clone that is not installed, with torch and numpy only."""

from pathlib import Path

import pytest
import torch

import vie
from tests.models.standalone import TORCH, run_alone
from tests.models.test_export import checkpoint
from vie.models.checkpoint_format import encoder_of
from vie.models.export import export
from vie.runtime import torch_files

ROOT = Path(__file__).parents[1]
CODE = """
import torch
encoder = torch.hub.load({clone!r}, "vie", source="local", weights={weights!r})
clips = torch.load("clips.pt")
embedding, features = encoder(clips)
assert not encoder.training and encoder.input.size == 32 and encoder.metadata["step"] == 7
torch.save([embedding, features["conv5"]], "found.pt")
import sys
assert sys.modules["vie"].__path__[0].startswith({clone!r})
"""


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_the_hub_loads_an_encoder_from_a_clone(one_thread, tmp_path, suffix):
    content = checkpoint("trn", 4)
    weights = tmp_path / f"trn{suffix}"
    if suffix == ".pt":
        torch_files.save(weights, content)
    else:
        export(encoder_of(content), content, tmp_path / "trn", ["safetensors"])
    clips = torch.randn(2, 3, 4, 32, 32)
    torch.save(clips, tmp_path / "clips.pt")
    code = CODE.format(clone=str(ROOT), weights=str(weights))
    run_alone(code, tmp_path, TORCH | {"vie", "hubconf"})
    embedding, conv5 = torch.load(tmp_path / "found.pt")
    expected = vie.load_encoder(weights)(clips)
    torch.testing.assert_close(embedding, expected[0])
    torch.testing.assert_close(conv5, expected[1]["conv5"])
