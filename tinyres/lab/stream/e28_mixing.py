"""E28, many streams: what mixing them does to the gradient, freely or with a doubly stochastic matrix.

Zhu et al. 2024 [zhu2024hyper], "Hyper-connections"; Xie et al. 2025 [xie2025mhc]; Sinkhorn & Knopp 1967
[sinkhorn1967concerning].
"""

from __future__ import annotations

from typing import Any

import numpy as np

import tinyres as tr
from tinyres.figures import palette
from tinyres.flow.theory import mixing
from tinyres.lab.dots import dots_and_line
from tinyres.lab.experiment import Experiment, Law, Options, Result, Setting, Table, Tick, shown
from tinyres.lab.law import three_errors
from tinyres.ops.sinkhorn import sinkhorn

STREAMS, DRAWS, CHUNK = 4, 4000, 1000
CASES = ((0.05, 32), (0.05, 64), (0.1, 32), (0.1, 64))  # sigma, mixings
EPS, DEPTH = 0.1, 64
ENOUGH = 200  # iterations until rows and columns both sum to 1
SOURCE, THEOREM = "derived", "Xie et al. 2025"


def mixed(streams: Any, matrices: Any) -> Any:
    """streams (..., n, width), multiplied by each of the matrices (L, ..., n, n) in turn."""
    for m in matrices:
        streams = m @ streams
    return streams


def gradient_through(matrices: Any, g: Any) -> Any:
    """What mixing sends back of the cotangent g (..., n, 1)."""
    x = tr.tensor(np.zeros_like(g), requires_grad=True)
    return tr.grad(mixed(x, matrices), x, g)[0].numpy()


def free(rng: np.random.Generator, n: int, sigma: float, depth: int, draws: int) -> Any:
    """|gradient|² over the cotangent's after 0, 1, ..., depth mixings by I + sigma G: (draws, depth + 1)."""
    g = rng.standard_normal((draws, n, 1))
    states: list[Any] = [tr.tensor(np.zeros_like(g), requires_grad=True)]
    for _ in range(depth):
        states.append((np.eye(n) + sigma * rng.standard_normal((draws, n, n))) @ states[-1])
    gradients = tr.grad(states[-1], states, g)
    squares = np.stack([(d.numpy() ** 2).sum(axis=(1, 2)) for d in gradients[::-1]], axis=1)
    return squares / squares[:, :1]


