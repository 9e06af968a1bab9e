"""The table of PyTorch's names that are left out, on the page for those who come from PyTorch: from the code's own."""

from tinyres.refusals import absent

PLACE = "<!-- what is left out -->"


def fill(app, docname, content):
    """Sphinx's `source-read`: the table stands where the page has its place."""
    if docname == "coming_from_pytorch":
        content[0] = content[0].replace(PLACE, table())


def table():
    """A row for each reason, with the names that it is the reason for."""
    rows = [f"| {_names(kind)} | {_escaped(why)} |" for kind, why in absent.NEAR.items()]
    return "\n".join(["| names | why, and what is near |", "|---|---|", *rows])


def _names(kind):
    names = [name for name in absent.NAMES if absent.kind_of(name) == kind]
    endings = {"3d": ["Conv3d", "max_pool3d", "..."], "in place": ["add_", "zero_", "..."]}
    return ", ".join(f"`{name}`" if name != "..." else name for name in names + endings.get(kind, []))


def _escaped(text):
    return text.replace("|", r"\|").replace("*", r"\*").replace("_", r"\_")
