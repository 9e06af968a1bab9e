"""What a trace shows, and what it leaves alone."""

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import flow, models, nn, viewer
from tinyres.context import current
from tinyres.viewer.summaries import Thumbnail, Whole


def named(trace, name):
    (found,) = [op for op in trace.ops if op.name == name]
    return found


def value(trace, op):
    return trace.summaries[op.value].array()


def test_gradients_and_graph_are_left_alone():
    loss, leaves = cases.residual()
    leaves["x"].grad = kept = tr.tensor(np.ones((4, 3)))
    made = loss()
    before = tr.grad(made, leaves["x"], retain_graph=True)[0].numpy()
    viewer.trace(made)
    viewer.trace(loss)
    assert leaves["x"].grad is kept
    assert all(leaf.grad is None for name, leaf in leaves.items() if name != "x")
    np.testing.assert_array_equal(tr.grad(made, leaves["x"])[0].numpy(), before)


def test_a_function_shows_every_value_and_the_users_line():
    x, offset = cases.tensor(2, 2, requires_grad=True), cases.tensor(2, 2, seed=1)

    def loss():
        shifted = x + offset
        return tr.tanh(shifted).sum()

    trace = viewer.trace(loss)
    assert all(op.value is not None for op in trace.ops)
    np.testing.assert_array_equal(value(trace, named(trace, "x")), x.numpy())
    np.testing.assert_array_equal(value(trace, named(trace, "offset")), offset.numpy())
    add = next(op for op in trace.ops if op.kind == "add")
    assert add.place == (__file__, loss.__code__.co_firstlineno + 1)
    assert trace.sources[add.place] == "shifted = x + offset"
    np.testing.assert_array_equal(value(trace, add), x.numpy() + offset.numpy())
    total = next(op for op in trace.ops if op.kind == "sum")
    assert total.static == {"axis": "(0, 1)", "keepdims": "False"}


def test_a_tensor_shows_what_the_tape_kept():
    x, offset = cases.tensor(2, 2, requires_grad=True), cases.tensor(2, 2, seed=1)
    then = x.numpy().copy()
    made = ((x + offset) * x).sum()
    x.data = np.zeros((2, 2))  # as an optimiser does between forward and backward
    trace = viewer.trace(made)
    product = next(op for op in trace.ops if op.kind == "mul")
    add = next(op for op in trace.ops if op.kind == "add")
    assert product.value is None  # no rule needs it
    assert add.inputs[1] is None
    np.testing.assert_array_equal(value(trace, add), then + offset.numpy())  # the product's rule does
    np.testing.assert_array_equal(value(trace, named(trace, "x")), then)
    assert value(trace, trace.ops[-1]) == made.item()
    assert add.place is None


def test_modules_name_paths_and_parameters():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Residual(nn.Linear(3, 3, rng=1)))
    x = tr.tensor(np.ones((1, 2), "f4"))
    trace = viewer.trace(lambda: model(x).sum())
    assert {op.name for op in trace.ops if op.kind == "leaf"} == {name for name, _ in model.named_parameters()}
    assert {op.path for op in trace.ops if op.kind == "linear"} == {"0", "1.branch"}
    sums = [op for op in trace.ops if op.roles]
    assert [(op.path, op.roles) for op in sums] == [("1", ("branch", "skip"))]
    roles = {moment.role for moment in trace if moment.kind == "accumulate"}
    assert roles == {None, "branch", "skip"}


def test_what_a_module_holds_has_its_name_where_it_requires_no_gradient():
    """As D's weights while G learns."""
    D, G = nn.Linear(2, 1, rng=0), nn.Linear(3, 2, rng=1)
    D.requires_grad_(False)
    z = cases.tensor(2, 3).astype("float32")
    trace = viewer.trace(lambda: D(G(z)).sum())
    constants = {op.name: op for op in trace.ops if op.kind == "constant"}
    assert {"D.weight", "D.bias", "z"} <= set(constants)
    np.testing.assert_array_equal(value(trace, constants["D.weight"]), D.weight.numpy())
    assert constants["D.bias"].path == "D"
    assert {op.name for op in trace.ops if op.kind == "leaf"} == {"G.weight", "G.bias"}