def run(options: Options, tick: Tick) -> Result:
    """Free mixing over many draws; doubly stochastic mixing, exactly; and where Sinkhorn's gradient ends."""
    given = options.settings
    n, cases = given.get("n", STREAMS), ((given["sigma"], given["depth"]),) if given else CASES
    curves = {}
    for k, (sigma, depth) in enumerate(cases):
        rng = np.random.default_rng((options.seed, k))
        chunks = [free(rng, n, sigma, depth, CHUNK) for _ in range(DRAWS // CHUNK)]
        curves[sigma, depth] = np.concatenate(chunks)
        tick()
    laws = [free_law(n, sigma, depth, found) for (sigma, depth), found in curves.items()]
    depth = given.get("depth", DEPTH)
    bound = doubly_stochastic(np.random.default_rng((options.seed, 99)), n, depth)
    tick()
    laws += [*bound["laws"], *silent_laws(n)]
    tick()
    said = "; ".join(
        f"{law.measured:.3g} for sigma {sigma:g} and {L} mixings (predicted {law.predicted:.3g})"
        for (sigma, L), law in zip(cases, laws, strict=False)
    )
    return Result(
        laws,
        tables=[] if given else [ranges(n)],
        figures={"": lambda figure: draw(figure, n, curves, bound["left"], depth)},
        data={f"sigma={sigma:g}, L={L}": found.mean(axis=0).tolist() for (sigma, L), found in curves.items()},
        note="Streams are mixed between blocks; the branches are left out. Differences: the part of the gradient that "
        "is not the same in all streams.",
        found=f"Mixing {n} streams freely multiplies the squared gradient by {said}. Doubly stochastic mixing keeps "
        f"the mean exactly, and after {depth} of Sinkhorn's matrices leaves {bound['left']['sinkhorn'][-1]:.1g} of the "
        "differences.",
    )


def free_law(n: int, sigma: float, depth: int, found: Any) -> Law:
    """The mean over draws, whose tail is long: three standard errors, or 3 %."""
    predicted, last = mixing.free_gain(n, sigma, depth), found[:, -1]
    name = f"free, sigma={sigma:g}, {depth} mixings: gain of the squared gradient"
    return Law(name, float(last.mean()), predicted, max(0.03 * predicted, three_errors(last)), "asymptotic", SOURCE)


def doubly_stochastic(rng: np.random.Generator, n: int, depth: int) -> dict[str, Any]:
    """The mean passes with exactly 1, the norm never grows, and differences die."""
    matrices = sinkhorn(tr.tensor(rng.standard_normal((depth, n, n))), ENOUGH).numpy()
    fixed = np.broadcast_to((1 - EPS) * np.eye(n) + EPS / n, (depth, n, n))
    g = rng.standard_normal((n, 1))
    apart = g - g.mean()
    left = {}
    for name, all_ in (("sinkhorn", matrices), ("fixed", fixed)):
        back = [gradient_through(all_[:k], apart) for k in range(depth + 1)]
        left[name] = np.array([np.linalg.norm(b) for b in back]) / np.linalg.norm(apart)
    kept = float(gradient_through(matrices, g).mean() - g.mean())
    sums = float(max(np.abs(matrices.sum(axis=axis) - 1).max() for axis in (-1, -2)))
    predicted = mixing.difference_left(EPS, depth)
    grown = max(float(np.linalg.norm(np.linalg.multi_dot([*matrices[:k], np.eye(n)]), 2)) for k in range(1, depth + 1))
    laws = [
        Law("Sinkhorn: sums of rows and columns less 1, the worst", sums, 0.0, 1e-12, "check", THEOREM),
        Law("Sinkhorn: mean of the gradient, less the cotangent's", kept, 0.0, 1e-12, "exact", THEOREM),
        Law("Sinkhorn: largest norm of a product of matrices, less 1", grown - 1, 0.0, 1e-12, "check", THEOREM),
        Law(f"(1 - eps) I + eps J/n, eps={EPS:g}: differences left after {depth}", float(left["fixed"][-1]), predicted,
            1e-10 * predicted, "exact", SOURCE),
        shown(f"Sinkhorn of N(0, 1) logits: differences left after {depth}", float(left["sinkhorn"][-1])),
    ]  # fmt: skip
    return {"laws": laws, "left": left}


def gates_gradient(n: int, dtype: str, reach: float) -> Any:
    """d <g, Sinkhorn(logits)> / d logits, where the logits favour a permutation by `reach`."""
    logits = np.where(np.eye(n)[:, np.roll(np.arange(n), 1)] > 0, reach, 0).astype(dtype)
    x = tr.tensor(logits, requires_grad=True)
    g = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    return tr.grad(sinkhorn(x), x, g)[0].numpy()


def silent_from(n: int, dtype: str) -> float:
    """The smallest range of logits at which the gates' gradient is exactly 0, by bisection."""
    low, high = 1.0, 2000.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        if gates_gradient(n, dtype, middle).any():
            low = middle
        else:
            high = middle
    return high


def silent_laws(n: int) -> list[Law]:
    """Where exp underflows, the matrix is a permutation and nothing tells the gates to change."""
    laws = []
    for dtype in ("float32", "float64"):
        name = f"Sinkhorn, {dtype}: the gates' gradient is 0 from this range of logits on"
        laws.append(Law(name, silent_from(n, dtype), mixing.silent_range(dtype), 0.02, "asymptotic", SOURCE))
    return laws


def ranges(n: int) -> Table:
    """How the gates' gradient falls silent."""
    rows = []
    for reach in (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 105.0, 750.0):
        largest = (np.abs(gates_gradient(n, dtype, reach)).max() for dtype in ("float32", "float64"))
        rows.append([f"{reach:g}", *(f"{value:.1e}" if value else "0" for value in largest)])
    note = "The largest entry of the gradient. Long before it is exactly 0 it is too small to train anything."
    return Table("Sinkhorn falls silent", ["range of the logits", "float32", "float64"], rows, note)


def draw(figure: Any, n: int, curves: dict[tuple[float, int], Any], left_over: dict[str, Any], depth: int) -> None:
    """The gain of free mixing, and what doubly stochastic mixing leaves of the differences."""
    left, right = figure.subplots(1, 2)
    sigmas = dict.fromkeys(sigma for sigma, _ in curves)
    for k, sigma in enumerate(sigmas):
        longest = max(L for s, L in curves if s == sigma)
        l, mean = np.arange(longest + 1), curves[sigma, longest].mean(axis=0)
        theory = [mixing.free_gain(n, sigma, int(L)) for L in l]
        label = f"I + {sigma:g} G: {1 + n * sigma**2:.3g} per mixing"
        dots_and_line(left, (l[::2], mean[::2]), (l, theory), palette.CASES[k], label, log="y")
    left.axhline(1, color=palette.RESIDUAL, lw=1, ls="--", label="doubly stochastic: the mean, exactly 1")
    left.set(xlabel="mixings passed", ylabel="|gradient|², divided by the top's")
    left.set_title(f"{n} streams, mixed freely: the gradient explodes\n(dots measured, lines theory)")
    left.legend(fontsize=8)
    l = np.arange(depth + 1)
    fixed = [mixing.difference_left(EPS, int(L)) for L in l]
    dots_and_line(right, (l, left_over["fixed"]), (l, fixed), palette.CASES[2], f"{1 - EPS:g} I + {EPS:g} J/n", log="y")
    right.semilogy(l, left_over["sinkhorn"], ".", color=palette.CASES[3], label="Sinkhorn of N(0, 1) logits")
    right.set(xlabel="mixings passed", ylabel="differences left", ylim=(1e-18, 2))
    right.set_title("Doubly stochastic: streams become alike")
    right.legend(fontsize=8)


SETTINGS = {
    "n": Setting(STREAMS, "streams", low=2, high=16),
    "sigma": Setting(0.08, "standard deviation of a mixing matrix's entries", low=0.001, high=0.3),
    "depth": Setting(40, "mixings", low=2, high=128),
}


EXPERIMENT = Experiment(
    name="E28",
    question="Several residual streams, mixed between blocks: does the gradient survive the mixing?",
    claim="free mixing makes the gradient explode; doubly stochastic mixing keeps its mean, and loses all differences",
    prediction="E|gradient|² = (1 + n σ²)^L for I + σ G; doubly stochastic: mean 1, norm ≤ 1, differences (1 - ε)^L",
    equation=r"\mathbb{E} \frac{|g_0|^2}{|g_L|^2} = (1 + n \sigma^2)^L; \qquad \mathbf{1}^\top M = \mathbf{1}^\top, "
    r"\; |M| \le 1, \; |\Delta_L| = (1 - \epsilon)^L |\Delta_0|",
    source="derived; Zhu et al. 2024; Xie et al. 2025",
    ticks=lambda options: (1 if options.settings else len(CASES)) + 2,
    run=run,
    seconds=1,
    starred=True,
    varies="mixing matrices and cotangents",
    conditions="Only the mixing: no branches. Arithmetic means over 4,000 draws, whose tail is long, within three "
    "standard errors or 3 %. Where Sinkhorn's gradient becomes exactly 0 depends on the number of the smallest "
    "exponent, and on arithmetic that keeps subnormal numbers.",
    settings=SETTINGS,
)
