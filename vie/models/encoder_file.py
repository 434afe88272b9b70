"""Encoder files: a finished network to take away, as small as it can be and with its papers."""

import logging
from pathlib import Path
from typing import Any

from torch import Tensor

from vie.models.checkpoint_format import ENCODER, FIELDS, METADATA, read
from vie.runtime.errors import shown
from vie.runtime.torch_files import save

log = logging.getLogger(__name__)
# Of the checkpoint it was made of, if that says so: settings of the objectives that trained it, the
# versions of result and code, and the file of a network that was trained elsewhere.
ORIGIN = ("objectives", "version", "code", "imported_from")


def write_encoder(
    checkpoint: Path,
    output: Path,
    frames: dict[str, Any],
    *,
    recipe: dict[str, Any],
    provenance: dict[str, Any],
    licence: str | None = None,
) -> None:
    """Write the network of a checkpoint without optimiser, bank and objective.

    `vie.load_encoder` reads the file. It has the fields of `vie.models.checkpoint_format`, and

        frames: {fps, shorter_side, quality}, how videos became the frames that it was trained on
        provenance: where it comes from: experiment, dataset (its name in the config), official_name
            (None: it has none), stages, and what of `ORIGIN` the checkpoint says (else None)
        licence: a text, or None

    Of a network that was imported they are what its own file says; provenance and licence are the
    config's as far as that says nothing, and frames None: these videos did not train it.

    Args:
        checkpoint: of pretraining, or imported.
        frames: of the index of the training videos.
        recipe: settings that the checkpoint's recipe lacks: its label, how all stages were trained.
        provenance: as far as the config knows.

    Raises:
        VieError: the checkpoint cannot be read.
    """
    content = read(checkpoint)
    kept = {key: content.get(key) for key in (*sorted(FIELDS), *METADATA)}
    kept["recipe"] = content["recipe"] | recipe
    kept["fps"] = content["fps"] or frames["fps"]
    kept["provenance"] = {**{key: content.get(key) for key in ORIGIN}, **provenance}
    kept |= {"frames": frames, "licence": licence}
    if "imported_from" in content:
        kept |= _papers_of_import(checkpoint, content, kept)
    kept[ENCODER] = {name: _plain(value) for name, value in content[ENCODER].items()}
    save(output, kept)


def _papers_of_import(
    checkpoint: Path, content: dict[str, Any], ours: dict[str, Any]
) -> dict[str, Any]:
    """Frames, provenance and licence of a network that another file had, from there and `ours`."""
    provenance = ours["provenance"] | (content.get("provenance") or {})
    # Where it was imported first, without the folders of a machine.
    provenance["imported_from"] = Path(provenance["imported_from"] or content["imported_from"]).name
    licence = content.get("licence") or ours["licence"]
    if ours["licence"] not in (None, licence):
        log.warning(
            "%s: its licence is that of the imported file, %s, and not the config's, %s",
            *(checkpoint, shown(licence), shown(ours["licence"])),
        )
    return {"frames": content.get("frames"), "provenance": provenance, "licence": licence}


def _plain(value: Tensor) -> Tensor:
    """A tensor that shares its memory with no other; numbers with a point as float32."""
    value = value.detach().cpu()
    return (value.float() if value.is_floating_point() else value).contiguous().clone()
