"""What a run prints, by Snakemake itself with jobs of a moment."""

import re
import textwrap

from tests.workflow.conftest import call_snakemake

WORKFLOW = """
    import sys
    from vie.workflow.terminal import Terminal

    TERMINAL = Terminal()

    rule all:
        input: expand("{n}.txt", n=range(12))

    rule one:
        output: "{n}.txt"
        log: "logs/{n}.log"
        shell:
            "if [ {wildcards.n} = 7 ] && [ -e fail ]; then"
            "  printf 'INFO: x\\nERROR: the disk is full:\\nmake room\\n(log: {log})\\n' > {log};"
            "  exit 1; fi; touch {output}"

    onstart:
        TERMINAL.install(workflow.dag.needrun_jobs())

    onerror:
        print(TERMINAL.failures(), file=sys.stderr)
"""


def run(folder, *options, **more):
    (folder / "Snakefile").write_text(textwrap.dedent(WORKFLOW))
    return call_snakemake(folder, "--cores", "2", *options, **more)


def test_a_run_prints_how_far_it_is_and_not_each_job(tmp_path):
    printed = run(tmp_path)
    (log,) = (tmp_path / ".snakemake" / "log").iterdir()
    assert "rule one" in log.read_text()
    said = printed.partition("total")[2]
    assert not re.search(r"rule one|jobid|Finished|Select jobs|Execute", said)
    first, *_, last = re.findall(r"\[.*\] (.*)", said)
    assert re.fullmatch(r"0 of 13 jobs are done; running: one \d+, one \d+", first)
    assert last == "13 of 13 jobs are done"


def test_it_ends_with_why_jobs_failed(tmp_path):
    (tmp_path / "fail").touch()
    printed = run(tmp_path, "--keep-going", fails=True)
    assert "CalledProcessError" not in printed
    ending = printed.partition("A job failed.")[2]
    assert "one 7 (logs/7.log):\n  the disk is full:\n  make room\n" in ending
    assert "The same command goes on" in ending
    assert len(ending.splitlines()) < 14


def test_a_dry_run_lists_jobs_as_ever(tmp_path):
    assert "rule one" in run(tmp_path, "-n")
