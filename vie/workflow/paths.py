"""Which files the rules read and write, and what of the config they depend on.

All of it follows from the config alone. Imports neither torch, pandas nor Snakemake, which runs it
each time it builds the job graph.
"""

from pathlib import Path
from typing import Any

from vie.config.ablations import base_of, without_ablations
from vie.config.clip_frames import clip_frames
from vie.config.layouts import LAYOUTS
from vie.config.recipes import PRETEXTS, STAGES
from vie.config.settings import IMPORTED, UNTRAINED, recipes_of, single_splits, stages
from vie.workflow.instances import instances_index
from vie.workflow.versions import version

Entries = dict[str, dict[str, Any]]
IMAGES_TABLE = "table_1_imagenet"
PIPELINES = {"table_2": "scale_crop", "table_3": "color_jitter"}
PUBLISHED = Path(__file__).parents[1] / "reporting" / "published"  # the paper's values
TRAINED_KEYS = ("objective", "optimiser", "schedule", "min_frames", "instances", "start_from")


class Experiment:
    """Paths and settings of one experiment.

    Arguments of methods are named as Snakemake's wildcards.

    Args:
        config: validated.
        labelled: whether the videos of its dataset have labels.

    Attributes:
        name: of the experiment; all its results are in `folder`.
        dataset: that its networks are pretrained on.
        datasets, recipes, evaluations: the config's entries by name.
        targets: what networks are finetuned on, by name; columns of tables.
        single_splits: the splits of targets that networks are trained on, by name.
        rows: {table: its evaluations, in order}.
    """

    def __init__(self, config: dict[str, Any], *, labelled: bool = True) -> None:
        self.config, self.labelled = config, labelled
        self.name: str = config["experiment"]
        self.folder = f"results/{self.name}"
        self.dataset: str = config["dataset"]
        self.datasets: Entries = config["datasets"]
        self.recipes: Entries = config["recipes"]
        self.evaluations: Entries = config["evaluations"]
        self.targets: Entries = config["finetuning"]["targets"]
        self.single_splits: Entries = single_splits(self.targets)
        self.rows = {table: one["evaluations"] for table, one in config["tables"].items()}

    # Datasets

    def generated(self) -> dict[str, str]:
        """{dataset that the workflow writes: its layout}."""
        return {name: d["layout"] for name, d in self.datasets.items() if "generator" in d}

    def datasets_used(self) -> list[str]:
        """The dataset of pretraining and those that networks are finetuned on."""
        finetuned = [target["dataset"] for target in self.targets.values()]
        return list(dict.fromkeys([self.dataset, *finetuned]))

    @property
    def has_images(self) -> bool:
        """Whether the config has all that a table of probes on images needs."""
        return "image_probe" in self.config and IMAGES_TABLE in self.rows

    def setting(self, key: str) -> Any:
        """A function of a dataset: its setting `key`, None if it has none."""
        return lambda dataset: self.datasets[dataset].get(key)

    def splits(self, dataset: str) -> list[str]:
        """The splits of a dataset: train and val, or all."""
        return sorted(self.datasets[dataset]["shards"])

    def classes_split(self, dataset: str) -> str:
        """The split whose labels are a dataset's classes."""
        return "train" if "train" in self.splits(dataset) else "all"

    def shard_files(self, suffix: str, kind: str = "frames") -> Any:
        """A function of dataset and split: files of all its shards."""

        def files(dataset: str, split: str) -> list[str]:
            shards = self.datasets[dataset]["shards"][split]
            folder = f"resources/{dataset}/{split}/{kind}"
            return [f"{folder}/{shard}-of-{shards}{suffix}" for shard in range(shards)]

        return files

    def every_split(self, file: str) -> Any:
        """A function of a dataset: `file` of each of its splits."""
        return lambda dataset: [
            f"resources/{dataset}/{split}/{file}" for split in self.splits(dataset)
        ]

    def target_file(self, file: str) -> Any:
        """A function of a target: a file of its dataset; of all splits, the first one's."""

        def found(target: str) -> str:
            one = self.single_splits[target]
            return f"resources/{one['dataset']}/{file.format(**one)}"

        return found

    # Pretraining

    def checkpoint(self, recipe: str, seed: str | int, stage: str) -> str:
        """The network at the end of a stage, `untrained`, or `imported`.

        That of an ablation is its base's where both are trained alike so far.
        """
        base = base_of(recipe)
        if base != recipe and self._trained_alike(recipe, base, stage):
            recipe = base
        return f"{self.folder}/pretrain/{recipe}/seed{seed}/{stage}.pt"

    def _trained_alike(self, one: str, other: str, stage: str) -> bool:
        if stage == "untrained":
            return self.encoder(one) == self.encoder(other)
        if stage not in stages(self.recipes[other]):
            return False
        settings = [self.stage_recipe(name, stage) for name in (one, other)]
        starts = [self.previous_checkpoint(name, 0, stage) for name in (one, other)]
        return settings[0] == settings[1] and starts[0] == starts[1]

    def train_index(self, recipe: str) -> str:
        """The index of the instances that a recipe is pretrained on."""
        return instances_index(self.dataset, self.recipes[recipe])

    def final_checkpoint(self, recipe: str, seed: str | int) -> str:
        """The network at the end of a recipe's last stage, or the one that its weights are of."""
        return self.checkpoint(recipe, seed, [IMPORTED, *stages(self.recipes[recipe])][-1])

    def previous_checkpoint(self, recipe: str, seed: str | int, stage: str) -> str | list[str]:
        """What a stage starts from: the previous one, the end of another recipe, or nothing."""
        order = stages(self.recipes[recipe])
        earlier = order[: order.index(stage)]
        if earlier:
            return self.checkpoint(recipe, seed, earlier[-1])
        origin = self.recipes[recipe].get("start_from")
        return self.final_checkpoint(origin, seed) if origin else []

    def motion(self, split: str) -> Any:
        """A function of a recipe: where the videos of a split move, if its clips ask for it."""

        def file(recipe: str) -> str | list[str]:
            windows = clip_frames(self.recipes[recipe]["clip"]).windows
            return f"resources/{self.dataset}/{split}/motion.npy" if windows else []

        return file

    def stage_recipe(self, recipe: str, stage: str) -> dict[str, Any]:
        """What of a recipe the weights at the end of a stage depend on.

        An edit of what only another stage reads must not repeat this one.
        """
        whole = self.recipes[recipe]
        others = {*STAGES, *self.config.get("objectives", {})} - {stage}
        left_out = {*UNTRAINED, "start_from"}  # what it starts from is an input
        needed = {key: value for key, value in whole.items() if key not in left_out}
        for key in needed.keys() & {"objective", "schedule", "classes"}:
            settings = needed[key] or {}
            needed[key] = {k: v for k, v in settings.items() if k not in others}
        return needed

    def encoder(self, recipe: str) -> dict[str, Any]:
        """What of a recipe its untrained network and the description of its input depend on."""
        whole = self.recipes[recipe]
        needed = {key: whole[key] for key in ("encoder", "clip", "geometry", "color_jitter")}
        network = whole["encoder"]["network"]
        if path := (whole.get("classes") or {}).get(network):  # the user's own
            needed["classes"] = {network: path}
        return needed

    def imported_recipes(self) -> list[str]:
        """Recipes whose weights come from a file."""
        return [name for name, one in self.recipes.items() if "weights" in one]

    def imported_recipe(self, recipe: str) -> dict[str, Any]:
        """What of a recipe an imported network says of itself, where its file does not."""
        whole = self.recipes[recipe]
        return self.encoder(recipe) | {key: whole[key] for key in ("objective", "optimiser")}

    def bank_index(self, recipe: str) -> str | list[str]:
        """The videos that rows of an imported memory bank have to be of, if a recipe uses it."""
        used = any(one.get("start_from") == recipe for one in self.recipes.values())
        return self.train_index(recipe) if used else []

    def stages(self) -> list[str]:
        """Stages that some recipe has."""
        found = [stage for recipe in self.recipes.values() for stage in stages(recipe)]
        return list(dict.fromkeys(found))

    def first_recipes(self) -> list[str]:
        """Recipes whose pretraining is begun before the others'."""
        return [name for name, one in self.recipes.items() if one.get("start_first")]

    def pretrained_in(self, table: str) -> list[str]:
        """Recipes whose pretraining a table reads, in order."""
        found = [self.evaluations[name] for name in self.rows[table]]
        names = [name for one in found if one["weights"] == "trained" for name in recipes_of(one)]
        return list(dict.fromkeys(names))

    def curves(self, table: str) -> list[dict[str, Any]]:
        """Metrics of every stage, recipe and seed that a table reads, and what they are of."""
        return [
            {
                "path": self.checkpoint(name, seed, stage).removesuffix(".pt") + ".jsonl",
                "model": self.recipes[name]["label"],
                "network": self.recipes[name]["encoder"]["network"],
                "seed": seed,
                "stage": stage,
            }
            for name in self.pretrained_in(table)
            for seed in self.config["seeds"]
            for stage in stages(self.recipes[name])
        ]

    def pretext_rows(self) -> list[dict[str, str]]:
        """Answers of every pretext recipe and seed, and the model they are of."""
        return [
            {
                "model": recipe["label"],
                "answers": f"{self.folder}/pretext/{name}/seed{seed}/answers.parquet",
                "metadata": f"{self.folder}/pretext/{name}/seed{seed}/metadata.json",
            }
            for name, recipe in without_ablations(self.recipes).items()
            if set(stages(recipe)) & set(PRETEXTS)
            for seed in self.config["seeds"]
        ]

    # Encoders and features

    def first_checkpoint(self, recipe: str) -> str:
        """The finished network of the first seed: of which encoder files are made."""
        return self.final_checkpoint(recipe, self.config["seeds"][0])

    def described_recipe(self, recipe: str) -> dict[str, Any]:
        """What the file of an encoder says of its recipe besides what its checkpoint says: its
        label, and, of one that was trained here, how all of its stages were."""
        whole = self.recipes[recipe]
        keys = ("label",) if "weights" in whole else ("label", *TRAINED_KEYS)
        return {key: whole[key] for key in keys if key in whole}

    def provenance(self, recipe: str) -> dict[str, Any]:
        """What the file of an encoder says of where it comes from, as far as the config knows."""
        whole = self.recipes[recipe]
        dataset = "" if "weights" in whole else self.dataset
        return {
            "experiment": self.name,
            "dataset": dataset or None,
            "official_name": self.datasets.get(dataset, {}).get("official_name"),
            "stages": stages(whole),
        }

    def features(self, recipe: str) -> str:
        """Features of the experiment's own dataset by a finished network of the first seed."""
        seed = self.config["seeds"][0]
        return f"{self.folder}/features/{self.dataset}/{recipe}/trained/seed{seed}.parquet"

    # Evaluations

    def labels(self, table: str) -> dict[str, str]:
        """{evaluation: label} of a table's rows, in order."""
        return {name: self.evaluations[name]["label"] for name in self.rows.get(table, ())}

    def networks(self, evaluation: str, weights: str, seed: str | int) -> list[str]:
        """Checkpoints that an evaluation reads: the end of pretraining, or its start."""
        return [
            self.final_checkpoint(recipe, seed)
            if weights == "trained"
            else self.checkpoint(recipe, seed, "untrained")
            for recipe in recipes_of(self.evaluations[evaluation])
        ]

    def transform(self, evaluation: str) -> dict[str, Any]:
        """Crops and color jitter of an evaluation's clips: its own, or those of its recipe."""
        own = self.evaluations[evaluation]
        recipe = self.recipes[recipes_of(own)[0]]
        return {key: own.get(key, recipe[key]) for key in ("geometry", "color_jitter")}

    def probes(
        self, table: str, file: str, weights: str | None = None, kind: str = "probe"
    ) -> list[str]:
        """`file` of every evaluation and seed of a table, evaluation by evaluation.

        Without `weights` (trained or untrained), each evaluation has its own. `kind` is the folder.
        """
        return [
            f"{folder}/{file}"
            for name in self.rows[table]
            for folder in self.probe_folders(name, weights, kind)
        ]

    def probe_folders(
        self, evaluation: str, weights: str | None = None, kind: str = "probe"
    ) -> list[str]:
        """Folders of an evaluation's results, one per seed; arguments as of `probes`."""
        weights = weights or self.evaluations[evaluation]["weights"]
        place = f"{self.folder}/{kind}/{evaluation}/{weights}"
        return [f"{place}/seed{seed}" for seed in self.config["seeds"]]

    # Versions

    def stage_version(self, recipe: str, stage: str) -> str:
        """Version of a stage of pretraining; a stage is named as its objective."""
        return version("pretrain", stage)

    def layout_version(self, kind: str) -> Any:
        """A function of a dataset: the version of a kind of result that depends on its layout."""
        return lambda dataset: version(kind, self.datasets[dataset]["layout"])

    def frames_version(self, dataset: str) -> str:
        """Version of a dataset's frames: those of videos, or images."""
        images = LAYOUTS[self.datasets[dataset]["layout"]].images
        return version("images" if images else "frames")

    # Tables

    def published_files(self) -> list[str]:
        """What is made if no file is named: one file of each table and plot.

        Videos without labels have no tables; an encoder is made of them, and pictures.
        """
        if not self.labelled:
            return self._unlabelled_files()
        names = ["table_s1", "random_control", "table_1", *PIPELINES, "retrieval"]
        names += [IMAGES_TABLE] if self.has_images else []
        names += ["learning_curves"] if self.curves("table_1") else []
        names += [f"{table}_{target}_classes" for table in PIPELINES for target in self.targets]
        names += ["pretext"] if self.pretext_rows() else []
        names += ["ablations"] if self.config.get("ablations") else []
        names += ["published", *(f"summary_{dataset}" for dataset in self.datasets_used())]
        names += [f"summary_{self.config['image_probe']['dataset']}"] if self.has_images else []
        return [f"results/{name}.csv" for name in names]

    def compared_tables(self) -> list[str]:
        """Tables that findings are read from; files of ablations only where there are any."""
        return ["table_1", *PIPELINES, *(["ablations"] if self.config.get("ablations") else [])]

    def _unlabelled_files(self) -> list[str]:
        rows = [self.evaluations[name] for name in self.rows["retrieval"]]
        recipes = dict.fromkeys(recipes_of(one)[0] for one in rows)
        names = ("encoders/{}.pt", "features/{}.parquet", "neighbours_{}.png", "map_{}.svg")
        own = [f"{self.folder}/{name}".format(one) for one in recipes for name in names]
        curves = ["learning_curves"] if self.curves("retrieval") else []
        return [*own, *(f"results/{name}.csv" for name in (*curves, f"summary_{self.dataset}"))]
