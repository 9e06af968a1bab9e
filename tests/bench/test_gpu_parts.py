"""The parts of `tinyres bench gpu-report` run from end to end on the stand-in; what fails in them becomes a row."""

import json

import numpy as np
import pytest

from tests.bench.events import TORCH, Event, gpu_of_nothing
from tinyres.bench import convolutions, peers, steps, works
from tinyres.bench.convolutions import PASSES
from tinyres.bench.gpu import alone, conform, findings, pages, parts, races, table
from tinyres.bench.peers import FORMATS, TF32
from tinyres.bench.race import First, Peer, Timing

pytestmark = pytest.mark.slow


@pytest.fixture
def card():
    with gpu_of_nothing() as cupy:
        yield cupy


def rows_of(name, rounds=1):
    rows = list(parts.run(name, rounds))
    assert [row.get("traceback") for row in rows if "error" in row] == []
    assert {row["part"] for row in rows} == {name}
    return json.loads(json.dumps(rows))  # a row is what JSON can hold


needs_torch = pytest.mark.skipif(not TORCH, reason="beside PyTorch, which is not installed")


@needs_torch
def test_the_card_tells_its_names_and_its_roofs(card):
    rows = rows_of("card")
    assert [row["name"] for row in rows] == ["card", "copy", "float32 matrix product", "TF32 matrix product", "launch"]
    assert (rows[0]["card"], rows[0]["versions"]["CUDA of the driver"]) == ("a stand-in", "13.1")
    assert findings.bandwidth(rows) > 0
    assert set(rows[2]["by"]) == {"CuPy", "PyTorch"}
    assert set(rows[3]["by"]) == {"PyTorch"}
    assert all(seconds > 0 for seconds in rows[4]["host_s"].values())
    assert "a stand-in" in pages.section("card", rows)


def test_every_operation_is_checked_in_every_named_case_there(card):
    from tinyres_kernels.conformance import OPS

    rows = rows_of("conformance")
    ways = [name for op in OPS for name in (op, f"{op}, {conform.MOVED}")]
    assert [row["name"] for row in rows] == ["rung", *ways]
    assert sum(row["cases"] for row in rows[1:]) == sum(4 * len(op.cases) for op in OPS.values())
    assert findings.conformance(rows).value == 0
    assert "im2col" in findings.conformance(rows).wanting  # it was not the CUDA kernels that conformed


@pytest.mark.parametrize("fault", ["wrong", "past the end", "its input"])
def test_a_kernel_that_is_wrong_on_the_card_is_seen(card, fault):
    def relu(x, out, s):
        out[...] = card.maximum(x, 0 if fault == "wrong" else x * s.slope)
        if fault == "past the end":
            out._host.base[...] = 1.0
        if fault == "its input":
            x[...] = 0.0
        return out

    found = conform.conform(conform.on_card(relu), "relu")
    assert found["failed"] > 0
    assert {"wrong": "wrong", "past the end": "past the end", "its input": "input x"}[fault] in str(found["faults"])


def test_a_group_of_columns_goes_the_way_that_is_asked_for():
    conv = pytest.importorskip("tinyres_kernels.cuda.conv", exc_type=ImportError)
    usual = conv.LEAST
    with conform._least(conv, 0):
        assert conv.LEAST == 0
    assert usual == conv.LEAST
    with pytest.raises(AttributeError), conform._least(object(), 0):  # a threshold that nobody reads any more
        pass


@needs_torch
def test_every_convolution_is_measured_checked_and_held_against_float64(card):
    rows = rows_of("convolutions")
    assert [(row["family"], row["pass"]) for row in rows] == [
        (family, which) for family, shapes in works.FAMILIES.items() for _ in shapes for which in PASSES
    ]
    everyone = {"tinyres", *FORMATS, *(name + TF32 for name in FORMATS)}
    for row in rows:
        assert row["name"].endswith(f" {row['pass']}")
        assert set(row["timings"]) == set(row["errors"]) == everyone
        assert (row["disagree"], row["refused"]) == ({}, {})
        assert 0 < row["errors"]["tinyres"]["rms"] < 1e-6
    assert findings.share_of_cudnn(("1x1",))(rows).value > 0
    assert findings.error_ratio(rows).value > 0
    section = pages.section("convolutions", rows)
    assert sum(line.startswith("| 2, ") for line in section.splitlines()) == len(rows)


