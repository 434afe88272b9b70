"""What an edit makes run again, on a finished experiment, and what it does not."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import SMOKE, finish
from vie.config.load import load_config

ROOT = Path(__file__).parents[2]

NOTHING = "Nothing to be done"
CURVES = {"learning_curves": 1, "publish_plots": 1}


def replace(file, old, new):
    """An edit of one place of a file."""

    def edit(folder):
        path = folder / file
        text = path.read_text()
        assert text.count(old) == 1, (file, text.count(old))
        path.write_text(text.replace(old, new))

    return edit


def append(file, text):
    """An edit that adds to a file, or makes it."""

    def edit(folder):
        path = folder / file
        path.write_text((path.read_text() if path.exists() else "") + text)

    return edit


def overlay(**settings):
    """Another config file on top."""

    def edit(folder):
        name = f"overlay_{len(list(folder.glob('overlay_*')))}.yaml"
        (folder / name).write_text(yaml.safe_dump(settings))
        return name

    return edit


def dry_run(snakemake, folder, *edits, target="all"):
    files = [*SMOKE, *filter(None, [edit(folder) for edit in edits])]
    return snakemake(folder, "-n", "-q", "rules", *files, "--", target)


def touch_everything(folder):
    """As a checkout does."""
    for part in ("vie", "workflow_scripts", "rules"):
        for path in (folder / part).rglob("*.*"):
            path.touch()


def edit_every_module(folder):
    """Whatever is reworded, renamed or annotated: nobody looks at the text of the code."""
    for path in (*(folder / "vie").rglob("*.py"), *(folder / "workflow_scripts").glob("*.py")):
        path.write_text(path.read_text() + "\n_REWORDED: str = 'in other words'\n")


def add_to_tables(folder):
    """An objective, a layout, and a version of the objective's own."""
    for file, line in (
        ("config/recipes.py", 'STAGES = (*STAGES, "mine")'),
        ("datasets/layouts/__init__.py", 'LAYOUTS["mine"] = LAYOUTS["folders"]'),
        ("workflow/versions.py", 'VERSIONS["pretrain.mine"] = Version(3, "a new loss")'),
    ):
        append(f"vie/{file}", f"\n{line}\n")(folder)


def reversed_keys(value):
    """The same, keys in the opposite order."""
    if not isinstance(value, dict):
        return value
    return {key: reversed_keys(value[key]) for key in reversed(list(value))}


def an_equal_overlay(folder):
    """All of the config, its keys in the opposite order."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    overlay = yaml.safe_load((folder / "experiments" / "smoke.yaml").read_text())
    for whole, name in ((config, "equal.yaml"), (overlay, "overlay.yaml")):
        (folder / name).write_text(yaml.safe_dump(reversed_keys(whole), sort_keys=False))
    # What smoke.yaml says must win over what config.yaml says.
    (folder / "experiments" / "smoke.yaml").write_text((folder / "equal.yaml").read_text())
    return "overlay.yaml"


def another_recipe(folder):
    """A whole recipe that no table names, and an evaluation of it."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    recipe = config["recipes"]["vie_single"] | {"label": "Another"}
    return overlay(recipes={"another": recipe})(folder)


