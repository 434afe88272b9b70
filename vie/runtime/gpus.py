"""GPUs of a machine, shared out among jobs that know nothing of each other.

A job locks a file for each GPU that it takes. The locks are the operating system's: they end with
the job, however it ends, so no job has to clean up after another.
"""

import contextlib
import fcntl
import logging
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from vie.runtime.errors import VieError

log = logging.getLogger(__name__)
FOLDER = Path("/tmp/vie-gpus")  # one for all users: TMPDIR may be another one for each
VISIBLE = "CUDA_VISIBLE_DEVICES"
# Environment variable: the value of `VISIBLE` that this process or its parent has chosen.
DECIDED = "VIE_GPUS"
MOST_JOBS = 64  # on one GPU; more are not counted
PATIENCE = 10.0  # seconds to wait for another job to choose

_held: list[int] = []  # locked files, open until this process ends


def take_gpus(wanted: int) -> None:
    """Choose the GPUs with the fewest jobs, and let CUDA see no others.

    Before CUDA is used in this process. The choice is among the GPUs that `CUDA_VISIBLE_DEVICES`
    names, or all. Processes that this one starts inherit it. In a job of SLURM that has as many
    GPUs as it wants, there is nothing to choose.

    Raises:
        VieError: there are several, but fewer than `wanted`.
    """
    import torch

    if not wanted:
        return
    count = torch.cuda.device_count()  # asks the driver's NVML: CUDA does not look at it yet
    if wanted > 1 and count < wanted:
        raise VieError(f"gpus in the config is {wanted}, but this machine shows {count}")
    job = os.environ.get("SLURM_JOB_ID")
    named = os.environ.get(VISIBLE)
    if not count or os.environ.get(DECIDED) == str(named) or (job and count == wanted):
        return
    names = named.split(",")[:count] if named else [str(number) for number in range(count)]
    # Within a job of SLURM, numbers may be those of its own GPUs.
    folder = FOLDER.with_name(f"{FOLDER.name}-{job}") if job else FOLDER
    try:
        os.environ[VISIBLE] = ",".join(choose([name.strip() for name in names], wanted, folder))
    except OSError as error:
        log.warning("jobs on this machine may take the same GPUs: %s", error)
    os.environ[DECIDED] = str(os.environ.get(VISIBLE))


def choose(names: list[str], wanted: int, folder: Path) -> list[str]:
    """The `wanted` GPUs with the fewest jobs, those first that are first in `names`.

    They are this process's until it ends: it holds a lock for each.

    Args:
        names: of all that may be taken, as `CUDA_VISIBLE_DEVICES` has them.
        folder: of the locks, made if absent. All users may use it.

    Raises:
        OSError: the folder or a lock is not what it should be.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
        folder.chmod(0o1777)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    with _alone(folder):
        jobs = {name: _slots(folder, name) for name in names}
        chosen = sorted(names, key=lambda name: jobs[name][0])[:wanted]
        for name, (_, free) in jobs.items():
            _held.append(free) if name in chosen else os.close(free)
    if max(jobs[name][0] for name in chosen):
        log.info(
            "of GPU %s, at least one has another job too, because all %d that this job may use are "
            "taken. `snakemake --resources gpu=%d` starts no more jobs than there are GPUs",
            *(",".join(chosen), len(names), len(names)),
        )
    return sorted(chosen, key=names.index)


def _slots(folder: Path, name: str) -> tuple[int, int]:
    """How many jobs have a GPU, and a lock, held now, for one more."""
    jobs, free = 0, -1
    for slot in range(MOST_JOBS):
        path = folder / f"{name.replace(os.sep, '_')}.{slot}"
        if free >= 0 and not path.exists():
            break  # no job ever had it, nor those after it
        handle = _open(path)
        if not _locked(handle):
            jobs += 1
            os.close(handle)
        elif free < 0:
            free = handle
        else:
            os.close(handle)
    if free < 0:
        raise OSError(f"all locks of GPU {name} in {folder} are taken")
    return jobs, free


def _open(path: Path) -> int:
    """A file to lock, of whichever user; not where a link or a pipe would lead."""
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_CREAT | os.O_EXCL, 0o644)
        os.fchmod(handle, 0o644)
        os.close(handle)
    # Without O_CREAT: the system may refuse that for a file of another user.
    return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other job chooses, or after `PATIENCE`: whoever keeps the lock stops nobody."""
    handle = _open(folder / "choosing")
    try:
        deadline = time.monotonic() + PATIENCE
        while not _locked(handle) and time.monotonic() < deadline:
            time.sleep(0.05)
        yield
    finally:
        os.close(handle)
