"""Jobs that load data with processes, slowly, for tests that kill some of those.

    python -m tests.loading JOB DATASET FOLDER WORKERS SLOW

DATASET is as `small_dataset`; FOLDER has the recipe, as recipe.json. A process that is to load
something makes a file in FOLDER/workers, named after itself, and then takes SLOW seconds more.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from vie.clips import loader
from vie.clips.transform import ClipTransform
from vie.engine.run import Data, Run, TrainingClips
from vie.runtime import distributed
from vie.runtime.logs import job
from vie.runtime.signals import resumable

OPTIMISER = {"batch": 8, "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
PROBE = {
    "optimiser": OPTIMISER,
    "schedule": {"duration": "9999 epochs", "lr_drops": []},
    "clips": 1,
}


def data_of(dataset):
    indexes = (dataset / split / "index.parquet" for split in ("train", "val"))
    return Data(*indexes, dataset / "classes.csv")


def untrained(recipe, folder):
    from vie.models.untrained import write_untrained

    write_untrained(recipe, 0, folder / "u.pt", 25.0)
    return folder / "u.pt"


def pretrain(recipe, dataset, folder, run):
    from vie.pretrain import PretrainOutputs, train_stage

    recipe["schedule"] = {"instance_recognition": "99999 steps", "lr_drops": []}
    outputs = PretrainOutputs(folder / "ir.pt", folder / "ir.jsonl")
    train_stage(recipe, "instance_recognition", data_of(dataset), run, outputs)


def monitor(recipe, dataset, folder, run):
    """Pretraining that is at its first measurement when it is killed: two loaders are open."""
    recipe["monitor"] |= {"every": "1 steps", "clips": 40}
    pretrain(recipe, dataset, folder, run)


def probe(recipe, dataset, folder, run):
    from vie.probe import ProbeOutputs, probe

    outputs = ProbeOutputs(*(folder / name for name in ("p.parquet", "m.json", "m.jsonl")))
    network, transform = untrained(recipe, folder), ClipTransform.of(recipe, "single")
    probe([network], transform, PROBE, data_of(dataset), run, outputs)


def finetune(recipe, dataset, folder, run):
    from vie.finetune import PIPELINES, train_finetuned
    from vie.runtime import torch_files

    transform = PIPELINES["scale_crop"](recipe, "single", {"scales": [1, 0.7]})
    clips = TrainingClips(data_of(dataset).train, transform, np.arange(24), 8, "finetuning")
    schedule = {"most": "9999 epochs", "every": "9 epochs", "patience": 9, "drops": 9}
    content = torch_files.load(untrained(recipe, folder))
    how = {"classes": 4, "key": {}, "validate": lambda network: (0.5, 0.5)}
    train_finetuned([content], OPTIMISER, schedule, clips, run, **how)


def features(recipe, dataset, folder, run):
    from vie.features import Split, write_index_features

    files = ("index.parquet", "manifest.parquet")
    splits = [Split(name, *(dataset / name / one for one in files)) for name in ("train", "val")]
    transform, settings = ClipTransform.of(recipe, "single"), {"clips": 9, "layers": ["conv5"]}
    write_index_features(
        [untrained(recipe, folder)], splits, transform, settings, run, folder / "f.parquet"
    )


def pretext(recipe, dataset, folder, run):
    from vie.pretext import right_answers
    from vie.pretrain import PretrainOutputs, train_stage
    from vie.runtime import torch_files

    recipe["encoder"]["embedding"] = "pooled"
    recipe["schedule"] = {"rotation": "1 steps", "lr_drops": []}
    outputs = PretrainOutputs(folder / "r.pt", folder / "r.jsonl")
    alone = Run(folder / "r.state", seed=1, name="test", gpus=0, workers=0)
    slow, loader.load_clip = loader.load_clip, QUICK
    train_stage(recipe, "rotation", data_of(dataset), alone, outputs)
    loader.load_clip = slow
    content, index = torch_files.load(folder / "r.pt"), data_of(dataset).val
    right_answers(content, index, np.arange(8), clips=9, workers=run.workers, label="pretext")


def motion(recipe, dataset, folder, run):
    from vie.frames import flow

    shard = [dataset / "train" / "frames" / f"0-of-1.{suffix}" for suffix in ("tar", "parquet")]
    flow.magnitudes = slowly(flow.magnitudes, folder)
    flow.write_shard_motion(*shard, folder / "0.npy", processes=run.workers)


def embedded(recipe, dataset, folder, run):
    from vie.datasets.synthetic import write_videos

    write_videos.render = slowly(write_videos.render, folder)
    settings = {"dataset_seed": 0, "train_videos_per_class": 2, "val_videos_per_class": 1}
    write_videos.write_embedded(settings, folder / "videos", folder / "lists", run.workers)


QUICK = loader.load_clip
JOBS = {one.__name__: one for one in (pretrain, monitor, probe, finetune, features, pretext)}
JOBS |= {one.__name__: one for one in (motion, embedded)}
TOGETHER = "pretrain by two"  # processes, each with its own workers


def slowly(function, folder):
    def slow(*args, **settings):
        (folder / "workers" / str(os.getpid())).touch()
        time.sleep(float((folder / "slow").read_text()))
        return function(*args, **settings)

    return slow


def main(name, dataset, folder, workers, slow):
    dataset, folder = Path(dataset), Path(folder)
    (folder / "workers").mkdir(exist_ok=True)
    (folder / "slow").write_text(slow)
    recipe = json.loads((folder / "recipe.json").read_text())
    with job(folder / "log"), resumable(folder / "state") as work:
        run = Run(work, seed=1, name=name, gpus=0, workers=int(workers), checkpoint_seconds=0)
        settings = {"recipe": recipe, "dataset": dataset, "folder": folder, "run": run}
        if name == TOGETHER:
            recipe["optimiser"]["batch"] = 6
            distributed.launch(2, pretrain, **settings)
        else:
            loader.load_clip = slowly(QUICK, folder)
            JOBS[name](**settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
elif __name__ == "__mp_main__":  # in a process that was started anew, which imports this again
    loader.load_clip = slowly(QUICK, Path(sys.argv[3]))