@needs_torch
@pytest.mark.parametrize("name", ["resnet", "gan"])
def test_a_training_step_is_the_same_as_pytorchs_and_is_timed(card, name):
    (row,) = rows_of(name)
    assert len(row["timings"]) == 5
    assert (row["disagree"], row["refused"]) == ({}, {})
    assert len(row["losses"]["tinyres"]) == {"resnet": 1, "gan": 2}[name]
    assert all(size > 0 for size in row["memory_bytes"].values())
    assert findings.step(name, row["batch"])(rows=[{"part": name, **row}]).value > 0
    assert "PyTorch, channels first, TF32" in pages.section(name, [row])


@needs_torch
def test_what_streams_memory_is_measured(card):
    rows = [*rows_of("card"), *rows_of("streams")]
    assert len(findings.of(rows, "streams")) == 21
    assert findings.streaming(rows).value > 0
    assert "AdamW step" in pages.section("streams", rows)


def test_without_pytorch_ours_alone_is_measured(card, monkeypatch):
    monkeypatch.setattr(peers, "load_torch", lambda device: None)
    rows = list(parts.run("convolutions", 1))
    assert "PyTorch with CUDA is not installed" in rows[0]["error"]
    assert set(rows[1]["timings"]) == {"tinyres"}
    assert "PyTorch" in table.verdict(findings.share_of_cudnn(("1x1",))(rows), works.CUDNN, True)


