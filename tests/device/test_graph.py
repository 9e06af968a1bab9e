"""A captured step does what the step does, to the bit; what cannot be captured is refused, and changes nothing."""

import numpy as np
import pytest
from tinyres_kernels import im2col
from tinyres_kernels.cuda import host
from tinyres_kernels.cuda.matmul import product

import tinyres as tr
from tests.device.graphs import capturing
from tinyres import nn, optim
from tinyres.graph import WARM_UP

pytestmark = pytest.mark.skipif(not host.SIMULATED, reason="runs where simulated kernels serve the stand-in")
OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, weight_decay=1e-3),
    "Nesterov": lambda params: optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.01, centered=True, momentum=0.5),
}


@pytest.fixture
def graphs(double):
    from numba.cuda.simulator.kernel import FakeCUDAKernel

    with capturing(double, (FakeCUDAKernel, "__call__")) as made:
        yield made


def net(seed=0):
    layers = nn.Conv2d(1, 2, 3, padding=1, rng=seed), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(18, 3, rng=seed + 1)).to("cuda")


def batch(i, n=2):
    rng = np.random.default_rng(i)
    images = rng.standard_normal((n, 1, 3, 3)).astype("f")
    return tr.tensor(images).to("cuda"), tr.tensor(rng.integers(0, 3, n)).to("cuda")


def training(kind="SGD", **changes):
    """A model, its optimiser, and a step."""
    model = net()
    optimizer = OPTIMIZERS[kind](model.parameters())

    def step(images, labels):
        optimizer.zero_grad()
        loss = tr.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return model, optimizer, step


def arrays(model, optimizer):
    kept = {f"{i}.{name}": value for i, state in enumerate(optimizer.state) for name, value in state.items()}
    values = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    return values | {name: value.get() if hasattr(value, "get") else np.asarray(value) for name, value in kept.items()}


def same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


@pytest.fixture
def one_product(monkeypatch):
    """In eager steps, too, the product that captured ones use: cuBLAS's sums have another order."""
    monkeypatch.setattr(im2col, "matmul", product)


@pytest.mark.usefixtures("one_product")
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_captured_step_is_the_step_to_the_bit(graphs, kind):
    """Under a schedule, and with other inputs each time."""
    found = {}
    for how in ("eager", "captured"):
        model, optimizer, step = training(kind)
        called = tr.compile(step, model, optimizer) if how == "captured" else step
        losses = []
        for i in range(6):
            optimizer.lr = 0.1 / (1 + i)
            losses.append(called(*batch(i)))
        found[how] = {"losses": np.array([loss.item() for loss in losses]), **arrays(model, optimizer)}
    assert [graph.launched for graph in graphs] == [3]
    assert len(np.unique(found["eager"]["losses"])) == 6
    same(found["captured"], found["eager"])


@pytest.mark.usefixtures("one_product")
def test_groups_that_begin_alike_and_part(graphs):
    found = {}
    for how in ("eager", "captured"):
        model, optimizer, step = training("Adam")
        groups = [{"params": optimizer.params[:2]}, {"params": optimizer.params[2:]}]
        optimizer.__init__(groups, lr=0.1)
        called = tr.compile(step, model, optimizer) if how == "captured" else step
        for i in range(6):
            optimizer.param_groups[1]["lr"] = 0.1 if i < 4 else 0.1 / i
            called(*batch(i))
        found[how] = arrays(model, optimizer)
    assert [graph.launched for graph in graphs] == [3]
    same(found["captured"], found["eager"])


@pytest.mark.usefixtures("one_product")
def test_what_is_put_in_a_place_between_two_launches_is_found(graphs):
    """A checkpoint that is loaded, and a parameter that is set."""
    found = {}
    for how in ("eager", "captured"):
        model, optimizer, step = training("Adam")
        called = tr.compile(step, model, optimizer) if how == "captured" else step
        for i in range(4):
            called(*batch(i))
        kept = model.state_dict(), optimizer.state_dict()
        kept = {name: tensor.numpy().copy() for name, tensor in kept[0].items()}, kept[1]
        states = kept[1]["state"]
        for i, state in states.items():
            states[i] = {k: v.copy() if hasattr(v, "copy") else v for k, v in state.items()}
        for i in range(4, 6):
            called(*batch(i))
        model.load_state_dict(kept[0])
        optimizer.load_state_dict(kept[1])
        for i in range(6, 8):
            called(*batch(i))
        model[0].weight.data = model[0].weight.data * 2
        called(*batch(8))
        found[how] = arrays(model, optimizer)
    assert [graph.launched for graph in graphs] == [6]
    same(found["captured"], found["eager"])


