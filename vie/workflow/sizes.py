"""Whether settings fit the number of videos, which is asked as soon as that is known.

Arithmetic only: imports neither torch nor pandas, as Snakemake asks before it plans a job. Where
no list says how many videos there are, the index job asks, and each training at its start. What a
run will train stands in an environment variable, which its jobs inherit; in a job without it, only
the recipe at hand is looked at.
"""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from vie.config.ablations import without_ablations
from vie.config.settings import resolve_steps, single_splits, stages, too_many
from vie.objectives.table import size_problems
from vie.runtime.errors import VieError
from vie.workflow.finetuning import optimiser, schedule
from vie.workflow.instances import count_instances, instances_name
from vie.workflow.paths import PIPELINES
from vie.workflow.videos import is_labelled

Config = dict[str, Any]
# How many training videos have a number of frames or more; with `instances` of a recipe, of these.
Usable = Callable[..., int]
PLANNED = "VIE_PLANNED"  # environment variable: what this run of Snakemake will train
NEIGHBOURS = 10  # that the evaluation of an embedding asks for (Table 1)


class Planned(NamedTuple):
    """What a run of Snakemake will train."""

    recipes: list[str]  # that are pretrained
    probes: bool  # whether classifiers are trained on frozen networks
    finetuning: dict[str, list[Any]]  # split of a target -> (evaluation, its weights)
    images: bool = False  # whether classifiers are trained on images


def planned(jobs: Iterable[Any]) -> str:
    """The value of `PLANNED` for the jobs of Snakemake that will run."""
    recipes: set[str] = set()
    finetuning: dict[str, set[tuple[str, str]]] = {}
    probes = images = False
    for job in jobs:
        rule, wildcards = job.rule.name.removesuffix("_early"), job.wildcards
        probes, images = probes or rule == "probe", images or rule == "image_probe"
        if rule == "pretrain":
            recipes.add(wildcards.recipe)
        elif rule == "finetune":
            row = wildcards.evaluation, wildcards.weights
            finetuning.setdefault(wildcards.target, set()).add(row)
    chosen = {target: sorted(rows) for target, rows in sorted(finetuning.items())}
    return json.dumps(Planned(sorted(recipes), probes, chosen, images)._asdict())


def read_planned() -> Planned:
    """What the Snakemake that runs this job will train; nothing in a job by itself."""
    found = os.environ.get(PLANNED)
    return Planned(**json.loads(found)) if found else Planned([], False, {})


def trained_first(config: Config, recipe: str) -> list[str]:
    """A recipe and those that it starts from, as far as they are trained, the first one first."""
    recipes, chain = config["recipes"], [recipe]
    while origin := recipes[chain[0]].get("start_from"):
        chain.insert(0, origin)
    return [name for name in chain if stages(recipes[name])]


def problems(
    config: Config,
    recipes: Iterable[str],
    usable: Usable,
    *,
    probes: bool = False,
    labelled: bool = True,
) -> list[str]:
    """What does not fit the number of training videos, one sentence for each setting.

    Args:
        config: validated.
        recipes: that are looked at.
        usable: the number of training videos with so many frames or more, also of `instances`.
        probes: whether to look at linear probes, too.
        labelled: whether the videos have labels, which the monitor's neighbours are asked for.
    """
    found, every = [], usable(0)
    for name in recipes:
        key, recipe = f"recipes.{name}", config["recipes"][name]
        least, batch = recipe.get("min_frames", 1), recipe["optimiser"]["batch"]
        count, kind = usable, "videos"
        if own := recipe.get("instances"):
            count, kind = partial(usable, instances=own), f"instances ({instances_name(own)})"
        of = f"{kind} of {least} frames or more" if least > 1 else kind
        found += too_many(f"{key}.optimiser.batch", batch, count(least), of)
        for stage in stages(recipe):
            found += [f"{key}.{text}" for text in size_problems(recipe, stage, count(0))]
        if labelled:
            neighbours = recipe["monitor"]["neighbours"]
            found += too_many(f"{key}.monitor.neighbours", neighbours, count(0), kind)
    return found + (probe_problems(config, "probe", every) if probes else [])


def probe_problems(config: Config, key: str, videos: int, of: str = "videos") -> list[str]:
    """What does not fit the number of videos that the classifiers of `key` train on."""
    found = too_many(f"{key}.optimiser.batch", config[key]["optimiser"]["batch"], videos, of)
    if videos < NEIGHBOURS:
        found.append(f"{key}: its {NEIGHBOURS} nearest neighbours are more than {videos} {of}")
    return found


