"""The style of all plots: their colours, and the style file `vie.mplstyle`.

Colours are those of Okabe and Ito (2008), which the colour-blind can tell apart. Layers are shades
of one of them, darker with depth.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

P = ParamSpec("P")
BLUE, ORANGE, GREEN, VERMILLION = "#0072b2", "#e69f00", "#009e73", "#d55e00"
PURPLE, SKY, BLACK = "#cc79a7", "#56b4e9", "#000000"
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK)
# Of chance and what is not comparable, of error bars, of every other group of rows.
GREY, DARK, FAINT = "#777777", "#333333", "#f3f0e8"
PUBLISHED_COLOUR = VERMILLION
# Of what is better or right, neither, worse or wrong.
GOOD, NEITHER, BAD = BLUE, "#8a8a8a", VERMILLION
# Of encoders by their network, however they are trained; one of a user's own is black.
NETWORK_COLOURS = {
    "single": BLUE,
    "trn": ORANGE,
    "3dresnet": GREEN,
    "slow": VERMILLION,
    "slowfast": PURPLE,
    "fast": SKY,
}
STYLES: dict[str, dict[str, Any]] = {
    "embedding": {"color": ORANGE, "label": "embedding"},
    "conv3": {"color": "#88bfe0", "label": "Conv3"},
    "conv4": {"color": BLUE, "label": "Conv4"},
    "conv5": {"color": "#003a5c", "label": "Conv5"},
    "knn10": {"color": ORANGE, "label": "10 nearest neighbours"},
}


def styled(plot: Callable[P, None]) -> Callable[P, None]:
    """`plot` in the style of all plots, whatever matplotlib is set to outside of it."""

    @functools.wraps(plot)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        import matplotlib.style

        with matplotlib.style.context("vie.reporting.vie"):
            plot(*args, **kwargs)

    return drawn
