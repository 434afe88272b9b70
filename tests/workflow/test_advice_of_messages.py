"""What messages advise is followed to the letter, and works."""

import re
import shutil

import pytest

from tests.workflow.conftest import SMOKE, call_snakemake

TARGET = "results/smoke/pretrain/opn/seed0/order_prediction.pt"
TRAIN, VAL = "resources/smoke/train", "resources/smoke/val"
MOTION = f"{TRAIN}/motion.npy"
ADVICE = re.compile(r"delete ([^,]+), and run Snakemake again")


def cut(path):
    path.write_bytes(path.read_bytes()[:700])


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def flip(path):
    """One bit of the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def other_class(path):
    path.write_text(path.read_text().replace("1,", "2,"))


@pytest.fixture(scope="module")
def trained(copy):
    """A workflow that has trained a network, and forgotten that it did."""
    call_snakemake(copy, *SMOKE, "--", TARGET)
    shutil.rmtree(copy / "results")
    return copy


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "damage", "made"),
    [
        (f"{TRAIN}/frames/1-of-2.tar", zeros, []),
        (f"{VAL}/frames/0-of-1.tar", zeros, []),
        (f"{TRAIN}/frames/0-of-2.tar", cut, [f"{TRAIN}/index.sizes.npy"]),
        (f"{TRAIN}/frames/0-of-2.tar", zeros, [MOTION, f"{TRAIN}/motion/0-of-2.npy"]),
        (f"{TRAIN}/frames/0-of-2.parquet", flip, [f"{TRAIN}/index.sizes.npy"]),
        (f"{TRAIN}/frames/0-of-2.rejected.csv", zeros, [f"{TRAIN}/index.sizes.npy"]),
        (f"{TRAIN}/index.sizes.npy", zeros, []),
        (f"{VAL}/index.sizes.npy", cut, []),
        (f"{TRAIN}/index.parquet", flip, []),
        (f"{VAL}/index.parquet", flip, []),
        (MOTION, flip, []),
        (f"{TRAIN}/motion/0-of-2.npy", flip, [MOTION]),
        (f"{TRAIN}/manifest.parquet", flip, [f"{TRAIN}/frames/0-of-2.tar"]),
        ("resources/smoke/classes.csv", other_class, [f"{TRAIN}/manifest.parquet"]),
    ],
)
def test_the_advice_works(trained, tmp_path, file, damage, made):
    """`made`: files that are gone, too, so that a job reads the damaged one."""
    folder = shutil.copytree(trained, tmp_path / "clone", symlinks=True)
    damage(folder / file)
    shutil.copystat(trained / file, folder / file)
    for name in made:
        (folder / name).unlink()
    said = call_snakemake(folder, *SMOKE, "--", TARGET, fails=True)
    assert "Traceback" not in said
    advised = {name for found in ADVICE.findall(said) for name in found.split(" and ")}
    assert advised, said
    for name in advised:
        (folder / name).unlink(missing_ok=True)
    call_snakemake(folder, *SMOKE, "--", TARGET)
    assert (folder / TARGET).stat().st_size
