"""Progress that stays readable when several jobs write to one terminal and to log files."""

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


@dataclass(kw_only=True)
class Progress:
    """A progress bar that is printed as a new line every few seconds.

    Snakemake runs jobs side by side. Bars that rewrite their line would overwrite each other, and
    would make one endless line of a log file. tqdm formats the bar, the rate and the time left.

    A job's log has all lines. Its terminal has one after a minute, then each time the bar has taken
    twice as long, at most ten minutes later, and the last line of such a bar.

    `initial` units were done before.
    """

    total: int
    label: str = ""
    unit: str = "it"
    initial: int = 0
    quiet: bool = False
    every_seconds: ClassVar[float] = 5.0
    first_shown: ClassVar[float] = 60.0
    most_between: ClassVar[float] = 600.0

    def __post_init__(self) -> None:
        self.n = self.initial
        self.start = time.monotonic()
        # The first line comes after a second.
        self.printed_at = self.start - max(self.every_seconds - 1, 0)
        self.postfix: dict[str, Any] = {}
        self.shown = 0  # lines on the terminal of a job
        self.show_at = self.start + self.first_shown

    def set_postfix(self, **values: Any) -> None:
        """Values shown after the bar (floats with three significant digits)."""
        self.postfix = values

    def update(self, n: int = 1) -> None:
        """Count `n` more units as done and print a line when one is due."""
        self.n += n
        if time.monotonic() - self.printed_at >= self.every_seconds:
            self.print()

    def print(self, *, last: bool = False) -> None:
        """Print the bar now, as one line."""
        self.printed_at = time.monotonic()
        if self.quiet:
            return
        values = ", ".join(
            f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in self.postfix.items()
        )
        line = tqdm.format_meter(
            self.n,
            self.total,
            self.printed_at - self.start,
            prefix=self.label,
            unit=f" {self.unit}",
            initial=self.initial,
            postfix=values or None,
            bar_format="{l_bar}{bar:20}{r_bar}",
            ascii=" -=",
        )
        log = getattr(sys.stderr, "log", None)
        if log is None or self.printed_at >= self.show_at or (last and self.shown):
            print(line, file=sys.stderr, flush=True)
            self.shown += 1
            passed = self.printed_at - self.start
            self.show_at = self.printed_at + min(passed, self.most_between)
        else:
            with contextlib.suppress(OSError):  # as on a full disk
                print(line, file=log, flush=True)

    def close(self) -> None:
        """Print the last line."""
        self.print(last=True)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def progress(
    items: Iterable[Item], *, total: int, label: str = "", unit: str = "it"
) -> Iterator[Item]:
    """Pass items through and count them."""
    with Progress(total=total, label=label, unit=unit) as bar:
        for item in items:
            yield item
            bar.update()