def test_the_geometry_of_a_convolution_is_told_whole():
    x, w = cases.tensor(1, 4, 5, 5), cases.tensor(2, 2, 3, 3, seed=1, requires_grad=True)
    trace = viewer.trace(lambda: tr.conv2d(x, w, stride=2, padding=(1, 0), groups=2).sum())
    convolution = next(op for op in trace.ops if op.kind == "conv2d")
    assert convolution.static == {"stride": "(2, 2)", "padding": "(1, 0)", "dilation": "(1, 1)", "groups": "2"}


def test_a_method_and_a_finished_graph_find_names_in_the_callers_variables():
    model = nn.Linear(2, 1, rng=0)
    own = tr.tensor(np.ones((1, 2), "f4"), requires_grad=True)
    trace = viewer.trace(model(own).sum())
    assert {op.name for op in trace.ops if op.kind == "leaf"} == {"weight", "bias", "own"}

    class Task:
        def __init__(self):
            self.model = model

        def loss(self):
            return self.model(own).sum()

    again = viewer.trace(Task().loss)
    assert {op.name for op in again.ops if op.kind == "leaf"} == {"weight", "bias", "own"}


def test_joins_agree_with_the_recording():
    model = models.resnet(8, rng=0)
    x = tr.tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("f4"))
    trace = viewer.trace(lambda: (model(x) ** 2).sum())
    with flow.record(model) as recording:
        (model(x) ** 2).sum().backward()
    told = {join["name"]: {route["role"]: route["norm"] for route in join["routes"]} for join in trace.joins}
    assert set(told) == set(recording.routes)
    assert len(told) == 3
    for name, routes in recording.routes.items():
        assert told[name] == pytest.approx(routes, rel=1e-4)


def test_a_gate_is_a_route_of_its_own():
    loss, _ = cases.highway()
    (join,) = viewer.trace(loss).joins
    assert [route["role"] for route in join["routes"]] == ["skip", "branch", "gate"]
    assert len({route["event"] for route in join["routes"]}) == 3


def test_a_checkpointed_block_keeps_its_roles():
    block, x = nn.Residual(nn.Linear(2, 2, rng=0)), tr.tensor(np.ones((1, 2), "f4"), requires_grad=True)
    trace = viewer.trace(lambda: tr.checkpoint(block, x * 2).sum())
    assert [op.roles for op in trace.ops if op.again and op.roles] == [("branch", "skip")]
    assert [{route["role"] for route in join["routes"]} for join in trace.joins] == [{"skip", "branch"}]


def test_what_never_reaches_the_loss_is_left_out():
    x = cases.tensor(3, requires_grad=True)

    def loss():
        tr.exp(x).sum()
        return (x * x).sum()

    assert "exp" not in {op.kind for op in viewer.trace(loss).ops}


def test_a_leaf_may_be_the_loss():
    x = tr.tensor(2.0, requires_grad=True)
    trace = viewer.trace(x)
    assert [moment.kind for moment in trace] == ["seed"]
    assert [trace.summaries[place].array() for place in trace.grads.values()] == [1.0]


def test_losses_that_share_a_graph():
    x = cases.tensor(3, requires_grad=True)
    h = tr.tanh(x)
    trace = viewer.trace(a=h.sum(), b=(h * h).sum())
    assert [op.kind for op in trace.ops].count("tanh") == 1
    assert [moment.kind for moment in trace].count("forward") == 4
    assert len(trace.grads) == 2


def test_nothing_large_and_no_graph_is_kept():
    model, x = nn.Linear(100, 100, rng=0), tr.tensor(np.ones((50, 100), "f4"))
    nodes = []

    def loss():
        y = model(x)
        nodes.append(weakref.ref(y.node))
        return y.sum()

    gc.disable()
    try:
        trace = viewer.trace(loss)
        assert nodes[0]() is None
    finally:
        gc.enable()
    assert all(len(s.data) <= 64 * 8 if isinstance(s, Whole) else len(s.shades) == 64 for s in trace.summaries)
    assert any(isinstance(s, Thumbnail) for s in trace.summaries)
    seen, stack = set(), [trace]
    while stack:
        thing = stack.pop()
        if id(thing) not in seen and not isinstance(thing, (type, type(gc))) and not callable(thing):
            seen.add(id(thing))
            assert not isinstance(thing, (np.ndarray, tr.Tensor))
            stack.extend(gc.get_referents(thing))


