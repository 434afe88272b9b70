"""Settings against the number of videos: each sentence, and when it is said."""

import contextlib
import copy as copying
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import yaml

from vie.config.load import load_config
from vie.datasets.facts import expected
from vie.datasets.video import Video
from vie.frames.extract import write_rejected
from vie.frames.ffmpeg import ffmpeg_executable
from vie.frames.manifest import class_names, write_manifest
from vie.runtime.errors import VieError
from vie.workflow import sizes
from vie.workflow.generated import check_generated
from vie.workflow.instances import count_instances
from vie.workflow.videos import most_videos

ROOT = Path(__file__).parents[2]
IR = "instance_recognition"
DEMO = load_config(ROOT / "config.yaml")
TARGET = next(iter(DEMO["finetuning"]["targets"]))
Rule, Wildcards = (
    namedtuple("Rule", "name"),
    namedtuple("Wildcards", "recipe evaluation target weights"),
)
Job = namedtuple("Job", "rule wildcards")


def config(**recipe):
    """The demo's, with other settings of VIE-Single; `objective` and the like are merged."""
    found = copying.deepcopy(DEMO)
    for key, value in recipe.items():
        found["recipes"]["vie_single"][key] |= value
    return found


def some(videos):
    return lambda frames, instances=None: count_instances(instances, videos, 71)


def job(rule, recipe="", target="", weights=""):
    return Job(Rule(rule), Wildcards(recipe, recipe, target, weights))


@pytest.fixture(autouse=True)
def no_plan(monkeypatch):
    monkeypatch.delenv(sizes.PLANNED, raising=False)


NCE = {"instance_recognition": {"estimator": "nce_paper", "negatives": 481}}


@pytest.mark.parametrize(
    ("changed", "videos", "said"),
    [
        ({}, 64, []),
        ({}, 63, ["objective.local_aggregation.neighbours: 64 is more than the 63 videos"]),
        ({"optimiser": {"batch": 481}}, 480, ["optimiser.batch: 481 is more than the 480 videos"]),
        ({"optimiser": {"batch": 480}}, 480, []),
        ({"monitor": {"neighbours": 481}}, 480, ["monitor.neighbours: 481 is more than the 480"]),
        (
            {"objective": NCE | {"local_aggregation": {"clusters": 481, "neighbours": 9}}},
            480,
            [
                "objective.instance_recognition.negatives: 481 of nce_paper is more than the 480 "
                "videos: set estimator to softmax",
                "objective.local_aggregation.clusters: 481 is more than the 480 videos: choose 1 "
                "to 480, or use more videos",
            ],
        ),
        ({"objective": NCE}, 481, []),
        ({"min_frames": 1}, 0, ["optimiser.batch: 32 is more than the 0 videos: use more"]),
    ],
)
def test_every_setting_that_does_not_fit_is_named(changed, videos, said):
    found = config()
    own = found["recipes"]["vie_single"]
    for key, value in changed.items():
        own[key] = own[key] | value if isinstance(value, dict) else value
    problems = sizes.problems(found, ["vie_single"], some(videos))
    if videos:
        assert len(problems) == len(said)
    for text, start in zip(problems, said, strict=False):
        assert text.startswith(f"recipes.vie_single.{start}")


def test_videos_that_are_too_short_for_a_recipe_are_not_counted():
    """OPN's 46 frames: its batch of 32 needs as many videos of them."""
    counts = np.array([60] * 31 + [20] * 449)
    problems = sizes.problems(DEMO, ["opn"], lambda frames: int((counts >= frames).sum()))
    assert problems == [
        "recipes.opn.optimiser.batch: 32 is more than the 31 videos of 46 frames or more: choose 1 "
        "to 31, or use more videos"
    ]


def test_probes_are_looked_at_where_they_run():
    fitting = config(
        optimiser={"batch": 4},
        monitor={"neighbours": 2},
        objective={
            "local_aggregation": DEMO["recipes"]["vie_single"]["objective"]["local_aggregation"]
            | {"clusters": 4, "neighbours": 4}
        },
    )
    assert not sizes.problems(fitting, ["vie_single"], some(9))
    batch, neighbours = sizes.problems(fitting, ["vie_single"], some(9), probes=True)
    assert batch.startswith("probe.optimiser.batch: 32 is more than the 9 videos")
    assert "10 nearest neighbours are more than 9 videos" in neighbours


