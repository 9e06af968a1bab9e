"""What is drawn, written and put onto the page."""

import io
import json
import re

import pytest
from rich.console import Console

from tests.lab.reported import WIDE, law, save
from tests.spoiled import spoiled
from tinyres.lab import report
from tinyres.lab.registry import EXPERIMENTS, Result, Table


def test_numbers_stay_whole_in_80_columns():
    stream = io.StringIO()
    Console(width=80, file=stream).print(*report.tables(EXPERIMENTS["E13"], Result(tables=[WIDE])))
    text = stream.getvalue()
    for cell in ("0.00071 / 5", "-0.000701", "0.00293", "precision", "neighbouring"):
        assert cell in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.slow
def test_a_crowded_figure_is_drawn_larger_and_without_a_warning(tmp_path):
    sizes = []

    def crowded(figure):
        sizes.append(tuple(figure.get_size_inches()))
        for axes in figure.subplots(9, 2).flat:
            axes.set(xlabel="x", ylabel="y", title="title")

    _, path = save(tmp_path, "E2", figures={"": crowded})
    assert path.read_bytes().startswith(b"\x89PNG")
    assert sizes[0] == (11, 5)
    assert max(sizes) > sizes[0]
    assert sizes[-1][0] < 5, "and once more for a phone"


def test_a_warning_of_another_kind_is_not_swallowed(tmp_path):
    def warned(figure):
        import warnings

        warnings.warn("something else", UserWarning, stacklevel=1)

    with pytest.raises(UserWarning, match="something else"):
        save(tmp_path, "E2", figures={"": warned})


def test_the_page_puts_laws_first_and_names_what_is_broken(tmp_path):
    save(tmp_path, "check", laws=[law("a paper of its own")], tables=[WIDE])
    save(tmp_path, "E3", laws=[law(EXPERIMENTS["E3"].source)])
    save(tmp_path, "E2", laws=[law("x")])
    path = tmp_path / "E2.json"
    path.write_text(path.read_text()[:-40])
    (tmp_path / "others.json").write_text("{")
    page = report.write_page(tmp_path).read_text()
    assert "Left out because unreadable: E2.json." in page
    assert re.findall(r'<section id="(.*?)">', page) == ["E3", "check"]
    link = f'<th scope="row">E3</th><td><a href="#E3">{EXPERIMENTS["E3"].claim}</a></td>'
    assert link in page.replace("&#39;", "'"), "a link is called what it leads to"
    assert "A row of the kind “figure” is a measured number" in page
    assert page.count('<th scope="col">source</th>') == 1  # all of E3's is the section's
    columns = ["law", "measured", "predicted", "verdict"]
    assert re.findall(r'">(law|measured|predicted|verdict)</th>', page) == ["verdict", *columns, *columns]
    assert '<td class="number">0.00071 / 5</td>' in page
    assert '<th scope="row" class="text">four neighbouring modes missing</th>' in page
    assert page.count("<table>") == page.count("<caption") == 4
    assert page.count('<th scope="row"') == page.count("<tr>") - page.count("<thead>"), "every row has a header"


def test_the_page_of_a_run_under_way_says_what_is_to_come(tmp_path):
    save(tmp_path, "check", laws=[law("x")])
    page = report.write_page(tmp_path, ["E3", "digits"]).read_text()
    assert "Not complete: E3, digits had not finished when this page was written." in page
    assert "Not complete" not in report.write_page(tmp_path).read_text()


@pytest.mark.parametrize("content", [[], {"format": "tinyres experiment 1", "name": "E2"}])
def test_a_file_that_lacks_what_it_should_hold_is_named(tmp_path, content):
    (tmp_path / "E2.json").write_text(json.dumps(content))
    assert "unreadable: E2.json." in report.write_page(tmp_path).read_text()


def test_a_column_of_figures_is_not_broken_for_the_sake_of_text():
    pair = "3.6e-05 (2.3e-05)"
    table = Table(
        "Pairs", ("of which net", "a", "b", "c"), [("a net of twenty layers, trained twice", pair, pair, pair)]
    )
    stream = io.StringIO()
    Console(width=80, file=stream).print(*report.tables(EXPERIMENTS["E14"], Result(tables=[table])))
    assert stream.getvalue().count(pair) == 3


