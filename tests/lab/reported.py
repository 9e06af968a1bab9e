"""Results as the tests of reports have them."""

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


def law(source, kind="exact"):
    return Law("one", 1.0, 1.0, 0.1, kind, source)
