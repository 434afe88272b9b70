"""Fixtures and switches shared by all tests."""

import functools
import io
import os
import random
import shutil
import signal
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from vie.runtime.threads import DRIVER

ROOT = Path(__file__).parents[1]
PARTS = ("Snakefile", "config.yaml", "rules", "workflow_scripts", "envs", "profiles", "schemas")
PARTS += ("report", "vie", "experiments", "workflow")
# The same few examples in every run, however slow the machine.
hypothesis.settings.register_profile(
    "vie", deadline=None, derandomize=True, max_examples=60, database=None
)
hypothesis.settings.load_profile("vie")
# torch looks at it at the first product on a GPU, which may be a test's own.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
GPU = DRIVER.exists() or Path("/dev/nvidiactl").exists() or "VIE_EXPECT_GPU" in os.environ
if not GPU:  # kernels run as Python; read when Triton is imported
    os.environ.setdefault("TRITON_INTERPRET", "1")


def pytest_xdist_auto_num_workers(config):
    """Quick tests run in a process for each core. The others share runs of the workflow, or need
    the machine or its GPU for themselves."""
    alone = any(map(config.getoption, ("runslow", "runslurm", "campaigns", "record")))
    return 0 if alone or os.environ.get("VIE_EXPECT_GPU") else None


def pytest_addoption(parser):
    parser.addoption("--runslow", action="store_true", help="also run tests marked slow")
    parser.addoption("--record", action="store_true", help="write golden numbers of new versions")
    parser.addoption(
        "--runslurm", action="store_true", help="also run tests marked slurm (as root)"
    )
    parser.addoption("--campaigns", choices=("short", "long"), help="also run campaigns, this long")
    parser.addoption("--campaign-seed", type=int, default=0, help="seed of their cases")
    parser.addoption("--campaign-case", type=int, help="run this case alone")
    parser.addoption("--campaign-report", help="folder for what each campaign found, as JSON")


def pytest_collection_modifyitems(config, items):
    switches = {"slow": "--runslow", "slurm": "--runslurm", "campaign": "--campaigns"}
    for marker, switch in switches.items():
        if not config.getoption(switch):
            for item in items:
                if item.get_closest_marker(marker):
                    item.add_marker(pytest.mark.skip(reason=f"{marker}; run with {switch}"))


def pytest_sessionstart():
    """Start CUDA before a test hides the GPUs: a process that first sees none never sees one."""
    if GPU:
        import torch

        if torch.cuda.is_available():
            torch.cuda.init()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Tests see no GPU, so that they are the same on every machine; those marked gpu do.

    These skip where there is none, or fail where the environment says that there is one.
    """
    for_gpu = item.get_closest_marker("gpu") is not None
    if GPU:
        show_gpus(for_gpu)
    if for_gpu:
        import torch

        if not torch.cuda.is_available():
            if os.environ.get("VIE_EXPECT_GPU") == "1":
                pytest.fail("VIE_EXPECT_GPU=1, but torch sees no GPU", pytrace=False)
            pytest.skip("no GPU")
    if item.get_closest_marker("interpreted") and os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("Triton's interpreter is for machines without a GPU")


@functools.cache
def gpus_at_first():
    """What tells of GPUs, as it was before the first test."""
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return torch.cuda.is_available, torch.cuda.device_count, visible


def show_gpus(shown):
    """Show this process and its children the GPUs, or hide them."""
    import torch

    available, count, visible = gpus_at_first()
    torch.cuda.is_available = available if shown else lambda: False
    torch.cuda.device_count = count if shown else lambda: 0
    os.environ.pop("VIE_GPUS", None)  # that a training in this process has taken
    if shown and visible is None:
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = visible if shown else ""


@pytest.fixture(autouse=True, scope="session")
def interruptible():
    """Workers of pytest-xdist ignore SIGINT, and so would the processes that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def children_find_vie():
    """Processes that tests start import this clone's `vie`, from any folder."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))
    yield
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


@pytest.fixture(autouse=True)
def keep_random_state():
    """Tests may not pass or fail because of the random numbers that another test consumed.

    torch's own first seed is another one in every process.
    """
    import torch

    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(states[0])
    np.random.set_state(states[1])
    random.setstate(states[2])


@pytest.fixture(scope="module")
def one_thread():
    """torch's, for networks so small that they only lose time with more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def root(monkeypatch):
    """The clone as the current folder, where `examples` are found."""
    monkeypatch.chdir(ROOT)
    return ROOT


@pytest.fixture(scope="session")
def copy_workflow():
    """Copies the workflow into a folder, and returns it."""

    def copied(folder):
        for part in PARTS:
            source = ROOT / part
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, folder / part, ignore=ignore, symlinks=True)
            else:
                shutil.copy(source, folder / part)
        return folder

    return copied


