"""Features of the videos of indexes, against a loop over clips."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.conftest import write_split
from vie.clips.color_jitter import normalise
from vie.clips.loader import load_clip
from vie.clips.transform import ClipTransform
from vie.config.settings import VECTORS
from vie.datasets.video import Video
from vie.engine.feature_table import read_features
from vie.engine.run import Run
from vie.features import Extractor, Split, average, write_index_features
from vie.frames.index import load_index
from vie.frames.manifest import class_names, read_videos, write_manifest
from vie.models.checkpoint_format import load_encoder
from vie.models.encoders import BUILDERS
from vie.models.untrained import new_encoder, write_untrained
from vie.runtime.torch_files import content_digest


@pytest.fixture
def networks(recipe, tmp_path):
    """Checkpoints of two networks."""
    paths = [tmp_path / f"{seed}.pt" for seed in range(2)]
    for seed, path in enumerate(paths):
        write_untrained(recipe, seed, path, 25.0)
    return paths


def splits(folder):
    files = ("index.parquet", "manifest.parquet")
    return [Split(name, *(folder / name / file for file in files)) for name in ("train", "val")]


def written(networks, folder, recipe, tmp_path, **settings):
    settings = {"clips": 3, "layers": list(VECTORS)} | settings
    run = Run(tmp_path, seed=4, name="features", gpus=0, version="features 1", code="abc")
    transform, output = ClipTransform.of(recipe, "single"), tmp_path / "f.parquet"
    write_index_features(networks, splits(folder), transform, settings, run, output, "VIE")
    return read_features(output)


def test_vectors_are_means_over_clips(small_dataset, networks, recipe, tmp_path):
    """Of every video of both splits, in the order of the indexes."""
    table = written(networks[:1], small_dataset, recipe, tmp_path)
    encoder, transform = load_encoder(networks[0]), ClipTransform.of(recipe, "single")
    assert table.splits == ["train"] * 24 + ["val"] * 8
    row = 0
    for split in ("train", "val"):
        index = load_index(small_dataset / split / "index.parquet")
        for instance in range(len(index)):
            n_frames = int(index.n_frames[instance])
            crop, vectors = transform.geometry.centre_crop(), {layer: [] for layer in VECTORS}
            for frames in transform.sampling.test(n_frames, 3):
                clip = normalise(load_clip(index, instance, frames, crop, 32)[None])
                with torch.no_grad():
                    embedding, features = encoder(clip)
                vectors["embedding"].append(embedding[0])
                for layer in VECTORS[1:]:
                    vectors[layer].append(features[layer][0].mean((1, 2, 3)))
            means = {layer: torch.stack(each).mean(0) for layer, each in vectors.items()}
            means["embedding"] /= means["embedding"].norm()
            for layer, mean in means.items():
                np.testing.assert_allclose(table.vectors[layer][row], mean, rtol=1e-4, atol=1e-6)
            assert table.ids[row] == index.videos[instance].as_py()
            assert (table.starts[row], table.ends[row]) == (0, n_frames / 25)
            assert table.labels[row] == f"class {index.labels[instance]}"
            row += 1
    assert table.metadata == {
        **{"vie_version": table.metadata["vie_version"], "layers": " ".join(VECTORS)},
        **{"encoder": content_digest(encoder.state_dict()), "clips": "3", "fps": "25"},
        **{"recipe": "VIE", "seed": "4", "version": "features 1", "code": "abc"},
    }


def test_several_networks_stand_side_by_side(small_dataset, networks, recipe, tmp_path):
    layers = {"layers": ["embedding", "conv4"]}
    both = written(networks, small_dataset, recipe, tmp_path, **layers)
    alone = [written([one], small_dataset, recipe, tmp_path, **layers) for one in networks]
    assert list(both.vectors) == ["embedding", "conv4"]
    assert both.vectors["embedding"].shape == (32, 16)
    np.testing.assert_allclose(np.linalg.norm(both.vectors["embedding"], axis=1), 1, rtol=1e-5)
    together = np.concatenate([one.vectors["conv4"] for one in alone], 1)
    np.testing.assert_allclose(both.vectors["conv4"], together, rtol=1e-4)
    assert both.metadata["encoder"] not in [one.metadata["encoder"] for one in alone]


def test_pieces_have_their_place_in_the_file(tmp_path, networks, recipe):
    for split in ("train", "val"):
        write_split(tmp_path, split, 3, 2)
    path = tmp_path / "train" / "manifest.parquet"
    rows = [one._replace(start=2.5, end=12.5) for one in read_videos(path)[1:]]
    write_manifest([read_videos(path)[0], *rows], class_names(rows), path, exact=True)
    table = written(networks[:1], tmp_path, recipe, tmp_path, layers=["embedding"])
    assert isinstance(rows[0], Video)
    whole = table.ids[0]
    for name, start, end in zip(table.ids[:3], table.starts, table.ends, strict=False):
        assert start == (0 if name == whole else 2.5)
        assert end - start < 2  # what there is of a piece, and not what its row asks for
    assert table.ends[0] < 2


@pytest.mark.parametrize("name", BUILDERS)
def test_every_network_has_vectors(name):
    frames = {"slow": 4, "trn": 4}.get(name, 8)
    encoder = new_encoder({"encoder": {"network": name, "width": 4, "embedding": 8}}, 0)
    vectors = Extractor([encoder], VECTORS)(torch.randn(2, 3, frames, 32, 32))
    assert {layer: vector.ndim for layer, vector in vectors.items()} == dict.fromkeys(VECTORS, 2)
    assert vectors["embedding"].shape == (2, 8)
    assert all(vector.dtype == torch.float32 for vector in vectors.values())


def test_only_the_embedding_has_unit_length():
    vectors = {"embedding": F.normalize(torch.randn(2, 3, 5), dim=2), "conv5": torch.ones(2, 3, 4)}
    found = average(vectors)
    torch.testing.assert_close(found["embedding"].norm(dim=1), torch.ones(2))
    assert torch.equal(found["conv5"], torch.ones(2, 4))
