"""What an experiment has in the place of each published number.

All of it follows from the config and from the files of published values. Imports neither torch,
pandas nor Snakemake.
"""

import csv
import re
from collections.abc import Iterator
from typing import Any

from vie.config.layouts import TITLES
from vie.config.settings import LAYERS, stages
from vie.workflow.paths import IMAGES_TABLE, PUBLISHED, Experiment
from vie.workflow.titles import dataset_title

Row = dict[str, Any]
COMMAND = (
    "uv run snakemake --cores 32 --resources gpu=1 --configfile experiments/kinetics400.yaml "
    "-- results/{}.csv"
)
# Of which result a quantity of other.csv is, in this order: pattern, kind.
KINDS = (
    ("linear probe (?P<column>conv[345]) top-1", "probe"),
    ("10-nearest-neighbour top-1 at about step", "probe"),
    ("10-nearest-neighbour top-1 after 50000 IR steps", "begin"),
    ("10-nearest-neighbour top-1 before the first drop", "drop"),
    ("frame-order accuracy", "pretext"),
)


def published_rows(experiment: Experiment) -> list[Row]:
    """A row per published number: what it is, and the files that have ours, one per seed.

    Keys: model, quantity, published (percent), dataset (official name), source, command, group and
    short (words of the plot), kind, `ours_on` (title of our dataset), and `files`; where these are
    empty, `missing` says why.
    """
    return [_row(experiment, *found) for found in _published()]


def files_of(experiment: Experiment) -> list[str]:
    """All files that the rows are made of."""
    found: dict[str, None] = {}
    for row in published_rows(experiment):
        for file in row["files"]:
            keys = ("predictions", "metadata", "curves", "train", "val", "classes")
            for value in (file[key] for key in keys if key in file):
                found |= dict.fromkeys([value] if isinstance(value, str) else value)
    return list(found)


def _published() -> Iterator[tuple[dict[str, str], str, str]]:
    """Rows of the files, of a quantity each; the kind of result; and its column."""
    with (PUBLISHED / "table_s1.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for layer in LAYERS:
                quantity = f"linear probe {layer} top-1"
                yield row | {"quantity": quantity, "value": row[layer]}, "probe", layer
    with (PUBLISHED / "other.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for pattern, kind in KINDS:
                if found := re.match(pattern, row["quantity"]):
                    of_images = kind == "probe" and row["dataset"] == "imagenet"
                    column = found.groupdict().get("column", "knn")
                    yield row, "image_probe" if of_images else kind, column
                    break
            else:
                yield row, "other", ""


def _row(experiment: Experiment, row: dict[str, str], kind: str, column: str) -> Row:
    model, dataset = row["model"], row["dataset"]
    is_s1 = "metric" in row
    table, find = {
        "probe": ("table_s1" if is_s1 else "table_1", _probe),
        "image_probe": (IMAGES_TABLE, _image_probe),
        "begin": ("learning_curves", _curve),
        "drop": ("learning_curves", _curve),
        "pretext": ("pretext", _pretext),
        "other": ("table_1", _nothing),
    }[kind]
    place, title = find(experiment, model), TITLES.get(dataset, dataset)
    knn = "nearest neighbours"
    short = {"begin": f"{knn}, 50,000 steps", "drop": f"{knn}, before the rate drops"}
    short |= {"pretext": "order of frames", "other": row["quantity"]}
    about = knn if column == "knn" else column.title()
    unit = row.get("unit", "percent").removeprefix("percent").strip()
    return {
        "model": model,
        "quantity": f"{row['quantity']} {unit}".strip(),
        "published": float(row["value"]),
        "dataset": dataset,
        "source": row["source"],
        "command": COMMAND.format(table),
        "kind": kind,
        "column": column,
        "group": f"{'Table S1, ' if is_s1 else ''}{title}",
        "short": f"{model}: {short.get(kind, about)} on {title}",
        "ours_on": dataset_title(experiment, experiment.dataset),
        "files": [],
    } | place


def _files(experiment: Experiment, folder: str, name: str) -> list[dict[str, str]]:
    """Results of an evaluation, one per seed."""
    return [
        {"predictions": f"{place}/predictions.parquet", "metadata": f"{place}/metadata.json"}
        for place in experiment.probe_folders(name, kind=folder)
    ]


def _evaluation(experiment: Experiment, tables: tuple[str, ...], model: str) -> str | None:
    """The evaluation that is the row `model` of one of these tables."""
    names = [name for table in tables for name in experiment.rows.get(table, ())]
    return next((n for n in names if experiment.evaluations[n]["label"] == model), None)


def _probe(experiment: Experiment, model: str) -> Row:
    if name := _evaluation(experiment, ("table_s1", "table_1"), model):
        return {"files": _files(experiment, "probe", name)}
    return {"missing": f"{model} is no row of this experiment's Tables S1 and 1"}


def _image_probe(experiment: Experiment, model: str) -> Row:
    name = _evaluation(experiment, (IMAGES_TABLE,), model) if experiment.has_images else None
    if name:
        title = dataset_title(experiment, experiment.config["image_probe"]["dataset"])
        return {"files": _files(experiment, "image_probe", name), "ours_on": title}
    return {"missing": f"{model} is not evaluated on images in this experiment"}


def _pretext(experiment: Experiment, model: str) -> Row:
    rows = [row for row in experiment.pretext_rows() if row["model"] == model]
    if not rows:
        return {"missing": f"{model} is not trained in this experiment"}
    files = [{"predictions": row["answers"], "metadata": row["metadata"]} for row in rows]
    return {"files": files}


def _curve(experiment: Experiment, model: str) -> Row:
    """Measurements while a network is pretrained, and what they depend on."""
    names = [
        name
        for name in experiment.pretrained_in("table_1")
        if experiment.recipes[name]["label"] == model
        and "instance_recognition" in stages(experiment.recipes[name])
    ]
    if not names:
        return {"missing": f"{model} is not pretrained in this experiment"}
    recipe, dataset = experiment.recipes[names[0]], experiment.datasets[experiment.dataset]
    known = {key: recipe[key] for key in ("encoder", "objective", "clip")}
    known |= {
        "size": recipe["geometry"]["size"],
        "batch": recipe["optimiser"]["batch"],
        "clips": recipe["monitor"]["clips"],
        "first_drop": (recipe["schedule"].get("lr_drops") or [""])[0],
        "dataset_official_name": dataset.get("official_name"),
        "frames": {key: dataset["frames"][key] for key in ("fps", "shorter_side")},
    }
    places = {s: f"resources/{experiment.dataset}/{s}/index.parquet" for s in ("train", "val")}
    places |= {"classes": f"resources/{experiment.dataset}/classes.csv"}
    files = [
        {
            "seed": seed,
            "curves": [_curve_file(experiment, names[0], seed, one) for one in stages(recipe)],
        }
        | places
        for seed in experiment.config["seeds"]
    ]
    return {"files": files, "known": known}


def _curve_file(experiment: Experiment, recipe: str, seed: int, stage: str) -> str:
    return experiment.checkpoint(recipe, seed, stage).removesuffix(".pt") + ".jsonl"


def _nothing(experiment: Experiment, model: str) -> Row:
    return {"missing": "no result of this workflow is known to be of this quantity"}
