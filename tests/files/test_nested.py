"""Nested dictionaries come back equal; a training loop's checkpoint goes on to the last bit."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyres as tr
from tests.files.test_files import DTYPES
from tinyres import nesting, nn, optim
from tinyres.files import FileFormatError, load, load_metadata, save

ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=2))
KEYS = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), st.integers(), st.booleans())
LEAVES = st.one_of(ARRAYS, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(KEYS, inner, max_size=3),
    ),
    max_leaves=5,
)


def alike(a, b):
    if isinstance(a, np.ndarray):
        assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    elif isinstance(a, dict):
        assert list(a) == list(b)
        assert [type(key) for key in a] == [type(key) for key in b]
        for key in a:
            alike(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert type(a) is type(b)
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            alike(one, other)
    else:
        assert type(a) is type(b)
        assert a == b or (math.isnan(a) and math.isnan(b))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(state=st.dictionaries(KEYS, TREES, max_size=4))
def test_whatever_is_nested_comes_back_equal(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "nested.safetensors"
    state = {key: value for key, value in state.items() if key != "__metadata__"}
    save({**state, "always": {"nested": 1}}, path)
    alike({**state, "always": {"nested": 1}}, load(path))


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(state=st.one_of(st.lists(TREES, max_size=3), st.lists(TREES, max_size=3).map(tuple), ARRAYS))
def test_so_does_a_list_a_tuple_or_an_array_at_the_top(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "top.safetensors"
    save(state, path)
    alike(state, load(path))


def test_both_players_of_a_gan_and_an_optimiser_by_itself(tmp_path):
    g, d = nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=1)
    optimizer = optim.Adam(g.parameters())
    g(tr.ones(1, 2)).sum().backward()
    optimizer.step()
    save((g.state_dict(), d.state_dict()), tmp_path / "gan.safetensors")
    found = load(tmp_path / "gan.safetensors")
    assert type(found) is tuple
    np.testing.assert_array_equal(found[1]["weight"], d.weight.numpy())
    with pytest.raises(TypeError, match=r"holds a nested tuple: call load\(path\) and hand over the part"):
        load(tmp_path / "gan.safetensors", into=g)
    save(optimizer, tmp_path / "optimizer.safetensors")
    again = optim.Adam(nn.Linear(2, 3).parameters())
    again.load_state_dict(load(tmp_path / "optimizer.safetensors"))
    alike(nesting.plain(again.state_dict()), nesting.plain(optimizer.state_dict()))


def test_paths_that_read_alike_are_told_apart(tmp_path):
    state = {"a.b": np.zeros(1), "a": {"b": np.ones(2)}, 1: np.ones(3), "1": np.ones(4), "n": {"__metadata__": 0}}
    save(state, tmp_path / "x")
    alike(state, load(tmp_path / "x"))


def loop(epochs, path=None, begin=None):
    """A training loop as one writes it with PyTorch, which saves itself after each epoch."""
    model = nn.Sequential(nn.Linear(3, 8, rng=0), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1, rng=1))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    schedule = optim.CosineAnnealingLR(optimizer, T_max=6)
    x, first, losses = tr.tensor(np.random.default_rng(0).standard_normal((16, 3), dtype=np.float32)), 0, []
    if begin is not None:
        checkpoint = tr.load(begin)
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        schedule.load_state_dict(checkpoint["schedule"])
        first, losses = checkpoint["epoch"] + 1, checkpoint["losses"]
    for epoch in range(first, epochs):
        optimizer.zero_grad()
        loss = (model(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if path is not None:
            tr.save(
                {
                    "model": model.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "epoch": epoch,
                    "losses": losses,
                    "best": np.float32(min(losses)),
                },
                path,
            )
    return losses, model.state_dict()


def test_a_loop_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(tmp_path):
    whole, weights = loop(6)
    loop(3, tmp_path / "checkpoint.pt")
    later, same = loop(6, begin=tmp_path / "checkpoint.pt")
    assert whole == later
    for name, w in weights.items():
        np.testing.assert_array_equal(tr.tensor(w).numpy(), tr.tensor(same[name]).numpy())


def test_other_readers_see_arrays_by_path_and_metadata_is_the_users(tmp_path):
    from safetensors.numpy import load_file

    save({"model": {"w": tr.ones(2)}, "epoch": 3}, tmp_path / "x", {"by": "me"})
    assert list(load_file(tmp_path / "x")) == ["model.w"]
    assert load_metadata(tmp_path / "x") == {"by": "me"}
    with pytest.raises(ValueError, match="tinyres's own text"):
        save({"w": tr.ones(2)}, tmp_path / "x", {nesting.KEY: "me"})


def test_a_module_is_handed_its_part_and_the_error_says_which(tmp_path):
    layer = nn.Linear(2, 3)
    save({"model": layer.state_dict(), "epoch": 3}, tmp_path / "x")
    with pytest.raises(TypeError, match=r"nested dictionary with the keys 'model', 'epoch': .*loaded\[key\]"):
        load(tmp_path / "x", into=layer)


def test_what_holds_itself_is_refused(tmp_path):
    state = {"a": {}}
    state["a"]["b"] = [state]
    with pytest.raises(ValueError, match=r"'a.b.0' holds itself"):
        save(state, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "{", "3", '["value", 3]', '["dict", [["a", ["array", "no such"]]]]', '["dict", [[["k"], ["value", 1]]]]',
        '["dict", 3]', '["eval", "1"]', '["dict", [["a", ["value", [1]]]]]',
        '["dict", [["a", ' + '["list", [' * 3000 + "]]" * 3000 + "]]]",
    ],
)  # fmt: skip
def test_a_damaged_text_is_the_files_error(tmp_path, text):
    import safetensors.numpy

    safetensors.numpy.save_file({"x": np.ones(1)}, tmp_path / "x", metadata={nesting.KEY: text})
    with pytest.raises(FileFormatError, match=r"damaged|no dictionary|no kind of value|Expecting"):
        load(tmp_path / "x")


def test_the_text_is_json():
    _, text = nesting.flatten({"a": (1, "x")}, lambda value: False)
    assert json.loads(text) == ["dict", [["a", ["tuple", [["value", 1], ["value", "x"]]]]]]
