"""Finished parts of a table of features, from which a command that was killed goes on."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from vie.engine.feature_table import FeatureTable, join, read_features, take, write_features
from vie.frames.extract import read_rejected, write_rejected
from vie.runtime.errors import VieError, shown
from vie.runtime.files import atomic_write, write_json

SAVE_SECONDS = 20.0  # between two parts
SETTINGS = "settings.json"
Rejected = dict[str, str]  # video, path, label and reason


class Parts:
    """Rows of finished videos, and the videos that cannot be used.

    Args:
        folder: of the parts: tables, and CSVs of rejected videos.
        about: all that vectors depend on besides the videos.

    Raises:
        VieError: the folder has parts with other settings.
    """

    def __init__(self, folder: Path, about: dict[str, str]) -> None:
        self.folder = folder
        path = folder / SETTINGS
        if not path.exists():
            write_json(about, path)
        elif differ := _differences(path, about):
            raise VieError(
                f"{folder} has what another call began ({differ}): give the same settings to go "
                "on, or delete the folder"
            )
        self.tables = [read_features(one) for one in sorted(folder.glob("*.parquet"))]
        self.rejected = [row for one in sorted(folder.glob("*.csv")) for row in read_rejected(one)]
        self.done = {name for table in self.tables for name in table.ids}
        self.done |= {row["video"] for row in self.rejected}
        self.number = len([*folder.glob("*.parquet"), *folder.glob("*.csv")])
        self.fresh: list[FeatureTable] = []
        self.refused: list[Rejected] = []
        self.saved_at = time.monotonic()

    def add(self, rows: FeatureTable) -> None:
        """Add the rows of a finished video, and save now and then."""
        self.fresh.append(rows)
        self._save_if_due()

    def refuse(self, video: Rejected) -> None:
        """Add a video that cannot be used."""
        self.refused.append(video)
        self.rejected.append(video)
        self._save_if_due()

    def _save_if_due(self) -> None:
        if time.monotonic() - self.saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is not written yet."""
        if self.fresh:
            self.tables.append(join(self.fresh, {}))
            write_features(self.tables[-1], self.folder / f"{self.number:06d}.parquet")
        if self.refused:
            with atomic_write(self.folder / f"{self.number:06d}.csv") as temporary:
                write_rejected(self.refused, temporary)
        self.number += 1
        self.fresh, self.refused, self.saved_at = [], [], time.monotonic()

    def __enter__(self) -> "Parts":
        return self

    def __exit__(self, *exception: object) -> None:
        self.save()

    def table(self, ids: Sequence[str], about: dict[str, str]) -> FeatureTable:
        """The rows of all parts that are of these videos, in their order.

        Raises:
            VieError: there is none.
        """
        place = {name: number for number, name in enumerate(ids)}
        self.rejected = sorted(
            (row for row in self.rejected if row["video"] in place),
            key=lambda row: place[row["video"]],
        )
        if not self.tables:
            first = self.rejected[0]
            raise VieError(
                f"none of {len(ids)} videos can be used; {shown(first['video'])}: {first['reason']}"
            )
        whole = join(self.tables, about)
        rows = [row for row, name in enumerate(whole.ids) if name in place]
        rows.sort(key=lambda row: place[whole.ids[row]])  # clips of a video stay in their order
        return take(whole, rows, about)


def _differences(path: Path, about: dict[str, str]) -> str:
    try:
        before = json.loads(path.read_text())
    except ValueError:
        before = {}
    return ", ".join(
        f"{key} {shown(before.get(key))}, not {about.get(key)}"
        for key in sorted(before.keys() | about.keys())
        if before.get(key) != about.get(key)
    )
