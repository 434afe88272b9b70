"""Several processes that train one network, one GPU each, on one machine or several nodes.

Every process has the whole network, the whole memory bank and all cluster labels, and works on its
share of each batch. Results do not depend on the number of processes, except for rounding. With one
process all functions do nothing.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from vie.runtime.errors import VieError
from vie.runtime.gpus import take_gpus
from vie.runtime.logs import job, open_log
from vie.runtime.signals import (
    SIGNALS,
    StoppedError,
    die_with_parent,
    heeding_signals,
    held_back,
    noting_signals,
)
from vie.runtime.workers import ADVICE, LOOK_SECONDS, at_sudden_end, end_at_once, how_it_died

Items = TypeVar("Items", np.ndarray, Tensor)
STEP_SECONDS = 150  # that processes which are asked to stop have to finish their step
FAILED = "vie/failed"  # key of the launcher's store


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
    """`gather`, (B, ...) -> (processes * B, ...), with a gradient.

    The gradient of the mean of all processes' losses is right where each process differentiates its
    own loss and gradients are then averaged, as in training.
    """
    if world_size() == 1:
        return values
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]  # torch has no types
    return gathered


def mean(values: Tensor) -> Tensor:
    """Mean over all processes, of any shape, without gradient."""
    if world_size() > 1:
        values = values.clone()
        dist.all_reduce(values)
        values /= world_size()
    return values


def broadcast(values: Tensor) -> None:
    """Overwrite `values` with those of the main process, in place."""
    if world_size() > 1:
        dist.broadcast(values, 0)


def all_same(value: object) -> bool:
    """Whether all processes have this value, which can be pickled."""
    values = [value] * world_size()
    if world_size() > 1:
        dist.all_gather_object(values, value)
    return all(one == value for one in values)


def barrier() -> None:
    """Wait until all processes are here."""
    if world_size() > 1:
        dist.barrier()


class Work(NamedTuple):
    """What the processes of one machine do; it can be pickled."""

    processes: int
    gpus: int  # that they take, one each; 0: they keep to the CPU
    function: Callable[..., None]
    settings: dict[str, Any]
    log: str | None  # of the job that is open where they were launched


def launch(
    processes: int, function: Callable[..., None], *, gpus: int = 0, nodes: int = 1, **settings: Any
) -> None:
    """Run `function(**settings)` in one or several processes.

    Several processes are started by torch's elastic launcher, on each node one; if one fails the
    others are stopped. The messages of the main process go to the log of the job that is open here.

    Args:
        processes: how many on each node.
        function: one at the top level of a module, whose `settings` can be pickled.
        gpus: that several processes of a node take, one each.
        nodes: of the SLURM job that this process runs on the first node of.

    Raises:
        VieError: a process failed, or a node has too few GPUs, or the job too few nodes.
        StoppedError: a signal asked to stop, and the processes have ended.
    """
    work = Work(processes, gpus, function, settings, open_log())
    if processes * nodes <= 1:
        function(**settings)
    elif nodes > 1:
        from vie.runtime.nodes import launch_on_nodes

        launch_on_nodes(work, nodes)
    else:
        launch_here(work)


ALONE = {
    "min_nodes": 1,
    "max_nodes": 1,
    "rdzv_backend": "c10d",
    "rdzv_endpoint": "localhost:0",
    "local_addr": "localhost",  # a node may not know its own name
}


def launch_here(work: Work, meeting: dict[str, Any] = ALONE) -> None:
    """Run the processes of this machine; `meeting` says how they find those of others.

    Raises:
        VieError, StoppedError: as `launch`.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    def pass_on(number: signal.Signals) -> None:
        if not received:
            threading.Thread(target=_kill_children, args=[STEP_SECONDS], daemon=True).start()
        if not (children := multiprocessing.active_children()):
            raise SignalException("nothing runs here yet, or any more", number)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid or 0, number)

    take_gpus(work.gpus)  # for all processes that are started here
    for name in ("torchelastic-events-null", "torch.distributed.elastic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the processes log their own errors
    config = LaunchConfig(
        nproc_per_node=work.processes,
        run_id="vie",
        start_method="spawn",
        signals_to_handle="SIGINT,SIGHUP,SIGQUIT",  # the others are passed on
        shutdown_timeout=STEP_SECONDS,
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        **meeting,
    )
    _start_tracker_that_ignores_signals()
    many, stopped = f"{work.processes} processes", ""
    with noting_signals(pass_on) as received:
        try:
            with _script_runs_once():
                elastic_launch(config, _work)(work)
        except ChildFailedError as error:
            if not received:
                code = error.get_first_failure()[1].exitcode
                told = "failed; its message is above" if code >= 0 else how_it_died(code)
                advice = "" if code >= 0 else f". {ADVICE}"
                raise VieError(f"one of {many} {told}{advice}") from None
        except SignalException as error:
            stopped = error.sigval.name
        if stopped or received:
            raise StoppedError(f"{many} stopped by {stopped or received[0].name}") from None


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


def _kill_children(seconds: float) -> None:
    time.sleep(seconds)
    for child in multiprocessing.active_children():
        child.kill()


def _work(work: Work) -> None:
    # Libraries with threads of their own would start one per core in each of the processes.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    first = os.environ["RANK"] == "0"
    with (
        job(work.log or os.devnull, append=True),
        heeding_signals(),
        _end_together(first=first),
    ):
        if not first:  # its messages are those of the first
            logging.getLogger().setLevel(logging.ERROR)
        work.function(**work.settings)
    if dist.is_initialized():
        dist.destroy_process_group()


@contextlib.contextmanager
def _end_together(*, first: bool) -> Iterator[None]:
    """End all processes, the others without a message, if one fails or the first is stopped.

    They tell each other through the store of the launcher, where they met: on a GPU they may wait
    where no signal reaches them.
    """
    die_with_parent()
    address = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = dist.TCPStore(*address, is_master=False)  # type: ignore[attr-defined]  # it is there
    own = threading.Event()  # this process has failed, or is done

    def tell() -> None:
        own.set()
        with contextlib.suppress(RuntimeError):
            store.set(FAILED, "")

    def end_with_others() -> None:
        with contextlib.suppress(RuntimeError):  # the store has ended, and with it the first node
            while not own.wait(LOOK_SECONDS) and not store.check([FAILED]):
                pass
        if not own.is_set():
            end_at_once(0)

    at_sudden_end.append(tell)
    look = threading.Thread(target=end_with_others, daemon=True)
    look.start()
    try:
        yield
    except BaseException as error:
        if not first:
            time.sleep(3)  # this failure may follow from that of the first process
        # One that is stopped leaves the first its time to save the state.
        if first or (isinstance(error, Exception) and not isinstance(error, StoppedError)):
            tell()
        raise
    finally:
        own.set()
        look.join()  # at its end, Python aborts a thread that is in the store
