import numpy as np
import torch

from vie.engine.monitor import KnnMonitor
from vie.engine.run import Data
from vie.frames.index import load_index
from vie.models.untrained import new_encoder


def test_the_monitor_counts_videos_whose_neighbours_agree(recipe, small_dataset):
    """A bank made of the validation videos' own embeddings, then with labels turned by one."""
    encoder = new_encoder(recipe, 0)
    encoder.train()
    train, val = (small_dataset / s / "index.parquet" for s in ("train", "val"))
    recipe["monitor"] |= {"clips": 2, "neighbours": 1}
    monitor = KnnMonitor(recipe, Data(val, val, small_dataset / "classes.csv"))
    embeddings = []

    def record(clips):
        embeddings.append(embedding := encoder_forward(clips))
        return embedding

    encoder_forward, encoder.forward = encoder.forward, record
    monitor(encoder, torch.nn.functional.normalize(torch.randn(8, 8), dim=1))
    bank = torch.cat([e for e, _ in embeddings]).view(8, 2, 8)[:, 0].detach()
    encoder.forward = encoder_forward
    right = monitor(encoder, bank)["knn_top1"]
    monitor.labels = (monitor.labels + 1) % 4
    wrong = monitor(encoder, bank)["knn_top1"]
    assert right > 60
    assert wrong < 40
    assert encoder.training
    assert len(load_index(train).labels) == 24
    assert np.isfinite(right)
