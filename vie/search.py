"""Videos that are most like a video, among those of a table of features.

    uv run python -m vie.search ENCODER FEATURES.parquet QUERY_VIDEO... [-k 5]

A search compares all vectors, which have to fit memory.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vie.engine.feature_table import FeatureTable, read_features
from vie.extract import add_frames, extract
from vie.features import EMBEDDING
from vie.metrics.retrieval import unit
from vie.models.checkpoint_format import load_encoder
from vie.runtime.errors import VieError, shown
from vie.runtime.logs import run_command
from vie.runtime.torch_files import content_digest


class Neighbour(NamedTuple):
    """A video, or a part of one, that was found."""

    cosine: float
    video: str  # id
    start: float  # seconds in its file
    end: float
    label: str  # "" where there is none


def search(
    encoder: str | Path, features: Path, videos: Sequence[str | Path], k: int = 5, **settings: Any
) -> dict[str, list[Neighbour]]:
    """The k most similar rows of a table for each of some videos.

    Args:
        encoder: that the table was made with, as `vie.load_encoder` takes it.
        features: a table of `vie.extract` or of the workflow, with the layer embedding.
        videos: video files, folders and lists, as for `vie.extract`.
        settings: more for `vie.extract.extract`.

    Returns:
        {id of a video: its neighbours, nearest first}.

    Raises:
        VieError: the table is of another encoder or has no embeddings, or no video can be used.
    """
    import faiss

    if k < 1:
        raise VieError(f"-k {k}: at least 1 neighbour is needed")
    if str(encoder).endswith(".parquet"):
        raise VieError(f"{encoder}: the encoder comes first, then the table of features")
    table, network = read_features(features), load_encoder(encoder)
    if table.metadata.get("encoder") != content_digest(network.state_dict()):
        label = shown(table.metadata.get("recipe") or "another")
        raise VieError(
            f"{features} holds features of {label}, not of {encoder}: similarities between two "
            "networks mean nothing. Search with the file of the encoder that made them"
        )
    if EMBEDDING not in table.vectors:
        raise VieError(f"{features} has no embeddings: make it again with --layers {EMBEDDING}")
    clips = table.metadata.get("clips", "5")
    if not clips.isdecimal():
        raise VieError(f"{features}: its clips are {shown(clips)}, and have to be a number")
    found, vectors = extract(network, videos, clips=int(clips), **settings)
    gallery = unit(table.vectors[EMBEDDING])
    index: Any = faiss.IndexFlatIP(gallery.shape[1])  # inner products of unit vectors: cosines
    index.add(gallery)
    cosines, rows = index.search(unit(vectors), min(k, len(table.ids)))
    return {
        video: [_neighbour(table, *one) for one in zip(*near, strict=True)]
        for video, *near in zip(found, cosines.tolist(), rows.tolist(), strict=True)
    }


def _neighbour(table: FeatureTable, cosine: float, row: int) -> Neighbour:
    place = float(table.starts[row]), float(table.ends[row])
    return Neighbour(cosine, table.ids[row], *place, table.labels[row])


def main(arguments: Sequence[str]) -> None:
    """Read the command line, print what is found.

    Raises:
        VieError: as `search`.
    """
    parser = argparse.ArgumentParser(prog="python -m vie.search", description=__doc__)
    parser.add_argument("encoder", help="as vie.load_encoder takes it")
    parser.add_argument("features", type=Path, help="a .parquet that this encoder made")
    parser.add_argument("videos", nargs="+", help="videos to look for; also folders and lists")
    parser.add_argument("-k", type=int, default=5, help="neighbours of each; default 5")
    add_frames(parser)
    asked = parser.parse_args(arguments)
    try:
        found = search(asked.encoder, asked.features, asked.videos, asked.k, frames=asked.frames)
    except OSError as error:
        raise VieError(f"{error.filename or asked.features}: {error.strerror or error}") from None
    for video, neighbours in found.items():
        print(shown(video, longest=1000))
        for one in neighbours:
            place = f"{one.start:.1f}-{one.end:.1f} s"
            words = [f"{one.cosine:.3f}", shown(one.video, longest=1000), place]
            words += [shown(one.label)] if one.label else []
            print("  " + "  ".join(words))


if __name__ == "__main__":
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it reports how it is loaded
    run_command(main)
