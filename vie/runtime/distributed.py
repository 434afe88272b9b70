"""Several processes that train one network, one GPU each, on one machine.

Every process has the whole network, the whole memory bank and all cluster labels, and works on its
share of each batch. Results do not depend on the number of processes, except for rounding. With one
process all functions do nothing.
"""

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from multiprocessing.synchronize import Event
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from vie.runtime.errors import VieError
from vie.runtime.logs import job, open_log
from vie.runtime.signals import (
    SIGNALS,
    StoppedError,
    die_with_parent,
    heeding_signals,
    held_back,
)
from vie.runtime.workers import ADVICE, at_sudden_end, end_at_once, how_it_died

Items = TypeVar("Items", np.ndarray, Tensor)


def world_size() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main_process() -> bool:
    """Whether this process writes the files and the log."""
    return rank() == 0


def shard(items: Items) -> Items:
    """This process's share of items (B, ...); B is a multiple of the number of processes."""
    part = len(items) // world_size()
    return items[rank() * part : (rank() + 1) * part]


def padded_shard(items: np.ndarray) -> np.ndarray:
    """This process's share of items (V,). All shares have one length; the first items fill up."""
    part = -(-len(items) // world_size())
    return shard(np.resize(items, part * world_size()))


def gather(values: Tensor) -> Tensor:
    """(B, ...) of every process -> (processes * B, ...), in the order of processes, no gradient."""
    if world_size() == 1:
        return values
    parts = [torch.empty_like(values) for _ in range(world_size())]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


class _Gather(torch.autograd.Function):
    """`gather`, whose gradient is the sum of all processes' with respect to this one's part."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        return gather(values)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return shard(gradient)


def gather_with_gradient(values: Tensor) -> Tensor:
    """`gather` with a gradient.

    The gradient of the mean of all processes' losses is right where each process differentiates its
    own loss and gradients are then averaged, as in training.
    """
    if world_size() == 1:
        return values
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]  # torch has no types
    return gathered


def mean(values: Tensor) -> Tensor:
    """Mean over all processes, without gradient."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world_size()
    return values


def broadcast(values: Tensor) -> None:
    """Overwrite `values` with those of the main process, in place."""
    if world_size() > 1:
        dist.broadcast(values, 0)


def barrier() -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        dist.barrier()


def launch(processes: int, function: Callable[..., None], **settings: Any) -> None:
    """Run `function(**settings)` in one or several processes.

    Several processes are started by torch's elastic launcher; if one fails the others are stopped.
    The messages of the main process go to the log of the job that is open here.

    Args:
        processes: how many. On a machine with GPUs each process gets its own GPU.
        function: one at the top level of a module, whose `settings` can be pickled.

    Raises:
        VieError: a process failed.
        StoppedError: a signal asked to stop, and the processes have ended.
    """
    if processes <= 1:
        function(**settings)
        return
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    for name in ("torchelastic-events-null", "torch.distributed.elastic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the processes log their own errors
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id="vie",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",  # a node may not know its own name
        start_method="spawn",
        # Signals are passed on to the processes, which have so many seconds to finish their step.
        signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
        shutdown_timeout=150,
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    _start_tracker_that_ignores_signals()
    spawn = torch.multiprocessing.get_context("spawn")
    failed = Failed(spawn.Event(), spawn.Event())
    try:
        with _script_runs_once():
            elastic_launch(config, _work)(function, open_log(), settings, failed)
    except ChildFailedError as error:
        code = error.get_first_failure()[1].exitcode
        told = "failed; its message is above" if code >= 0 else f"{how_it_died(code)}. {ADVICE}"
        raise VieError(f"one of {processes} processes {told}") from None
    except SignalException as error:
        raise StoppedError(f"{processes} processes stopped by {error.sigval.name}") from None


def _start_tracker_that_ignores_signals() -> None:
    """Start Python's process that tracks semaphores, with `SIGNALS` blocked.

    SLURM sends SIGUSR1 to all processes of a job. It would end the tracker, which would fill the
    log with tracebacks.
    """
    with held_back(*SIGNALS):
        resource_tracker.ensure_running()


@contextlib.contextmanager
def _script_runs_once() -> Iterator[None]:
    """Keep new processes from importing the script that started this one.

    They import it to find functions in it. A script of a Snakemake job does its work when it is
    imported, and would do it again.
    """
    script = sys.modules["__main__"]
    path = vars(script).pop("__file__", None)
    try:
        yield
    finally:
        if path is not None:
            script.__file__ = path


def _work(
    function: Callable[..., None], log: str | None, settings: dict[str, Any], failed: "Failed"
) -> None:
    # Libraries with threads of their own would start one per core in each of the processes.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    first = os.environ["RANK"] == "0"
    with (
        job(log or os.devnull, append=True),
        heeding_signals(),
        _end_together(failed, first=first),
    ):
        if not first:  # its messages are those of the first
            logging.getLogger().setLevel(logging.ERROR)
        function(**settings)
    if dist.is_initialized():
        dist.destroy_process_group()


class Failed(NamedTuple):
    """What processes tell each other; on a GPU they may wait where no signal reaches them."""

    first: Event
    another: Event


@contextlib.contextmanager
def _end_together(failed: Failed, *, first: bool) -> Iterator[None]:
    """End all processes, the others without a message, if one fails or the first is stopped."""
    die_with_parent()
    own, others = failed if first else reversed(failed)
    at_sudden_end.append(own.set)

    def end_with_others() -> None:
        others.wait()
        end_at_once(0)

    threading.Thread(target=end_with_others, daemon=True).start()
    try:
        yield
    except BaseException as error:
        if not first:
            failed.first.wait(3)  # this failure may follow from that of the first process
        # One that is stopped leaves the first its time to save the state.
        if first or (isinstance(error, Exception) and not isinstance(error, StoppedError)):
            own.set()
        raise
