"""`tinyres tutorials run`: text, code and output in order; a pause at a guess; pictures that are kept."""

import shlex
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from tinyres.bench import children
from tinyres.cli.formulas import FORMULA, readable
from tinyres.cli.notebooks import plain
from tinyres.cli.reading import ASKED, read

plt = pytest.importorskip("matplotlib.pyplot")
TUTORIALS = Path(__file__).parents[2] / "tutorials"
PAGE = """\
# %% [markdown]
# # 99 What comes first?
#
# He et al. 2016 [he2016deep] say $x^2$.

# %%
import matplotlib.pyplot as plt

x = 3
print("x is", x)

# %% [markdown]
# **Guess before you run:** how much is $x^2$?

# %%
guess = ...  # a number

# %% tags=["hide-output"]
plt.plot([x, x**2])
plt.show()
print("and its square", x**2)

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nine.
#
# </details>
"""


@pytest.fixture
def page(tmp_path):
    plt.close("all")  # what other tests have left
    plt.switch_backend("agg")
    path = tmp_path / "99_page.py"
    (tmp_path / "pictures").mkdir()
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_text_code_and_output_come_in_order(page, capsys):
    read(page)
    out = capsys.readouterr().out
    lines = [
        "# 99 What comes first?", "al. 2016 say x².", "    x = 3", "x is 3",
        "**Guess before you run:** how much", "    plt.plot([x, x**2])", "and its square 9", "Answer\n\nNine.",
        "There is no display, so one picture was drawn but not shown: --figures DIR keeps them.",
    ]  # fmt: skip
    places = [out.index(line) for line in lines]
    assert places == sorted(places)
    assert "details" not in out
    assert "guess" not in out


def test_formulas_are_in_plain_characters():
    assert readable(r"of $1 - \tanh^2 a$ at $10^{-3}$") == "of 1-tanh² a at 10⁻³"
    assert readable(r"$$ \frac{f(x+h) - f(x)}{h} = \underbrace{2\,y}_{d\ell/dy} \cdot w_{data} $$") == (
        "(f(x+h)-f(x))/h=2 y·w_data, where 2 y is dℓ/dy."
    )
    assert (
        readable(r"$\underbrace{a + b}_{x}\,\underbrace{f(c - d)}_{y}$") == "(a+b) f(c-d), where a+b is x, f(c-d) is y."
    )
    assert readable(r"costs $\unknown{3}$ and 5 $") == r"costs $\unknown{3}$ and 5 $"


@pytest.mark.parametrize("path", sorted(TUTORIALS.glob("[0-9]*.py")), ids=lambda path: path.stem[:2])
def test_no_formula_of_a_tutorial_is_left_in_latex(path):
    text = "\n".join(plain(line) for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))
    assert FORMULA.search(readable(text)) is None


def test_a_trace_that_a_notebook_would_show_is_pointed_at_or_written(page, capsys, tmp_path):
    page.write_text("# %%\nimport tinyres as tr\nx = tr.tensor([2.0], requires_grad=True)\ntr.trace((x * x).sum())\n")
    read(page)
    assert "`tutorials run 99 --figures DIR` writes 99_page.html there" in capsys.readouterr().out
    read(page, tmp_path / "pictures")
    assert "99_page.html, a page to step through" in capsys.readouterr().out
    assert "<html" in (tmp_path / "pictures" / "99_page.html").read_text(encoding="utf-8")


def test_someone_is_asked_before_the_answer_comes(page, capsys):
    seen = []
    read(page, ask=lambda question: seen.append((question, capsys.readouterr().out)))
    ((question, before),) = seen
    assert question == ASKED
    assert before.endswith("how much is x²?\n\n")
    assert "and its square" in capsys.readouterr().out


def test_pictures_are_kept_in_the_folder_that_is_named(page, capsys, tmp_path):
    read(page, tmp_path / "pictures")
    (picture,) = (tmp_path / "pictures").iterdir()
    assert picture.name == "99_page-1.png"
    out = capsys.readouterr().out
    assert f"wrote {picture}" in out
    assert "no display" not in out
    assert not plt.get_fignums()


def test_an_error_shows_the_line_of_the_file(page):
    page.write_text(PAGE.replace("x**2)", "y)"), encoding="utf-8")
    with pytest.raises(NameError) as found:
        read(page)
    last = traceback.extract_tb(found.value.__traceback__)[-1]
    assert (last.filename, last.line) == (str(page), 'print("and its square", y)')


@pytest.mark.skipif(sys.platform == "win32", reason="pipes end in another way there")
def test_a_reader_who_has_seen_enough_ends_it_without_a_word(page):
    command = f"{shlex.quote(sys.executable)} -m tinyres.cli.reading {shlex.quote(str(page))} | head -1"
    ended = subprocess.run(command, shell=True, env=children.environment(), capture_output=True, text=True)
    assert (ended.stdout, ended.stderr) == ("# 99 What comes first?\n", "")
