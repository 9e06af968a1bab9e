"""What GANs need, against PyTorch in float64: layer norm to second order, penalties' gradients, spectral norm."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import models, nn
from tinyres.gan import LOSSES, PENALTIES

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity


def draws(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def arrays(tensors):
    return [t.numpy(force=True) if isinstance(t, torch.Tensor) else t.detach().numpy() for t in tensors]


def close(ours, theirs, tolerance):
    for a, b in zip(arrays(ours), arrays(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, abs(b).max()))


# -- layer norm -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("own", "shape", "settings"),
    [
        (5, (4, 5), {}),
        ((3, 5), (2, 3, 5), {"eps": 1e-3}),
        ((3, 4, 5), (2, 3, 4, 5), {}),
        ((3, 4, 5), (2, 3, 4, 5), {"elementwise_affine": False}),
    ],
)
def test_layer_norm_to_second_order(own, shape, settings):
    theirs, ours = torch.nn.LayerNorm(own, **settings).double(), nn.LayerNorm(own, **settings).to("float64")
    for k, p in enumerate(theirs.parameters()):
        p.data = torch.tensor(draws(*p.shape, seed=k))
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    found = []
    for module, make, grad in (
        (ours, lambda a: tr.tensor(a, requires_grad=True), tr.grad),
        (theirs, lambda a: torch.tensor(a, requires_grad=True), torch.autograd.grad),
    ):
        x, g = make(draws(*shape, seed=2)), make(draws(*shape, seed=3))
        y = module(x)
        inputs = [x, *module.parameters()]
        first = grad(y, inputs, g, create_graph=True)
        pairing = sum((f * make(draws(*f.shape, seed=4 + k))).sum() for k, f in enumerate(first))
        second = grad(pairing, [g, *inputs], allow_unused=True)
        found.append([y, *first, *second])
    for a, b in zip(*found, strict=True):
        if a is None or b is None:  # one says None where the other says zeros
            assert not np.any([] if a is None else arrays([a])[0])
            assert not np.any([] if b is None else arrays([b])[0])
        else:
            close([a], [b], 1e-10)


# -- penalties --------------------------------------------------------------------------------------------------------
def critic(lib):
    return lib.Sequential(
        lib.Conv2d(2, 4, 4, stride=2, padding=1), lib.LayerNorm((4, 4, 4)), lib.LeakyReLU(0.2),
        lib.ConvTranspose2d(4, 3, 4, stride=2, padding=1, bias=False), lib.LayerNorm((3, 8, 8)), lib.Tanh(),
        lib.Conv2d(3, 5, 3, stride=2), lib.LeakyReLU(0.2), lib.Flatten(), lib.Linear(45, 1),
    )  # fmt: skip


def theirs_of(name, net, real, fake, rng):
    """The penalties, written once more with PyTorch and the same draws."""
    if name == "r1r2":
        return sum(theirs_of(which, net, real, fake, rng) for which in ("r1", "r2"))
    n = len(real)
    if name == "gp":
        e = torch.tensor(rng.random((n, 1, 1, 1)))
        x = e * real + (1 - e) * fake
    elif name == "dragan":
        x = real + 0.5 * real.std(correction=0) * torch.tensor(rng.standard_normal(tuple(real.shape)))
    else:
        x = (fake if name == "r2" else real).clone()
    x.requires_grad_()
    (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    if name in ("r1", "r2"):
        return slope.square().flatten(1).sum(1).mean() / 2
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", PENALTIES)
def test_the_second_order_gradients_of_a_penalty(name, seed):
    torch.manual_seed(seed)
    theirs = critic(torch.nn).double()
    for k, p in enumerate(theirs.parameters()):  # layer norm's start, 1 and 0, would hide where they enter
        p.data = p.data + 0.3 * torch.tensor(draws(*p.shape, seed=100 * seed + k))
    ours = critic(nn).to("float64")
    ours.load_state_dict(theirs.state_dict())
    real, fake = draws(5, 2, 8, 8, seed=seed + 10), draws(5, 2, 8, 8, seed=seed + 20)
    want = theirs_of(name, theirs, torch.tensor(real), torch.tensor(fake), np.random.default_rng(seed))
    got = PENALTIES[name](ours, real, fake, np.random.default_rng(seed))
    close([got], [want], 1e-12)
    first = tr.grad(got, list(ours.parameters()), retain_graph=True, allow_unused=True)
    second = torch.autograd.grad(want, list(theirs.parameters()), retain_graph=True, allow_unused=True)
    for (key, _), a, b in zip(ours.named_parameters(), first, second, strict=True):
        a, b = (np.zeros(1) if g is None else arrays([g])[0] for g in (a, b))
        assert b.any() or key.endswith("bias"), key
        np.testing.assert_allclose(np.broadcast_to(a, b.shape), b, rtol=1e-8, atol=1e-8, err_msg=key)


class Block(torch.nn.Module):
    """R3GAN's, in PyTorch's own modules."""

    def __init__(self, width):
        super().__init__()
        inner = 2 * width
        self.branch = torch.nn.Sequential(
            torch.nn.Conv2d(width, inner, 1), torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(inner, inner, 3, padding=1, groups=width // 8), torch.nn.LeakyReLU(0.2),
            torch.nn.Conv2d(inner, width, 1, bias=False),
        )  # fmt: skip

    def forward(self, x):
        return x + self.branch(x)


@pytest.mark.parametrize("size", [8, 16])
def test_the_whole_loss_of_r3gans_discriminator(size):
    """Relativistic pairing with R1 + R2, through a net whose last convolutions have left their zeros."""
    ours = models.r3gan.discriminator(16, 2, size=size, blocks=1, rng=0).to("float64")
    stages = {8: 2, 16: 3}[size]
    layers = [torch.nn.Conv2d(2, 16, 1, bias=False)]
    for stage in range(stages):
        layers += [torch.nn.AvgPool2d(2)] if stage else []
        layers.append(Block(16))
    layers += [
        torch.nn.Conv2d(16, 16, 4, groups=16, bias=False),
        torch.nn.Flatten(),
        torch.nn.Linear(16, 1, bias=False),
    ]
    theirs = torch.nn.Sequential(*layers).double()
    for k, p in enumerate(theirs.parameters()):
        p.data = 0.3 * torch.tensor(draws(*p.shape, seed=k))
    ours.load_state_dict(theirs.state_dict())
    real, fake = draws(3, 2, size, size), draws(3, 2, size, size, seed=1)
    on_real, on_fake = ours(tr.tensor(real)), ours(tr.tensor(fake))
    mine = LOSSES["relativistic"].discriminator(on_real, on_fake) + 0.7 * PENALTIES["r1r2"](ours, real, fake, 0)
    r, f = torch.tensor(real), torch.tensor(fake)
    want = torch.nn.functional.softplus(theirs(f) - theirs(r)).mean() + 0.7 * theirs_of("r1r2", theirs, r, f, None)
    close([mine], [want], 1e-12)
    found = tr.grad(mine, list(ours.parameters()), allow_unused=True)
    expected = torch.autograd.grad(want, list(theirs.parameters()), allow_unused=True)
    for (key, _), a, b in zip(ours.named_parameters(), found, expected, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-8, atol=1e-8, err_msg=key)


def test_the_whole_loss_of_a_wgan_gp_critic():
    torch.manual_seed(0)
    theirs = critic(torch.nn).double()
    ours = critic(nn).to("float64")
    ours.load_state_dict(theirs.state_dict())
    real, fake = draws(5, 2, 8, 8), draws(5, 2, 8, 8, seed=1)
    mine = LOSSES["wasserstein"].discriminator(ours(tr.tensor(real)), ours(tr.tensor(fake)))
    mine = mine + 10 * PENALTIES["gp"](ours, real, fake, np.random.default_rng(0))
    r, f = torch.tensor(real), torch.tensor(fake)
    want = theirs(f).mean() - theirs(r).mean() + 10 * theirs_of("gp", theirs, r, f, np.random.default_rng(0))
    close([mine], [want], 1e-12)
    close(tr.grad(mine, list(ours.parameters())), torch.autograd.grad(want, list(theirs.parameters())), 1e-8)


# -- spectral norm ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("iterations", [1, 3])
@pytest.mark.parametrize(
    ("kind", "args", "settings", "shape"),
    [
        ("Linear", (6, 5), {}, (3, 6)),
        ("Conv2d", (4, 6, 3), {"stride": 2, "padding": 1}, (2, 4, 7, 6)),
        ("ConvTranspose2d", (4, 6, 4), {"stride": 2, "padding": 1}, (2, 4, 3, 5)),
    ],
)
def test_spectral_norm_by_key(kind, args, settings, shape, iterations):
    torch.manual_seed(0)
    theirs = getattr(torch.nn, kind)(*args, **settings).double()
    theirs = torch.nn.utils.spectral_norm(theirs, n_power_iterations=iterations)
    ours = nn.spectral_norm(getattr(nn, kind)(*args, **settings, rng=0).to("float64"), iterations, rng=1)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = draws(*shape)
    for training in (True, True, False):
        mine, want = tr.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        y, z = ours.train(training)(mine), theirs.train(training)(want)
        g = draws(*y.shape, seed=1)
        close([y], [z], 1e-12)
        close(tr.grad(y, [mine, *ours.parameters()], g),
              torch.autograd.grad(z, [want, *theirs.parameters()], torch.tensor(g)), 1e-10)  # fmt: skip
        for key, value in theirs.state_dict().items():
            np.testing.assert_allclose(ours.state_dict()[key].numpy(), value.numpy(), rtol=1e-12, err_msg=key)
