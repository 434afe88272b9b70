"""Sheets of neighbours: the right videos, the right frames, and pages that need nothing else."""

import base64
import html.parser
import io
import re

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from vie.clips.cutting import decode
from vie.clips.sampling import sampling
from vie.engine.feature_table import FeatureTable
from vie.frames.index import load_index
from vie.reporting.gallery import (
    FRAMES,
    HEIGHT,
    WIDTH,
    drawn,
    make_sheet,
    plot_sheet,
    write_sheet_page,
)
from vie.reporting.style import GREEN, VERMILLION
from vie.runtime.errors import VieError

CLIP = {"frames": 3, "stride": 2}


def table_of(small_dataset, *, splits=("train", "val"), labelled=True, noise=0.6):
    """Features that tell the four classes apart, more or less."""
    rng = np.random.default_rng(0)
    ids, labels, named = [], [], []
    for split in splits:
        index = load_index(small_dataset / split / "index.parquet")
        ids += index.videos.to_pylist()
        labels += index.labels.tolist()
        named += [split] * len(index)
    vectors = np.eye(4)[labels] + noise * rng.normal(size=(len(ids), 4))
    names = [f"class {label}" if labelled else "" for label in labels]
    places = np.zeros(len(ids)), np.ones(len(ids))
    return FeatureTable(ids, *places, names, named, {"embedding": vectors.astype(np.float32)}, {})


def sheet_of(small_dataset, table, **other):
    indexes = {split: small_dataset / split / "index.parquet" for split in {*table.splits}}
    how = {"model": "VIE-Slow", "dataset": "mine", "clips": 4, "seed": 3} | other
    return make_sheet(table, indexes, sampling(CLIP), **how)


def test_neighbours_against_a_loop(small_dataset):
    table = table_of(small_dataset)
    sheet = sheet_of(small_dataset, table)
    vectors = table.vectors["embedding"]
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    train = [i for i, split in enumerate(table.splits) if split == "train"]
    hits = []
    for i, split in enumerate(table.splits):
        if split == "val":
            near = sorted(train, key=lambda j: -vectors[i] @ vectors[j])
            hits.append(table.labels[near[0]] == table.labels[i])
            row = next(row for row in sheet.rows if row[0].video == table.ids[i])
            assert [one.video for one in row[1:]] == [table.ids[j] for j in near[:4]]
            for one, j in zip(row[1:], near, strict=False):
                assert one.similarity == pytest.approx(vectors[i] @ vectors[j], abs=1e-6)
                assert one.right == (table.labels[i] == table.labels[j])
    assert 0 < np.mean(hits) < 1
    assert len(sheet.rows) == 8
    assert f"For {100 * np.mean(hits):.1f} \N{PLUS-MINUS SIGN}" in sheet.caption
    assert "of all 8 videos the nearest is of their class (R@1" in sheet.caption
    assert "8 of 8 validation videos, each with its nearest of 24 training videos" in sheet.caption


