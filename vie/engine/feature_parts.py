"""Finished parts of a table of features, from which a command that was killed goes on."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from vie.engine.feature_table import FeatureTable, join, read_features, take, write_features
from vie.runtime.errors import VieError, shown
from vie.runtime.files import write_json

SAVE_SECONDS = 20.0  # between two parts
SETTINGS = "settings.json"
Rejected = dict[str, str]  # video, path, label and reason


class Parts:
    """Rows of finished videos, and the videos that cannot be used.

    Args:
        folder: of the parts, which are tables. Videos that cannot be used are looked at again.
        about: all that vectors depend on besides the videos.
        stamps: {video: what tells its file from another one of the same name}. Rows of files that
            are others by now are dropped.

    Raises:
        VieError: the folder has parts with other settings.
    """

    def __init__(self, folder: Path, about: dict[str, str], stamps: dict[str, str]) -> None:
        self.folder, self.stamps = folder, stamps
        path = folder / SETTINGS
        if not path.exists():
            write_json(about, path)
        elif differ := _differences(path, about):
            raise VieError(
                f"{folder} has what another call began ({differ}): give the same settings to go "
                "on, or delete the folder"
            )
        files = sorted(folder.glob("*.parquet"))
        self.tables = [table for file in files if (table := self._still(read_features(file))).ids]
        self.done = {name for table in self.tables for name in table.ids}
        self.rejected: list[Rejected] = []
        self.number = len(files)
        self.fresh: list[FeatureTable] = []
        self.saved_at = time.monotonic()

    def _still(self, table: FeatureTable) -> FeatureTable:
        """The rows of files that are still the same."""
        try:
            before = json.loads(table.metadata.get("stamps", ""))
            same = {name for name, stamp in before.items() if self.stamps.get(name) == stamp}
        except (ValueError, AttributeError):
            same = set()
        return take(table, [i for i, name in enumerate(table.ids) if name in same], {})

    def add(self, rows: FeatureTable) -> None:
        """Add the rows of a finished video, and save now and then."""
        self.fresh.append(rows)
        if time.monotonic() - self.saved_at > SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write what is not written yet."""
        if self.fresh:
            stamps = {name: self.stamps[name] for rows in self.fresh for name in rows.ids}
            self.tables.append(join(self.fresh, {"stamps": json.dumps(stamps)}))
            write_features(self.tables[-1], self.folder / f"{self.number:06d}.parquet")
            self.number += 1
        self.fresh, self.saved_at = [], time.monotonic()

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
        self.rejected.sort(key=lambda row: place[row["video"]])
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
        before.keys()
    except (ValueError, AttributeError):
        before = {}
    return ", ".join(
        f"{key} {shown(before.get(key))}, not {about.get(key)}"
        for key in sorted(before.keys() | about.keys())
        if before.get(key) != about.get(key)
    )
