"""Settings that fit a number of videos, and why: what depends on no measurement.

Numbers of the demo (config.yaml, 480 videos) and of the paper (240,000) are the two ends that all
is measured by. `vie.workflow.advice` chooses the size of networks.
"""

import math
from typing import Any, NamedTuple

from vie.workflow.commented import Alias, Anchor, Why, plain
from vie.workflow.survey import Survey

Config = dict[str, Any]
SINGLE, TRN, SLOW, SLOWFAST, CONV3D = (
    f"vie_{name}" for name in ("single", "trn", "slow", "slowfast", "3dresnet")
)
RECIPES = (SINGLE, TRN, CONV3D, SLOW, SLOWFAST)  # that advice is given on
DEFAULT = SLOW  # the encoder that is made if no file is named, and whose hours are counted
# From about so many videos on, NCE with 4,096 negatives takes less time than softmax. Softmax took
# 0.4 of its time at 64,000 videos and 1.3 at 128,000 on two cores; on one, 0.5 at 128,000 and 1.4
# at 256,000 (benchmarks/estimators.py, batches of 64).
SOFTMAX = 100_000
# Videos from which on rates, batches, the temperature and the head are the paper's and not the
# demo's, whose batch norm and falling temperature are for few videos.
LARGE = 20_000
LEAST_STEPS = 600  # of instance recognition; the demo's VIE-Single has 900, its VIE-Slow 600
PER_SHARD = 1000  # videos
# More than these are refused by the config.
MOST_SHARDS, MOST_CLUSTERS = 10_000, 1_000_000
DEMO_RATE, PAPER_RATE = 0.02, 0.03
DECAY = {False: 1.0e-3, True: 1.0e-4}  # of weights, the demo's and the paper's
HEAD = {
    False: {"embedding": 64, "embedding_norm": "batch"},
    True: {"embedding": 128, "embedding_norm": "none"},
}


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
    Preset(16, 64, 48, 0),
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


def least_videos(gpus: int) -> int:
    """Training videos that a training needs: two batches, with one video on each GPU."""
    return max(4, 2 * gpus)


