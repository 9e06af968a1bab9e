"""E19: parameter counts of the CIFAR-10 ResNets of He et al. 2016, beside their published errors.

He et al. 2016 [he2016deep], "Deep residual learning for image recognition", table 6.
"""

from __future__ import annotations

from tinyres import models
from tinyres.lab.experiment import Experiment, Law, Options, Result, Table, Tick

SOURCE = "He et al. 2016, table 6"
PUBLISHED = {  # layers: (test error in %, parameters in millions, half a unit of their last digit)
    20: (8.75, 0.27, 0.005),
    32: (7.51, 0.46, 0.005),
    44: (7.17, 0.66, 0.005),
    56: (6.97, 0.85, 0.005),
    110: (6.43, 1.7, 0.05),
    1202: (7.93, 19.4, 0.05),
}
BUILT = (20, 32, 44, 56, 110)  # building 1202 layers takes a second and adds nothing


def by_formula(depth: int, width: int = 16, in_channels: int = 3, classes: int = 10) -> int:
    """Weights and biases of the net of 6 n + 2 layers with parameter-free shortcuts.

    A 3x3 convolution from c to d channels has 9 c d weights (no bias), the batch norm behind it 2 d. A stage of n
    blocks with d channels has 2 n of each, the first of them from the channels before; the linear layer has
    4 width classes + classes.
    """
    n = (depth - 2) // 6
    total, c = 0, in_channels
    for d, convolutions in ((width, 1), (width, 2 * n), (2 * width, 2 * n), (4 * width, 2 * n)):
        total += 9 * c * d + 9 * d * d * (convolutions - 1) + 2 * d * convolutions
        c = d
    return total + c * classes + classes


def by_building(depth: int) -> int:
    """The same from the model itself."""
    return sum(parameter.size for parameter in models.resnet(depth, width=16, rng=0).parameters())


def run(options: Options, tick: Tick) -> Result:
    """Millions of parameters against the table; up to 110 layers also built and counted."""
    laws, rows = [], []
    for depth, (error, millions, half) in PUBLISHED.items():
        count = by_formula(depth)
        name = f"ResNet-{depth}: million parameters"
        laws.append(Law(name, count / 1e6, millions, half, "check", SOURCE))
        built = "-"
        if depth in BUILT:
            counted = by_building(depth)
            built = f"{counted:,}"
            laws.append(Law(f"ResNet-{depth}: built against formula", counted, count, 0, "check", "counted"))
        rows.append([depth, f"{error:.2f}", f"{millions:g} M", f"{count:,}", built])
        tick()
    table = Table(
        "Residual nets on CIFAR-10 as published",
        ["layers", "test error, % (published)", "parameters (published)", "by formula", "built and counted"],
        rows,
        f"{SOURCE}. The errors are the paper's, not measured here: that would need a GPU and the data. 1202 layers are "
        "counted by the formula only. The deepest net is not the best one.",
    )
    agreed = sum(law.ok for law in laws if law.source == SOURCE)
    found = (
        f"From {by_formula(min(PUBLISHED)):,} parameters at {min(PUBLISHED)} layers to "
        f"{by_formula(max(PUBLISHED)):,} at {max(PUBLISHED)}, {agreed} of {len(PUBLISHED)} nets have the published "
        "number to its last digit."
    )
    return Result(laws, tables=[table], found=found)


EXPERIMENT = Experiment(
    name="E19",
    question="Are the nets built here those of the paper?",
    claim="the nets built here have the published numbers of parameters",
    prediction="0.27, 0.46, 0.66, 0.85, 1.7, 19.4 million at 20, 32, 44, 56, 110, 1202 layers",
    equation=r"9 c_0 w + \sum_{s=1}^{3} \left( 9 w_s (w_{s-1} + (2n-1) w_s) + 4 n w_s \right) + 2 w + 40 w + 10, \quad "
    r"w_s = 2^{s-1} w, \quad w_0 = w, \quad \mathrm{layers} = 6n + 2",
    source=SOURCE,
    ticks=lambda options: len(PUBLISHED),
    run=run,
    seconds=0.3,
    varies="nothing: parameters are counted",
    conditions="Width w = 16, shortcuts without parameters (option A), c₀ = 3 colours and ten classes. The errors are "
    "the paper's: to measure them takes a GPU and the data.",
)
