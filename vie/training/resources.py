"""What a job may use of the machine."""

import torch


def use_threads(threads: int) -> int:
    """Let torch compute with `threads` threads; returns how many processes should load clips.

    Loading keeps pace with a GPU only if it has the job's cores to itself; on the CPU it shares
    them with the network. One thread means one process for everything.
    """
    torch.set_num_threads(threads)
    if threads == 1:
        return 0
    return threads - 1 if torch.cuda.is_available() else max(1, threads // 4)
