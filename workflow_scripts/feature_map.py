"""Rule feature_map: the videos of a dataset as points of a plane."""

from pathlib import Path

from vie.engine.feature_table import read_features
from vie.reporting.feature_map import make_map, plot_map
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    table = read_features(Path(snakemake.input[0]))
    found = make_map(
        table, model=params.model, dataset=params.dataset, seed=params.seed, words=params.words
    )
    plot_map(found, [Path(output.svg), Path(output.png)])
