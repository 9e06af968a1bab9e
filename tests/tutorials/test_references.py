"""The bibliography, and everything that cites it: docstrings, comments, tutorials and pages.

A citation reads `He et al. 2016 [he2016deep]`: authors, year, key. The key has an entry, and the words before it are
those of the entry: so a paper has one year everywhere.
"""

import importlib.util
import re
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from tests.each import for_each

ROOT = Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("references_of_the_site", ROOT / "tutorials" / "_references.py")
references = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(references)

ENTRIES = references.entries()
# Not converted yet: there a paper is named by authors and year alone. This list is to become empty.
WITHOUT_KEYS = ("tinyres/lab/", "tinyres/lab/report/", "tinyres/play/", "tests/play/")
OF_THEMSELVES = {"tests/tutorials/test_references.py", "tutorials/_references.py", "tutorials/references.md"}


def texts():
    """(name, text) of whatever may cite. In Markdown, code is an example of how to cite."""
    paths = [path for folder in ("tinyres", "kernels", "tests", "tutorials") for path in (ROOT / folder).rglob("*.*")]
    for path in [*paths, *ROOT.glob("*.md")]:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix in {".py", ".md", ".rst", ".cu", ".cuh"} and "node_modules" not in path.parts:
            text = path.read_text(encoding="utf-8")
            yield name, re.sub(r"`[^`\n]*`", "", text) if path.suffix == ".md" else text


FILES = {name: text for name, text in texts() if name not in OF_THEMSELVES}
CITING = {name: text for name, text in FILES.items() if not name.startswith(WITHOUT_KEYS)}

KEY = re.compile(r"\[([a-z]+(?:19|20)\d\d[a-z]+)\]")
TITLED = re.compile(r'\[([a-z]+\d{4}[a-z]+)\],\s+(?:# )?"([^"]+)"')
NUMBERED = re.compile(r"\[([a-z]+\d{4}[a-z]+)\], arXiv:([\d.]+)")
MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
NAME = rf"(?!{MONTHS}|Before\b){references.NAME}"
OTHERS = rf"(?:,?{references.SPACE}(?:&|and){references.SPACE}{NAME}|{references.SPACE}et{references.SPACE}al\.)"
WITHOUT_KEY = re.compile(
    rf"(?<![\w`]){NAME}(?:,{references.SPACE}{NAME})*{OTHERS}?,?{references.SPACE}\(?(?:19[3-9]|20[0-2])\d\b"
    rf"(?!{references.SPACE}\\?\[[a-z]+\d{{4}}[a-z]+\\?\])"
)
SMALL = {"a", "an", "on", "the"}
VENUES = {
    "article": {"journal", "volume", "pages"},
    "book": {"publisher"},
    "incollection": {"booktitle", "publisher"},
    "inproceedings": {"booktitle"},
    "techreport": {"institution"},
}


def plain(text):
    return " ".join(re.sub(r"[{}]", "", text).split())


def ascii_of(text):
    text = text.replace("ø", "o").replace("ł", "l").replace("ı", "i")
    return "".join(c for c in unicodedata.normalize("NFD", text.lower()) if "a" <= c <= "z")


def surnames(entry):
    return [plain(author).split(",")[0] for author in entry["author"].split(" and ")]


def label_of(key):
    return references.label(surnames(ENTRIES[key]), ENTRIES[key]["year"])


def titles(entry):
    """As it may be quoted: in full, as far as the colon, or by the other name that it is known by."""
    title = plain(entry["title"])
    return {form.casefold() for form in (title, title.split(": ")[0], entry.get("shorttitle", title))}


def found(pattern):
    """(file, match) of all files that cite by key."""
    return [(name, match) for name, text in CITING.items() for match in pattern.finditer(text)]


def test_the_file_is_read_in_full_and_in_order():
    text = references.BIBLIOGRAPHY.read_text(encoding="utf-8")
    assert len(re.findall("^@", text, re.MULTILINE)) == len(ENTRIES)  # none is passed over, no key stands twice
    assert len(re.findall(r"^  \w+ = ", text, re.MULTILINE)) == sum(len(entry) - 1 for entry in ENTRIES.values())
    assert list(ENTRIES) == sorted(ENTRIES)


@for_each("key", ENTRIES)
def test_an_entry_is_complete_and_its_key_follows_from_it(key):
    entry = ENTRIES[key]
    assert {"author", "title", "year"} <= set(entry)
    if entry["type"] == "misc":
        assert {"eprint", "howpublished"} & set(entry), "where can it be found?"
    else:
        assert VENUES[entry["type"]] <= set(entry)
    assert re.fullmatch(r"(19|20)\d\d", entry["year"])
    assert re.fullmatch(r"\d{4}\.\d{4,5}", entry.get("eprint", "0000.0000"))
    assert ("eprint" in entry) == (entry.get("archiveprefix") == "arXiv")
    words = [ascii_of(word) for word in re.split(r"[\s-]+", plain(entry["title"]))]
    first = next(word for word in words if word not in SMALL)
    assert key == ascii_of(surnames(entry)[0]) + entry["year"] + first


