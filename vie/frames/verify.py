"""All frames of an index, read and compared with their checksums.

uv run python -m vie.frames.index --verify resources/*/*/index.parquet
"""

import argparse
from collections import Counter
from pathlib import Path

from vie.frames.index import Index, load_index
from vie.frames.motion import Motion
from vie.runtime.errors import VieError
from vie.runtime.progress import progress


def verify(path: Path) -> tuple[Index, list[str]]:
    """Read all that belongs to an index: the index, all frames of its videos, the motion if there
    is some.

    Returns:
        The index, and what is wrong: of each video the first frame that is not as it was extracted.

    Raises:
        VieError: the index itself is damaged.
    """
    index, problems = load_index(path), []
    for instance in progress(range(len(index)), total=len(index), label=str(path), unit="videos"):
        try:
            index.read_frames(instance, range(int(index.n_frames[instance])))
        except VieError as error:
            problems.append(str(error))
    if (motion := path.parent / "motion.npy").exists():
        try:
            Motion(motion, index)
        except VieError as error:
            problems.append(str(error))
    return index, problems


def main(arguments: list[str]) -> None:
    """Read the command line, verify, and say what is wrong.

    Raises:
        VieError: something is.
    """
    parser = argparse.ArgumentParser(prog="python -m vie.frames.index", description=__doc__)
    parser.add_argument(
        "--verify", nargs="+", type=Path, required=True, metavar="INDEX", help="index.parquet"
    )
    damaged = Counter[str]()
    for path in parser.parse_args(arguments).verify:
        try:
            index, problems = verify(path)
        except VieError as error:
            problems = [str(error)]
        else:
            print(f"{path}: {len(index)} videos, {index.n_frames.sum()} frames read")
        for problem in problems:
            print(problem)
            damaged[str(path)] += 1
    if damaged:
        raise VieError(", ".join(f"{path}: {n} damaged" for path, n in damaged.items()))
