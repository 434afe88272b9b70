"""Metrics of a run: as JSON lines, which are a result, and on boards, which are to look at."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from torch import Tensor

from vie.runtime import distributed
from vie.runtime.disk import writing
from vie.runtime.errors import shown
from vie.runtime.files import atomic_write


class Points(NamedTuple):
    """Vectors with what is known of each, for TensorBoard's projector."""

    vectors: Tensor  # (V, D)
    header: list[str]  # names of the columns
    rows: list[list[str]]  # V rows of columns


class Board(Protocol):
    """Something that shows numbers, such as a tracker."""

    def log(self, values: dict[str, float], step: int) -> None: ...

    def finish(self) -> None: ...


class TensorBoard:
    """A folder of event files; what it has of `step` and later steps is not shown any more."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.writer = folder, SummaryWriter(str(folder), purge_step=step)

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def picture(self, name: str, pixels: Tensor, step: int) -> None:
        """Show (3, H, W) uint8."""
        self.writer.add_image(name, pixels, step)

    def points(self, name: str, points: Points) -> None:
        """Show vectors in the projector, in place of those of an earlier time."""
        for old in self.folder.glob(f"*/{name}"):
            shutil.rmtree(old)  # the writer would complain of it
        # Four decimals are enough to look at, and a third of the file.
        vectors = points.vectors.double().round(decimals=4)
        rows = [[shown(cell) for cell in row] for row in points.rows]
        self.writer.add_embedding(vectors, rows, metadata_header=points.header, tag=name)

    def finish(self) -> None:
        self.writer.close()


class Recorder:
    """Appends rows {"step": ..., name: value, ...} to JSON lines and to boards.

    Rows at or after `step` were written by a run that was killed later than its last checkpoint:
    they are dropped, for they will be written again. Where several processes train, only the main
    one's rows are written.

    Args:
        path: of the JSON lines.
        tensorboard: folder of TensorBoard's event files; None for none.
        step: the first that is to come.
        others: opens more boards, in the main process.
    """

    def __init__(
        self,
        path: Path,
        tensorboard: Path | None,
        step: int = 0,
        others: Callable[[], Sequence[Board]] = list,
    ) -> None:
        self.writes = distributed.is_main_process()
        self.tensorboard: TensorBoard | None = None
        self.boards: list[Board] = []
        if not self.writes:
            return
        self.path = path
        self.boards += others()  # before a file is open: a package may be missing
        with writing(path):
            self._open(path, step)
            if tensorboard is not None:
                self.tensorboard = TensorBoard(tensorboard, step)
                self.boards.append(self.tensorboard)

    def _open(self, path: Path, step: int) -> None:
        lines = path.read_text().splitlines() if path.exists() and step else []
        # A line may be torn by the kill; such a line is never older than the last checkpoint.
        whole = [line for line in lines if line.endswith("}")]
        kept = [line for line in whole if json.loads(line)["step"] < step]
        with atomic_write(path) as temporary:  # rows that no step would write again
            temporary.write_text("".join(line + "\n" for line in kept))
        self.file = path.open("a")

    def write(self, step: int, **values: float) -> None:
        """One row; `step` is the number of the step that was just done."""
        if not self.writes:
            return
        with writing(self.path):
            self.file.write(json.dumps({"step": step, **values}) + "\n")
            self.file.flush()
        self.show(step, lambda: values)

    def show(self, step: int, values: Callable[[], dict[str, float]]) -> None:
        """Numbers for boards alone, which are computed only if there is one."""
        if not self.boards:
            return
        found = values()
        with writing(self.path):
            for board in self.boards if found else ():
                board.log(found, step)

    def picture(self, step: int, name: str, pixels: Callable[[], Tensor]) -> None:
        """(3, H, W) uint8 for TensorBoard."""
        if self.tensorboard:
            found = pixels()
            with writing(self.path):
                self.tensorboard.picture(name, found, step)

    def points(self, name: str, points: Points) -> None:
        """Vectors for TensorBoard's projector."""
        if self.tensorboard:
            with writing(self.path):
                self.tensorboard.points(name, points)

    def close(self) -> None:
        if self.writes:
            with writing(self.path):
                try:
                    self.file.close()
                finally:
                    for board in self.boards:
                        board.finish()
