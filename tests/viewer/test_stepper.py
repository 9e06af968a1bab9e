"""Stepping through a trace with keys in a terminal."""

import io
import math
import re

import numpy as np
import pytest

import tinyres as tr
from tests.viewer import cases
from tinyres import nn, viewer
from tinyres.viewer.stepper import KEYS, Stepper


@pytest.fixture
def stepper():
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh())
    x = tr.tensor(np.ones((1, 2), "f4"))
    return Stepper(viewer.trace(D=lambda: model(x).sum(), G=lambda: (model(x) * 2).sum()))


def test_keys(stepper):
    trace = stepper.trace
    seeds = [i for i, moment in enumerate(trace) if moment.kind == "seed"]
    assert stepper.press("p")
    assert stepper.at == 0
    for key in ("n", "\n", "\x1bOC"):
        stepper.press(key)
    assert stepper.at == 3
    stepper.press("\x1b[D")
    assert stepper.at == 2
    stepper.press("l")
    assert stepper.at == seeds[1]
    stepper.press("l")
    assert stepper.at == seeds[0]
    stepper.press("\x1b[F")
    assert stepper.at == len(trace) - 1
    stepper.press("\x1b[1~")
    assert stepper.at == 0
    stepper.press("w")
    assert stepper.at == trace.first["event"]
    stepper.press("\x1b[H")
    stepper.press("m")
    assert trace[stepper.at].path != trace[0].path == "0"
    stepper.press("M")
    assert trace[stepper.at].path == "0"
    stepper.press("/", lambda: "TANH")
    assert "tanh" in str(trace[stepper.at])
    before = stepper.at
    stepper.press("/", lambda: "no such thing")
    assert stepper.at == before
    assert "nothing found" in stepper.note
    stepper.press("x")
    assert stepper.note == "no key 'x'"
    for key in ("?", "h"):
        stepper.press(key)
        assert stepper.note == "", "the keys are in view"
    for key in ("\x1b[15~", "\x1b", "\t", ""):
        stepper.press(key)
        assert stepper.note == "this key does nothing here"
        assert stepper.at == before
    assert not stepper.press("q")


def test_f_and_b_go_to_the_same_operation_in_the_other_pass(stepper):
    """As on the page; in the pass itself, to its beginning."""
    trace = stepper.trace
    tanhs = [i for i, record in enumerate(trace.events) if record[0] == "f" and trace.ops[record[1]].kind == "tanh"]
    seeds = [i for i, moment in enumerate(trace) if moment.kind == "seed"]
    for forward, seed in zip(tanhs, seeds, strict=True):
        stepper.at = forward
        stepper.press("b")
        there = trace.events[stepper.at]
        assert (there[0], there[4]) == ("a", trace.events[forward][1])
        stepper.press("f")
        assert stepper.at == forward
        stepper.press("b")
        stepper.press("b")
        assert stepper.at == seed, "of its own loss"
    stepper.press("f")
    stepper.press("f")
    assert trace[stepper.at].kind == "forward"
    assert trace[stepper.at - 1].kind == "accumulate", "the forward pass of the second loss"


def test_a_search_finds_events_of_an_operation_before_those_that_mention_it(stepper):
    trace = stepper.trace
    stepper.at = (
        next(i for i, moment in enumerate(trace) if "tanh" in str(moment) and "tanh" not in stepper._called(i)) - 1
    )
    stepper.press("/", lambda: "tanh")
    assert trace.ops[trace[stepper.at].op].kind == "tanh"


def test_source_of_several_lines_is_not_written_as_an_equation():
    a, b = (tr.tensor([value], requires_grad=True) for value in (3.0, 4.0))
    stepper = Stepper(viewer.trace(lambda: tr.concatenate([a, b]).sum()))
    stepper.at = next(i for i, moment in enumerate(stepper.trace) if str(moment).startswith("rule        concatenate"))
    lines = stepper._details()
    assert lines[0].endswith(" is what this source returns:")
    assert lines[1].startswith("       start = ")
    assert not any(line.startswith("return") for line in lines)


def test_the_view_shows_rule_and_arrays(stepper):
    from rich.console import Console

    def shown():
        console = Console(width=140, record=True, file=io.StringIO())
        console.print(stepper.view())
        return console.export_text()

    stepper.press("/", lambda: "rule        tanh")
    text = shown()
    assert "dx = g * (1 - y * y)" in text
    assert "sent" in text
    stepper.press("n")
    text = shown()
    assert "before nothing yet" in text
    assert "now" in text


