"""What every experiment says of itself, beside its numbers."""

import keyword
import re
import subprocess
import sys
from pathlib import Path

from latex2mathml.converter import convert

from tests.each import for_each
from tinyres.lab.registry import EXPERIMENTS, GROUPS, TOUR

EVERY = for_each("experiment", EXPERIMENTS.values())
WITHOUT_EQUATION = {"claim-listings", "claim-argmax"}  # code that stops, and a loss that falls on its own


@EVERY
def test_a_reader_learns_what_is_asked_and_where_it_holds(experiment):
    assert experiment.question.endswith("?")
    assert experiment.varies
    assert experiment.conditions.endswith(".")
    assert all(choice.endswith(".") for choice in experiment.choices)


@EVERY
def test_the_equation_can_be_set_in_type(experiment):
    assert bool(experiment.equation) is (experiment.name not in WITHOUT_EQUATION)
    if experiment.equation:
        assert "\\" not in convert(experiment.equation, display="block"), "a command that the converter does not know"


@EVERY
def test_settings_can_be_given_in_python(experiment):
    for name, setting in experiment.settings.items():
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        assert setting.meaning
        assert setting.read(setting.default) == setting.default


def test_a_verdict_takes_one_seed_or_five():
    assert {experiment.seeds for experiment in EXPERIMENTS.values()} == {1, 5}
    assert all(EXPERIMENTS[name].seconds <= 30 for name in TOUR)


def test_a_test_runs_every_experiment_that_the_gallery_shows():
    """And leaves there what it found."""
    tests = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.rglob("test_e*.py")))
    run = set(re.findall(r'(?:holds|pytest\.param)\("([^"]+)"', tests))
    assert set(GROUPS["starred"]) <= run


def test_no_experiment_imports_what_only_some_processes_need():
    """Each process of `tinyres flow` imports all experiments; SciPy alone would take as long as NumPy."""
    loaded = "import sys, tinyres.lab.registry; print(*{name.partition('.')[0] for name in sys.modules})"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in found
    assert not {"scipy", "matplotlib", "sklearn", "numba", "PIL", "rich"} & set(found)
