"""`tinyres tutorials copy --notebook`: a notebook has the cells of its tutorial, and runs."""

import json
import re

import pytest

from tinyres.cli import main, tutorials
from tinyres.cli.notebooks import notebook

FOUND = tutorials.tutorials()


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_the_cells_are_those_that_jupytext_finds(tutorial):
    jupytext = pytest.importorskip("jupytext")
    text = tutorial.path.read_text(encoding="utf-8")
    expected = jupytext.reads(text, fmt="py:percent")
    made = json.loads(notebook(text))
    assert [(cell["cell_type"], cell["source"]) for cell in made["cells"]] == [
        (cell.cell_type, cell.source) for cell in expected.cells
    ]
    assert [cell["metadata"].get("tags", []) for cell in made["cells"]] == [
        cell.metadata.get("tags", []) for cell in expected.cells
    ]


def test_the_format_knows_it():
    nbformat = pytest.importorskip("nbformat")
    for tutorial in FOUND:
        nbformat.validate(nbformat.reads(notebook(tutorial.path.read_text(encoding="utf-8")), as_version=4))


def test_copy_writes_both_and_overwrites_neither(capsys, tmp_path):
    assert main(["tutorials", "copy", str(tmp_path), "--notebook"]) == 0
    assert "each as a notebook as well" in capsys.readouterr().out
    stems = [tutorial.path.stem for tutorial in FOUND]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{stem}{ending}" for stem in stems for ending in (".py", ".ipynb")
    )
    for tutorial in FOUND:
        cells = json.loads((tmp_path / f"{tutorial.path.stem}.ipynb").read_text(encoding="utf-8"))["cells"]
        assert cells[0]["source"].startswith(f"# {tutorial.number} {tutorial.question}\n")
        code = "\n\n".join(cell["source"] for cell in cells if cell["cell_type"] == "code")
        for line in re.findall(r"^(?!#).+$", tutorial.path.read_text(encoding="utf-8"), re.MULTILINE):
            assert line in code
    (tmp_path / f"{stems[2]}.ipynb").write_text("mine")
    for stem in stems:
        (tmp_path / f"{stem}.py").unlink()
    assert main(["tutorials", "copy", str(tmp_path), "--notebook"]) == 2
    assert f"{stems[2]}.ipynb" in capsys.readouterr().err
    assert (tmp_path / f"{stems[2]}.ipynb").read_text() == "mine"
    assert main(["tutorials", "copy", str(tmp_path), "--notebook", "--force"]) == 0


def test_the_cells_of_a_notebook_run(monkeypatch):
    """One after the other, as in Jupyter, with nothing shared but the names."""
    pytest.importorskip("matplotlib").use("agg")
    names = {}
    for cell in json.loads(notebook(FOUND[0].path.read_text(encoding="utf-8")))["cells"]:
        if cell["cell_type"] == "code":
            exec(cell["source"], names)
    assert names["gradient"].item() == pytest.approx(names["by_hand"], rel=1e-12)
