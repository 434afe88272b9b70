"""Where the videos and annotations of datasets lie, and what says that they have changed."""

import hashlib
from pathlib import Path
from typing import Any

from vie.config.settings import dataset_folder
from vie.datasets.layouts import LAYOUTS
from vie.runtime.errors import VieError


def annotation(config: dict[str, Any], dataset: str, split: str) -> Path:
    """What the layout of a dataset reads to know the videos of a split."""
    layout = LAYOUTS[config["datasets"][dataset]["layout"]]
    kinds = ("videos", "annotations")
    videos, annotations = (Path(dataset_folder(config, dataset, kind)) for kind in kinds)
    return layout.annotations(videos, annotations, split)


def annotation_files(config: dict[str, Any], dataset: str, split: str, made: str) -> list[str]:
    """The files behind `annotation`, as Snakemake sees no edit of a file inside a folder.

    Lists that the workflow writes come with their folder. Videos without lists are watched by
    `listing`.

    Args:
        config: validated.
        dataset, split: whose.
        made: the file of the dataset that is made of them. If it is there they may be away: data
            may be deleted once their frames are extracted.

    Raises:
        VieError: they are not there, and neither is `made`.
    """
    settings, path = config["datasets"][dataset], annotation(config, dataset, split)
    layout = LAYOUTS[settings["layout"]]
    if "generator" in settings:
        return [str(path)]
    if not path.exists() and not Path("resources", dataset, made).exists():
        kind = "annotations" if layout.lists else "videos"
        folder = Path(dataset_folder(config, dataset, kind)) if layout.lists else path
        keys = f"`datasets.{dataset}.{kind}` ({settings[kind]!r})"
        if root := config.get("roots", {}).get(dataset):
            keys = f"`roots.{dataset}` ({root!r}) and {keys}"
        raise VieError(f"{layout.absent(folder, split)}. See the config's {keys}")
    lists = sorted(map(str, path.glob("*.txt"))) if layout.lists else []
    return lists or [str(path)]


def listing(config: dict[str, Any], dataset: str, split: str) -> str | None:
    """Where no list says which videos there are, a digest of their names: new ones are seen."""
    layout = LAYOUTS[config["datasets"][dataset]["layout"]]
    root = annotation(config, dataset, split)
    if layout.lists or not root.is_dir():
        return None
    try:
        videos = layout.read(Path(dataset_folder(config, dataset, "videos")), root, split)
    except VieError as error:
        return str(error)  # the job will say so
    names = "\n".join(video.path for video in videos)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:12]