def test_an_error_of_the_function_leaves_nothing_watching():
    x = cases.tensor(3, requires_grad=True)

    def loss():
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        viewer.trace(loss)
    assert viewer.trace((x * x).sum()).lanes == ["loss"]
    assert current().observers == ()


def test_what_cannot_be_traced_is_told_in_a_sentence():
    x = cases.tensor(3, requires_grad=True)
    with pytest.raises(TypeError, match=r"needs one loss, trace\(loss\), or several"):
        viewer.trace()
    with pytest.raises(TypeError, match="needs one loss"):
        viewer.trace(x.sum(), D=x.sum())
    with pytest.raises(TypeError, match="loss must be a tensor or a function, got int"):
        viewer.trace(3)
    with pytest.raises(ValueError, match=r"has shape \(3,\); a loss has one element"):
        viewer.trace(x * 2)
    with pytest.raises(
        TypeError, match="the function D must return the loss, a tensor of one element; it returned float"
    ):
        viewer.trace(D=lambda: 1.0)
    with pytest.raises(ValueError, match="requires no gradient, so there is no backward pass to show"):
        viewer.trace(lambda: x.detach().sum())
    with tr.no_grad(), pytest.raises(ValueError, match=r"or it was computed under tr\.no_grad\(\)"):
        viewer.trace((x * x).sum())
    freed = (x * x).sum()
    freed.backward()
    with pytest.raises(RuntimeError, match="an earlier pass has freed"):
        viewer.trace(freed)


def test_a_function_that_runs_backward_itself_is_told_so():
    x = cases.tensor(3, requires_grad=True)

    def loss():
        made = (x * x).sum()
        made.backward()
        return made

    with pytest.raises(RuntimeError, match=r"the function loss called backward\(\), .*; return the loss"):
        viewer.trace(loss)


def test_it_records_also_where_recording_is_off():
    x = cases.tensor(3, requires_grad=True)
    with tr.no_grad():
        assert len(viewer.trace(lambda: (x * x).sum()).grads) == 1


def test_the_words_tell_the_same_story():
    x = tr.tensor(3.0, requires_grad=True)
    lines = [str(moment) for moment in viewer.trace(lambda: x * x)]
    assert lines == [
        "forward     mul #1 = mul(x, x): (), y = 9.",
        "seed        mul #1: the pass begins with g = 1.",
        "rule        mul #1, a: sends g = 3. to x",
        "accumulate  x: nothing so far += g = 3.",
        "rule        mul #1, b: sends g = 3. to x",
        "accumulate  x: g = 3. += g = 3., now g = 6.",
    ]
    trace = viewer.trace(lambda: x * x)
    assert len(trace) == 6
    assert "6 events; forward 1 operations, backward 2 rules" in str(trace)
    assert trace[0].source.startswith(f"{Path(__file__).name}:")
    assert trace[-1].kind == "accumulate"


def test_a_notebooks_cell_is_called_that(monkeypatch):
    code = compile("import tinyres as tr\nx = tr.tensor(2.0, requires_grad=True)\nloss = lambda: tr.tanh(x)",
                   "/tmp/ipykernel_77/123.py", "exec")  # fmt: skip
    cell = {}
    exec(code, cell)
    trace = tr.trace(cell["loss"])
    assert [place[:2] for place in trace.to_json()["trace"]["places"]] == [["the notebook's cell", 3]]
    assert next(iter(trace)).source.startswith("the notebook's cell:3")


def test_each_loss_accumulates_from_nothing():
    """Two losses that share a parameter: the second pass adds nothing to what the first one left there."""
    w = tr.tensor(2.0, requires_grad=True)
    document = tr.trace(D=lambda: tr.tanh(w) * w, G=lambda: w * w * w).to_json()["trace"]
    (shared,) = [i for i, op in enumerate(document["ops"]) if op["kind"] == "leaf"]
    for lane in (0, 1):
        begun = False
        for event in document["events"]:
            if event[:2] == ["a", lane] and event[4] == shared:
                assert (event[6] is not None) == begun
                begun = True
        assert begun
    seeds = [event[1] for event in document["events"] if event[0] == "s"]
    assert seeds == [0, 1]
