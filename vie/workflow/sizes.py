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
from vie.config.messages import all_of
from vie.config.probe_checks import too_late
from vie.config.settings import resolve_steps, single_splits, stages, too_many
from vie.datasets.facts import training_videos
from vie.objectives.table import size_problems
from vie.runtime.errors import VieError
from vie.workflow.chains import late_drops, origin_problems, trained_first
from vie.workflow.finetuning import optimiser, schedule
from vie.workflow.generated import longest_video
from vie.workflow.instances import count_instances, instances_name
from vie.workflow.paths import PIPELINES
from vie.workflow.videos import is_labelled

Config = dict[str, Any]
Most = tuple[int, str] | None  # how many videos there are at most, and how that is known
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

        def per_epoch(name: str, count: Usable = count) -> int:
            own = config["recipes"][name]
            return count(own.get("min_frames", 1)) // int(own["optimiser"]["batch"])

        found += late_drops(config, name, per_epoch)
    return found + (probe_problems(config, "probe", every) if probes else [])


def probe_problems(config: Config, key: str, videos: int, of: str = "videos") -> list[str]:
    """What does not fit the number of videos that the classifiers of `key` train on."""
    found = too_many(f"{key}.optimiser.batch", config[key]["optimiser"]["batch"], videos, of)
    if videos < NEIGHBOURS:
        found.append(f"{key}: its {NEIGHBOURS} nearest neighbours are more than {videos} {of}")
    if found:
        return found
    owners = {key: config[key]}
    for name, one in config["evaluations"].items():
        own = one if key == "probe" else one.get(key, {})
        owners[f"evaluations.{name}" + f".{key}" * (key != "probe")] = own
    per_epoch = videos // config[key]["optimiser"]["batch"]
    for owner, one in owners.items():
        if own := one.get("schedule"):
            found += _late(f"{owner}.schedule", own, own["duration"], per_epoch)
    return found


def _late(key: str, schedule: Config, length: str, per_epoch: int) -> list[str]:
    """Sentences on drops of a schedule that come after its end."""
    end, drops = resolve_steps(length, per_epoch), schedule["lr_drops"]
    late = [drop for drop in drops if resolve_steps(drop, per_epoch) >= end]
    return [too_late(f"{key}.lr_drops", drop, f"step {end}") for drop in late]


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
            elif "lr_drops" in given:
                release = f"evaluations.{evaluation}.finetuning.release"
                found += _late(release, given, given["duration"], train // batch)
    return list(dict.fromkeys(found))


def refuse(
    config: Config,
    found: Sequence[str],
    where: str,
    others: Sequence[str] = (),
    besides: Sequence[str] = (),
) -> None:
    """Raise an error with all problems, if there are any.

    Args:
        found: sentences.
        where: how many videos there are, and how that is known.
        others: recipes that will not be trained now and do not fit either.
        besides: sentences on what is not pretraining.
    """
    if not found:
        return
    from vie.workflow.fitting import RECIPES  # with what it imports, for an error alone

    lines = [f"settings do not fit the number of videos ({where}):", *(f"  - {p}" for p in found)]
    if others:
        lines.append(f"Other recipes of the config do not fit either: {', '.join(others)}.")
    if besides:
        lines += ["Where classifiers are trained, nor do:", *(f"  - {text}" for text in besides)]
    if any(text.startswith(tuple(f"recipes.{name}." for name in RECIPES)) for text in found):
        target = f"results/{config['experiment']}/advice.yaml"
        lines.append(
            f"Settings of VIE's recipes that fit: make {target} (after --), and then name this "
            "file as the last config file."
        )
    raise VieError("\n".join(lines))


def check_graph(config: Config, recipe: str, most: Most) -> None:
    """Whether a recipe and those that it starts from fit each other and the videos that there are.

    Args:
        most: how many videos there are at most, and how that is known; None if it is not. Some may
            be rejected later, so a recipe that passes may still not fit.

    Raises:
        VieError: lists all that does not fit, here and elsewhere in the config.
    """
    first = trained_first(config, recipe)
    found = [text for name in first for text in origin_problems(config, name)]
    if not most:
        found += [text for name in first for text in late_drops(config, name, None)]
    if found:
        raise all_of(found)
    if most:
        _refuse_all(config, _graph_problems(config, most[0], first), most[1], most)


def check_probes(
    config: Config, key: str, train: Most, most: Most, recipes: Iterable[str] = ()
) -> None:
    """The same of the classifiers of `key` (probe or image_probe).

    Args:
        train: how many videos or images they train on at most, and how that is known.
        most: as `check_graph` has it.
        recipes: whose networks they read once these are trained.

    Raises:
        VieError: as `check_graph`.
    """
    found, known = _chains(config, recipes, most), [one[1] for one in (most, train) if one]
    if train:
        of = "videos" if key == "probe" else "images"
        found += probe_problems(config, key, train[0], of)
    _refuse_all(config, found, "; ".join(dict.fromkeys(known)), most)


def check_row(
    config: Config, split: str, row: Sequence[str], most: Most, recipes: Iterable[str] = ()
) -> None:
    """The same of a network (evaluation, and trained or untrained) that is finetuned on a split of
    a target (`single_splits`).

    Raises:
        VieError: as `check_graph`.
    """
    target = single_splits(config["finetuning"]["targets"])[split]
    found, known = _chains(config, recipes, most), [most[1]] if most else []
    if train := training_videos(config["datasets"][target["dataset"]]):
        found += finetuning_problems(config, target["target"], [row], train)
        known += [f"split {target['split']} of {target['dataset']} trains on {train} at most"]
    _refuse_all(config, found, "; ".join(known), most)


def _chains(config: Config, recipes: Iterable[str], most: Most) -> list[str]:
    """Problems of recipes and of those that they start from, if their videos are known."""
    names = dict.fromkeys(name for one in recipes for name in trained_first(config, one))
    return _graph_problems(config, most[0], names) if most else []


def _refuse_all(config: Config, found: Sequence[str], where: str, most: Most) -> None:
    """Raise an error with all problems, if any were found, and with what else does not fit."""
    if not found:
        return
    recipes, besides = [], []
    if most:
        of = partial(_graph_problems, config, most[0])
        named = {text.split(".")[1] for text in found if text.startswith("recipes.")}
        others = [name for name in without_ablations(config["recipes"]) if name not in named]
        recipes = [name for name in others if of([name])]
        besides += of([], probes=True)
    for name, target in config["finetuning"]["targets"].items():
        if train := training_videos(config["datasets"][target["dataset"]]):
            for table in PIPELINES:
                rows = config["tables"][table]["evaluations"]
                given = [(row, config["evaluations"][row]["weights"]) for row in rows]
                besides += finetuning_problems(config, name, given, train)
    refuse(
        config, found, where, recipes, [one for one in dict.fromkeys(besides) if one not in found]
    )


def _graph_problems(
    config: Config, number: int, recipes: Iterable[str], *, probes: bool = False
) -> list[str]:
    """`problems` of so many videos at most, whose lengths are not known."""
    dataset = config["datasets"][config["dataset"]]

    def usable(frames: int, instances: Config | None = None) -> int:
        if frames <= 1 and not instances:
            return number
        longest = longest_video(dataset)
        most = count_instances(instances, number, longest)
        return most if frames <= (instances or {}).get("frames", longest) else 0

    labelled = is_labelled(config, config["dataset"])
    return problems(config, recipes, usable, probes=probes and labelled, labelled=labelled)


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
