"""What stands in for data and weights that are not here, so that a run can be planned before."""

from pathlib import Path

from vie.datasets.layouts import LAYOUTS
from vie.workflow.image_probes import image_dataset
from vie.workflow.paths import Experiment
from vie.workflow.resources import Config
from vie.workflow.videos import annotation, are_found, list_files
from vie.workflow.weights import missing_weights


def stand_ins(config: Config, folder: Path) -> Config:
    """An overlay with empty annotations for the user's datasets that are not here, and empty files
    of weights: an estimate is wanted before the data are. What was made of them needs none.

    Raises:
        VieError: videos that are to be looked for (layout flat) are not here.
    """
    overlay: Config = {}
    experiment = Experiment(config)
    images = [image_dataset(experiment)] if experiment.has_images else []
    for name in [*experiment.datasets_used(), *images]:
        dataset, here = config["datasets"][name], folder / name
        if are_found(config, name):
            list_files(config, name)  # nobody expects how many videos a folder has: it must be here
            continue
        paths = [annotation(config, name, split) for split in dataset["shards"]]
        made = "generator" in dataset or Path("resources", name, "classes.csv").exists()
        if made or all(path.exists() for path in paths):
            continue
        layout = LAYOUTS[dataset["layout"]]
        here.mkdir()
        for path in (layout.annotations(here, here, split) for split in dataset["shards"]):
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
        overlay[name] = {"annotations" if layout.lists else "videos": str(here)}
        print(f"{name} is not here ({paths[0]} is missing); its size is the expected one.")
    recipes: Config = {}
    for name, path in missing_weights(experiment).items():
        empty = folder / f"{name}{path.suffix}"
        empty.touch()
        recipes[name] = {"weights": str(empty)}
        print(f"{path}, the weights of {name}, is not here.")
    return {"datasets": overlay, "recipes": recipes}