def another_dataset(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    return overlay(datasets={"another": config["datasets"]["embedded"]})(folder)


TARGET = next(iter(load_config(ROOT / "config.yaml", ROOT / SMOKE[-1])["finetuning"]["targets"]))
DROPS = {"duration": "1 epochs", "lr_drops": []}
VIE_SINGLE = {"schedule": {"local_aggregation": "1 epochs", "instance_recognition": "3 epochs"}}
HARMLESS = {
    "code": [edit_every_module, add_to_tables, touch_everything],
    "config": [
        an_equal_overlay,
        another_recipe,
        another_dataset,
        # The order of keys, and whole numbers.
        overlay(recipes={"vie_slow": {"start_first": False}, "vie_single": VIE_SINGLE}),
        overlay(recipes={"vie_single": {"optimiser": {"momentum": 0.9, "batch": 16}}}),
        overlay(recipes={"vie_single": {"monitor": {"every": "1 epochs", "clips": 2}}}),
        overlay(report_to=["tensorboard", "wandb"]),
        overlay(threads={"pretrain": 3, "probe": 2}),
        overlay(recipes={"vie_trn": {"start_first": True}}),
        # Drops of finetuning that no row has.
        overlay(
            finetuning={"trained": {"schedule": "release"}},
            evaluations={"scratch_single": {"finetuning": {"release": [DROPS]}}},
        ),
    ],
}


@pytest.mark.parametrize("edits", HARMLESS.values(), ids=HARMLESS)
def test_harmless_edits_run_nothing(moved, snakemake, edits):
    assert NOTHING in dry_run(snakemake, moved, *edits)


def version_up(kind):
    """An edit of one line of the table of versions."""
    source = (ROOT / "vie/workflow/versions.py").read_text()
    number = int(re.search(rf'"{kind}": Version\(\s*(\d+),', source)[1])
    [line] = re.findall(rf'"{kind}": Version\(\s*{number},', source)
    return replace("vie/workflow/versions.py", line, line.replace(f"{number},", f"{number + 1},"))


HARMFUL = {
    "probe": (
        version_up("probe"),
        {"probe": 15, "random_control": 1, "table_s1": 1, "table_1": 1}
        | {"image_probe": 2, "table_1_imagenet": 1, "published": 1, "ablations": 1},
    ),
    "finetune": (
        version_up("finetune"),
        {"finetune": 12, "finetuning_table": 2, "finetuning_classes": 4},
    ),
    # Three rows on two more splits in both tables; the first split's results stay.
    "all splits": (
        overlay(finetuning={"targets": {TARGET: {"split": "all"}}}),
        {"split_assignment": 2, "finetune": 12, "finetuning_table": 2, "finetuning_classes": 2},
    ),
    # One network of table 1 and none of tables 2 and 3.
    "supervised": (
        version_up("pretrain.supervised"),
        {"pretrain": 1, "probe": 1, "table_1": 1, "learning_curves": 1},
    ),
    # Clusters of single, TRN and SlowFast, and of one ablation: the second stage, nothing before.
    "clusters": (
        replace("experiments/smoke.yaml", "clusters: 8", "clusters: 9"),
        {"pretrain": 4, "probe": 8, "finetune": 8, "table_s1": 1, "table_1": 1}
        | {"image_probe": 1, "table_1_imagenet": 1, "published": 1, "ablations": 1}
        | {"learning_curves": 1, "finetuning_table": 2, "finetuning_classes": 4}
        | {"features": 6, "retrieval": 1},
    ),
    # Its second stage: the first is the full model's.
    "an ablation": (
        replace("experiments/ablations/smoke/clusters_4.yaml", "clusters: 4}", "clusters: 5}"),
        {"pretrain": 1, "probe": 1, "ablations": 1},
    ),
    # One recipe's temperature: its two stages, its evaluation and the one beside VIE-Single.
    "temperature": (
        overlay(recipes={"vie_slowfast": {"objective": {"temperature": 0.08}}}),
        {"pretrain": 2, "probe": 2, "finetune": 4, "table_1": 1}
        | {"image_probe": 1, "table_1_imagenet": 1}
        | {"learning_curves": 1, "finetuning_table": 2, "finetuning_classes": 4}
        | {"features": 3, "retrieval": 1},
    ),
    "a label": (
        overlay(
            evaluations={"trn_input_single": {"label": "Slow-Input-Single"}}
            | {"slow_input_single": {"label": "TRN-Input-Single"}}
        ),
        {"table_s1": 1, "random_control": 1, "published": 1},
    ),
    "published values": (
        append("vie/reporting/published/other.csv", "\n"),
        {
            "table_s1": 1,
            "random_control": 1,
            "table_1": 1,
            "table_1_imagenet": 1,
            "pretext_table": 1,
            "finetuning_table": 2,
        },
    ),
    "JPEG quality": (
        overlay(datasets={"smoke_stand_in_hmdb51": {"frames": {"quality": 4}}}),
        {"frames": 1, "index": 1, "summary": 1, "finetune": 6}
        | {"finetuning_table": 2, "finetuning_classes": 2, "features": 3, "retrieval": 1},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("edit", "expected"), HARMFUL.values(), ids=HARMFUL)
def test_another_edit_runs_what_depends_on_it(moved, snakemake, planned, edit, expected):
    jobs = planned(dry_run(snakemake, moved, edit))
    copies = {"all", "publish", "publish_plots", "publish_classes"}
    assert {rule: n for rule, n in jobs.items() if rule not in copies} == expected


def test_newer_validation_videos_are_no_reason_to_train(moved, snakemake, planned):
    edit = overlay(datasets={"smoke": {"shards": {"val": 2}}})
    jobs = planned(dry_run(snakemake, moved, edit))
    assert jobs["frames"] == 2
    assert jobs["probe"] == 15
    assert not {"pretrain", "untrained"} & set(jobs)


def test_a_moved_clone_runs_nothing(moved, finished, snakemake):
    assert moved != finished
    assert NOTHING in snakemake(moved, "-n", "-q", "rules", *SMOKE, "--", "all")


@pytest.mark.slow
def test_experiments_lie_side_by_side(moved, snakemake, planned):
    """results/table_s1.csv is the named one's, each time; nothing else runs, frames are shared."""
    other = (*SMOKE, "--config", "experiment=other", "--")
    target = "results/table_s1.csv"
    jobs = planned(snakemake(moved, "-n", "-q", "rules", *other, target))
    expected = {"pretrain": 2, "probe": 6, "table_s1": 1, "publish": 1}
    assert jobs == expected | {"untrained": 1, "random_control": 1}
    finish(moved, *other, target)
    for name in ("smoke", "other"):
        for suffix in (".csv", "_seeds.csv", ".svg", ".png"):
            path = moved / "results" / name / f"table_s1{suffix}"
            stat = path.stat()
            path.write_text(f"{name}{suffix}\n")
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    for name, arguments in (("smoke", (*SMOKE, "--")), ("other", other), ("smoke", (*SMOKE, "--"))):
        output = snakemake(moved, *arguments, target)
        assert set(re.findall(r"^(?:local)?rule (\w+):", output, re.M)) <= {"publish"}
        assert (moved / target).read_text() == f"{name}.csv\n"
        assert (moved / "results" / "table_s1.svg").read_text() == f"{name}.svg\n"
        assert NOTHING in snakemake(moved, "-n", *arguments, target)


def test_status_says_what_is_made_by_other_settings_and_code(moved, snakemake):
    log = moved / "logs" / "smoke" / "probe" / "vie_trn" / "trained" / "seed0.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("INFO: code 0123456789ab of /elsewhere\n")
    benchmark = "benchmarks/runs/smoke/pretrain/vie_slowfast/seed0/instance_recognition.tsv"
    (moved / benchmark).parent.mkdir(parents=True, exist_ok=True)
    (moved / benchmark).write_text("s\th:m:s\n61.5\t0:01:01\n")
    more = overlay(recipes={"vie_slowfast": {"objective": {"temperature": 0.08}}})(moved)
    version_up("finetune")(moved)
    output = snakemake(moved, *SMOKE, more, "--", "status")
    assert re.search(
        r"^settings +62 s  results/smoke/pretrain/vie_slowfast/seed0/instance_recognition.pt  "
        r"objective.temperature: 0.2 -> 0.08$",
        output,
        re.M,
    )
    assert re.search(
        r"^version +\? s  results/smoke/finetune/.*finetune \d+ -> finetune \d+$", output, re.M
    )
    found = (moved / "results" / "smoke" / "status.csv").read_text()
    assert re.search(
        r"probe/vie_trn/trained/seed0/predictions.parquet,code,0123456789ab -> ", found
    )
    assert "1 were made by other code and stay" in output
    assert "results/smoke/pretrain/vie_single" not in found


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("train/frames/1-of-2.tar", "frames"),
        ("train/index.sizes.npy", "index"),
        ("val/index.sizes.npy", "index"),
    ],
)
def test_a_dry_run_sees_what_is_gone_and_needed(moved, snakemake, planned, file, rule):
    target = "results/smoke/pretrain/opn/seed0/order_prediction.pt"
    for path in (target, f"resources/smoke/{file}"):
        (moved / path).unlink()
    jobs = planned(snakemake(moved, "-n", *SMOKE, "--", target))
    assert {rule, "pretrain"} <= set(jobs)
