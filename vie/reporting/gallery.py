"""Sheets of nearest neighbours: pictures of videos, and of those that an encoder finds similar."""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from vie.clips.cutting import decode
from vie.clips.sampling import Sampling
from vie.config.layouts import the
from vie.config.settings import VECTORS
from vie.datasets.finding import file_of
from vie.engine.feature_table import FeatureTable
from vie.frames.index import Index, load_index
from vie.metrics.retrieval import Ranking, nearest, rank
from vie.reporting.drawing import empty_figure, named, save
from vie.reporting.statistics import interval, percent
from vie.reporting.style import DARK, GREEN, VERMILLION, styled
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write
from vie.runtime.randomness import generator

QUERIES, NEIGHBOURS = 10, 4
WIDTH, HEIGHT = 112, 84  # pixels of a frame on a sheet
FRAMES = 11  # of a moving thumbnail, which plays in `PLAYS` milliseconds
PLAYS = 2000
QUALITY = 30  # of WebP: about 20 kB for each video
EMPTY = 238  # grey beside a frame of another shape
COLOURS = {True: GREEN, False: VERMILLION, None: "#9a9a9a"}
MARKS = {True: "\N{CHECK MARK} ", False: "\N{BALLOT X} ", None: ""}


class Shown(NamedTuple):
    """A video on a sheet."""

    video: str  # id
    label: str  # "" where there is none
    frames: list[np.ndarray]  # FRAMES x (HEIGHT, WIDTH, 3) uint8, evenly over what is looked at
    similarity: float | None = None  # cosine with the query; None for the query itself
    right: bool | None = None  # whether it is of the query's class; None where that is not known

    def heading(self) -> str:
        """What it is, in words."""
        if self.similarity is None:
            return f"query: {self.label}" if self.label else "query"
        words = f"{MARKS[self.right]}similarity {self.similarity:.2f}"
        return f"{words}: {self.label}" if self.label else words


class Sheet(NamedTuple):
    """Queries with their neighbours, and what the sheet shows in words."""

    title: str
    caption: str
    rows: list[list[Shown]]  # a query and its neighbours, nearest first


def main_layer(table: FeatureTable) -> str:
    """The layer that sheets and maps show: the embedding, or the first that there is."""
    return next(layer for layer in VECTORS if layer in table.vectors)


def drawn(rows: np.ndarray, most: int, seed: int, stage: str) -> np.ndarray:
    """At most so many of some rows, in order; each has a number of its own address, and those with
    the least are taken. So others do not change when rows are added."""
    if len(rows) <= most:
        return rows
    numbers = [generator(seed, stage, instance=int(row)).random() for row in rows]
    return np.sort(rows[np.argsort(numbers)[:most]])


