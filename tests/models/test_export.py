"""Exported networks: the same numbers where nothing of this project is, and errors elsewhere."""

import importlib.util
import json

import numpy as np
import pytest
import torch

import vie
from tests.models.standalone import ONNX, TORCH, run_alone
from vie.clips.crops import RandomResizedCrop
from vie.clips.sampling import Sampling
from vie.clips.transform import ClipTransform
from vie.models import export as module
from vie.models.checkpoint_format import describe, encoder_of
from vie.models.encoders import build_encoder
from vie.models.export import FORMATS, OUTPUTS, export, loader_of
from vie.models.trunks import Trunk, global_pool
from vie.reporting.model_card import model_card
from vie.runtime.errors import VieError

pytestmark = pytest.mark.usefixtures("one_thread")
FRAMES = {"single": 1, "trn": 4, "slow": 4, "slowfast": 8, "3dresnet": 8}
OF_TORCH = ["safetensors", "torchscript", "torch-export"]
SIZE = 32


def checkpoint(network, frames, classes=None, seed=0, **settings):
    """A checkpoint with random weights and statistics."""
    torch.manual_seed(seed)
    named = {"network": network, "width": 8, "embedding": 16} | settings
    recipe = {"encoder": named, "label": "A network", "clip": {"frames": frames}}
    recipe |= {"classes": classes} if classes else {}
    encoder = build_encoder(named, classes)
    for one in encoder.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            one.running_mean.normal_()
            one.running_var.uniform_(0.5, 2)
    transform = ClipTransform(Sampling(frames), RandomResizedCrop(SIZE, (36, 46), 40), None)
    about = describe(recipe, transform, 25.0) | {"stage": "rotation", "step": 7, "n_train": 24}
    return {**about, "encoder": encoder.state_dict()}


def outputs(encoder, clips):
    """What every file should give, from the encoder itself."""
    with torch.no_grad():
        embedding, features = encoder(clips)
    return [embedding, *(features[layer].mean((2, 3, 4)) for layer in OUTPUTS[1:])]