@pytest.mark.usefixtures("sketched")
def test_no_file_of_others_breaks_the_page(tmp_path):
    """It is on the page, or named as not readable; the experiments beside it are there."""
    save(tmp_path, "E3", laws=[law("a paper")])
    save(tmp_path, "E2", laws=[law("a paper")], tables=[WIDE], figures={"": lambda figure: figure.subplots()})
    path = tmp_path / "E2.json"
    whole = json.loads(path.read_text())
    seen = 0
    for _, document in spoiled(whole, every=29):
        path.write_text(json.dumps(document))
        page = report.write_page(tmp_path).read_text()
        assert 'id="E3"' in page
        there = document.get("format") != whole["format"] or 'id="E2' in page or "unreadable: E2.json" in page
        assert there or document.get("name") != "E2"
        seen += "unreadable: E2.json" in page
    assert seen > 2
    path.write_text(json.dumps(whole | {"found": "half a \ud800 character"}))
    assert "half a ? character" in report.write_page(tmp_path).read_text()
    path.write_text("[" * 100_000)
    assert "unreadable: E2.json" in report.write_page(tmp_path).read_text()


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.png", "secret.txt", "link.png", "text.png", "missing.png", 7]
)
def test_a_figure_is_a_picture_of_the_same_folder(tmp_path, name):
    folder = tmp_path / "results"
    folder.mkdir()
    for place in (tmp_path / "secret.png", folder / "secret.txt"):
        place.write_bytes(b"\x89PNG\r\n\x1a\nsecret")
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "text.png").write_text("secret")
    save(folder, "E2", laws=[law("a paper")], figures={"": lambda figure: figure.subplots()})
    path = folder / "E2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"figures": [name, "E2.png"]}))
    page = report.write_page(folder).read_text()
    assert page.count("<img ") == (name != 7)
    assert page.count("data:image/png") == 4 * (name != 7)  # light and dark, wide and narrow
    assert "Content-Security-Policy" in page
    (folder / "E2-dark.png").unlink()
    (folder / "E2-dark.png").symlink_to(tmp_path / "secret.png")
    assert report.write_page(folder).read_text().count("data:image/png") == 3 * (name != 7)


def test_a_figure_says_what_it_shows_and_opens_in_full(tmp_path):

    def draw(figure):
        axes = figure.subplots()
        axes.plot([1, 2], label="$a$ measured")
        axes.set(xlabel="layers", ylabel="gradient", title="How deep")
        axes.legend()

    save(tmp_path, "E2", laws=[law("a paper")], tables=[WIDE], figures={"": draw, "one more": draw})
    page = report.write_page(tmp_path).read_text(encoding="utf-8")
    alts = re.findall(r'alt="([^"]*)"', page)
    assert len(alts) == len(set(alts)) == 2
    assert not any(".png" in alt for alt in alts)
    drawn = "How deep; vertical axis, gradient; horizontal axis, layers; 1 line or rows of dots (a measured: 1 to 2)."
    assert alts == [f"Figure. {drawn}", f"Figure one more. {drawn}"]
    names = re.findall(r'Full size<span class="unseen">([^<]*)<', page)
    assert names == [" (figure of E2)", " (figure one more of E2)"], "short, and one unlike the other"
    notes = re.findall(r'popovertarget="([^"]*)"', page)
    assert [page.count(f'<p popover id="{name}"') for name in notes] == [1, 1]


def test_the_numbers_of_a_picture_are_in_a_table_below_it(tmp_path):
    draw = lambda figure: figure.subplots().plot([1, 2], [0.5, 0.25], label="skip share")
    save(tmp_path, "E2", laws=[law("a paper")], figures={"": draw})
    page = report.write_page(tmp_path).read_text(encoding="utf-8")
    assert page.count("The picture in numbers") == 1
    below = page[page.index("The picture in numbers") :]
    assert re.findall(r'<th scope="col"[^>]*>([^<]*)<', below)[:2] == ["x", "skip share"]
    assert '<th scope="row" class="number">2</th><td class="number">0.25</td>' in below
    assert "E2.json</a>" not in page, "which has no data"
    path = tmp_path / "E2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"data": {"share": [0.5, 0.25]}}))
    assert '<a href="E2.json">E2.json</a>' in report.write_page(tmp_path).read_text(encoding="utf-8")
