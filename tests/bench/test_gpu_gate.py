"""The gate of the GPU report: behind a failed smoke check nothing is begun."""

import time

import numpy as np
import pytest

from tests.bench import events
from tests.bench.stages import OPEN, SHUT, begun, errors
from tinyres.bench.gpu import pages, parts, smoke, stages

UNFINISHED = "write(name='gate', open=False, **{'shut by': ['the checks did not come to their end']}); "


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "why"),
    [
        (SHUT, "a first launch: RuntimeError: ILLEGAL_ADDRESS"),
        (UNFINISHED + "os.kill(os.getpid(), signal.SIGSEGV)", "its process ended with -11"),
        (UNFINISHED + "time.sleep(99)", "stopped after 6 s"),
        ("sys.exit('no CUDA')", "its process ended with 1: no CUDA"),
        ("", "no smoke check was made"),
    ],
)
def test_behind_a_shut_gate_nothing_is_begun(ends, tmp_path, monkeypatch, capsys, does, why):
    monkeypatch.setitem(parts.PARTS, "smoke", parts.PARTS["smoke"]._replace(seconds=6))
    ends |= {"smoke": does, "warm": "time.sleep(99)", "facts": "write(name='driver', version=1)"}
    began = time.monotonic()
    assert stages.run(["A", "B"], tmp_path) == 3
    assert time.monotonic() - began < 20  # what warms up beside it is stopped
    said = capsys.readouterr().out
    assert why in said.partition("the gate is shut, and nothing was begun behind it:")[2]
    assert begun(tmp_path) == {"facts", "warm", "smoke"}
    assert errors(tmp_path)["warm"] == "stopped, as the gate is shut"
    assert "driver" in (tmp_path / "report.md").read_text()


@pytest.mark.slow
def test_an_earlier_runs_open_gate_does_not_count(ends, tmp_path):
    assert stages.run(["A"], tmp_path) == 0
    ends["smoke"] = "os.kill(os.getpid(), signal.SIGSEGV)"
    assert stages.run(["A"], tmp_path) == 3
    ends["smoke"] = OPEN
    assert stages.run(["A"], tmp_path) == 0


def test_a_check_that_is_not_needed_does_not_shut_the_gate(monkeypatch):
    def fails(rung, rng):
        raise AssertionError("\nArrays are not equal\n")

    checks = [smoke.Check("one", lambda rung, rng: {"found": 1}, True), smoke.Check("two", fails, False)]
    with events.gpu_of_nothing():
        monkeypatch.setattr(smoke, "CHECKS", checks)
        rows = list(parts.run("smoke"))
        assert smoke.gate(rows[:2]) == ["the checks did not come to their end"]
        assert smoke.gate([row for row in rows if row is not rows[0]]) == []
        assert rows[2]["error"] == "RuntimeError: Arrays are not equal"
        checks.append(smoke.Check("three", fails, True))
        assert smoke.gate(list(parts.run("smoke"))[1:]) == ["three: RuntimeError: Arrays are not equal"]
    assert "the gate is SHUT: three" in pages.section("smoke", [{"part": "smoke", "name": "gate", "open": False,
                                                                 "shut by": ["three"]}])  # fmt: skip


def test_where_every_kernel_is_right_the_gate_is_open():
    with events.gpu_of_nothing():
        rows = list(parts.run("smoke"))
    assert smoke.gate(rows[1:]) == [], rows
    assert {row["name"] for row in rows if row.get("needed")} == {check.name for check in smoke.CHECKS if check.needed}


@pytest.mark.parametrize(
    ("kernel", "check"),
    [("add", "a first launch"), ("add", "between 16 bytes"), ("relu", "calls another function"),
     ("conv2d", "against float64"), ("conv2d_dx", "against float64"), ("conv2d_dw", "against float64"),
     ("batch_norm", "batch norm"), ("batch_norm_dx", "batch norm"), ("batch_norm_dx", "three losses")],
)  # fmt: skip
def test_a_kernel_that_is_wrong_shuts_the_gate(kernel, check, monkeypatch):
    from tinyres_kernels import im2col

    own = getattr(im2col, kernel)
    with events.gpu_of_nothing() as cupy:

        def wrong_on_the_card(*arrays, **how):
            out = own(*arrays, **how)
            if isinstance(arrays[0], cupy.ndarray):
                written = out if out is not None else arrays[7]
                written[:1] += 1
            return out

        monkeypatch.setattr(im2col, kernel, wrong_on_the_card)
        monkeypatch.setattr(smoke, "CHECKS", [one for one in smoke.CHECKS if check in one.name])
        (shut,) = smoke.gate(list(parts.run("smoke"))[1:])
    assert check in shut


def test_bits_that_change_from_call_to_call_shut_the_gate(monkeypatch):
    from tinyres_kernels import im2col

    own, calls = im2col.conv2d, []

    def racing(*arrays, **how):
        out = own(*arrays, **how)
        calls.append(1)
        if len(calls) % 2:
            out *= np.float32(1 + 2**-23)
        return out

    with events.gpu_of_nothing() as cupy:
        on_card = lambda *a, **how: (racing if isinstance(a[0], cupy.ndarray) else own)(*a, **how)
        monkeypatch.setattr(im2col, "conv2d", on_card)
        monkeypatch.setattr(smoke, "CHECKS", [one for one in smoke.CHECKS if "float64" in one.name])
        (shut,) = smoke.gate(list(parts.run("smoke"))[1:])
    assert "other bits the second time: a race" in shut
