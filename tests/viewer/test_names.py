"""What several nets in one trace are called."""

import numpy as np

import tinyres as tr
from tinyres import nn, viewer

X = tr.tensor(np.ones((2, 3), "f4"))


def made():
    return [nn.Linear(3, 2, rng=k) for k in range(3)]


def loss(net):
    return (net(X) ** 2).sum()


def roots(trace):
    return list(dict.fromkeys(op.path.partition(".")[0] for op in trace.ops if op.kind == "linear"))


def each(nets):
    """A loss for each, from a function that calls every net `net`."""
    return viewer.traced({f"l{k}": (lambda net=net: loss(net)) for k, net in enumerate(nets)}, [{"nets": nets}])


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
