"""Device, precision and processes of training."""

import functools
import os
import warnings
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from vie.clips.color_jitter import ColorJitterDraws, apply_color_jitter, normalise
from vie.clips.loader import Batch
from vie.runtime import distributed


def deterministic_kernels() -> None:
    """On a GPU, ask for kernels that repeat their bits, so that a resumed run repeats its own.

    Before the first product on the GPU: the library of products looks at its setting only once.
    """
    if torch.cuda.is_available():
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True, warn_only=True)
        # Every new tensor would be filled first, the output of each layer among them.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Accelerator:
    """What a process trains on."""

    device: torch.device
    half: bool  # whether the network's convolutions and products are bf16

    def autocast(self) -> torch.autocast:
        """What the network is computed under."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)

    def prepare(self, model: nn.Module) -> nn.Module:
        """The model on the device; it averages the gradients of the processes that train it."""
        model = model.to(self.device)
        if distributed.world_size() == 1:
            return model
        # Buffers are the same everywhere already: statistics are shared, labels broadcast. What
        # torch offers in place of this setting would copy them once more.
        warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, devices, broadcast_buffers=False)


def accelerator(precision: str = "float32") -> Accelerator:
    """The device that this process trains on, with deterministic kernels.

    A process that `vie.runtime.distributed.launch` started joins the others, with a GPU of its own
    where there are some.

    The precision is that of the network's convolutions and products on a GPU that has it: "bf16"
    under autocast, "tf32" or "float32". Everywhere else they are float32. Losses, the memory bank
    and what is averaged over clips or frames are float32 always.
    """
    half, gpu = _kernels(precision), torch.cuda.is_available()
    device = torch.device("cuda" if gpu else "cpu")
    if "LOCAL_RANK" in os.environ:
        backend = "gloo"
        if gpu:
            gpus, rank = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
            device = torch.device("cuda", rank % gpus)
            torch.cuda.set_device(device)
            # NCCL cannot serve two processes on one GPU.
            backend = "nccl" if int(os.environ["LOCAL_WORLD_SIZE"]) <= gpus else "gloo"
        if not dist.is_initialized():
            # The others wait while the main process clusters.
            own = device if backend == "nccl" else None
            dist.init_process_group(backend, timeout=timedelta(hours=2), device_id=own)
    return Accelerator(device, half)


def inference(precision: str = "float32") -> tuple[torch.device, torch.autocast]:
    """The device that networks are read out on, and what to do it under.

    Precision and kernels are those of `accelerator`; other processes have no part in it.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return device, torch.autocast(device.type, torch.bfloat16, enabled=_kernels(precision))


def _kernels(precision: str) -> bool:
    """Choose deterministic kernels of a precision; whether there is to be autocast to bf16."""
    deterministic_kernels()
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    # Products outside convolutions: those of losses and bank among them, and a few small layers.
    torch.backends.cuda.matmul.allow_tf32 = False
    return precision == "bf16" and has_bf16()


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on a device, its clips as floats: with their colour noise, and normalised.

    On a GPU, clips come in the type that autocast computes in, where it is on. A batch in pinned
    memory is copied while the GPU still works on what it was given before.
    """
    if device.type == "cuda":
        batch = _copied(batch, device)
    clips, instances, labels, draws = batch
    clips = normalise(clips) if draws is None else apply_color_jitter(clips, draws)
    return Batch(clips, instances, labels, draws)


def _copied(batch: Batch, device: torch.device) -> Batch:
    copies, work = _copy_stream(device), torch.cuda.current_stream(device)

    def copied(part: Tensor) -> Tensor:
        there = part.to(device, non_blocking=True)
        there.record_stream(work)  # its memory is not used again before the work on it is done
        return there

    with torch.cuda.stream(copies):
        clips, instances, labels = map(copied, batch[:3])
        draws = batch.color_jitter
        if draws is not None:
            draws = ColorJitterDraws(*(copied(torch.as_tensor(part)) for part in draws))
    work.wait_stream(copies)
    return Batch(clips, instances, labels, draws)


@functools.cache
def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def at_least_float32(values: Tensor) -> Tensor:
    """What autocast may have left in bf16, as float32; float64 stays as it is."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def has_bf16() -> bool:
    """Whether there is a GPU that computes in bfloat16, instead of emulating it."""
    supported = torch.cuda.is_bf16_supported
    return torch.cuda.is_available() and supported(including_emulation=False)


def described(device: torch.device, precision: str) -> str:
    """For the log: what trains."""
    times = f"{distributed.world_size()} x " if distributed.world_size() > 1 else ""
    if device.type != "cuda":
        return f"{times}{device.type.upper()}, float32"
    if precision == "bf16" and not has_bf16():
        precision = "float32, as it has no bf16"
    return f"{times}{torch.cuda.get_device_name(device)}, {precision}"
