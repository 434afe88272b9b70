"""Networks as files that work without vie, and back.

Every file holds the same function: normalised clips (B, 3, T, S, S) float32 -> a tuple of
`OUTPUTS`: the embedding (B, D) of unit length, and conv3, conv4 and conv5 averaged over time and
space, (B, C). B is free, T and S are those of the encoder's input: other clips are an error.
Statistics of batch norm are fixed.
"""

import contextlib
import copy
import importlib.util
import inspect
import json
import runpy
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from vie.config.settings import LAYERS, VECTORS
from vie.models import safetensors_file
from vie.models.checkpoint_format import DIGEST, FIELDS, METADATA, NOTE, OF_ENCODER_FILES
from vie.models.convolutions import FrameConvolution
from vie.models.encoders import Encoder
from vie.models.input import preprocessing
from vie.models.trunks import global_pool
from vie.runtime.errors import VieError
from vie.runtime.files import atomic_write
from vie.runtime.torch_files import content_digest

OUTPUTS = VECTORS
LOADER = "_loader.py"  # after the name: `json.py` would be found in place of the library's
TOLERANCE = 1e-5  # largest difference of an embedding's numbers
Outputs = tuple[Tensor, ...]
Network = Callable[[Tensor], Outputs]
Content = dict[str, Any]  # of an encoder's checkpoint
# Fields of the checkpoint that every file holds as JSON, where it has a place for that.
NOTED = (*sorted(FIELDS), *METADATA, "objectives", *OF_ENCODER_FILES)


class ExportedNetwork(nn.Module):
    """What is exported: a copy of an encoder, frozen, with `OUTPUTS` as its result."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        if encoder.input is None:
            raise VieError("this encoder does not say what it expects: load it from a checkpoint")
        size, frames = encoder.input.size, encoder.input.frames
        self.shape = (3, frames, size, size)  # of a clip
        self.encoder = copy.deepcopy(encoder).eval().requires_grad_(False)
        for module in self.encoder.modules():
            if isinstance(module, FrameConvolution):
                module.narrow_stem = False  # the same numbers, faster on CPUs only
        for parameter in self.encoder.parameters():
            parameter.data = parameter.data.contiguous()  # as the formats hold them

    def forward(self, clips: Tensor) -> Outputs:
        """(B, 3, T, S, S) -> `OUTPUTS`."""
        for dimension, size in enumerate(self.shape, 1):
            # Changes nothing, and keeps in every format that another size is an error.
            clips = clips.unflatten(dimension, (size,))
        # Convolutions keep this layout: about 1.5 times as fast on a CPU.
        clips = clips.contiguous(memory_format=torch.channels_last_3d)
        embedding, features = self.encoder(clips)
        return embedding, *(global_pool(features[layer]) for layer in LAYERS)

    def example(self, clips: int) -> Tensor:
        """Noise of the input's shape, always the same."""
        generator = torch.Generator().manual_seed(0)
        return torch.randn(clips, *self.shape, generator=generator)


class ToWrite(NamedTuple):
    """A network on its way into a file."""

    network: ExportedNetwork
    program: ExportedProgram
    notes: dict[str, str]  # what the file says of the network, JSON by name


def write_safetensors(given: ToWrite, path: Path) -> None:
    """The encoder's state_dict, and beside it a loader in Python that needs only torch."""
    loader = loader_text(given.program, given.network.shape)
    save_weights(given.network.encoder.state_dict(), given.notes, path)
    with atomic_write(loader_of(path)) as temporary:
        temporary.write_text(loader)


def save_weights(state: dict[str, Tensor], notes: dict[str, str], path: Path) -> None:
    """Write a state_dict and notes as safetensors, with a digest of both."""
    from safetensors.torch import save_file  # hubconf does without it

    digest = {DIGEST: content_digest([state, notes[NOTE]])}
    with atomic_write(path) as temporary:
        save_file(state, temporary, {"format": "pt"} | notes | digest)


def loader_of(path: Path) -> Path:
    """The loader beside a file of safetensors."""
    return path.with_name(path.stem + LOADER)


def loader_text(program: ExportedProgram, shape: tuple[int, ...]) -> str:
    """A module in Python with `load(path, device="cpu")`.

    Raises:
        VieError: the network has more to it than operations and a state_dict.
    """
    signature = program.graph_signature
    arguments = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    code = program.graph_module.graph.python_code("self")
    held = set(program.state_dict)
    if "self." in code.src or not held.issuperset(arguments.values()):
        raise VieError(
            "this network cannot be written as safetensors: it has constants or parts beside its "
            "state_dict; use --to torch-export"
        )
    names = {argument: name.removeprefix("encoder.") for argument, name in arguments.items()}
    run = code.src.strip().replace("def forward(self, ", "def run(")
    source = inspect.getsource(safetensors_file).split('"""\n', 1)[1]
    size = ", ".join(map(str, shape))
    return f'''"""A network of vie, for torch alone. The weights are in a file of safetensors.

    network = load("FILE.safetensors")
    {", ".join(OUTPUTS)} = network(clips)

Clips are (B, {size}) floats, prepared as the model card says. Statistics of batch norm are
fixed: this is for use, not for training. Weights of the same architecture can be loaded too.
"""

from math import inf, nan  # the code below may use them

from torch import device
{source}

SHAPE = ({size})  # of a clip
# Argument of `run` -> name of the tensor in the file.
ARGUMENTS = {json.dumps(names, indent=4)}


def load(path, device="cpu"):
    """The function clips -> ({", ".join(OUTPUTS)})."""
    return network(path, run, ARGUMENTS, SHAPE, device)


{run}
'''


