"""`tinyres tutorials copy --notebook`: a notebook has the cells of its tutorial, and runs."""

import inspect
import json
import re

import pytest

from tinyres.autograd import reference
from tinyres.cli import main, tutorials
from tinyres.cli.notebooks import FILL_IN, RESULTS, alone, notebook
from tinyres.exercises import NotRight

FOUND = tutorials.tutorials()


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_the_cells_are_those_that_jupytext_finds(tutorial):
    jupytext = pytest.importorskip("jupytext")
    text = tutorial.path.read_text(encoding="utf-8")
    expected = jupytext.reads(alone(text), fmt="py:percent")
    made = json.loads(notebook(text))
    plain = [cell for cell in made["cells"] if cell["metadata"].get("tags") != FILL_IN]
    for kind in ("code", "markdown"):
        texts = [cell["source"] for cell in (plain if kind == "code" else made["cells"])
                 if cell["cell_type"] == kind or cell not in plain]  # fmt: skip
        assert words(texts) == words(cell.source for cell in expected.cells if cell.cell_type == kind)
    assert sum(cell["cell_type"] == "code" for cell in plain) == sum(c.cell_type == "code" for c in expected.cells)
    tags = [cell["metadata"]["tags"] for cell in plain if "tags" in cell["metadata"]]
    assert tags == [cell.metadata["tags"] for cell in expected.cells if "tags" in cell.metadata]


def words(texts):
    """All of them, in order, without the fences of code."""
    return re.sub(r"```\w*", "", "\n".join(texts)).split()


def test_a_copy_holds_the_code_that_the_site_includes_and_no_keys_of_sources(capsys, tmp_path):
    assert main(["tutorials", "copy", str(tmp_path), "--notebook"]) == 0
    for tutorial in FOUND:
        made, text = ((folder / tutorial.path.name).read_text("utf-8") for folder in (tmp_path, tutorial.path.parent))
        assert "literalinclude" not in made
        assert not re.search(r"\[[a-z]+\d{4}[a-z]+\]", made)
        code = [[line for line in file.splitlines() if not line.startswith("#")] for file in (made, text)]
        assert code[0] == code[1], "the cells are the same"
    tape = (tmp_path / "02_tape.py").read_text("utf-8")
    code = "".join(line.removeprefix("#").removeprefix(" ") for line in tape.splitlines(keepends=True))
    assert inspect.getsource(reference.grad) in code
    (cell,) = [c for c in json.loads((tmp_path / "02_tape.ipynb").read_text("utf-8"))["cells"]
               if "def grad(output" in c["source"]]  # fmt: skip
    assert inspect.getsource(reference.grad) in cell["source"]


@pytest.mark.parametrize("tutorial", FOUND, ids=lambda tutorial: tutorial.path.stem)
def test_an_exercise_is_a_cell_to_fill_in_and_its_stub_is_answered_by_a_hint(tutorial, tmp_path, monkeypatch):
    text = tutorial.path.read_text(encoding="utf-8")
    cells = json.loads(notebook(text))["cells"]
    (stub,) = [cell for cell in cells if cell["metadata"].get("tags") == ["raises-exception"]]
    assert f'tr.exercise("{tutorial.number}", ' in stub["source"]
    assert stub["cell_type"] == "code"
    at = cells.index(stub)
    assert cells[at - 1]["cell_type"] == "markdown"
    assert "## Your turn" in cells[at - 1]["source"]
    names = {}
    for cell in cells[:at]:
        if cell["cell_type"] == "code":  # the stub finds what the notebook has imported
            try:
                exec("\n".join(re.findall(r"^(?:import|from) .*$", cell["source"], re.MULTILINE)), names)
            except ModuleNotFoundError as missing:
                pytest.skip(str(missing))
    monkeypatch.setenv("TINYRES_EXERCISES", str(tmp_path))
    with pytest.raises(NotRight, match=f"Exercise {tutorial.number} is not tried yet: "):
        exec(stub["source"], names)
    assert not list(tmp_path.iterdir()), "who has not answered has not tried"
    changed = stub["source"].replace("...", "float('nan')").replace("D(fakes), zeros)", "D(fakes), ones)")
    assert changed != stub["source"]
    with pytest.raises(NotRight, match=f"Exercise {tutorial.number} is not right yet: "):
        exec(changed, names)
    assert len(list(tmp_path.iterdir())) == 1, "a wrong answer is a try"


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
        if cell["cell_type"] == "code" and cell["metadata"].get("tags") != FILL_IN:
            exec(cell["source"], names)
    assert names["gradient"].item() == pytest.approx(names["by_hand"], rel=1e-12)


def test_results_are_kept_in_the_notebooks_own_folder_if_that_is_asked_for(capsys, tmp_path):
    assert main(["tutorials", "copy", str(tmp_path / "ada"), "--results"]) == 0
    said = capsys.readouterr().out
    assert f"right or wrong to {tmp_path / 'ada' / 'tinyres-results.csv'}" in said
    assert f"begin with {FOUND[0].path.stem}.ipynb: jupyter lab {tmp_path / 'ada'}" in said
    for path in (tmp_path / "ada").glob("*.ipynb"):
        first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        assert (first["cell_type"], first["source"]) == ("code", RESULTS)
        assert RESULTS.endswith("\n%env TINYRES_EXERCISES=.")
    plain = json.loads(notebook(FOUND[0].path.read_text(encoding="utf-8")))
    assert "TINYRES_EXERCISES" not in plain["cells"][0]["source"]


def test_a_source_is_named_without_its_key():
    every = "".join(notebook(tutorial.path.read_text(encoding="utf-8")) for tutorial in FOUND)
    assert re.search(r"Poole et al\. \d+;", every)
    assert not re.search(r"[a-z]{4}\d{4}[a-z]{3}", every)