def test_finetuning_needs_a_batch_and_a_validation_within_its_time():
    both = [("vie_single", "trained"), ("vie_trn", "trained"), ("scratch_single", "untrained")]
    assert sizes.finetuning_problems(DEMO, TARGET, both, 16) == []
    found = sizes.finetuning_problems(DEMO, TARGET, both, 15)
    keys = [f"finetuning.{one}.batch" for one in ("trained", "untrained")]
    assert [text.split(":")[0] for text in found] == keys
    rarely = copying.deepcopy(DEMO)
    rarely["finetuning"]["schedule"] |= {"every": "30 steps"}  # 20 in 10 epochs of 2
    (found,) = sizes.finetuning_problems(rarely, TARGET, both[:1], 32)
    assert "30 steps are 30 steps" in found
    assert "(10 epochs) are 20" in found
    assert sizes.finetuning_problems(rarely, TARGET, both[:1], 48) == []


def test_a_row_of_finetuning_has_its_own_batch_and_length():
    own = copying.deepcopy(DEMO)
    own["evaluations"]["vie_single"]["finetuning"] = {
        "batch": 40,
        "release": [{"target": TARGET, "duration": "2 steps", "lr_drops": []}],
    }
    rows = [("vie_single", "trained"), ("vie_trn", "trained")]
    (found,) = sizes.finetuning_problems(own, TARGET, rows, 39)
    assert found.startswith("evaluations.vie_single.finetuning.batch: 40 is more than the 39")
    assert sizes.finetuning_problems(own, TARGET, rows, 120) == []
    own["finetuning"]["trained"]["schedule"] = "release"
    (found,) = sizes.finetuning_problems(own, TARGET, rows, 120)
    assert "1 epochs are 3 steps" in found
    assert "duration (2 steps) are 2" in found
    assert sizes.finetuning_problems(own, "another", rows, 120) == []


def test_all_splits_of_a_target_are_looked_at(monkeypatch):
    config = copying.deepcopy(DEMO)
    config["finetuning"]["targets"][TARGET]["split"] = "all"
    jobs = [job("finetune", "vie_single", f"{TARGET}_split3", "trained")]
    monkeypatch.setenv(sizes.PLANNED, sizes.planned(jobs))
    dataset = config["finetuning"]["targets"][TARGET]["dataset"]
    for number in (1, 2):
        sizes.check_target(config, dataset, number, 15)
    with pytest.raises(VieError, match=r"split 3 of .* trains on 15 at most"):
        sizes.check_target(config, dataset, 3, 15)


OWN = """
from vie.objectives.base import Objective
from vie.objectives.table import Facts

class Own(Objective):
    facts = Facts(problems=lambda settings, videos: [f"queue: {settings['queue']} of {videos}"])
"""