@pytest.mark.parametrize("field", ["title", "eprint"])
def test_no_paper_has_two_entries(field):
    counts = Counter(ascii_of(entry[field]) or entry[field] for entry in ENTRIES.values() if field in entry)
    assert [what for what, n in counts.items() if n > 1] == []


def test_every_key_has_an_entry():
    everywhere = [(name, match[1]) for name, text in FILES.items() for match in KEY.finditer(text)]
    assert len(everywhere) > 150  # so they are found at all
    assert [(name, key) for name, key in everywhere if key not in ENTRIES] == []


def test_every_entry_is_cited():
    def named(key):
        return rf"\b{surnames(ENTRIES[key])[0]}\b[^.;\"]*\b(19|20)\d\d\b"

    keys = {key for text in FILES.values() for key in KEY.findall(text)}
    others = " ".join(text for name, text in FILES.items() if name.startswith(WITHOUT_KEYS))
    assert [key for key in ENTRIES if key not in keys and not re.search(named(key), others)] == []


def test_before_a_key_stand_the_authors_and_the_year_of_its_entry():
    cited = found(references.CITED)
    said = [(name, " ".join(re.sub(r"\s# ", " ", f"{m[1]} {m[2]}").split()), m[3]) for name, m in cited]
    assert len(said) == len(found(KEY))  # no key stands alone
    assert [(name, words, key) for name, words, key in said if key in ENTRIES and words != label_of(key)] == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("as He et al. 2015 say", "He et al. 2015"),
        ("De & Smith (2020) call it", "De & Smith (2020"),
        ("(Veit, Wilber & Belongie 2016)", "Veit, Wilber & Belongie 2016"),
        ("# (Hanin & Nica\n# 2018)", "Hanin & Nica\n# 2018"),
        ("Heusel 2017; others", "Heusel 2017"),
        ("De & Smith 2020 [de2020batch]", None),
        ("# De & Smith\n# 2020\n# [de2020batch]", None),
        ("on 20 November 2026 with PyTorch 2.13", None),
        ("Before 2010: sigmoid nets", None),
        ("`Hanin 2018`", None),
    ],
)
def test_a_paper_without_a_key_is_seen(text, seen):
    match = WITHOUT_KEY.search(text)
    assert (match and match[0]) == seen


def test_no_paper_is_named_without_its_key():
    assert [(name, match[0]) for name, match in found(WITHOUT_KEY)] == []


def test_titles_and_numbers_are_those_of_the_entry():
    quoted = [(name, m[1], " ".join(re.sub(r"\s# ", " ", m[2]).split()).casefold()) for name, m in found(TITLED)]
    assert len(quoted) > 50
    assert [
        (name, key, title) for name, key, title in quoted if key in ENTRIES and title not in titles(ENTRIES[key])
    ] == []
    numbers = [(name, m[1], m[2]) for name, m in found(NUMBERED)]
    assert [(name, key, n) for name, key, n in numbers if key in ENTRIES and n != ENTRIES[key].get("eprint")] == []


@pytest.mark.parametrize(
    ("authors", "label"),
    [
        (["Hanin"], "Hanin 2018"),
        (["De", "Smith"], "De & Smith 2018"),
        (["Veit", "Wilber", "Belongie"], "Veit et al. 2018"),
    ],
)
def test_labels(authors, label):
    assert references.label(authors, "2018") == label


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("see He et al. 2016 [he2016deep], table 6", "see :cite:label:`he2016deep`, table 6"),
        ("(Hanin 2018 [hanin2018which])", "(:cite:label:`hanin2018which`)"),
        ("Bińkowski et\n    al. 2018\n    [binkowski2018demystifying]", ":cite:label:`binkowski2018demystifying`"),
        ("(De\n# & Smith 2020\n# [de2020batch])", "(:cite:label:`de2020batch`)"),
        (r"*(He et al. 2016 \[he2016deep\])*", "*(:cite:label:`he2016deep`)*"),
        ("`He et al. 2016 [he2016deep]`", "`He et al. 2016 [he2016deep]`"),
        ("x[he2016deep] in 2016 [12]", "x[he2016deep] in 2016 [12]"),
    ],
)
def test_a_citation_becomes_a_link(text, made):
    assert references.linked(text) == made


class App:
    """As much of Sphinx as `fill` asks for."""

    def __init__(self, suffix):
        self.env, self.suffix = self, suffix

    def doc2path(self, docname):
        return docname + self.suffix


@pytest.mark.parametrize(
    ("suffix", "text", "made"),
    [
        (".md", "He et al. 2016 [he2016deep]\n", "{cite:label}`he2016deep`\n"),
        (
            ".py",
            "# %% [markdown]\n# by He et al. 2016 [he2016deep]\n\n# %%\nx = 1  # Hanin 2018 [hanin2018which]\n",
            "# %% [markdown]\n# by {cite:label}`he2016deep`\n\n# %%\nx = 1  # Hanin 2018 [hanin2018which]\n",
        ),
        (".rst", "He et al. 2016 [he2016deep]\n", "He et al. 2016 [he2016deep]\n"),
    ],
)
def test_pages_and_the_text_of_tutorials_are_filled_and_code_is_not(suffix, text, made):
    content = [text]
    references.fill(App(suffix), "page", content)
    assert content == [made]
