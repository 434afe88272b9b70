"""What jobs and Snakemake load before they begin: each library costs every one of them seconds."""

import json
import subprocess
import sys

TRAINS = """
import json, sys
from pathlib import Path
from tests.loading import data_of
from vie.engine.run import Run
from vie.pretrain import PretrainOutputs, pretrain
recipe, dataset, folder = json.loads(sys.argv[1])
folder = Path(folder)
outputs = PretrainOutputs(folder / "end.pt", folder / "end.jsonl")
for steps in (2, 4):  # the second goes on from the state of the first
    recipe["schedule"]["instance_recognition"] = f"{steps} steps"
    run = Run(folder / "state", seed=0, name="test", gpus=0)
    pretrain(recipe, "instance_recognition", data_of(Path(dataset)), run, outputs)
"""
LOADS = "\nprint({packages} & set(sys.modules))"
# torch._dynamo is torch's compiler, which sympy and triton belong to.
RARE = {"torch._dynamo", "sympy", "triton", "torchvision", "faiss", "cv2", "accelerate"}
TABLES = {"pandas", "matplotlib", "scipy", "sklearn", "snakemake", "pydantic"}


def loaded(code, packages, *arguments, folder=None):
    """Which of some packages a process has loaded after running `code`."""
    code += LOADS.format(packages=packages)
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_training_loads_neither_compiler_nor_what_tables_need(recipe, small_dataset, tmp_path):
    recipe["schedule"]["lr_drops"] = []
    arguments = json.dumps([recipe, str(small_dataset), str(tmp_path)])
    assert loaded(TRAINS, RARE | TABLES, arguments) == "set()"
    rows = (tmp_path / "end.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["step"] >= 3


def test_planning_loads_no_torch(copy):
    code = "import sys\nfrom snakemake.cli import main\n"
    code += "try: main(['-n', '--quiet', 'all', '--cores', '2', 'results/table_s1.csv'])\n"
    code += "except SystemExit as end: assert not end.code"
    assert loaded(code, {"torch", "torchvision", "cv2", "faiss"}, folder=copy) == "set()"
