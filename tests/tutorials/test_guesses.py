"""Nobody sees an answer before the guess: the guess is a cell, what answers it comes later and is folded."""

import json

import pytest

from tinyres.cli import tutorials
from tinyres.cli.notebooks import notebook

FOUND = tutorials.tutorials()
IN_WORDS = {"02": 1, "14": 1}  # guesses that are answered by the text and by many cells, not by the next one


def cells_of(tutorial):
    return json.loads(notebook(tutorial.path.read_text(encoding="utf-8")))["cells"]


def is_guess(cell):
    return cell["cell_type"] == "code" and cell["source"].startswith("guess = ...  # ")


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_each_question_is_followed_by_a_cell_for_the_guess(tutorial):
    cells = cells_of(tutorial)
    asked = [i for i, cell in enumerate(cells) if "**Guess" in cell["source"]]
    assert asked
    assert [i + 1 for i in asked] == [i for i, cell in enumerate(cells) if is_guess(cell)]
    for i in asked:
        assert cells[i]["source"].count("**Guess") == 1
        *_, question = cells[i]["source"].partition("**Guess before you ")
        assert "?" in question
        assert "\n## " not in question  # nothing but the question is left of the cell


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_the_output_that_answers_is_folded(tutorial):
    cells = cells_of(tutorial)
    open_ones = 0
    for i, cell in enumerate(cells):
        if is_guess(cell):
            answer = next(later for later in cells[i + 1 :] if later["cell_type"] == "code")
            open_ones += "hide-output" not in answer["metadata"].get("tags", [])
    assert open_ones == IN_WORDS.get(tutorial.number, 0)


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_a_fold_ends_in_its_cell_and_holds_no_heading(tutorial):
    for cell in cells_of(tutorial):
        for part in cell["source"].split("<details><summary>Answer</summary>\n\n")[1:]:
            answer, closed, _ = part.partition("\n\n</details>")
            assert closed
            assert answer
            assert "\n#" not in answer
        assert cell["source"].count("<details>") == cell["source"].count("</details>")


def test_a_tutorial_about_a_law_measures_it_in_the_page():
    """Some of them once called the laboratory, where a student can neither read nor change the experiment."""
    for number in ("06", "07", "08", "09", "10", "17", "18", "19", "20"):
        (tutorial,) = (found for found in FOUND if found.number == number)
        assert "tinyres.lab" not in tutorial.path.read_text(encoding="utf-8")
