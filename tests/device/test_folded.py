"""In evaluation a convolution takes the batch norm behind it along, and what that takes along; in training it finds the
statistics of its batch. The same numbers, and only where nobody could tell."""

import numpy as np
import pytest
from tinyres_kernels.cuda import host

import tinyres as tr
from tinyres import nn
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
    class Watcher(tr.Observer):
        seen = 0

        def on_forward(self, node, value):
            self.seen += 1

    net = nn.Sequential(*block()).to("cuda").eval()
    with tr.no_grad(), Watcher():
        net(image())
    assert not calls


def test_an_image_that_does_not_fit_is_refused_in_the_layers_own_words(calls):
    net = nn.Sequential(conv(3, 4, 1), norm(4)).to("cuda").eval()
    words = r"x must have shape \(N, 3, H, W\) or \(3, H, W\), got \(1, 2, 4, 4\)"
    with tr.no_grad(), pytest.raises(ValueError, match=words):
        net(image())


@pytest.fixture
def measured(double, monkeypatch):
    """How many batches have been measured by convolutions."""
    made, measure = [], folded.measured_conv2d
    monkeypatch.setattr(folded, "measured_conv2d", lambda *given: made.append(given) or measure(*given))
    return made


TRAINED = {
    **{name: make for name, (make, *_) in NETS.items()},
    "no running statistics": lambda: nn.Sequential(*block(track_running_stats=False)),
    "a batch of one pixel for each channel and image": lambda: nn.Sequential(conv(2, 4, 4), norm(4)),
}


def one_step(net, x):
    """Values, all gradients, the gradient of a gradient's size, and what has moved."""
    x = x.detach().requires_grad_()
    params = list(net.parameters())
    y = net(x)
    first = tr.grad((y * y * y).sum(), [x, *params], create_graph=True)
    second = tr.grad(sum((g * g).sum() for g in first), x)
    return [t.numpy() for t in (y, *first, *second, *net.buffers())], dict(net.named_buffers())


@pytest.mark.parametrize("name", TRAINED)
def test_a_batch_that_the_convolution_measures_gives_what_the_norm_finds(name, measured, monkeypatch):
    x, nets = image(2), [TRAINED[name]().to("cuda").train() for _ in range(2)]
    found, buffers = one_step(nets[0], x)
    assert len(measured) >= len([m for m in nets[0].modules() if isinstance(m, nn.BatchNorm2d)])
    assert all(int(b.numpy()) == 1 for key, b in buffers.items() if "batches" in key)
    count = len(measured)
    monkeypatch.setattr("tinyres.nn.container.folded", lambda *_: None)
    expected, _ = one_step(nets[1], x)
    assert len(measured) == count
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5 * abs(b).max())


def test_a_replayed_batch_moves_no_statistic(measured):
    net, x = nn.Sequential(*block()).to("cuda").train(), image(2).requires_grad_()
    tr.checkpoint(net, x).sum().backward()
    assert len(measured) == 4
    assert [int(b.numpy()) for name, b in net.named_buffers() if "batches" in name] == [1, 1]


@pytest.mark.parametrize("name", ["a batch of one number", "a residual of another shape"])
def test_a_step_that_is_refused_moves_no_statistic(name, measured):
    one = name == "a batch of one number"
    net = nn.Sequential(conv(2, 2, 4 if one else 3), norm(2)).to("cuda").train()
    with pytest.raises(ValueError, match="training needs at least 2" if one else r"residual.*shape|must agree"):
        (net if one else nn.Residual(net))(image(1 if one else 2))
    assert not measured
    assert all(int(b.numpy()) == 0 for key, b in net.named_buffers() if "batches" in key)


def test_nodes_carry_the_names_of_both_layers(measured):
    net = nn.Residual(nn.Sequential(*block())).to("cuda").train()
    y = net(image(2))
    assert y.node.roles == ("branch", None, None, "skip")
    assert (y.node.path, y.node.parents[0].path) == ("branch.4", "branch.3")


def test_a_checkpoint_of_a_net_in_evaluation_finds_what_it_reaches(calls):
    """The kernel for two layers is no operation: notes of a checkpoint, or of anomalies, would not see it."""
    net, x = nn.Sequential(*block()).to("cuda").eval(), image()
    weights = list(net.parameters())
    plain = tr.grad(net(x).sum(), weights)
    for mine, theirs in zip(tr.grad(tr.checkpoint(net, x).sum(), weights), plain, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-5, atol=1e-6)
    with tr.no_grad(), tr.detect_anomaly():
        net(x)
    assert not calls
