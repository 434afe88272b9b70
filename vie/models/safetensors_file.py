"""Files of safetensors, and networks whose weights are in them, with torch alone.

`vie.models.export` writes the text of this module into the loaders that go with such files, so it
imports nothing else.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name, on the CPU, and the notes in the header, text by name.

    Raises:
        ValueError: the file is damaged, or no file of safetensors.
        OSError: it cannot be read.
    """
    data = memoryview(bytearray(Path(path).read_bytes()))
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    try:
        header = json.loads(bytes(data[8:start]))
        notes: dict[str, str] = header.pop("__metadata__", {})
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(data[start + begin : start + end], dtype=DTYPES[entry["dtype"]])
            tensors[name] = flat.reshape(entry["shape"])  # (numbers,) -> the tensor's shape
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of safetensors that can be read: {error}") from error
    return tensors, notes


def network(
    path: str | Path,
    run: Callable[..., tuple[Tensor, ...]],
    arguments: dict[str, str],
    shape: tuple[int, ...],
    device: str | torch.device = "cpu",
) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The function clips -> outputs that `run` is with the weights in a file.

    Args:
        path: of the file.
        run: takes the tensors and `clips`.
        arguments: {argument of `run`: name of a tensor in the file}.
        shape: of a clip, (3, T, H, W).
        device: where the tensors go, and the clips will be.

    Raises:
        ValueError: the file is damaged, or of another network. The function raises it for clips of
            another shape.
    """
    tensors, _ = read(path)
    if missing := sorted(set(arguments.values()) - set(tensors)):
        raise ValueError(f"{path} is of another network: it holds no tensor {missing[0]}")
    given = {argument: tensors[name].to(device) for argument, name in arguments.items()}

    def of_clips(clips: Tensor) -> tuple[Tensor, ...]:
        if clips.shape[1:] != shape:
            wanted = ", ".join(map(str, shape))
            raise ValueError(f"clips are (B, {wanted}), and these are {tuple(clips.shape)}")
        return run(**given, clips=clips)

    return of_clips
