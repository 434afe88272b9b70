"""Overlays of one recipe each: what they become, what is refused, and that nothing else changes."""

import copy
from pathlib import Path

import pytest
import yaml

from vie.config.ablations import without_ablations
from vie.config.load import load_config, merge, validate
from vie.runtime.errors import VieError

ROOT = Path(__file__).parents[2]
PAPER = ROOT / "experiments" / "kinetics400.yaml"
FILES = sorted((ROOT / "experiments" / "ablations").glob("*.yaml"))
# Another evaluation shows the same clips to this network and to one that keeps its crops.
CLIPS_OF_TWO = "random_sized_crop"


def raw():
    return merge({}, yaml.safe_load((ROOT / "config.yaml").read_text()))


def with_file(folder, content, name="changed"):
    """The demo with one ablation: its content."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    config = raw() | {"ablations": [str(folder)]}
    validate(config)
    return config


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_that_comes_along_is_an_overlay_too(path):
    """What it makes of the paper's recipe as an overlay, it makes of it as an ablation."""
    ablated = load_config(ROOT / "config.yaml", PAPER)
    (base,) = yaml.safe_load(path.read_text())["recipes"]
    own = ablated["recipes"][f"{base}.{path.stem}"]
    assert own != ablated["recipes"][base]
    assert own["label"] != ablated["recipes"][base]["label"]
    if path.stem != CLIPS_OF_TWO:
        assert load_config(ROOT / "config.yaml", PAPER, path)["recipes"][base] == own
        load_config(ROOT / "config.yaml", path)


def test_numbers_are_the_protocols():
    """Section 11."""
    recipes = load_config(ROOT / "config.yaml", PAPER)["recipes"]
    own = {name.partition(".")[2]: recipe for name, recipe in recipes.items()}
    clusters = {"videos_30": 2400, "videos_70": 5600, "clusters_4000": 4000}
    for name, wanted in (clusters | {"bins_52": 10_000, "bins_130": 5000}).items():
        assert own[name]["objective"]["local_aggregation"]["clusters"] == wanted
    assert own["neighbours_1024"]["objective"]["local_aggregation"]["neighbours"] == 1024
    assert [own[f"videos_{share}"]["instances"] for share in (30, 70)] == [
        {"share": 0.3},
        {"share": 0.7},
    ]
    assert [own[f"bins_{n}"]["instances"] for n in (52, 130)] == [{"frames": 52}, {"frames": 130}]
    assert own["opn_224"]["geometry"]["size"] == 224
    assert recipes["opn"]["geometry"]["size"] == 80
    schedule, whole = own["ir_only"]["schedule"], recipes["vie_single"]["schedule"]
    stages = [int(whole[stage].split()[0]) for stage in list(whole)[:2]]
    assert schedule == {
        "instance_recognition": f"{sum(stages)} steps",
        "lr_drops": whole["lr_drops"],
    }


@pytest.mark.parametrize("overlay", [None, "kinetics400", "smoke", "own_videos"])
def test_nothing_else_of_the_config_changes(overlay):
    paths = [ROOT / "config.yaml", *([ROOT / "experiments" / f"{overlay}.yaml"] if overlay else [])]
    config = load_config(*paths)
    before = raw()
    for path in paths[1:]:
        merge(before, yaml.safe_load(path.read_text()))
    folders = before["ablations"]
    before["ablations"] = []
    validate(before)
    rest = {kind: without_ablations(config[kind]) for kind in ("recipes", "evaluations")}
    assert config | rest == before | {"ablations": folders}
    assert (config == config | rest) == (overlay == "own_videos")


def test_a_completed_config_is_completed_again(tmp_path):
    """Snakemake's status does it; the ablations follow an edit of what they change."""
    config = with_file(tmp_path, {"recipes": {"opn": {"optimiser": {"lr": 1}}}})
    once = copy.deepcopy(config)
    validate(config)
    assert config == once
    config["recipes"]["opn"]["optimiser"]["batch"] = 7
    validate(config)
    assert config["recipes"]["opn.changed"]["optimiser"]["batch"] == 7


