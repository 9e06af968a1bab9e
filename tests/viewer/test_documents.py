"""The document: what schema.json says, and what it cannot say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import flow, nn, viewer
from tinyres.viewer.run import described
from tinyres.viewer.tracing import document, traced

jsonschema = pytest.importorskip("jsonschema", reason="documents are not validated: jsonschema is missing")
SCHEMA = json.loads((Path(viewer.__file__).with_name("schema.json")).read_text())
VALID = jsonschema.Draft202012Validator(SCHEMA)


def checked(found):
    """The document as the page gets it, valid."""
    found = json.loads(json.dumps(found, allow_nan=False))
    VALID.validate(found)
    return found


def whole(entry):
    """An array of the document."""
    return np.array([float(v) for v in entry["v"]]).reshape(entry["s"])


def consistent(trace):
    """What holds of every document: references go back, each rule is followed by its accumulation, sums add up."""
    ops, arrays, events = trace["ops"], trace["arrays"], trace["events"]
    for i, op in enumerate(ops):
        assert all(k is None or k < i for k in op.get("inputs", []))
        assert len(op.get("inputs", [])) == len(op.get("args", []))
        assert "roles" not in op or len(op["roles"]) == len(op["inputs"])
        assert op.get("value") is None or arrays[op["value"]]["s"] == op["shape"]
        assert op.get("place", 0) < max(len(trace["places"]), 1)
    computed, so_far = set(), {}
    for i, event in enumerate(events):
        if event[0] == "f":
            assert event[1] not in computed
            computed.add(event[1])
        elif event[0] == "s":
            assert tuple(event[1:3]) not in so_far
            so_far[tuple(event[1:3])] = event[3]
        elif event[0] == "r":
            _, lane, consumer, arg, producer, contribution = event
            assert consumer in computed
            assert (lane, consumer) in so_far
            assert ops[consumer]["inputs"][arg] == producer
            assert arrays[contribution]["s"] == ops[producer]["shape"]
            assert events[i + 1][:6] == ["a", *event[1:]]
        else:
            _, lane, _, _, producer, contribution, before, total = event
            assert so_far.get((lane, producer)) == before
            so_far[lane, producer] = total
            if "v" in arrays[total]:
                first = 0.0 if before is None else whole(arrays[before])
                kind = ops[producer]["dtype"]
                expected = (np.asarray(first, kind) + whole(arrays[contribution]).astype(kind)).astype(kind)
                np.testing.assert_array_equal(expected, whole(arrays[total]).astype(kind))
    assert computed == {i for i, op in enumerate(ops) if op["kind"] not in ("leaf", "constant")}
    for key, place in trace["grads"].items():
        lane, op = map(int, key.split(":"))
        assert so_far[lane, op] == place
    for join in trace["joins"]:
        for route in join["routes"]:
            event = events[route["event"]]
            assert (event[0], event[1], event[4]) == ("a", join["lane"], join["op"])


@pytest.mark.parametrize("case", cases.ONE_LOSS, ids=lambda case: case.__name__)
@pytest.mark.parametrize("form", ["function", "tensor"])
def test_documents_are_valid_and_the_gradients_are_those_of_grad(case, form):
    loss, leaves = case()
    trace = viewer.trace(loss) if form == "function" else traced({"loss": loss()}, [leaves])
    found = checked(trace.to_json())["trace"]
    consistent(found)
    expected = tr.grad(loss(), list(leaves.values()))
    for (name, leaf), gradient in zip(leaves.items(), expected, strict=True):
        places = [
            place
            for key, place in found["grads"].items()
            if found["ops"][int(key.split(":")[1])].get("name", "").split(".")[-2:] == name.split(".")[-2:]
        ]
        assert len(places) == 1, name
        np.testing.assert_array_equal(whole(found["arrays"][places[0]]), gradient.numpy(), err_msg=name)
        assert leaf.grad is None
    assert len(found["grads"]) == len(leaves)


def test_two_players():
    d_loss, g_loss, D, G = cases.players()
    found = checked(viewer.trace(D=d_loss, G=g_loss).to_json())["trace"]
    consistent(found)
    assert found["lanes"] == ["D", "G"]
    reached = {lane: {found["ops"][int(k[2:])]["name"] for k in found["grads"] if k[0] == lane} for lane in "01"}
    of_d, of_g = ({f"{who}.{name}" for name, _ in m.named_parameters()} for who, m in (("D", D), ("G", G)))
    assert reached == {"0": of_d, "1": of_d | of_g}
    paths = {op["path"] for op in found["ops"] if op["kind"] == "linear"}
    assert paths == {"D.0", "D.2", "G.0", "G.2"}
    order = [event[1] if event[0] == "s" else None for event in found["events"] if event[0] in "fs"]
    assert [lane for lane in order if lane is not None] == [0, 1]
    assert order.index(1) > order.index(0) + 5  # the forward pass of G's loss comes between
    assert order[-1] == 1


def test_a_checkpoint_shows_its_second_run():
    loss, _ = cases.checkpointed()
    found = viewer.trace(loss).to_json()["trace"]
    again = [i for i, op in enumerate(found["ops"]) if op.get("again")]
    assert [found["ops"][i]["kind"] for i in again].count("tanh") == 1
    begins = [event[2] for event in found["events"] if event[0] == "s"]
    assert len(begins) == 2
    assert begins[1] == max(again)
    kinds = [event[0] for event in found["events"]]
    assert kinds.index("r") < kinds.index("f", kinds.index("s"))


def test_values_that_are_not_finite_are_words():
    x = tr.tensor(np.array([0.0, 1.0, -1.0]), requires_grad=True)
    with np.errstate(all="ignore"):
        found = checked(viewer.trace(lambda: (tr.sqrt(x) + 1 / x).sum()).to_json())["trace"]
    consistent_arrays = [a for a in found["arrays"] if "bad" in a]
    assert {"NaN", "Infinity"} <= {v for a in consistent_arrays for v in a["v"] if isinstance(v, str)}
    assert all(a["bad"] == sum(isinstance(v, str) for v in a["v"]) for a in consistent_arrays)


def test_a_huge_array():
    w = tr.tensor(np.ones(10_000_000, np.float32), requires_grad=True)
    found = checked(viewer.trace(lambda: (w * w).sum()).to_json())["trace"]
    consistent(found)
    norms = [a["n"] for a in found["arrays"] if a["s"] == [10_000_000]]
    assert sorted(norms) == pytest.approx([math.sqrt(1e7)] * 5 + [2 * math.sqrt(1e7)], rel=1e-4)
    assert len(json.dumps(found)) < 10_000


def test_hostile_names_are_kept_as_text():
    name = "</script><script>alert(1)</script>"
    model = nn.Module()
    setattr(model, name, nn.Linear(2, 1, rng=0))
    model.forward = getattr(model, name)
    found = checked(viewer.trace(**{name: lambda: model(tr.tensor(np.ones((1, 2), "f4"))).sum()}).to_json())["trace"]
    assert found["lanes"] == [name]
    assert f"{name}.weight" in [op.get("name") for op in found["ops"]]


@pytest.mark.parametrize("size", [1, 16, 64, 20_000])
def test_two_thousand_operations_take_at_most_a_megabyte_and_a_half(size):
    w = tr.tensor(np.random.default_rng(0).standard_normal(size).astype("f4"), requires_grad=True)

    def loss():
        h = w
        for _ in range(666):
            h = tr.tanh(h) * 1.01
        return h.sum()

    trace = viewer.trace(loss)
    found = trace.to_json()
    assert len(trace.ops) == 2000
    assert len(json.dumps(found, separators=(",", ":"))) <= 1_500_000
    assert (found["trace"]["whole"] == 64) == (size != 64)
    (told,) = found["trace"]["grads"].values()
    assert ("v" in found["trace"]["arrays"][told]) == (size <= 64)
    consistent(found["trace"])


def test_a_recorded_training(tmp_path):
    model = nn.Sequential(nn.Linear(3, 3, rng=0), nn.Residual(nn.Linear(3, 3, rng=1)), nn.Linear(3, 1, rng=2))
    x, recording = tr.tensor(cases.array(4, 3).astype("f4")), flow.record(model)
    for _ in range(3):
        with recording:
            (model(x) ** 2).sum().backward()
    history = recording.history()
    found = checked(document(None, described({"D": recording, "G": history})))["run"]["lanes"]
    assert [lane["name"] for lane in found] == ["D", "G"]
    lane = found[0]
    assert lane["layers"] == ["0", "1", "2"]
    assert lane["steps"] == [0, 1, 2]
    np.testing.assert_allclose(np.array(lane["log10"]).T, np.log10(history["backward_norm"]), atol=1e-4)
    assert lane["skip_share"][0] == [None, None, None]
    np.testing.assert_allclose(lane["skip_share"][1], history["skip_share"][:, 0], atol=1e-4)
    viewer.save(recording, tmp_path / "run.html", trace=viewer.trace(lambda: (model(x) ** 2).sum()))
    assert "tinyres-data" in (tmp_path / "run.html").read_text()


def test_a_training_that_fails_shows_how():
    watched = nn.Sequential(nn.Linear(3, 1, rng=0))
    recording = flow.record(watched)
    for scale in (1.0, 0.0, np.nan, np.inf):
        with recording, np.errstate(all="ignore"):
            (watched(tr.tensor(np.ones((1, 3), "f4"))) * np.float32(scale)).sum().backward()
    with recording, tr.no_grad():
        watched(tr.tensor(np.ones((1, 3), "f4")))
    (lane,) = checked(document(None, described(recording, [1.0, 0.5, np.nan, np.inf, 2.0])))["run"]["lanes"]
    assert lane["log10"] == [[0.0, None, "NaN", "Infinity", None]]
    assert lane["loss"] == [1.0, 0.5, "NaN", "Infinity", 2.0]


def test_losses_of_a_training():
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    recording = flow.record(model, every=2)
    for _ in range(5):
        with recording:
            model(tr.tensor(np.ones((1, 3), "f4"))).sum().backward()
    loss = lambda given, recorded=recording: [lane["loss"] for lane in described(recorded, given)["lanes"]]
    assert loss(None) == [None]
    assert loss([5, 4, 3, 2, 1]) == [[5.0, 3.0, 1.0]], "of every step: those of the recorded ones"
    assert loss(tr.tensor(value) for value in (5.0, 3.0, 1.0)) == [[5.0, 3.0, 1.0]]
    players = {"D": recording, "G": recording}
    assert loss({"G": [1, 2, 3]}, players) == [None, [1.0, 2.0, 3.0]]
    with pytest.raises(
        ValueError, match="save: 4 losses, but 3 recorded steps, the last of them step 4; pass the loss of"
    ):
        loss([1, 2, 3, 4])
    with pytest.raises(ValueError, match="a list for one recording, or a dict of lists by name for several"):
        loss([1, 2, 3], players)
    with pytest.raises(ValueError, match="a list for one recording"):
        loss({"": [1, 2, 3]})
    with pytest.raises(ValueError, match="losses for 'd', recordings for 'D', 'G'"):
        loss({"d": [1, 2, 3]}, players)
    with pytest.raises(ValueError, match="there is no recording"):
        described({})


def test_curves_stand_in_their_players_lane():
    model = nn.Sequential(nn.Linear(3, 1, rng=0))
    recording = flow.record(model)
    for _ in range(3):
        with recording:
            model(tr.tensor(np.ones((1, 3), "f4"))).sum().backward()
    chart = ("slopes", {"at fakes": [1.0, np.nan, np.inf], "at reals": np.arange(3)}, True)
    players = {"D": recording, "G": recording}
    d, g = checked(document(None, described(players, curves={"G": [chart]})))["run"]["lanes"]
    assert "curves" not in d
    lines = [{"name": "at fakes", "values": [1.0, None, "Infinity"]}, {"name": "at reals", "values": [0.0, 1.0, 2.0]}]
    assert g["curves"] == [{"title": "slopes", "log": True, "lines": lines}]
    with pytest.raises(ValueError, match="save: curves for 'X', recordings for 'D', 'G'"):
        described(players, curves={"X": [chart]})
    with pytest.raises(ValueError, match="save: slopes: a has 2 values, but there are 3 recorded steps"):
        described(players, curves={"G": [("slopes", {"a": [1, 2]}, False)]})


def test_only_recordings_are_saved(tmp_path):
    with pytest.raises(TypeError, match=r"save: D: needs a flow\.record\(model\) or its history\(\), got int"):
        viewer.save({"D": 3}, tmp_path / "run.html")
