"""Conditional players against PyTorch in float64: the projection head to second order, and its spectral norm."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import gan, nn
from tinyres.gan.labels import Told
from tinyres.models.conditional import ConditionalGenerator, ProjectionCritic
from tinyres.models.critic import Critic

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity
CLASSES, FEATURES, LATENT = 4, 6, 3


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class TheirCritic(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.phi = torch.nn.Sequential(torch.nn.Linear(5, FEATURES), torch.nn.Tanh())
        self.head = torch.nn.Linear(FEATURES, 1)
        self.embed = torch.nn.Embedding(CLASSES, FEATURES)

    def forward(self, x, y):
        phi = self.phi(x)
        return self.head(phi) + (self.embed(y) * phi).sum(dim=1, keepdim=True)


class TheirGenerator(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Embedding(CLASSES, LATENT)
        self.net = torch.nn.Sequential(torch.nn.Linear(2 * LATENT, 5), torch.nn.Tanh())

    def forward(self, z, y):
        return self.net(torch.cat([z, self.embed(y)], dim=1))


def pair():
    critic = Critic((5,), nn.Linear(5, FEATURES, rng=0), nn.Tanh(), nn.Linear(FEATURES, 1, rng=1))
    ours, theirs = ProjectionCritic(critic, CLASSES, rng=2).to("float64"), TheirCritic().double()
    for k, p in enumerate(theirs.parameters()):
        p.data = torch.tensor(draws(*p.shape, seed=k))
    ours.load_state_dict(theirs.state_dict())  # by PyTorch's names
    return ours, theirs


LABELS = np.array([0, 3, 1, 1, 3, 2, 0])


def test_the_projection_head_to_second_order():
    ours, theirs = pair()
    found = []
    for net, make, grad, labels in (
        (ours, lambda a: tr.tensor(a, requires_grad=True), tr.grad, tr.tensor(LABELS)),
        (theirs, lambda a: torch.tensor(a, requires_grad=True), torch.autograd.grad, torch.tensor(LABELS)),
    ):
        x, g = make(draws(7, 5, seed=10)), make(draws(7, 1, seed=11))
        y = net(x, labels)
        by_name = dict(net.named_parameters())
        inputs = [x, *(by_name[name] for name in sorted(by_name))]
        first = grad(y, inputs, g, create_graph=True)
        pairing = sum((f * make(draws(*f.shape, seed=20 + k))).sum() for k, f in enumerate(first))
        second = grad(pairing, inputs, allow_unused=True)
        found.append([None if t is None else t.detach().numpy() for t in (y, *first, *second)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(0 if a is None else a, 0 if b is None else b, rtol=1e-10, atol=1e-12)


def test_the_conditional_generator():
    theirs = TheirGenerator().double()
    net = nn.Sequential(nn.Linear(2 * LATENT, 5, rng=0), nn.Tanh())
    ours = ConditionalGenerator(net, CLASSES, LATENT, rng=0).to("float64")
    ours.load_state_dict(theirs.state_dict())
    z = draws(7, LATENT)
    y = theirs(torch.tensor(z), torch.tensor(LABELS))
    np.testing.assert_allclose(ours(tr.tensor(z), tr.tensor(LABELS)).numpy(), y.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["r1", "r2", "r1r2"])
def test_penalties_of_a_discriminator_that_is_told_classes(name):
    """Data and fakes in one batch have the labels twice."""
    ours, theirs = pair()
    real, fake = draws(7, 5, seed=1), draws(7, 5, seed=2)
    penalty = gan.PENALTIES[name](Told(ours, tr.tensor(LABELS)), tr.tensor(real), tr.tensor(fake), 0)
    names = sorted(name for name, _ in ours.named_parameters())
    mine = tr.grad(penalty, [dict(ours.named_parameters())[n] for n in names], allow_unused=True)
    total = 0
    for which, samples in (("r1", real), ("r2", fake)):
        if which in name:
            x = torch.tensor(samples, requires_grad=True)
            (slope,) = torch.autograd.grad(theirs(x, torch.tensor(LABELS)).sum(), x, create_graph=True)
            total = total + (slope**2).sum() / 2 / len(real)
    np.testing.assert_allclose(penalty.item(), total.item(), rtol=1e-12)
    their = torch.autograd.grad(total, [dict(theirs.named_parameters())[n] for n in names], allow_unused=True)
    for a, b in zip(mine, their, strict=True):
        np.testing.assert_allclose(0 if a is None else a.numpy(), 0 if b is None else b.numpy(), rtol=1e-9, atol=1e-12)


def test_spectral_norm_of_an_embedding():
    theirs = torch.nn.utils.spectral_norm(torch.nn.Embedding(CLASSES, FEATURES).double())
    ours = nn.spectral_norm(nn.Embedding(CLASSES, FEATURES, rng=0).to("float64"), rng=0)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        y = theirs(torch.tensor(LABELS))
        np.testing.assert_allclose(ours(tr.tensor(LABELS)).numpy(), y.detach().numpy(), rtol=1e-12)
    g = draws(7, FEATURES, seed=5)
    y.backward(torch.tensor(g))
    ours(tr.tensor(LABELS))  # both after four steps of power iteration
    y = theirs(torch.tensor(LABELS))
    theirs.zero_grad()
    y.backward(torch.tensor(g))
    ours.eval()(tr.tensor(LABELS)).backward(tr.tensor(g))
    np.testing.assert_allclose(ours.weight_orig.grad.numpy(), theirs.weight_orig.grad.numpy(), rtol=1e-10)
