"""Trains with one or several processes: python -m tests.gpu.processes SETTINGS, as JSON."""

import json
import sys
from pathlib import Path

import torch.distributed as dist

from vie.engine.run import Data, Run
from vie.pretrain import Pretraining, PretrainOutputs, train_stage
from vie.runtime import distributed


def stage(backends, **settings):
    """`train_stage`, which leaves the name of what its process talked through."""
    step = Pretraining.step

    def told(self, number, batch):
        if dist.is_initialized():
            (backends / str(distributed.rank())).write_text(dist.get_backend())
        return step(self, number, batch)

    Pretraining.step = told
    train_stage(**settings)


def main():
    settings = json.loads(sys.argv[1])
    folder = Path(settings["folder"])
    backends = folder / "backends"
    backends.mkdir()
    distributed.launch(
        settings["processes"],
        stage,
        gpus=settings["gpus"],
        backends=backends,
        recipe=settings["recipe"],
        stage="instance_recognition",
        data=Data(Path(settings["index"])),
        run=Run(folder / "state", seed=1, name="test", gpus=settings["gpus"]),
        outputs=PretrainOutputs(folder / "end.pt", folder / "rows.jsonl"),
    )
    print(*(path.read_text() for path in sorted(backends.iterdir())))


if __name__ == "__main__":
    main()
