"""What runs, what does not run again, and processes of this machine."""

import importlib

import pytest

from tinyres.lab import sweep
from tinyres.lab.sweep import Results, local, point


def test_what_is_finished_never_runs_again(tiny, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(local, "attempt", lambda recipe, device: ran.append(recipe) or point.attempt(recipe, device))
    small, large = tiny({"seed": [0, 1]}), tiny({"depth": [3, 4], "seed": [0, 1]})
    ticks = []
    for recipes, new in ((small, small), (small, []), (large, large[2:]), (large, []), (small, [])):
        ran.clear()
        ticks.clear()
        with Results(tmp_path / "sweep.csv") as results:
            assert sweep.sweep(recipes, results, local.here, lambda: ticks.append(1)) == {}
            assert all(recipe in results for recipe in recipes)
        assert ran == new
        assert len(ticks) == len(new)


@pytest.mark.slow
def test_processes_find_what_one_process_finds_in_the_same_order(tiny, tmp_path, table):
    recipes = tiny({"depth": [3, 5], "init": ["orthogonal", "default"], "seed": [0, 1]}) + tiny({"lr": [1e30]}, steps=9)
    for name, execute in (("one", local.here), ("two", local.processes(2))):
        (tmp_path / name).mkdir()
        with Results(tmp_path / name / "sweep.csv") as results:
            assert sweep.sweep(recipes, results, execute) == {}
    one, two = table(tmp_path / "one"), table(tmp_path / "two")
    assert one == two
    assert len(one) == 10
    assert [row[21] for row in one] == ["status"] + ["ok"] * 8 + ["diverged"]


def test_a_point_that_cannot_be_run_spares_the_others(tiny, tmp_path, monkeypatch):
    recipes = tiny({"seed": [0, 1, 2]})

    def fails(recipe, device):
        if recipe.seed == 1:
            raise MemoryError("no room")
        return measure(recipe, device)

    measure = point.measure
    monkeypatch.setattr(point, "measure", fails)
    with Results(tmp_path / "sweep.csv") as results:
        assert sweep.sweep(recipes, results, local.here) == {recipes[1]: "MemoryError: no room"}
        assert [recipe in results for recipe in recipes] == [True, False, True]


DIES = """
import os

def attempt(recipe, device):
    if recipe.seed == 1:
        os._exit(9)  # as the system would kill it
    return f"ran {recipe.seed}"
"""


@pytest.mark.slow
def test_a_process_that_dies_costs_its_own_point_only(tiny, tmp_path, monkeypatch):
    (tmp_path / "tinyres_test_dies.py").write_text(DIES)  # where a new process can import it
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(local, "attempt", importlib.import_module("tinyres_test_dies").attempt)
    recipes = tiny({"seed": range(4)})
    found = dict(local.processes(2)(recipes))
    assert set(found) == set(recipes)
    assert "died twice" in found[recipes[1]]
    assert [found[recipe] for recipe in recipes if recipe.seed != 1] == ["ran 0", "ran 2", "ran 3"]


@pytest.mark.slow
def test_leaving_early_ends_the_processes(tiny):
    psutil = pytest.importorskip("psutil")
    before = set(psutil.Process().children())  # the browser of other tests may be one
    outcomes = local.processes(2)(tiny({}) + tiny({"seed": range(5)}, steps=10**6))
    next(outcomes)
    begun = set(psutil.Process().children()) - before
    children = [child for child in begun if "resource_tracker" not in " ".join(child.cmdline())]
    assert len(children) == 2
    outcomes.close()
    assert not any(child.is_running() for child in children)
