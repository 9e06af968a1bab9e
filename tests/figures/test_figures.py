"""What all figures share: colours that can be told apart, and a dark form of each."""

import colorsys
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import Rectangle

import tinyres as tr
from tinyres import flow, nn
from tinyres.figures import blank, darken, pair, palette
from tinyres.figures.dark import INK, PAPER
from tinyres.lab.report import pictures

MEANT = (palette.RESIDUAL, palette.PLAIN, palette.SKIP, palette.BRANCH, palette.D, palette.G)
# Linear RGB as people without one kind of cone see it: Vienot, Brettel and Mollon, 'Digital video colourmaps', 1999.
PROTAN = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
DEUTAN = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])


def linear(colour):
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("eye", [np.eye(3), PROTAN, DEUTAN], ids=["all cones", "protanopia", "deuteranopia"])
def test_the_six_colours_can_be_told_apart_by_all(eye):
    def lab(colour):  # CIE L*a*b*
        xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        x, y, z = np.cbrt(np.maximum(xyz @ np.clip(eye @ linear(colour), 0, 1) / [0.9505, 1, 1.089], 1e-6))
        return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])

    distances = {pair: np.linalg.norm(lab(pair[0]) - lab(pair[1])) for pair in combinations(MEANT, 2)}
    assert min(distances.values()) > 9, min(distances, key=distances.get)


def test_no_case_has_a_colour_that_means_something():
    assert not {*palette.CASES, *palette.LOSSES.values(), palette.FAINT, palette.BAD} & set(MEANT)
    assert palette.colour_of("plain", 3) == palette.PLAIN
    assert palette.colour_of("mine", 1) == palette.CASES[1]


def test_shades_darken_to_the_colour_itself():
    shades = [palette.shade(palette.PLAIN, k, 3) for k in range(3)]
    assert shades[-1].lower() == palette.PLAIN.lower()
    lightness = [colorsys.rgb_to_hls(*to_rgb(shade))[1] for shade in shades]
    assert lightness == sorted(lightness, reverse=True)
    assert palette.shade(palette.PLAIN, 0, 1).lower() == palette.PLAIN.lower()


def contrast(a, b):
    light, dark = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (a, b))[::-1]
    return (light + 0.05) / (dark + 0.05)


def test_a_dark_figure_has_light_ink_and_nothing_is_lost():
    figure = blank((4, 3))
    axes = figure.subplots()
    (black,) = axes.plot([0, 1], [0, 1], "k-", label="one")
    (indigo,) = axes.plot([0, 1], [1, 0], "o", color=palette.CASES[0], mfc="none", label="two")
    (orange,) = axes.plot([0, 1], [1, 1], color=palette.BRANCH)
    band = axes.fill_between([0, 1], [0, 1], color="0.9", alpha=0.5)
    legend = axes.legend(edgecolor="none", framealpha=0.85)
    axes.set(title="title", xlabel="x")
    darken(figure)
    assert figure.get_facecolor()[:3] == pytest.approx(to_rgb(PAPER))
    assert black.get_color()[:3] == pytest.approx(INK)
    assert orange.get_color()[:3] == pytest.approx(to_rgb(palette.BRANCH))
    assert indigo.get_markerfacecolor() == "none"
    for shown in (black.get_color(), indigo.get_color(), orange.get_color(), axes.title.get_color()):
        assert contrast(shown[:3], PAPER) > 4.5
    for tick in axes.xaxis.get_ticklabels():
        assert contrast(to_rgb(tick.get_color()), PAPER) > 4.5
    assert band.get_facecolor()[0][3] == pytest.approx(0.5)
    assert legend.get_frame().get_edgecolor()[3] == 0
    assert contrast(legend.get_frame().get_facecolor()[:3], PAPER) == pytest.approx(1)


def test_what_lies_on_an_image_keeps_its_colours():
    figure = blank((3, 3))
    axes = figure.subplots()
    axes.imshow([[0.0, 1.0]])
    text, patch = axes.text(0, 0, "1", color="k"), axes.add_patch(Rectangle((0, 0), 1, 1, color="k"))
    darken(figure)
    assert text.get_color() == "k"
    assert patch.get_facecolor()[:3] == pytest.approx(INK)


def test_white_between_two_colours_becomes_paper():
    from matplotlib.colors import LinearSegmentedColormap

    figure = blank((5, 3))
    left, right = figure.subplots(1, 2)
    between = LinearSegmentedColormap.from_list("between", [palette.BRANCH, "white", palette.SKIP])
    shown, written = (axes.imshow([[0.0, 0.5, 1.0]], cmap=between) for axes in (left, right))
    right.text(0, 0, "0.5")
    darken(figure)
    for end in (0.0, 1.0):
        assert shown.cmap(end) == between(end)
    assert shown.cmap(0.5)[:3] == pytest.approx(to_rgb(PAPER), abs=0.02)
    assert min(written.cmap(0.5)[:3]) > 0.9, "under black numbers it stays"
    norms = left.imshow([[0.0, 1.0]], cmap=palette.norms())
    darken(figure)
    assert norms.cmap(0.5) == palette.norms()(0.5)


def test_a_picture_is_saved_in_both_forms(tmp_path):
    import matplotlib

    path = pictures.save_picture(lambda figure: figure.subplots().plot([0, 1], [0, 1], "C0"), tmp_path / "one.png")
    light, dark = (matplotlib.image.imread(p) for p in (path, pictures.dark_name(path)))
    assert dark.shape == light.shape
    assert light.mean() > 0.8
    assert dark.mean() < 0.4
    assert (light[..., :3] == np.array(to_rgb(palette.CASES[0]), "f")).all(axis=-1).any()


def test_norms_have_the_colours_and_the_order_of_the_run_s_page():
    """flow.png and run.html show the same map."""
    source = (Path(palette.__file__).parents[1] / "viewer" / "web" / "src" / "palette.ts").read_text()
    stops = re.search(r"STOPS: Colour\[\] = \[(.*?)\];", source, re.DOTALL)[1]
    colours = [tuple(map(int, found)) for found in re.findall(r"\[(\d+), (\d+), (\d+)\]", stops)]
    assert [tuple(int(c[k : k + 2], 16) for k in (1, 3, 5)) for c in palette.NORMS] == colours
    assert to_hex(palette.norms()(0.0)) == palette.NORMS[0]
    assert to_hex(palette.norms()(1.0)) == palette.NORMS[-1]
    net = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=1))
    recording = flow.record(net)
    for _ in range(2):
        with recording:
            net(tr.tensor(np.ones((1, 2), "f4"))).sum().backward()
    heat = next(a for a in recording.history().plot().axes if a.get_title() == "the gradient over the steps")
    (image,) = heat.get_images()
    first = recording.history()["backward_norm"][0]
    np.testing.assert_allclose(image.get_array()[:, 0], np.log10(first))
    assert image.origin == "upper"
    assert heat.get_ylim()[0] > heat.get_ylim()[1], "block 1 stands on top"


def test_both_forms_of_a_figure_are_laid_out_once_and_each_is_drawn_once(monkeypatch):
    figure, times, draws = blank((4, 3), "constrained"), [], []
    figure.subplots().plot([0, 1])
    engine = figure.get_layout_engine()
    execute, draw = engine.execute, type(figure).draw
    engine.execute = lambda figure: times.append(1) or execute(figure)
    monkeypatch.setattr(type(figure), "draw", lambda self, renderer: draws.append(1) or draw(self, renderer))
    pair(figure)
    assert len(times) == 1, "it takes as long as to draw"
    assert len(draws) == 2, "one for each form"
