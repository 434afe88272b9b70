"""Renew docs/reliability.md: run all campaigns and write what they found.

    uv run python docs/make_reliability.py           # hours: as many cases as the page says
    uv run python docs/make_reliability.py --short   # minutes; the page says that it was short
    uv run python docs/make_reliability.py --reports FOLDER   # of a run of pytest before

The last is for reports that `uv run pytest -m campaign --campaigns long --campaign-report FOLDER`
wrote.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

from vie.frames.process import ffmpeg_version

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- generated -->\n", "<!-- end -->\n"


def run(size: str, reports: Path) -> None:
    """Run all campaigns of this clone; a failure is written down, too."""
    command = [sys.executable, "-m", "pytest", "-m", "campaign", "--campaigns", size]
    subprocess.run([*command, "--campaign-report", str(reports)], cwd=ROOT, check=False)


def generated(reports: list[dict]) -> str:
    """What stands between the marks of the page."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"
    lines = [
        f"On a machine with {machine}; {' '.join(ffmpeg_version().split()[:3])}.",
        "",
        "| campaign | size | seed | cases | survived | minutes | date | commit | outcomes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for report in reports:
        outcomes = ", ".join(f"{name}: {count}" for name, count in report["outcomes"].items())
        numbers = report["seed"], report["cases"], report["survived"]
        made = f"{report['seconds'] / 60:.1f}", report["date"], report["commit"]
        about = report["title"], report["size"], *numbers, *made
        lines.append("| " + " | ".join(map(str, (*about, outcomes))) + " |")
    failures = [(report, one) for report in reports for one in report["failures"]]
    lines += ["", "No case failed." if not failures else "Cases that failed:", ""]
    lines += [f"- {r['title']}, case {one['case']}: `{one['error']}`" for r, one in failures]
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """Renew the page."""
    parser = argparse.ArgumentParser(description="Renew docs/reliability.md.")
    parser.add_argument("--short", action="store_true", help="few cases of each campaign")
    parser.add_argument("--reports", type=Path, help="folder of reports that are there already")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reports = arguments.reports or Path(folder)
        if not arguments.reports:
            run("short" if arguments.short else "long", reports)
        found = [json.loads(path.read_text()) for path in sorted(reports.glob("*.json"))]
    if not found:
        sys.exit(f"ERROR: no reports of campaigns in {reports}: {PAGE} stays as it is")
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n{generated(found)}\n{END}{rest.partition(END)[2]}")
    print(PAGE)


if __name__ == "__main__":
    main()
