"""hubconf.py of a clone that is not installed, with torch and numpy only."""

from pathlib import Path

import torch

from tests.models.standalone import TORCH, run_alone
from tests.models.test_export import checkpoint
from vie.models.checkpoint_format import encoder_of
from vie.models.export import export
from vie.runtime import torch_files

ROOT = Path(__file__).parents[1]
CODE = """
import sys
import torch
clips = torch.load("clips.pt")
for suffix in ("pt", "safetensors"):
    weights = f"trn.{{suffix}}"
    encoder = torch.hub.load({clone!r}, "vie", source="local", weights=weights)
    embedding, features = encoder(clips)
    assert not encoder.training and encoder.input.size == 32 and encoder.metadata["step"] == 7
    torch.save([embedding, features["conv5"]], f"found_{{suffix}}.pt")
assert sys.modules["vie"].__path__[0].startswith({clone!r})
"""


def test_the_hub_loads_encoders_from_a_clone(one_thread, tmp_path):
    content = checkpoint("trn", 4)
    encoder = encoder_of(content)
    torch_files.save(tmp_path / "trn.pt", content)
    export(encoder, content, tmp_path / "trn", ["safetensors"])
    clips = torch.randn(2, 3, 4, 32, 32)
    torch.save(clips, tmp_path / "clips.pt")
    run_alone(CODE.format(clone=str(ROOT)), tmp_path, TORCH | {"vie", "hubconf"})
    expected, features = encoder(clips)
    for suffix in ("pt", "safetensors"):
        embedding, conv5 = torch.load(tmp_path / f"found_{suffix}.pt")
        torch.testing.assert_close(embedding, expected)
        torch.testing.assert_close(conv5, features["conv5"])
