"""In place of SLURM's srun: every task on this machine, as if it were on a node of its own."""

import os
import signal
import subprocess
import sys
import threading
import time


def main(arguments):
    options = [one for one in arguments if one.startswith("--")]
    nodes = int(next(one.partition("=")[2] for one in options if one.startswith("--nodes=")))
    command, tasks = arguments[len(options) :], []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda number, frame: [one.send_signal(number) for one in tasks])
    for task in range(nodes):
        address = {"SLURM_PROCID": str(task), "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1"}
        tasks.append(subprocess.Popen(command, env=os.environ | address, stdin=subprocess.PIPE))
    threading.Thread(target=pass_input_on, args=[tasks], daemon=True).start()
    while any(task.poll() is None for task in tasks):
        if any(task.poll() for task in tasks):  # --kill-on-bad-exit
            for task in tasks:
                task.terminate()
        time.sleep(0.1)
    sys.exit(max(abs(task.returncode) for task in tasks))


def pass_input_on(tasks):
    while content := os.read(0, 1 << 16):
        for task in tasks:
            task.stdin.write(content)
            task.stdin.flush()
    for task in tasks:
        task.stdin.close()


if __name__ == "__main__":
    main(sys.argv[1:])
