"""All golden groups: what they are numbers of, how close they have to be, and the comparison."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tests.golden import data, training
from vie.workflow.versions import VERSIONS

FOLDER = Path(__file__).parent / "numbers"
LEVEL = 1.01  # of 255: a resize on another CPU may round the other way


@dataclass(frozen=True)
class Group:
    """One kind of numbers.

    Attributes:
        kinds: keys of `vie.workflow.versions.VERSIONS` whose results they stand for.
        make: a fresh folder -> the numbers.
        rtol, atol: of the comparison.
    """

    kinds: tuple[str, ...]
    make: Callable[[Path], dict[str, object]]
    rtol: float = 1e-6
    atol: float = 1e-7


def _trained(make: Callable[..., dict[str, object]], *arguments: object) -> Callable:
    return lambda folder: make(*arguments)


IR = ("pretrain", "pretrain.instance_recognition")
CLIPS = ("pretrain", "probe", "finetune", "pretext", "features")
GROUPS: Mapping[str, Group] = {
    "nce_paper": Group(IR, _trained(training.instance_recognition, "nce_paper")),
    "nce_estimated": Group(IR, _trained(training.instance_recognition, "nce_estimated")),
    "softmax": Group(IR, _trained(training.instance_recognition, "softmax")),
    "local_aggregation": Group(
        ("pretrain", "pretrain.local_aggregation"), _trained(training.local_aggregation)
    ),
    "supervised": Group(("pretrain", "pretrain.supervised"), _trained(training.supervised)),
    "order_prediction": Group(
        ("pretrain", "pretrain.order_prediction", "pretext"), _trained(training.order_prediction)
    ),
    "rotation": Group(("pretrain", "pretrain.rotation", "pretext"), _trained(training.rotation)),
    "networks": Group((*CLIPS, "untrained"), _trained(training.networks)),
    "pooled_encoder": Group(CLIPS, _trained(training.pooled_encoder)),
    "untrained": Group(("untrained", "pretrain"), _trained(training.untrained), atol=0.02),
    "bank": Group(("pretrain",), data.bank),
    "probe": Group(("probe",), _trained(training.probe)),
    "probe_of_two": Group(("probe",), _trained(training.probe, 2)),
    "image_probe": Group(("probe", "probe.images"), _trained(training.image_probe)),
    "features": Group(("features",), _trained(training.features)),
    "features_of_two": Group(("features",), _trained(training.features, 2)),
    "encoder": Group(("encoder",), training.encoder_file),
    "finetune_scale_crop": Group(("finetune",), _trained(training.finetune, False)),
    "finetune_color_jitter": Group(("finetune",), _trained(training.finetune, True)),
    "sampling": Group(CLIPS, data.sampling),
    "crops": Group(CLIPS, data.crops),
    "random_sized": Group(CLIPS, data.random_sized),
    "resized": Group(CLIPS, data.resized, atol=LEVEL),
    "color_jitter": Group(("pretrain", "probe", "finetune"), data.color_jitter),
    "train_clips": Group(CLIPS, data.train_clips),
    "frames": Group(("frames",), data.frames, atol=2),
    "images": Group(("images",), data.images, atol=4),
    "synthetic_images": Group(("videos.imagefolder",), data.synthetic_images, atol=LEVEL),
    "motion": Group(("motion",), data.motion, rtol=0.02),
    "index": Group(("index",), data.index),
    "videos": Group(
        ("videos", "videos.kinetics", "videos.ucf101", "videos.hmdb51"), data.videos, atol=0.1
    ),
    **{
        f"manifest_{layout}": Group(
            ("manifest", f"manifest.{layout}"), partial(data.manifest, layout=layout)
        )
        for layout in ("kinetics", "ucf101", "hmdb51", "folders", "imagefolder")
    },
    "manifest_flat": Group(("manifest", "manifest.flat"), data.manifest_flat),
    "split_assignment": Group(("split_assignment",), data.split_assignment),
    "tables": Group(("tables",), data.tables),
    "retrieval": Group(("retrieval",), data.retrieval),
}


def versions(group: Group) -> dict[str, int]:
    """The present versions of a group's kinds."""
    return {kind: VERSIONS[kind].number for kind in group.kinds}


def differences(recorded: object, found: object, group: Group, where: str = "") -> list[str]:
    """What differs, a line each: "loss[3]: 2.5 recorded, 2.6 found"."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        lines = [f"{where}: no {key!r} found" for key in recorded if key not in found]
        lines += [f"{where}: {key!r} is not recorded" for key in found if key not in recorded]
        for key in recorded:
            if key in found:
                lines += differences(recorded[key], found[key], group, f"{where}.{key}".strip("."))
        return lines
    if isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            return [f"{where}: {len(recorded)} recorded, {len(found)} found"]
        pairs = enumerate(zip(recorded, found, strict=True))
        return [
            line
            for i, (one, two) in pairs
            for line in differences(one, two, group, f"{where}[{i}]")
        ]
    if isinstance(recorded, str) or isinstance(found, str):
        same = recorded == found
    else:
        same = bool(np.isclose(found, recorded, rtol=group.rtol, atol=group.atol))
    return [] if same else [f"{where}: {recorded} recorded, {found} found"]


def measure(name: str, folder: Path) -> dict[str, object]:
    """The numbers of a group, as they are after a trip through JSON."""
    return json.loads(json.dumps(GROUPS[name].make(folder)))


def load(name: str) -> dict[str, dict]:
    """{"versions": of its kinds, "numbers": ...} of a group, as recorded."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def record(name: str, numbers: dict[str, object]) -> None:
    """Write the numbers of a group and the versions they belong to."""
    FOLDER.mkdir(exist_ok=True)
    content = {"versions": versions(GROUPS[name]), "numbers": numbers}
    text = json.dumps(content, indent=1)
    (FOLDER / f"{name}.json").write_text(_short_lists(text) + "\n")


def _short_lists(text: str) -> str:
    """Lists of numbers on one line."""
    lines: list[str] = []
    for line in text.splitlines():
        bare = line.strip()
        if lines and lines[-1].endswith("[") and not bare.endswith(("[", "{")):
            lines[-1] += bare
        elif lines and "[" in lines[-1] and lines[-1].endswith(",") and bare[0] in "-0123456789]":
            lines[-1] += f" {bare}"
        elif lines and "[" in lines[-1] and bare in ("]", "],"):
            lines[-1] += bare
        else:
            lines.append(line)
    return "\n".join(lines)
