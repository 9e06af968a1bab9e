"""The pictures of `tinyres bench`: the roofline, and time against the amount of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinyres.bench.convolutions import PASSES, Shape
from tinyres.bench.scaling import Curves
from tinyres.figures import blank, palette
from tinyres.files import write_figure


class Point(NamedTuple):
    """A convolution in the roofline: seconds of ours and of PyTorch's better format."""

    shape: Shape
    which: str
    ours: float
    pytorch: float | None


def save(draw: Any, path: Path, size: tuple[float, float]) -> Path:
    figure = blank(size)
    draw(figure)
    write_figure(figure, path)
    return path


def roofline(points: Sequence[Point], flops: float, roofs: Mapping[str, float], title: str, path: Path) -> Path:
    """GFLOP/s over FLOP a byte of compulsory traffic, a panel a pass, under the measured roofs.

    flops: the rate of arithmetic that nothing exceeds; roofs: bytes a second, by what they are the limit of.

    The three passes of a convolution touch the same three arrays: a shape stands at the same place in each panel. What
    is computed with fewer multiplications than the direct convolution (Winograd's way) may break through the roof.
    """

    def draw(figure: Any) -> None:
        shapes = sorted({p.shape for p in points}, key=lambda s: s.intensity)
        numbers = {shape: i + 1 for i, shape in enumerate(shapes)}
        low, high = shapes[0].intensity / 2.5, shapes[-1].intensity * 2.5
        rates = [p.shape.flops / s / 1e9 for p in points for s in (p.ours, p.pytorch) if s]
        bottom, top = min(rates) / 2.5, max(flops / 1e9, *rates) * 1.8
        x = np.geomspace(low, high, 200)
        panels = figure.subplots(1, len(PASSES), sharey=True)
        for axes, which in zip(panels, PASSES, strict=True):
            for (what, bandwidth), style in zip(roofs.items(), ("-", "--"), strict=False):
                label = f"{what}: {bandwidth / 1e9:.0f} GB/s"
                axes.plot(x, np.minimum(bandwidth * x, flops) / 1e9, style, color="black", lw=1, label=label)
            for p in (p for p in points if p.which == which):
                place, colour = p.shape.intensity, f"C{(numbers[p.shape] - 1) % 10}"
                if p.pytorch:
                    both = [p.shape.flops / s / 1e9 for s in (p.pytorch, p.ours)]
                    axes.plot([place, place], both, color=colour, lw=1, alpha=0.6)
                    axes.plot(place, both[0], "o", mfc="white", mec=colour, ms=6)
                axes.plot(place, p.shape.flops / p.ours / 1e9, "o", color=colour, ms=6)
            for shape, place in zip(shapes, _apart([s.intensity for s in shapes]), strict=True):
                foot = bottom * 1.25
                axes.plot([shape.intensity, place], [foot * 1.45, foot * 1.2], color=palette.FAINT, lw=0.5)
                axes.text(place, foot, str(numbers[shape]), ha="center", va="center", fontsize=8)
            axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(bottom, top), title=which)
            _plain(axes.xaxis)
            _plain(axes.yaxis)
            axes.set_xlabel("FLOP a byte of compulsory traffic")
            axes.grid(which="both", lw=0.3, alpha=0.5)
        panels[0].set_ylabel("GFLOP/s of the direct convolution")
        names = [f"{n}: {shape}" for shape, n in numbers.items()]
        handles, labels = panels[0].get_legend_handles_labels()
        from matplotlib.lines import Line2D

        handles += [Line2D([], [], marker="o", ls="", color="black")]
        handles += [Line2D([], [], marker="o", ls="", mfc="white", mec="black")]
        handles += [Line2D([], [], marker="o", ls="", color=f"C{(n - 1) % 10}") for n in numbers.values()]
        labels += ["tinyres", "PyTorch, faster format", *names]
        figure.legend(handles, labels, loc="outside right upper", fontsize=8, title="N, C, H -> O, K, stride")
        figure.suptitle(f"Roofline: {title}", fontsize=10)

    return save(draw, path, (14, 5))


def _plain(axis: Any) -> None:
    """1, 2, 5, 10, ... instead of powers; to be called when the axis is logarithmic."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _apart(values: Sequence[float], factor: float = 1.16) -> list[float]:
    """Places for labels near rising `values` on a log axis, no two closer than `factor`.

    Neighbours that are too close form a group, which keeps its centre: each new one may push a group into the next.
    """
    groups: list[list[float]] = []
    for value in np.log(values):
        groups.append([float(value)])
        while len(groups) > 1 and _edges(groups[-2], factor)[1] + np.log(factor) > _edges(groups[-1], factor)[0]:
            last = groups.pop()
            groups[-1] += last
    step = float(np.log(factor))
    return [float(np.exp(_edges(group, factor)[0] + i * step)) for group in groups for i in range(len(group))]


def _edges(group: list[float], factor: float) -> tuple[float, float]:
    centre, half = sum(group) / len(group), float(np.log(factor)) * (len(group) - 1) / 2
    return centre - half, centre + half


def linearity(curves: Curves, path: Path) -> Path:
    """Time against batch, channels squared and pixels, both axes logarithmic, with the line of proportion."""

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(curves), squeeze=False)[0]
        for axes, (family, curve) in zip(panels, curves.items(), strict=True):
            amount = np.array(curve["amount"], float)
            for which, marker, colour in zip(PASSES, "o^s", palette.CASES[:3], strict=True):
                label = f"{which}: slope {curve['slope'][which]:.2f}"
                axes.plot(
                    amount, np.array(curve["seconds"][which]) * 1e3, marker + "-", ms=5, color=colour, label=label
                )
            last = curve["seconds"][PASSES[0]][-1] * 1e3
            axes.plot(amount, last * amount / amount[-1], ":", color=palette.FAINT, label="in proportion")
            axes.set(xscale="log", yscale="log", xlabel=family, ylabel="ms")
            axes.set_xticks(amount, [f"{a:g}" for a in amount], fontsize=8)
            axes.minorticks_off()
            _plain(axes.yaxis)
            axes.grid(which="both", lw=0.3, alpha=0.5)
            axes.legend(fontsize=8)
        figure.suptitle("Time of a 3x3 convolution, stride 1, against the amount of work", fontsize=10)

    return save(draw, path, (13, 4.2))