def make_sheet(
    table: FeatureTable,
    indexes: Mapping[str, Path | Index],
    sampling: Sampling,
    *,
    model: str,
    dataset: str,
    clips: int,
    seed: int,
) -> Sheet:
    """Draw queries, find their neighbours and read their frames.

    Queries are validation videos, neighbours are training videos. Without validation videos both
    are training videos, and no video is its own neighbour.

    Args:
        table: features of a dataset.
        indexes: {split: its index}, which has the frames.
        sampling, clips: of the features: the frames of so many clips are what was looked at.
        model, dataset: what they are called.
        seed: of the network, and of the draw.

    Raises:
        VieError: there are fewer than 2 videos, or the indexes do not have them.
    """
    splits, labels, layer = np.array(table.splits), np.array(table.labels), main_layer(table)
    tested, gallery = np.flatnonzero(splits == "val"), np.flatnonzero(splits == "train")
    alone = not len(tested)
    if alone:
        tested = gallery = np.arange(len(splits))
    if len(gallery) < 2:
        raise VieError(
            f"a sheet of neighbours needs 2 videos at least, and there is {len(gallery)}"
        )
    # One of each file: its other pieces have the same neighbours.
    files = [file_of(table.ids[row]) for row in tested]
    firsts = tested[np.sort(np.unique(files, return_index=True)[1])]
    vectors, queries = table.vectors[layer], drawn(firsts, QUERIES, seed, "neighbours")
    own = queries if alone else None
    found, cosines = nearest(vectors[queries], vectors[gallery], NEIGHBOURS, left_out=own)
    reader = _Reader(indexes, sampling, clips)

    def show(row: int, cosine: float | None = None, right: bool | None = None) -> Shown:
        frames = reader.frames(table.splits[row], table.ids[row])
        return Shown(table.ids[row], table.labels[row], frames, cosine, right)

    rows = []
    for query, near, values in zip(queries, gallery[found], cosines, strict=True):
        rights = [bool(labels[one] == labels[query]) if labels[query] else None for one in near]
        shown = zip(near, values, rights, strict=True)
        rows.append([show(query), *(show(one, float(value), ok) for one, value, ok in shown)])
    words = [f"Queries: {len(queries)} of {_among(alone, len(tested), len(gallery))}"]
    words[0] += f" One network, of seed {seed}. The queries were drawn with this seed, not chosen"
    words[0] += ", one of each file." if len(firsts) < len(tested) else "."
    words.append(
        f"Similarity: cosine of the {layer}s ({clips} clips of each video). Frames: the first, the "
        "middle and the last of those that the network is shown."
    )
    if (labels != "").all():
        ranking = rank(
            *(vectors[tested], labels[tested], vectors[gallery], labels[gallery]),
            left_out=tested if alone else None,
        )
        words.append(_right(ranking, len(tested)))
    title = f"Which videos does {model} find alike? Nearest neighbours in {the(dataset)}"
    return Sheet(title, "\n".join(words), rows)


def _right(ranking: Ranking, videos: int) -> str:
    mean, half = map(percent, interval(ranking.hits(1)))
    return (
        f"Green: of the query's class; red: of another. For {mean:.1f} \N{PLUS-MINUS SIGN} "
        f"{half:.1f} % of all {videos} videos the nearest is of their class (R@1, 95 % interval; "
        f"{percent(ranking.chance):.1f} % if the order were random)."
    )


def _among(alone: bool, tested: int, gallery: int) -> str:
    if alone:
        return f"{gallery} videos, each with its nearest among the others."
    return f"{tested} validation videos, each with its nearest of {gallery} training videos."


class _Reader:
    """Frames of videos, small, out of the shards."""

    def __init__(self, indexes: Mapping[str, Path | Index], sampling: Sampling, clips: int) -> None:
        self.indexes = {
            split: one if isinstance(one, Index) else load_index(one)
            for split, one in indexes.items()
        }
        self.places = {
            split: {video: i for i, video in enumerate(index.videos.to_pylist())}
            for split, index in self.indexes.items()
        }
        self.sampling, self.clips = sampling, clips

    def frames(self, split: str, video: str) -> list[np.ndarray]:
        """FRAMES pictures, evenly from the first to the last frame of a video's clips."""
        index, place = self.indexes[split], self.places[split].get(video)
        if place is None:
            raise VieError(
                f"{index.path}: has no video {video!r}: the features are of other videos; run "
                "Snakemake again with --forcerun features"
            )
        seen = self.sampling.test(int(index.n_frames[place]), self.clips)
        numbers = np.linspace(seen.min(), seen.max(), FRAMES).round().astype(int)
        shown = []
        for number, jpeg in zip(numbers, index.read_frames(place, numbers), strict=True):
            try:
                shown.append(_small(jpeg))
            except ValueError as error:
                raise index.undecodable(place, int(number), error) from error
        return shown


