"""What a script of the workflow tells the library."""

import pytest

from vie.workflow.run_of import gpus_of


@pytest.mark.parametrize(
    ("resources", "most", "gpus"),
    [
        ({"gpu": 4}, 4, 4),
        ({"gpu": 0}, 1, 0),
        ({"gpu": 0, "gres": "gpu:4"}, 4, 4),
        ({"gpu": 0, "gres": "gpu:a100:2"}, 4, 2),
        ({"gpu": 0, "gres": "gpu"}, 1, 1),
        ({"gpu": 0, "gres": "gpu:a100"}, 1, 1),
        ({"gpu": 0, "gres": "gpu:1"}, 0, 0),  # the config keeps to the CPU
        ({"gpu": 0, "gres": "scratch:10G"}, 1, 0),
        ({"gres": ""}, 1, 0),
    ],
)
def test_gpus_of_a_job(resources, most, gpus):
    assert gpus_of(resources, most) == gpus