def test_the_view_shows_what_a_rule_reads():
    """Its operands, the cotangent that has arrived, and of these only what the rule names."""
    a, b = (tr.tensor(value, requires_grad=True) for value in (3.0, 4.0))

    def twice():
        y = a / b
        return y + y

    stepper = Stepper(viewer.trace(D=twice, G=lambda: (a / b) * 5.0))
    lane = iter("DG")
    for moment, given in enumerate(stepper.trace):
        if (
            given.kind == "rule"
            and str(given).split(": ")[1].startswith("rule        div")
            and ", a: sends" in str(given)
        ):
            stepper.at = moment
            g = {"D": "2.", "G": "5."}[next(lane)]
            assert stepper._details()[:4] == [
                "rule   da = g / b",
                f"g      {g}",
                "b      4.",
                f"sent   {float(g) / 4:g}",
            ]
    assert next(lane, None) is None, "both passes have the rule"
    stepper.at = 0
    assert stepper._details() == ["rule   y = a / b", "a      3.", "b      4.", "y      0.75"]


def boxed(stepper, width):
    """What stands in the box of the view, its lines joined."""
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    console.print(stepper.view())
    inside = re.findall(r"^│(.*)│$", console.export_text(), re.MULTILINE)
    return " ".join(" ".join(inside).split())


@pytest.mark.parametrize("width", [40, 80, 140])
def test_a_rejoin_is_told_in_full_in_the_box_of_its_event(width):
    trace = viewer.trace(cases.nested()[0])
    stepper = Stepper(trace)
    assert sorted(map(len, trace.rejoined.values())) == [1, 1, 2]
    seen = []
    for event in sorted(trace.rejoined):
        stepper.press("r")
        assert stepper.at == event
        text = boxed(stepper, width)
        for join in trace.joins:
            if max(route["event"] for route in join["routes"]) != event:
                continue
            seen.append(join["name"])
            told = text.partition(f"The routes of block {join['name']} (Residual) rejoin: ")[2].partition("apart.")[0]
            for route in join["routes"]:
                share = route["norm"] / sum(other["norm"] for other in join["routes"])
                assert f"{route['role']} |g| = {route['norm']:.4g} ({share:.0%}" in told
            assert f"{math.degrees(join['angle']):.0f}°" in told
    assert sorted(seen) == ["0", "0.branch.0", "1", "2"]
    stepper.press("r")
    assert (stepper.at, stepper.note) == (event, "no further rejoin")
    stepper.press("R")
    assert stepper.at == sorted(trace.rejoined)[-2]


@pytest.mark.parametrize("name", ["Residual", "LayerNorm", "TransformerEncoderLayer", "rejoin"])
def test_a_search_finds_classes_of_modules_and_rejoins(name):
    model = nn.Sequential(nn.Residual(nn.LayerNorm(4)), nn.TransformerEncoderLayer(4, 2, 8, rng=0))
    x = tr.tensor(np.ones((1, 3, 4), "f4"), requires_grad=True)
    stepper = Stepper(viewer.trace(lambda: (model(x) ** 2).sum()))
    stepper.press("/", lambda: name)
    assert stepper.note == ""
    event, before = stepper.trace[stepper.at], stepper.trace[stepper.at - 1]
    if name == "rejoin":
        assert stepper.at in stepper.trace.rejoined
    else:
        paths = [f"{path}." for path, kind in stepper.trace.classes.items() if kind == name]
        begins = [f"{event.path}.".startswith(p) and not f"{before.path}.".startswith(p) for p in paths]
        assert any(begins)


def test_the_keys_stay_in_view_and_an_event_is_one_line(stepper):
    from rich.console import Console

    for key in ("", "x", "n"):
        stepper.press(key)
        console = Console(width=50, record=True, file=io.StringIO())
        console.print(stepper.view())
        text = console.export_text()
        assert KEYS.split() == text.split()[-len(KEYS.split()) :]
        assert ("no key 'x'" in text) == (key == "x")
        above, _ = text.split("╭")
        assert above.count("\n") == 5 + stepper.at
