"""Settings that fit a dataset and a machine, as an overlay of the config that says why.

Which number follows from what is in docs/own-videos.md. Numbers of the demo (config.yaml, 480
videos) and of the paper (240,000) are the two ends that all is measured by.
"""

import copy
import math
from functools import partial
from typing import Any, NamedTuple

from vie.config.load import merge
from vie.config.settings import stages
from vie.runtime.errors import VieError
from vie.workflow.commented import Alias, Anchor, Why, plain, to_yaml, wrapped
from vie.workflow.estimate import Estimator, Job
from vie.workflow.survey import Survey

Config = dict[str, Any]
SINGLE, TRN, SLOW, SLOWFAST, CONV3D = (
    f"vie_{name}" for name in ("single", "trn", "slow", "slowfast", "3dresnet")
)
RECIPES = (SINGLE, TRN, CONV3D, SLOW, SLOWFAST)  # that advice is given on
DEFAULT = SLOW  # the encoder that is made if no file is named, and whose hours are counted
TOO_FEW, LEAST = 50, 4  # usable videos: that teach little, that can be trained on at all
# NCE with 4,096 negatives costs less time than softmax from so many videos on: softmax took 0.4 of
# its time at 64,000 videos and 1.3 at 128,000 (benchmarks/estimators.py, batches of 64, two cores).
SOFTMAX = 100_000
LARGE = 20_000  # videos from which on rates and batches are the paper's and not the demo's
LEAST_STEPS = 600  # of instance recognition; the demo's VIE-Slow has them in 40 epochs
HOURS = {True: 24, False: 2}  # that a training may take, with a GPU and without
MANY = 0.05  # share of videos that are too long from which on something is done about it
PIECE = {"seconds": 10, "overlap": 0}  # Kinetics' length
LONGEST_PIECE, LONGEST = 20, 120  # seconds: room for a last piece; of a video that is kept whole
PER_SHARD = 1000  # videos
DEMO_RATES = {SINGLE: 0.02, TRN: 0.02, CONV3D: 0.01, SLOW: 0.01, SLOWFAST: 0.04}
PAPER_RATE = 0.03


class Machine(NamedTuple):
    """Where trainings will run."""

    cores: int
    gpu: str  # its name; "": none


class Preset(NamedTuple):
    """A size of networks and input."""

    width: int  # filters of the first stage
    size: int  # side of the input, in pixels
    size_3d: int  # the same for the 3D ResNet
    least: int  # training videos that it needs to learn from

    def __str__(self) -> str:
        return f"width {self.width} at {self.size} pixels"


# The paper's, its input halved, its width halved too, the demo's.
PRESETS = (
    Preset(64, 224, 112, 5_000),
    Preset(64, 112, 64, 1_000),
    Preset(32, 112, 64, 100),
    Preset(16, 64, 40, 0),
)


class Numbers(NamedTuple):
    """What follows from the number of training videos alone."""

    videos: int
    batch: int
    recognition: int  # epochs of instance recognition
    least: int  # epochs of local aggregation, at least
    usual: int  # that the networks' size is chosen for
    most: int
    clusters: int
    neighbours: int


