"""Memory that jobs ask for, against hand-worked numbers and real processes."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from vie.clips.sampling import sampling
from vie.config.load import load_config
from vie.features import Extractor
from vie.models.classifiers import FrozenEncoders
from vie.models.encoders import build_encoder
from vie.runtime.errors import VieError
from vie.workflow import resources

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def config():
    return load_config(ROOT / "config.yaml")


def test_pretraining_on_a_gpu_by_hand(paper):
    """SlowFast: 23 workers of training and 23 of the monitor. Of its batches, of 154 and 308 MB,
    one waits for each: more would be over 4 GB."""
    batch, tested = (clips * 3 * 16 * 224 * 224 / 1e6 for clips in (64, 128))
    waiting = 2 * 23 * 600 + (23 + 2) * (batch + tested)
    bank = 4 * 239_888 * 128 * 4 / 1e6
    found = resources.pretrain(paper, "kinetics400", paper["recipes"]["vie_slowfast"], 24)
    assert found == pytest.approx(2000 + 4000 + waiting + bank, abs=100)


@pytest.mark.parametrize(
    ("gpus", "threads", "gb"),
    [
        (4, 12, 4 * 6 + 4 * 2 * 0.6 + 10 * 0.154 + 4 * (2 * 0.6 + 10 * 0.308) + 0.491),
        (8, 12, 8 * 6 + 2 * 0.154 + 8 * 2 * 0.308 + 0.491),  # one thread each: no workers
    ],
)
def test_pretraining_on_several_gpus_by_hand(paper, gpus, threads, gb):
    """SlowFast: a process of 6 GB for each GPU, and a bank of 0.49 GB besides the loaders."""
    recipe = paper["recipes"]["vie_slowfast"]
    found = resources.pretrain({**paper, "gpus": gpus}, "kinetics400", recipe, threads)
    assert found / 1000 == pytest.approx(gb, abs=0.15)  # whole hundreds of MB, rounded up


def test_one_of_two_nodes_has_half_of_a_batch(paper):
    """SlowFast on 2 x 4 GPUs: what a node keeps of a batch of 154 MB is half, of tests the same."""
    recipe = paper["recipes"]["vie_slowfast"]
    gb = 4 * 6 + 4 * 2 * 0.6 + 10 * 0.077 + 4 * (2 * 0.6 + 10 * 0.308) + 0.491
    two = {**paper, "gpus": 4, "nodes": 2}
    found = resources.pretrain(two, "kinetics400", recipe, 12)
    assert found / 1000 == pytest.approx(gb, abs=0.15)
    cpus = {**paper, "gpus": 0}
    found = [resources.pretrain({**cpus, "nodes": n}, "kinetics400", recipe, 12) for n in (1, 2)]
    assert 0.45 < found[1] / found[0] < 0.7  # of a step, which is most of it on a CPU


def test_more_of_everything_needs_more(paper):
    recipe = paper["recipes"]["vie_slow"]
    larger = copy.deepcopy(recipe)
    larger["optimiser"]["batch"] = 512
    least = resources.pretrain(paper, "kinetics400", recipe, 8)
    assert resources.pretrain(paper, "kinetics400", recipe, 16) > least
    assert resources.pretrain(paper, "kinetics400", larger, 8) > least
    assert resources.pretrain({**paper, "gpus": 0}, "kinetics400", larger, 8) > 40_000
    frames = paper["datasets"]["kinetics400"]
    assert resources.frames(frames, 32) > resources.frames(frames, 4)
    assert resources.index(paper, "kinetics400", "train") >= resources.LEAST


@pytest.mark.parametrize("layout", ["flat", "folders"])
def test_memory_is_of_the_videos_that_are_there(config, tmp_path, monkeypatch, layout):
    monkeypatch.chdir(tmp_path)
    own = copy.deepcopy(config)
    own["datasets"]["mine"] = config["datasets"]["embedded"] | {"layout": layout, "videos": "mine"}
    del own["datasets"]["mine"]["generator"]
    recipe = own["recipes"]["vie_slow"]
    unknown = resources.pretrain(own | {"gpus": 1}, "mine", recipe, 1)
    folder = tmp_path / "mine" / "train" / "eat"
    folder.mkdir(parents=True)
    for i in range(30):
        (folder / f"{i}.mp4").touch()
    own["datasets"]["mine"]["videos"] = str(tmp_path / "mine")
    assert resources.videos_of(own, "mine", "train") == 30 - (layout == "flat")
    bank = 4 * 250_000 * resources.dimensions_of(recipe["encoder"]) * 4 / 1e6
    found = resources.pretrain(own | {"gpus": 1}, "mine", recipe, 1)
    assert unknown - found == pytest.approx(bank, abs=100)


@pytest.mark.parametrize("name", ["vie_single", "vie_trn", "vie_slowfast", "vie_3dresnet", "opn"])
def test_vectors_are_as_wide_as_the_network_s(config, name):
    """Or, of pooled features, up to twice as wide."""
    recipe, layers = config["recipes"][name], config["features"]["layers"]
    clips = torch.zeros(1, 3, sampling(recipe["clip"]).frames, 32, 32)
    vectors = Extractor([build_encoder(recipe["encoder"])], layers)(clips)
    exact = sum(vector.shape[1] for vector in vectors.values())
    assert exact <= resources.vector_numbers(recipe["encoder"], layers) <= 2 * exact
    if name.startswith("vie"):
        assert resources.vector_numbers(recipe["encoder"], layers) == exact


def test_features_of_all_videos_of_a_dataset_by_hand(paper):
    """Those of 259,541 videos of Kinetics, three times; embedding and conv5 of VIE-Single have 128
    and 512 numbers. Of 11 workers' batches of 19 MB four wait for each."""
    single = paper["recipes"]["vie_single"]
    found = resources.features(paper, "kinetics400", [single], "single", single, 12)
    batch = 128 * 3 * 224 * 224 / 1e6
    vectors = 3 * 259_541 * (128 + 512) * 4 / 1e6
    assert found == pytest.approx(6000 + 11 * 600 + 46 * batch + vectors, abs=100)


