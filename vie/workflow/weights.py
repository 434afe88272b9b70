"""Files whose weights a recipe takes over."""

from pathlib import Path

from vie.config.settings import weights_file
from vie.runtime.errors import VieError
from vie.workflow.paths import Experiment


def weights_files(experiment: Experiment, recipe: str, seed: str | int) -> list[str]:
    """The file that `weights` of a recipe names, and the shards beside an `.index`.

    What was imported needs them no more: they may be deleted.

    Raises:
        VieError: the file is not there, and was not imported before.
    """
    settings = experiment.recipes[recipe]
    path = weights_file(settings)
    if _is_missing(experiment, recipe, seed):
        what = "a folder, not a file" if path.is_dir() else "no such file"
        raise VieError(
            f"{path}: {what} of weights. See the config's `recipes.{recipe}.weights` "
            f"({settings['weights']!r}); a path is relative to {Path.cwd()}"
        )
    files = [path]
    if path.suffix == ".index" and path.exists():
        beside = sorted(path.parent.iterdir())
        files += [file for file in beside if file.name.startswith(f"{path.stem}.data-")]
    return [str(file) for file in files]


def missing_weights(experiment: Experiment) -> dict[str, Path]:
    """{recipe: its file} of the files that are not there and are needed."""
    return {
        name: weights_file(experiment.recipes[name])
        for name in experiment.imported_recipes()
        if any(_is_missing(experiment, name, seed) for seed in experiment.config["seeds"])
    }


def _is_missing(experiment: Experiment, recipe: str, seed: str | int) -> bool:
    made = Path(experiment.final_checkpoint(recipe, seed))
    return not weights_file(experiment.recipes[recipe]).is_file() and not made.exists()
