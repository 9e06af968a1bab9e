"""The pictures of the digits experiment."""

from __future__ import annotations

from typing import Any

import numpy as np

Runs = list[dict[str, Any]]
COLOURS = {"plain": "tab:red", "resnet": "tab:blue"}
NAMES = {"plain": "plain", "resnet": "residual"}


def gradients(figure: Any, runs: Runs) -> None:
    """Heat maps, a net each: log10 of the gradient's norm at each block's output over the steps."""
    archs, depths = list(dict.fromkeys(r["arch"] for r in runs)), list(dict.fromkeys(r["depth"] for r in runs))
    panels = figure.subplots(len(archs), len(depths), squeeze=False)
    maps = {(r["arch"], r["depth"]): np.log10(np.maximum(np.array(r["gradient_norm"]).T, 1e-30)) for r in runs}
    low, high = np.percentile(np.concatenate([m.ravel() for m in maps.values()]), [1, 99])
    for (i, arch), (j, depth) in ((a, d) for a in enumerate(archs) for d in enumerate(depths)):
        axes, values = panels[i, j], maps[arch, depth]
        run = next(r for r in runs if (r["arch"], r["depth"]) == (arch, depth))
        extent = (0, run["steps"], 0.5, len(values) + 0.5)
        image = axes.imshow(values, aspect="auto", origin="lower", extent=extent, vmin=low, vmax=high, cmap="magma")
        axes.set_title(f"{NAMES.get(arch, arch)}, {depth} layers: test accuracy {run['test_accuracy']:.0%}", fontsize=9)
        axes.set_yticks(sorted({1, (len(values) + 1) // 2, len(values)}))
        if j == 0:
            axes.set_ylabel("block (1 = input side)")
        if i == len(archs) - 1:
            axes.set_xlabel("training step")
    figure.colorbar(image, ax=panels, label="log₁₀ of the gradient's norm at the block's output", shrink=0.9)


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
    left.set_ylabel("skip's share of the gradient at the block's input")
    left.legend(fontsize=7)
    deepest = residual[-1]
    shares = np.array(deepest["skip_share"]).T
    extent = (0, deepest["steps"], 0.5, len(shares) + 0.5)
    image = right.imshow(shares, aspect="auto", origin="lower", extent=extent, vmin=0, vmax=1, cmap="RdBu")
    right.set(xlabel="training step", ylabel="block (1 = input side)")
    right.set_title(f"{deepest['depth']} layers: red by the branch, blue by the skip", fontsize=9)
    figure.colorbar(image, ax=right, label="skip's share")


def training(figure: Any, runs: Runs) -> None:
    """Training loss over the steps, and the test accuracy at the end."""
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    depths = list(dict.fromkeys(r["depth"] for r in runs))
    styles = dict(zip(depths, ("-", "--", ":", "-."), strict=False))
    for run in runs:
        window = max(1, run["steps"] // 20)
        losses = np.convolve(run["train_loss"], np.ones(window) / window, "valid")
        steps = np.arange(window, run["steps"] + 1)
        label = f"{NAMES.get(run['arch'], run['arch'])} {run['depth']}"
        left.semilogy(steps, losses, styles.get(run["depth"], "-"), color=COLOURS.get(run["arch"]), label=label)
    left.axhline(np.log(10), color="grey", lw=0.8)
    left.text(0, np.log(10) * 1.05, "guessing", fontsize=7, color="grey")
    left.set(xlabel="training step", ylabel=f"training loss, mean of {window} steps")
    left.legend(fontsize=8)
    for arch in dict.fromkeys(r["arch"] for r in runs):
        mine = [r for r in runs if r["arch"] == arch]
        label = NAMES.get(arch, arch)
        right.plot(
            [r["depth"] for r in mine], [r["test_accuracy"] for r in mine], "o-", color=COLOURS.get(arch), label=label
        )
    right.axhline(0.1, color="grey", lw=0.8)
    right.set(xlabel="layers", ylabel="test accuracy", ylim=(0, 1.02), xticks=depths)
    right.legend(fontsize=8)
