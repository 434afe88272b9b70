"""Damaged videos, files that are none, bombs and links, each beside a good video.

Each is indexed or rejected once, with a reason in words; what is indexed has the right pictures, as
far as the container promises anything. Nothing crashes, hangs, takes much memory or is read from
outside the folder.
"""

import contextlib
import multiprocessing
import random
import re
import shutil
import socket
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest

from tests.campaigns import video_inputs as inputs
from tests.campaigns.video_bombs import bomb
from tests.campaigns.video_reading import SEEN, Outcome, be_quiet, compare, read_all
from vie.frames import process
from vie.frames.process import MAX_PIXELS
from vie.workflow import resources

HANGS = 300  # seconds; a case takes one or two, and at most 40 if ffmpeg has to be stopped
# MB that one ffmpeg may take: what a job asks for in each of its threads.
MOST_MEMORY = resources.FFMPEG + MAX_PIXELS * process.BYTES_PER_PIXEL // 10**6
OFF = 8  # of 255: the mean difference from which on a picture is another one
SECRET = "canary-3f8a"  # nothing may show what a file outside says
# What nobody understands without ffmpeg's source.
RIDDLES = ("Cannot determine format", "Attempted to read next track", "does not contain any stream")
MAKERS = (*(inputs.damaged,) * 13, inputs.no_video, inputs.no_video, bomb, bomb)
MAKERS += (inputs.link_or_special, inputs.link_or_special, inputs.strange_name)
# A stream without a length says nothing of a part that is gone at a border of its packets. Share of
# a container's damaged videos that may have lost frames without a word; of all others none.
ENDLESS = {"ts/H.264": 0.05, "mpg/MPEG-1": 0.05}


class Reader:
    """A process that reads folders; a new one where it hangs or dies."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None

    def read(self, videos: Path) -> Outcome:
        if not self.pool:
            spawn = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(1, spawn, initializer=be_quiet)
        try:
            outcome: Outcome = self.pool.submit(read_all, videos).result(HANGS)
        except TimeoutError:
            for process in (*self.pool._processes.values(),):
                process.kill()
            self.close()
            raise AssertionError(f"hangs: nothing came in {HANGS} s") from None
        except BrokenProcessPool:
            self.close()
            raise AssertionError("the process that reads videos died") from None
        if outcome.kilobytes > MOST_MEMORY * 1000:  # the next case counts anew
            self.close()
        return outcome

    def close(self) -> None:
        if self.pool:
            self.pool.shutdown(cancel_futures=True)
        self.pool = None


@pytest.fixture(scope="module")
def server():
    """A server that counts those who ask it: (its address, the socket)."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


@pytest.fixture(scope="module")
def sources(tmp_path_factory, server):
    """Undamaged videos, a server's address and a file outside that no case may read."""
    folder = tmp_path_factory.mktemp("sources")
    secret = folder / "secret.txt"
    secret.write_text(f"{SECRET}\n" * 30)
    return inputs.Sources(folder, server[0], secret)


@pytest.fixture(scope="module")
def reader():
    one = Reader()
    yield one
    one.close()


@pytest.fixture(scope="module")
def undamaged(sources, reader, tmp_path_factory):
    """The pictures of the undamaged video of a kind, which are those that it was made of."""
    made = inputs.moving_pictures()
    height, width = made.shape[1] // SEEN[1], made.shape[2] // SEEN[0]
    small = made.reshape(len(made), SEEN[1], height, SEEN[0], width, 3).mean((2, 4))
    known: dict[str, np.ndarray] = {}

    def pictures(kind: str) -> np.ndarray:
        if kind not in known:
            folder = tmp_path_factory.mktemp("undamaged") / "videos" / "a"
            folder.mkdir(parents=True)
            shutil.copy(sources.path(kind), folder / "good.mp4")
            outcome = reader.read(folder.parent)
            assert not outcome.rejected, f"undamaged {kind}: {outcome.rejected}"
            assert not outcome.crash, outcome.crash
            assert compare(outcome.indexed["good.mp4"], small, off=16) == "right", kind
            known[kind] = outcome.indexed["good.mp4"]
        return known[kind]

    return pictures


