"""In evaluation a convolution takes the batch norm behind it along, and what that takes along: the same numbers, and
only where nobody could tell."""

import numpy as np
import pytest
from tinyres_kernels.cuda import host

import tinyres as tr
from tinyres import nn
from tinyres.autograd import observe
from tinyres.flow.instruments.replaced import replaced
from tinyres.nn import folded

pytestmark = pytest.mark.skipif(not host.SIMULATED, reason="runs where simulated kernels serve the stand-in")


@pytest.fixture
def calls(double, monkeypatch):
    """The arguments by name of each call of the kernel."""
    made, kernel = [], folded.conv2d_norm
    monkeypatch.setattr(folded, "conv2d_norm", lambda *given, **how: made.append(how) or kernel(*given, **how))
    return made


def norm(channels, **how):
    made, rng = nn.BatchNorm2d(channels, **how), np.random.default_rng(channels)
    for tensor in (made.running_mean, made.running_var, made.weight, made.bias):
        if tensor is not None:
            tensor.data = rng.uniform(0.5, 2, channels).astype("f")
    return made


def conv(*sizes, **how):
    return nn.Conv2d(*sizes, bias=False, rng=0, **how)


def block(**how):
    return [conv(2, 4, 3, padding=1), norm(4, **how), nn.ReLU(), conv(4, 2, 3, padding=1), norm(2, **how)]


def image(n=1):
    return tr.tensor(np.random.default_rng(0).standard_normal((n, 2, 4, 4)).astype("f")).to("cuda")


NETS = {
    "a plain row": (lambda: nn.Sequential(*block()), [False, False], [False, True]),
    "a row that ends in a ReLU": (lambda: nn.Sequential(*block(), nn.ReLU()), [False, False], [True, True]),
    "a residual": (lambda: nn.Residual(nn.Sequential(*block())), [False, True], [False, True]),
    "norms without weights": (lambda: nn.Sequential(*block(affine=False)), [False, False], [False, True]),
}


@pytest.mark.parametrize("name", NETS)
def test_folded_layers_give_what_they_give_one_by_one(name, calls):
    make, residuals, relus = NETS[name]
    net, x = make().to("cuda").eval(), image()
    expected = net(x)
    assert not calls
    with tr.no_grad():
        found = net(x)
    assert [how["residual"] is not None for how in calls] == residuals
    assert sorted(how["relu"] for how in calls) == relus
    assert found.node is None
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


class Doubled(nn.Conv2d):
    def forward(self, x):
        return 2 * super().forward(x)


OTHERS = {
    "a norm that trains": lambda: nn.Sequential(*block()).train(),
    "no running statistics": lambda: nn.Sequential(*block(track_running_stats=False)).eval(),
    "a convolution with a bias": lambda: nn.Sequential(nn.Conv2d(2, 4, 1, rng=0), norm(4)).eval(),
    "a convolution of one's own": lambda: nn.Sequential(Doubled(2, 4, 1, bias=False, rng=0), norm(4)).eval(),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers_are_not_folded(name, calls):
    net = OTHERS[name]().to("cuda")
    with tr.no_grad():
        net(image())
    assert not calls


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_forward_of_the_instance_is_not_passed_over(part, calls):
    net, x = nn.Sequential(conv(2, 2, 1), norm(2), nn.ReLU()).to("cuda").eval(), image()
    with tr.no_grad(), replaced({net[part]: lambda x: x * 0 + 7}):
        found = net(x).numpy()
    assert len(calls) == (part == 2)
    if part == 2:
        np.testing.assert_array_equal(found, np.full(found.shape, 7))


def test_whoever_watches_sees_both_layers(calls):
    class Watcher(observe.Observer):
        seen = 0

        def on_forward(self, node, value):
            self.seen += 1

    net = nn.Sequential(*block()).to("cuda").eval()
    with tr.no_grad(), Watcher():
        net(image())
    assert not calls


def test_an_image_that_does_not_fit_is_refused_in_the_layers_own_words(calls):
    net = nn.Sequential(conv(3, 4, 1), norm(4)).to("cuda").eval()
    with tr.no_grad(), pytest.raises(ValueError, match=r"x must have shape \(N, 3, H, W\), got \(1, 2, 4, 4\)"):
        net(image())
