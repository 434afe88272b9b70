"""Draw docs/images/z.png: does the constant Z of the paper's estimator fit?

    uv run snakemake --cores 8 results/retrieval.csv
    uv run python docs/make_z.py results/demo/features/embedded

It is of the embeddings of VIE-Single, untrained and trained, of seed 0, and of random directions.
"""

import argparse
from pathlib import Path

import numpy as np

from vie.engine.feature_table import read_features
from vie.objectives.instance_recognition import PAPER_Z_PER_INSTANCE
from vie.reporting.drawing import finish, new_figure
from vie.reporting.style import BLUE, ORANGE, VERMILLION, styled

OUTPUT = Path(__file__).parent / "images" / "z.png"
PAPER, DEMO = 0.07, 0.2  # temperatures
NUMBERS = (30, 60, 120, 240, 480, 1000, 10_000, 100_000)  # N, of videos
CLIPS = 200  # f, of each of which the mean over N entries v is taken
DIMENSIONS = 128  # of the paper's embedding
UNTRAINED, TRAINED = "random_single/untrained/seed0", "vie_single/trained/seed0"


def z_per_video(vectors: np.ndarray, others: np.ndarray, temperature: float) -> float:
    """Z / N: mean of exp(v . f / temperature) over (N, D) entries and (M, D) embeddings."""
    return float(np.exp(vectors @ others.T / temperature).mean())


def directions(number: int, effective: int, rng: np.random.Generator) -> np.ndarray:
    """(number, DIMENSIONS) of unit length, random in the first `effective` dimensions."""
    found = np.zeros((number, DIMENSIONS), np.float32)
    found[:, :effective] = rng.normal(size=(number, effective))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def effective_dimensions(vectors: np.ndarray) -> float:
    """1 / the mean square of products of unlike embeddings: D of D random directions."""
    products = vectors @ vectors.T
    unlike = products[~np.eye(len(products), dtype=bool)]
    return float(1 / np.square(unlike).mean())


def embeddings(path: Path) -> np.ndarray:
    """(N, D) of the training videos in a table of features."""
    table = read_features(path)
    return table.vectors["embedding"][np.array(table.splits) == "train"]


def normalised(vectors: np.ndarray) -> np.ndarray:
    """With mean 0 and variance 1 in each dimension, as in a batch while a network trains."""
    found = (vectors - vectors.mean(0)) / vectors.std(0)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


@styled
def main() -> None:
    """Draw the plot and print its numbers."""
    parser = argparse.ArgumentParser(description="Draw docs/images/z.png.")
    parser.add_argument("features", type=Path, help="results/<experiment>/features/<dataset>")
    features, rng = parser.parse_args().features, np.random.default_rng(0)
    figure, axes = new_figure(8.2, 3.8, ncols=2, sharey=True)
    untrained, trained = (embeddings(features / f"{name}.parquet") for name in (UNTRAINED, TRAINED))
    real = {
        "VIE-Single, untrained": untrained,
        "the same with a batch norm": normalised(untrained),
        "VIE-Single, trained": trained,
    }
    colours = VERMILLION, ORANGE, BLUE
    for axis, temperature in zip(axes[0], (PAPER, DEMO), strict=True):
        for effective, shade in zip((8, 16, 32, 64, 128), np.linspace(0.75, 0.2, 5), strict=True):
            f = directions(CLIPS, effective, rng)
            values = [z_per_video(directions(n, effective, rng), f, temperature) for n in NUMBERS]
            label = f"random, {effective} dimensions"
            axis.plot(NUMBERS, values, color=str(shade), lw=1.4, label=label)
        for (label, vectors), colour in zip(real.items(), colours, strict=True):
            f, entries = np.split(rng.permutation(vectors), [CLIPS])  # of other videos
            numbers = [n for n in NUMBERS if n <= len(entries)]
            values = [z_per_video(entries[:n], f, temperature) for n in numbers]
            axis.plot(numbers, values, "o-", color=colour, ms=4, lw=1.4, label=label)
            print(f"t = {temperature}, {label}: Z / N = {values[-1]:.3g}")
        axis.axhline(PAPER_Z_PER_INSTANCE, color="black", ls="--", lw=1, label="the constant")
        axis.set(xscale="log", yscale="log", xlabel="videos N")
        for scale in (axis.xaxis, axis.yaxis):
            scale.set_major_formatter("{x:,.0f}")
        axis.set_title(f"temperature {temperature}")
    axes[0, 0].set_ylabel("Z / N")
    for label, vectors in real.items():
        print(f"{label}: {effective_dimensions(vectors):.1f} effective dimensions")
    notes = "Networks: embeddings of the training videos of the demo, seed 0"
    title = "Does the constant Z fit? The directions decide, not N"
    finish(figure, title, notes, "", [OUTPUT])


if __name__ == "__main__":
    main()
