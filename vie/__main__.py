"""The commands of vie, each with --help:

vie run                the workflow, in the current folder: vie run --cores 8 results/table_s1.csv
vie estimate           what a run would cost
vie extract            features of videos
vie search             nearest videos
vie export             files for machines without vie
vie import-checkpoint  the authors' released network

`vie run` takes all that snakemake takes, and all cores without --cores or a profile. A file
`experiments/...` that the current folder lacks is the one that comes with vie.
"""

import runpy
import sys
from pathlib import Path

from vie.runtime.home import HOME

MODULES = {
    "run": "snakemake",
    "estimate": "vie.workflow.estimate",
    "extract": "vie.extract",
    "search": "vie.search",
    "export": "vie.export",
    "import-checkpoint": "vie.import_checkpoint",
}


def _found(word: str) -> str:
    """A word of the command line, also --option=word, or the overlay of this name that comes with
    vie."""
    option, equals, name = word.partition("=") if word.startswith("--") else ("", "", word)
    ours = HOME / name
    known = name.startswith("experiments/") and ours.is_file()
    return f"{option}{equals}{ours}" if known and not Path(name).exists() else word


def _of_run(arguments: list[str]) -> list[str]:
    """Arguments of Snakemake: this workflow, on all cores if nothing says otherwise.

    A profile could not say that: its `cores` would also limit the jobs of a cluster.

    Raises:
        SystemExit: words that are neither a config file nor a setting.
    """
    from snakemake.cli import get_argument_parser

    from vie.config.reading import check_words
    from vie.runtime.errors import VieError

    asked = get_argument_parser().parse_known_args(arguments)[0]
    try:
        check_words(asked.configfile or [], asked.config or [])
    except VieError as error:
        raise SystemExit(str(error)) from None
    settings = (asked.cores, asked.jobs, asked.executor, asked.profile, asked.workflow_profile)
    cores = [] if any(settings) else ["--cores", "all"]
    return ["--snakefile", str(HOME / "Snakefile"), *cores, *arguments]


def main() -> None:
    """Run a command as `python -m` would.

    Raises:
        SystemExit: no command is named, or none of ours.
    """
    command, arguments = sys.argv[1] if sys.argv[1:] else "--help", sys.argv[2:]
    if command in ("-h", "--help"):
        raise SystemExit(print(__doc__.strip()))
    if command not in MODULES:
        raise SystemExit(f"vie has no command {command!r}; `vie --help` lists them")
    if command in ("run", "estimate"):
        arguments = [_found(word) for word in arguments]
    if command == "run":
        arguments = _of_run(arguments)
    sys.argv[1:] = arguments
    runpy.run_module(MODULES[command], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