def _small(jpeg: bytes) -> np.ndarray:
    """(HEIGHT, WIDTH, 3) uint8: the whole frame, with grey where its shape leaves room."""
    image = Image.fromarray(decode(jpeg, least=HEIGHT))
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), (EMPTY,) * 3)
    canvas.paste(image, ((WIDTH - image.width) // 2, (HEIGHT - image.height) // 2))
    return np.asarray(canvas)


@styled
def plot_sheet(sheet: Sheet, paths: Sequence[Path]) -> None:
    """Draw a sheet: three frames of each video, in a frame that says whether the class is right."""
    from matplotlib.patches import Rectangle

    wide, high, edge = 3 * WIDTH, HEIGHT, 4
    across, down, top, bottom = wide + 22, high + 44, 46, 92  # pixels
    columns = max(map(len, sheet.rows))
    size = across * columns + 14, down * len(sheet.rows) + top + bottom
    figure = empty_figure(size[0] / 150, size[1] / 150)
    axis = figure.add_axes((0, 0, 1, 1))
    axis.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axis.set_axis_off()

    def write(x: float, y: float, text: str, points: float, **style: str | float) -> None:
        axis.text(x, y, text, fontsize=points, **style)  # type: ignore[arg-type]

    write(12, 28, sheet.title, 9)
    for number, videos in enumerate(sheet.rows):
        for column, one in enumerate(videos):
            x, y = 12 + column * across + 10 * (column > 0), top + number * down
            colour = DARK if one.similarity is None else COLOURS[one.right]
            frame = (x - edge, y - edge), wide + 2 * edge, high + 2 * edge
            axis.add_patch(Rectangle(*frame, color=colour, lw=0, zorder=-1))
            three = np.concatenate([one.frames[i] for i in (0, FRAMES // 2, -1)], axis=1)
            axis.imshow(three, extent=(x, x + wide, y + high, y), interpolation="nearest")
            write(x, y + high + 18, fitting(one.heading(), 38), 6.5)
            write(x, y + high + 31, fitting(one.video, 54), 4.5, color="#666666")
    axis.set(xlim=(0, size[0]), ylim=(size[1], 0), aspect="auto")
    write(12, size[1] - 12, sheet.caption, 6.5, linespacing=1.5, va="bottom")
    save(figure, paths, sheet.title, sheet.caption)


def fitting(text: str, most: int) -> str:
    """Text of at most so many letters, its end kept: names of files differ there."""
    (text,) = named([text], len(text))
    return text if len(text) <= most else f"\N{HORIZONTAL ELLIPSIS}{text[1 - most :]}"


def write_sheet_page(sheet: Sheet, path: Path) -> None:
    """Write a sheet as one HTML file with moving thumbnails, which needs no other file."""
    title = html.escape(sheet.title)
    lines = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
        *(f"<p>{html.escape(line)}</p>" for line in sheet.caption.splitlines()),
        f"<p>The thumbnails play each video's part in {PLAYS / 1000:g} seconds.</p>",
    ]
    for videos in sheet.rows:
        lines += ["<section>", *map(_figure, videos), "</section>"]
    with atomic_write(path) as temporary:
        temporary.write_text("\n".join([*lines, "</body></html>\n"]), encoding="utf-8")


STYLE = (
    "body{font:14px sans-serif;margin:1em}section{display:flex;flex-wrap:wrap;gap:8px;margin:14px "
    "0}figure{margin:0;width:152px;overflow-wrap:anywhere}figure:first-child{margin-right:14px}"
    "img{box-sizing:border-box;width:152px;border:4px solid #333}small{color:#666}"
    f".right img{{border-color:{COLOURS[True]}}}.wrong img{{border-color:{COLOURS[False]}}}"
    f".unknown img{{border-color:{COLOURS[None]}}}"
)


def _figure(one: Shown) -> str:
    images = [Image.fromarray(frame) for frame in one.frames]
    buffer = io.BytesIO()
    settings = {"duration": PLAYS // FRAMES, "loop": 0, "quality": QUALITY, "method": 4}
    images[0].save(buffer, "WEBP", save_all=True, append_images=images[1:], **settings)
    data = base64.b64encode(buffer.getvalue()).decode()
    kind = {True: "right", False: "wrong", None: "unknown"}[one.right]
    words, video = html.escape(one.heading()), html.escape(one.video)
    return (
        f'<figure class="{"query" if one.similarity is None else kind}">'
        f'<img src="data:image/webp;base64,{data}" alt="frames of {video}">'
        f"<figcaption>{words}<br><small>{video}</small></figcaption></figure>"
    )
