"""Where the videos and annotations of datasets lie, and what says that they have changed."""

import hashlib
from pathlib import Path
from typing import Any

from vie.config.settings import dataset_folder
from vie.datasets.facts import expected
from vie.datasets.layouts import LAYOUTS
from vie.frames.unusable import BY_SETTINGS
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


def most_videos(config: dict[str, Any], dataset: str, split: str) -> tuple[int, str] | None:
    """How many usable videos a split has at most, and how that is known; None if it is not.

    Known from what the lists or folders say now. Where a manifest has just these videos, or they
    are gone, those that were found to be broken do not count. Those that other settings of the
    dataset would admit do.
    """
    settings = config["datasets"][dataset]
    if "generator" in settings:
        videos = expected(settings, split).videos
        return videos, f"{dataset} is generated with {videos} in {split}"
    names = _names(config, dataset, split)
    folder = Path("resources", dataset, split)
    manifest = folder / "manifest.parquet"
    if not manifest.exists():
        return (len(names), f"{dataset} has {len(names)} in {split}") if names else None
    import pyarrow.parquet as pq

    from vie.frames.extract import read_rejected

    known = set(pq.read_table(manifest, columns=["video"])["video"].to_pylist())
    if names is not None and known != names:  # the manifest will be made again
        return len(names), f"{dataset} has {len(names)} in {split}"
    of_shards = (folder / "frames").glob(f"*-of-{settings['shards'][split]}.rejected.csv")
    new = [path for path in of_shards if path.stat().st_mtime >= manifest.stat().st_mtime]
    rows = [row for path in new for row in read_rejected(path)]
    broken = sum(not row["reason"].startswith(BY_SETTINGS) for row in rows)
    less = f", of which {broken} cannot be used" if broken else ""
    return len(known) - broken, f"{dataset} has {len(known)} in {split}{less}"


def _names(config: dict[str, Any], dataset: str, split: str) -> set[str] | None:
    """Ids of the videos that are listed or lie in the folder; None if that cannot be told."""
    settings = config["datasets"][dataset]
    layout = LAYOUTS[settings["layout"]]
    lists = annotation(config, dataset, split)
    if "cut" in settings or not lists.exists():  # how many pieces there are, their lengths say
        return None
    try:
        folder = Path(dataset_folder(config, dataset, "videos"))
        return {one.video for one in (layout.listed or layout.read)(folder, lists, split)}
    except VieError:
        return None  # the job will say so
