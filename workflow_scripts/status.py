"""Rule status: which results were made by other code, versions or settings than the present."""

import csv
import sys
from pathlib import Path

from vie.runtime.files import atomic_write
from vie.runtime.logs import job
from vie.workflow.fingerprint import code_digest, own_code
from vie.workflow.status import OTHER_CODE, Row, outdated

SHOWN = 40

with job(snakemake.log[0]):
    params = snakemake.params
    code = code_digest(own=own_code(snakemake.config))
    rows = outdated(Path(params.snakefile), snakemake.config, params.targets, params.triggers, code)
    with atomic_write(params.table) as temporary, temporary.open("w", newline="") as file:
        csv.writer(file).writerows([Row._fields, *rows])
    for row in rows[:SHOWN]:
        seconds = "?" if row.seconds is None else f"{row.seconds:.0f}"
        print(f"{row.reason:10} {seconds:>8} s  {row.result}  {row.details}", file=sys.stderr)
    again = [row for row in rows if row.reason != OTHER_CODE]
    known = [row.seconds for row in again if row.seconds is not None]
    unknown, stay = len(again) - len(known), len(rows) - len(again)
    print(
        f"{len(again)} results would be made again: {sum(known):.0f} s, and {unknown} of unknown "
        f"cost; {stay} were made by other code and stay ({params.table})",
        file=sys.stderr,
    )
