"""What all plots have in common: style, colours, alt text, and what they say they are of."""

import importlib.util
import itertools
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from tests.reporting.test_names import ODD, PLOTS
from vie.config.settings import LAYERS, NETWORKS
from vie.reporting import ablation_plot, drawing, findings, style, summary
from vie.reporting.learning_curves import plot_curves
from vie.reporting.plots import plot_bars, plot_points
from vie.reporting.tables import read_csv

SVG = "{http://www.w3.org/2000/svg}"
# Machado, Oliveira and Fernandes (2009): linear RGB as seen without the green cones.
DEUTERANOPIA = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
LAYER_COLOURS = [style.STYLES[layer]["color"] for layer in (*LAYERS, "knn10")]
PALETTES = {
    "all": style.PALETTE,
    "networks": [*style.NETWORK_COLOURS.values(), style.BLACK],
    "layers": LAYER_COLOURS,
    "published": [style.PUBLISHED_COLOUR, style.GREY, *LAYER_COLOURS],
    "ablations": [*ablation_plot.COLOURS.values()],
    "findings": [*findings.COLOURS.values()],
    "neighbours": [style.GREEN, style.VERMILLION],
    "splits": [*summary.COLOURS.values()],
}


def least_distance(colours):
    """The least distance of two colours as the colour-blind see them, in sRGB from 0 to 1."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ DEUTERANOPIA.T, 0, 1)
    seen = np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
    return min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))


@pytest.mark.parametrize("name", PALETTES)
def test_the_colour_blind_can_tell_colours_apart(name):
    assert least_distance(PALETTES[name]) > 0.18
    assert least_distance(matplotlib.color_sequences["tab10"]) < 0.1


def texts_of(path):
    """All texts that an SVG shows."""
    return " ".join("".join(one.itertext()) for one in ElementTree.parse(path).iter(f"{SVG}text"))


VIDEOS = {"classes": 4 * len(ODD), "finetuned": 4, "retrieval": 4}  # of the others 8


@pytest.mark.filterwarnings("ignore:constrained_layout not applied")
@pytest.mark.parametrize("kind", PLOTS)
def test_plots_say_what_they_are_of_to_all_readers(tmp_path, kind):
    paths = [tmp_path / "a.svg", tmp_path / "a.png"]
    PLOTS[kind](paths)
    root, shown = ElementTree.parse(paths[0]).getroot(), texts_of(paths[0])
    for words in ("$x^$", "chance", "seed"):
        assert words in shown
    n = VIDEOS.get(kind, 8)
    assert f"{n} validation videos" in shown or f"{n} test videos" in shown
    title, description = root.find(f"{SVG}title").text, root.find(f"{SVG}desc").text
    assert root.get("role") == "img"
    assert title
    for words in ("chance", "$x^$", f"{n} "):
        assert words in description
    picture = Image.open(paths[1])
    assert (picture.text["Title"], picture.text["Description"]) == (title, description)


def test_alt_text_is_no_markup(tmp_path):
    figure, _ = drawing.new_figure(2, 2)
    drawing.save(figure, [tmp_path / "a.svg"], "a </title><script>", "b </desc> & <script>")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert root.find(f"{SVG}title").text == "a </title><script>"
    assert root.find(f"{SVG}desc").text == "b </desc> & <script>"
    assert not list(root.iter(f"{SVG}script"))


def test_the_style_holds_in_plots_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    PLOTS["curves"]([tmp_path / "a.svg"])
    assert dict(matplotlib.rcParams) == before
    with matplotlib.rc_context({"svg.fonttype": "path", "font.size": 30, "savefig.dpi": 20}):
        PLOTS["curves"]([tmp_path / "again" / "a.svg"])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "again" / "a.svg").read_bytes()


def test_a_network_has_one_colour(tmp_path, monkeypatch):
    """However it is trained, and whichever others are in the plot."""
    assert NETWORKS.keys() == style.NETWORK_COLOURS.keys()
    found = []
    monkeypatch.setattr(
        drawing,
        "save",
        lambda figure, *_: found.append(
            {
                (axis.get_title(), text.get_text()): to_hex(text.arrow_patch.get_edgecolor())
                for axis in figure.axes
                for text in axis.texts
            }
        ),
    )
    rows = [
        {"model": f"{stage}-{network}", "network": network, "seed": 0, "stage": stage}
        | {"epoch": epoch, "gained": np.nan, "knn_top1": 5.0 + i}
        for stage in ("instance_recognition", "supervised", "a_loss")
        for i, network in enumerate([*NETWORKS, "mine:Network"])
        for epoch in (0, 1)
    ]
    curves = pd.DataFrame(rows)
    plot_curves(curves, 8, "mine", 4.0, [])
    plot_curves(curves[curves["network"] == "slow"], 8, "mine", 4.0, [])
    colours = style.NETWORK_COLOURS | {"mine:Network": style.BLACK}
    families = {"instance_recognition": "VIE", "supervised": "with labels", "a_loss": "others"}
    for drawn, networks in zip(found, ([*colours], ["slow"]), strict=True):
        assert drawn == {
            (family, f"{stage}-{network}"): colours[network]
            for stage, family in families.items()
            for network in networks
        }


def test_names_at_the_ends_of_lines_lie_apart(monkeypatch):
    heights = []
    monkeypatch.setattr(
        drawing,
        "save",
        lambda figure, *_: heights.extend(text.xyann[1] for text in figure.axes[0].texts),
    )
    rows = [
        {"model": str(i), "network": "slow", "seed": 0, "stage": "a", "epoch": epoch}
        | {"gained": np.nan, "knn_top1": 50 + i * epoch / 100}
        for i in range(12)
        for epoch in (0, 1)
    ]
    plot_curves(pd.DataFrame(rows), 8, "mine", 4.0, [])
    assert np.diff(heights).min() > 1.5  # of 50 percent in a panel of 4 inches


def test_limits_are_drawn_where_they_are_known(tmp_path):
    table = pd.DataFrame({"model": ["a"], "n_val": 8, "seeds": "0", "dataset": "x", "chance": 4.0})
    table = table.assign(**{f"{name}{end}": 9.0 for name in LAYERS for end in ("", "_ci95")})
    for ceiling, known in ((50.0, True), (None, False)):
        plot_bars(table, None, "a title", [tmp_path / "a.svg"], ceiling)
        assert ("limit of frames seen one by one (50 %)" in texts_of(tmp_path / "a.svg")) == known


def test_the_figure_of_the_method_is_that_of_its_script(tmp_path):
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("method", docs / "make_method.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.draw(tmp_path)
    now, shown = (texts_of(folder / "method.svg") for folder in (tmp_path, docs / "images"))
    assert now == shown, "run `uv run python docs/make_method.py` and commit the figure"
    for words in ("128 dimensions", "8,000", "512 nearest", "4,096", "Conv5", "finetuning"):
        assert words in now


def test_a_wide_legend_is_not_cut(tmp_path):
    table = read_csv(Path(__file__).parents[2] / "docs" / "demo" / "table_1_imagenet.csv")
    path = tmp_path / "images.png"
    plot_points(table, "Images", [path], "images")
    pixels = np.asarray(Image.open(path).convert("L"))  # (H, W)
    assert pixels[:, [0, -1]].min() == 255
