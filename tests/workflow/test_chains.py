"""Recipes that start from others: networks that fit, and drops of the rate within the training."""

import copy

import pytest

from tests.workflow.test_sizes import DEMO
from vie.workflow.chains import late_drops, origin_problems, trained_first


def config(**recipe):
    """The demo's, with other settings of VIE-TRN, which starts from VIE-Single."""
    found = copy.deepcopy(DEMO)
    for key, value in recipe.items():
        one = found["recipes"]["vie_trn"]
        one[key] = one.get(key, {}) | value if isinstance(value, dict) else value
    return found


@pytest.mark.parametrize(
    ("encoder", "said"),
    [
        ({}, []),
        ({"bn_momentum": 0.5}, []),
        ({"embedding": 128}, ["encoder.embedding: 128 is not the 64 of vie_single"]),
        ({"width": 8}, ["encoder.width: 8 is not the 16 of vie_single"]),
        ({"network": "slow"}, ["encoder.network: slow cannot take over the single of vie_single"]),
    ],
)
def test_a_network_takes_over_one_of_its_kind(encoder, said):
    problems = list(origin_problems(config(encoder=encoder), "vie_trn"))
    assert len(problems) == len(said)
    for text, start in zip(problems, said, strict=True):
        assert text.startswith(f"recipes.vie_trn.{start}")


def test_what_is_said_to_fit_does():
    """All pairs of networks: the checks say what PyTorch says."""
    from vie.models.encoders import BUILDERS, build_encoder
    from vie.runtime.errors import VieError

    kinds = [{"network": name, "width": 4, "embedding": 8} for name in BUILDERS]
    kinds += [kinds[0] | {"width": 2}, kinds[0] | {"embedding": 4}, kinds[1] | {"frames": 2}]
    kinds += [kinds[4] | {"fast_width": 2}, kinds[4] | {"stride": 2, "fast_width": 2}]
    kinds = [{"frames": 4} | one if one["network"] == "trn" else one for one in kinds]
    kinds = [{"fast_width": 8} | one if one["network"] == "slowfast" else one for one in kinds]
    states = [build_encoder(one).state_dict() for one in kinds]
    for own in kinds:
        network = build_encoder(own)
        for other, state in zip(kinds, states, strict=True):
            found = config(encoder=own)
            found["recipes"]["vie_trn"]["encoder"] = own
            found["recipes"]["vie_single"]["encoder"] = other
            fits = not list(origin_problems(found, "vie_trn"))
            same_bank = own["embedding"] == other["embedding"]
            try:
                network.init_from(state)
            except VieError:
                assert not fits, (own, other)
            else:
                assert fits == same_bank, (own, other)


def test_rows_of_the_bank_are_the_same_instances():
    (text,) = origin_problems(config(instances={"share": 0.5}), "vie_trn")
    assert text.startswith("recipes.vie_trn.instances: must be those of vie_single")


def test_an_imported_network_brings_no_bank():
    found = config(encoder={"embedding": 64})
    found["recipes"]["vie_single"]["weights"] = "vie.pt"
    assert list(origin_problems(found, "vie_trn")) == []
    assert trained_first(found, "vie_trn") == ["vie_trn"]
    found["recipes"]["vie_trn"]["schedule"]["lr_drops"] = ["9999 steps"]
    assert list(late_drops(found, "vie_trn", lambda name: 15)) == []


@pytest.mark.parametrize(
    ("drops", "known", "unknown"),
    [
        (["72 epochs"], 0, 0),
        (["73.9 epochs"], 0, 0),
        (["74 epochs"], 1, 1),  # 60 + 8 of VIE-Single, 6 of its own
        (["1109 steps"], 0, 0),
        (["1110 steps"], 1, 0),
        (["10 epochs", "90 epochs", "2000 steps"], 2, 1),
    ],
)
def test_drops_count_from_the_start_of_the_chain(drops, known, unknown):
    found = config()
    found["recipes"]["vie_trn"]["schedule"]["lr_drops"] = drops
    texts = list(late_drops(found, "vie_trn", lambda name: 15))
    assert len(texts) == known
    assert len(list(late_drops(found, "vie_trn", None))) == unknown
    for text in texts:
        assert "training ends at step 1110 (15 in an epoch)" in text


def test_an_embeddings_norm_is_taken_over_with_the_network():
    """A TRN has a head of its own."""
    found = config(encoder={"embedding_norm": None})
    assert not list(origin_problems(found, "vie_trn"))
    found["recipes"]["vie_trn"]["encoder"] = {"network": "single", "width": 16, "embedding": 64}
    (text,) = origin_problems(found, "vie_trn")
    assert text.startswith("recipes.vie_trn.encoder.embedding_norm: none is not the batch of")
