"""Popular claim: DenseNet sums its inputs; and it saves memory and time.

It concatenates: the gradient per feature grows linearly with depth, where sums would double it in every layer. It has
fewer parameters than a residual net of equal accuracy, but keeps more activations and multiplies more. Huang et al.
2017 [huang2017densely], "Densely connected convolutional networks"; the residual net: He et al. 2016 [he2016deep].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinyres import models, nn
from tinyres.flow.theory import dense
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick
from tinyres.lab.laws import e06_densenet as e06

K0, GROWTH, DEPTH = e06.K0, e06.K, e06.DEPTH
CHUNKS = 10  # of 100 nets
SIZE = 32  # of CIFAR's images
HUANG, DERIVED = "Huang et al. 2017", "derived: concatenation (k0 + k L) / k0, sums 2^L"


def growth(way: str, seed: int, stream: int) -> Any:
    """Squared gradient per feature at the input over that at layer 0 ... DEPTH, mean over E6's nets."""
    step = e06.WAYS[way][0]
    chunks = [e06.ratios(step, np.random.default_rng((seed, chunk, stream))) for chunk in range(CHUNKS)]
    return np.concatenate(chunks).mean(axis=0)


def counted(model: nn.Module) -> dict[str, int]:
    """Parameters; numbers kept for the backward pass; multiplications of one image's forward pass.

    What is kept: the result of each convolution and batch norm, once, as in a frugal implementation (ReLU in place, a
    concatenation as a view). A convolution without bias uses each of its weights once per pixel of its result.
    """
    rows = nn.summary(model, (1, 3, SIZE, SIZE)).rows
    kept = multiplications = 0
    for row in rows:
        if row.kind.startswith(("Conv2d", "BatchNorm2d")) and row.shape is not None:
            kept += int(np.prod(row.shape))
            if row.kind.startswith("Conv2d"):
                multiplications += row.parameters * row.shape[2] * row.shape[3]
    return {"parameters": model.parameter_count(), "activations kept": kept, "multiplications": multiplications}


def run(options: Options, tick: Tick) -> Result:
    """The gradient of both rules, and both published nets counted layer by layer."""
    curves = {}
    for stream, way in enumerate(e06.WAYS):
        curves[way] = growth(way, options.seed, stream)
        tick()
    concatenated, summed = (float(curves[way][-1]) for way in ("concatenated", "summed"))
    densenet = counted(models.densenet(100, 12, bottleneck=True, rng=0))
    tick()
    resnet = counted(models.resnet(110, 16, rng=0))
    tick()
    predicted = float(dense.concatenating(K0, GROWTH, DEPTH)[-1])
    ratio = {name: densenet[name] / resnet[name] for name in densenet}
    name = f"gradient² per feature, {DEPTH} layers"
    laws = [
        Law(f"{name}, concatenated", concatenated, predicted, 0.05 * predicted, "asymptotic", DERIVED),
        # As in E6: 5 % a layer would be 2.65 on the total, so its logarithm is judged, to a term of the order L / k0.
        Law("its logarithm, summed", float(np.log(summed)), DEPTH * np.log(2), DEPTH / K0, "asymptotic", DERIVED),
        Law("parameters of DenseNet-BC-100-12, millions", densenet["parameters"] / 1e6, 0.8, 0.05, "check", HUANG),
        Law("parameters of ResNet-110, millions", resnet["parameters"] / 1e6, 1.7, 0.05, "check", "He et al. 2016"),
        Law("parameters: ResNet-110 over DenseNet", 1 / ratio["parameters"], 1.0, 0.0, "ordering", HUANG),
        Law(
            "activations kept: DenseNet's divided by ResNet-110's",
            ratio["activations kept"],
            1.0,
            0.0,
            "ordering",
            "counted",
        ),
        Law(
            "multiplications: DenseNet's divided by ResNet-110's",
            ratio["multiplications"],
            1.0,
            0.0,
            "ordering",
            "counted",
        ),
    ]
    rows = [[name, f"{densenet[name]:,}", f"{resnet[name]:,}", f"{ratio[name]:.2f}"] for name in densenet]
    channels = [K0 + GROWTH * layer for layer in (0, DEPTH // 2, DEPTH)]
    rows.append(["channels after 0, 10, 20 layers", ", ".join(map(str, channels)), f"{K0}, {K0}, {K0}", ""])
    table = Table(
        "What a DenseNet saves, and what it does not (one 32x32 image)",
        ["", "DenseNet-BC-100-12", "ResNet-110", "ratio"],
        rows,
        "the last row: the random nets of this experiment, concatenating and summing. Kept for the backward pass: "
        "results of convolutions and batch norms, once each.",
    )
    note = (
        f"Gradients: means of {100 * CHUNKS} random nets. Counts: layer by layer from both nets as published for "
        "CIFAR-10, whose accuracy is similar."
    )
    told = (
        f"In {DEPTH} layers the squared gradient of a feature grows by {concatenated:.3g} if inputs are concatenated "
        f"and by {summed:.2g} if they are summed. DenseNet-BC-100-12 has {ratio['parameters']:.2f} times "
        f"ResNet-110's parameters, but keeps {ratio['activations kept']:.2f} times its activations and takes "
        f"{ratio['multiplications']:.2f} times its multiplications: it saves parameters, not memory or time."
    )
    return Result(laws, [table], {"": lambda figure: draw(figure, curves, ratio)}, note=note, found=told)


def draw(figure: Any, curves: dict[str, Any], ratio: dict[str, float]) -> None:
    """Both gradients against depth; the ratios of what is counted."""
    left, right = figure.subplots(1, 2)
    depth = np.arange(DEPTH + 1)
    for way, line, colour, label in (
        ("summed", dense.summing(DEPTH), "C3", "if it summed: 2ᴸ"),
        ("concatenated", dense.concatenating(K0, GROWTH, DEPTH), "C0", "it concatenates: (k₀ + k L) / k₀"),
    ):
        dots_and_line(left, (depth, curves[way]), (depth, line), colour, label, log="y")
    left.set(xlabel="layers", ylabel="squared gradient per feature", xticks=depth[::4])
    left.set_title("Concatenating is not summing\n(dots measured, lines theory)")
    left.legend()
    bars = right.bar(list(ratio), list(ratio.values()), color=["C2", "C3", "C1"])
    right.bar_label(bars, fmt="%.2f")
    right.margins(y=0.12)  # for the highest number
    right.axhline(1, color="k", lw=1)
    right.set(ylabel="DenseNet-BC-100-12 divided by ResNet-110", title="Fewer parameters, more memory")


EXPERIMENT = Experiment(
    name="claim-densenet",
    question="Does a DenseNet sum its inputs, and does it save memory and time?",
    claim="'DenseNet sums its inputs; and saves memory and time'",
    prediction="gradient² 8.5 against 10⁶ in 20 layers; fewer parameters than ResNet-110, more activations kept",
    equation=r"\frac{k_0 + kL}{k_0} \; (\mathrm{concatenated}), \qquad 2^L \; (\mathrm{summed})",
    source=HUANG,
    ticks=lambda options: 4,
    run=run,
    seconds=2,
    varies="weights, inputs and cotangents of the random nets; the counts are not random",
    conditions="Gradients: at initialisation, arithmetic means, exact at any width for concatenation. Counts: one "
    "image of 32x32, with every result of a convolution or a batch norm kept once; an implementation that recomputes "
    "them keeps less.",
)
