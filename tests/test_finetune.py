import json

import numpy as np
import pandas as pd
import pytest
import torch

from vie import finetune as module
from vie.clips.color_jitter import normalise
from vie.clips.loader import load_clip
from vie.clips.transform import ClipTransform
from vie.clips.windows import windows
from vie.datasets.split_assignment import SplitRow, read_split_assignment, write_split_assignment
from vie.engine.plateau import Finetuning
from vie.engine.predict import predict_windows
from vie.engine.run import Run
from vie.finetune import PIPELINES, FinetuneOutputs, SplitData, finetune, instances_of
from vie.frames.index import load_index
from vie.models.classifiers import Classifier
from vie.models.untrained import write_untrained
from vie.runtime import torch_files
from vie.runtime.errors import VieError

SETTINGS = {
    "schedule": {"most": "10 epochs", "every": "1 epochs", "patience": 9, "drops": 1},
    "validation": "held_out",
    "clips": 2,
}


@pytest.fixture
def members(small_dataset, tmp_path):
    """Half of the 24 videos for training, a quarter each held out and for testing."""
    index = load_index(small_dataset / "train" / "index.parquet")
    parts = ["train", "held_out", "train", "test"]
    found = [
        SplitRow(video, "", parts[i // 6], video)
        for i, video in enumerate(index.videos.to_pylist())
    ]
    found.append(SplitRow("rejected", "", "test", "g"))  # is in the lists and not in the index
    # The index is sorted by class: every class has to be in every part.
    order = np.random.default_rng(0).permutation(24)
    mixed = [m._replace(subset=found[order[i]].subset) for i, m in enumerate(found[:24])]
    write_split_assignment([*mixed, found[24]], tmp_path / "split_assignment.csv")
    return tmp_path / "split_assignment.csv"


def run(recipe, dataset, members, folder, **settings):
    folder.mkdir(exist_ok=True)
    if not (folder / "u.pt").exists():
        write_untrained(recipe, 0, folder / "u.pt")
    finetune(
        [folder / "u.pt"],
        PIPELINES["scale_crop"](recipe, "single", {"scales": [1, 0.8]}),
        {"batch": 6, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4},
        SETTINGS | settings,
        SplitData(dataset / "train" / "index.parquet", members, dataset / "classes.csv"),
        Run(folder / "state", seed=0, name="test", version="finetune 1"),
        FinetuneOutputs(
            folder / "best.pt",
            folder / "predictions.parquet",
            folder / "metadata.json",
            folder / "metrics.jsonl",
        ),
        {"target": "mine", "split": 2},
    )
    return json.loads((folder / "metadata.json").read_text())


def test_what_it_writes(recipe, small_dataset, members, tmp_path):
    metadata = run(recipe, small_dataset, members, tmp_path / "run")
    assert (metadata["n_train"], metadata["n_held_out"], metadata["n_test"]) == (12, 6, 6)
    assert metadata["split"] == 2
    assert metadata["window"] == 16
    assert metadata["steps"] == 20
    assert metadata["version"] == "finetune 1"
    index = load_index(small_dataset / "train" / "index.parquet")
    parts = instances_of(index, read_split_assignment(members))
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    assert table["video"].tolist() == [index.videos[i].as_py() for i in parts["test"]]
    assert table["label"].tolist() == index.labels[parts["test"]].tolist()
    assert table["top5"].all()  # of four classes
    best = torch_files.load(tmp_path / "run" / "best.pt")
    assert best["classes"] == [f"class {i}" for i in range(4)]
    rows = [json.loads(r) for r in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    measured = {r["step"]: r["validation_top1"] for r in rows if "validation_top1" in r}
    assert measured[best["step"]] == max(measured.values())


def test_the_written_network_makes_the_written_predictions(
    recipe, small_dataset, members, tmp_path
):
    """Read back by hand: every window of every test video, one by one, in float64."""
    run(recipe, small_dataset, members, tmp_path / "run")
    from vie.models.encoders import build_encoder

    best = torch_files.load(tmp_path / "run" / "best.pt")
    network = Classifier(build_encoder(best["recipe"]["encoder"]), 4)
    network.load_state_dict(best["network"])
    network = network.double().eval()
    path = small_dataset / "train" / "index.parquet"
    index, transform = load_index(path), PIPELINES["scale_crop"](recipe, "single", {"scales": [1]})
    table = pd.read_parquet(tmp_path / "run" / "predictions.parquet")
    for row, instance in zip(
        table.itertuples(), instances_of(index, read_split_assignment(members))["test"], strict=True
    ):
        shares = []
        for frames in windows(transform.sampling, int(index.n_frames[instance])):
            crop = transform.geometry.centre_crop()
            clip = normalise(load_clip(index, instance, frames, crop, 32)[None]).double()
            shares.append(network(clip).softmax(1)[0].detach().numpy())
        assert np.mean(shares, axis=0).argmax() == row.top1


def test_windows_are_averaged_video_by_video(recipe, small_dataset):
    path = small_dataset / "train" / "index.parquet"
    transform = ClipTransform.of(recipe, {"frames": 2, "stride": 3})

    def brightness(clips):
        return torch.stack([clips.mean((1, 2, 3, 4)), -clips.mean((1, 2, 3, 4))], 1)

    videos = np.array([7, 0, 19])
    found = predict_windows(brightness, path, transform, videos, device=torch.device("cpu"))
    index = load_index(path)
    for instance, ours in zip(videos, found, strict=True):
        shares = []
        for frames in windows(transform.sampling, int(index.n_frames[instance])):
            clip = load_clip(index, instance, frames, transform.geometry.centre_crop(), 32)
            mean = normalise(clip[None]).double().mean().item()
            shares.append(1 / (1 + np.exp(-2 * mean)))
        assert ours[0] == pytest.approx(np.mean(shares), abs=1e-5)
        assert ours.sum() == pytest.approx(1)


def test_the_paper_validates_on_test_videos(recipe, small_dataset, members, tmp_path, monkeypatch):
    seen = []
    real = module.predict_clips

    def watched(*arguments, videos, **settings):
        seen.append(videos.tolist())
        return real(*arguments, videos=videos, **settings)

    monkeypatch.setattr(module, "predict_clips", watched)
    index = load_index(small_dataset / "train" / "index.parquet")
    parts = instances_of(index, read_split_assignment(members))
    for mode, part in (("held_out", "held_out"), ("test", "test")):
        metadata = run(recipe, small_dataset, members, tmp_path / mode, validation=mode)
        assert metadata["validation"] == mode
        assert seen.pop() == parts[part].tolist()
        seen.clear()


def test_nothing_held_out(recipe, small_dataset, tmp_path):
    index = load_index(small_dataset / "train" / "index.parquet")
    names = index.videos.to_pylist()
    found = [SplitRow(v, "", "test" if i % 3 else "train", v) for i, v in enumerate(names)]
    write_split_assignment(found, tmp_path / "split_assignment.csv")
    with pytest.raises(VieError, match=r"no video is held out .*finetuning\.held_out"):
        run(recipe, small_dataset, tmp_path / "split_assignment.csv", tmp_path / "run")
    write_split_assignment(
        [m._replace(subset="test") for m in found], tmp_path / "split_assignment.csv"
    )
    with pytest.raises(VieError, match="no train video of the split is in"):
        run(recipe, small_dataset, tmp_path / "split_assignment.csv", tmp_path / "run")


def test_a_run_killed_while_it_is_tested_goes_on_there(
    recipe, small_dataset, members, tmp_path, monkeypatch
):
    run(recipe, small_dataset, members, tmp_path / "whole")

    def kill(*arguments, **settings):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "predict_windows", kill)
        with pytest.raises(KeyboardInterrupt):
            run(recipe, small_dataset, members, tmp_path / "killed")
        patch.setattr(Finetuning, "step", kill)  # no step may be done again
        patch.setattr(module, "predict_windows", predict_windows)
        run(recipe, small_dataset, members, tmp_path / "killed")
    for name in ("predictions.parquet", "metadata.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    steps = [
        [
            json.loads(row)["step"]
            for row in (tmp_path / n / "metrics.jsonl").read_text().splitlines()
        ]
        for n in ("whole", "killed")
    ]
    assert steps[0] == steps[1]
