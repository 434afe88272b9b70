"""Networks, metrics and exports on a GPU. There: VIE_EXPECT_GPU=1 uv run pytest tests/gpu"""

import copy
import runpy

import numpy as np
import pytest
import torch

from tests.golden import synthetic, training
from vie.config.settings import VECTORS
from vie.engine.monitor import mean_cosine
from vie.features import Extractor
from vie.metrics.alignment import alignment, same_video_retrieval, uniformity
from vie.metrics.knn import knn_predict
from vie.models.checkpoint_format import load_encoder, read
from vie.models.encoders import BUILDERS
from vie.models.export import export, load_torchscript
from vie.models.resnet import channels_last
from vie.models.untrained import new_encoder, write_untrained

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("network", BUILDERS)
def test_a_network_is_that_of_the_cpu(network):
    torch.backends.cudnn.allow_tf32 = False
    encoder = new_encoder({"encoder": {"network": network, "width": 4}}, 1).eval()
    frames = {"slow": 4, "trn": 4}.get(network, 16)
    clips = synthetic.clips(np.arange(2), 0, frames) / 128.0 - 1
    with torch.no_grad():
        here = encoder(clips)[0]
        there = channels_last(encoder.cuda())(clips.cuda())[0]
    torch.testing.assert_close(there.cpu(), here, rtol=1e-2, atol=1e-3)


def test_neighbours_are_those_of_the_cpu():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(60, 16, generator=generator), dim=1)
    queries, labels = vectors[:9].view(3, 3, 16), torch.arange(60) % 4
    here = knn_predict(vectors, labels, queries, classes=4, k=5)
    there = knn_predict(vectors.cuda(), labels, queries, classes=4, k=5)
    torch.testing.assert_close(there.cpu(), here, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "stage", ["instance_recognition", "local_aggregation", "supervised", "rotation"]
)
def test_every_tensor_of_a_step_is_on_the_gpu(stage):
    """A batch comes from the CPU; losses fall as far as they do there, within a wide margin."""
    recipe = synthetic.recipe()
    task = training.new_pretraining(recipe, stage)
    losses = []
    for step, batch in enumerate(synthetic.batches(jitter=recipe["color_jitter"])):
        task.before_step(step)
        losses.append(float(task.step(step, batch)["loss"]))
    assert next(task.network().parameters()).is_cuda
    assert task.bank.vectors.is_cuda
    assert np.isfinite(losses).all()


@pytest.fixture
def small_encoder(tmp_path):
    """An untrained VIE-Slow in a file, and full precision."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    recipe = synthetic.recipe() | {"clip": "slow"}
    recipe["encoder"] = recipe["encoder"] | {"network": "slow", "width": 8}
    write_untrained(recipe, 0, tmp_path / "encoder.pt", 25)
    return load_encoder(tmp_path / "encoder.pt")


@pytest.mark.parametrize(
    ("precision", "apart"), [("float32", 1e-4), ("tf32", 1e-2), ("bf16", 3e-2)]
)
def test_features_are_those_of_the_cpu(small_encoder, precision, apart):
    size = small_encoder.input.size
    clips = torch.randn(5, 3, 4, size, size)
    extractor = Extractor([copy.deepcopy(small_encoder)], VECTORS, precision)
    assert extractor.device.type == "cuda"
    there = extractor(clips.cuda())
    with torch.no_grad():
        embedding, features = small_encoder(clips)
    # (5, D) x (5, D) -> (5,)
    assert 1 - (there["embedding"].cpu() * embedding).sum(1).min() < apart
    expected = features["conv5"].mean((2, 3, 4))  # (5, C, T, H, W) -> (5, C)
    assert (there["conv5"].cpu() - expected).abs().max() < 30 * apart * expected.abs().max()


def test_the_monitor_without_labels_runs(small_encoder):
    vectors = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)
    for measure in (alignment, same_video_retrieval):
        here, there = (
            measure(vectors, vectors.flip(1)),
            measure(vectors.cuda(), vectors.flip(1).cuda()),
        )
        assert there == pytest.approx(here, rel=1e-3, abs=1e-5)
    assert uniformity(vectors.cuda()) == pytest.approx(uniformity(vectors), rel=1e-3)
    assert mean_cosine(vectors.cuda()) == pytest.approx(mean_cosine(vectors), rel=1e-3)


@pytest.mark.parametrize("kind", ["torchscript", "torch-export", "safetensors"])
def test_exported_networks_run_on_the_gpu(small_encoder, tmp_path, kind):
    size = small_encoder.input.size
    clips = torch.randn(3, 3, 4, size, size)
    here = small_encoder(clips)[0].detach()
    export(small_encoder, read(tmp_path / "encoder.pt"), tmp_path / "encoder", [kind])
    if kind == "torchscript":
        network = load_torchscript(tmp_path / "encoder.torchscript").cuda()
    elif kind == "torch-export":
        network = torch.export.load(tmp_path / "encoder.pt2").module().cuda()
    else:
        made = runpy.run_path(str(tmp_path / "encoder_loader.py"))
        network = made["load"](tmp_path / "encoder.safetensors", device="cuda")
    there = network(clips.cuda())[0]
    assert there.is_cuda
    assert (there.cpu() - here).abs().max() < 1e-3
