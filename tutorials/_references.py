"""Citations: `He et al. 2016 [he2016deep]` in a docstring or a tutorial becomes a link to the page of references.

The key in brackets names an entry of references.bib. The words before it say the same to whoever reads plain text.
"""

import re
from pathlib import Path

BIBLIOGRAPHY = Path(__file__).parent / "references.bib"
ENTRY = re.compile(r"^@(\w+)\{(\S+),\n(.*?)\n\}$", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"^  (\w+) = \{(.*)\},$", re.MULTILINE)
NAME = r"[A-Z][\w'-]+"
SPACE = r"\s+(?:# )?"  # in a tutorial a line begins with a comment's sign
CITED = re.compile(
    rf"(?<![\w`])({NAME}(?:{SPACE}&{SPACE}{NAME}|{SPACE}et{SPACE}al\.)?){SPACE}((?:19|20)\d\d){SPACE}\\?\[([a-z]+\d{{4}}[a-z]+)\\?\]"
)
CELL = re.compile(r"^# %% \[markdown\]\n(?:#.*\n)+", re.MULTILINE)


def entries():
    """The bibliography: key -> fields, as they are written; `type` is one of them."""
    text = BIBLIOGRAPHY.read_text(encoding="utf-8")
    return {key: {"type": kind} | dict(FIELD.findall(fields)) for kind, key, fields in ENTRY.findall(text)}


def label(authors, year):
    """How a text names a paper: Hanin 2018; De & Smith 2020; He et al. 2016."""
    first, *others = authors
    return f"{first}{' et al.' if len(others) > 1 else f' & {others[0]}' if others else ''} {year}"


def linked(text, role=":cite:label:"):
    """The text with a role of Sphinx in the place of each citation."""
    return CITED.sub(rf"{role}`\3`", text)


def fill(app, docname, content):
    """Sphinx's `source-read`: in Markdown pages, and in the text of the tutorials."""
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        content[0] = linked(content[0], "{cite:label}")
    elif page.suffix == ".py":
        content[0] = CELL.sub(lambda cell: linked(cell[0], "{cite:label}"), content[0])


def setup(app):
    """Show the entries as `He et al. 2016a`, sorted by author."""
    from pybtex.plugin import register_plugin
    from pybtex.style.formatting.unsrt import Style
    from pybtex.style.labels.alpha import LabelStyle

    class AuthorYear(LabelStyle):
        """Two papers of one label get a letter each; that is the base's."""

        def format_label(self, entry):
            authors = [" ".join([*person.prelast_names, *person.last_names]) for person in entry.persons["author"]]
            return label(authors, entry.fields["year"])

    class References(Style):
        default_label_style = "author_year"
        default_sorting_style = "author_year_title"

    register_plugin("pybtex.style.labels", "author_year", AuthorYear)
    register_plugin("pybtex.style.formatting", "references", References)
    app.connect("source-read", fill)
