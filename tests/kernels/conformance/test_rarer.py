"""Each rarer fault: it is seen, called by its kind and shown; and kernels that are right in an unusual way pass."""

import pytest
from tinyres_kernels import conformance
from tinyres_kernels.conformance.report import snippet

from tests.kernels.conformance.rarer import RARER, UNUSUAL
from tests.kernels.conformance.test_kinds import first_screen


@pytest.mark.parametrize("fault", RARER)
def test_a_rarer_fault_is_called_by_its_kind_and_shown_on_the_first_screen(fault):
    op, kernel, kind, means = RARER[fault]
    both = "more than" in kind  # one case alone does not say that it is where the wrong elements begin
    report = conformance.check(kernel, op, examples=0, dtypes=["float32", "float64"] if both else ["float64"])
    (found,) = report.kinds
    assert kind in found.name, str(report)
    assert means in found.means
    assert found.example.wrong >= 1
    shown = " ".join(" ".join(first_screen(report)).split())
    assert "DOES NOT CONFORM" in shown
    assert kind in shown
    assert "smallest failing example: " in shown


@pytest.mark.parametrize("how", UNUSUAL)
def test_a_kernel_that_is_right_in_an_unusual_way_conforms(how):
    op, kernel = UNUSUAL[how]
    report = conformance.check(kernel, op, examples=0)
    assert report.ok, str(report)


def test_the_call_before_is_in_what_reproduces_it(capsys):
    op, kernel, *_ = RARER["results kept"]
    (kind,) = conformance.check(kernel, op, examples=0, dtypes=["float64"]).kinds
    text = snippet(kernel, kind.example.case)
    lines = [line for line in text.splitlines() if not line.startswith("kernel = ...")]
    known = {}

    def fresh(a, b, out):
        out[...] = known.setdefault(a.shape, a @ b)

    exec("\n".join(lines), {"kernel": fresh})
    printed = capsys.readouterr().out
    assert printed[: len(printed) // 2].strip() != printed[len(printed) // 2 :].strip()
