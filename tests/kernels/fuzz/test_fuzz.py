"""The fuzz finds kernels with a fault, makes the case small and says how to see it; and finds none in the CPU rung."""

import sys
from itertools import count, product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import cpu, im2col, reference
from tinyres_kernels.conformance import OPS
from tinyres_kernels.conformance.draw import Budget, draw
from tinyres_kernels.conformance.fuzz import drawn, fuzz, shrink
from tinyres_kernels.conformance.layouts import LAYOUTS
from tinyres_kernels.conformance.trial import Trial, read

KEPT = Path(__file__).with_name("kept.jsonl").read_text().splitlines()


def beyond_85_channels(x, w, out, s):
    """As the CPU rung once did: three taps in a row over more than 85 channels are summed wrongly."""
    im2col.conv2d(x, w, out, s)
    if w.shape[1] == 3 and w.shape[2] > 85:
        out += x.dtype.type(0.01) * out
    return out


def last_channel_of_17(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    out[..., 16::17] += 1
    return out


def stale(x, w, out, s):
    kept = out.reshape(-1)[:1].copy()
    im2col.conv2d(x, w, out, s)
    if out.shape[0] > 3:
        out.reshape(-1)[:1] = kept
    return out


def other_bits_each_time(x, w, out, s, calls=count()):  # noqa: B008
    im2col.conv2d(x, w, out, s)
    out[..., 0] *= 1 + next(calls) % 2 * np.finfo(out.dtype).eps
    return out


def writes_to_its_input(x, w, out, s):
    im2col.conv2d(x, w, out, s)
    if x.flags.writeable:
        x[...] = 0
    return out


def raises(x, w, out, s):
    if not x.dtype.isnative:
        raise TypeError("no such numbers")
    return im2col.conv2d(x, w, out, s)


# a fault, and what the smallest case that shows it has
FAULTS = {
    beyond_85_channels: lambda case, trial: case["CG"] == 86 and case["kernel"] == (1, 3) and case["N"] == 1,
    last_channel_of_17: lambda case, trial: case["OG"] * case["groups"] == 17 and case["hw"] == (1, 1),
    stale: lambda case, trial: case["N"] == 4 and case["CG"] == case["OG"] == 1,
    other_bits_each_time: lambda case, trial: case["N"] == case["CG"] == case["OG"] == 1,
    writes_to_its_input: lambda case, trial: case["N"] == case["CG"] == case["OG"] == 1,
    raises: lambda case, trial: "big-endian" in trial.layouts["x"] and len(trial.layouts) == 1,
}


def standing_in(kernel):
    return SimpleNamespace(__name__="rung", conv2d=kernel)


@pytest.mark.parametrize("kernel", FAULTS)
def test_a_fault_is_found_made_small_and_told(kernel, tmp_path, capsys):
    kept = tmp_path / "kept.jsonl"
    assert fuzz(standing_in(kernel), 2, ops=["conv2d"], failures=kept) == 1
    (line,) = kept.read_text().splitlines()
    trial = read(line)
    assert trial.faults(kernel)
    assert (trial.case.dtype, trial.threads, trial.case.seed, trial.changes) == ("float64", 1, 0, {})
    assert FAULTS[kernel](trial.case.structure, trial), line
    told = capsys.readouterr()
    assert "seed 0, " in told.out.splitlines()[0]
    assert line in told.out.splitlines()
    number = int(told.out.partition("--case ")[2].split()[0])
    assert drawn(0, number, ["conv2d"]).faults(kernel)
    assert told.err.splitlines()[-1].endswith(f"conv2d {number + 1}")


def test_what_is_printed_to_be_pasted_shows_the_difference(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rung_with_a_fault", standing_in(last_channel_of_17))
    case = draw(np.random.default_rng(0), OPS["conv2d"], Budget(3000, 1e5, 2999)).case
    structure = {**case.structure, "OG": 17, "groups": 1}
    trial = Trial(read(str(Trial(case))).case.__class__(case.op, "", structure), {"x": ["reversed"]})
    exec(trial.snippet("rung_with_a_fault"), {})
    name, off = capsys.readouterr().out.split()
    assert name == "out"
    assert 0.999 < float(off) < 1.001
    exec(trial.snippet("tinyres_kernels.cpu"), {})
    assert float(capsys.readouterr().out.split()[1]) < 1e-9


@pytest.mark.parametrize("op", OPS)
def test_snippets_of_every_operation_run(op, capsys):
    trial = draw(np.random.default_rng(5), OPS[op], Budget(300, 1e5, 299))
    with np.errstate(all="ignore"):
        exec(trial.snippet("tinyres_kernels.im2col"), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [arg.name for arg in trial.case.writes]


def test_shrinking_ends_where_nothing_simpler_fails_and_when_its_time_is_up():
    trial = drawn(0, 0, ["conv2d"])
    small, tries = shrink(trial, lambda t: t.case.structure["CG"] >= 1)
    assert small.case.elements <= 3
    assert small.layouts == small.changes == {}
    assert 0 < tries < 500
    assert shrink(trial, lambda t: True, patience=-1) == (trial, 0)


def test_arguments_that_do_not_belong_together_are_no_failure():
    case = drawn(0, 0, ["max_pool2d"]).case
    structure = {**case.structure, "kernel": (1, 1), "padding": (1, 1), "hw": (3, 3), "N": 1}
    trial = Trial(type(case)(case.op, "", structure))
    assert trial.faults(cpu.max_pool2d) == trial.faults(reference.max_pool2d) == []


@pytest.mark.parametrize("rung", [cpu, im2col, reference], ids=lambda rung: rung.__name__.split(".")[1])
@pytest.mark.parametrize("op", OPS)
def test_every_rung_reads_every_layout(op, rung):
    # The others sum one after another: of some hundred equal rows, the roundings add up to more than is allowed.
    budget = Budget(3000, 1e6, 2999) if rung is cpu else Budget(150, 1e3, 149)
    cases = [draw(np.random.default_rng(i), OPS[op], budget).case for i in range(3 if rung is cpu else 1)]
    for case, layout in product(cases, LAYOUTS):
        seen = []

        def kernel(*arguments, seen=seen):
            seen.append(arguments)
            getattr(rung, op)(*arguments)

        trial = Trial(case, {arg.name: [layout] for arg in case.reads})
        assert trial.faults(kernel) == [], layout
        assert len(seen) == 2, layout


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", ["conv2d", "conv2d_dw"])
def test_images_whose_only_long_axis_is_strided(op, dtype):
    """Their reshape to a line is a view with a stride, which compiled code once read as if it had none."""
    case = draw(np.random.default_rng(0), OPS[op]).case
    structure = {**case.op.family.plain, "hw": (1, 40), "CG": 1, "kernel": (1, 3), "padding": (0, 1), "OG": 4}
    assert (
        Trial(type(case)(case.op, "", structure, dtype), {"x": ["Fortran", "every second"]}).faults(
            lambda x, *rest: getattr(cpu, op)(np.repeat(x, 2, 2)[:, :, ::2], *rest)
        )
        == []
    )


@pytest.mark.parametrize("line", KEPT)
def test_cases_that_failed_once_pass(line):
    trial = read(line)
    assert trial.faults(getattr(cpu, trial.case.op.name)) == []


@pytest.mark.slow
def test_the_cpu_rung_for_a_few_seconds(capsys):
    assert fuzz(cpu, 4 / 60, seed=2026) == 0
    told = capsys.readouterr()
    assert "none fails" in told.out
    assert int(told.out.split("\n")[-2].split()[0]) >= 2


def test_the_command(monkeypatch, capsys):
    assert command.main(["fuzz", "--minutes", "0.02", "--op", "add", "--seed", "3"]) == 0
    assert "seed 3" in capsys.readouterr().out
    monkeypatch.setattr(cpu, "add", lambda a, b, out: np.subtract(a, b, out=out))
    assert command.main(["fuzz", "--minutes", "0.2", "--op", "add", "--case", "7"]) == 1
    told = capsys.readouterr()
    assert "--seed 0 --case 7 --op add" in told.out
    assert '"structure": {"M": 1}' in told.out
    assert "1 cases, add failed" in told.out
    for wrong in ("-1", "nan", "soon"):
        with pytest.raises(SystemExit):
            command.main(["fuzz", "--minutes", wrong])
        assert "needed a number of minutes" in capsys.readouterr().err
