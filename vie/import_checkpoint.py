"""The authors' released network as a checkpoint of vie.

`uv run python -m vie.import_checkpoint checkpoint-1450000.tar`
"""

import argparse
from pathlib import Path
from typing import Any

import yaml

from vie.config.load import load_config
from vie.config.settings import CHECKPOINT, RELEASE, RELEASED
from vie.models.imported import import_weights
from vie.runtime.errors import VieError
from vie.runtime.home import HOME
from vie.runtime.logs import run_command
from vie.workflow.fingerprint import code_digest
from vie.workflow.versions import version

DEFAULT, PAPER = HOME / "config.yaml", HOME / "experiments" / "kinetics400.yaml"


def main(arguments: list[str]) -> None:
    """Read the command line, write the checkpoint.

    Raises:
        VieError: the file is damaged or another network's, the recipe is unknown, or the output
            is there already or cannot be written.
    """
    parser = argparse.ArgumentParser(prog="python -m vie.import_checkpoint", description=__doc__)
    parser.add_argument("release", type=Path, help="the released .tar, or an unpacked .index")
    parser.add_argument(
        "checkpoint", type=Path, nargs="?", help="file to write; its name with .pt, here, if absent"
    )
    parser.add_argument("--index", type=Path, help="index.parquet of the memory bank's videos")
    parser.add_argument("--recipe", default="vie_3dresnet", help="of the config: clips and crops")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[PAPER],
        help="on top of config.yaml; later ones win",
    )
    given = parser.parse_args(arguments)
    output = given.checkpoint or Path(f"{given.release.stem}.pt")
    try:
        recipe = _recipe([DEFAULT, *given.configfile], given.recipe)
        if output.exists():
            raise VieError(f"{output} is there already: give another name")
        if given.release.is_file() and given.release.suffix not in RELEASE:
            raise VieError(
                f"{given.release} is no {' or '.join(RELEASE)}, as the authors' files (an archive "
                "that is compressed has to be unpacked)"
            )
        if output.suffix != CHECKPOINT:
            raise VieError(f"{output}: a checkpoint of vie ends in {CHECKPOINT}")
        content = import_weights(
            given.release,
            recipe,
            output,
            index=given.index,
            version=version("import"),
            code=code_digest(),
            own_size=True,
        )
    except OSError as error:
        raise VieError(f"{error.filename or output}: {error.strerror or error}") from None
    videos = f", {content['n_train']} videos" if "n_train" in content else ""
    print(f"{output}: step {content['step']}{videos}")


def _recipe(configs: list[Path], name: str) -> dict[str, Any]:
    """A recipe of the authors' network."""
    try:
        recipes: dict[str, dict[str, Any]] = load_config(*configs)["recipes"]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        problem = " ".join(str(error).split())
        raise VieError(f"--configfile {' '.join(map(str, configs))}: {problem}") from None
    fitting = [one for one in recipes if recipes[one]["encoder"]["network"] == RELEASED]
    if name not in recipes:
        raise VieError(f"--recipe {name}: the config has {', '.join(fitting)}")
    if name not in fitting:
        found = recipes[name]["encoder"]["network"]
        raise VieError(
            f"--recipe {name}: its network is {found}, and the authors' is {RELEASED}: name one of "
            f"{', '.join(fitting)}"
        )
    return recipes[name]


if __name__ == "__main__":
    run_command(main)