def test_an_objective_of_the_users_says_what_fits(tmp_path, monkeypatch):
    (tmp_path / "own_objective_of_sizes.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    found = config()
    found["recipes"]["vie_single"] |= {
        "schedule": {"own": "1 epochs", "lr_drops": []},
        "classes": {"own": "own_objective_of_sizes:Own"},
        "objective": {"own": {"queue": 9}},
    }
    assert sizes.problems(found, ["vie_single"], some(40)) == [
        "recipes.vie_single.objective.own.queue: 9 of 40"
    ]


def test_the_graph_names_all_of_a_chain_and_the_others():
    found = config(optimiser={"batch": 500})
    found["recipes"]["vie_trn"]["monitor"]["neighbours"] = 600
    found["recipes"]["rotnet"]["optimiser"]["batch"] = 700
    sizes.check_graph(found, "vie_slow", (480, "a list"))
    with pytest.raises(VieError) as raised:
        sizes.check_graph(found, "vie_trn", (480, "a list"))
    said = str(raised.value).splitlines()
    assert said[0] == "settings do not fit the number of videos (a list):"
    assert [line.split(":")[0] for line in said[1:-2]] == [
        "  - recipes.vie_single.optimiser.batch",
        "  - recipes.vie_trn.monitor.neighbours",
    ]
    assert said[-2] == "Other recipes of the config do not fit either: rotnet."
    assert "results/demo/advice.yaml" in said[-1]


def test_the_monitor_s_neighbours_do_not_count_without_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = config(monitor={"neighbours": 999})
    found["datasets"]["mine"] = {"layout": "flat"}
    found["dataset"] = "mine"
    for label, columns in (("", "path\na.mp4\n"), ("eat", "path,label\na.mp4,eat\n")):
        path = tmp_path / f"{label or 'none'}.csv"
        path.write_text(columns)
        found["datasets"]["mine"]["videos"] = str(path)
        for check in (
            lambda: sizes.check_graph(found, "vie_single", (480, "a list")),
            lambda: sizes.check_index(found, "mine", "train", np.full(480, 60), "vie_single"),
        ):
            with (
                pytest.raises(VieError, match=r"vie_single\.monitor\.neighbours: 999 is more")
                if label
                else contextlib.nullcontext()
            ):
                check()


def test_too_few_images_are_noticed_when_they_are_indexed(monkeypatch):
    few, images = np.ones(9, int), DEMO["image_probe"]["dataset"]
    sizes.check_index(DEMO, images, "train", few)  # nobody probes them
    monkeypatch.setenv(sizes.PLANNED, sizes.planned([job("image_probe")]))
    sizes.check_index(DEMO, images, "val", few)
    sizes.check_index(DEMO, images, "train", np.ones(100, int))
    with pytest.raises(
        VieError, match=r"image_probe\.optimiser\.batch: 32 is more .* 9 images"
    ) as e:
        sizes.check_index(DEMO, images, "train", few)
    assert "10 nearest neighbours are more than 9 images" in str(e.value)


def test_jobs_look_at_all_that_the_run_will_train(monkeypatch):
    """The index knows that 40 of 480 videos are usable: local aggregation's 64 neighbours."""
    counts = np.full(40, 60)
    sizes.check_index(DEMO, "embedded", "train", counts)  # a job by itself, without a plan
    with pytest.raises(VieError, match="index has 40 usable") as raised:
        sizes.check_index(DEMO, "embedded", "train", counts, "vie_trn")
    assert "vie_slow" not in str(raised.value)
    jobs = [job("pretrain_early", "vie_slowfast"), job("pretrain", "vie_trn"), job("probe")]
    jobs += [job("finetune", "vie_single", TARGET, "trained"), job("frames")]
    monkeypatch.setenv(sizes.PLANNED, sizes.planned(jobs))
    assert sizes.read_planned() == (
        ["vie_slowfast", "vie_trn"],
        True,
        {TARGET: [["vie_single", "trained"]]},
        False,
    )
    with pytest.raises(VieError) as raised:
        sizes.check_index(DEMO, "embedded", "train", counts)
    named = {line.split(".")[1] for line in str(raised.value).splitlines() if "recipes." in line}
    assert named == {"vie_slowfast", "vie_single", "vie_trn"}
    sizes.check_index(DEMO, "embedded", "val", counts)
    sizes.check_index(DEMO, "stand_in_ucf101", "all", counts)
    sizes.check_target(DEMO, "stand_in_ucf101", 1, 16)
    sizes.check_target(DEMO, "stand_in_hmdb51", 1, 15)
    with pytest.raises(VieError, match=r"finetuning\.trained\.batch: 16 is more than the 15"):
        sizes.check_target(DEMO, "stand_in_ucf101", 1, 15)


def test_at_most_the_videos_that_are_there_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"layout": "folders", "videos": "mine", "shards": {"train": 1, "val": 1}}
    found = {"datasets": {"own": own, "embedded": DEMO["datasets"]["embedded"]}}
    assert most_videos(found, "own", "train") is None
    assert most_videos(found, "embedded", "train")[0] == 480
    folder = tmp_path / "mine" / "train" / "eat"
    folder.mkdir(parents=True)
    for i in range(6):
        (folder / f"{i}.mp4").touch()
    assert most_videos(found, "own", "train") == (6, "own has 6 in train")
    videos = [Video(f"eat/{i}", f"train/eat/{i}.mp4", "eat") for i in range(6)]
    made = tmp_path / "resources" / "own" / "train"
    made.mkdir(parents=True)
    write_manifest(videos, class_names(videos), made / "manifest.parquet")
    reasons = ["truncated: 9 bytes of 10", "too long: more than 30 s", "missing file"]
    rows = [
        {"video": one.video, "path": one.path, "label": one.label, "reason": reason}
        for one, reason in zip(videos, reasons, strict=False)
    ]
    (made / "frames").mkdir()
    write_rejected(rows, made / "frames" / "0-of-1.rejected.csv")
    # One cannot be read. Another setting, or the file, would admit the other two.
    assert most_videos(found, "own", "train")[0] == 5
    (folder / "6.mp4").touch()  # the manifest and the index will be made again
    assert most_videos(found, "own", "train")[0] == 7
    (tmp_path / "mine").rename(tmp_path / "elsewhere")  # frames are enough
    assert most_videos(found, "own", "train")[0] == 5


