"""The model card beside exported files: what the network is, how it was made, measured and is run.

It says what the encoder's file and the tables of its experiment say, and nothing else.
"""

import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vie.models.checkpoint_format import METADATA
from vie.models.encoders import Encoder
from vie.models.export import OUTPUTS, Content, Exported, loader_of
from vie.models.input import preprocessing
from vie.runtime.csv_files import text_of_cell
from vie.runtime.errors import shown

TABLES = ("table_1.csv", "table_s1.csv", "retrieval.csv")  # of an experiment
CURVES = "learning_curves.csv"
SAME_VIDEO = "same_video_r1"  # measure of the monitor without labels
ENCODERS = "encoders"  # folder of an experiment
NO_ROW = "No table of its experiment was found beside its file, or none has a row of it."
OF_TORCH = """import torch

network = {load}
clips = torch.zeros({shape})  # yours, prepared as above
with torch.no_grad():
    {outputs} = network(clips)
"""
OF_LOADER = OF_TORCH.replace("import torch\n", "import runpy\n\nimport torch\n", 1)
OF_ONNX = """import numpy
import onnxruntime

session = onnxruntime.InferenceSession({name})
clips = numpy.zeros(({shape}), numpy.float32)  # yours, prepared as above
{outputs} = session.run(None, {{"clips": clips}})
"""
OF_VIE = """import torch
import vie

network = vie.load_encoder({known_as})
clips = torch.zeros({shape})  # yours, prepared as above
with torch.no_grad():
    embedding, maps = network(clips)
conv3, conv4, conv5 = (maps[name].mean((2, 3, 4)) for name in ("conv3", "conv4", "conv5"))
"""
# Format -> what it needs, code that runs it, and how that code loads it.
USES = {
    "float16": ("vie, with which it comes; weights were rounded to 16 bits", OF_VIE, ""),
    "safetensors": (
        "torch, and the `_loader.py` file",
        OF_LOADER,
        'runpy.run_path({py})["load"]({name})',
    ),
    "torchscript": ("torch", OF_TORCH, "torch.jit.load({name})"),
    "torch-export": ("torch", OF_TORCH, "torch.export.load({name}).module()"),
    "onnx": ("onnxruntime, or any other that runs ONNX", OF_ONNX, ""),
}


def model_card(encoder: Encoder, content: Content, source: Path, files: Sequence[Exported]) -> str:
    """Markdown.

    Args:
        encoder: the network.
        content: of its file, `source`, beside whose folder the experiment's tables are.
        files: that were written.
    """
    data = preprocessing(content)
    parts = [
        f"# {_escaped(_label(content, source))}",
        f"A network that turns video clips into vectors, from {_escaped(source.name)} of "
        f"[vie](https://arxiv.org/abs/1905.11954) {_escaped(content['vie_version'])}.",
        "## Training",
        _training(encoder, content),
        "## Measured",
        _measured(source, content),
        "## Input",
        _input(data),
        "```json\n{\n"
        + ",\n".join(f'  "{key}": {json.dumps(data[key])}' for key in data)
        + "\n}\n```",
        "## Output",
        _output(encoder),
        "## Files",
        *_files(files, data),
    ]
    return "\n\n".join(parts) + "\n"


def _label(content: Content, source: Path) -> str:
    """Of the network in the tables, as it stands there."""
    return str(content["recipe"].get("label", source.stem))


def _escaped(text: object) -> str:
    """What a file says, on one line, without the signs that Markdown and HTML have."""
    return re.sub(r"[\\`*_<>&|\[\]]", r"\\\g<0>", "" if text == "" else shown(text))


def _table(*lines: list[str]) -> str:
    """The first line is that of the columns."""
    columns, *rows = [" | ".join(map(_escaped, line)) for line in lines]
    rule = " | ".join(["---"] * len(lines[0]))
    return "\n".join(f"| {line} |" for line in (columns, rule, *rows))


