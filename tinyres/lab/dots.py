"""What most figures of the laboratory show: dots where something was measured, a line for the theory."""

from __future__ import annotations

from typing import Any

Points = tuple[Any, Any]  # x and y


def dots_and_line(
    axes: Any,
    dots: Points,
    line: Points,
    colour: int | str,
    label: str | None = None,
    *,
    log: str = "",
    marker: str = "o",
) -> None:
    """Draw one case, dots and line in the same colour; the legend names the dots, unless `label` begins with "_".

    colour: matplotlib's name, or the number of the case.
    log: which axes are logarithmic: "", "y" or "xy".
    """
    plot = {"": axes.plot, "y": axes.semilogy, "xy": axes.loglog}[log]
    colour = f"C{colour}" if isinstance(colour, int) else colour
    theory = label and f"_{label.removeprefix('_')}, theory"  # not for the legend, but for the table of numbers
    plot(*line, "-", color=colour, lw=1, label=theory)
    plot(*dots, marker, color=colour, ms=4, label=label)


__all__ = ["dots_and_line"]
