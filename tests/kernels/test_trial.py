"""Ways that are chosen by measurement: on made-up machines, by a clock of our own; and what is kept of it."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tinyres_kernels import cpu
from tinyres_kernels.cpu import choices, measured, plan, trial

HOW = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
X, W = (2, 14, 14, 32), (3, 3, 32, 32)
SIZES = {"conv2d": (X, W, X), "conv2d_dx": (X, W, X), "conv2d_dw": (X, X, W)}


def arrays(op="conv2d", seed=0):
    rng = np.random.default_rng(seed)
    first, second, out = SIZES[op]
    return rng.standard_normal(first, np.float32), rng.standard_normal(second, np.float32), np.empty(out, np.float32)


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Trials are held from the smallest convolution on, and kept in a file of their own."""
    file = tmp_path / "choices.json"
    limits = {**choices.LIMITS, "worth_a_trial": choices.Limit(1, ""), "winograd_work": choices.Limit(1, "")}
    limits["winograd_outputs"] = choices.Limit(1, "")
    monkeypatch.setattr(choices, "LIMITS", limits)
    monkeypatch.setattr(trial, "LIMITS", limits)
    monkeypatch.setattr(measured, "file", lambda: file)
    fresh()
    yield file
    fresh()


def fresh():
    """As a new process."""
    measured.found.cache_clear()
    trial._met.clear()
    plan.forget()


class Clock:
    """A machine where a way takes the seconds that are told, the next of them at each run; its time is what `trial`
    sees."""

    def __init__(self, **seconds):
        self.now, self.ran = 0.0, []
        self.seconds = {way: list(np.atleast_1d(each)) for way, each in seconds.items()}

    def perf_counter(self):
        return self.now

    def run(self, found):
        self.ran.append(found.way)
        left = self.seconds[found.way]
        self.now += left.pop(0) if len(left) > 1 else left[0]
        return True


def winner(monkeypatch, clock, run=None):
    monkeypatch.setattr(trial, "time", clock)
    monkeypatch.setattr(trial, "OTHERS", trial.OTHERS[:6])  # the flags: with other limits, too, a way has several times
    return trial.fastest(lambda: plan.decide("conv2d", SIZES["conv2d"], 4, cpu.conv.Conv(**HOW)), run or clock.run)


# One where it wins, and one where it loses, by half; by less than is taken for noise; in one run of two.
@pytest.mark.parametrize(
    ("winograd", "dot", "chosen"),
    [
        (1.0, 2.0, ()),
        (2.0, 1.0, (("winograd", False),)),
        (1.0, 0.96, ()),
        (1.0, 0.94, (("winograd", False),)),
        ([9.0, 1.0, 3.0], [9.0, 0.5, 1.5], ()),
        ([9.0, 3.0, 1.0], [9.0, 0.5, 0.5], (("winograd", False),)),
        ([9.0, 1.0], [0.1, 2.0], ()),  # the first run compiles
        ([0.1, 2.0], [9.0, 1.0], (("winograd", False),)),
    ],
)
def test_the_planned_way_stays_unless_another_is_faster_in_each_run(kept, monkeypatch, winograd, dot, chosen):
    assert winner(monkeypatch, Clock(winograd=winograd, dot=dot)) == chosen


def test_the_way_that_wins_elsewhere_is_tried_where_it_is_not_planned(kept, monkeypatch):
    monkeypatch.setitem(choices.LIMITS, "winograd_channels", choices.Limit(64, ""))
    assert winner(monkeypatch, Clock(winograd=1.0, dot=2.0)) == (("winograd", True),)
    fresh()
    assert winner(monkeypatch, Clock(winograd=2.0, dot=1.0)) == ()


def test_what_is_slow_is_not_run_again(kept, monkeypatch):
    clock = Clock(winograd=1.0, dot=3.0)
    winner(monkeypatch, clock)
    assert clock.ran.count("dot") == 2


def test_nothing_is_chosen_by_a_result_that_is_not_finite(kept, monkeypatch):
    assert winner(monkeypatch, Clock(winograd=1.0, dot=1.0), run=lambda found: found.way != "winograd") is None
    x, w, out = arrays()
    x[0, 0, 0, 0] = np.nan
    cpu.conv2d(x, w, out, **HOW)
    assert np.isfinite(out).sum() == out.size - 4 * 32
    assert not kept.exists()


