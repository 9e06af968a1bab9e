"""The colours of the figures. Each of the first six has one meaning in all figures, and belongs to nothing else.

They are of Okabe and Ito's palette, which people with any of the common forms of colour blindness can tell apart. Cases
that have no meaning of their own take the colours of `CASES`, most of them of Paul Tol's muted palette. Nets of one
kind and several depths have one colour in several shades: the deeper, the darker.
"""

from __future__ import annotations

from typing import Any

RESIDUAL = "#0072B2"  # blue
PLAIN = "#D55E00"  # vermilion
SKIP = "#56B4E9"  # sky blue
BRANCH = "#E69F00"  # orange
D = "#009E73"  # green: the discriminator, and what it says of real data
G = "#CC79A7"  # purple: the generator, and what it makes

CASES = ("#332288", "#882255", "#999933", "#44AA99", "#8C6D46", "#777777", "#DDCC77")
BAD = "#B3261E"  # what failed, diverged or is not finite
FAINT = "#888888"  # reference lines, and what a reader need not look at first

# From a small norm of a gradient to a large one, as on the viewer's page of a run.
NORMS = ("#161a40", "#2c3875", "#31628f", "#338a92", "#5caf84", "#aacd6e", "#f6e57e")

MEANT = {"residual": RESIDUAL, "resnet": RESIDUAL, "plain": PLAIN, "skip": SKIP, "branch": BRANCH, "D": D, "G": G}
LOSSES = {  # what a generator may minimise; hinge and Wasserstein give it the same gradient
    "saturating": CASES[1], "nonsaturating": CASES[0], "wasserstein": CASES[2], "hinge": CASES[2],
    "least_squares": CASES[4],
}  # fmt: skip


def colour_of(name: str, place: int) -> str:
    """The colour of what the name means, or else the one of this place among the cases."""
    return MEANT.get(name, CASES[place % len(CASES)])


def shade(colour: str, place: int, number: int) -> str:
    """The colour of the `place`-th of `number` depths: tints of it first, and the colour itself for the deepest."""
    tint = 0.6 * (number - 1 - place) / max(number - 1, 1)
    return "#" + "".join(f"{round(part + (255 - part) * tint):02x}" for part in _parts(colour))


def norms() -> Any:
    """The colour map of norms of gradients: dark where they vanish, light where they are large."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("norms", list(NORMS))


def _parts(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
