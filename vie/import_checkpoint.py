"""The authors' released network as a checkpoint of vie.

`uv run python -m vie.import_checkpoint checkpoint-1450000.tar vie_3dresnet.pt`
"""

import argparse
import logging
import sys
from pathlib import Path

from vie.config.load import load_config
from vie.models.release import read_release
from vie.runtime import torch_files
from vie.runtime.errors import VieError

HERE = Path(__file__).parents[1]
CONFIGS = [HERE / "config.yaml", HERE / "experiments" / "kinetics400.yaml"]


def main(arguments: list[str]) -> None:
    """Read the command line, write the checkpoint.

    Raises:
        VieError: the file is damaged or another network's, the recipe is unknown, or the output
            is there already.
    """
    parser = argparse.ArgumentParser(prog="python -m vie.import_checkpoint", description=__doc__)
    parser.add_argument("release", type=Path, help="the released .tar, or an unpacked .index")
    parser.add_argument("checkpoint", type=Path, help="file to write, such as vie_3dresnet.pt")
    parser.add_argument("--index", type=Path, help="index.parquet of the memory bank's videos")
    parser.add_argument("--recipe", default="vie_3dresnet", help="of the config: clips and crops")
    parser.add_argument(
        "--configfile", type=Path, nargs="+", default=CONFIGS, help="later ones win"
    )
    given = parser.parse_args(arguments)
    recipes = load_config(*given.configfile)["recipes"]
    if given.recipe not in recipes:
        raise VieError(f"--recipe {given.recipe}: the config has {', '.join(recipes)}")
    if given.checkpoint.exists():
        raise VieError(f"{given.checkpoint} is there already: give another name")
    content = read_release(given.release, recipes[given.recipe], given.index)
    torch_files.save(given.checkpoint, content)
    print(f"{given.checkpoint}: step {content['step']}, {content['n_train']} videos")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        main(sys.argv[1:])
    except VieError as error:
        raise SystemExit(f"ERROR: {error}") from None
