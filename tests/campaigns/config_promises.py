"""Whether jobs of a config can run: what they would build is built, by other code than the checks.

Networks are built without memory (on torch's meta device); sizes that cost time are left out.
"""

import json
import math
import warnings

import numpy as np
import torch
from simplejpeg import encode_jpeg

from vie.clips.color_jitter import ColorJitterDraws, apply_color_jitter, draw_color_jitter
from vie.clips.cutting import cut_clip
from vie.clips.transform import ClipTransform, crop_policy
from vie.config.ablations import without_ablations
from vie.config.settings import probe_of, recipes_of, single_splits, stages
from vie.engine.schedules import finetuning_schedule, pretraining_schedule, probe_schedule
from vie.models.encoders import build_encoder
from vie.objectives.table import build_objective, facts_of, settings_of
from vie.workflow import finetuning, resources
from vie.workflow.paths import PIPELINES, Experiment
from vie.workflow.videos import most_videos

MOST_MB = 4_000_000  # of a job
PIXELS = 2**20  # of a clip that is cropped here
LONGEST = 255  # bytes of a file's name
PER_EPOCH = 7
JPEG = encode_jpeg(np.full((80, 142, 3), 90, np.uint8))


def everything(config, rng):
    """AssertionError, or any other exception, where a job could not run."""
    json.dumps(config, allow_nan=False).encode()
    experiment = Experiment(config)
    for file in experiment.published_files():
        assert "\0" not in file
        assert all(len(part.encode()) <= LONGEST for part in file.split("/")), file
    names = list(without_ablations(config["recipes"]))
    for name in rng.sample(names, min(3, len(names))):
        recipe_runs(config, config["recipes"][name], rng)
    rows = list(without_ablations(config["evaluations"]))
    for name in rng.sample(rows, min(3, len(rows))):
        evaluation_runs(config, experiment, name, rng)
    for dataset in config["datasets"].values():
        assert 0 < resources.frames(dataset, 4) < MOST_MB
    optimisers_run(config)


def recipe_runs(config, recipe, rng):
    """One recipe: network, transform, schedule, objective, memory."""
    transform = ClipTransform.of(recipe)
    assert ClipTransform.from_dict(json.loads(json.dumps(transform.to_dict()))) == transform
    sees(transform, recipe["monitor"]["clips"], rng)
    if not {recipe["encoder"]["network"]} & {*config["networks"]}:
        shape = transform.sampling.frames, recipe["geometry"]["size"]
        features = network(recipe["encoder"], *shape)
        assert all(0 not in one.shape for one in features.values())
    if not stages(recipe):
        return
    assert 0 < resources.pretrain(config, config["dataset"], recipe, 4) < MOST_MB
    first = 0
    for stage in stages(recipe):
        schedule = pretraining_schedule(recipe["schedule"], stage, PER_EPOCH, first=first)
        assert schedule.first < schedule.last < 10**14
        for step in (schedule.first, schedule.last - 1):
            assert 0 < schedule.lr(recipe["optimiser"]["lr"], step) < math.inf
        first = schedule.last
        assert facts_of(recipe, stage)
        objective(config, recipe, stage)


def network(encoder, frames, size):
    """Features of one clip, by name, without their numbers."""
    with torch.device("meta"), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no weights are drawn without memory
        built = build_encoder(dict(encoder)).eval()
        features = built.trunk(torch.empty(1, 3, frames, size, size))
        return {"embedding": built.head(built.trunk.pool(features)), **features}


def objective(config, recipe, stage):
    """The objective of as many videos as there are, with a network of the same kind but small."""
    encoder = {**recipe["encoder"], "width": 2}
    if "fast_width" in encoder:
        encoder["fast_width"] = 2
    most = most_videos(config, config["dataset"], "train")
    if max(settings_of(recipe, stage).get("hidden", 0), 0) > 2048 or not most:
        return
    labels = torch.arange(min(most[0], 2000)) % 2
    small = build_encoder(encoder)
    if not problems_of(recipe, stage, len(labels)):
        assert build_objective(recipe, stage, labels, 0, small) is not None


def problems_of(recipe, stage, videos):
    return facts_of(recipe, stage).problems(settings_of(recipe, stage), videos)


def sees(transform, clips, rng):
    """Frames of clips, and a crop of one, of a short and a long video."""
    numbers = np.random.default_rng(rng.randrange(2**32))
    sampling = transform.sampling
    for length in (1, 75):
        motion = np.ones(max(length - 1, 1)) if sampling.windows else None
        if sampling.windows and length < sampling.span:
            continue
        drawn = sampling.train(length, numbers, motion)
        assert drawn.shape == (sampling.frames,)
        assert drawn.min() >= 0
        assert drawn.max() < max(length, 1)
        tested = sampling.test(length, clips)
        assert tested.shape == (clips, sampling.frames)
        assert 0 <= tested.min() <= tested.max() < length
    if sampling.frames * transform.geometry.size**2 > PIXELS:
        return
    for crop in (
        transform.geometry.train_crop(numbers, transform.frame_shift),
        transform.geometry.centre_crop(),
    ):
        clip = cut_clip(lambda asked: [JPEG] * len(asked), drawn, crop, transform.geometry.size)
        assert clip.shape == (3, sampling.frames, *(transform.geometry.size,) * 2)
    if transform.color_jitter:
        draws = draw_color_jitter(numbers, **transform.color_jitter)
        one = clip[None, :, :1, :16, :16]
        of_batch = ColorJitterDraws(*(torch.as_tensor(part)[None] for part in draws))
        assert torch.isfinite(apply_color_jitter(one, of_batch)).all()


def evaluation_runs(config, experiment, name, rng):
    """Rows of tables: clips, schedules, memory."""
    one, evaluation = experiment.transform(name), config["evaluations"][name]
    recipes = [config["recipes"][recipe] for recipe in recipes_of(evaluation)]
    transform = ClipTransform.of(one, evaluation["clip"])
    sees(transform, config["probe"]["clips"], rng)
    probe = probe_of(config, name)
    schedule = probe_schedule(probe["schedule"], PER_EPOCH)
    assert schedule.first < schedule.last
    settings = evaluation["clip"], one, 4
    assert 0 < resources.probe(config, config["dataset"], recipes, *settings) < MOST_MB
    assert 0 < resources.features(config, config["dataset"], recipes, *settings) < MOST_MB
    weights = evaluation["weights"]
    assert 0 < finetuning.memory(experiment, name, weights, 4) < MOST_MB
    for split in single_splits(config["finetuning"]["targets"]):
        for pipeline in PIPELINES.values():
            own = finetuning.settings(experiment, name, weights, split, pipeline)["schedule"]
            found = finetuning_schedule(own, PER_EPOCH)
            assert found.first < found.last
    scaled = {**one["geometry"], "random_sized": {"area": [0.2, 1], "aspect": [0.75, 1.33]}}
    assert crop_policy(scaled).size == one["geometry"]["size"]


def optimisers_run(config):
    """One step of each optimiser on one number stays finite in float32."""
    own = [recipe["optimiser"] for recipe in config["recipes"].values()]
    owners = [config["probe"], config.get("image_probe", config["probe"])]
    own += [owner["optimiser"] for owner in owners]
    own += [finetuning.optimiser(config, name, "trained") for name in config["evaluations"]]
    for one in own:
        number = torch.nn.Parameter(torch.ones(1))
        keys = ("lr", "momentum", "weight_decay")
        step = torch.optim.SGD([number], **{key: one[key] for key in keys})
        for _ in range(3):
            (number**2).sum().backward()
            step.step()
            step.zero_grad()
        assert torch.isfinite(number).all(), one
