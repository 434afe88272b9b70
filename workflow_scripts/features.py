"""Rule features: vectors of all videos of a dataset."""

from pathlib import Path

from vie.clips.transform import ClipTransform
from vie.features import Split, write_index_features
from vie.runtime.logs import job
from vie.workflow.run_of import run_of

source, params, wildcards = snakemake.input, snakemake.params, snakemake.wildcards
output = Path(snakemake.output[0])
names = [Path(path).parent.name for path in source.indexes]
files = zip(names, map(Path, source.indexes), map(Path, source.manifests), strict=True)
with job(snakemake.log[0]):
    write_index_features(
        [Path(network) for network in source.networks],
        [Split(*one) for one in files],
        ClipTransform.of({"geometry": params.geometry, "color_jitter": {}}, params.clip),
        params.features,
        run_of(snakemake, output.parent, f"features {wildcards.evaluation} {wildcards.dataset}"),
        output,
        # Only for the record. As a param, a new name would read all videos again.
        label=snakemake.config["evaluations"][wildcards.evaluation]["label"],
    )
