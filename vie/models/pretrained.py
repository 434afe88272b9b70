"""Networks that come with vie: encoders of one seed of an experiment, small enough to ship.

`docs/make_pretrained.py` writes them from the experiment's encoder files.
"""

import os
from pathlib import Path

from vie.config.settings import STATE
from vie.runtime.errors import VieError

FOLDER = Path(__file__).parents[1] / "pretrained"  # <experiment>/<recipe>.safetensors


def pretrained() -> dict[str, Path]:
    """The file of each network by its name, "<experiment>/<recipe>"."""
    files = sorted(FOLDER.glob(f"*/*{STATE}"))
    return {path.relative_to(FOLDER).with_suffix("").as_posix(): path for path in files}


def located(name: str | Path) -> Path:
    """A path as it is, or, where there is no such file, that of the network of this name.

    Raises:
        VieError: it is neither.
    """
    path = Path(name)
    if os.path.isfile(path):  # False, too, of names that no file can have
        return path
    if str(name) and os.path.isdir(path):
        raise VieError(f"{path} is a folder: name the file of an encoder")
    known = pretrained()
    if path.as_posix() not in known:
        raise VieError(
            f"{path}: no such checkpoint, nor a network that comes with vie ({', '.join(known)})"
        )
    return known[path.as_posix()]