def _rows(path: Path, label: str) -> tuple[list[str], list[list[str]]]:
    """Columns of a table, and its rows of a model; none if the table is not there."""
    if not path.is_file():
        return [], []
    with path.open(newline="") as file:
        columns, *rows = ([*map(text_of_cell, row)] for row in csv.reader(file))
    place = columns.index("model")
    return columns, [row for row in rows if row[place] == label]


def _settings(value: Any) -> str:
    """Nested settings on one line: "a 1, b (c 2, d 3)"."""
    if isinstance(value, dict):
        inner = (
            f"{_escaped(key)} ({_settings(one)})"
            if isinstance(one, dict)
            else f"{_escaped(key)} {_settings(one)}"
            for key, one in value.items()
        )
        return ", ".join(inner)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_settings, value)) + "]"
    return _escaped("none" if value is None else value)


def _training(encoder: Encoder, content: Content) -> str:
    recipe, made = content["recipe"], dict(content.get("provenance") or {})
    dataset, official = made.pop("dataset", None), made.pop("official_name", None)
    name = _escaped(dataset or "not recorded")
    name = f"{_escaped(official)} ({name})" if official else name
    made = {key: value for key, value in made.items() if value is not None}
    objective = made.pop("objectives", None) or content.get("objectives") or recipe.get("objective")
    said = {key: None if content.get(key) is None else _settings(content[key]) for key in METADATA}
    known = {
        "Dataset": name,
        "Videos": said["n_train"],
        "Network": f"{_settings(recipe['encoder'])}; "
        f"{sum(one.numel() for one in encoder.parameters()):,} parameters",
        "Clip": _settings(recipe.get("clip")),
        "Objective": objective and _settings(objective),
        "Optimiser": recipe.get("optimiser") and _settings(recipe["optimiser"]),
        "Last stage": said["stage"],
        "Steps": said["step"],
        "Seed": said["seed"],
    }
    lines = [f"- {key}: {'not recorded' if v is None else v}" for key, v in known.items()]
    lines += [f"- Also recorded: {_settings(made)}"] if made else []
    licence = content.get("licence")
    return "\n".join([*lines, f"- Licence: {_escaped(licence) if licence else 'none was given'}"])


def _measured(source: Path, content: Content) -> str:
    """Rows of the experiment's tables that are of this network, as they stand."""
    folder, label = source.resolve().parent, _label(content, source)
    if folder.name != ENCODERS:
        return NO_ROW
    experiment = f"of the experiment {_escaped(folder.parent.name)}"
    found = []
    for name in TABLES:
        columns, rows = _rows(folder.parent / name, label)
        if rows:
            found.append(f"`{name}` {experiment}:\n\n{_table(columns, *rows)}")
    if found:
        found.append(_notes(found, content))
    found += _monitored(folder.parent / CURVES, experiment, label, content)
    return "\n\n".join(found) or NO_ROW


def _notes(tables: list[str], content: Content) -> str:
    notes = (
        "Numbers are in percent. `*_ci95` is the half-width of a 95 % interval, `n_*` a number of "
        "videos, `seeds` the random seeds of the networks in the row; this file is the network of "
        f"seed {_settings(content.get('seed'))}. Datasets are named as in the config, where a name "
        "may stand for other data: those of the demo are small stand-ins."
    )
    if any(_escaped("_published") in one for one in tables):
        notes += (
            " `*_published` is a value of the paper, and `comparable` says whether dataset and "
            "scale are the paper's."
        )
    return notes


def _monitored(path: Path, experiment: str, label: str, content: Content) -> list[str]:
    """What the monitor measured of videos without labels: its first and last row, if any."""
    columns, rows = _rows(path, label)
    if SAME_VIDEO not in columns:
        return []
    seed = columns.index("seed")
    rows = [row for row in rows if row[seed] == str(content.get("seed")) and row[-1]]
    if not rows:
        return []
    start = content["recipe"].get("start_from")
    first = f"the network of recipe {_escaped(start)}" if start else "the untrained network"
    return [
        f"First and last row of this network in `{path.name}` {experiment}:\n\n"
        + _table(columns, rows[0], rows[-1]),
        f"The videos have no labels. `{SAME_VIDEO}` is the percentage of the validation videos "
        "whose last clip is nearer to their first one than the last clips of all other files. "
        f"The first row is {first}. A network that is not trained often has a high value already.",
    ]