@pytest.mark.campaign(short=80, long=1000)
def test_damaged_videos(campaign, sources, server, reader, undamaged):
    damaged, lost = Counter[str](), Counter[str]()

    def case(rng: random.Random, folder: Path) -> str:
        class_folder = folder / "videos" / "a"
        class_folder.mkdir(parents=True)
        shutil.copy(sources.path("avi/MPEG-4"), class_folder / "good.avi")
        given = rng.choice(MAKERS)(rng, class_folder, sources)
        outcome = reader.read(folder / "videos")
        try:
            result = judged(given, outcome, undamaged)
            assert not [*folder.rglob("unpickled"), *folder.rglob("escaped*")], "code was run"
            with contextlib.suppress(BlockingIOError):
                server[1].accept()[0].close()
                raise AssertionError("a server was asked")
        except AssertionError as error:
            said = str(error).split("\nassert ")[0]  # without pytest's own words
            raise AssertionError(f"{given.like or 'no video'}, {given.what}: {said}") from None
        damaged[given.like or ""] += 1
        if result == "short" and given.like not in ENDLESS:
            raise AssertionError(f"{given.like}, {given.what}: lost frames in silence")
        if result in ("short", "moved", "wrong pictures"):
            lost[given.like] += result == "short"
            result = f"{result} ({given.like})"
        shutil.rmtree(folder)
        return result

    campaign.run(case)
    if sources.lacking:
        campaign.say(f"this ffmpeg cannot write {', '.join(sorted(sources.lacking))}")
    for kind, share in ENDLESS.items():
        # Of few videos, one is more than the share.
        assert lost[kind] <= max(1, share * damaged[kind]), f"{kind}: {lost[kind]}"


def judged(given: inputs.Input, outcome: Outcome, undamaged) -> str:
    """The outcome of a case in a word or two.

    Raises:
        AssertionError: a promise is broken.
    """
    assert not outcome.crash, outcome.crash[-1500:]
    assert not outcome.left, f"stays behind: {outcome.left}"
    assert outcome.kilobytes < MOST_MEMORY * 1000, f"ffmpeg took {outcome.kilobytes >> 10} MiB"
    assert SECRET not in repr(outcome), "a file outside was read"
    if outcome.refusal:
        assert given.strange_name, f"the folder is refused: {outcome.refusal}"
        assert shown(given.name) in outcome.refusal, f"does not name it: {outcome.refusal}"
        return "name refused"
    assert compare(outcome.indexed["good.avi"], undamaged("avi/MPEG-4"), OFF) == "right", "good.avi"
    names = [*outcome.indexed, *(name for name, _ in outcome.rejected)]
    assert sorted(names) == outcome.listed, f"{outcome.listed} are listed, {sorted(names)} came out"
    reasons = [reason for name, reason in outcome.rejected if name == given.name]
    if given.name not in outcome.listed:
        assert not given.any_file or given.strange_name, "a file was passed over"
        # What is no file, or cannot be written down, may be passed over, and the log says so.
        assert shown(given.name) in outcome.log, f"the log does not name it: {outcome.log}"
        return "passed over"
    assert outcome.listed.count(given.name) == 1
    if reasons:
        check_reason(reasons[0])
        return "rejected"
    frames = outcome.indexed[given.name]
    if not given.like:
        return "indexed"
    result = compare(frames, undamaged(given.like), OFF)
    assert result != "longer" or given.may_grow, f"{len(frames)} frames"
    return result


def shown(name: str) -> str:
    """The part of a name that every message can show as it is."""
    return max(re.findall(r"[\w.,' -]+", name.encode("ascii", "ignore").decode()), key=len).strip()


def check_reason(reason: str) -> None:
    """A reason is a sentence in words that says the same on every machine."""
    assert re.search(r"[a-z]{3,}", reason), f"no words: {reason!r}"
    assert "\n" not in reason, f"several lines: {reason!r}"
    assert len(reason) < 400, f"long: {reason!r}"
    assert not re.search(r"@ 0x[0-9a-f]+", reason), f"an address: {reason!r}"
    assert not re.search(r"(^|[\s'\"(:])/\w+/", reason), f"a path: {reason!r}"
    assert "Traceback" not in reason
    for riddle in RIDDLES:
        assert not reason.split(": ", 1)[-1].startswith(riddle), f"a riddle: {reason!r}"
