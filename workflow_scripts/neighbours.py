"""Rule neighbours: videos and their nearest neighbours, as one picture and as a moving page."""

from pathlib import Path

from vie.clips.sampling import sampling
from vie.engine.feature_table import read_features
from vie.reporting.gallery import make_sheet, plot_sheet, write_sheet_page
from vie.runtime.logs import job

with job(snakemake.log[0]):
    params, output = snakemake.params, snakemake.output
    sheet = make_sheet(
        read_features(Path(snakemake.input.features)),
        {Path(path).parent.name: Path(path) for path in snakemake.input.indexes},
        sampling(params.clip),
        model=params.model,
        dataset=params.dataset,
        clips=params.clips,
        seed=params.seed,
    )
    plot_sheet(sheet, [Path(output.png)])
    write_sheet_page(sheet, Path(output.page))
