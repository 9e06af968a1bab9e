"""The pictures of the digits experiment."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres.figures import palette

Runs = list[dict[str, Any]]
NAMES = {"plain": "plain", "resnet": "residual"}


def deepest(figure: Any, runs: Runs) -> None:
    """The deepest plain and residual net side by side: gradient, which net learns, routes."""
    depth = max(r["depth"] for r in runs)
    pair = [r for r in runs if r["depth"] == depth]
    left, middle, right = figure.subplots(1, 3)
    for run in pair:
        name = NAMES.get(run["arch"], run["arch"])
        style: Any = {"color": palette.colour_of(run["arch"], pair.index(run)), "label": f"{name}, {depth} layers"}
        first, losses = np.array(run["gradient_norm"][0]), np.array(run["train_loss"])
        left.semilogy(np.arange(1, len(first) + 1), first / first[-1], ".-", **style)
        left.annotate(f"{first[0] / first[-1]:,.0f}-fold", (1, first[0] / first[-1]), (6, 0), color=style["color"],
                      fontsize=9, textcoords="offset points", va="center")  # fmt: skip
        middle.plot(*smooth(losses, run["steps"]), **style)
        if run["skip_share"]:
            shares = 100 * np.array(run["skip_share"])
            blocks, last = np.arange(1, shares.shape[1] + 1), shares[-5:].mean(axis=0)
            right.fill_between(blocks, 0, last, color=palette.SKIP, lw=0, label="through the skips")
            right.fill_between(blocks, last, 100, color=palette.BRANCH, lw=0, label="through the branches")
            right.plot(blocks, shares[0], "k--", lw=1, label="the boundary before training")
            right.plot(blocks, last, lw=0, label="_the boundary after training")  # the areas' edge, for its numbers
    left.set(xlabel="block (1 = input side)", ylabel="|gradient| / |gradient at the last block|",
             title="Before training: the gradient per block")  # fmt: skip
    right.set(xlabel="block (1 = input side)", ylabel="share of |skip| + |branch|, %", ylim=(0, 100),
              title="After training: the way back")  # fmt: skip
    middle.axhline(np.log(10), color="grey", lw=0.8)
    middle.text(1, np.log(10), "guessing ", fontsize=8, color="grey", ha="right", va="bottom",
                transform=middle.get_yaxis_transform())  # fmt: skip
    middle.set(
        xlabel="training step", ylabel="training loss", ylim=(0, None), title="During training: which net learns"
    )
    right.margins(x=0)
    for axes in (left, middle, right):
        axes.legend(fontsize=8, loc="lower right" if axes is right else "upper right")
        axes.title.set_fontsize(10)


def smooth(losses: Any, steps: int) -> tuple[Any, Any]:
    """(steps, means of a twentieth of them)."""
    window = max(1, steps // 20)
    return np.arange(window, steps + 1), np.convolve(losses, np.ones(window) / window, "valid")


def gradients(figure: Any, runs: Runs) -> None:
    """The gradient's norm at each block's output: at the first step against depth, then over the steps as heat maps."""
    archs, depths = list(dict.fromkeys(r["arch"] for r in runs)), list(dict.fromkeys(r["depth"] for r in runs))
    panels = figure.subplots(len(archs), len(depths) + 1, squeeze=False, width_ratios=[1.3, *[1] * len(depths)])
    maps = {(r["arch"], r["depth"]): np.log10(np.maximum(np.array(r["gradient_norm"]).T, 1e-30)) for r in runs}
    starts = [m[:, 0] for m in maps.values()]
    later = np.concatenate([m[:, 1:].ravel() for m in maps.values()] if runs[0]["steps"] > 5 else starts)
    low, high = np.nanpercentile(later, 0.5), max(np.nanmax(m) for m in maps.values())
    for i, arch in enumerate(archs):
        axes = panels[i, 0]
        for depth in depths:
            start = maps[arch, depth][:, 0]
            place = np.linspace(0, 1, len(start))
            axes.plot(
                place, start, ".-", color=_colour(arch, archs.index(arch), depth, depths), label=f"{depth} layers"
            )
        axes.set(ylim=(np.nanmin(np.concatenate(starts)) - 0.2, np.nanmax(np.concatenate(starts)) + 0.2))
        axes.set_title(f"{NAMES.get(arch, arch)}, first step", fontsize=9)
        axes.set_ylabel("log₁₀ |gradient|")
        axes.legend(fontsize=7)
        if i == len(archs) - 1:
            axes.set_xlabel("place in the net (0 = input side)")
    for (i, arch), (j, depth) in ((a, d) for a in enumerate(archs) for d in enumerate(depths)):
        axes, values = panels[i, j + 1], maps[arch, depth]
        run = next(r for r in runs if (r["arch"], r["depth"]) == (arch, depth))
        extent = (0, run["steps"], 0.5, len(values) + 0.5)
        image = axes.imshow(values, aspect="auto", origin="lower", extent=extent, vmin=low, vmax=high, cmap="magma",
                            interpolation="nearest")  # fmt: skip
        title = f"{NAMES.get(arch, arch)}, {depth} layers\n(test accuracy {100 * run['test_accuracy']:.0f} %)"
        axes.set_title(title, fontsize=9)
        axes.set_yticks(sorted({1, (len(values) + 1) // 2, len(values)}))
        if j == 0:
            axes.set_ylabel("block (1 = input side)")
        if i == len(archs) - 1:
            axes.set_xlabel("training step")
    label = "log₁₀ |gradient| at the block's output"
    figure.colorbar(image, ax=panels, label=label, shrink=0.9, extend="min")


def routes(figure: Any, runs: Runs) -> None:
    """By which route the gradient comes back to each block's input: the skip's share, over blocks and over steps."""
    from matplotlib.colors import LinearSegmentedColormap

    residual = [r for r in runs if r["skip_share"]]
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    for k, run in enumerate(residual):
        shares, colour = np.array(run["skip_share"]), palette.shade(palette.RESIDUAL, k, len(residual))
        position = np.linspace(0, 1, shares.shape[1])
        net = f"{run['depth']} layers"
        left.plot(position, shares[0], "o--", color=colour, ms=4, mfc="w", label=f"_{net}, at the first step")
        left.plot(position, shares[-5:].mean(axis=0), "o-", color=colour, ms=4, label=net)
    left.axhline(0.5, color="grey", lw=0.8)
    left.set(xlabel="place in the net (0 = input side, 1 = output side)", ylim=(0, 1))
    left.set_title("How much gradient comes back through the skip connection", fontsize=10)
    left.set_ylabel("|skip| / (|skip| + |branch|) at the block's input")
    left.plot([], [], "ko--", ms=4, mfc="w", label="at the first step")
    left.plot([], [], "ko-", ms=4, label="at the last steps")
    left.legend(fontsize=8, ncols=2, loc="lower right")
    deepest = residual[-1]
    shares = np.array(deepest["skip_share"]).T
    extent = (0, deepest["steps"], 0.5, len(shares) + 0.5)
    between = LinearSegmentedColormap.from_list("routes", [palette.BRANCH, "white", palette.SKIP])
    image = right.imshow(shares, aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1, cmap=between,
                         interpolation="nearest")  # fmt: skip
    right.set(xlabel="training step", ylabel="block (1 = input side)")
    right.set_title(
        f"{deepest['depth']} layers, over the steps: orange the branch, blue the skip connection", fontsize=10
    )
    figure.colorbar(image, ax=right, label="|skip| / (|skip| + |branch|)")


def training(figure: Any, runs: Runs) -> None:
    """Training loss over the steps, and the test accuracy at the end."""
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    archs, depths = list(dict.fromkeys(r["arch"] for r in runs)), list(dict.fromkeys(r["depth"] for r in runs))
    for run in runs:
        steps, losses = smooth(run["train_loss"], run["steps"])
        window = steps[0]
        label = f"{NAMES.get(run['arch'], run['arch'])}, {run['depth']} layers"
        colour = _colour(run["arch"], archs.index(run["arch"]), run["depth"], depths)
        left.semilogy(steps, np.maximum(losses, 1e-12), "-", color=colour, label=label)
    left.axhline(np.log(10), color="grey", lw=0.8)
    left.text(0.99, np.log(10) * 1.05, "guessing", fontsize=8, color="grey", ha="right",
              transform=left.get_yaxis_transform())  # fmt: skip
    left.set_title("Training loss: the deeper, the darker", fontsize=10)
    left.set(xlabel="training step", ylabel="training loss" + (f", mean of {window} steps" if window > 1 else ""))
    left.legend(fontsize=8, loc="lower left")
    for k, arch in enumerate(archs):
        mine = [r for r in runs if r["arch"] == arch]
        known, colour = [r["test_accuracy"] for r in mine], palette.colour_of(arch, k)
        right.plot([r["depth"] for r in mine], known, "o-", color=colour, label=NAMES.get(arch, arch))
    right.axhline(0.1, color="grey", lw=0.8)
    right.text(0.01, 0.11, "guessing", fontsize=8, color="grey", transform=right.get_yaxis_transform())
    right.set_title("Test accuracy at the end", fontsize=10)
    right.set(xlabel="layers", ylabel="test accuracy", ylim=(0, 1.02), xticks=depths)
    right.legend(fontsize=8, loc="center left")


def _colour(arch: str, place: int, depth: int, depths: list[int]) -> str:
    """The architecture's colour, in the shade of the depth."""
    return palette.shade(palette.colour_of(arch, place), depths.index(depth), len(depths))
