"""Whatever an operation's axes are called: a faulty kernel gets a report, and the checker's own faults are its own."""

import sys
from pathlib import Path

import pytest
from tinyres_kernels import __main__ as command
from tinyres_kernels import conformance, im2col
from tinyres_kernels.conformance import child
from tinyres_kernels.conformance.adapt import Adapt
from tinyres_kernels.contract import OPERATIONS

from tests.each import for_each
from tests.kernels.conformance import own


def results(op, arguments):
    """The arrays that a kernel is to write, those of running statistics too."""
    for name, a in zip(OPERATIONS[op].arrays, arguments, strict=False):
        if name in OPERATIONS[op].writes:
            yield from (one for one in (a[3:] if isinstance(a, tuple) else (a,)) if one is not None)


def zeros(op):
    def kernel(*arguments):
        for a in results(op, arguments):
            a[...] = 0

    return kernel


def last_element(op):
    def kernel(*arguments):
        getattr(im2col, op)(*arguments)
        next(results(op, arguments)).reshape(-1)[-1] = 77

    return kernel


def raising(op):
    def kernel(*arguments):
        raise KeyError("B")

    return kernel


NEW_AXES = ("attention", "cross_entropy", "matmul", "adam", "batch_norm")


@pytest.mark.parametrize(
    "op", [op if op in NEW_AXES else pytest.param(op, marks=pytest.mark.slow) for op in conformance.OPS]
)
def test_each_faulty_kernel_of_each_operation_gets_a_report(op):
    nouns = conformance.OPS[op].family.nouns
    for fault in (zeros, last_element):
        report = conformance.check(fault(op), op, examples=3, dtypes=["float64"])
        assert report.kinds
        assert "smallest failing example" in str(report)
        for kind in report.kinds:
            for need in kind.needs:
                if need.startswith("the last "):
                    assert need.split()[2] in nouns.values()
    report = conformance.check(raising(op), op, examples=3, dtypes=["float64"])
    assert "It raises KeyError: 'B'" in report.breach


def test_a_tail_is_named_by_an_axis_that_the_operation_has():
    def kernel(q, k, v, out, lse, s):
        im2col.attention(q, k, v, out, lse, s)
        if k.shape[1] % 4:
            out[...] = 0

    report = conformance.check(kernel, "attention", examples=0, dtypes=["float64"])
    assert [kind.needs for kind in report.kinds] == [["a tail: s of k is no multiple of 4"]]


def test_a_fault_of_the_checker_is_not_put_down_to_the_kernel(monkeypatch, capsys):
    def broken(*given):
        raise KeyError("B")

    monkeypatch.setattr(conformance.search, "kinds", broken)
    place = f"{own.__name__}:last_row"
    assert command.main(["check", place, "--op", "conv2d", "--limit", "0", "--examples", "0"]) == 3
    out, err = capsys.readouterr()
    assert "KeyError: 'B'" in err
    assert "the checker itself failed" in err
    assert "CONFORM" not in out


def test_a_fault_of_the_checker_in_the_process_of_the_kernel_is_its_own_too(monkeypatch, tmp_path):
    class Line:
        def __init__(self):
            self.sent = []
            self.left = [(conformance.search._named(conformance.OPS["relu"], ["float64"], 0)[0], Adapt(), Adapt())]

        def recv(self):
            if not self.left:
                raise EOFError
            return self.left.pop()

        def send(self, one):
            self.sent.append(one)

    def broken(*given):
        raise KeyError("B")

    monkeypatch.setattr(child, "examine", broken)
    monkeypatch.setattr(child.signal, "signal", lambda *given: None)
    monkeypatch.setattr(child.faulthandler, "enable", lambda file: file.close())
    monkeypatch.setattr(sys, "path", list(sys.path))
    line = Line()
    monkeypatch.setattr(child, "kept_in", lambda file: str)
    child._serve(line, "tinyres_kernels.im2col:relu", Path(), tmp_path / "last")
    begun, told = line.sent
    assert begun == (True, ""), "nothing is compiled as it is called"
    assert isinstance(told, child.CheckerError)
    assert "KeyError: 'B'" in str(told)
    assert "in broken" in str(told)


@pytest.mark.parametrize(("least", "below"), [(65, 129), (129, 257), (257, 513)])
@for_each("op", conformance.OPS)
def test_each_size_is_tried_beyond_the_usual_blocks_by_a_case_that_costs_little(op, least, below):
    declared = conformance.OPS[op]
    for key in declared.family.sizes:
        if key == "kernel":
            continue
        places = 2 if key == "hw" else 1
        for place in range(places):
            sizes = [
                (value if isinstance(value, int) else value[place], case)
                for case in conformance.search._named(declared, ["float64"], 0)
                if not case.refused
                for value in [case.structure[key]]
            ]
            assert any(least <= size < below and case.elements < 50_000 for size, case in sizes), (key, place)


@pytest.mark.parametrize(
    ("axis", "size", "says"),
    [("c", 64, "65 channels or more"), ("c", 128, "129 channels or more"), ("o", 256, "257 outputs or more")],
)
def test_a_kernel_that_chooses_by_size_does_not_get_by(axis, size, says):
    def kernel(x, w, out, s):
        im2col.conv2d(x, w, out, s)
        if (x if axis == "c" else out).shape[3] > size and s.groups == 1:
            out[..., -1] += 1

    report = conformance.check(kernel, "conv2d", examples=0, dtypes=["float64"])
    assert [kind.needs for kind in report.kinds] == [[says]], report
    assert "C up to 1025" in str(report)
    assert report.tried["O"] == 1025