@pytest.mark.usefixtures("one_product")
def test_other_sizes_modes_and_settings_are_captured_anew_each_once(graphs):
    found = {}
    for how in ("eager", "captured"):
        model, optimizer, step = training()
        called = tr.compile(step, model, optimizer) if how == "captured" else step
        for _ in range(2):
            for n in (2, 3):
                for i in range(3):
                    called(*batch(i, n))
            model.eval()
            for i in range(3):
                called(*batch(i))
            model.train()
        optimizer.momentum = 0.5
        for i in range(3):
            called(*batch(i))
        found[how] = arrays(model, optimizer)
    assert [graph.launched for graph in graphs] == [4, 4, 3, 1]
    same(found["captured"], found["eager"])


def test_results_are_copies_and_gradients_those_of_the_last_launch(graphs):
    model, optimizer, step = training()
    called = tr.compile(step, model, optimizer)
    losses = [called(*batch(i)) for i in range(5)]
    assert len({loss.item() for loss in losses}) == 5
    grad = model[0].weight.grad.numpy().copy()
    optimizer.lr = 0.0
    called(*batch(7))
    assert abs(model[0].weight.grad.numpy() - grad).max() > 0


def reads(model, optimizer, images, labels):
    return learns(model, optimizer, images, labels) * (2 if model(images).sum().item() > 0 else 1)


def draws(model, optimizer, images, labels):
    return learns(model, optimizer, nn.Dropout(0.5, rng=0)(images), labels)


def accumulates(model, optimizer, images, labels):
    loss = tr.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.detach()


def learns(model, optimizer, images, labels):
    optimizer.zero_grad()
    return accumulates(model, optimizer, images, labels)


def forced(model, optimizer, images, labels):
    optimizer.zero_grad()
    tr.cross_entropy(model(images), labels).backward()
    with tr.kernels("im2col"):
        optimizer.step()


def numbers(model, optimizer, images, labels):
    return learns(model, optimizer, images, labels), 3


@pytest.mark.parametrize(
    ("step", "kind", "said"),
    [
        (reads, RuntimeError, "not permitted when stream is capturing.* Without tr.compile"),
        (draws, RuntimeError, r"copies \d+ bytes from the host .* Dropout"),
        (accumulates, RuntimeError, r"a gradient from before the step: call zero_grad\(\) before backward\(\)"),
        (forced, RuntimeError, "read the learning rate from memory"),
        (numbers, TypeError, "must return a tensor, a tuple or list of them, or None, got int"),
    ],
)
def test_what_cannot_be_captured_is_refused_and_changes_nothing(graphs, step, kind, said):
    model, optimizer, _ = training("Adam")
    called = tr.compile(lambda *given: step(model, optimizer, *given), model, optimizer)
    for i in range(WARM_UP + 1):  # the first is one without moments
        called(*batch(i))
    before, grads = arrays(model, optimizer), [p.grad.numpy() for p in model.parameters()]
    with pytest.raises(kind, match=f"compile: .*{said}"):
        called(*batch(3))
    same(arrays(model, optimizer), before)
    assert all((p.grad.numpy() == grad).all() for p, grad in zip(model.parameters(), grads, strict=True))
    step(model, optimizer, *batch(3))  # goes on


def test_what_compile_cannot_take_is_said(graphs):
    model, optimizer, step = training()
    with pytest.raises(TypeError, match="got a float after the step, needed modules and optimisers"):
        tr.compile(step, model, 0.5)
    with pytest.raises(TypeError, match="needs the modules and optimisers that the step changes"):
        tr.compile(step)
    with pytest.raises(TypeError, match="input 1 must be a tensor on the GPU, got one on cpu"):
        tr.compile(step, model, optimizer)(batch(0)[0], tr.tensor([0, 1]))


@pytest.mark.usefixtures("one_product")
def test_a_tensor_may_be_given_the_array_of_another(graphs):
    """A copy of a net that lags one step behind."""
    found = {}
    for how in ("eager", "captured"):
        model, optimizer, step = training()
        behind = net()

        def lagging(*given, model=model, behind=behind, step=step):
            for slow, fast in zip(behind.parameters(), model.parameters(), strict=True):
                slow.data = fast.data
            return step(*given)

        called = tr.compile(lagging, model, behind, optimizer) if how == "captured" else lagging
        for i in range(5):
            called(*batch(i))
        found[how] = arrays(model, optimizer) | {f"behind.{i}": p.numpy() for i, p in enumerate(behind.parameters())}
    assert graphs
    same(found["captured"], found["eager"])


def test_on_the_cpu_it_is_the_step(graphs):
    model = nn.Linear(2, 1, rng=0)
    optimizer = optim.SGD(model.parameters())
    called = tr.compile(lambda x: (model(x).sum(), "anything"), model, optimizer)
    for _ in range(4):
        assert called(tr.tensor(np.ones((1, 2), "f")))[1] == "anything"
    assert not graphs