def numbers(videos: int, gpus: int = 1) -> Numbers:
    """Of a schedule that fits so many training videos, with room for some that are rejected.

    Args:
        videos: `least_videos` or more.
        gpus: that share the batch, which is at most half of the videos.
    """
    batch = 2 ** int(math.log2(min(max(videos // 4, 2), 64 if videos >= LARGE else 32)))
    batch = max(1, batch // gpus) * gpus
    growth = max(videos / 500, 1)
    # 40 epochs where the demo has 36 to 60, 15 at the paper's size; where an epoch has few steps,
    # more.
    recognition = max(10, math.ceil(40 * growth**-0.16), math.ceil(LEAST_STEPS / (videos // batch)))
    # 6 epochs where the demo has 4 to 8, about 370 at the paper's size.
    most = max(math.ceil(0.15 * recognition), math.ceil(6 * growth ** (2 / 3)))
    least = math.ceil(0.15 * recognition)
    usual = max(least, math.ceil(most / 4))
    neighbours = min(512, max(videos // 8, min(10, videos // 2)))
    clusters = min(MOST_CLUSTERS, max(2, round(videos / min(30, max(2, neighbours / 5)))))
    return Numbers(videos, batch, recognition, least, usual, most, clusters, neighbours)


def overlay_of(
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
        split: min(MOST_SHARDS, max(1, math.ceil(listed / PER_SHARD)))
        for split, listed in (("train", found.videos), ("val", survey.val))
    }
    probe = min(found.batch, 32) if found.videos < LARGE else 128
    return {
        "datasets": {
            config["dataset"]: own
            | {"frames": frames, "shards": Why(shards, f"about {PER_SHARD:,} videos each")}
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
            "probe": min(machine.cores, 8),
        },
    }


def _crops(size: int) -> dict[str, Any]:
    """Geometry of an input size, with the paper's shares of the frame."""
    low, high = round(size * 256 / 224), round(size * 319 / 224 - 0.01)
    return {"size": size, "train_shorter_side": [low, high], "test_shorter_side": low}


def _recipes(found: Numbers, preset: Preset, aggregation: int, why: str) -> Config:
    """Settings of all five networks: the first says why, the others refer to it."""
    total, large = found.recognition + aggregation, found.videos >= LARGE
    steps = total * (found.videos // found.batch)
    encoder = {
        "width": Why(preset.width, why),
        **HEAD[large],
        "bn_momentum": Why(
            float(f"{min(0.1, max(0.003, 50 / steps)):.2g}"),
            f"so that its averages settle within {steps:,} steps (paper: 0.003, for 1.4 million)",
        ),
    }
    batch = Why(
        found.batch,
        "the paper's, of several frames" if large else "at most a fourth of the videos, at most 32",
    )
    rate = "the paper's" if large else "the demo's, times the root of batch / 32"
    monitor = {
        "every": Why(f"{max(1, total // 8)} epochs", "eight times in all"),
        "neighbours": min(10, max(1, found.videos // 4)),
        "clips": Why(2, "two distant clips of a video: do they find each other?"),
    }
    slower = min(1.0, math.sqrt(found.batch / 32))
    lr = float(f"{(PAPER_RATE if large else DEMO_RATE) * slower:.2g}")
    optimiser = {"batch": batch, "lr": Why(lr, rate), "weight_decay": DECAY[large]}
    first = {
        "encoder": encoder,
        "geometry": Anchor("geometry", _crops(preset.size)),
        "objective": Anchor("objective", _objective(found)),
        "optimiser": Anchor("optimiser", optimiser),
        "schedule": Anchor("schedule", _schedule(found, aggregation)),
        "monitor": Anchor("monitor", monitor),
    }
    shared = {
        "encoder": plain(encoder),
        **{key: Alias(key) for key in first if key != "encoder"},
    }
    recipes = {SINGLE: first} | {name: dict(shared) for name in RECIPES[1:]}
    recipes[CONV3D]["geometry"] = _crops(preset.size_3d)
    recipes[SLOWFAST]["encoder"] = plain(encoder) | {"fast_width": max(4, preset.width // 8)}
    again = max(1, aggregation)
    # A drop comes before the end.
    last = [f"{total + min(math.ceil(0.7 * again), again - 1)} epochs"] if again > 1 else []
    recipes[TRN]["schedule"] = Why(
        {"local_aggregation": f"{again} epochs", "lr_drops": last},
        "it goes on from VIE-Single's end, and counts from its start",
    )
    return recipes


def _schedule(found: Numbers, aggregation: int) -> Config:
    total = found.recognition + aggregation
    drops = [f"{min(round(share * total), total - 1)} epochs" for share in (0.81, 0.97)]
    return {
        "instance_recognition": Why(f"{found.recognition} epochs", _recognition_why(found)),
        "local_aggregation": Why(
            f"{aggregation} epochs",
            "the demo has 4 to 8 for 480 videos, the paper about 370 for 240,000: up to "
            f"{found.most} here, as far as the hours allow",
        ),
        "lr_drops": Why(drops, "at the paper's shares of the whole, 0.81 and 0.97"),
    }


def _recognition_why(found: Numbers) -> str:
    per_epoch = found.videos // found.batch
    if found.recognition * per_epoch <= LEAST_STEPS + per_epoch:
        return f"about {LEAST_STEPS} steps, which networks need until they tell videos apart"
    return "the demo has 36 to 60 for 480 videos, the paper 13 for 240,000"


def _objective(found: Numbers) -> Config:
    softmax, large = found.videos < SOFTMAX, found.videos >= LARGE
    falls = "with few videos, instance recognition begins sooner if it falls to its value"
    warm_up = f"{max(1, found.recognition // 5)} epochs"
    return {
        "temperature": 0.07 if large else 0.2,
        "instance_recognition": {
            "first_temperature": 0.07 if large else Why(0.6, falls),
            "warm_up": "0 steps" if large else warm_up,
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
