"""The page of reports in a browser: on small and large screens, by keyboard, at the edges of tables."""

import base64
import io

import pytest

from tests.lab.reported import WIDE, law, save
from tinyres.lab import report
from tinyres.lab.registry import Law


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
