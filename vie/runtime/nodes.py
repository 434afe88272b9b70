"""Processes on several nodes of one SLURM job.

    job's script on the first node -- srun --> a launcher on each node --> its processes

`srun` passes on signals, messages and the end of a launcher that fails. The launchers get their
work through its standard input, and end when that ends: with the script, however it ends.
"""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading

from vie.runtime.distributed import Work, launch_here
from vie.runtime.errors import VieError
from vie.runtime.logs import job
from vie.runtime.signals import StoppedError, noting_signals
from vie.runtime.workers import end_at_once

# Of the variables of the step that this process runs in, what says which job it is. The others
# would be settings of a step within it.
OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME")


def launch_on_nodes(work: Work, nodes: int) -> None:
    """Run `work` on each node of the job of SLURM that this process runs on the first node of.

    Raises:
        VieError, StoppedError: as `vie.runtime.distributed.launch`.
    """
    if "SLURM_JOB_ID" not in os.environ:
        raise VieError(
            f"nodes in the config is {nodes}, but this is no job of SLURM: use --profile "
            "profiles/slurm, or nodes: 1"
        )
    started: list[subprocess.Popen[bytes]] = []

    def pass_on(number: signal.Signals) -> None:
        for process in started:
            process.send_signal(number)

    content = pickle.dumps((work, nodes, _free_port()))
    with (
        noting_signals(pass_on) as received,
        subprocess.Popen(_command(nodes), env=_environment(), stdin=subprocess.PIPE) as srun,
    ):
        started.append(srun)
        assert srun.stdin is not None
        try:
            srun.stdin.write(content)
            srun.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its exit code says why
        code = srun.wait()
        if received:
            raise StoppedError(f"{nodes} nodes stopped by {received[0].name}")
        if code:
            raise VieError(
                f"training on {nodes} nodes failed; its message is above. If there is none, srun's "
                "is in the log of SLURM's job: a profile must give rule pretrain no other `nodes`"
            )


def _command(nodes: int) -> list[str]:
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")
    # Beside the step of Snakemake, in which this process runs.
    command = ["srun", "--overlap", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    command += ["--kill-on-bad-exit=1", "--cpu-bind=quiet", "--export=ALL"]
    command += [f"--cpus-per-task={cpus}"] if cpus else []
    return [*command, sys.executable, "-m", "vie.runtime.nodes"]


def _environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name in OF_THE_JOB or not name.startswith(("SLURM_", "SRUN_"))
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def _end_with_script() -> None:
    """End when the script does, which writes no more: then its input ends."""
    os.read(sys.stdin.fileno(), 1)
    end_at_once(1)


def main() -> None:
    """The launcher of one node; its input has what to do."""
    work, nodes, port = pickle.load(sys.stdin.buffer)
    threading.Thread(target=_end_with_script, daemon=True).start()
    meeting = {
        "min_nodes": nodes,
        "max_nodes": nodes,
        # Not c10d: the first process is to run on the first node, where the job's files are seen.
        "rdzv_backend": "static",
        "rdzv_configs": {"rank": int(os.environ["SLURM_PROCID"])},
        # By number: names of nodes may mean another network, or nothing.
        "rdzv_endpoint": f"{os.environ['SLURM_LAUNCH_NODE_IPADDR']}:{port}",
    }
    with job(work.log or os.devnull, append=True):
        try:
            launch_here(work, meeting)
        except StoppedError:
            raise SystemExit(1) from None  # the first process and the script have said so


if __name__ == "__main__":
    main()
