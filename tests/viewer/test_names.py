"""What several nets in one trace are called."""

import numpy as np
import pytest

import tinyres as tr
from tinyres import nn, viewer
from tinyres.viewer.tracing import traced

X = tr.tensor(np.ones((2, 3), "f4"))


def made():
    return [nn.Linear(3, 2, rng=k) for k in range(3)]


def loss(net):
    return (net(X) ** 2).sum()


def roots(trace):
    return list(dict.fromkeys(op.path.partition(".")[0] for op in trace.ops if op.kind == "linear"))


def each(nets):
    """A loss for each, from a function that calls every net `net`."""
    return traced({f"l{k}": (lambda net=net: loss(net)) for k, net in enumerate(nets)}, [{"nets": nets}])


def test_by_the_variables_of_whoever_asks():
    plain, residual, wide = made()
    trace = viewer.trace(a=lambda: loss(plain), b=lambda: loss(residual), c=lambda: loss(wide))
    assert roots(trace) == ["plain", "residual", "wide"]
    names = [op.name for op in trace.ops if op.kind == "leaf" and op.name.endswith("weight")]
    assert names == ["plain.weight", "residual.weight", "wide.weight"]
    assert trace.classes["wide"] == "Linear"


def test_by_the_keys_of_a_dictionary():
    nets = dict(zip(("plain", "residual", "a.b"), made(), strict=True))
    trace = viewer.trace(**{f"l{k}": (lambda net=net: loss(net)) for k, net in enumerate(nets.values())})
    assert roots(trace)[:2] == ["plain", "residual"]
    assert "." not in roots(trace)[2], "a key with a dot would be taken for a path"


def test_by_the_places_in_a_list():
    nets = made()
    trace = viewer.trace(**{f"l{k}": (lambda net=net: loss(net)) for k, net in enumerate(nets)})
    assert roots(trace) == ["nets[0]", "nets[1]", "nets[2]"]


def test_counted_where_nothing_tells_them_apart():
    trace = viewer.trace(**{f"l{k}": (lambda net=net: loss(net)) for k, net in enumerate(made())})
    found = roots(trace)
    assert len(set(found)) == 3
    assert found[:2] == ["net 1", "net 2"]


def test_a_single_net_needs_no_name():
    (net, *_) = made()
    assert [op.path for op in viewer.trace(lambda: loss(net)).ops if op.kind == "linear"] == [""]


def test_a_module_that_runs_in_a_branch_of_its_owner_has_its_class():
    """A Transformer's branches are methods of the layer: norm1 runs as attention.branch.norm1."""
    alone, inside = (nn.TransformerEncoderLayer(4, 2, 8, norm_first=True, rng=0) for _ in range(2))
    for net, prefix in ((alone, ""), (nn.Sequential(inside), "0.")):
        x = tr.tensor(np.ones((1, 3, 4), "f4"))
        for trace in (viewer.trace(lambda net=net, x=x: (net(x) ** 2).sum()), viewer.trace((net(x) ** 2).sum())):
            ran = {op.path for op in trace.ops if op.path}
            assert ran - set(trace.classes) == set()
            assert trace.classes[f"{prefix}attention.branch.norm1"] == "LayerNorm"
            assert trace.classes[f"{prefix}attention.branch.self_attn"] == "MultiheadAttention"
            assert trace.classes[f"{prefix}attention.branch.self_attn.out_proj"] == "Linear"


class Custom(nn.Module):
    """Its `forward` computes something itself, between its parts and after them."""

    def __init__(self, seed):
        self.one, self.two = nn.Linear(3, 3, rng=seed), nn.Linear(3, 3, rng=seed + 1)

    def forward(self, x):
        return self.two(tr.relu(self.one(x)))


def stack(seed, *activations):
    layers = [[nn.Linear(3, 3, rng=seed + i), made] for i, made in enumerate(activations)]
    return nn.Sequential(*[layer for pair in layers for layer in pair])


