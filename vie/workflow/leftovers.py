"""What a Snakemake that was killed leaves behind in its working directory."""

import contextlib
import time
from pathlib import Path

SCRIPTS = Path(".snakemake/scripts")  # Snakemake's copies of scripts, one for each job that runs


def remove_scripts(folder: Path, *, at_least_seconds: float) -> None:
    """Remove copies of scripts that no process of this machine runs.

    Args:
        at_least_seconds: age of what is removed. A job that has begun has read its script; younger
            ones may be of jobs that begin just now, here or on another node.
    """
    used = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            used |= {Path(word).name for word in _words(process / "cmdline")}
    for script in folder.glob("tmp*"):
        with contextlib.suppress(OSError):
            age = time.time() - script.stat().st_mtime
            if script.name not in used and age > at_least_seconds:
                script.unlink()


def _words(cmdline: Path) -> list[str]:
    return cmdline.read_bytes().decode(errors="replace").split("\0")
