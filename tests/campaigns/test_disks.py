"""Disks that are full or may not be written, wrong clocks, and two runs in one folder."""

import contextlib
import os
import random
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.campaigns.small_workflow import (
    MADE,
    PARTS,
    SECONDS,
    TARGETS,
    assert_nothing_torn,
    assert_same,
    attempt,
    command,
    copy_of,
    made,
    remove,
    run,
    start,
)

# Snakemake's own files, which it cannot do without, lie on a disk of their own.
OWN = (".snakemake", "benchmarks")
MOUNT = 'mount -t tmpfs -o size={size} tmpfs "$0" && {more} echo ready && exec sleep 100000'


class SmallDisk:
    """A file system in memory, which only this process and what it starts there can see."""

    def __init__(self, folder: Path, size: str = "64m") -> None:
        self.folder = folder
        folder.mkdir()
        own = " ".join(f'mkdir "$0/{name}" && mount -t tmpfs tmpfs "$0/{name}" &&' for name in OWN)
        argv = ["unshare", "-rm", "sh", "-c", MOUNT.format(size=size, more=own), str(folder)]
        self.holder = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.ready = self.holder.stdout.readline() == b"ready\n"
        # The same folder, as processes outside see it.
        self.seen = Path(f"/proc/{self.holder.pid}/root{folder}")

    def inside(self, *argv: str) -> list[str]:
        """A command that sees the disk."""
        enter = ["nsenter", "--target", str(self.holder.pid), "--user", "--mount"]
        return [*enter, "--preserve-credentials", f"--wdns={self.folder}", *argv]

    def do(self, *argv: str) -> None:
        subprocess.run(self.inside(*argv), check=True)

    def fill(self, room: int) -> None:
        """Leave so many bytes free."""
        free = os.statvfs(self.seen)
        with (self.seen / "filler").open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(free.f_bavail * free.f_bsize - room, 1))

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


@contextlib.contextmanager
def small_disk(folder: Path, alone: Path) -> Iterator[SmallDisk]:
    """A small disk with a copy of a finished run."""
    disk = SmallDisk(folder)
    try:
        if not disk.ready:
            pytest.skip("no file system can be mounted here without a user's rights")
        disk.do("cp", "-a", f"{alone}/.", ".")
        yield disk
    finally:
        disk.close()


def part_of(folder: Path) -> tuple[str, tuple[str, ...]]:
    """A rule, each in turn, and what it makes."""
    number = int(folder.name.removeprefix("case"))
    return list(PARTS.items())[number % len(PARTS)]


@pytest.mark.campaign(short=2, long=2 * len(PARTS))
def test_full_disks(campaign, left_alone):
    """There is room for a part of what a rule makes; later there is more."""
    alone, digests, _ = left_alone

    def case(rng: random.Random, folder: Path) -> str:
        rule, gone = part_of(folder)
        log = folder / "log.txt"
        with small_disk(folder / "run", alone) as disk:
            remove(disk.seen, gone)
            sizes = [path.stat().st_size for name in gone for path in files(alone / name)]
            disk.fill(int(rng.random() ** 2 * sum(sizes)))
            argv = disk.inside(*command(disk.folder, targets=gone[:1]))
            code, said = attempt(argv, log)
            if code:
                assert_said(rule, said, "No space left on device. Free some space")
                found = made(disk.seen)
                torn = [name for name in found if found[name] != digests.get(name)]
                assert not torn, f"{rule} left {torn}"
                assert_nothing_torn(disk.seen)
            (disk.seen / "filler").unlink()
            run(argv, log)
            assert_same(disk.seen, digests)
        return "told" if code else "had room"

    campaign.run(case)


def files(path: Path) -> list[Path]:
    return [one for one in [path, *path.rglob("*")] if one.is_file()]