@contextlib.contextmanager
def _torchscript() -> Iterator[None]:
    """Without the warnings that go with every use of TorchScript."""
    with warnings.catch_warnings(), torch.no_grad():
        # torch would rather see torch.export, which is another of the formats.
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is deprecated", DeprecationWarning)
        # Checks in Python become constants; `unflatten` in `ExportedNetwork` takes their place.
        warnings.filterwarnings("ignore", "Converting a tensor to a Python boolean")
        yield


def write_torchscript(given: ToWrite, path: Path) -> None:
    """A trace."""
    with _torchscript(), atomic_write(path) as temporary:
        traced = torch.jit.trace(given.network, given.network.example(2), check_trace=False)
        torch.jit.save(traced, temporary, _extra_files=given.notes)


def write_program(given: ToWrite, path: Path) -> None:
    """The program of torch.export."""
    with atomic_write(path) as temporary:
        torch.export.save(given.program, temporary, extra_files=given.notes)


def write_onnx(given: ToWrite, path: Path) -> None:
    """One file, weights included, with names for input and outputs."""
    with warnings.catch_warnings():
        # torch's own, from copying its own program.
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)`", FutureWarning)
        program = torch.onnx.export(
            given.program, input_names=["clips"], output_names=list(OUTPUTS), verbose=False
        )
    assert program is not None  # it is without a file
    program.model.metadata_props.update(given.notes)
    with atomic_write(path) as temporary:
        program.save(temporary, external_data=False)


def load_safetensors(path: Path) -> Network:
    """With the loader beside it."""
    network: Network = runpy.run_path(str(loader_of(path)))["load"](path)
    return network


def load_torchscript(path: Path) -> Network:
    """On the CPU."""
    with _torchscript():
        network: Network = torch.jit.load(path)
    return network


def load_program(path: Path) -> Network:
    """On the CPU."""
    return torch.export.load(path).module()


def load_onnx(path: Path) -> Network | None:
    """With onnxruntime, on the CPU; None where that is not installed."""
    if not importlib.util.find_spec("onnxruntime"):
        return None
    session = importlib.import_module("onnxruntime").InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    return lambda clips: tuple(map(torch.from_numpy, session.run(None, {"clips": clips.numpy()})))


class Format(NamedTuple):
    """A kind of file."""

    suffix: str
    write: Callable[[ToWrite, Path], None]
    load: Callable[[Path], Network | None]
    needs: tuple[str, ...] = ()  # packages for writing, of the extra that is named as the format


FORMATS = {
    "safetensors": Format(".safetensors", write_safetensors, load_safetensors),
    "torchscript": Format(".torchscript", write_torchscript, load_torchscript),
    "torch-export": Format(".pt2", write_program, load_program),
    "onnx": Format(".onnx", write_onnx, load_onnx, ("onnx", "onnxscript")),
}


class Exported(NamedTuple):
    """A file that was written."""

    format: str
    path: Path
    difference: float | None  # largest, of the embeddings of clips of noise; None: not compared


def export(
    encoder: Encoder,
    content: Content,
    stem: Path,
    formats: Sequence[str],
    card: Callable[[Sequence[Exported]], str] | None = None,
) -> list[Exported]:
    """Write an encoder as `<stem><suffix>` of each of the formats, and compare what each gives.

    All files appear together at the end, or none.

    Args:
        encoder: the one in `content`, the checkpoint.
        stem: path without the suffix.
        formats: of `FORMATS`.
        card: makes the text of `<stem>.md` from what was written; None: there is none.

    Raises:
        VieError: a package is missing; a file gives other embeddings than the encoder; or as the
            format's writer.
    """
    _check_packages(formats)
    given = _to_write(encoder, content)
    stem.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{stem.name}.", dir=stem.parent) as folder:
        inside = Path(folder) / stem.name
        written = [_write(given, encoder, inside, name) for name in formats]
        if card is not None:
            with atomic_write(inside.with_name(f"{stem.name}.md")) as temporary:
                temporary.write_text(card(written))
        for path in Path(folder).iterdir():
            path.rename(stem.with_name(path.name))
    return [file._replace(path=stem.with_name(file.path.name)) for file in written]


def _check_packages(formats: Sequence[str]) -> None:
    for name in formats:
        needed = [one for one in FORMATS[name].needs if not importlib.util.find_spec(one)]
        if needed:
            raise VieError(
                f"{name} needs {' and '.join(needed)}, which this environment lacks: "
                f"uv run --extra {name} python -m vie.export ..."
            )


def _to_write(encoder: Encoder, content: Content) -> ToWrite:
    network = ExportedNetwork(encoder)
    any_number = {"clips": {0: torch.export.Dim.DYNAMIC}}
    program = torch.export.export(network, (network.example(2),), dynamic_shapes=any_number)
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return ToWrite(network, program, notes_of(content))


def notes_of(content: Content) -> dict[str, str]:
    """What a file says of the network in it: JSON of fields of its checkpoint, by name."""
    noted = {name: content[name] for name in NOTED if name in content}
    return {NOTE: json.dumps(noted | {"preprocessing": preprocessing(content)})}


def _write(given: ToWrite, encoder: Encoder, stem: Path, name: str) -> Exported:
    """Write the file of a format, and compare it with the encoder."""
    path = stem.with_name(stem.name + FORMATS[name].suffix)
    FORMATS[name].write(given, path)
    loaded = FORMATS[name].load(path)
    if loaded is None:
        return Exported(name, path, None)
    clips = given.network.example(3)  # another number than that of the export
    with torch.no_grad():
        difference = float((loaded(clips)[0] - encoder(clips)[0]).abs().max())
    if not difference <= TOLERANCE:
        raise VieError(
            f"{path.name}: its embeddings would differ from the encoder's by up to "
            f"{difference:.1e}, so nothing was written; report this with your version of torch"
        )
    return Exported(name, path, difference)
