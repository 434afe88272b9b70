"""The table, the time, and the refusal."""

import collections
import csv
import shutil

import pytest

from vie.plan import report
from vie.plan.costs import Cost
from vie.plan.model import Work

Usage = collections.namedtuple("Usage", "total used free")


def test_rows_add_up(job):
    jobs = [job("frames", number=0), job("frames", number=1), job("all", number=2)]
    costs = {0: Cost(3600, 2, disk=1e9), 1: Cost(1800, 2, disk=1e9), 2: Cost(0, 0)}
    frames, total = report.rows_of(jobs, costs)
    assert (frames.jobs, frames.disk, frames.cpu_hours) == (2, 2e9, 3)
    assert (total.jobs, total.gpu_hours) == (2, 0)
    assert frames.cells() == ("frames", "2", "2 GB", "1 GB", "3", "-")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1234, "1.23 kB"), (999_600, "1 MB"), (1.92e12, "1.92 TB")],
)
def test_bytes_in_words(count, words):
    assert report.size(count) == words


@pytest.fixture
def diamond(job):
    """0 -> 1 and 2 -> 3, two cores each; 1 takes longer than 2 and is more important."""
    jobs = [
        job("a", 2, number=0),
        job("b", 2, number=2, needs=[0]),
        job("b", 2, number=1, needs=[0], priority=1),
        job("c", 2, number=3, needs=[1, 2]),
    ]
    seconds = {0: 1, 1: 10, 2: 4, 3: 2}
    return jobs, {number: Cost(s, 2, gpus=1) for number, s in seconds.items()}


def test_the_longest_chain(diamond):
    assert report.longest_chain(*diamond) == 1 + 10 + 2


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"cores": 4, "cpus": 4, "gpus": 2}, 13),
        ({"cores": 4, "cpus": 4, "gpus": 1}, 17),
        ({"cores": 4, "cpus": 2, "gpus": 2}, 17),
        ({"cores": 2, "cpus": 4, "gpus": 2}, 17),
        ({"cores": 1, "cpus": 1, "gpus": 1}, 17),  # jobs are given fewer, and go on
    ],
)
def test_the_time_on_one_machine(diamond, limits, seconds):
    assert report.makespan(*diamond, **limits) == seconds


@pytest.fixture
def writing(job, tmp_path):
    """Two jobs that leave 300 and 100 bytes, the second with 50 in passing."""
    jobs = [
        job("frames", number=0, outputs=("resources/x",)),
        job("probe", number=1, outputs=("results/y",)),
    ]
    return jobs, {0: Cost(1, 1, disk=300), 1: Cost(1, 1, disk=100, passing=50)}, tmp_path


def test_folders_on_one_disk_share_it(writing, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1000, 550, 450))
    (place,) = report.places(*writing)
    assert place.needed == 450
    assert not place.fits  # a fiftieth of the disk, 20 bytes, is left alone
    assert "needs 450 B and has 430 B free" in report.refusal([place])
    assert "frames.shorter_side" in report.refusal([place])


def test_a_link_leads_to_the_disk_that_counts(writing, monkeypatch, tmp_path_factory):
    jobs, costs, root = writing
    other = tmp_path_factory.mktemp("other disk")
    (root / "resources").symlink_to(other)
    asked = []
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: asked.append(folder) or Usage(1000, 0, 1000)
    )
    report.places(jobs, costs, root)
    assert asked == [other.resolve()]  # one file system here; the first folder stands for it
    assert report.existing(root / "results" / "deep" / "er") == root.resolve()


def test_a_line_for_every_job(writing, tmp_path):
    jobs, costs, _ = writing
    report.write_csv(jobs, costs, tmp_path / "plan.csv")
    rows = list(csv.DictReader((tmp_path / "plan.csv").open()))
    assert [row["rule"] for row in rows] == ["frames", "probe"]
    assert rows[1]["disk_bytes"] == "100"


@pytest.mark.parametrize(
    ("gpus", "threads"),
    [(1, 9), (4, 4 * (1 + 8)), (8, 8 * (1 + 6))],  # 8, 32 and 47.9 workers in all, whole ones each
)
def test_threads_that_keep_gpus_busy(config, model, job, gpus, threads):
    """800 s of loading beside 100 s of one GPU; 1/4 and 1/8 of that of several, and 4.2 s that
    they do not share for eight."""
    machine = model(config, device="cuda", cores=16, cpus=16)
    machine.limits["x"] = ("loading", Work(800, 100, 4.2 if gpus == 8 else 0))
    (line,) = report.limits_of(machine, [job("pretrain", 4, gpus=gpus)])
    assert f"{threads} threads keep" in line
    assert ("one for each GPU" in line) == (gpus > 2)  # of the 4 threads that the config asks for
