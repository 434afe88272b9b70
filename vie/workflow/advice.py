"""Settings that fit a dataset and a machine, as an overlay of the config that says why.

`vie.workflow.fitting` has what follows from the number of videos; here are the size of networks,
what is done about long videos, and what it all costs. docs/own-videos.md has a table of it.
"""

import copy
import math
from collections import Counter
from functools import partial
from typing import Any

from vie.config.datasets import OF_VIDEOS
from vie.config.settings import merge, stages
from vie.runtime.errors import VieError
from vie.workflow.commented import Why, plain, to_yaml, wrapped
from vie.workflow.estimate import Estimator
from vie.workflow.estimate_jobs import Job
from vie.workflow.fitting import (
    DEFAULT,
    PRESETS,
    RECIPES,
    Machine,
    Numbers,
    least_videos,
    numbers,
    overlay_of,
)
from vie.workflow.survey import TIMED_OUT, Survey

Config = dict[str, Any]
TOO_FEW = 50  # usable videos that teach little
HOURS = {True: 24, False: 2}  # that a training may take, with a GPU and without
MANY = 0.05  # share of videos that are too long from which on something is done about it
PIECE = {"seconds": 10, "overlap": 0}  # Kinetics' length
LONGEST_PIECE, LONGEST = 20, 120  # seconds: room for a last piece; of a video that is kept whole


def advise(config: Config, survey: Survey, machine: Machine) -> str:
    """The text of an overlay: YAML with comments. Equal arguments give equal texts.

    Args:
        config: validated; its dataset and the recipes `RECIPES` get other settings.
        survey: of the dataset.
        machine: where it will be trained.

    Raises:
        VieError: too few videos can be used to train at all, or a recipe is not in the config.
    """
    if absent := [name for name in RECIPES if name not in config["recipes"]]:
        raise VieError(
            f"advice is on the recipes of config.yaml, and {', '.join(absent)} are absent"
        )
    frames, cut = _long_videos(config, survey)
    most_seconds = plain(frames).get("max_seconds", _dataset(config)["frames"]["max_seconds"])
    count = partial(survey.usable, most_seconds=most_seconds, cut=plain(cut).get("cut"))
    train, val = count(survey.train), count(survey.val)
    gpus = max(1, config["gpus"]) * config["nodes"]
    if train < (least := least_videos(gpus)):
        on = f" on {gpus} GPUs" if gpus > 1 else ""
        raise VieError(
            f"about {train} of {survey.train} videos can be trained on, and a training{on} needs "
            f"{least}: add videos, {'lower `gpus`, ' if on else ''}or take an encoder that was "
            "trained elsewhere (vie.extract)"
        )
    found = numbers(train, gpus)
    length = survey.mean_seconds(most_seconds, plain(cut).get("cut"))
    of_dataset = _as_before(_dataset(config)) | frames | cut
    overlay = partial(overlay_of, config, survey._replace(val=val), machine, found, of_dataset)
    costs = partial(_costs, config, machine, (train, val), length)
    tree, hours, disk = _largest_that_fits(overlay, costs, found, survey, machine)
    return to_yaml(tree, _header(config, survey, machine, (train, val), hours, disk))


def _largest_that_fits(
    overlay: Any, costs: Any, found: Numbers, survey: Survey, machine: Machine
) -> tuple[Config, dict[str, float], float]:
    """The overlay of the largest networks whose training fits, the hours of each recipe, and the
    GB of frames. The epochs of local aggregation take the hours that are left."""
    budget, small = HOURS[bool(machine.gpu)], PRESETS[-1]
    passed = []
    for preset in PRESETS:
        hours = 0.0
        if preset != small and found.videos < preset.least:
            passed.append(f"{preset} wants {preset.least:,} videos")
        elif preset != small and survey.shorter_side < preset.size:
            passed.append(
                f"{preset} wants more than the {survey.shorter_side} pixels that there are"
            )
        else:
            hours = costs(plain(overlay(preset, found.usual, "")))[0][DEFAULT]
            if preset == small or hours <= budget:
                break
            passed.append(f"{preset} would take {_time(hours)}")
    why = f"{preset}: the largest size that fits these videos and {budget} hours here"
    if hours > budget:
        why = f"{preset}: the smallest size, and still more than {budget} hours here"
    why += f" ({'; '.join(passed)})" if passed else ""
    least, most = (
        costs(plain(overlay(preset, epochs, "")))[0][DEFAULT]
        for epochs in (found.least, found.most)
    )
    share = 1.0 if most <= budget else max(0.0, (budget - least) / (most - least))
    chosen = overlay(preset, found.least + int(share * (found.most - found.least)), why)
    return chosen, *costs(plain(chosen), RECIPES)


def _dataset(config: Config) -> Config:
    found: Config = config["datasets"][config["dataset"]]
    return found