def assert_said(rule: str, said: str, words: str) -> None:
    """A job ended with one sentence that names a file, and without a traceback."""
    told = re.findall(r"^ERROR: (\S+): (.*)$", said, re.M)
    assert told, f"{rule}: {said[-2000:]}"
    assert all(path.startswith(MADE) and text.startswith(words) for path, text in told), told
    assert "Traceback" not in said, f"{rule}: {said[-3000:]}"


@pytest.mark.campaign(short=1, long=6)
def test_read_only_folders(campaign, left_alone):
    alone, digests, _ = left_alone

    def case(rng: random.Random, folder: Path) -> str:
        _, gone = rng.choice(list(PARTS.items()))
        where = rng.choice([".", *OWN, "logs", str(Path(gone[0]).parent)])
        log = folder / "log.txt"
        with small_disk(folder / "run", alone) as disk:
            remove(disk.seen, gone)
            (disk.seen / where).mkdir(parents=True, exist_ok=True)
            if where not in (".", *OWN):  # it is no mount of its own yet
                disk.do("mount", "--bind", where, where)
            target = str(disk.folder / where)
            disk.do("mount", "-o", "remount,bind,ro", target)
            argv = disk.inside(*command(disk.folder, targets=gone[:1]))
            code, said = attempt(argv, log)
            assert code, f"{where} was written: {said[-2000:]}"
            named = "Read-only file system" in said or "Write-protected output" in said
            assert named, f"{where}: {said[-2000:]}"
            assert Path(where).name in said
            assert "Traceback" not in said, f"{where}: {said[-3000:]}"
            disk.do("mount", "-o", "remount,bind,rw", target)
            run(argv, log)
            assert_same(disk.seen, digests)
        return where.split("/")[0]

    campaign.run(case)


@pytest.mark.campaign(short=1, long=5)
def test_clock_jumps(campaign, left_alone):
    """Files are of the past or of the future; whatever that makes Snakemake run changes no bit."""
    alone, digests, _ = left_alone

    def case(rng: random.Random, folder: Path) -> str:
        home, log = copy_of(alone, folder / "run"), folder / "log.txt"
        for name in rng.sample(sorted(digests), 8):
            moment = time.time() + rng.choice([-1, 1]) * rng.uniform(60, 1e8)
            os.utime(home / name, (moment, moment))
        code, said = attempt(command(home), log)
        if code:  # Snakemake does not go on with files of the future
            assert "clock skew" in said, said[-2000:]
            for path in (home / name for part in MADE for name in (home / part).rglob("*")):
                if path.exists() and path.stat().st_mtime > time.time():
                    os.utime(path)
            # What such a job had made is gone; of that, Snakemake makes what is asked for.
            gone = sorted(set(digests) - set(made(home)))
            run(command(home, targets=[*TARGETS, *gone]), log)
        assert_same(home, digests)
        return "told" if code else "the same bits"

    campaign.run(case)


@pytest.mark.campaign(short=1, long=4)
def test_two_runs_in_one_folder(campaign, left_alone):
    """The second one says so and changes nothing."""
    alone, digests, _ = left_alone

    def case(rng: random.Random, folder: Path) -> str:
        home, logs = copy_of(alone, folder / "run"), [folder / "a.txt", folder / "b.txt"]
        gone = PARTS[rng.choice(["pretrain", "probe", "frames", "features"])]
        remove(home, gone)
        argv, runs = command(home, targets=[*TARGETS, gone[0]]), []
        for log in logs:
            runs.append(start(argv, log))
            time.sleep(rng.uniform(0, 4))
        codes = [one.wait(SECONDS) for one in runs]
        said = [log.read_text() for log in logs]
        refused = [text for text, code in zip(said, codes, strict=True) if code]
        assert len(refused) <= 1, [text[-2000:] for text in said]
        assert all("cannot be locked" in text for text in refused), refused[0][-2000:]
        run(argv, logs[0])
        assert_same(home, digests)
        return "one was refused" if refused else "one after the other"

    campaign.run(case)
