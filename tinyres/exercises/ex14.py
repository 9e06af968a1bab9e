"""Each player gets the gradient of its own loss for its own parameters, and nothing from the other's.

D: -log D(x) - log(1 - D(G(z))) for D's parameters; G: -log D(G(z)) for G's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tinyres as tr
from tinyres import nn
from tinyres.exercises.expect import explain, function

N, LATENT, HIDDEN, PIXELS = 6, 3, 5, 4
Gradients = list[np.ndarray]


def _players(seed: int) -> tuple[nn.Module, nn.Module, Any, Any]:
    """G, D, reals and z; float64."""
    rng = np.random.default_rng((14, seed))
    layers = [nn.Linear(a, b, rng=rng) for a, b in ((LATENT, HIDDEN), (HIDDEN, PIXELS), (PIXELS, HIDDEN), (HIDDEN, 1))]
    g = nn.Sequential(layers[0], nn.Tanh(), layers[1]).to("float64")
    d = nn.Sequential(layers[2], nn.LeakyReLU(0.2), layers[3]).to("float64")
    return g, d, tr.tensor(rng.standard_normal((N, PIXELS)) + 1), tr.tensor(rng.standard_normal((N, LATENT)))


def _of(loss: Any, player: nn.Module) -> Gradients:
    """The loss's gradients for one player's parameters; zeros where it does not depend on them."""
    parameters = list(player.parameters())
    found = tr.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [np.zeros(p.shape) if g is None else g.numpy() for p, g in zip(parameters, found, strict=True)]


def check(answer: Callable[[Any, Any, Any, Any], tuple[Any, Any]]) -> None:
    """Compare answer(G, D, reals, z) with the gradients of each loss, taken separately."""
    gradients = function(answer, "gradients(G, D, reals, z)")
    for seed in range(3):
        g, d, reals, z = _players(seed)
        before = [p.numpy().copy() for p in (*d.parameters(), *g.parameters())]
        try:
            came = gradients(g, d, reals, z)
        except RuntimeError as error:
            raise AssertionError(
                f"it raised an error: {error}. After the first pass the graph of the fakes is gone. tr.grad(loss, "
                "parameters, retain_graph=True) keeps it; or give D's loss tr.tensor(fakes.numpy()), which has no past"
            ) from None
        pair = isinstance(came, tuple | list) and len(came) == 2
        assert pair, f"two lists are needed, D's gradients and G's; got a {type(came).__name__}"
        after = [p.numpy() for p in (*d.parameters(), *g.parameters())]
        assert all(map(np.array_equal, before, after)), "the parameters have changed: return gradients, take no step"
        fakes = d(g(z))
        g_loss, called_fake = tr.softplus(-fakes).mean(), tr.softplus(fakes).mean()
        d_loss = tr.softplus(-d(reals)).mean() + called_fake
        for who, player, grads, own, other in (("D", d, came[0], d_loss, g_loss), ("G", g, came[1], g_loss, d_loss)):
            found = _arrays(who, player, grads)
            _hold(who, found, _of(own, player), _of(other, player), _of(called_fake, player))


def _arrays(who: str, player: nn.Module, grads: Sequence[Any]) -> Gradients:
    shapes = [p.shape for p in player.parameters()]
    assert all(g is not None for g in grads), f"{who} got None for a gradient: does its loss reach that parameter?"
    found = [np.asarray(g.numpy() if isinstance(g, tr.Tensor) else g) for g in grads]
    assert [g.shape for g in found] == shapes, (
        f"{who}'s gradients have the shapes {[g.shape for g in found]}, its parameters {shapes}. "
        "D's come first, then G's"
    )
    return found


def _hold(who: str, came: Gradients, own: Gradients, other: Gradients, called_fake: Gradients) -> None:
    """Raise with a hint unless `came` are those of the player's own loss; called_fake: those of -log(1 - D(fakes))."""
    line, mine, theirs, fake = (np.concatenate([g.ravel() for g in grads]) for grads in (came, own, other, called_fake))
    usual = [
        (mine + theirs, "The other player's loss is in it as well: backward() adds to existing gradients. Ask tr.grad "
                        "for one loss and one player's parameters, or call zero_grad between the two."),
        (fake + fake, "D's loss is in it as well, and G's targets are zeros: that helps D. G wants fakes called real."),
        (mine - theirs, "The other player's loss is subtracted: each player minimises its own loss."),
        (-mine, "It has the wrong sign: both losses are minimised."),
        (fake, "G asks D to call its fakes fake, which helps D. G wants them called real: ones."),
        (-fake, "That is the saturating loss, log(1 - D): its gradient vanishes where D is sure. Take -log D."),
        (2 * mine, "It was counted twice: does a second backward() add to the first?"),
        (N * mine, "That is a sum over the batch; take the mean."),
        (theirs, "That is the gradient of the other player's loss."),
    ]  # fmt: skip
    otherwise = "Is it the mean over the batch, on logits, with ones for reals and zeros for fakes?"
    assert np.allclose(line, mine, rtol=1e-6, atol=1e-9), (
        f"{who}'s gradient begins {line[:3].round(5)}, expected {mine[:3].round(5)}. {explain(line, usual, otherwise)}"
    )


STUB = """\
def gradients(G, D, reals, z):
    bce = nn.BCEWithLogitsLoss()  # of logits, which is what D gives: (N, 1)
    fakes = G(z)
    ones, zeros = tr.tensor(np.ones((len(z), 1))), tr.tensor(np.zeros((len(z), 1)))
    d_loss = bce(D(reals), ones) + bce(D(fakes), zeros)
    d_loss.backward()
    g_loss = bce(D(fakes), zeros)
    g_loss.backward()
    return [p.grad for p in D.parameters()], [p.grad for p in G.parameters()]
"""  # as on the page

__all__ = ["STUB", "check"]
