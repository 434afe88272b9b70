"""Where the videos and annotations of datasets lie, and what says that they have changed."""

import contextlib
import functools
import hashlib
import os
from pathlib import Path
from typing import Any

from vie.config import layouts
from vie.config.settings import dataset_folder, dataset_places
from vie.datasets.facts import expected
from vie.datasets.finding import LISTS, Finding, base_of, find_videos
from vie.datasets.layouts import LAYOUTS
from vie.datasets.layouts.video_files import NoFilesError
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
        return [str(path) if layout.lists else dataset_folder(config, dataset, "videos")]
    own, kind = Path(dataset_folder(config, dataset, "annotations")), "videos"
    if layout.lists or ("annotations" in settings and not own.exists()):
        kind = "annotations"
    if kind == "annotations" and not layout.lists:
        path = own
    if not path.exists() and not Path("resources", dataset, made).exists():
        folder = own if layout.lists else path
        keys = f"`datasets.{dataset}.{kind}` ({settings[kind]!r})"
        if root := config.get("roots", {}).get(dataset):
            keys = f"`roots.{dataset}` ({root!r}) and {keys}"
        raise VieError(f"{layout.absent(folder, split)}. See the config's {keys}")
    lists = sorted(map(str, path.glob("*.txt"))) if layout.lists else []
    return lists or [str(path)]


def listing(config: dict[str, Any], dataset: str, split: str) -> str | None:
    """Where no list says which videos there are, a digest of their names: new ones are seen."""
    settings = config["datasets"][dataset]
    layout, root = LAYOUTS[settings["layout"]], annotation(config, dataset, split)
    if layout.lists or "generator" in settings or not root.is_dir():
        return None
    try:
        if layout.digest:
            return layout.digest(root)
        videos = layout.read(Path(dataset_folder(config, dataset, "videos")), root, split)
    except VieError as error:
        return str(error)  # the job will say so
    names = "\n".join(video.path for video in videos)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()[:12]


# Datasets whose videos are looked for (layout flat)


def are_found(config: dict[str, Any], dataset: str) -> bool:
    """Whether the videos of a dataset are looked for in folders and lists."""
    return layouts.LAYOUTS[config["datasets"][dataset]["layout"]].finds


def videos_folder(config: dict[str, Any], dataset: str) -> str:
    """The folder that paths in manifests of a dataset are relative to."""
    if are_found(config, dataset):
        return str(base_of(dataset_places(config, dataset)))
    return dataset_folder(config, dataset, "videos")


def list_files(config: dict[str, Any], dataset: str) -> list[str]:
    """The list files among the places of a dataset.

    Raises:
        VieError: a place is not there, and no manifest has been made of it.
    """
    places = dataset_places(config, dataset)
    if gone := [place for place in places if not os.path.exists(place)]:
        if not Path("resources", dataset, "train", "manifest.parquet").exists():
            raise VieError(
                f"{gone[0]}: no such file or folder. See the config's `datasets.{dataset}.videos`; "
                f"a path is relative to {Path.cwd()}"
            )
        return []
    lists = [place for place in places if place.lower().endswith(LISTS)]
    if braces := [place for place in lists if {"{", "}"} & set(place)]:
        raise VieError(f"{braces[0]}: Snakemake reads no list with braces in its path: rename it")
    return lists


@functools.cache
def _finding(places: tuple[str, ...]) -> Finding:
    return find_videos(places)


def found_listing(config: dict[str, Any], dataset: str) -> str:
    """A digest of the names of all videos that are found: new ones are seen.

    Raises:
        VieError: as `find_videos`.
    """
    places = dataset_places(config, dataset)
    recorded = Path("resources", dataset, "listing.txt")
    try:
        found = _finding(tuple(places)).videos
    except NoFilesError:
        if not recorded.exists():
            raise
        return recorded.read_text()  # they may be deleted once their frames are extracted
    names = "\n".join(map(repr, found))
    return hashlib.sha256(names.encode()).hexdigest()[:12]


