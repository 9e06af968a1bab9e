"""Numbers by block: names, arithmetic, tables and plots."""

import csv
import math
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.instruments.curve import Curve


def recorded(depth=3, residual=True):
    layers = [nn.Linear(4, 4, rng=k) for k in range(depth)]
    model = nn.Sequential(*(nn.Residual(layer) if residual else layer for layer in layers))
    with flow.record(model) as recording:
        model(tr.tensor(np.ones((2, 4), "f"), requires_grad=True)).sum().backward()
    return recording


def test_a_curve_is_read_by_name_by_place_and_as_an_array():
    recording = recorded()
    norms = recording.gradient_norms()
    values = recording.history()["backward_norm"][-1]
    assert norms["1"] == norms[1] == values[1]
    assert list(norms) == ["0", "1", "2"] == recording.blocks
    assert dict(norms) == dict(zip("012", values, strict=True))
    np.testing.assert_array_equal(norms[1:], values[1:])
    np.testing.assert_array_equal(np.log(norms / norms[-1]), np.log(values / values[-1]))
    np.testing.assert_array_equal(2 - norms, 2 - values)
    np.testing.assert_array_equal(norms - norms, 0 * values)
    assert (norms > 0).all()
    assert "1" in norms
    assert "7" not in norms
    with pytest.raises(KeyError, match="there is no block called '7'; there are '0', '1', '2'"):
        norms["7"]
    assert repr(norms).startswith("the gradient at the blocks' outputs by block: {'0': ")


def test_shares_are_named_by_residual_connection():
    shares = recorded().skip_share()
    assert isinstance(shares, flow.Measurement)
    assert list(shares) == ["0", "1", "2"]
    assert all(0 < share < 1 for share in shares.values())
    assert shares.to_json()["arrays"] == {"skip_share": list(shares.values())}


def test_a_curve_as_csv(tmp_path):
    norms = recorded().gradient_norms()
    text = norms.to_csv(tmp_path / "norms.csv")
    rows = list(csv.reader((tmp_path / "norms.csv").read_text().splitlines()))
    assert text.splitlines()[0] == "block,gradient_norm"
    assert [(name, float(value)) for name, value in rows[1:]] == list(norms.items())
    with pytest.raises(FileNotFoundError, match=r"to_csv: there is no folder .*nowhere to write norms.csv into"):
        norms.to_csv(tmp_path / "nowhere" / "norms.csv")


def test_arrays_of_the_same_axes_as_csv_have_a_row_for_each_point():
    found = recorded().history()
    rows = list(csv.DictReader(found.to_csv(None, "backward_norm", "forward_norm").splitlines()))
    assert list(rows[0]) == ["step", "block", "backward_norm", "forward_norm"]
    assert [(row["step"], row["block"]) for row in rows] == [("0", "0"), ("0", "1"), ("0", "2")]
    assert [float(row["forward_norm"]) for row in rows] == found["forward_norm"][0].tolist()


def test_arrays_of_other_axes_as_csv_have_a_row_for_each_number():
    found = recorded().history()
    rows = list(csv.DictReader(found.to_csv(None, "forward_norm", "skip_share").splitlines()))
    assert list(rows[0]) == ["quantity", "step", "block", "residual", "value"]
    assert [list(row.values())[:4] for row in rows] == [
        ["forward_norm", "0", "0", ""], ["forward_norm", "0", "1", ""], ["forward_norm", "0", "2", ""],
        ["skip_share", "0", "", "0"], ["skip_share", "0", "", "1"], ["skip_share", "0", "", "2"],
    ]  # fmt: skip
    values = [float(row["value"]) for row in rows]
    assert values == [*found["forward_norm"][0], *found["skip_share"][0]]
    everything = list(csv.DictReader(found.to_csv().splitlines()))
    assert len(everything) == sum(array.size for array in found.values()), "each number once"
    assert {row["quantity"] for row in everything} == set(found)
    with pytest.raises(KeyError, match="nothing called 'colour' was measured"):
        found.to_csv(None, "colour")


def test_numbers_without_an_axis_and_an_axis_twice():
    layer = nn.Linear(4, 4, rng=0)
    found = flow.gradient_correlation(layer, np.random.default_rng(0).standard_normal((2, 4)).astype("f"))
    header, *rows = csv.reader(found.to_csv(None, "correlation", "mean_correlation").splitlines())
    assert header == ["quantity", "sample", "sample 2", "value"]
    assert [row[1:3] for row in rows] == [["0", "0"], ["0", "1"], ["1", "0"], ["1", "1"], ["", ""]]
    assert rows[-1][0] == "mean_correlation"
    assert float(rows[-1][3]) == float(found["mean_correlation"])
    header, *rows = csv.reader(found.to_csv(None, "mean_correlation").splitlines())
    assert (header, len(rows)) == (["mean_correlation"], 1)


