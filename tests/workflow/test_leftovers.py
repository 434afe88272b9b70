"""Copies of scripts that a killed Snakemake left."""

import os
import subprocess
import sys
import time

from vie.workflow.leftovers import remove_scripts


def test_scripts_that_no_process_runs_are_removed(tmp_path):
    names = ("tmp1a2b.probe.py", "tmp3c4d.probe.py", "tmp5e6f.probe.py", "mine.py")
    left, used, young, mine = (tmp_path / name for name in names)
    for path in (left, used, young, mine):
        path.write_text("import sys, time; print(flush=True); time.sleep(600)")
        if path != young:
            os.utime(path, (time.time() - 100,) * 2)
    with subprocess.Popen([sys.executable, str(used)], stdout=subprocess.PIPE) as run:
        run.stdout.readline()
        remove_scripts(tmp_path, at_least_seconds=50)
        run.kill()
    assert sorted(tmp_path.iterdir()) == sorted([used, young, mine])
    remove_scripts(tmp_path / "absent", at_least_seconds=0)
