"""Write the networks that come with vie (`vie/pretrained/<experiment>/`):

    uv run snakemake --cores 8 --configfile experiments/evening.yaml -- \\
        results/evening/encoders/{vie_single,vie_trn,vie_3dresnet,vie_slow,vie_slowfast}.pt
    uv run python docs/make_pretrained.py results/evening

Each encoder of the experiment becomes a file of safetensors with weights of 16 bits, and a model
card beside it.
"""

import argparse
from pathlib import Path

import torch

from vie.config.settings import STATE
from vie.models import safetensors_file
from vie.models.checkpoint_format import ENCODER, encoder_of, load_encoder, read
from vie.models.export import Exported, notes_of, save_weights
from vie.models.pretrained import FOLDER
from vie.reporting.model_card import ENCODERS, model_card

TOLERANCE = 0.01  # largest difference of an embedding's numbers from those of 32 bits


def write(source: Path, output: Path) -> Exported:
    """An encoder's file as one of float16, which gives nearly the same embeddings."""
    content = read(source)
    encoder = encoder_of(content, source=source)
    state = {name: _half(value) for name, value in content[ENCODER].items()}
    output.parent.mkdir(parents=True, exist_ok=True)
    notes = notes_of(content)
    if not _holds(output, state, notes):
        save_weights(state, notes, output)
    assert encoder.input is not None
    shape = (8, 3, encoder.input.frames, encoder.input.size, encoder.input.size)
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        difference = float((load_encoder(output)(clips)[0] - encoder(clips)[0]).abs().max())
    if not difference <= TOLERANCE:
        output.unlink()
        raise SystemExit(f"{output}: its embeddings differ from the encoder's by {difference:.1e}")
    written = Exported("float16", output, difference)
    output.with_suffix(".md").write_text(model_card(encoder, content, source, [written]))
    return written


def _holds(path: Path, state: dict[str, torch.Tensor], notes: dict[str, str]) -> bool:
    """Whether a file has these tensors and notes: written again, its bytes would differ."""
    if not path.exists():
        return False
    tensors, found = safetensors_file.read(path)
    same = found.items() >= notes.items() and tensors.keys() == state.keys()
    return same and all(torch.equal(tensors[name], state[name]) for name in state)


def _half(value: torch.Tensor) -> torch.Tensor:
    return value.half() if value.is_floating_point() else value


def main() -> None:
    """Write all of an experiment's encoders."""
    parser = argparse.ArgumentParser(description="Write the networks that come with vie.")
    parser.add_argument("experiment", type=Path, help="results/<experiment>, with encoders/*.pt")
    experiment = parser.parse_args().experiment
    for source in sorted((experiment / ENCODERS).glob("*.pt")):
        file = write(source, FOLDER / experiment.name / f"{source.stem}{STATE}")
        size = file.path.stat().st_size / 1000
        print(f"{file.path.name}: {size:.0f} kB, largest difference {file.difference:.1e}")


if __name__ == "__main__":
    main()
