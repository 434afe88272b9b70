"""Threads and processes of a job, on the CPUs that there are."""

import contextlib
import ctypes
import logging
import os
import platform
from pathlib import Path

from vie.runtime.errors import VieError
from vie.runtime.gpus import take_gpus

log = logging.getLogger(__name__)
WAITING_BYTES = 4 * 10**9  # of all batches that a loader has ready
TEST_CLIPS = 128  # of a batch in testing, about
VIDEOS_AHEAD = 4  # decoded or waiting to be written, for each process that extracts frames
PROMISED = "VIE_CORES"  # environment variable: the --cores of the Snakemake that runs this job
DRIVER = Path("/proc/driver/nvidia/version")  # exists if NVIDIA's driver is loaded


def available_threads(threads: int) -> int:
    """Threads of a job that was given `threads` of Snakemake's cores, on the CPUs that there are.

    With `snakemake --cores 8` on two CPUs, a job with eight cores may use both CPUs. A job with
    four uses one, and leaves the other to the second job that runs beside it. A job has at least
    one thread.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    promised = max(cpus, int(os.environ.get(PROMISED, cpus)))
    at_once = max(1, promised // threads)
    return max(1, min(threads, cpus // at_once))


def use_threads(threads: int, gpus: int = 1) -> int:
    """Let torch compute with the usable threads; returns how many processes should load clips.

    Without `gpus` the job keeps to the CPU, whatever the machine has. With them it takes those that
    no other job has (`vie.runtime.gpus`).

    Loading keeps pace with a GPU only if it has the job's cores to itself. On the CPU it competes
    with the network: below four threads, loading in between the steps is faster.

    Raises:
        VieError: SLURM has given the job a GPU that torch cannot use, or the machine has fewer GPUs
            than several that are asked for.
    """
    import torch

    keep_freed_memory()
    if not gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:
        take_gpus(gpus)  # before CUDA looks which there are
        if not torch.cuda.is_available():
            _speak_of_unusable_gpu()
    threads = available_threads(threads)
    torch.set_num_threads(threads)
    return loader_workers(threads, gpu=torch.cuda.is_available())


def loader_workers(threads: int, *, gpu: bool) -> int:
    """Processes that load clips in a job that may use `threads`."""
    return threads - 1 if gpu else threads // 4


def _speak_of_unusable_gpu() -> None:
    """Refuse, or warn of, a GPU that torch cannot use: training on CPUs would take weeks."""
    if not DRIVER.exists() or os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        return
    import torch

    problem = (
        "this machine has an NVIDIA driver, but torch can use no GPU: is the driver too old for "
        f"CUDA {torch.version.cuda}? nvidia-smi says which it is for. Without GPUs: --config gpus=0"
    )
    if os.environ.get("SLURM_JOB_GPUS"):
        raise VieError(problem)
    log.warning(problem)


def batches_ahead(workers: int, batch_bytes: int) -> int:
    """Batches that each loading process keeps ready: 1 to 4, fewer if they are large.

    At the paper's scale a batch of SlowFast has 154 MB.
    """
    return max(1, min(4, WAITING_BYTES // max(1, workers * batch_bytes)))


def keep_freed_memory() -> None:
    """Let glibc reuse large blocks instead of giving them back to the system at every free.

    Batches have tens of megabytes, and clearing fresh pages for each costs about a fifth of the
    time on a CPU. With other C libraries than glibc this does nothing.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD, M_MMAP_MAX of malloc.h
    if platform.libc_ver()[0] == "glibc":
        with contextlib.suppress(OSError, AttributeError):
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(trim_threshold, 2**31 - 1)
            mallopt(mmap_max, 0)
