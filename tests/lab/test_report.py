"""What is drawn, written and put onto the page."""

import base64
import io
import json
import re

import pytest
from rich.console import Console

from tests.spoiled import spoiled
from tinyres.lab import report
from tinyres.lab.registry import EXPERIMENTS, Law, Options, Result, Table

WIDE = Table(
    "Wide",
    ("generator", "Fréchet", "MMD², RBF h=0.2", "precision", "recall", "modes", "high quality", "reverse KL"),
    [("four neighbouring modes missing", "0.00071 / 5", "-0.000701", "0.969", "0.966", 8, "0.991", "0.00293")],
)


def save(folder, name, *, laws=(), tables=(), figures=None):
    result = Result(list(laws), list(tables), figures or {})
    return report.save(EXPERIMENTS[name], result, Options(), 0.0, folder)


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


def law(source, kind="exact"):
    return Law("one", 1.0, 1.0, 0.1, kind, source)


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


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_table_that_goes_on_beyond_the_edge_has_a_shadow_there(browser, tmp_path, scheme):
    """At 390 px; the edge behind which nothing is left has none."""
    from PIL import Image

    save(tmp_path, "E2", tables=[WIDE])
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(report.write_page(tmp_path).as_uri())
    page.locator("summary").last.click()
    table = page.locator(".scroll").last

    def unlike():
        """How much the paper at the left edge and at the right one differs from the page's, at the table's foot."""
        shown = Image.open(io.BytesIO(table.screenshot())).convert("L")
        paper = shown.getpixel((shown.width // 2, shown.height - 3))
        return [abs(shown.getpixel((x, shown.height - 3)) - paper) for x in (2, shown.width - 3)]

    left, right = unlike()
    assert (left < 4, right > 25) == (True, True), (left, right)
    table.evaluate("e => e.scrollTo(e.scrollWidth, 0)")
    left, right = unlike()
    assert (left > 25, right < 4) == (True, True), (left, right)
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_an_older_picture_keeps_its_lettering_readable_on_a_phone_and_says_that_there_is_more(browser, tmp_path, width):
    save(tmp_path, "E2", laws=[law("a paper")], figures={"": lambda figure: figure.subplots()})
    for path in tmp_path.glob("*-narrow*.png"):
        path.unlink()
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(report.write_page(tmp_path).as_uri())
    assert page.evaluate("document.querySelector('figure img').getBoundingClientRect().width") >= 760
    beyond = page.evaluate("(e => e.scrollWidth > e.clientWidth + 1)(document.querySelector('figure'))")
    assert page.get_by_text("Swipe the picture sideways").is_visible() == beyond == (width == 390)
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_in_the_report(browser, tmp_path, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python").Axe()
    save(tmp_path, "E2", laws=[law("a paper")], tables=[WIDE], figures={"": lambda figure: figure.subplots()})
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(report.write_page(tmp_path).as_uri())
    violations = axe.run(page).response["violations"]
    assert [(v["id"], [node["html"][:160] for node in v["nodes"]][:3]) for v in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.close()


WIDE_AS = "document.querySelector('figure img').getBoundingClientRect().width"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "least"), [(390, 800), (1280, 1400)])
def test_full_size_and_back_by_the_same_button_or_by_escape(browser, tmp_path, width, least):
    save(tmp_path, "E2", laws=[law("a paper")], figures={"": lambda figure: figure.subplots()})
    page = browser.new_page(viewport={"width": width, "height": 844})
    page.goto(report.write_page(tmp_path).as_uri())
    fitted, button = page.evaluate(WIDE_AS), page.get_by_role("button")
    for back in ("Escape", "Enter"):
        button.focus()
        page.keyboard.press("Enter")
        assert page.evaluate(WIDE_AS) >= least
        assert page.get_by_role("button", name="Back to the page (figure of E2)").is_visible()
        page.evaluate("document.querySelector('figure').scrollTo(9999, 0)")
        edge = "document.querySelector('figure img').getBoundingClientRect().right <= innerWidth"
        assert page.evaluate(edge), "all of it can be seen"
        page.keyboard.press(back)
        assert page.evaluate(WIDE_AS) == fitted
        assert page.evaluate("document.activeElement.tagName") == "BUTTON"
        assert page.get_by_role("button", name="Full size (figure of E2)").is_visible()
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_panels_stand_one_below_the_other(browser, tmp_path, scheme):
    save(tmp_path, "E2", laws=[law("a paper")], figures={"": lambda figure: figure.subplots(1, 3)})
    shapes = {}
    for width in (390, 1280):
        page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
        page.goto(report.write_page(tmp_path).as_uri())
        image = page.locator("figure img")
        shown = image.bounding_box()
        shapes[width] = shown["height"] / shown["width"]
        assert shown["x"] >= 0
        assert shown["x"] + shown["width"] <= width
        assert not page.get_by_text("Swipe the picture sideways").is_visible()
        name = {390: "E2-narrow", 1280: "E2"}[width] + ("-dark" if scheme == "dark" else "") + ".png"
        used = base64.b64decode(image.evaluate("e => e.currentSrc").partition(",")[2])
        assert used == (tmp_path / name).read_bytes()
        page.close()
    assert shapes[390] > 2 > 1 > shapes[1280]


@pytest.mark.browser
@pytest.mark.parametrize("size", [(844, 390), (740, 360), (667, 375), (568, 320)])
def test_on_a_phone_held_sideways_a_picture_is_seen_whole(browser, tmp_path, size):
    draw = lambda figure: (figure.set_size_inches(7, 7), figure.subplots())
    save(tmp_path, "E2", laws=[law("a paper")], figures={"": draw})
    page = browser.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
    page.goto(report.write_page(tmp_path).as_uri())
    shown = page.locator("figure img").bounding_box()
    assert shown["height"] <= size[1]
    assert shown["height"] / shown["width"] == pytest.approx(1, abs=0.05), "not squeezed"
    page.get_by_role("button").click()
    assert page.locator("figure img").bounding_box()["height"] == 910, "full size is full size"
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [260, 288, 320])
def test_no_page_is_wider_than_a_small_window(browser, tmp_path, width):
    """Commands in the text wrap, tables scroll within themselves."""
    draw = lambda figure: figure.subplots().plot([1, 2], label="the gradient of a net with a long name")
    save(tmp_path, "digits", laws=[law("a paper", "ordering")], tables=[WIDE], figures={"": draw})
    page = browser.new_page(viewport={"width": width, "height": 640})
    page.goto(report.write_page(tmp_path).as_uri())
    assert page.get_by_text("tinyres flow digits --seeds 5").is_visible()
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


@pytest.mark.browser
def test_on_a_phone_the_name_of_a_law_stays_beside_its_numbers(browser, tmp_path):
    laws = [Law("tanh, s_w²=0.5: ln χ at the fixed point", -0.842, -0.8394, 0.0084, "exact", "another paper")]
    save(tmp_path, "E2", laws=laws)
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(report.write_page(tmp_path).as_uri())
    page.locator("summary").first.click()
    table, row = page.locator("details .scroll"), page.locator("details tbody tr").first
    assert "predicted" in page.locator("details th").nth(2).inner_text()
    box = row.locator("td").nth(1).bounding_box()
    assert box["x"] + box["width"] <= 390, "name, measured and predicted without a swipe"
    table.evaluate("e => e.scrollTo(e.scrollWidth, 0)")
    name, source = row.locator("th").bounding_box(), row.locator("td").last.bounding_box()
    assert name["x"] >= 0
    assert source["x"] + source["width"] <= 390
    page.close()
