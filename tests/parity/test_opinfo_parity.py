"""PyTorch's own sample inputs run here and give what they give there; `opinfo.py` is the same as a command."""

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")
pytestmark = pytest.mark.parity


def shares(family, most=None):
    from tests.parity import opinfo

    ops = [op for op in opinfo.operations([]) if op.name.startswith("nn.functional.") == (family == "nn.functional")]
    return [opinfo.measure(op, most) for op in ops]


def judged(lines):
    from tests.parity.opinfo import ENOUGH

    assert [f"{line.name}: {line.reason}" for line in lines if line.wrong] == []
    run, samples = sum(line.run for line in lines), sum(line.samples for line in lines)
    stopped = [f"{line.name}: {line.reason}" for line in lines if line.run < line.samples]
    assert run >= ENOUGH * samples, stopped
    assert samples > 100


@pytest.mark.parametrize("family", ["tensors", "nn.functional"])
def test_at_least_95_percent_of_pytorchs_samples_run_and_none_is_wrong(family):
    """At most eight samples of each operation."""
    if family == "nn.functional":
        pytest.importorskip("tinyres.nn.functional")
    judged(shares(family, most=8))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["tensors", "nn.functional"])
def test_all_of_pytorchs_samples(family):
    if family == "nn.functional":
        pytest.importorskip("tinyres.nn.functional")
    judged(shares(family))


def test_the_command_notices_a_wrong_gradient_a_wrong_value_and_what_does_not_run(monkeypatch, capsys):
    import tinyres as tr
    from tests.parity import opinfo

    assert opinfo.main(["exp"]) == 0
    assert "1 operations: 3 of 3 samples run and agree, 100.0%; 0 wrong" in capsys.readouterr().out
    for fault, said in (
        (lambda x: x.exp() * 1.000001, "WRONG value"),
        (lambda x: x.exp().detach() + 0 * x, "WRONG first order"),
        (lambda x: tr.tensor(x.exp().numpy()), "WRONG first order"),
        (lambda x: x.exp().detach() * (1 + x - x.detach()), "WRONG second order"),
        (lambda x: x.no_such_method(), "AttributeError"),
    ):
        monkeypatch.setattr(tr, "exp", fault)
        assert opinfo.main(["exp"]) == 1
        assert said in capsys.readouterr().out
    assert opinfo.main(["no.such.operation"]) == 2
