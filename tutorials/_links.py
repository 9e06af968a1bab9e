"""Where a tutorial's text names another by its number, its page gets a link: (06), as in 01, tutorial 13."""

import re
from pathlib import Path

FILES = {path.name[:2]: path.name for path in Path(__file__).parent.glob("[0-9][0-9]_*.py")}
TEXT = re.compile(r"^# %% \[markdown\]\n((?:#(?! ```).*\n)+)", re.MULTILINE)  # of a cell, as far as its code
NAMED = re.compile(
    r"""(?<![\w.,:/`$^{"-])(?<!\#\ \#\ )0[1-9](?!\.?\w)  # only tutorials have a zero in front; not in a heading
    | (?<=\()1[0-6](?=[),:])
    | (?<=[Tt]utorial\ )1[0-6]\b""",
    re.VERBOSE,
)


def fill(app, docname, content):
    """Sphinx's `source-read`."""
    if f"{docname}.py" in FILES.values():
        content[0] = TEXT.sub(lambda cell: NAMED.sub(lambda name: _linked(name[0], docname), cell[0]), content[0])


def _linked(number, docname):
    elsewhere = number in FILES and not docname.startswith(number)
    return f"[{number}]({FILES[number]})" if elsewhere else number
