"""Whether a recipe fits the ones that it starts from: network, instances, and drops of the rate.

Of recipes that are trained: an overlay may change one that others would start from.
"""

from collections.abc import Callable, Iterator
from typing import Any

from vie.config.probe_checks import too_late, useless_drops
from vie.config.settings import resolve_steps, stages

Config = dict[str, Any]


def trained_first(config: Config, recipe: str) -> list[str]:
    """A recipe and those that it starts from, as far as they are trained, the first one first."""
    return [name for name in _chain(config, recipe) if stages(config["recipes"][name])]


def _chain(config: Config, recipe: str) -> list[str]:
    recipes, chain = config["recipes"], [recipe]
    while origin := recipes[chain[0]].get("start_from"):
        chain.insert(0, origin)
    return chain


def origin_problems(config: Config, recipe: str) -> Iterator[str]:
    """Sentences on a recipe that cannot go on from the one that it starts from."""
    own, origin = config["recipes"][recipe], config["recipes"][recipe].get("start_from")
    if not origin or not stages(own):
        return
    yield from _other_network(config, recipe, origin)
    given = config["recipes"][origin]
    if stages(given) and given.get("instances") != own.get("instances"):
        yield (
            f"recipes.{recipe}.instances: must be those of {origin}, which it starts from: rows of "
            "the memory bank are instances"
        )


def late_drops(
    config: Config, recipe: str, steps_per_epoch: Callable[[str], int] | None
) -> Iterator[str]:
    """Sentences on drops of the rate after the end. They count from the start of the first recipe
    of a chain.

    Args:
        steps_per_epoch: a function of a recipe; None where the number of videos is not known, and
            drops are compared as far as their units tell.
    """
    chain, recipes = _chain(config, recipe), config["recipes"]
    if not all(stages(recipes[name]) for name in chain):
        return  # an imported network has its own count of steps
    key, drops = f"recipes.{recipe}.schedule.lr_drops", recipes[recipe]["schedule"]["lr_drops"]
    lengths = [
        (name, recipes[name]["schedule"][stage])
        for name in chain
        for stage in stages(recipes[name])
    ]
    if steps_per_epoch is None:
        yield from useless_drops(key, drops, [length for _, length in lengths])
        return
    steps = {name: steps_per_epoch(name) for name in chain}
    if not all(steps.values()):
        return  # fewer videos than a batch has, which is said elsewhere
    end = sum(resolve_steps(length, steps[name]) for name, length in lengths)
    for drop in drops:
        if resolve_steps(drop, steps[recipe]) >= end:
            yield too_late(key, drop, f"step {end} ({steps[recipe]} in an epoch)")


def _other_network(config: Config, recipe: str, origin: str) -> Iterator[str]:
    """Settings of a network that differ from those of the one that it starts from."""
    key, given = f"recipes.{recipe}.encoder", config["recipes"][origin]
    own, other = config["recipes"][recipe]["encoder"], given["encoder"]
    networks = own["network"], other["network"]
    if {*networks} & {*config.get("networks", {})}:
        return  # only the user's own code knows what fits
    from_single = networks == ("trn", "single")  # frames of its own, one by one
    if networks[0] != networks[1] and not from_single:
        yield (
            f"{key}.network: {networks[0]} cannot take over the {networks[1]} of {origin}, which "
            "it starts from (start_from): use the same network"
        )
        return
    for setting in ("width", "fast_width", "frames", "embedding"):
        if setting == "embedding" and from_single and not stages(given):
            continue  # its linear layer is a new one anyway, and so is the bank
        if setting in own and setting in other and own[setting] != other[setting]:
            yield (
                f"{key}.{setting}: {own[setting]} is not the {other[setting]} of {origin}, which "
                "it starts from (start_from)"
            )
    norms = own.get("embedding_norm", "none"), other.get("embedding_norm", "none")
    if norms[0] != norms[1] and not from_single:
        yield (
            f"{key}.embedding_norm: {norms[0]} is not the {norms[1]} of {origin}, which it starts "
            "from (start_from)"
        )
