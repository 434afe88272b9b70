"""What an experiment has in the place of each published number.

All of it follows from the config and from the files of published values. Imports neither torch,
pandas nor Snakemake.
"""

import csv
from collections.abc import Iterator
from typing import Any

from vie.config.layouts import TITLES
from vie.config.settings import LAYERS, stages
from vie.workflow.finetuning import finetuned
from vie.workflow.paths import IMAGES_TABLE, PIPELINES, PUBLISHED, Experiment
from vie.workflow.titles import dataset_title, target_titles

Row = dict[str, Any]
COMMAND = (
    "uv run snakemake --cores 32 --resources gpu=1 --configfile experiments/kinetics400.yaml "
    "-- results/{}.csv"
)
TABLES = {pipeline: table for table, pipeline in PIPELINES.items()}
# Kinds of results in other.csv, and the columns that each may name (docs/protocol.md).
KINDS = {
    "probe": (*LAYERS, "knn10"),
    "begin": ("",),
    "drop": ("",),
    "pretext": ("",),
    "finetune": tuple(TABLES),
}


def published_rows(experiment: Experiment) -> list[Row]:
    """A row per published number: what it is, and the files that have ours, one per seed.

    Keys: model, quantity, published (percent), dataset (official name), source, command, group and
    short (words of the plot), kind, `ours_on` (title of our dataset), and `files`; where these are
    empty, `missing` says why.
    """
    return [_row(experiment, found) for found in _published()]


def files_of(experiment: Experiment) -> list[str]:
    """All files that the rows are made of."""
    found: dict[str, None] = {}
    for row in published_rows(experiment):
        for file in row["files"]:
            keys = ("predictions", "metadata", "curves", "train", "val", "classes")
            for value in (file[key] for key in keys if key in file):
                found |= dict.fromkeys([value] if isinstance(value, str) else value)
    return list(found)


def _published() -> Iterator[dict[str, str]]:
    """Rows of the files, of a quantity each, as other.csv has them."""
    with (PUBLISHED / "table_s1.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for layer in LAYERS:
                about = {"quantity": f"linear probe {layer} top-1", "value": row[layer]}
                yield row | about | {"kind": "probe", "column": layer}
    with (PUBLISHED / "other.csv").open(newline="") as file:
        yield from csv.DictReader(file)


def _row(experiment: Experiment, row: dict[str, str]) -> Row:
    model, dataset = row["model"], row["dataset"]
    kind, column = row.get("kind") or "", row.get("column") or ""
    if column not in KINDS.get(kind, ()):
        kind = "other"
    if kind == "probe" and dataset == "imagenet":
        kind = "image_probe"
    is_s1 = "metric" in row
    table, find = {
        "probe": ("table_s1" if is_s1 else "table_1", _probe),
        "image_probe": (IMAGES_TABLE, _image_probe),
        "begin": ("learning_curves", _curve),
        "drop": ("learning_curves", _curve),
        "pretext": ("pretext", _pretext),
        "finetune": (TABLES.get(column, ""), _finetuned),
        "other": ("table_1", _nothing),
    }[kind]
    place, title = find(experiment, row), TITLES.get(dataset, dataset)
    knn = "nearest neighbours"
    short = {"begin": f"{knn}, 50,000 steps", "drop": f"{knn}, before the rate drops"}
    short |= {"pretext": "order of frames", "other": row["quantity"]}
    short |= {"finetune": f"finetuned, {column.replace('_', '-')}"}
    about = knn if column == "knn10" else column.title()
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


def _probe(experiment: Experiment, row: dict[str, str]) -> Row:
    model = row["model"]
    if name := _evaluation(experiment, ("table_s1", "table_1"), model):
        return {"files": _files(experiment, "probe", name)}
    return {"missing": f"{model} is no row of this experiment's Tables S1 and 1"}


def _image_probe(experiment: Experiment, row: dict[str, str]) -> Row:
    model = row["model"]
    name = _evaluation(experiment, (IMAGES_TABLE,), model) if experiment.has_images else None
    if name:
        title = dataset_title(experiment, experiment.config["image_probe"]["dataset"])
        return {"files": _files(experiment, "image_probe", name), "ours_on": title}
    return {"missing": f"{model} is not evaluated on images in this experiment"}


def _pretext(experiment: Experiment, row: dict[str, str]) -> Row:
    found = [one for one in experiment.pretext_rows() if one["model"] == row["model"]]
    if not found:
        return {"missing": f"{row['model']} is not trained in this experiment"}
    files = [{"predictions": one["answers"], "metadata": one["metadata"]} for one in found]
    return {"files": files}


def _finetuned(experiment: Experiment, row: dict[str, str]) -> Row:
    """Results on the target that has the name of the row's dataset."""
    target = row["dataset"]
    found = finetuned(experiment, TABLES[row["column"]], target)
    if files := [one for one in found if one["model"] == row["model"]]:
        return {"files": files, "ours_on": target_titles(experiment)[target]}
    return {"missing": f"{row['model']} is not finetuned on {target} in this experiment"}


def _curve(experiment: Experiment, row: dict[str, str]) -> Row:
    """Measurements while a network is pretrained, and what they depend on."""
    model = row["model"]
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


def _nothing(experiment: Experiment, row: dict[str, str]) -> Row:
    return {"missing": "no result of this workflow is of the kind and column that other.csv says"}