def test_a_probe_on_images_by_hand(paper):
    """VIE-SlowFast on ImageNet: 11 workers, four batches of 19 MB waiting for each, of one frame;
    1.28 million embeddings; 1,000 classes on 72 * 224^2 * 7 / 128 numbers, with their gradients
    and momentum; three copies of the answers."""
    recipe = paper["recipes"]["vie_slowfast"]
    settings = {"optimiser": {"batch": 128}, "clips": 1, "frames": 16}
    found = resources.image_probe(paper, "imagenet", [recipe], 224, settings, 12)
    heads = 4 * 72 * 224**2 * 7 / 128 * 1000 * 4 / 1e6
    outputs = 3 * 50_000 * 1000 * 3 * 4 / 1e6
    waiting = 11 * 600 + 46 * 128 * 3 * 224 * 224 / 1e6
    bank = 1_281_167 * 128 * 4 / 1e6
    assert found == pytest.approx(6000 + waiting + bank + heads + outputs, abs=100)


def test_the_bank_is_as_wide_as_the_embedding(config, paper):
    """Or asks for up to twice as much: the networks are not built here."""
    for recipe in (*config["recipes"].values(), *paper["recipes"].values()):
        with torch.device("meta"):  # no weights: some hundred million would be drawn
            exact = build_encoder(recipe["encoder"]).dimensions
        assert exact <= resources.dimensions_of(recipe["encoder"]) <= 2 * exact


def test_no_job_of_the_default_experiment_asks_for_less_than_was_measured(config):
    """Peaks of benchmarks/runs on two cores without a GPU, MB."""
    for gpus in (0, 1):
        here, recipes = {**config, "gpus": gpus}, config["recipes"]
        assert resources.pretrain(here, "embedded", recipes["opn"], 4) > 2 * 1138
        both = [recipes["vie_single"], recipes["vie_slowfast"]]
        clip = recipes["vie_slowfast"]["clip"]
        assert resources.probe(here, "embedded", both, clip, recipes["vie_slow"], 2) > 2 * 1308
        asked = resources.finetune(here, [recipes["vie_single"]], "single", 64, 16, 4)
        assert asked > 2 * 999
        if not gpus:  # both networks keep what a step needs
            alone, together = (
                resources.finetune(here, some, clip, 224, 64, 1) for some in (both[1:], both)
            )
            assert together > 1.3 * alone
        assert resources.pretext(here, recipes["3drotnet"], 2) > 2 * 999
        asked = resources.features(here, "embedded", both, clip, recipes["vie_slow"], 2)
        assert asked > 2 * 999  # as a test pass of the same networks
        assert resources.frames(config["datasets"]["embedded"], 4) > 2 * 144