def is_labelled(config: dict[str, Any], dataset: str, *, in_job: bool = False) -> bool:
    """Whether the videos of a dataset have labels, as far as can be told before they are read.

    `in_job`: of a job, whose Snakemake need not search for videos again.
    """
    if not are_found(config, dataset):
        return True
    classes = Path("resources", dataset, "classes.csv")
    if not (in_job and classes.exists()):
        # What cannot be found is an error where it is needed (`found_listing`).
        with contextlib.suppress(VieError):
            return any(one.label for one in _finding(tuple(dataset_places(config, dataset))).videos)
    return classes.exists() and "\n0," in classes.read_text()


def labels_of(config: dict[str, Any], dataset: str) -> str:
    """`classes.csv` of a dataset, for what needs labels.

    Raises:
        VieError: it has none.
    """
    if not is_labelled(config, dataset):
        found_listing(config, dataset)  # a mistake in a list comes first
        raise VieError(
            f"the videos of {dataset} have no labels, and this needs them: probes, supervised "
            "networks, and the tables and curves of these. Without labels there are encoders, "
            "features, neighbours and maps: name no file, or see docs/own-videos.md. A list of "
            "videos has them in the column label"
        )
    return f"resources/{dataset}/classes.csv"


# How many there are


def most_videos(config: dict[str, Any], dataset: str, split: str) -> tuple[int, str] | None:
    """How many usable videos a split has at most, and how that is known; None if it is not.

    Known from what the lists or folders say now. Where a manifest has just these videos, or they
    are gone, those that were found to be broken do not count. Those that other settings of the
    dataset would admit do. How many pieces videos are cut into (`cut`), only their lengths say.
    """
    settings = config["datasets"][dataset]
    if "generator" in settings:
        videos = expected(settings, split).videos
        return videos, f"{dataset} is generated with {videos} in {split}"
    if "cut" in settings:  # only the lengths of videos say how many pieces there are
        return None
    names, folder = _names(config, dataset, split), Path("resources", dataset, split)
    manifest = folder / "manifest.parquet"
    if manifest.exists():
        import pyarrow.parquet as pq

        known = set(pq.read_table(manifest, columns=["video"])["video"].to_pylist())
        if names is None or _still(config, dataset, known, names):
            broken = _broken(manifest, settings["shards"][split])
            less = f", of which {broken} cannot be used" if broken else ""
            return len(known) - broken, f"{dataset} has {len(known)} in {split}{less}"
    if names is None:
        return None
    if are_found(config, dataset):  # at least one validates
        return len(names) - 1, f"{dataset} has {len(names)} in all"
    return len(names), f"{dataset} has {len(names)} in {split}"


def _names(config: dict[str, Any], dataset: str, split: str) -> set[str] | None:
    """Ids of the videos that are listed or found; None if that cannot be told."""
    layout = config["datasets"][dataset]["layout"]
    try:
        if are_found(config, dataset):
            return {one.id for one in _finding(tuple(dataset_places(config, dataset))).videos}
        lists, read = (
            annotation(config, dataset, split),
            LAYOUTS[layout].listed or LAYOUTS[layout].read,
        )
        folder = Path(dataset_folder(config, dataset, "videos"))
        return {one.video for one in read(folder, lists, split)} if lists.exists() else None
    except VieError:
        return None  # the job will say so


def _still(config: dict[str, Any], dataset: str, known: set[str], names: set[str]) -> bool:
    """Whether a manifest with these ids will not be made again."""
    if not are_found(config, dataset):
        return known == names
    listing = Path("resources", dataset, "listing.txt")
    same = listing.exists() and listing.read_text() == found_listing(config, dataset)
    return same and known <= names  # the others validate


def _broken(manifest: Path, shards: int) -> int:
    """How many videos of a manifest no setting will make usable, as far as shards are there."""
    from vie.frames.extract import read_rejected

    of_shards = (manifest.parent / "frames").glob(f"*-of-{shards}.rejected.csv")
    new = [path for path in of_shards if path.stat().st_mtime >= manifest.stat().st_mtime]
    reasons = [row["reason"] for path in new for row in read_rejected(path)]
    return sum(not reason.startswith(BY_SETTINGS) for reason in reasons)
