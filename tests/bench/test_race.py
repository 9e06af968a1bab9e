"""Turns, clocks, ratios and verdicts: `race` on clocks whose time is what was done."""

import sys
from itertools import pairwise
from types import ModuleType, SimpleNamespace
from unittest import mock

import pytest

from tests.bench.events import gpu_of_nothing
from tinyres.bench import clocks, peers
from tinyres.bench.clocks import CudaClock, HostClock
from tinyres.bench.race import Peer, Target, Timing, Verdict, against, begin, fastest, race, ratio


class Clock:
    """Its time goes on by what is done, and by a hundred seconds where it is settled."""

    turn, most = 2e-3, 50

    def __init__(self):
        self.now, self.settled = 0.0, []

    def start(self):
        return self.now

    def stop(self, started):
        return self.now - started

    def warm_up(self, call, host):
        self.settled.append(host)
        self.now += 100.0

    def peer(self, name, seen, seconds, sets=1, **more):
        def call(i):
            seen.append((name, i))
            self.now += seconds

        return Peer([lambda i=i: call(i) for i in range(sets)], **more)


def test_peers_take_turns_and_each_round_begins_with_another():
    clock, seen, ticks = Clock(), [], []
    everyone = {name: clock.peer(name, seen, 1e-3) for name in "abc"}
    times = race(everyone, clock, rounds=3, tick=lambda: ticks.append(1))
    assert "".join(name for name, _ in seen) == "aabbcc" + "aabbcc" + "bbccaa" + "ccaabb"  # the first to find the pace
    assert set(times) == set("abc")
    assert len(ticks) == 3
    assert len(clock.settled) == 9


def test_short_calls_fill_a_turn_and_long_ones_are_a_turn():
    clock, seen = Clock(), []
    everyone = {
        "long": clock.peer("a", seen, 1.0),
        "short": clock.peer("b", seen, 4.5e-4),
        "tiny": clock.peer("c", seen, 0),
    }
    times = race(everyone, clock, rounds=1)
    assert "".join(name for name, _ in seen[6:]) == "a" + 4 * "b" + 50 * "c"
    assert (times["long"].median, times["short"].median) == (pytest.approx(1.0), pytest.approx(4.5e-4))


def test_inputs_change_from_call_to_call_and_settling_is_not_counted():
    clock, seen, settings = Clock(), [], []
    peer = clock.peer("a", seen, 1e-3, sets=3, before=lambda: settings.append(1))
    found = race({"a": peer}, clock, rounds=3, turn=4e-3)["a"]
    assert found.median == pytest.approx(1e-3)
    assert [i for _, i in seen] == [0, *(0, 1, 2), *(0, 1, 2, 0), *(1, 2, 0, 1), *(2, 0, 1, 2)]
    assert len(settings) == 1 + 3


