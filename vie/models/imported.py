"""Networks whose weights come from elsewhere (`weights` of a recipe), as checkpoints of vie."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vie.clips.transform import ClipTransform
from vie.config.settings import CHECKPOINT, RELEASE, STATE, canonical
from vie.frames.index import load_index
from vie.models.checkpoint_format import (
    DIGEST,
    ENCODER,
    FIELDS,
    METADATA,
    NOTE,
    OF_ENCODER_FILES,
    describe,
    encoder_of,
    not_safetensors,
    read,
)
from vie.models.encoders import build_encoder
from vie.models.release import NO_INDEX, read_release
from vie.runtime.disk import check_machine
from vie.runtime.errors import VieError, shown
from vie.runtime.files import digest
from vie.runtime.torch_files import save

log = logging.getLogger(__name__)
Content = dict[str, Any]  # of a checkpoint
# Fields that a checkpoint of vie keeps. What else training goes on from (its optimiser, the head of
# its objective) belongs to the run that wrote it.
KEPT = {*FIELDS, *METADATA, *OF_ENCODER_FILES, ENCODER, "epoch", "objectives"}
SIZES = ("width", "embedding")  # settings that the arrays of a release tell
SHOWN = 5  # names in a message


def import_weights(
    path: Path,
    recipe: dict[str, Any],
    output: Path,
    *,
    index: Path | None = None,
    fps: float | None = None,
    version: str = "",
    code: str = "",
    own_size: bool = False,
) -> Content:
    """Write the network in a file as a checkpoint that all that reads networks can read.

    Besides the fields of `vie.models.checkpoint_format` it holds "step", "imported_from", and, as
    far as the file says so, "n_train", "objectives", the fields of encoder files and the memory
    bank.

    Args:
        path: of the kind that its suffix says (`vie.config.settings`).
        recipe: encoder, clips and crops; objective and optimiser, for what the release lacks.
        index: index.parquet of the training videos, if a memory bank is wanted.
        fps: of the frames that a network is shown whose file does not say.
        own_size: whether width and embedding of the release may be other than the recipe's.

    Returns:
        What was written.

    Raises:
        VieError: the file is damaged, or its network is not that of the recipe.
    """
    if path.is_dir():
        raise VieError(f"{path} is a folder: name the file of weights in it")
    if path.suffix in RELEASE:
        content = read_release(path, recipe, index)
        sizes = {key: content["recipe"]["encoder"][key] for key in SIZES if own_size}
        _check_encoder(path, content["recipe"], {"encoder": recipe["encoder"] | sizes})
    elif path.suffix == CHECKPOINT:
        content = read_checkpoint(path, recipe, index)
    elif path.suffix == STATE:
        content = read_state(path, recipe, fps)
    else:
        known = ", ".join((*RELEASE, CHECKPOINT, STATE))
        raise VieError(f"{path}: weights are read from files that end in {known}")
    if "bank" in content and index is not None:
        log.info("%s: its memory bank is taken over, for the videos of %s", path, index)
        content["bank_index"] = digest(index)
    content |= {"imported_from": str(path), "version": version, "code": code}
    save(output, content)
    return content


def read_checkpoint(path: Path, recipe: dict[str, Any], index: Path | None) -> Content:
    """What a checkpoint of vie says of its network; its recipe stays its own.

    Raises:
        VieError: it is damaged, of finetuning, or of another network than the recipe's.
    """
    content = read(path)
    _check_encoder(path, content["recipe"], recipe)
    state = content[ENCODER]
    with torch.random.fork_rng(devices=[]):
        ours = build_encoder(recipe["encoder"], recipe.get("classes")).state_dict()
    _check_shapes(path, {name: tuple(value.shape) for name, value in state.items()}, ours)
    kept = {key: value for key, value in content.items() if key in KEPT}
    kept |= {ENCODER: _as_ours(path, state, ours), **_papers(content)}
    kept.setdefault("step", 0)
    dimensions = encoder_of(kept, source=path).dimensions
    if problem := _other_videos(content, dimensions, index):
        log.info("%s: no memory bank is taken over: %s", path, problem)
    else:
        kept["bank"] = {"vectors": content["bank"]["vectors"]}
    if unused := sorted(map(str, set(content) - set(kept))):
        log.info("%s: not used: %s", path, ", ".join(map(shown, unused)))
    return kept


def _other_videos(content: Content, dimensions: int, index: Path | None) -> str | None:
    """Why a checkpoint's memory bank is none of the videos of an index, if it is none."""
    bank = content.get("bank")
    vectors = bank.get("vectors") if isinstance(bank, Mapping) else None
    if not isinstance(vectors, Tensor) or vectors.shape[1:] != (dimensions,):
        return f"it holds none with vectors of {dimensions} numbers"
    if index is None:
        return NO_INDEX
    if len(vectors) != (videos := len(load_index(index))):
        return f"it has {len(vectors)} rows, and {index} {videos} videos"
    run_key = content.get("run_key")
    recorded = run_key.get("index") if isinstance(run_key, Mapping) else content.get("bank_index")
    if recorded not in (None, digest(index)):
        return f"it is of the videos of another index than {index}"
    if not bool(vectors.isfinite().all()):
        return "it holds numbers that are not finite"
    return None


