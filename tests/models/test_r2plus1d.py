"""examples/r2plus1d.py: the same features as torchvision's own network."""

import pytest
import torch
from torchvision.models.video import r2plus1d_18

from vie.models.encoders import build_encoder
from vie.runtime.errors import VieError

NETWORK = {"network": "r2", "width": 64, "embedding": 16, "bn_momentum": 0.2}
CLASSES = {"r2": "examples.r2plus1d:r2plus1d_18"}


def test_features_and_embedding_are_torchvisions(root):
    torch.manual_seed(0)
    encoder = build_encoder(NETWORK, CLASSES).eval()
    theirs = r2plus1d_18(weights=None).eval()
    ours = dict(zip(theirs.state_dict(), encoder.trunk.state_dict().values(), strict=False))
    ours |= {key: theirs.state_dict()[key] for key in ("fc.weight", "fc.bias")}
    theirs.load_state_dict(ours)
    clip = torch.randn(2, 3, 4, 32, 32)
    with torch.no_grad():
        embedding, features = encoder(clip)
        x = clip
        for name, layer in zip(
            ("conv1", "conv2", "conv3", "conv4", "conv5"),
            (theirs.stem, theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4),
            strict=True,
        ):
            x = layer(x)
            torch.testing.assert_close(features[name], x)
        pooled = theirs.avgpool(x).flatten(1)
        expected = pooled @ encoder.head.weight.T + encoder.head.bias
    torch.testing.assert_close(embedding, expected / expected.norm(dim=1, keepdim=True))
    momenta = {m.momentum for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm3d)}
    assert momenta == {0.2}


def test_a_width_that_torchvision_has_not_is_refused(root):
    with pytest.raises(VieError, match="width of 64, not 32"):
        build_encoder(NETWORK | {"width": 32}, CLASSES)