def finetuning_problems(
    config: Config, target: str, rows: Iterable[Sequence[str]], train: int
) -> list[str]:
    """What does not fit the number of videos that a target trains on.

    `rows` are (evaluation, its weights: trained or untrained) of its networks.
    """
    of, found = f"training videos of target {target}", []
    for evaluation, weights in rows:
        own = "batch" in config["evaluations"][evaluation].get("finetuning", {})
        key = f"evaluations.{evaluation}.finetuning" if own else f"finetuning.{weights}"
        batch = optimiser(config, evaluation, weights)["batch"]
        too_large = too_many(f"{key}.batch", batch, train, of)
        found += too_large
        if too_large:
            continue
        for pipeline in PIPELINES.values():
            given = schedule(config, evaluation, weights, target, pipeline)
            length = "most" if "most" in given else "duration"
            most, every = (resolve_steps(given[one], train // batch) for one in (length, "every"))
            if not 0 < every <= most:
                found.append(
                    f"finetuning.schedule.every: {given['every']} are {every} steps, with {train} "
                    f"{of} in batches of {batch}, and {length} ({given[length]}) are {most}: "
                    f"choose 1 step to {given[length]}"
                )
    return list(dict.fromkeys(found))


def refuse(config: Config, found: Sequence[str], where: str, others: Sequence[str] = ()) -> None:
    """Raise an error with all problems, if there are any.

    Args:
        found: sentences.
        where: how many videos there are, and how that is known.
        others: recipes that will not be trained now and do not fit either.
    """
    if not found:
        return
    lines = [f"settings do not fit the number of videos ({where}):", *(f"  - {p}" for p in found)]
    if others:
        lines.append(f"Other recipes of the config do not fit either: {', '.join(others)}.")
    lines.append(
        f"Settings that fit are written by the target results/{config['experiment']}/advice.yaml."
    )
    raise VieError("\n".join(lines))


def check_graph(config: Config, recipe: str, most: tuple[int, str]) -> None:
    """Whether a recipe and those that it starts from can fit the videos that there are at most.

    `most` is that number and how it is known. Some of these videos may be rejected later, so a
    recipe that passes may still not fit.

    Raises:
        VieError: lists all that does not fit.
    """
    number, where = most
    first = trained_first(config, recipe)
    labelled = is_labelled(config, config["dataset"])

    def usable(frames: int, instances: Config | None = None) -> int:
        if not instances:
            return number
        stored = config["datasets"][config["dataset"]]["frames"]
        most = count_instances(instances, number, stored["max_seconds"] * stored["fps"])
        return most if frames <= instances.get("frames", frames) else 0

    of = partial(problems, config, usable=usable, labelled=labelled)
    if found := [*_other_bank(config, recipe), *of(first)]:
        recipes = without_ablations(config["recipes"])
        refuse(config, found, where, [one for one in recipes if one not in first and of([one])])


def _other_bank(config: Config, recipe: str) -> list[str]:
    """A sentence if a recipe starts from one that is trained on other instances."""
    own, origin = config["recipes"][recipe], config["recipes"][recipe].get("start_from")
    if not origin or config["recipes"][origin].get("instances") == own.get("instances"):
        return []
    return [
        f"recipes.{recipe}.instances: must be those of {origin}, which it starts from: rows of the "
        "memory bank are instances"
    ]


def check_index(
    config: Config, dataset: str, split: str, n_frames: Any, recipe: str | None = None
) -> None:
    """Whether all that this run trains on a split fits its usable videos.

    Args:
        dataset, split: whose index it is.
        n_frames: (N,) array, frames of each video; of each of its instances for a `recipe` that
            has other ones than whole videos.
        recipe: the one that is about to be trained.

    Raises:
        VieError: lists all that does not fit.
    """
    plan, found = read_planned(), []
    if parts := bool(recipe) and "instances" in config["recipes"][recipe]:
        plan = Planned([], False, {})  # these frames are of this recipe alone

    def usable(frames: int, instances: Config | None = None) -> int:
        from vie.frames.instances import instances_of  # Snakemake's own process needs none of it

        counts = instances_of(n_frames, instances)[2] if instances and not parts else n_frames
        return int((counts >= frames).sum())

    if dataset == config["dataset"] and split == "train":
        chains = [
            trained_first(config, name) for name in [*([recipe] if recipe else []), *plan.recipes]
        ]
        names = dict.fromkeys(name for chain in chains for name in chain)
        labelled = is_labelled(config, dataset)
        found = problems(config, names, usable, probes=plan.probes, labelled=labelled)
    if plan.images and (dataset, split) == (config["image_probe"]["dataset"], "train"):
        found += probe_problems(config, "image_probe", len(n_frames), "images")
    refuse(config, found, f"the index has {len(n_frames)} usable ones")


def check_target(config: Config, dataset: str, number: int, train: int) -> None:
    """Whether all that this run finetunes on a split of a dataset fits its training videos.

    Args:
        dataset, number: which split; targets of the config may be of it.
        train: its training videos, before any is rejected.

    Raises:
        VieError: lists all that does not fit.
    """
    found, splits = [], single_splits(config["finetuning"]["targets"])
    for name, rows in read_planned().finetuning.items():
        one = splits.get(name, {})
        if (one.get("dataset"), one.get("split")) == (dataset, number):
            found += finetuning_problems(config, one["target"], rows, train)
    refuse(config, found, f"split {number} of {dataset} trains on {train} at most")