def numbers(videos: int) -> Numbers:
    """Of a schedule that fits so many training videos, with room for some that are rejected."""
    batch = 2 ** int(math.log2(min(max(videos // 4, 2), 64 if videos >= LARGE else 32)))
    growth = max(videos / 500, 1)
    # 40 epochs as in the demo, 15 at the paper's size; where an epoch has few steps, more.
    recognition = max(10, math.ceil(40 * growth**-0.16), math.ceil(LEAST_STEPS / (videos // batch)))
    # 6 epochs as in the demo, about 370 at the paper's size.
    most = max(math.ceil(0.15 * recognition), math.ceil(6 * growth ** (2 / 3)))
    least = math.ceil(0.15 * recognition)
    usual = max(least, math.ceil(most / 4))
    neighbours = min(512, max(videos // 8, min(10, videos // 2)))
    clusters = max(2, round(videos / min(30, max(2, neighbours / 5))))
    return Numbers(videos, batch, recognition, least, usual, most, clusters, neighbours)


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
    if train < LEAST:
        raise VieError(
            f"about {train} of {survey.train} videos can be trained on, and a training needs "
            f"{LEAST}: add videos, or take an encoder that was trained elsewhere (vie.extract)"
        )
    length = survey.mean_seconds(most_seconds, plain(cut).get("cut"))
    overlay = partial(_overlay, config, survey, machine, numbers(train), frames | cut)
    costs = partial(_costs, config, machine, (train, val), length)
    tree, hours, disk = _largest_that_fits(overlay, costs, numbers(train), survey, machine)
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


def _long_videos(config: Config, survey: Survey) -> tuple[Config, Config]:
    """What is done about videos that are too long: keys of `frames`, and of the dataset."""
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
    job = Job("pretrain", {}, whole["threads"]["pretrain"], 0, whole["gpus"], "", "")
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


def _overlay(
    config: Config,
    survey: Survey,
    machine: Machine,
    found: Numbers,
    of_dataset: Config,
    preset: Preset,
    aggregation: int,
    why: str,
) -> Config:
    """The keys that advice sets, for networks of a size and some epochs of local aggregation."""
    own = {key: value for key, value in of_dataset.items() if key != "max_seconds"}
    stored = 2 * math.ceil((_crops(preset.size)["train_shorter_side"][1] + 1) / 2)
    side = Why(
        min(stored, max(16, survey.shorter_side // 2 * 2)),
        f"all that crops of {preset.size} pixels need; videos have {survey.shorter_side}",
    )
    frames = {"shorter_side": side}
    if "max_seconds" in of_dataset:
        frames["max_seconds"] = of_dataset["max_seconds"]
    shards = {
        split: max(1, math.ceil(listed / PER_SHARD))
        for split, listed in (("train", found.videos), ("val", survey.val))
    }
    probe = min(found.batch, 32) if found.videos < LARGE else 128
    return {
        "datasets": {
            config["dataset"]: own
            | {"frames": frames, "shards": Why(shards, f"about {PER_SHARD:,} videos each, at most")}
        },
        "recipes": _recipes(found, preset, aggregation, why),
        "probe": {"optimiser": {"batch": Why(probe, "used with labels alone")}},
        "tables": {
            "retrieval": {
                "evaluations": Why(
                    [DEFAULT],
                    "encoders that are made if no file is named: VIE-Slow, the paper's best single "
                    "network; add names of other recipes",
                )
            }
        },
        "threads": {
            "pretrain": Why(
                max(machine.cores, 2 * config["gpus"]), "all cores: one training after the other"
            ),
            "frames": min(machine.cores, 8),
        },
    }


def _crops(size: int) -> dict[str, Any]:
    """Geometry of an input size, with the paper's shares of the frame."""
    low, high = round(size * 256 / 224), round(size * 319 / 224 - 0.01)
    return {"size": size, "train_shorter_side": [low, high], "test_shorter_side": low}


def _recipes(found: Numbers, preset: Preset, aggregation: int, why: str) -> Config:
    """Settings of all five networks: the first says why, the others refer to it."""
    total, per_epoch = found.recognition + aggregation, found.videos // found.batch
    steps = total * per_epoch
    drops = [f"{min(round(share * total), total - 1)} epochs" for share in (0.81, 0.97)]
    encoder = {
        "width": Why(preset.width, why),
        "bn_momentum": Why(
            float(f"{min(0.1, max(0.003, 50 / steps)):.2g}"),
            f"so that its averages settle within {steps:,} steps (paper: 0.003, for 1.4 million)",
        ),
    }
    batch = Why(
        found.batch,
        "of the paper" if found.videos >= LARGE else "at most a fourth of the videos, at most 32",
    )
    large = found.videos >= LARGE
    rate = "the paper's" if large else "the demo's for this network (docs/embedded-dataset.md)"
    schedule = {
        "instance_recognition": Why(f"{found.recognition} epochs", _recognition_why(found)),
        "local_aggregation": Why(
            f"{aggregation} epochs",
            f"the demo has 6 for 480 videos, the paper about 370 for 240,000: up to {found.most} "
            "here, as far as the hours allow",
        ),
        "lr_drops": Why(drops, "at the paper's shares of the whole, 0.81 and 0.97"),
    }
    monitor = {
        "every": Why(f"{max(1, total // 8)} epochs", "eight times in all"),
        "neighbours": min(10, max(1, found.videos // 4)),
        "clips": Why(2, "two distant clips of a video: do they find each other?"),
    }
    rates = dict.fromkeys(RECIPES, PAPER_RATE) if large else DEMO_RATES
    slower = min(1.0, math.sqrt(found.batch / 32))
    rates = {name: float(f"{value * slower:.2g}") for name, value in rates.items()}
    first = {
        "encoder": encoder,
        "geometry": Anchor("geometry", _crops(preset.size)),
        "objective": Anchor("objective", _objective(found)),
        "optimiser": {"batch": batch, "lr": Why(rates[SINGLE], rate)},
        "schedule": Anchor("schedule", schedule),
        "monitor": Anchor("monitor", monitor),
    }
    shared = {
        "encoder": plain(encoder),
        **{key: Alias(key) for key in ("geometry", "objective", "schedule", "monitor")},
    }
    recipes = {SINGLE: first}
    for name in RECIPES[1:]:
        recipes[name] = {**shared, "optimiser": {"batch": found.batch, "lr": rates[name]}}
    recipes[CONV3D]["geometry"] = _crops(preset.size_3d)
    recipes[SLOWFAST]["encoder"] = plain(encoder) | {"fast_width": max(4, preset.width // 8)}
    again = max(1, aggregation)
    recipes[TRN]["schedule"] = Why(
        {
            "local_aggregation": f"{again} epochs",
            "lr_drops": [f"{total + math.ceil(0.7 * again)} epochs"],
        },
        "it goes on from VIE-Single's end, and counts from its start",
    )
    return recipes


def _recognition_why(found: Numbers) -> str:
    if (
        found.recognition * (found.videos // found.batch)
        <= LEAST_STEPS + found.videos // found.batch
    ):
        return f"about {LEAST_STEPS} steps, which networks need until they tell videos apart"
    return "the demo has 40 for 480 videos, the paper 13 for 240,000"


def _objective(found: Numbers) -> Config:
    softmax = found.videos < SOFTMAX
    return {
        "instance_recognition": {
            "estimator": Why(
                "softmax" if softmax else "nce_paper",
                f"exact, and below {SOFTMAX:,} videos as fast as NCE with 4,096 negatives"
                if softmax
                else f"above {SOFTMAX:,} videos faster than the exact softmax",
            ),
            "negatives": Why(4096, "not used by softmax" if softmax else "the paper's"),
        },
        "local_aggregation": {
            "clusters": Why(
                found.clusters,
                f"about {found.videos / found.clusters:.0f} videos each (paper: 30; fewer where "
                "there are few neighbours)",
            ),
            "neighbours": Why(
                found.neighbours, "an eighth of the videos, as in the demo, or the paper's 512"
            ),
        },
    }


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
    broken = ", ".join(f"{n} {reason}" for reason, n in sorted(survey.broken.items()))
    unusable = f"; {survey.broken.total()} cannot be read ({broken})" if broken else ""
    shown = f"{survey.seconds[0]:.1f} to {survey.seconds[-1]:.1f} s"
    where = machine.gpu or "no GPU"
    own = f"results/{name}/advice.yaml"
    lines += wrapped(
        f"Settings for about {train:,} videos to train on and {val:,} to validate. Later config "
        "files win, so name this one after your own:"
    )
    lines += [f"#   uv run snakemake --cores {machine.cores} --configfile YOURS.yaml {own}", "#"]
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
