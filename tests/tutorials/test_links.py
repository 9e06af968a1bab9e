"""Numbers of tutorials become links on the site, and no other numbers do."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "tutorials" / "_links.py"
SPEC = importlib.util.spec_from_file_location("links_of_the_site", SOURCE)
links = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(links)


def filled(line, docname="07_residual_sum", cell="# %% [markdown]"):
    content = [f"{cell}\n{line}\n"]
    links.fill(None, docname, content)
    return content[0].splitlines()[1]


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("# *From before: chi (06).*", "# *From before: chi ([06](06_vanishing.py)).*"),
        ("# as in 01: look", "# as in [01](01_one_number.py): look"),
        ("# 08 tells why.", "# [08](08_batch_norm.py) tells why."),
        ("# two players (11, its exercise)", "# two players ([11](11_two_gradients.py), its exercise)"),
        ("# In tutorial 13 it draws", "# In tutorial [13](13_dcgan.py) it draws"),
    ],
)
def test_tutorials_are_linked(line, made):
    assert filled(line) == made


@pytest.mark.parametrize(
    "line",
    [
        "# # 06 Why?",
        "# loss 0.05, at h = 1e-04, on 04.11.",
        "# (10 layers), 12 blocks",
        "# its own number (07)",
        "# $01$",
    ],
)
def test_other_numbers_stay(line):
    assert filled(line) == line


def test_code_stays():
    assert filled('print("(06)")  # as in 01', cell="# %%") == 'print("(06)")  # as in 01'
    content = ["# %% [markdown]\n# text\n# ```python\n# x = (06)\n# ```\n"]
    links.fill(None, "07_residual_sum", content)
    assert "[06]" not in content[0]


def test_only_tutorials_are_touched():
    assert filled("# as in 06", docname="index") == "# as in 06"
