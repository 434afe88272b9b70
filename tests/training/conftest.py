"""What tests of training share."""

import numpy as np
import pytest


@pytest.fixture
def alone(recipe):
    """A recipe with one stage that is trained alone: `alone(stage, duration)`."""

    def changed(stage, duration="13 steps"):
        settings = {"schedule": {stage: duration, "lr_drops": ["8 steps"]}}
        settings["encoder"] = recipe["encoder"] | {"embedding": "pooled"}
        if stage == "order_prediction":
            settings |= {"clip": {"frames": 3, "windows": [9, 12]}, "min_frames": 20}
        return recipe | settings

    return changed


@pytest.fixture(scope="session")
def motion(small_dataset):
    """motion.npy of the training videos: any numbers will do."""
    from vie.data.index import load_index

    frames = len(load_index(small_dataset / "train" / "index.parquet").sizes)
    path = small_dataset / "train" / "motion.npy"
    np.save(path, np.random.default_rng(0).uniform(0, 1, frames).astype(np.float32))
    return path