def own_videos(copy, folder, count):
    """An overlay for a folder of `count` empty files, all in one class."""
    for split, files in (("train", count), ("val", 2)):
        (folder / split / "all").mkdir(parents=True)
        for i in range(files):
            (folder / split / "all" / f"{i}.mp4").touch()
    overlay = {"experiment": "own", "dataset": "own", "datasets": {"own": {}}}
    overlay["datasets"]["own"] = {"layout": "folders", "videos": str(folder), "min_frames": 3}
    overlay["datasets"]["own"]["shards"] = {"train": 1, "val": 1}
    (copy / "own.yaml").write_text(yaml.safe_dump(overlay))
    return "--cores", "2", "--configfile", "own.yaml", "--"


def test_a_dry_run_refuses_what_cannot_fit(copy, tmp_path, snakemake):
    arguments = own_videos(copy, tmp_path, 20)
    last = "results/own/pretrain/vie_trn/seed0/local_aggregation.pt"
    output = snakemake(copy, "-n", *arguments, last, fails=True)
    for text in (
        "own has 20 in train",
        "recipes.vie_single.optimiser.batch: 32 is more than the 20 videos",
        "recipes.vie_single.objective.local_aggregation.clusters: 40",
        "recipes.vie_trn.objective.local_aggregation.neighbours: 64",
        "Other recipes of the config do not fit either: vie_3dresnet, vie_slow,",
    ):
        assert text in output
    snakemake(copy, "-n", *arguments, "resources/own/train/index.parquet")


@pytest.mark.slow
def test_the_index_job_refuses_all_that_will_be_trained(copy, tmp_path, snakemake):
    """70 files fit as far as names tell; 50 of them are empty."""
    arguments = own_videos(copy, tmp_path / "own", 70)
    good = tmp_path / "good.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=25:duration=1", str(good)]
    subprocess.run([ffmpeg_executable(), "-v", "error", *source], check=True)
    for path in [*(tmp_path / "own").glob("train/all/1?.mp4"), *tmp_path.glob("own/*/all/?.mp4")]:
        shutil.copy(good, path)
    targets = [f"results/own/pretrain/{name}/seed0/{IR}.pt" for name in ("vie_slow", "rotnet")]
    targets[1] = targets[1].replace(IR, "rotation")
    planned = snakemake(copy, "-n", *arguments, *targets)
    assert "pretrain" in planned
    output = snakemake(copy, *arguments, *targets, fails=True)
    log = (copy / "logs" / "resources" / "own" / "index_train.log").read_text()
    assert "the index has 20 usable ones" in log
    assert "recipes.vie_slow.optimiser.batch: 32 is more than the 20 videos" in log
    assert "recipes.vie_slow.objective.local_aggregation.clusters: 40 is more than the 20" in log
    assert "recipes.rotnet.optimiser.batch: 32" in log
    assert "recipes.opn" not in log
    assert not (copy / "results" / "own").exists(), output
    # Once that is known, the next dry run knows it too.
    assert "of which 50 cannot be used" in snakemake(copy, "-n", *arguments, *targets, fails=True)


@pytest.mark.parametrize("overlay", [None, "smoke", "kinetics400"])
def test_the_configs_that_come_along_fit_their_datasets(overlay):
    overlays = [ROOT / "experiments" / f"{overlay}.yaml"] if overlay else []
    found = load_config(ROOT / "config.yaml", *overlays)
    videos = expected(found["datasets"][found["dataset"]], "train").videos
    assert sizes.problems(found, found["recipes"], some(videos), probes=True) == []


def test_the_graph_refuses_probes_and_finetuning_too_and_names_the_rest():
    """The number of videos is known before any of them is written."""
    found = config(optimiser={"batch": 481})
    found["probe"]["optimiser"]["batch"] = 481
    found["image_probe"]["optimiser"]["batch"] = 841
    found["finetuning"]["trained"]["batch"] = 241
    most, images, row = (480, "a list"), (840, "another"), ("vie_trn", "trained")
    with pytest.raises(VieError) as raised:
        sizes.check_probes(found, "probe", most, most)
    own, *rest = str(raised.value).splitlines()[1:]
    assert own.startswith("  - probe.optimiser.batch: 481 is more than the 480 videos")
    said = "\n".join(rest)
    assert "Other recipes of the config do not fit either: vie_single." in said
    assert "finetuning.trained.batch: 241 is more than the 240 training videos of target" in said
    with pytest.raises(VieError, match=r"image_probe\.optimiser\.batch: 841 .* 840 images"):
        sizes.check_probes(found, "image_probe", images, None)
    with pytest.raises(VieError, match=r"finetuning\.trained\.batch: 241 .* 240 training videos"):
        sizes.check_row(found, TARGET, row, most)
    sizes.check_row(found, TARGET, ("scratch_trn", "untrained"), most)
    for check in (
        lambda: sizes.check_probes(found, "probe", most, most, ["vie_trn"]),
        lambda: sizes.check_row(found, TARGET, row, most, ["vie_trn"]),
        lambda: sizes.check_probes(found, "image_probe", None, most, ["vie_trn"]),
    ):
        with pytest.raises(VieError, match=r"  - recipes\.vie_single\.optimiser\.batch: 481"):
            check()
    sizes.check_probes(found, "probe", None, None)
    for key in ("probe", "image_probe"):
        sizes.check_probes(DEMO, key, (480, "a list"), most)


