"""How many processes and threads a job really has."""

import os


def usable(threads: int) -> int:
    """`threads`, but no more than the CPUs this process may run on.

    `snakemake --cores 8` on a machine with two would otherwise start eight busy threads on them.
    """
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(threads, cpus or 1))


def use_threads(threads: int) -> int:
    """Let torch compute with the usable threads; returns how many processes should load clips.

    Loading keeps pace with a GPU only if it has the job's cores to itself; on the CPU it shares
    them with the network. One thread means one process for everything.
    """
    import torch

    threads = usable(threads)
    torch.set_num_threads(threads)
    if threads == 1:
        return 0
    return threads - 1 if torch.cuda.is_available() else max(1, threads // 4)
