"""Metrics of a run, as JSON lines and for TensorBoard."""

import json
from pathlib import Path

from vie.runtime import distributed
from vie.runtime.disk import writing
from vie.runtime.files import atomic_write


class Recorder:
    """Appends rows {"step": ..., name: value, ...} to JSON lines and to TensorBoard's folder.

    Rows at or after `step` were written by a run that was killed later than its last checkpoint:
    they are dropped, for they will be written again. Where several processes train, only the main
    one's rows are written.
    """

    def __init__(self, path: Path, tensorboard: Path, step: int = 0) -> None:
        self.writes = distributed.is_main_process()
        if not self.writes:
            return
        self.path = path
        with writing(path):
            self._open(path, tensorboard, step)

    def _open(self, path: Path, tensorboard: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        lines = path.read_text().splitlines() if path.exists() and step else []
        # A line may be torn by the kill; such a line is never older than the last checkpoint.
        whole = [line for line in lines if line.endswith("}")]
        kept = [line for line in whole if json.loads(line)["step"] < step]
        with atomic_write(path) as temporary:  # rows that no step would write again
            temporary.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a")
        self.writer = SummaryWriter(str(tensorboard), purge_step=step)

    def write(self, step: int, **values: float) -> None:
        """One row; `step` is the number of the step that was just done."""
        if not self.writes:
            return
        with writing(self.path):
            self.file.write(json.dumps({"step": step, **values}) + "\n")
            self.file.flush()
            for name, value in values.items():
                self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        if self.writes:
            with writing(self.path):
                self.file.close()
                self.writer.close()