PAIRS = {
    "the same": (stack(0, nn.Tanh(), nn.Tanh()), stack(5, nn.Tanh(), nn.Tanh())),
    "begins without a weight": (stack(0, nn.Tanh()), nn.Sequential(nn.ReLU(), nn.Linear(3, 3, rng=9), nn.Tanh())),
    "residual": tuple(nn.Sequential(nn.Residual(stack(seed, nn.Tanh())), nn.Tanh()) for seed in (0, 5)),
    "own": (Custom(0), Custom(5)),
    "attention": tuple(nn.TransformerEncoderLayer(3, 1, 4, norm_first=True, rng=seed) for seed in (0, 5)),
}


def paths(trace):
    """Each operation by kind and shape, and the module that it ran in; for each lane, in order."""
    found = []
    for record in trace.events:
        if record[0] == "f":
            op = trace.ops[record[1]]
            found.append((op.kind, op.path, trace.classes.get(op.path)))
    return found


@pytest.mark.parametrize("pair", PAIRS)
def test_of_a_finished_graph_each_operation_is_in_the_model_that_ran_it(pair):
    """A tensor's graph says no more than what a function's does: here both can be compared."""
    G, D = PAIRS[pair]
    x = tr.tensor(np.ones((1, 2, 3), "f4"))

    def loss():
        fake = G(x)
        return (D(x * 2.0) ** 2).sum() + (D(fake) ** 2).sum()

    watched, read = paths(viewer.trace(loss)), paths(viewer.trace(loss()))
    assert {path.partition(".")[0] for _, path, _ in watched} >= {"G", "D"}
    fused = {kind for kind, *_ in read} - {kind for kind, *_ in watched}  # a function's are split
    assert [entry for entry in read if entry[0] not in fused] == [
        entry for entry in watched if entry[0] in {kind for kind, *_ in read}
    ]
    assert {path.partition(".")[0] for kind, path, _ in read if kind in fused} <= {"G", "D"}


def test_losses_that_are_tensors_and_share_a_value_name_their_players():
    D, G = stack(0, nn.LeakyReLU(0.2)), stack(5, nn.Tanh())
    criterion = nn.MSELoss()
    fake = G(X)
    trace = viewer.trace(D=criterion(D(fake.detach()), X) + criterion(D(X), X), G=criterion(D(fake), X))
    kinds = {op.path: op.kind for op in trace.ops if op.inputs and op.path}
    assert kinds == {"D.0": "linear", "D.1": "leaky_relu", "G.0": "linear", "G.1": "tanh"}
    assert any(" in G.0: " in str(event) for event in trace)
    assert trace.classes["G.1"] == "Tanh"


def test_models_in_a_dictionary_or_a_list_are_told_apart_in_a_finished_graph():
    nets, rest = dict(zip("ab", made(), strict=False)), [made()[2]]
    trace = traced({"loss": loss(nets["a"]) + loss(nets["b"]) + loss(rest[0])}, [{"nets": nets, "rest": rest}])
    assert sorted(roots(trace)) == ["a", "b", "rest[0]"]
    part = nn.Linear(3, 2, rng=0)
    model = nn.Sequential(part, nn.Tanh())
    trace = traced({"loss": loss(model)}, [{"parts": [part], "model": model}])
    assert {op.name for op in trace.ops if op.kind == "leaf"} == {"0.weight", "0.bias"}


@pytest.mark.parametrize("finished", [False, True])
def test_where_routes_rejoin_the_block_is_named_with_its_model(finished):
    plain, wide = (nn.Sequential(nn.Residual(nn.Linear(3, 3, rng=seed))) for seed in (0, 1))
    x = tr.tensor(np.ones((2, 3), "f4"), requires_grad=True)
    both = lambda: loss(lambda _: plain(x)) + loss(lambda _: wide(x))
    trace = viewer.trace(both() if finished else both)
    assert sorted(join["name"] for join in trace.joins) == ["plain.0", "wide.0"]
    told = sorted(line.partition(" rejoin")[0] for lines in trace.rejoined.values() for line in lines)
    assert told == [f"the routes of block {name}.0 (Residual)" for name in ("plain", "wide")]