def test_a_frame_is_pandas_and_its_lack_is_told(monkeypatch):
    norms = recorded().gradient_norms()
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows, columns: (rows, columns)))
    assert norms.to_frame() == ([[name, value] for name, value in norms.items()], ["block", "gradient_norm"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="to_frame: needs pandas: pip install pandas; to_csv"):
        norms.to_frame()


def test_two_recordings_in_one_plot():
    pytest.importorskip("matplotlib")
    from tinyres.figures import palette

    plain, residual = recorded(4, residual=False).gradient_norms(), recorded().gradient_norms()
    (axes,) = flow.plot({"plain": plain, "residual": residual}).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["plain", "residual"]
    assert [line.get_color() for line in axes.lines] == [palette.PLAIN, palette.RESIDUAL]
    for line, curve in zip(axes.lines, (plain, residual), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
    assert axes.get_yscale() == "log"
    one = plain.plot().axes[0]
    residual.plot(ax=one, label="residual")
    assert len(one.lines) == 2
    shares = recorded().skip_share().plot().axes[0]
    assert shares.get_yscale() == "linear"
    assert shares.get_legend() is None


def test_what_cannot_be_plotted_together_is_told():
    recording = recorded()
    with pytest.raises(TypeError, match=r"'b' must have one number per block.*got Measurement"):
        flow.plot({"a": recording.gradient_norms(), "b": recording.history()})
    with pytest.raises(ValueError, match=r"curves of one kind, got the gradient .* and the skip connection's share"):
        flow.plot({"a": recording.gradient_norms(), "b": recording.skip_share()})
    with pytest.raises(ValueError, match="got none"):
        flow.plot({})


def test_zeros_and_nan_leave_gaps():
    pytest.importorskip("matplotlib")

    curve = Curve.of("test", "norm", [1.0, 0.0, math.nan, 2.0], "block", list("abcd"), "none")
    (line,) = curve.plot().axes[0].lines
    assert np.isnan(line.get_ydata()).tolist() == [False, True, True, False]
    assert Curve.of("test", "norm", [], "block", [], "none").plot().axes


def test_products_and_quotients_keep_the_names_and_methods_are_the_arrays():
    curve = Curve.of("norms", "gradient_norm", [4.0, 2.0], "block", ["blocks.0", "head"], "nothing")
    ratio = curve / curve[-1]
    assert dict(ratio) == {"blocks.0": 2.0, "head": 1.0}
    assert dict(2 * ratio) == {"blocks.0": 4.0, "head": 2.0}
    assert "head: 1" in str(ratio)
    assert ratio.max() == 2
    assert type(np.log(curve)) is type(curve > 1) is type(curve[:1] * 2) is np.ndarray
    other = Curve.of("norms", "gradient_norm", [4.0, 2.0], "block", ["a", "b"], "nothing")
    assert type(curve / other) is np.ndarray, "which names would it have?"
    with pytest.raises(AttributeError, match="no_such"):
        _ = curve.no_such


def test_a_quotient_says_so_and_two_of_them_can_be_drawn_together():
    a, b = (Curve.of("gradients", "gradient_norm", [4.0, 2.0, n], "block", list("abc"), "") for n in (1.0, 8.0))
    for ratio in (a / a[-1], a / b, a / a[-1] / 2):
        assert (ratio.name, ratio.quantity) == ("gradients, divided", "gradient_norm_ratio")
    (axes,) = flow.plot({"one": a / a[-1], "other": b / b[-1]}).axes
    assert (axes.get_title(), axes.get_ylabel()) == ("gradients, divided", "gradient norm ratio")
    assert (a * 2).name == "gradients"


def test_curves_of_nets_of_different_depths_have_no_quotient():
    a, b = (Curve.of("gradients", "gradient_norm", np.ones(n), "block", list("abcdef")[:n], "") for n in (6, 3))
    with pytest.raises(
        ValueError, match=r"gradients: one curve has 6 entries, the other 3, .* take the same part of both"
    ):
        a / b
    assert (a[-3:] / b[-3:]).tolist() == [1, 1, 1]


def test_an_integer_that_is_another_block_s_name_is_refused():
    """In nn.Sequential the names are numbers: in every curve of a recording."""
    blocks = [nn.Residual(nn.Sequential(nn.Linear(3, 3, rng=k), nn.Tanh())) for k in range(4)]
    net = nn.Sequential(nn.Linear(2, 3, rng=8), nn.Tanh(), *blocks, nn.Linear(3, 1, rng=9))
    with flow.record(net) as recording:
        net(tr.ones(1, 2)).sum().backward()
    share = recording.skip_share()
    assert "{'2': " in str(share)
    for curve in (share, recording.gradient_norms()):
        names = list(curve)
        for place, name in enumerate(names):
            assert curve[name] == curve.numpy()[place]
            assert curve[place - len(names)] == curve.numpy()[place]
            if str(place) in names and name != str(place):
                with pytest.raises(KeyError, match=rf"write \['{place}'\] for the name, .numpy\(\)\[{place}\] for the"):
                    curve[place]
            else:
                assert curve[place] == curve.numpy()[place]
    with pytest.raises(KeyError, match="is a place, and also the name of another"):
        share[2]
    with pytest.raises(KeyError, match="called 'x'; there are '2', '3', '4', '5'"):
        share["x"]