def check(network, encoder, *, clips):
    shape = clips, 3, encoder.input.frames, SIZE, SIZE
    given = torch.randn(shape)
    for found, expected in zip(network(given), outputs(encoder, given), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def exports(one_thread, tmp_path_factory):
    """{network: (encoder, checkpoint, stem)} in all formats of torch."""
    made = {}
    for network, frames in FRAMES.items():
        stem = tmp_path_factory.mktemp("exported") / network
        settings = {"fast_width": 4} if network == "slowfast" else {}
        content = checkpoint(network, frames, **settings)
        encoder = encoder_of(content)
        # ONNX takes torch several times as long as the others.
        formats = [*OF_TORCH, "onnx"] if network == "slow" else OF_TORCH
        files = export(encoder, content, stem, formats)
        stem.with_suffix(".md").write_text(model_card(encoder, content, stem, files))
        made[network] = encoder, content, stem
    return made


@pytest.mark.slow
@pytest.mark.parametrize("network", FRAMES)
@pytest.mark.parametrize("name", OF_TORCH)
def test_the_numbers_are_the_encoders_for_any_number_of_clips(exports, network, name):
    encoder, _, stem = exports[network]
    loaded = FORMATS[name].load(stem.with_suffix(FORMATS[name].suffix))
    for clips in (1, 2, 5):
        check(loaded, encoder, clips=clips)


def test_onnx_gives_the_same_numbers_under_names(exports):
    import onnxruntime

    encoder, _, stem = exports["slow"]
    path = stem.with_suffix(".onnx")
    for clips in (1, 2, 5):
        check(FORMATS["onnx"].load(path), encoder, clips=clips)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == ["clips"]
    assert [one.name for one in session.get_outputs()] == list(OUTPUTS)
    assert session.get_inputs()[0].shape[1:] == [3, 4, SIZE, SIZE]
    notes = json.loads(session.get_modelmeta().custom_metadata_map["vie"])
    assert (notes["step"], notes["preprocessing"]["crop"]["size"]) == (7, SIZE)
    assert not list(path.parent.glob("*.data"))  # weights are in the one file


@pytest.mark.slow
@pytest.mark.parametrize("network", FRAMES)
def test_onnx_of_every_network(exports, network, tmp_path):
    encoder, content, _ = exports[network]
    (file,) = export(encoder, content, tmp_path / network, ["onnx"])
    for clips in (1, 2, 5):
        check(FORMATS["onnx"].load(file.path), encoder, clips=clips)


@pytest.mark.slow
def test_a_network_of_the_users_own(root, tmp_path):
    classes = {"r2": "examples.r2plus1d:r2plus1d_18"}
    content = checkpoint("r2", 4, classes, width=64)
    encoder = encoder_of(content, trust=True)
    for file in export(encoder, content, tmp_path / "r2", [*FORMATS]):
        check(FORMATS[file.format].load(file.path), encoder, clips=3)


@pytest.mark.parametrize("name", FORMATS)
def test_another_input_is_an_error(exports, name):
    loaded = FORMATS[name].load(exports["slow"][2].with_suffix(FORMATS[name].suffix))
    good = torch.zeros(4, 3, 4, SIZE, SIZE)
    loaded(good)
    for bad in (
        good[:, :2],
        good[:, :1],
        good[:, :, :3],
        good[:, :, :1],
        good.repeat(1, 1, 2, 1, 1),
        good[:, :, :, 1:],
        good.repeat(1, 1, 1, 1, 2),
        good[0],
    ):
        with pytest.raises(Exception, match=r"."):  # each library has an error of its own
            loaded(bad)


CHECK = """
import json, re
import numpy
try:
    import vie
    raise SystemExit("this process finds vie")
except ModuleNotFoundError:
    pass
for name, kind in json.loads({jobs!r}):
    card = open(name + ".md").read()
    code = re.search(r"### " + kind + r"\\n\\n```python\\n(.*?)```", card, re.S)[1]
    given = numpy.load(name + "_clips.npy")
    lines = code.splitlines()
    (place,) = [i for i, line in enumerate(lines) if line.startswith("clips = ")]
    lines[place] = "clips = given" if kind == "onnx" else "clips = torch.from_numpy(given)"
    found = {{"given": given}}
    exec("\\n".join(lines), found)
    for output in {outputs!r}:
        numpy.save(f"{{name}}_{{kind}}_{{output}}.npy", numpy.asarray(found[output]))
"""


def check_alone(exports, kinds, allowed, tmp_path):
    jobs = []
    for network, (encoder, _, stem) in exports.items():
        here = [kind for kind in kinds if stem.with_suffix(FORMATS[kind].suffix).exists()]
        for file in stem.parent.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        clips = torch.randn(3, 3, encoder.input.frames, SIZE, SIZE)
        np.save(tmp_path / f"{network}_clips.npy", clips.numpy())
        jobs += [(network, kind, outputs(encoder, clips)) for kind in here]
    assert jobs
    named = json.dumps([job[:2] for job in jobs])
    run_alone(CHECK.format(jobs=named, outputs=OUTPUTS), tmp_path, allowed)
    for network, kind, expected in jobs:
        for output, numbers in zip(OUTPUTS, expected, strict=True):
            found = torch.from_numpy(np.load(tmp_path / f"{network}_{kind}_{output}.npy"))
            torch.testing.assert_close(found, numbers, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "networks",
    [("slow", "slowfast"), pytest.param(("single", "trn", "3dresnet"), marks=pytest.mark.slow)],
)
def test_the_cards_code_needs_only_torch(exports, networks, tmp_path):
    check_alone({name: exports[name] for name in networks}, OF_TORCH, TORCH, tmp_path)


def test_the_cards_code_for_onnx_needs_only_onnxruntime(exports, tmp_path):
    check_alone({"slow": exports["slow"]}, ["onnx"], ONNX, tmp_path)


def test_a_loader_takes_other_weights_of_its_architecture_only(exports, tmp_path):
    content = checkpoint("slow", 4, seed=1)
    other = encoder_of(content)
    (file,) = export(other, content, tmp_path / "other", ["safetensors"])
    mine = exports["slow"][2]
    (tmp_path / "other_loader.py").write_bytes(loader_of(mine).read_bytes())
    check(FORMATS["safetensors"].load(file.path), other, clips=2)
    another = loader_of(exports["slowfast"][2])
    (tmp_path / "other_loader.py").write_bytes(another.read_bytes())
    with pytest.raises(ValueError, match="of another network: it holds no tensor"):
        FORMATS["safetensors"].load(file.path)


def test_safetensors_are_read_as_the_encoder_that_they_are(exports):
    encoder, content, stem = exports["trn"]
    again = vie.load_encoder(stem.with_suffix(".safetensors"))
    clips = torch.randn(2, 3, 4, SIZE, SIZE)
    torch.testing.assert_close(again(clips)[0], encoder(clips)[0])
    assert again.metadata == encoder.metadata
    assert again.input == encoder.input
    assert list(again.state_dict()) == list(content["encoder"])


def test_damaged_and_foreign_safetensors_are_refused(exports, tmp_path):
    from safetensors.torch import save_file

    whole = exports["single"][2].with_suffix(".safetensors").read_bytes()
    path = tmp_path / "it.safetensors"
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(VieError, match=r"get or make it again$") as error:
            vie.load_encoder(path)
        assert str(error.value).count("is no file of safetensors that can be read") == 1
        assert str(error.value).count(str(path)) == 1
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(VieError, match="not a checkpoint of vie"):
        vie.load_encoder(path)
    with pytest.raises(VieError, match="no such checkpoint"):
        vie.load_encoder(tmp_path / "absent.safetensors")


def test_files_that_give_other_numbers_are_an_error(exports, tmp_path, monkeypatch):
    encoder, content, _ = exports["single"]
    monkeypatch.setattr(module, "TOLERANCE", -1.0)
    with pytest.raises(VieError, match="differ from the encoder's by up to"):
        export(encoder, content, tmp_path / "it", ["torch-export"])
    assert not list(tmp_path.iterdir())


def test_without_its_packages_onnx_says_what_to_install(exports, tmp_path, monkeypatch):
    encoder, content, _ = exports["single"]
    find = importlib.util.find_spec

    def without(name, package=None):
        return None if "onnx" in name else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    with pytest.raises(VieError, match=r"needs onnx and onnxscript.*uv run --extra onnx python"):
        export(encoder, content, tmp_path / "it", ["safetensors", "onnx"])
    assert not list(tmp_path.iterdir())


class WithConstant(Trunk):
    """A trunk with a number that its state_dict does not hold."""

    channels = 3

    def __init__(self):
        super().__init__()
        self.register_buffer("shift", torch.ones(3, 1, 1, 1), persistent=False)

    def forward(self, clip):
        features = clip + self.shift
        return {f"conv{number}": features for number in range(1, 6)}

    def pool(self, features):
        return global_pool(features["conv5"])


def test_what_a_state_dict_does_not_hold_is_no_safetensors(tmp_path):
    """Other formats hold it."""
    content = checkpoint("single", 1)
    encoder = vie.models.encoders.Encoder(WithConstant(), 16)
    encoder.input = encoder_of(content).input
    with pytest.raises(VieError, match="use --to torch-export"):
        export(encoder, content, tmp_path / "it", ["safetensors"])
    (file,) = export(encoder, content, tmp_path / "it", ["torch-export"])
    check(FORMATS["torch-export"].load(file.path), encoder, clips=3)