def test_the_classifiers_of_a_probe_are_as_wide_as_the_features(config, paper):
    """Of them, probes ask for memory without building the network."""
    for size in (64, 224):
        frozen = FrozenEncoders([build_encoder({"network": "single", "width": 16})])
        features = frozen(torch.zeros(1, 3, 1, size, size))
        layers = ("conv3", "conv4", "conv5")
        width = sum(features[layer].shape[1] for layer in layers)
        assert width == 16 * size**2 * 7 / 128


# A process that imports what training imports and takes two steps of a whole network. The peak is
# of this program alone; ru_maxrss would also count the process that it was forked from.
PROGRAM = """
import json, re, sys
import torch
import vie.finetune
from vie.models.classifiers import Classifier
from vie.models.classifiers import FrozenEncoders, probe_features
from vie.models.encoders import build_encoder
from vie.runtime.errors import VieError
from vie.models.resnet import channels_last
encoder, shape = json.loads(sys.argv[1])
torch.set_num_threads(1)
network = channels_last(Classifier(build_encoder(encoder), 10))
optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
for step in range(2):
    loss = network(torch.randn(shape)).square().mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
print(int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) * 1024 / 1e6)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    "name",
    [
        "vie_slowfast",
        pytest.param("vie_single", marks=pytest.mark.slow),
        pytest.param("vie_3dresnet", marks=pytest.mark.slow),
    ],
)
def test_training_on_a_cpu_keeps_within_what_is_asked_for(config, name):
    recipe = config["recipes"][name]
    frames, size, batch = sampling(recipe["clip"]).frames, recipe["geometry"]["size"], 128
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM),
            json.dumps([recipe["encoder"], [batch, 3, frames, size, size]]),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={"CUDA_VISIBLE_DEVICES": "", "PATH": "/usr/bin:/bin"},
    )
    measured = float(done.stdout)
    asked = resources.step(0, [recipe["encoder"]], batch, frames, size)
    assert measured < asked < 4 * measured


def test_a_user_s_own_objective_is_asked_for_its_memory(recipe, monkeypatch):
    """MoCo shows the network twice as many clips, and keeps a queue."""
    monkeypatch.chdir(Path(__file__).parents[2])
    config = {
        "gpus": 0,
        "nodes": 1,
        "datasets": {"d": {"layout": "kinetics", "official_name": "kinetics400"}},
    }
    recipe["optimiser"]["batch"], recipe["geometry"]["size"] = 128, 112
    recipe["encoder"]["width"] = 64
    recipe["classes"] = {"moco": "examples.moco:MoCo"}
    alone = recipe | {"schedule": {"supervised": "1 epochs", "lr_drops": []}}
    own = recipe | {"schedule": {"moco": "1 epochs", "lr_drops": []}}
    assert resources.views(own) == 2 * resources.views(alone) == 2
    needed = {}
    for queue in (2**10, 2**20):
        own["objective"]["moco"] = {"queue": queue, "dimensions": 128}
        needed[queue] = resources.pretrain(config, "d", own, 4)
    assert needed[2**10] > resources.pretrain(config, "d", alone, 4)
    # A million keys against a batch of 128, the similarities and their gradients: 2.1 GB.
    assert needed[2**20] - needed[2**10] > 1000


def test_memory_that_no_machine_has_is_refused():
    """Far above what there is: what a job asks for is generous."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6
    far = max(4 * ram, 64_000)
    resources.refuse_too_much("x", far, far, here=True)
    resources.refuse_too_much("x", 4_000_000, 4_000_000, here=False)
    with pytest.raises(
        VieError, match=r"recipes\.a: a job would need about .* and this machine has"
    ):
        resources.refuse_too_much("recipes.a", far + 1, far + 1, here=True)
    for here in (True, False):
        with pytest.raises(VieError, match="about 4,001 GB of memory, more than any machine has"):
            resources.refuse_too_much("x", 9000, 4_001_000, here=here)


def test_weights_are_counted_as_they_are():
    """In MB of float32, within a tenth."""
    for network in ("single", "trn", "slow", "fast", "slowfast", "3dresnet"):
        settings = {"network": network, "width": 32}
        settings |= {"fast_width": 4} if network == "slowfast" else {}
        weights = sum(one.numel() for one in build_encoder(settings).parameters())
        assert resources.weights(settings) == pytest.approx(weights * 4 / 1e6, rel=0.1)
