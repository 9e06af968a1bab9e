"""Formulas as MathML, made while the site is built: pages need no script and no network to show them."""

import re

from docutils import nodes
from latex2mathml.converter import convert

NAMED = re.compile(r"(\\(?:tanh|sin|cos|arccos|exp|log|ln|max|min))(?=\s+\w)")  # names that TeX sets apart: tanh u


def setup(app):
    """Announce the renderer that `html_math_renderer` names."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


def _inline(self, node):
    self.body.append(_made(node, "inline"))
    raise nodes.SkipNode


def _block(self, node):
    self.body.append(f'<div class="math">{_made(node, "block")}</div>\n')
    raise nodes.SkipNode


def _made(node, display):
    made = convert(NAMED.sub(r"\1\,", node.astext().strip()), display=display)
    if "\\" in made:  # a command that the converter does not know is passed on as it is
        raise ValueError(f"formula {node.astext()!r}: a command in it is not known to latex2mathml")
    return made
