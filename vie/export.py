"""An encoder as files that work without vie, with a model card.

`uv run python -m vie.export results/demo/encoders/vie_slow.pt --to safetensors onnx`
"""

import argparse
import functools
import logging
import os
from pathlib import Path

from vie.models.checkpoint_format import encoder_of, read
from vie.models.export import FORMATS, LOADER, export
from vie.reporting.model_card import model_card
from vie.runtime.errors import VieError, shown
from vie.runtime.logs import run_command


def main(arguments: list[str]) -> None:
    """Read the command line, write the files.

    Raises:
        VieError: the encoder cannot be read, a file is there already or cannot be written, or a
            package that a format needs is missing.
    """
    parser = argparse.ArgumentParser(prog="python -m vie.export", description=__doc__)
    parser.add_argument("encoder", type=Path, help="as vie.load_encoder takes it")
    parser.add_argument(
        "--to",
        nargs="+",
        choices=FORMATS,
        required=True,
        metavar="FORMAT",
        help=f"one or more of: {', '.join(FORMATS)}",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="file to write, with or without its suffix; the encoder's name, here, if absent",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="import the network that the file names, which runs its code",
    )
    given = parser.parse_args(arguments)
    formats = list(dict.fromkeys(given.to))
    if given.output is not None and os.path.basename(given.output) in ("", ".", ".."):
        raise VieError(f"-o {shown(given.output)} is a folder: name a file in it")
    stem = _stem(Path(given.output or given.encoder.stem), formats)
    try:
        content = read(given.encoder)
        encoder = encoder_of(content, trust=given.trust, source=given.encoder)
        card = functools.partial(model_card, encoder, content, given.encoder)
        written = export(encoder, content, stem, formats, card)
    except OSError as error:
        raise VieError(f"{error.filename or stem}: {error.strerror or error}") from None
    for file in written:
        difference = "not compared" if file.difference is None else f"{file.difference:.1e}"
        print(
            f"{file.path}: {file.path.stat().st_size / 1e6:.1f} MB, largest difference {difference}"
        )
    print(f"{stem.with_name(f'{stem.name}.md')}: model card, with code for each file")


def _stem(output: Path, formats: list[str]) -> Path:
    """Path of all files without their suffixes.

    Raises:
        VieError: the suffix is that of another format, or one of the files is there already.
    """
    kinds = {FORMATS[name].suffix: name for name in FORMATS}
    if (kind := kinds.get(output.suffix)) is not None:
        if kind not in formats:
            raise VieError(f"-o {output}: its suffix is that of {kind}, which --to does not name")
        output = output.with_suffix("")
    suffixes = [*(FORMATS[name].suffix for name in formats), LOADER, ".md"]
    for path in (output.with_name(output.name + suffix) for suffix in suffixes):
        if path.exists():
            raise VieError(
                f"{path} is there already: give another name with -o, and all formats at once"
            )
    return output


if __name__ == "__main__":
    run_command(main, logging.WARNING)