def test_later_folders_refine_earlier_ones(tmp_path):
    first, second = (tmp_path / name for name in ("a", "b"))
    for folder, content in (
        (first, {"label": "one", "objective": {"temperature": 0.5, "bank_momentum": 0.25}}),
        (second, {"label": "two", "objective": {"temperature": 0.75}}),
    ):
        folder.mkdir()
        (folder / "x.yaml").write_text(yaml.safe_dump({"recipes": {"vie_slow": content}}))
    (second / "y_2.yaml").write_text("recipes: {vie_slow: {optimiser: {lr: 1}}}")
    (second / "y_10.yaml").write_text("recipes: {vie_slow: {optimiser: {lr: 2}}}")
    config = raw() | {"ablations": [str(first), str(second)]}
    validate(config)
    own = config["recipes"]["vie_slow.x"]
    assert own["label"] == config["evaluations"]["vie_slow.x"]["label"] == "two"
    assert (own["objective"]["temperature"], own["objective"]["bank_momentum"]) == (0.75, 0.25)
    names = [name for name in config["recipes"] if "." in name]
    assert names == ["vie_slow.x", "vie_slow.y_2", "vie_slow.y_10"]
    assert config["recipes"]["vie_slow.y_10"]["label"] == "y_10"  # the file has none


def test_an_evaluation_may_come_along(tmp_path):
    changed = {"recipes": {"opn": {"label": "other"}}}
    changed["evaluations"] = {"opn": {"clip": "slow"}}
    config = with_file(tmp_path, changed)
    row = config["evaluations"]["opn.changed"]
    assert row == config["evaluations"]["opn"] | {
        "label": "other",
        "recipe": "opn.changed",
        "clip": "slow",
    }


def test_it_is_not_begun_first_and_weights_from_a_file_have_none(tmp_path):
    config = with_file(tmp_path, {"recipes": {"vie_slowfast": {"optimiser": {"lr": 1}}}})
    assert config["recipes"]["vie_slowfast"]["start_first"]
    assert not config["recipes"]["vie_slowfast.changed"]["start_first"]
    config["recipes"]["vie_slowfast"]["weights"] = "network.safetensors"
    validate(config)
    assert without_ablations(config["recipes"]) == config["recipes"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"recipes": {"vie_single": {"objctive": {}}}}, "recipes.vie_single: unknown key objctive"),
        (
            {"recipes": {"vie_single": {"geometry": {"size": 200}}}},
            r"recipes.vie_single.geometry.train_shorter_side: \[73, 91\] must rise",
        ),
        ({"recipes": {"vie_singel": {}}}, "changes recipe 'vie_singel', which the config lacks"),
        ({"recipes": {"vie_single": {}, "opn": {}}}, "an ablation changes one recipe"),
        ({"recipes": {"vie_single": {}}, "seeds": [1]}, "an ablation changes one recipe"),
        ({"recipes": {"vie_single": {}}, "evaluations": {"opn": {}}}, "changes one recipe"),
        ({"recipes": {"vie_single": [3]}}, r"recipes.vie_single: \[3\] is no mapping"),
        ({"recipes": {"vie_single": {"instances": {"share": 1.5}}}}, "instances.share: 1.5"),
        ({"recipes": {"vie_single": {"instances": {"frames": 1}}}}, "instances.frames: 1 is not"),
        ({"recipes": {"vie_single": {"instances": {}}}}, "give share, frames, or both"),
        ([1], "an overlay is a mapping"),
    ],
)
def test_an_error_names_file_and_key(tmp_path, content, said):
    with pytest.raises(VieError, match=rf"ablations: .*changed\.yaml: .*{said}"):
        with_file(tmp_path, content)


def test_labels_of_rows_differ(tmp_path):
    content = {"recipes": {"vie_single": {"label": "hot", "objective": {"temperature": 0.1}}}}
    with_file(tmp_path, content, "a")
    with pytest.raises(VieError, match=r"b\.yaml: recipes.vie_single.label: 'hot' is another"):
        with_file(tmp_path, content, "b")
    (tmp_path / "a.yaml").unlink()
    content["recipes"]["vie_single"]["label"] = "VIE-Slow"
    with pytest.raises(VieError, match="'VIE-Slow' is another row's"):
        with_file(tmp_path, content, "b")


def test_folders_and_files_that_are_none(tmp_path):
    for folder in ("nowhere", str(tmp_path)):
        with pytest.raises(VieError, match=r"no such folder with files \*.yaml"):
            validate(raw() | {"ablations": [folder]})
    with pytest.raises(VieError, match="letters, digits"):
        with_file(tmp_path, {}, "a{b}")
    (tmp_path / "a{b}.yaml").unlink()
    (tmp_path / "torn.yaml").write_text("recipes: {")
    with pytest.raises(VieError, match=r"torn\.yaml: cannot be read"):
        validate(raw() | {"ablations": [str(tmp_path)]})
    config = raw() | {"ablations": []}
    config["recipes"]["vie_single.x"] = config["recipes"]["vie_single"]
    with pytest.raises(VieError, match=r"vie_single\.x"):  # nobody else takes such a name
        validate(config)