def _input(data: dict[str, Any]) -> str:
    clip, resize, size = data["clip"], data["resize"], data["crop"]["size"]
    rate = "at a rate that is not recorded" if data["fps"] is None else f"at {data['fps']:g} fps"
    jpeg = data["jpeg"]
    stored = (
        "They were stored as JPEG files by ffmpeg, of a size and quality that are not recorded."
        if jpeg is None
        else f"They were stored as JPEG files by ffmpeg, with a shorter side of "
        f"{_escaped(jpeg['shorter_side'])} pixels (bicubic) and quality "
        f"{_escaped(jpeg['quality'])} of ffmpeg's `-q:v`."
    )
    side = resize["shorter_side"]
    way = (
        f"both sides to {side} pixels, which squeezes the frame"
        if resize["both_sides"]
        else f"the shorter side to {side} pixels, and the other in proportion"
    )
    offsets = ", ".join(f"{offset:g}" for offset in clip["offsets"])
    steps = [
        f"Frames: the video {rate}, as a player shows it (rotated, square pixels). Frame k, from 0 "
        "on, is the last one whose time since the first, times the rate and rounded, is k or less. "
        f"{stored} You may leave the JPEG files out: the embedding hardly changes.",
        f"Clip: {clip['frames']} of the frames. Any place in the video will do. The clip in the "
        f"middle of n frames has the frames floor(max(0, n - {clip['span']} + 1) / 2 + offset) mod "
        f"n, with the offsets {offsets}.",
        f"Resize: {way}, bilinear with antialiasing.",
        f"Crop: the square of {size} x {size} pixels in the centre.",
        "Numbers: red, green and blue, divided by 255, minus `mean`, divided by `std`.",
        f"Shape: ({_shape('B', data)}), float32: clips, channels, frames, rows, columns. B is "
        "free; another shape is none that it was trained on, and an error in exported files.",
    ]
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def _shape(clips: Any, data: dict[str, Any]) -> str:
    size = data["crop"]["size"]
    return f"{clips}, 3, {data['clip']['frames']}, {size}, {size}"


def _output(encoder: Encoder) -> str:
    return (
        f"A tuple: {', '.join(f'`{name}`' for name in OUTPUTS)}. `embedding` is (B, "
        f"{encoder.dimensions}), of unit length: compare two by their dot product. The others are "
        "features of the layers, (B, channels), averaged over frames, rows and columns. For a "
        "whole video take several clips and average them."
    )


def _files(files: Sequence[Exported], data: dict[str, Any]) -> list[str]:
    """A table, and code for each of them."""
    rows = ["| file | size | needs | largest difference from the encoder |", "|---|---|---|---|"]
    parts = []
    for file in files:
        needs, code, load = USES[file.format]
        difference = "not compared" if file.difference is None else f"{file.difference:.1e}"
        size = f"{file.path.stat().st_size / 1e6:.1f} MB"
        rows.append(f"| {_escaped(file.path.name)} | {size} | {needs} | {difference} |")
        names = {"name": repr(file.path.name), "py": repr(loader_of(file.path).name)}
        text = code.format(
            load=load.format(**names),
            shape=_shape(2, data),
            outputs=", ".join(OUTPUTS),
            known_as=json.dumps(f"{file.path.parent.name}/{file.path.stem}"),
            **names,
        )
        parts.append(f"### {file.format}\n\n```python\n{text}```")
    return ["\n".join(rows), "The difference is that of the embeddings of noise.", *parts]