def test_a_clock_is_told_how_long_the_host_needs_for_a_turn(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(clocks.time, "perf_counter", lambda: clock.now)
    race({"a": clock.peer("a", [], 1e-3)}, clock, rounds=2, turn=4.5e-3)
    assert clock.settled == [pytest.approx(4e-3)] * 2


def test_who_raises_drops_out_unless_it_is_needed():
    def refuse():
        raise ValueError("no compiler\nand more")

    everyone = {"a": Peer([lambda: 2], read=lambda result: result + 1), "b": Peer([refuse])}
    first = begin(everyone, Clock(), needed=["a"])
    assert (first.results, first.refused) == ({"a": 3}, {"b": "ValueError: no compiler"})
    assert set(first.seconds) == {"a"}
    with pytest.raises(ValueError, match="no compiler"):
        begin(everyone, Clock(), needed=["a", "b"])


# -- clocks ---------------------------------------------------------------------------------------------------------
def test_a_rest_is_followed_by_as_long_a_time_of_calls_that_do_not_count(monkeypatch):
    now, calls = [0.0], []

    def call():
        now[0] += 0.25
        calls.append(now[0])

    monkeypatch.setattr(clocks.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(clocks.time, "sleep", lambda seconds: None)
    times = race({"a": Peer([call])}, HostClock(pause=1.0), rounds=2, turn=0.75)
    assert len(calls) == 2 + 2 * (4 + 3)
    assert times["a"].median == 0.25


def test_a_gpu_is_held_before_a_turn_for_as_long_as_the_host_needs(monkeypatch):
    with gpu_of_nothing() as cupy:
        copies = []
        monkeypatch.setattr(cupy, "copyto", lambda to, source: copies.append((to, source)), raising=False)
        CudaClock().warm_up(lambda: None, 1.0)
        assert copies == []
        clock = CudaClock(held=True)
        monkeypatch.setattr(clock, "stop", lambda started: 8 * 0.25)  # so that a copy takes a quarter of a second
        monkeypatch.setattr(clocks, "AHEAD", 1.5)
        monkeypatch.setattr(clocks, "SLACK", 0.2)
        clock.warm_up(lambda: None, 1.0)
        assert len(copies) == 1 + 8 + 7  # 1.7 s
        clock.warm_up(lambda: None, 2.0)
        assert len(copies) == 16 + 13


def test_both_libraries_have_to_work_on_the_stream_that_the_clock_looks_at(monkeypatch):
    torch = ModuleType("torch")
    torch.backends = SimpleNamespace(cudnn=SimpleNamespace(benchmark=False))
    stream = SimpleNamespace(cuda_stream=0)
    torch.cuda = SimpleNamespace(is_available=lambda: True, current_stream=lambda: stream)
    load = peers.load_torch
    monkeypatch.setitem(sys.modules, "torch", torch)
    with mock.patch("tests.bench.events.TORCH", False), gpu_of_nothing():
        assert load("cuda") is torch
        assert torch.backends.cudnn.benchmark
        stream.cuda_stream = 2
        with pytest.raises(RuntimeError, match="different streams"):
            load("cuda")


# -- ratios and verdicts ----------------------------------------------------------------------------------------------
def test_times_are_medians_with_their_quartiles():
    assert Timing.of([4.0, 1.0, 2.0, 3.0, 5.0]) == (3.0, 2.0, 4.0)


def test_a_ratio_goes_from_our_best_over_their_worst_to_the_opposite():
    found = ratio(Timing(2.0, 1.0, 3.0), Timing(4.0, 2.0, 8.0))
    assert found == (0.5, 1 / 8, 3 / 2)
    assert all(a <= b for a, b in pairwise((found.lower, found.value, found.upper)))


def test_a_target_is_for_the_fastest_of_its_peers():
    times = {name: Timing(t, t, t) for name, t in {"tinyres": 1.0, "PyTorch, a": 2.0, "PyTorch, b": 1.1}.items()}
    (verdict,) = against(times, {"PyTorch": Target(0.8), "JAX": Target(1.0)})
    assert str(verdict) == "tinyres / PyTorch: 0.91 (must 0.8): MISSED"
    assert verdict.to_json()["interval"] == (1 / 1.1, 1 / 1.1)
    assert fastest(times, ["PyTorch, a", "PyTorch, b"]) == "PyTorch, b"
    assert fastest(times, ["JAX"]) is None


@pytest.mark.parametrize(
    ("value", "target", "outcome"),
    [
        (0.7, Target(1.0, 0.8), "aim met"),
        (0.9, Target(1.0, 0.8), "): met"),
        (1.1, Target(1.0, 0.8), "MISSED"),
        (90, Target(65, 85, at_least=True), "aim met"),
        (70, Target(65, 85, at_least=True), "): met"),
        (60, Target(65, 85, at_least=True), "MISSED"),
        (float("nan"), Target(1.0), "MISSED"),
    ],
)
def test_verdicts(value, target, outcome):
    assert str(Verdict("x", value, target)).endswith(outcome)
