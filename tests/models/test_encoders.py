"""Encoders: the embedding derived again from the features, settings, shapes."""

import numpy as np
import pytest
import torch

from vie.models.encoders import build_encoder, feature_shapes
from vie.runtime.errors import VieError


def test_embedding_is_the_normalised_linear_map_of_the_mean():
    torch.manual_seed(0)
    encoder = build_encoder({"network": "single", "width": 4, "embedding": 6}).double().eval()
    torch.nn.init.normal_(encoder.head.bias)
    embedding, features = encoder(torch.randn(3, 3, 2, 32, 40, dtype=torch.float64))
    conv5 = features["conv5"].detach().numpy()
    weight, bias = (p.detach().numpy() for p in encoder.head.parameters())
    for b in range(3):
        mean = np.array([conv5[b, c].sum() / conv5[b, c].size for c in range(32)])
        z = weight @ mean + bias
        np.testing.assert_allclose(embedding[b].detach(), z / np.sqrt((z**2).sum()), rtol=1e-10)


def test_embedding_is_float32_under_autocast():
    torch.manual_seed(0)
    encoder = build_encoder({"network": "single", "width": 4, "embedding": 8})
    with torch.autocast("cpu", torch.bfloat16):
        embedding, features = encoder(torch.randn(4, 3, 1, 32, 32))
    assert features["conv5"].dtype == torch.bfloat16
    assert embedding.dtype == torch.float32
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(4), rtol=0, atol=1e-6)


def test_paper_size_by_default():
    encoder = build_encoder({"network": "single"})
    # The trunk (counted in test_resnet.py), then 512 x 128 weights and 128 biases.
    assert sum(p.numel() for p in encoder.parameters()) == 11_178_816 + 512 * 128 + 128
    momenta = {m.momentum for m in encoder.modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {0.003}


def test_feature_shapes_are_those_of_a_real_clip():
    encoder = build_encoder({"network": "single", "width": 4})
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    shapes = feature_shapes(encoder.trunk, (3, 2, 48, 33))
    assert encoder.training
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())
    features = encoder.trunk(torch.randn(2, 3, 2, 48, 33))
    assert shapes == {name: tuple(feature.shape[1:]) for name, feature in features.items()}


def test_unknown_settings_are_refused():
    with pytest.raises(VieError, match=r"'resnet'.*single"):
        build_encoder({"network": "resnet"})
    with pytest.raises(VieError, match=r"no setting widht.*width"):
        build_encoder({"network": "single", "widht": 4})


@pytest.mark.parametrize("network", ["single", "3dresnet", "slowfast"])
def test_a_pooled_embedding_is_the_averaged_features(network):
    encoder = build_encoder({"network": network, "width": 4, "embedding": "pooled"}).eval()
    embedding, features = encoder(torch.randn(2, 3, 8, 32, 32))
    pathways = [features["conv5"]] + ([features["fast"]] if network == "slowfast" else [])
    pooled = torch.cat([maps.mean((2, 3, 4)) for maps in pathways], 1)
    torch.testing.assert_close(features["pooled"], pooled)
    torch.testing.assert_close(embedding, pooled / pooled.norm(dim=1, keepdim=True))
    assert embedding.shape == (2, encoder.dimensions)
    assert not list(encoder.head.parameters())
