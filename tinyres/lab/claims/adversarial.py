"""Popular claim: residual nets learn adversarially; skip and branch compete like the players of a GAN.

All parameters of a residual net descend the same loss, so the Jacobian of its update field is minus a Hessian:
symmetric, with real eigenvalues. Two players share no loss, and their update field may rotate: see the Dirac-GAN of
Mescheder et al. 2018 [mescheder2018which], "Which training methods for GANs do actually converge?".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinyres as tr
from tinyres.lab.experiment import Experiment, Law, Options, Result, Tick

FEATURES, BLOCKS, SAMPLES = 3, 2, 20
SOURCE = "Mescheder et al. 2018 (Dirac-GAN); symmetry of second derivatives"


def residual_loss(theta: Any, x: Any, target: Any) -> Any:
    """Mean squared error of x + tanh(x W1) W2, twice; theta holds all weights, (BLOCKS 2 FEATURES^2,)."""
    weights = tr.reshape(theta, (BLOCKS, 2, FEATURES, FEATURES))
    h = tr.tensor(x)
    for k in range(BLOCKS):
        h = h + tr.tanh(h @ weights[k, 0]) @ weights[k, 1]
    return tr.mean((h - target) ** 2)


def residual_field(x: Any, target: Any) -> Callable[[Any], Any]:
    """theta -> -dL/dtheta: the direction of gradient descent."""

    def field(theta: Any) -> Any:
        return -tr.grad(residual_loss(theta, x, target), theta, create_graph=True)[0]

    return field


def dirac_field(point: Any) -> Any:
    """(theta, psi) -> (-dV/dtheta, dV/dpsi), V = f(psi theta) + f(0), f(t) = -log(1 + exp(-t)): opposite objectives."""
    value = -tr.softplus(-(point[0] * point[1]))
    gradient = tr.grad(value, point, create_graph=True)[0]
    return gradient * np.array([-1.0, 1.0])


def asymmetry(a: Any) -> float:
    """|A - A^T| / (2 |A|): 0 for a Hessian, 1 for a pure rotation."""
    return float(np.linalg.norm(a - a.T) / (2 * np.linalg.norm(a)))


def run(options: Options, tick: Tick) -> Result:
    """The Jacobians of both update fields by double backward."""
    rng = np.random.default_rng((options.seed, 0))
    theta = tr.tensor(0.5 * rng.standard_normal(BLOCKS * 2 * FEATURES**2))
    x, target = rng.standard_normal((2, SAMPLES, FEATURES))
    net = tr.jacobian(residual_field(x, target), theta).numpy()
    tick()
    game = tr.jacobian(dirac_field, tr.tensor(np.zeros(2))).numpy()
    tick()
    spins = np.linalg.eigvals(net).imag
    pair = np.linalg.eigvals(game)
    found = (asymmetry(net), asymmetry(game))
    laws = [
        Law("residual net: asymmetry of the update field's Jacobian", found[0], 0.0, 1e-12, "check", SOURCE),
        Law(
            "residual net: largest imaginary part of an eigenvalue",
            float(np.abs(spins).max()),
            0.0,
            1e-12,
            "check",
            SOURCE,
        ),
        Law("Dirac-GAN: asymmetry", found[1], 1.0, 1e-12, "check", SOURCE),
        Law("Dirac-GAN: imaginary part of the eigenvalues ± i/2", float(pair.imag.max()), 0.5, 1e-12, "check", SOURCE),
        Law("Dirac-GAN: real part", float(np.abs(pair.real).max()), 0.0, 1e-12, "check", SOURCE),
    ]
    note = (
        "Asymmetry |A - Aᵀ| / 2|A| of the Jacobian A of the parameters' update direction: 0 if they descend one loss, "
        "1 for a pure rotation."
    )
    told = (
        f"The update field of a residual net has an asymmetry of {found[0]:.0e}, because skip connection and branch "
        f"descend the same loss. The two players of a Dirac-GAN have {found[1]:.0f} and rotate, with eigenvalues "
        f"± {pair.imag.max():.2g} i: a residual net does not learn adversarially."
    )
    return Result(laws, figures={"": lambda figure: draw(figure, net, game, found)}, note=note, found=told)


def draw(figure: Any, net: Any, game: Any, found: tuple[float, float]) -> None:
    """Both Jacobians as matrices."""
    titles = [
        f"Residual net: symmetric (asymmetry {found[0]:.0e})",
        f"Dirac-GAN: a rotation (asymmetry {found[1]:.0f})",
    ]
    for axes, matrix, title in zip(figure.subplots(1, 2), (net, game), titles, strict=True):
        limit = np.abs(matrix).max()
        image = axes.imshow(matrix, cmap="RdBu", vmin=-limit, vmax=limit)
        axes.set(title=title, xlabel="derivative with respect to parameter", ylabel="update of parameter")
        axes.set(
            xticks=range(0, len(matrix), max(1, len(matrix) // 6)),
            yticks=range(0, len(matrix), max(1, len(matrix) // 6)),
        )
        figure.colorbar(image, ax=axes, shrink=0.8)
    figure.axes[1].set(xticks=[0, 1], yticks=[0, 1], xticklabels=["θ of G", "ψ of D"], yticklabels=["θ of G", "ψ of D"])


EXPERIMENT = Experiment(
    name="claim-adversarial",
    question="Do the skip connection and the branch of a residual net compete, like the players of a GAN?",
    claim="'residual nets learn adversarially'",
    prediction="asymmetry of the update field's Jacobian: residual net 0 (minus a Hessian), Dirac-GAN ± i/2",
    equation=r"A = -\nabla^2 L = A^\top, \qquad"
    r" A_{\mathrm{GAN}} = \frac{1}{2} \begin{pmatrix} 0 & -1 \\ 1 & 0 \end{pmatrix}",
    source=SOURCE,
    ticks=lambda options: 2,
    run=run,
    seconds=1,
    varies="the residual net's weights, inputs and targets; the Dirac-GAN draws nothing",
    conditions="A theorem: it holds for any net trained by gradient descent on one loss. The Dirac-GAN is taken at its "
    "equilibrium.",
)