@pytest.fixture(scope="module")
def copy(copy_workflow, tmp_path_factory):
    """A copy of the workflow that tests may edit and run in."""
    return copy_workflow(tmp_path_factory.mktemp("workflow"))


def write_split(folder, split, videos, classes, frames=(18, 26), height=40, width=52):
    """An index of small JPEG videos: a bright square whose size and speed depend on the class."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    from vie.frames.extract import write_rejected
    from vie.frames.index import build_index
    from vie.frames.manifest import Video, class_names, write_classes, write_manifest
    from vie.frames.parquet import write_table
    from vie.frames.shards import TABLE_SCHEMA, ShardWriter

    rng = np.random.default_rng([len(split), videos])
    listed = [
        Video(f"{split}{i}", f"{split}/{i}.mp4", f"class {i % classes}") for i in range(videos)
    ]
    home = folder / split
    (home / "frames").mkdir(parents=True)
    write_classes(class_names(listed), folder / "classes.csv")
    write_manifest(listed, class_names(listed), home / "manifest.parquet")
    rows = []
    tar, table = home / "frames" / "0-of-1.tar", home / "frames" / "0-of-1.parquet"
    with tar.open("wb") as file:
        writer = ShardWriter(file)
        for row in pq.read_table(home / "manifest.parquet").to_pylist():
            count = int(rng.integers(*frames))
            jpegs = []
            for t in range(count):
                pixels = rng.integers(90, 130, (height, width, 3), dtype=np.uint8)
                side = 6 + 8 * row["class"]
                top = (t * (1 + row["class"] % 2)) % (height - side + 1)
                pixels[top : top + side, 8 : 8 + side] = 250
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
                jpegs.append(buffer.getvalue())
            shape = {"width": width, "height": height}
            rows.append({**row, **shape, **writer.add(row["video"], jpegs)})
        writer.finish()
    settings = {"fps": "25", "shorter_side": str(height), "quality": "3", "shards": "1"}
    write_table(pa.Table.from_pylist(rows, schema=TABLE_SCHEMA.with_metadata(settings)), table)
    rejected = home / "frames" / "0-of-1.rejected.csv"
    write_rejected([], rejected)
    build_index(
        home / "manifest.parquet",
        [tar],
        [table],
        [rejected],
        home / "index.parquet",
        home / "index.sizes.npy",
        home / "rejected.csv",
        min_frames=min(3, frames[0]),
    )


@pytest.fixture(scope="session")
def small_images(tmp_path_factory):
    """As `small_dataset`, of images: videos of one frame."""
    folder = tmp_path_factory.mktemp("images")
    write_split(folder, "train", 24, 4, frames=(1, 2))
    write_split(folder, "val", 12, 4, frames=(1, 2))
    return folder


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """Folder of a dataset of 4 classes: train/index.parquet (24 videos), val/ (8), classes.csv."""
    folder = tmp_path_factory.mktemp("dataset")
    write_split(folder, "train", 24, 4)
    write_split(folder, "val", 8, 4)
    return folder


@pytest.fixture
def recipe():
    """A recipe that trains within seconds."""
    from tests.golden import synthetic

    return synthetic.recipe(
        encoder={"network": "single", "width": 2, "embedding": 8, "bn_momentum": 0.1},
        clip="single",
        schedule={
            "instance_recognition": "10 steps",
            "local_aggregation": "13 steps",
            "lr_drops": ["8 steps", "4 epochs"],
        },
        monitor={"every": "1 epochs", "neighbours": 3, "clips": 2},
    )


@pytest.fixture(scope="module")
def paper():
    """The config of the paper's experiment."""
    from vie.config.load import load_config

    return load_config(ROOT / "config.yaml", ROOT / "experiments" / "kinetics400.yaml")


@pytest.fixture
def single_stage(recipe):
    """A recipe with one stage that is trained alone: `single_stage(stage, duration)`."""

    def changed(stage, duration="13 steps"):
        settings = {"schedule": {stage: duration, "lr_drops": ["8 steps"]}}
        settings["encoder"] = recipe["encoder"] | {"embedding": "pooled"}
        if stage == "order_prediction":
            settings |= {"clip": {"frames": 3, "windows": [9, 12]}, "min_frames": 20}
        return recipe | settings

    return changed


@pytest.fixture(scope="session")
def motion(small_dataset):
    """motion.npy of the training videos: any numbers will do."""
    from vie.frames.index import load_index
    from vie.frames.parquet import write_array

    index = load_index(small_dataset / "train" / "index.parquet")
    path = small_dataset / "train" / "motion.npy"
    values = np.random.default_rng(0).uniform(0, 1, len(index.jpegs)).astype(np.float32)
    write_array(values, path, index.seal)
    return path
