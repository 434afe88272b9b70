"""The whole config, typed. `config.yaml` is the default, `experiments/` holds overlays.

`Config.model_validate` fills in defaults: each recipe gets an evaluation of its own name, and
patterns in tables become the names that they match. `Config.as_dict` is the same for equal configs.
"""

import fnmatch
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from vie.config.datasets import Dataset
from vie.config.evaluations import (
    Evaluation,
    Features,
    Finetuning,
    ImageProbe,
    Probe,
    Table,
    Tables,
)
from vie.config.fields import (
    ClipNumbers,
    Model,
    Name,
    NoRepeats,
    OneOf,
    Seed,
    Text,
    spacing,
    whole,
)
from vie.config.recipes import ClassPath, Encoder, Objective, Recipe, Schedule
from vie.config.settings import BOARDS, PRECISIONS, TENSORBOARD

Processors = Annotated[int, *whole(ge=1, le=1024)]


class Threads(Model):
    """Threads that a job may use.

    Snakemake lowers them to --cores. Where --cores is more than the machine has, jobs share what
    it has, in proportion.
    """

    videos: Processors
    """writing the embedded videos"""
    frames: Processors
    """one shard of frames: so many ffmpeg run at once"""
    pretrain: Processors
    """pretraining, loading included"""
    probe: Processors
    """one linear probe, loading included"""
    finetune: Processors
    """finetuning or training from scratch, loading included"""


class Config(Model):
    """Everything that an experiment is made of."""

    experiment: Annotated[Text, Field(max_length=100, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]*$")] = (
        Field("demo", examples=["demo", "kinetics400-half"])
    )
    """name of the experiment, which becomes a folder of results/: letters, digits, _ and -"""
    dataset: Text
    """name in datasets: what networks are pretrained and evaluated on"""
    seeds: list[Annotated[Seed, Field(description="one seed")]] = Field(
        min_length=1, max_length=100, examples=[[0, 1, 2]]
    )
    """seeds of networks, pretraining and evaluations; tables average over them"""
    gpus: Annotated[int, *whole(ge=0, le=64)] = 1
    """GPUs of one pretraining job, which share each batch; all other jobs that train have one. 1: a
    GPU if the machine has one, else the CPU. 0: always the CPU"""
    nodes: Annotated[int, *whole(ge=1, le=64)] = 1
    """nodes of a SLURM cluster for one pretraining job, each with its gpus and threads; they share
    each batch"""
    precision: Annotated[str, OneOf(PRECISIONS)] = "bf16"
    """of networks on a GPU. bf16: autocast, where the GPU has it; tf32: convolutions in TF32;
    float32: neither. On CPUs, and for losses and the memory bank, always float32"""
    datasets: dict[Name, Dataset] = Field(min_length=1)
    """datasets by name; a name becomes a folder of resources/"""
    roots: dict[Name, Annotated[Text, Field(description="folder of one dataset")]] = Field({})
    """folders of datasets, by their names: the paths of their videos and annotations are relative
    to them"""
    objectives: dict[Name, ClassPath] = Field({})
    """objectives of your own: a name for schedule, and the class that stands for it. Its settings
    stand in objective, under the same name"""
    networks: dict[Name, ClassPath] = Field({})
    """networks of your own: a name for encoder.network, and the callable that builds it from the
    settings of encoder"""
    recipes: dict[Name, Recipe] = Field(min_length=1)
    """pretrained models by name; a new one needs no new rule"""
    evaluations: dict[Name, Evaluation] = Field({})
    """rows of tables, by name. Each recipe has one of its own name and clip, unless one of that
    name stands here"""
    probe: Probe
    image_probe: ImageProbe | None = None
    """linear probes on images; null in an overlay takes them away"""
    finetuning: Finetuning
    features: Features = Features()
    tables: Tables
    ablations: list[Annotated[Text, Field(description="a folder of overlays")]] = Field([])
    """folders of small overlays that change one recipe each: rows of results/ablations.csv
    (docs/ablations.md). Where two folders have files of one name, the later one refines the
    earlier one. Paths are relative to the clone, or to the current folder"""
    threads: Threads
    report_to: Annotated[
        list[Annotated[str, OneOf(BOARDS), Field(description="one of them")]], *NoRepeats
    ] = Field([TENSORBOARD])
    """what shows the metrics of trainings: TensorBoard, and trackers of Accelerate such as wandb or
    mlflow, whose packages have to be installed (docs/architecture.md). It changes no result"""
    licence: Text | None = None
    """licence of the encoders that are made, as their files and model cards say it; it depends on
    the videos too. Of imported weights, the licence in their file wins"""

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_unknown(cls, data: Any, handler: ModelWrapValidatorHandler["Config"]) -> "Config":
        """Refuse keys of recipes that neither the models nor the user's own code know."""
        problems = [
            InitErrorDetails(type="extra_forbidden", loc=place, input=None)
            for place in _unknown(data)
        ]
        places = {problem["loc"] for problem in problems}
        try:
            config = handler(data)
        except ValidationError as error:
            problems += [
                InitErrorDetails(
                    type=PydanticCustomError(one["type"], "{text}", {"text": one["msg"]}),
                    loc=one["loc"],
                    input=one["input"],
                )
                for one in error.errors(include_url=False, include_context=False)
                if one["loc"][:4] not in places
            ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return config

    @model_validator(mode="after")
    def _complete(self) -> "Config":
        """Fill in what goes without saying."""
        for recipe in self.recipes.values():
            own = self.objectives | self.networks
            used = {recipe.encoder.network, *(recipe.schedule.model_extra or {})}
            recipe.classes = {name: own[name] for name in sorted(used & set(own))} or None
        self.evaluations = {
            name: Evaluation(
                label=recipe.label, recipe=name, clip=_anywhere(recipe.clip), weights="trained"
            )
            for name, recipe in self.recipes.items()
        } | self.evaluations
        tables: list[Table | None] = [getattr(self.tables, name) for name in Tables.model_fields]
        for table in filter(None, tables):
            rows: list[str] = []
            for pattern in table.evaluations:
                matching = [n for n in self.evaluations if fnmatch.fnmatchcase(n, pattern)]
                rows += [name for name in matching or [pattern] if name not in rows]
            table.evaluations = rows
        return self

    def as_dict(self) -> dict[str, Any]:
        """Plain mappings and lists; fixed keys in the order of the models, no key without value."""
        return self.model_dump(exclude_none=True)


def _unknown(data: Any) -> Iterator[tuple[str, ...]]:
    """Places of keys that a recipe cannot have."""
    whole = _mapping(data)
    objectives, networks = _mapping(whole.get("objectives")), _mapping(whole.get("networks"))
    for name, recipe in _mapping(whole.get("recipes")).items():
        for key, model in (("encoder", Encoder), ("objective", Objective), ("schedule", Schedule)):
            given = _mapping(_mapping(recipe).get(key))
            known = {*model.model_fields, *(objectives if model is not Encoder else ())}
            if model is not Encoder or str(given.get("network")) not in networks:
                yield from (("recipes", name, key, k) for k in given if k not in known)


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _anywhere(clip: str | ClipNumbers) -> str | ClipNumbers:
    """The clip of a recipe's own evaluation: its longest window, wherever the video moves."""
    found = spacing(clip)
    if not found.windows:
        return clip
    return ClipNumbers(frames=found.frames, stride=(found.span - 1) / max(found.frames - 1, 1))
