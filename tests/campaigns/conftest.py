"""Campaigns: many random cases of one kind, each of which must survive.

    uv run pytest -m campaign --campaigns short            # minutes, as .ci/run does
    uv run pytest -m campaign --campaigns long             # hours
    uv run pytest ... --campaign-seed 7 --campaign-case 12 # one case again, alone

A case's random numbers are addressed by (campaign, seed, number of the case), so a case that is run
alone is the same one. docs/make_reliability.py writes docs/reliability.md from the reports.
"""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from vie.runtime.files import write_json

ROOT = Path(__file__).parents[2]
Case = Callable[[random.Random, Path], str]


def commit() -> str:
    """The commit of this clone, marked where files differ from it."""
    shown = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(shown, cwd=ROOT, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Campaign:
    """One campaign: what it runs, and what is told about it.

    A test has the marker `@pytest.mark.campaign(short=20, long=1000)` with numbers of cases.
    """

    node: str  # of the test, as pytest names it
    title: str
    cases: int
    seed: int
    only: int | None  # the number of the only case to run
    folder: Path  # empty; each case has a folder of its own in it
    size: str
    report: Path | None
    say: Callable[[str], None]

    def run(self, case: Case) -> None:
        """Run the cases; all of them, whatever fails.

        `case(rng, folder)` returns its outcome in a few words, of which there are few, such as
        "rejected". It raises AssertionError where the promise does not hold. Any other exception
        is a failure, too.
        """
        began, outcomes, failures = time.monotonic(), Counter[str](), list[tuple[int, str]]()
        numbers = range(self.cases) if self.only is None else [self.only]
        self.say(f"campaign {self.title!r}: seed {self.seed}, {len(numbers)} cases")
        for number in numbers:
            folder = self.folder / f"case{number}"
            folder.mkdir()
            try:
                outcomes[case(random.Random(f"{self.title}/{self.seed}/{number}"), folder)] += 1
            except Exception as error:
                if self.only is not None:
                    raise
                failures.append((number, f"{type(error).__name__}: {error}"))
                if len(failures) == 1:
                    self.say(f"first failure, case {number}: {failures[0][1][:2000]}")
                    self.say(f"again, alone: {self.again(number)}")
        self.end(outcomes, failures, time.monotonic() - began)

    def again(self, number: int) -> str:
        """The command that runs one case alone."""
        options = f"--campaigns {self.size} --campaign-seed {self.seed} --campaign-case {number}"
        return f"uv run pytest '{self.node}' {options}"

    def end(self, outcomes: Counter[str], failures: list[tuple[int, str]], seconds: float) -> None:
        """Tell what came out, and fail if a case failed."""
        survived = sum(outcomes.values())
        total = survived + len(failures)
        told = ", ".join(f"{name} {count}" for name, count in outcomes.most_common())
        self.say(f"{survived} of {total} survived in {seconds:.0f} s: {told}")
        if self.report and self.only is None:
            content = {
                "title": self.title,
                "test": self.node,
                "seed": self.seed,
                "size": self.size,
                "commit": commit(),
                "date": str(date.today()),
                "cases": total,
                "survived": survived,
                "outcomes": dict(outcomes.most_common()),
                "failures": [{"case": n, "error": text[:500]} for n, text in failures[:20]],
                "seconds": round(seconds, 1),
            }
            self.report.mkdir(parents=True, exist_ok=True)
            write_json(content, self.report / f"{self.title.replace(' ', '_')}.json")
        if failures:
            listed = "\n".join(f"case {n}: {text[:300]}" for n, text in failures[:10])
            pytest.fail(
                f"{len(failures)} of {total} cases failed, the first ones:\n{listed}\n"
                f"again, alone: {self.again(failures[0][0])}",
                pytrace=False,
            )


@pytest.fixture
def campaign(request, tmp_path, capsys):
    """The campaign of a test; its title is the test's name."""
    option, marker = request.config.getoption, request.node.get_closest_marker("campaign")
    size = option("campaigns") or "short"

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", flush=True)

    report = option("campaign_report")
    return Campaign(
        node=request.node.nodeid,
        title=request.node.name.removeprefix("test_").replace("_", " "),
        cases=marker.kwargs[size],
        seed=option("campaign_seed"),
        only=option("campaign_case"),
        folder=tmp_path,
        size=size,
        report=Path(report) if report else None,
        say=say,
    )


@pytest.fixture(scope="session")
def left_alone(tmp_path_factory):
    """(folder, digests of what it made, seconds) of the small workflow, run without a disturbance.

    Nothing may be changed there.
    """
    from tests.campaigns import small_workflow

    home, began = tmp_path_factory.mktemp("alone") / "run", time.monotonic()
    small_workflow.run(small_workflow.command(home), home.with_name("log.txt"))
    return home, small_workflow.made(home), time.monotonic() - began