def test_what_raises_is_a_row_and_the_next_one_is_measured(card, monkeypatch):
    measure = races.measure

    def sometimes(ready, shape, which, rounds):
        if which == "dx":
            raise MemoryError("out of memory: 3 GB\nand more")
        return measure(ready, shape, which, rounds)

    monkeypatch.setattr(races, "measure", sometimes)
    monkeypatch.setattr(peers, "load_torch", lambda device: None)
    rows = list(parts.run("convolutions", 1))[1:]
    assert [("error" in row) for row in rows] == [False, True, False] * (len(rows) // 3)
    assert rows[1]["error"] == "MemoryError: out of memory: 3 GB"
    assert "out of memory" in pages.section("convolutions", rows)


@needs_torch
def test_inputs_are_drawn_once_a_shape_and_brought_to_the_card_once_a_layout(card, monkeypatch):
    drawn, brought = [], []
    draw, to_device = convolutions.draw, convolutions.to_device
    monkeypatch.setattr(convolutions, "draw", lambda *a, **how: drawn.append(a) or draw(*a, **how))
    monkeypatch.setattr(convolutions, "to_device", lambda a, where: brought.append(where) or to_device(a, where))
    pytorch = convolutions.pytorch
    layouts = []
    monkeypatch.setattr(convolutions, "pytorch", lambda *a: layouts.append(a[3]) or pytorch(*a))
    monkeypatch.setattr(races, "_errors", lambda *_: {"errors": {}})  # which brings over its own, in float64
    rows = rows_of("convolutions")
    shapes = [shape for family in works.FAMILIES.values() for shape in family]
    sets = sum(races.sets(shape.bytes) for shape in shapes)
    assert len(rows) == len(PASSES) * len(shapes)
    assert len(drawn) == len(shapes)
    assert brought.count("cuda") == 3 * sets
    assert (layouts.count(True), layouts.count(False)) == (sets, sets)


@needs_torch
@pytest.mark.parametrize("name", ["resnet", "gan"])
def test_batches_are_drawn_once_for_all_peers(card, name):
    module = works.NETS[name].module
    module.problem.cache_clear()
    rows_of(name)
    (batch,) = works.NETS[name].batches["cuda"]
    sets = races.sets(batch * races.IMAGE_BYTES)
    assert (module.problem.cache_info().misses, module.problem.cache_info().hits) == (sets, 4 * sets)


def test_a_shape_whose_inputs_do_not_fit_costs_no_other(card, monkeypatch):
    ready, first = races.ready, works.FAMILIES["performance.md"][0]

    def sometimes(torch, shape):
        if shape == first:
            raise MemoryError("out of memory")
        return ready(torch, shape)

    monkeypatch.setattr(races, "ready", sometimes)
    monkeypatch.setattr(peers, "load_torch", lambda device: None)
    rows = list(parts.run("convolutions", 1))[1:]
    assert [row["name"] for row in rows if "error" in row] == [f"{first} {which}" for which in PASSES]
    assert [row["pass"] for row in rows if "timings" in row] == [*PASSES] * (len(rows) // 3 - 1)


def test_a_part_that_cannot_begin_is_a_row(monkeypatch):
    monkeypatch.setitem(parts.PARTS, "card", parts.PARTS["card"]._replace(module="no_such_module"))
    (row,) = parts.run("card", 1)
    assert row["part"] == "card"
    assert "ModuleNotFoundError" in row["error"]


@needs_torch
def test_who_computes_something_else_is_told_and_does_not_count(card, monkeypatch):
    monkeypatch.setattr(races, "AGREE", 0.0)
    rows = rows_of("convolutions")
    assert any(name in row["disagree"] for row in rows for name in FORMATS)
    assert "DISAGREES" in pages.section("convolutions", rows)
    assert "agree" in findings.share_of_cudnn(table.MUST)(rows).wanting or (
        findings.share_of_cudnn(table.MUST)(rows).value is None
    )


def test_losses_agree_when_every_one_does():
    off, tf32 = "PyTorch, channels last", "PyTorch, channels last, TF32"
    losses = {"tinyres": [1.0, 2.0], off: [1.0, 2.01], tf32: [1.001, 2.01]}
    net = works.NETS["gan"]
    strict = net._replace(losses=dict.fromkeys(net.losses, 1e-4))
    assert [pair.peers[0] for pair in steps.disagreements(strict, losses)] == [off]
    assert steps.disagreements(net, losses) == []


def test_who_starts_from_another_loss_is_told_in_the_row(card, monkeypatch):
    monkeypatch.setattr(peers, "load_torch", lambda device: None)
    net = works.NETS["resnet"]
    one, other = (net.module.ours(batch, device="cuda") for batch in (2, 4))
    made = {
        "tinyres": lambda: Peer([one], read=steps._floats),
        "x": lambda: Peer([other], read=steps._floats),
    }
    monkeypatch.setattr(steps, "peers", lambda *_: made)
    row = races.measure_step(None, net, 2, 1)
    assert row["disagree"] == {"x": row["losses"]["x"]}


def test_the_device_alone_is_timed_while_it_is_held_and_only_those_that_took_part(card, monkeypatch):
    def race(everyone, clock, rounds, turn=None):
        return {name: Timing.of([1.0 if clock.held else 2.0 + turn]) for name in everyone}

    monkeypatch.setattr(races, "race", race)
    first = First({}, {"a": 5.0}, {"b": "refused"})
    (found,) = races.timings({"a": Peer([]), "b": Peer([])}, first, 1, turn=0.5).values()
    assert (found["first_s"], found["device"]["median_s"], found["called"]["median_s"]) == (5.0, 1.0, 2.5)


def test_so_many_inputs_that_no_cache_holds_them(card):
    assert races.sets(100) == -(-3 * 1024 // 100)
    assert races.sets(1 << 20) == 2


def test_the_events_of_the_stand_in_are_those_of_cupy():
    with pytest.raises(AssertionError):
        Event().synchronize()
    with pytest.raises(AssertionError):
        Event(disable_timing=True).elapsed_time(Event())


# -- one by itself ----------------------------------------------------------------------------------------------------
@needs_torch
def test_one_benchmark_on_the_card_by_itself(card, capsys, tmp_path):
    from tinyres.cli import main

    arguments = ["--device", "cuda", "--rounds", "1", "--json", str(tmp_path / "k.json"), "--out", str(tmp_path)]
    assert main(["bench", "kernels", *arguments]) == 0
    out = capsys.readouterr().out
    assert "## Convolutions beside cuDNN" in out
    assert "## What streams memory" in out
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")
    rows = json.loads((tmp_path / "k.json").read_text())["rows"]
    assert {row["part"] for row in rows} == set(alone.KINDS["kernels"])
    assert np.isfinite(findings.bandwidth(rows))


def test_a_row_behind_a_line_that_broke_off_is_a_line_of_its_own(tmp_path):
    rows = [{"part": "copy", "name": str(i)} for i in range(3)]
    parts.write(rows[0], tmp_path)
    parts.write(rows[1], tmp_path)
    path = tmp_path / parts.ROWS
    path.write_bytes(path.read_bytes()[:-5])
    parts.write(rows[2], tmp_path)
    assert parts.read(tmp_path) == [rows[0], rows[2]]