@pytest.mark.parametrize("op", SIZES)
def test_what_was_chosen_is_kept_and_taken_from_then_on(kept, monkeypatch, op):
    def choose(plan, run):
        plan()  # it is remembered, and must not be once there is a choice
        return (("winograd", False),)

    monkeypatch.setattr(trial, "fastest", choose)
    first, second, out = arrays(op)
    found = getattr(cpu, op)(first, second, out, **HOW).copy()
    with cpu.forced(winograd=False):
        np.testing.assert_array_equal(found, getattr(cpu, op)(first, second, out, **HOW))
    with cpu.forced(winograd=True):
        assert not np.array_equal(found, getattr(cpu, op)(first, second, out, **HOW))  # it is another way
    assert list(json.loads(kept.read_text()).values()) == [{"winograd": False}]
    fresh()
    monkeypatch.setattr(trial, "fastest", None)  # it is not held again
    np.testing.assert_array_equal(found, getattr(cpu, op)(first, second, out, **HOW))
    assert "winograd" not in str(cpu.explain(op, first, second, out, **HOW))


def test_a_real_trial_gives_the_bits_of_the_way_it_keeps(kept):
    x, w, out = arrays()
    first = cpu.conv2d(x, w, out, **HOW).copy()
    assert len(json.loads(kept.read_text())) == 1
    fresh()
    np.testing.assert_array_equal(first, cpu.conv2d(x, w, out, **HOW))


@pytest.mark.parametrize("threshold", [2 * 14 * 14 * 9 * 32 * 32, 2 * 14 * 14 * 9 * 32 * 32 + 1])
@pytest.mark.parametrize("op", SIZES)
def test_a_trial_is_held_where_the_work_is_worth_it(kept, monkeypatch, op, threshold):
    monkeypatch.setitem(choices.LIMITS, "worth_a_trial", choices.Limit(threshold, ""))
    getattr(cpu, op)(*arrays(op), **HOW)
    assert kept.exists() == (threshold <= 2 * 14 * 14 * 9 * 32 * 32)


def test_whoever_forces_a_way_gets_it_and_no_trial(kept):
    with cpu.forced(pixels=256):
        cpu.conv2d(*arrays(), **HOW)
    assert not kept.exists()


def test_where_nothing_can_be_kept_the_limits_decide(kept, monkeypatch):
    monkeypatch.setattr(trial, "fastest", lambda plan, run: (("winograd", False),))
    kept.write_text("a file, and no folder")
    monkeypatch.setattr(measured, "file", lambda: kept / "choices.json")
    x, w, out = arrays()
    found = cpu.conv2d(x, w, out, **HOW).copy()
    with cpu.forced(winograd=True):
        np.testing.assert_array_equal(found, cpu.conv2d(x, w, out, **HOW))


def test_what_another_process_found_meanwhile_counts(kept, monkeypatch):
    assert measured.found() == {}
    name = measured.key("conv2d", SIZES["conv2d"], 4, cpu.conv.trial.host.threads(), cpu.conv.Conv(**HOW))
    kept.write_text(json.dumps({name: {"winograd": False}}))
    monkeypatch.setattr(trial, "fastest", None)
    cpu.conv2d(*arrays(), **HOW)
    assert measured.found() == {name: (("winograd", False),)}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"a": 1}', b'{"a": {"nonsense": true}}', b'{"a": []}']
)
def test_a_damaged_file_is_no_ones_trouble(kept, content):
    kept.write_bytes(content)
    cpu.conv2d(*arrays(), **HOW)
    assert list(json.loads(kept.read_text())) == list(measured.found())


def test_a_choice_adds_to_those_that_are_there(kept):
    assert measured.keep("a", (("winograd", True),))
    assert measured.keep("b", ())
    assert measured.read() == {"a": (("winograd", True),), "b": ()}
    assert [each.name for each in kept.parent.iterdir()] == [kept.name]


def test_a_full_disk_leaves_nothing_behind(kept, monkeypatch):
    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(measured.json, "dump", full)
    assert not measured.keep("a", ())
    assert list(kept.parent.iterdir()) == []


@pytest.mark.parametrize(("switch", "there"), [("0", False), ("1", True)])
def test_one_setting_pins_every_choice(tmp_path, switch, there):
    code = "from tinyres_kernels.cpu import measured; print(measured.file() is not None)"
    env = {**os.environ, "TINYRES_TRIALS": switch, "NUMBA_CACHE_DIR": str(tmp_path)}
    told = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(there)


def test_another_machine_has_a_file_of_its_own(monkeypatch):
    names = set()
    for name in ("haswell", "znver4", "icelake-server"):
        monkeypatch.setattr(measured, "numba", SimpleNamespace(config=SimpleNamespace(CPU_NAME=name), __version__="1"))
        monkeypatch.setattr(measured, "folder", lambda function: __import__("pathlib").Path("place"))
        monkeypatch.delenv("TINYRES_TRIALS", raising=False)
        measured.file.cache_clear()
        names.add(measured.file())
    measured.file.cache_clear()
    assert len(names) == 3
