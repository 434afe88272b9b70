"""Table S1 from predictions on disk, worked out by hand."""

import csv
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vie.config.settings import LAYERS
from vie.reporting import drawing
from vie.reporting.differences import PAPER, differences
from vie.reporting.learning_curves import plot_curves, read_curves
from vie.reporting.plots import plot_bars, plot_points
from vie.reporting.published import read_published
from vie.reporting.tables import (
    probe_table,
    read_evaluations,
    seed_table,
    with_neighbours,
    write_csv,
)
from vie.runtime.errors import VieError

TITLE = "stand-in for Kinetics-400"
PUBLISHED = Path(__file__).parents[2] / "vie" / "reporting" / "published"
LABELS = {
    "trn": "TRN-Input-Single",
    "slow": "Slow-Input-Single",
    "sf": "Sf-Input-Single",
}
COLUMNS = (
    "model",
    *("conv3", "conv4", "conv5"),
    *("conv3_ci95", "conv4_ci95", "conv5_ci95"),
    *("n_val", "seeds", "dataset", "chance"),
    *("conv3_published", "conv4_published", "conv5_published"),
    "comparable",
)


def metadata(seed, **other):
    return {
        "seed": seed,
        "dataset_official_name": "kinetics400",
        "n_train": 239_000,
        "n_val": 19_600,
        "classes": 400,
        "frames": {"fps": 25.0, "shorter_side": 320},
        "networks": [network()],
        "sampling": SAMPLINGS["trn"],
        "size": 224,
        "probe": {
            "clips": 5,
            "optimiser": {"batch": 128, "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
            "schedule": {"duration": "400000 steps", "lr_drops": ["150000 steps"]},
        },
        "steps": 400_000,
    } | other


SAMPLINGS = {
    "trn": {"frames": 4, "stride": 12, "bin": 12, "windows": [], "test_starts": "inside"},
    "slow": {"frames": 4, "stride": 16, "bin": 1, "windows": [], "test_starts": "inside"},
    "sf": {"frames": 16, "stride": 4, "bin": 1, "windows": [], "test_starts": "ends"},
}


def network(**other):
    return {
        "steps": 1_400_000,
        "encoder": {"network": "single", "width": 64, "embedding": 128, "bn_momentum": 0.003},
        "batch": 128,
        "objective": {
            "temperature": 0.07,
            "bank_momentum": 0.5,
            "instance_recognition": {"estimator": "nce_paper", "negatives": 4096},
            "local_aggregation": {
                "clusters": 8000,
                "clusterings": 1,
                "kmeans_iterations": 20,
                "neighbours": 512,
            },
        },
    } | other


@pytest.fixture
def probes(tmp_path):
    """Two seeds of three evaluations on ten videos; r with seed s is right on the first r+s+3."""
    predictions, known = [], []
    for r in range(3):
        for s in range(2):
            labels = np.arange(10) % 4
            right = np.arange(10) < r + s + 3
            table = pd.DataFrame({"video": [f"v{i}" for i in range(10)], "label": labels})
            for k, layer in enumerate(("conv3", "conv4", "conv5")):
                table[f"{layer}_top1"] = np.where(np.roll(right, k), labels, (labels + 1) % 4)
                table[f"{layer}_top5"] = True
            table["knn_top1"] = np.where(np.arange(10) < 1 + r, labels, (labels + 1) % 4)
            predictions.append(str(tmp_path / f"{r}{s}.parquet"))
            known.append(str(tmp_path / f"{r}{s}.json"))
            table.to_parquet(predictions[-1])
            Path(known[-1]).write_text(
                json.dumps(metadata(s, sampling=list(SAMPLINGS.values())[r]))
            )
    return predictions, known


def s1(probes, labels=LABELS):
    evaluations = read_evaluations(labels, *probes)
    return probe_table(
        evaluations, read_published(PUBLISHED, list(labels.values()), all_known=True), TITLE
    )


def test_the_table_by_hand(probes, tmp_path):
    table = s1(probes)
    write_csv(table, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["model"] for row in rows] == list(LABELS.values())
    # Seeds right on 3 and 4 of 10 videos, on 4 and 5, on 5 and 6.
    assert [float(row["conv3"]) for row in rows] == [35.0, 45.0, 55.0]
    assert [row["n_val"] for row in rows] == ["10"] * 3
    assert [row["seeds"] for row in rows] == ["0 1"] * 3
    assert rows[1]["conv4_published"] == "39.24"
    assert [row["comparable"] for row in rows] == ["true"] * 3
    # Row 0: video means 1, 1, 1, 0.5, then zeros, with two wrong and two right ones added.
    means = np.array([1, 1, 1, 0.5, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
    t = 12.706  # two seeds: one degree of freedom
    half = np.sqrt(1.96**2 * means.var() / 14 + t**2 * np.var([0.3, 0.4], ddof=1) / 2)
    assert float(rows[0]["conv5_ci95"]) == pytest.approx(100 * half, abs=0.02)


def test_seeds_one_by_one(probes):
    table = seed_table(read_evaluations(LABELS, *probes))
    assert table["conv4"].tolist() == [30.0, 40.0, 40.0, 50.0, 50.0, 60.0]
    assert table["seed"].tolist() == [0, 1] * 3


WARM = {
    "instance_recognition": {"estimator": "nce_paper", "negatives": 4096, "first_temperature": 0.6}
}
LESS = network()["objective"] | {"local_aggregation": {"clusters": 100, "neighbours": 512}}


@pytest.mark.parametrize(
    "change",
    [
        {"dataset_official_name": None},
        {"n_train": 200_000},
        {"n_val": 15_000},
        {"classes": 399},
        {"size": 112},
        {"frames": {"fps": 25.0, "shorter_side": 64}},
        {"sampling": SAMPLINGS["slow"]},
        {"probe": metadata(0)["probe"] | {"clips": 1}},
        {"probe": metadata(0)["probe"] | {"optimiser": {"batch": 32}}},
        {"networks": [network(steps=0)]},
        {"networks": [network(batch=1)]},
        {"networks": [network(objective=None)]},
        {"networks": [network(objective=LESS)]},
        {"networks": [network(objective=network()["objective"] | WARM)]},
        {"networks": [network(encoder=network()["encoder"] | {"embedding_norm": "batch"})]},
        {"networks": [network(encoder=network()["encoder"] | {"width": 32})]},
        {"networks": [network(encoder=network()["encoder"] | {"network": "slow"})]},
        {"networks": [network(), network()]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_published_values_are_comparable_at_the_papers_scale_alone(change):
    label = "TRN-Input-Single"
    assert differences(metadata(0), label, "kinetics400") == []
    assert differences(metadata(0, **change), label, "kinetics400")
    assert differences(metadata(0), label, "ucf101")
    assert differences(metadata(0), "VIE-Slow", float("nan"))


def test_differences_are_sentences():
    small = network(encoder=network()["encoder"] | {"width": 16}, steps=1200, batch=32)
    sampling = SAMPLINGS["slow"] | {"frames": 8}
    other = {"size": 64, "n_val": 480, "networks": [small], "sampling": sampling, "classes": 24}
    other |= {"dataset_official_name": None, "probe": metadata(0)["probe"] | {"clips": 3}}
    assert differences(metadata(0, **other), "TRN-Input-Single", "kinetics400", TITLE) == [
        "dataset is the stand-in for Kinetics-400, not Kinetics-400",
        "width is 16, not 64",
        "batch of pretraining is 32, not 128",
        "it was pretrained for 1,200 steps, not 1,220,011 or more",
        "input size is 64, not 224",
        "clips have 8 frames, not 4",
        "number of classes is 24, not 400",
        "number of test clips is 3, not 5",
        "there are 480 validation videos, not 19,653",
    ]
    bare = metadata(0, networks=[network(encoder={}, objective=None)])
    assert differences(bare, "TRN-Input-Single", "kinetics400") == [
        "network is missing, not single",
    ]


def test_the_published_row_of_3dresnet_has_its_own_scale():
    theirs = network(
        steps=1_600_000, batch=64, encoder=network()["encoder"] | {"network": "3dresnet"}
    )
    sampling = {"frames": 16, "stride": 1, "bin": 1, "windows": [], "test_starts": "ends"}
    known = metadata(0, size=112, networks=[theirs], sampling=sampling)
    assert differences(known, "VIE-3DResNet", "kinetics400") == []
    assert differences(known | {"size": 224}, "VIE-3DResNet", "kinetics400")


def test_published_values_on_images():
    theirs = read_published(PUBLISHED, ["VIE-3DResNet", "VIE-Single"], "imagenet")
    assert theirs.loc["VIE-3DResNet", ["conv3", "conv4", "conv5"]].tolist() == [30.42, 35.38, 32.5]
    assert theirs["dataset"].tolist()[0] == "imagenet"
    assert theirs["knn10"].isna().all()
    assert theirs.loc["VIE-Single"].isna().all()


def test_images_are_comparable_with_images():
    theirs = network(
        steps=1_600_000, batch=64, encoder=network()["encoder"] | {"network": "3dresnet"}
    )
    probe = metadata(0)["probe"] | {"clips": 1, "frames": 16, "pooled": False}
    about = {"dataset_official_name": "imagenet", "pretrained_on": "kinetics400", "size": 112}
    about |= {"n_train": 1_281_167, "n_val": 50_000, "classes": 1000, "steps": 1_000_000}
    known = metadata(0, networks=[theirs], probe=probe, **about)
    assert differences(known, "VIE-3DResNet", "imagenet") == []
    assert differences(known, "Sf-Input-Single", "imagenet")
    other = {"pretrained_on": None, "n_val": 4, "probe": probe | {"frames": 8}}
    assert differences(known | other, "VIE-3DResNet", "imagenet") == [
        "it was not pretrained on Kinetics-400",
        "number of times that an image is shown is 8, not 16",
        "there are 4 validation images, not 50,000",
    ]


def test_values_of_the_table_have_their_place_and_others_have_none():
    """The same quantities on ImageNet come after those on Kinetics in the file."""
    every = pd.read_csv(PUBLISHED / "other.csv").drop_duplicates(["model", "quantity", "dataset"])
    imagenet = every[every["dataset"] == "imagenet"].set_index("quantity")["value"]
    theirs = read_published(PUBLISHED, ["VIE-3DResNet"]).loc["VIE-3DResNet"]
    assert theirs["dataset"] == "kinetics400"
    assert imagenet["linear probe conv5 top-1 (last printed validation)"] == 32.5
    assert theirs[["conv3", "conv4", "conv5", "knn10"]].tolist() == [33.42, 41.58, 43.46, 32.07]


def test_curves_of_networks_that_are_not_trained_are_an_error():
    with pytest.raises(VieError, match=r"no network of tables\.table_1 in the config is trained"):
        read_curves([])


def test_one_seed_below_the_papers_scale_spoils_the_row(probes):
    Path(probes[1][3]).write_text(json.dumps(metadata(1, networks=[network(steps=1000)])))
    assert s1(probes)["comparable"].tolist() == [True, False, True]


def test_unknown_models_and_missing_files_are_errors(probes, tmp_path):
    with pytest.raises(VieError, match=r"nothing is published of SlowFast; there is: TRN-Input"):
        s1(probes, LABELS | {"sf": "SlowFast"})
    with pytest.raises(VieError, match=r"table_s1\.csv: the file of published values is missing"):
        read_published(tmp_path, ["TRN-Input-Single"])
    (tmp_path / "table_s1.csv").write_text("model,conv3\nTRN-Input-Single,1\n")
    with pytest.raises(VieError, match="lacks the columns dataset, conv4"):
        read_published(tmp_path, ["TRN-Input-Single"])


def test_every_readout_has_the_same_seeds(probes):
    with pytest.raises(VieError, match="every evaluation needs the same number of seeds"):
        read_evaluations(LABELS, probes[0][:5], probes[1][:5])


def table_1(evaluations, theirs):
    models = evaluations["model"].unique()
    groups = dict(zip(models, ("a", "b", "b"), strict=True))
    table = probe_table(evaluations, theirs, TITLE)
    return with_neighbours(table, evaluations, theirs, groups)


def test_table_1_has_top5_neighbours_and_the_published_row_of_3dresnet(probes):
    labels = {"trn": "VIE-TRN", "slow": "VIE-3DResNet", "sf": "Sf-Input-Single"}
    evaluations = read_evaluations(labels, *probes)
    theirs = read_published(PUBLISHED, list(labels.values()))
    table = table_1(evaluations, theirs).set_index("model")
    assert table["group"].tolist() == ["a", "b", "b"]
    assert table["knn10"].tolist() == [10.0, 20.0, 30.0]
    assert table["top5"].tolist() == [100.0] * 3
    assert set(table["best"]) <= {"conv3", "conv4", "conv5"}
    published = table.loc["VIE-3DResNet"]
    assert published[[f"conv{i}_published" for i in (3, 4, 5)]].tolist() == [33.42, 41.58, 43.46]
    assert published["knn10_published"] == 32.07
    assert np.isnan(table.loc["VIE-TRN", "conv3_published"])
    assert np.isnan(table.loc["Sf-Input-Single", "knn10_published"])
    assert table.loc["Sf-Input-Single", "conv5_published"] == 44.29
    assert not table.loc["VIE-TRN", "comparable"]


def test_seeds_of_different_videos_are_not_averaged(probes):
    table = pd.read_parquet(probes[0][1])
    table["video"] = table["video"].str.upper()
    table.to_parquet(probes[0][1])
    with pytest.raises(VieError, match="runs of TRN-Input-Single were tested on different videos"):
        read_evaluations(LABELS, *probes)


def test_the_plot_marks_published_values_that_are_not_comparable(probes, tmp_path):
    table = s1(probes)
    one, two = tmp_path / "t.svg", tmp_path / "u.svg"
    plot_bars(table, None, "a title", [one, tmp_path / "t.png"])
    plot_bars(table.assign(comparable=False), None, "a title", [two])
    assert "published" in text_of(one)
    assert "not comparable" not in text_of(one)
    assert "published, not comparable" in text_of(two)
    nothing = table.assign(**{f"{layer}_published": np.nan for layer in LAYERS})
    plot_bars(nothing, None, "a title", [tmp_path / "v.svg"])
    assert "published" not in text_of(tmp_path / "v.svg")
    assert "TRN-Input-Single" in text_of(two)
    again = tmp_path / "again" / "t.svg"
    plot_bars(table, None, "a title", [again])
    assert again.read_bytes() == one.read_bytes()
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_published_values_above_ours_lie_inside_the_plot(probes, tmp_path, monkeypatch):
    from vie.reporting import plots

    limits = []
    monkeypatch.setattr(
        drawing, "save", lambda figure, *_: limits.append(figure.axes[0].get_ylim())
    )
    table = s1(probes).assign(conv3=5.0, conv4=5.0, conv5=5.0)
    table = table.assign(**{f"conv{i}_ci95": 1.0 for i in (3, 4, 5)})
    plots.plot_bars(table, None, "a title", [])
    nothing = table.assign(**{f"{layer}_published": np.nan for layer in LAYERS})
    plots.plot_bars(nothing, None, "a title", [])
    plots.plot_bars(nothing, None, "a title", [], ceiling=50.0)
    assert limits[0][1] > 44.62 > limits[1][1]
    assert limits[2][1] > 50


def test_the_plot_of_table_1(probes, tmp_path):
    evaluations = read_evaluations(LABELS, *probes)
    theirs = read_published(PUBLISHED, list(LABELS.values()))
    table = table_1(evaluations, theirs)
    plot_points(table, "a title", [tmp_path / "t.svg"])
    for words in ("Sf-Input-Single", "nearest neighbours", "published", "seeds 0, 1", "a", "b"):
        assert words in text_of(tmp_path / "t.svg")


def test_the_control_stands_in_the_plot_and_has_nothing_published(probes, tmp_path, monkeypatch):
    table, path = s1(probes), tmp_path / "t.svg"
    evaluations = read_evaluations({k: f"{v} (untrained)" for k, v in LABELS.items()}, *probes)
    control = probe_table(evaluations, None, TITLE)
    assert control.columns.tolist() == [c for c in COLUMNS if not c.endswith(("lished", "able"))]
    assert control["model"].str.endswith("(untrained)").all()
    plot_bars(table, control, "a title", [path])
    assert "the same network, never trained" in text_of(path)
    heights = []
    monkeypatch.setattr(drawing, "save", lambda figure, *_: heights.extend(bars_of(figure.axes[0])))
    plot_bars(table, control, "a title", [])
    for bars, layer in zip(np.reshape(heights, (6, 3))[3:], LAYERS, strict=True):
        assert bars.tolist() == control[layer].tolist()


def bars_of(axis):
    return [bar.get_height() for bar in axis.patches]


@pytest.mark.parametrize(("seeds", "marked"), [("0", True), ("0 1", False)])
def test_every_plot_says_what_it_is_of(probes, tmp_path, seeds, marked):
    path = tmp_path / "t.svg"
    plot_bars(s1(probes).assign(seeds=seeds), None, "a title", [path])
    text = text_of(path)
    assert ("one seed: intervals cover videos only" in text) == marked
    for words in ("a title", "10 validation videos of the stand-in", "chance (0.2 %)"):
        assert words in text


def test_learning_curves(tmp_path):
    files = []
    for seed in (0, 1):
        path = tmp_path / f"{seed}.jsonl"
        rows = [
            {"step": 0, "epoch": 0.0, "knn_top1": 4.0 + seed},
            {"step": 5, "loss": 1.0, "gained": 0.25, "clips_per_second": 3.0},
            {"step": 10, "epoch": 2.0, "knn_top1": 20.0 + seed},
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        stage = "instance_recognition"
        known = {"model": "VIE-Slow", "network": "slow", "seed": seed, "stage": stage}
        files.append({"path": str(path)} | known)
    curves = read_curves(files)
    assert curves["knn_top1"].tolist() == [4.0, 20.0, 5.0, 21.0]
    assert curves["epoch"].tolist() == [0.0, 2.0] * 2
    assert curves.index.tolist() == [0, 1, 2, 3]
    assert curves["gained"].dropna().tolist() == [0.25, 0.25]
    path = tmp_path / "curves.svg"
    plot_curves(curves, 480, TITLE, 4.2, [path])
    for words in ("VIE-Slow", "480 validation videos of the stand-in", "chance (4.2 %)"):
        assert words in text_of(path)
    assert "nats that instance recognition gained" in text_of(path)
    plot_curves(curves.assign(gained=float("nan")), 480, TITLE, 4.2, [path])
    assert "nats that instance recognition gained" not in text_of(path)
    assert "one seed" not in text_of(path)
    plot_curves(curves[curves["seed"] == 0], 480, TITLE, None, [path])
    assert "one seed: another would give other curves" in text_of(path)
    assert "chance" not in text_of(path)


def text_of(svg):
    """All texts of an SVG are texts."""
    return svg.read_text()


def test_the_published_file_holds_what_the_supplement_prints():
    text = (PUBLISHED / "table_s1.csv").read_text()
    rows = {row["model"]: row for row in csv.DictReader(text.splitlines())}
    printed = {
        "TRN-Input-Single": ("25.52", "39.25", "44.27"),
        "Slow-Input-Single": ("26.17", "39.24", "44.62"),
        "Sf-Input-Single": ("25.72", "39.38", "44.29"),
    }
    assert {m: (r["conv3"], r["conv4"], r["conv5"]) for m, r in rows.items()} == printed
    assert PAPER["n_train"] == 239_888