def _as_before(dataset: Config) -> Config:
    """What earlier advice, or the user, set for long videos. The file that is written may replace
    the one that says so, and without it all frames would be made again."""
    kept, most = {}, dataset["frames"]["max_seconds"]
    if "cut" in dataset:
        kept["cut"] = Why(dataset["cut"], "as before")
    if most != OF_VIDEOS["max_seconds"]:
        kept["max_seconds"] = Why(most, "as before")
    return kept


def _long_videos(config: Config, survey: Survey) -> tuple[Config, Config]:
    """What is newly done about videos that are too long: keys of `frames`, and of the dataset."""
    dataset, looked = _dataset(config), len(survey.seconds)
    most = dataset["frames"]["max_seconds"]
    longer = survey.longer(most)
    if longer <= MANY * looked or "cut" in dataset:
        return {}, {}
    said = f"{longer} of {looked} videos play longer than {most:g} s"
    if dataset["layout"] == "flat":
        cut = Why(
            PIECE,
            f"{said}: each is cut into pieces of {PIECE['seconds']} s, and each piece "
            "counts as a video",
        )
        room = {"max_seconds": LONGEST_PIECE} if most < LONGEST_PIECE else {}
        return room, {"cut": cut}
    longest = min(LONGEST, math.ceil(survey.seconds[-1]))
    if longest <= most:
        return {}, {}
    return {"max_seconds": Why(longest, f"{said}, and would be rejected")}, {}


def _costs(
    config: Config,
    machine: Machine,
    videos: tuple[int, int],
    seconds: float,
    overlay: Config,
    recipes: tuple[str, ...] = (DEFAULT,),
) -> tuple[dict[str, float], float]:
    """Hours of some recipes' training with an overlay, and GB of frames."""
    whole = merge(copy.deepcopy(config), overlay)
    for recipe in RECIPES:  # no cost depends on it, and a network's cost is counted once
        whole["recipes"][recipe]["encoder"]["bn_momentum"] = 0.1
    name, sizes = whole["dataset"], dict(zip(("train", "val"), videos, strict=True))
    frames = seconds * whole["datasets"][name]["frames"]["fps"]
    estimator = Estimator(
        whole,
        on_gpu=bool(machine.gpu),
        sizes=lambda dataset, split: (sizes[split], frames),
    )
    held = (whole["nodes"] * whole["threads"]["pretrain"], 0, whole["nodes"] * whole["gpus"])
    job = Job("pretrain", {}, *held, "", "")
    hours = {
        recipe: sum(
            estimator.seconds(job, estimator.work("pretrain", {"recipe": recipe, "stage": stage}))
            for stage in stages(whole["recipes"][recipe])
        )
        / 3600
        for recipe in recipes
    }
    disk = sum(estimator.work("frames", {"split": split}).disk for split in sizes) / 1e9
    return hours, disk


def _header(
    config: Config,
    survey: Survey,
    machine: Machine,
    videos: tuple[int, int],
    hours: dict[str, float],
    disk: float,
) -> list[str]:
    """Comments above the overlay."""
    name, (train, val) = config["experiment"], videos
    lines = []
    if train + val < TOO_FEW:
        lines = wrapped(
            f"Too few: {train + val} usable videos are enough to see that all steps run, but not "
            "for an encoder that tells other videos apart; take one that was trained elsewhere "
            "(`weights` of a recipe, docs/networks.md), and give it your videos with vie.extract."
        )
        lines.append("#")
    causes = Counter(survey.broken)
    late = causes.pop(TIMED_OUT, 0)
    broken = ", ".join(f"{n} {reason}" for reason, n in sorted(causes.items()))
    unusable = f"; {causes.total()} cannot be read ({broken})" if broken else ""
    unusable += f"; {late} take longer to read than frames.timeout_seconds allows" if late else ""
    shown = f"{survey.seconds[0]:.1f} to {survey.seconds[-1]:.1f} s"
    where = machine.gpu or "no GPU"
    own = f"results/{name}/advice.yaml"
    lines += wrapped(
        f"Settings for about {train:,} videos to train on and {val:,} to validate. Later config "
        "files win, so name this one after your own:"
    )
    lines += [f"#   uv run vie run --cores {machine.cores} --configfile YOURS.yaml {own}", "#"]
    lines += wrapped(
        f"Looked at: {survey.sampled} of {survey.train + survey.val:,} videos{unusable}; the "
        f"others play {shown} and have {survey.shorter_side} pixels on the shorter side (median)."
    )
    others = ", ".join(f"{one} {_time(hours[one])}" for one in RECIPES if one != DEFAULT)
    lines += wrapped(
        f"Cost, computed for {machine.cores} cores, {where} (see vie.workflow.estimate): training "
        f"{DEFAULT} {_time(hours[DEFAULT])}; {disk:.2f} GB of frames. If asked for: {others}."
    )
    if not machine.gpu:
        lines += wrapped(
            "If trainings run on a machine with a GPU, have this file written there: networks and "
            "schedules will be larger."
        )
    return lines


def _time(hours: float) -> str:
    minutes = max(1, round(hours * 60))
    if minutes < 90:
        return f"{minutes} minute{'s' * (minutes > 1)}"
    return f"{hours:.0f} hours"
