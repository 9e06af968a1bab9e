"""The page of plans: which way each kernel goes, from which size on, and how many tests run it."""

from collections import Counter

from tinyres_kernels.conformance import plans
from tinyres_kernels.conformance.plan_search import cost, empty
from tinyres_kernels.conformance.report import call
from tinyres_kernels.cpu.choices import LIMITS


def fill(app, docname, content):
    """Sphinx's `source-read`: the tables go below the page's own words."""
    if docname == "plans":
        app.env.note_reread()
        content[0] = "\n\n".join([content[0], _limits(), *map(_plans, plans.OPS)]) + "\n"


def _limits():
    rows = [f"| `{name}` | {limit.value:,.0f} | {limit.why} |" for name, limit in LIMITS.items()]
    return "\n".join(["## The limits", "", "| limit | value | what it is |", "|---|---:|---|", *rows])


def _plans(op):
    """A table that unfolds: a row for each plan of an operation."""
    counted, cheapest = Counter(), {}
    for dtype in ("float32", "float64"):
        for found in plans.suite(ops=[op], dtypes=[dtype]):
            for name in found.plan.names:
                counted[name, dtype] += 1
                known = cheapest.get(name)
                if not known or (empty(found.case), cost(found.case)) < (empty(known), cost(known)):
                    cheapest[name] = found.case
    rows = [
        f"<tr><td>{name}</td><td>{call(case)}</td><td>{counted[name, 'float32'] or '-'}</td>"
        f"<td>{counted[name, 'float64'] or '-'}</td></tr>"
        for name, case in sorted(cheapest.items())
    ]
    head = "<tr><th>plan</th><th>the smallest case</th><th>float32</th><th>float64</th></tr>"
    title = f"<summary><code>{op}</code>: {len(rows)} plan{'s' if len(rows) > 1 else ''}</summary>"
    return f"<details{' open' if len(rows) < 10 else ''}>{title}<table>{head}{''.join(rows)}</table></details>"
