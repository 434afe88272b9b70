"""What a run prints, by Snakemake itself with jobs of a moment."""

import re
import textwrap
from types import SimpleNamespace

from snakemake_interface_logger_plugins.common import LogEvent

from tests.workflow.conftest import call_snakemake
from vie.workflow.terminal import Terminal

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
    ending = printed.partition("A job did not finish.")[2]
    assert "one 7 (logs/7.log):\n  the disk is full:\n  make room\n" in ending
    assert "The same command goes on" in ending
    assert len(ending.splitlines()) < 14


def record(event, **values):
    return SimpleNamespace(event=event, msg="", getMessage=lambda: "", **values)


def failed(number, log, indent):
    message = "SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. For further error details see ..."
    about = {"jobid": number, "rule_msg": message, "log": [str(log)], "indent": indent}
    return record(LogEvent.JOB_ERROR, **about)


def test_a_group_fails_for_the_reason_of_one_of_its_jobs(tmp_path):
    """As on a cluster, where several shards of frames are one job."""
    jobs = [
        SimpleNamespace(jobid=n, rule=SimpleNamespace(name="frames"), wildcards=[f"{n}-of-2"])
        for n in range(3)
    ]
    terminal = Terminal()
    terminal.install(jobs)
    terminal.filter(record(LogEvent.JOB_STARTED, jobs=["5629918f-7d3e", 2]))
    assert not terminal.filter(record(LogEvent.GROUP_INFO, jobs=jobs[:2]))
    assert terminal.running == {n: f"frames {n}-of-2" for n in range(3)}
    bad, good, killed = (tmp_path / name for name in ("bad.log", "good.log", "killed.log"))
    bad.write_text("ERROR: no space left\n(log: bad.log)\n")
    good.write_text("all is well\n")
    assert terminal.filter(failed(0, bad, indent=True))
    assert not terminal.filter(failed(1, good, indent=True))
    assert terminal.filter(failed(2, killed, indent=False))
    assert not terminal.running
    said = terminal.failures()
    assert "2 jobs did not finish." in said
    for words in ("frames 0-of-2", "no space left", "status is: 'TIMEOUT'. \n"):
        assert words in said
    assert "1-of-2" not in said
    assert "For further" not in said
    terminal.filter(record(LogEvent.JOB_FINISHED, job_id=0))  # another attempt
    assert "A job did not finish." in terminal.failures()


def test_a_group_that_was_killed_is_named_by_its_first_job(tmp_path):
    jobs = [
        SimpleNamespace(jobid=n, rule=SimpleNamespace(name="frames"), wildcards=[f"{n}-of-2"])
        for n in range(2)
    ]
    terminal = Terminal()
    terminal.install(jobs)
    log = tmp_path / "slurm.log"
    log.write_text("slurmstepd: error: exceeded memory limit\n")
    infos = [{"jobid": n, "log": [str(tmp_path / f"{n}.log")]} for n in range(2)]
    about = {"job_error_info": infos, "aux_logs": [str(log)]}
    failure = record(LogEvent.GROUP_ERROR, **about)
    assert terminal.filter(failure)
    assert terminal.format(failure) == f"the group of frames 0-of-2 failed: {log}"
    for info in infos:
        assert not terminal.filter(failed(info["jobid"], info["log"][0], indent=True))
    said = terminal.failures()
    assert "frames 0-of-2" in said
    assert "exceeded memory limit" in said
    terminal.filter(record(LogEvent.JOB_FINISHED, job_id=0))  # another attempt
    assert not terminal.failures()


def test_a_dry_run_lists_jobs_as_ever(tmp_path):
    assert "rule one" in run(tmp_path, "-n")