def test_frames_are_those_that_the_network_is_shown(small_dataset):
    table = table_of(small_dataset)
    shown = sheet_of(small_dataset, table).rows[2][0]
    index = load_index(small_dataset / "val" / "index.parquet")
    place = index.videos.to_pylist().index(shown.video)
    seen = np.unique(sampling(CLIP).test(int(index.n_frames[place]), 4))
    assert len(shown.frames) == FRAMES
    middle = round((seen[0] + seen[-1]) / 2)
    for frame, number in ((0, seen[0]), (FRAMES // 2, middle), (-1, seen[-1])):
        whole = decode(index.read_frames(place, [number])[0])
        fitted = Image.fromarray(whole)
        fitted.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        left, top = (WIDTH - fitted.width) // 2, (HEIGHT - fitted.height) // 2
        found = shown.frames[frame]
        assert found.shape == (HEIGHT, WIDTH, 3)
        inside = found[top : top + fitted.height, left : left + fitted.width]
        np.testing.assert_array_equal(inside, np.asarray(fitted))
        assert (found[: max(top, 0), :] == 238).all()


def test_without_validation_videos_each_is_compared_with_the_others(small_dataset):
    table = table_of(small_dataset, splits=("train",))
    sheet = sheet_of(small_dataset, table)
    assert len(sheet.rows) == 10
    assert "10 of 24 videos, each with its nearest among the others" in sheet.caption
    for query, *near in sheet.rows:
        assert query.video not in {one.video for one in near}


def test_without_labels_nothing_is_right_or_wrong(small_dataset):
    sheet = sheet_of(small_dataset, table_of(small_dataset, labelled=False))
    assert {one.right for row in sheet.rows for one in row} == {None}
    assert "R@1" not in sheet.caption
    assert sheet.rows[0][0].heading() == "query"
    assert re.fullmatch(r"similarity -?0\.\d\d", sheet.rows[0][1].heading())


def test_the_draw_is_of_addresses():
    rows = np.arange(100)
    chosen = drawn(rows, 10, 0, "neighbours")
    assert len({*chosen.tolist()}) == 10
    assert chosen.tolist() == sorted(chosen)
    assert drawn(rows, 10, 1, "neighbours").tolist() != chosen.tolist()
    # Rows that are added change others only by taking their places.
    more = drawn(np.arange(130), 10, 0, "neighbours")
    assert {*more[more < 100].tolist()} <= {*chosen.tolist()}
    assert drawn(rows[:7], 10, 0, "x").tolist() == list(range(7))


class Page(html.parser.HTMLParser):
    """All elements and texts of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_one_small_file(small_dataset, tmp_path):
    table = table_of(small_dataset)
    table = table._replace(labels=[f"<b>{one} & 'so'" for one in table.labels])
    sheet = sheet_of(small_dataset, table, model='<script>alert("x")</script>')
    write_sheet_page(sheet, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "p", "section"),
        *("figure", "img", "figcaption", "br", "small"),
    }
    images = [known for tag, known in page.tags if tag == "img"]
    assert len(images) == 8 * 5
    assert not re.search(r"https?:|url\(|@import", text)
    assert any("<b>class 0 & 'so'" in found for found in page.texts)
    prefix = "data:image/webp;base64,"
    for known in images:
        assert known["src"].startswith(prefix)
    moving = Image.open(io.BytesIO(base64.b64decode(images[0]["src"].removeprefix(prefix))))
    assert (moving.size, moving.n_frames, moving.is_animated) == ((WIDTH, HEIGHT), FRAMES, True)
    assert len(text) < 1e6


def test_the_picture_has_frames_and_their_colours(small_dataset, tmp_path):
    table = table_of(small_dataset)
    odd = [f"$_{one}^{{" for one in table.labels]  # no formula
    sheet = sheet_of(small_dataset, table._replace(labels=odd))
    plot_sheet(sheet, [tmp_path / "sheet.png"])
    pixels = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB")).reshape(-1, 3)
    rights = [one.right for row in sheet.rows for one in row[1:]]
    for colour, right in ((GREEN, True), (VERMILLION, False)):
        shade = 255 * np.array(to_rgb(colour))
        edges = (np.abs(pixels - shade).max(1) < 3).sum()
        around = 2 * 4 * (3 * WIDTH + HEIGHT + 8)  # pixels of the frame of one video
        assert edges / around == pytest.approx(rights.count(right), rel=0.15)


def test_errors(small_dataset):
    table = table_of(small_dataset)
    with pytest.raises(VieError, match="has no video 'gone'"):
        sheet_of(small_dataset, table._replace(ids=["gone"] * 32))
    one = FeatureTable(["a"], *np.ones((2, 1)), ["x"], ["train"], {"conv5": np.ones((1, 2))}, {})
    with pytest.raises(VieError, match="2 videos at least"):
        make_sheet(one, {}, sampling(CLIP), model="x", dataset="mine", clips=1, seed=0)