def test_the_graph_is_checked_where_no_list_says_how_many_videos_there_are():
    found = config()
    found["recipes"]["vie_trn"]["encoder"]["embedding"] = 32
    found["recipes"]["vie_trn"]["schedule"]["lr_drops"] = ["99 epochs"]
    sizes.check_graph(found, "vie_single", None)
    with pytest.raises(VieError, match=r"embedding: 32 is not the 64(.|\n)*training ends at 74"):
        sizes.check_graph(found, "vie_trn", None)


@pytest.mark.parametrize(
    ("key", "schedule", "batch"),
    [
        ("probe", {"duration": "70 steps", "lr_drops": ["5 epochs"]}, 32),  # 75 steps
        ("image_probe", {"duration": "70 steps", "lr_drops": ["5 epochs"]}, 32),
    ],
)
def test_drops_after_the_end_of_classifiers_are_counted_in_steps(key, schedule, batch):
    found = copying.deepcopy(DEMO)
    found[key]["schedule"] = schedule
    (text,) = sizes.probe_problems(found, key, 15 * batch)
    assert text.startswith(f"{key}.schedule.lr_drops: 5 epochs: training ends at step 70")
    assert sizes.probe_problems(found, key, 13 * batch) == []
    found = copying.deepcopy(DEMO)
    found["evaluations"]["vie_single"] |= {"schedule": schedule, "image_probe": {}}
    found["evaluations"]["vie_single"]["image_probe"] = {"schedule": schedule}
    (text,) = sizes.probe_problems(found, key, 15 * batch)
    assert text.startswith("evaluations.vie_single.")


def test_drops_of_the_release_are_within_its_steps():
    found = copying.deepcopy(DEMO)
    found["finetuning"]["trained"]["schedule"] = "release"
    one = {"duration": "2 epochs", "lr_drops": ["39 steps"]}
    found["evaluations"]["vie_single"]["finetuning"] = {"release": [one]}
    rows = [("vie_single", "trained")]
    assert sizes.finetuning_problems(found, TARGET, rows, 320) == []  # 20 steps in an epoch
    (text,) = sizes.finetuning_problems(found, TARGET, rows, 304)
    assert "39 steps: training ends at step 38" in text


def test_videos_that_are_shorter_than_a_recipe_asks_are_none():
    """The embedded videos have 80 frames at most."""
    for least, fits in ((80, True), (90, False)):
        found = copying.deepcopy(DEMO)
        found["recipes"]["vie_single"]["min_frames"] = least
        with contextlib.nullcontext() if fits else pytest.raises(VieError, match="0 videos of 90"):
            sizes.check_graph(found, "vie_single", (480, "a list"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"min_frames": 80}, None),
        ({"min_frames": 90}, "min_frames: 90: the videos that are written have 82 frames at most"),
        ({"frames": {"fps": 0.1}}, "min_frames: 3: the videos that are written have 2"),
        (
            {"frames": {"max_seconds": 2}},
            "max_seconds: 2: the videos that are written play 2.48 to",
        ),
    ],
)
def test_videos_that_are_written_can_be_used(changed, said):
    found = copying.deepcopy(DEMO)
    dataset = found["datasets"]["embedded"]
    dataset |= changed | {"frames": dataset["frames"] | changed.get("frames", {})}
    with pytest.raises(VieError, match=said) if said else contextlib.nullcontext():
        check_generated(found)


def test_the_videos_of_a_split_are_as_many_as_are_written():
    """`training_videos` counts what the lists of the embedded datasets say."""
    from vie.datasets.facts import training_videos

    small = {"train_groups": 3, "test_groups": 2, "clips_per_group": 2, "dataset_seed": 0}
    assert training_videos({"layout": "ucf101", "generator": small}) == 10 * 3 * 2
    assert training_videos({"layout": "ucf101", "official_name": "ucf101"}) == 9537
    assert training_videos({"layout": "folders", "videos": "v"}) is None