def read_state(path: Path, recipe: dict[str, Any], fps: float | None) -> Content:
    """An encoder's `state_dict`, with this package's names, in a file of safetensors.

    Raises:
        VieError: it is damaged, or does not fit the encoder of the recipe.
    """
    with torch.random.fork_rng(devices=[]):
        ours = build_encoder(recipe["encoder"], recipe.get("classes")).state_dict()
    try:
        with safe_open(path, framework="pt") as file:
            names = list(file.keys())
            _check_shapes(
                path, {name: tuple(file.get_slice(name).get_shape()) for name in names}, ours
            )
            state = {name: file.get_tensor(name) for name in names}
            notes = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        check_machine(error, path)
        raise not_safetensors(path, error) from None
    log.info("%s does not say how its network was trained: it counts as step 0", path)
    papers = _papers(read(path)) if NOTE in notes else {}
    if papers:
        log.info("%s: of its note %s only %s are used", path, NOTE, ", ".join(papers))
        notes = {key: value for key, value in notes.items() if key not in (NOTE, DIGEST)}
    if notes:
        log.info("%s: not used: notes on %s", path, ", ".join(map(shown, sorted(notes))))
    about = {key: value for key, value in recipe.items() if key not in ("objective", "optimiser")}
    described = describe(about, ClipTransform.of(recipe), fps)
    return {**described, **papers, ENCODER: _as_ours(path, state, ours), "step": 0}


def _papers(content: Content) -> Content:
    """What a file says in the fields of encoder files."""
    return {key: content[key] for key in OF_ENCODER_FILES if content.get(key) is not None}


def _check_encoder(path: Path, found: dict[str, Any], recipe: dict[str, Any]) -> None:
    """Compare the network that a file describes, in a recipe, with that of the recipe."""
    there, here, differ = found["encoder"], recipe["encoder"], []
    for key in dict.fromkeys([*here, *there]):
        theirs, ours = (canonical(one.get(key)) for one in (there, here))
        if repr(theirs) != repr(ours):
            said = shown(repr(theirs))
            differ.append(f"{shown(key)} is {said} in the file and {ours!r} in the recipe")
    if differ:
        raise VieError(
            f"{path} holds another network than the recipe's encoder: {_some(differ)}. Write "
            "into encoder what the file has, or name another file in weights"
        )


def _check_shapes(path: Path, found: dict[str, tuple[int, ...]], ours: dict[str, Tensor]) -> None:
    """Compare names and shapes of tensors with those that a network has."""
    shapes = {name: tuple(value.shape) for name, value in ours.items()}
    other = [
        f"{name} {shown(found[name])}, not {shape}"
        for name, shape in shapes.items()
        if name in found and found[name] != shape
    ]
    kinds = {
        "missing": [name for name in shapes if name not in found],
        "unknown": [shown(name) for name in found if name not in shapes],
        "of another shape": other,
    }
    if problems := [f"{kind}: {_some(names)}" for kind, names in kinds.items() if names]:
        raise VieError(
            f"{path} does not fit the encoder of the recipe. Tensors {'; '.join(problems)}"
        )


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _as_ours(path: Path, state: Mapping[str, Tensor], ours: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors with a network's types of numbers, each finite."""
    turned = {}
    for name, own in ours.items():
        if state[name].is_floating_point() != own.is_floating_point():
            raise VieError(f"{path}: {name} has the type {state[name].dtype}, not {own.dtype}")
        turned[name] = state[name].to(own.dtype).contiguous()
        if not bool(turned[name].isfinite().all()):
            raise VieError(f"{path}: {name} holds numbers that are not finite")
    return turned
