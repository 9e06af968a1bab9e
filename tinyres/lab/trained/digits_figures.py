"""The pictures of the digits experiment."""

from __future__ import annotations

from typing import Any

import numpy as np

Runs = list[dict[str, Any]]
COLOURS = {"plain": "tab:red", "resnet": "tab:blue"}
NAMES = {"plain": "plain", "resnet": "residual"}


def deepest(figure: Any, runs: Runs) -> None:
    """The deepest plain and residual net side by side: gradient, routes, and who learns."""
    depth = max(r["depth"] for r in runs)
    pair = [r for r in runs if r["depth"] == depth]
    left, middle, right = figure.subplots(1, 3)
    for run in pair:
        style = {"color": COLOURS.get(run["arch"]), "label": f"{NAMES.get(run['arch'], run['arch'])}, {depth} layers"}
        first, losses = np.array(run["gradient_norm"][0]), np.array(run["train_loss"])
        left.semilogy(np.arange(1, len(first) + 1), first / first[-1], ".-", **style)
        left.annotate(f"{first[0] / first[-1]:,.0f}-fold", (1, first[0] / first[-1]), (6, 0), color=style["color"],
                      fontsize=9, textcoords="offset points", va="center")  # fmt: skip
        middle.plot(*smooth(losses, run["steps"]), **style)
        if run["skip_share"]:
            shares = 100 * np.array(run["skip_share"])
            blocks, last = np.arange(1, shares.shape[1] + 1), shares[-5:].mean(axis=0)
            right.fill_between(blocks, 0, last, color="tab:blue", alpha=0.75, lw=0, label="by the skip")
            right.fill_between(blocks, last, 100, color="tab:orange", alpha=0.75, lw=0, label="by the branch")
            right.plot(blocks, shares[0], "k--", lw=1, label="the border, before training")
    left.set(xlabel="block (1 = input side)", ylabel="|gradient| / |gradient at the last block|",
             title="Before training: the gradient, block by block")  # fmt: skip
    right.set(xlabel="block (1 = input side)", ylabel="share of the gradient that came back, %", ylim=(0, 100),
              title="How it comes back, once trained")  # fmt: skip
    middle.axhline(np.log(10), color="grey", lw=0.8)
    middle.text(1, np.log(10), "guessing ", fontsize=8, color="grey", ha="right", va="bottom",
                transform=middle.get_yaxis_transform())  # fmt: skip
    middle.set(xlabel="training step", ylabel="training loss", ylim=(0, None), title="Training: who learns")
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
    low, high = np.nanpercentile(later, [0.5, 99.5])
    for i, arch in enumerate(archs):
        axes = panels[i, 0]
        for depth in depths:
            start = maps[arch, depth][:, 0]
            place = np.linspace(0, 1, len(start))
            axes.plot(place, start, ".-", color=f"C{depths.index(depth)}", label=f"{depth} layers")
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
        image = axes.imshow(values, aspect="auto", origin="lower", extent=extent, vmin=low, vmax=high, cmap="magma")
        title = f"{NAMES.get(arch, arch)}, {depth} layers\n(test accuracy {100 * run['test_accuracy']:.0f} %)"
        axes.set_title(title, fontsize=9)
        axes.set_yticks(sorted({1, (len(values) + 1) // 2, len(values)}))
        if j == 0:
            axes.set_ylabel("block (1 = input side)")
        if i == len(archs) - 1:
            axes.set_xlabel("training step")
    label = "log₁₀ |gradient| at the block's output"
    figure.colorbar(image, ax=panels, label=label, shrink=0.9, extend="both")


def routes(figure: Any, runs: Runs) -> None:
    """By which route the gradient comes back to each block's input: the skip's share, over blocks and over steps."""
    residual = [r for r in runs if r["skip_share"]]
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    for k, run in enumerate(residual):
        shares = np.array(run["skip_share"])
        position = np.linspace(0, 1, shares.shape[1])
        left.plot(position, shares[0], "o-", color=f"C{k}", ms=4, label=f"{run['depth']} layers, first step")
        left.plot(
            position, shares[-5:].mean(axis=0), "s--", color=f"C{k}", ms=3, label=f"{run['depth']} layers, last steps"
        )
    left.axhline(0.5, color="grey", lw=0.8)
    left.set(xlabel="place in the net (0 = input side, 1 = output side)", ylim=(0, 1))
    left.set_title("how much of the gradient comes back by the skip", fontsize=9)
    left.set_ylabel("|skip| / (|skip| + |branch|) at the block's input")
    left.legend(fontsize=7)
    deepest = residual[-1]
    shares = np.array(deepest["skip_share"]).T
    extent = (0, deepest["steps"], 0.5, len(shares) + 0.5)
    image = right.imshow(shares, aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1, cmap="RdBu")
    right.set(xlabel="training step", ylabel="block (1 = input side)")
    right.set_title(f"{deepest['depth']} layers, over the steps: red by the branch, blue by the skip", fontsize=9)
    figure.colorbar(image, ax=right, label="|skip| / (|skip| + |branch|)")


def training(figure: Any, runs: Runs) -> None:
    """Training loss over the steps, and the test accuracy at the end."""
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    depths = list(dict.fromkeys(r["depth"] for r in runs))
    styles = {"plain": ":", "resnet": "-"}
    for run in runs:
        steps, losses = smooth(run["train_loss"], run["steps"])
        window = steps[0]
        label = f"{NAMES.get(run['arch'], run['arch'])} {run['depth']}"
        left.semilogy(
            steps,
            np.maximum(losses, 1e-12),
            styles.get(run["arch"], "-"),
            color=f"C{depths.index(run['depth'])}",
            label=label,
        )
    left.axhline(np.log(10), color="grey", lw=0.8)
    left.text(
        0.99, np.log(10) * 1.05, "guessing", fontsize=7, color="grey", ha="right", transform=left.get_yaxis_transform()
    )
    left.set_title("what training makes of it", fontsize=9)
    left.set(xlabel="training step", ylabel="training loss" + (f", mean of {window} steps" if window > 1 else ""))
    left.legend(fontsize=8)
    for arch in dict.fromkeys(r["arch"] for r in runs):
        mine = [r for r in runs if r["arch"] == arch]
        label = NAMES.get(arch, arch)
        right.plot(
            [r["depth"] for r in mine], [r["test_accuracy"] for r in mine], "o-", color=COLOURS.get(arch), label=label
        )
    right.axhline(0.1, color="grey", lw=0.8)
    right.text(0.01, 0.11, "guessing", fontsize=7, color="grey", transform=right.get_yaxis_transform())
    right.set_title("what the nets know at the end", fontsize=9)
    right.set(xlabel="layers", ylabel="test accuracy", ylim=(0, 1.02), xticks=depths)
    right.legend(fontsize=8)
