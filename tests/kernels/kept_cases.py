"""The cases of every plan, searched for once and kept on disk: the search takes half a minute, and finds the same again
for as long as the kernels' sources and the machine's registers are the same.
"""

import ast
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from numba import config
from tinyres_kernels.conformance import plans
from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.plan_search import Found, explained
from tinyres_kernels.cpu.host import TARGET

from tests.kernels.cuda.once import KERNELS, kept, stamp, within_run

FOLDER = Path(config.CACHE_DIR or KERNELS / "cpu" / "__pycache__")


@cache
def sources() -> str:
    return stamp(KERNELS)


def kept_cases(tmp_path_factory, op: str, dtype: str) -> list[Found]:
    """What `plans.suite` finds for an operation; within a run, one worker of pytest searches, and the others wait."""
    name = "_".join(map(str, ("plans", op, dtype, *TARGET)))

    def search() -> str:
        return lines(plans.suite(ops=[op], dtypes=[dtype]))

    text = within_run(tmp_path_factory, name, lambda: kept(FOLDER, name, sources(), search))
    found = read(text, op, dtype)
    return list(plans.suite(ops=[op], dtypes=[dtype])) if found is None else found


def lines(cases: Iterable[Found]) -> str:
    """A case a line: what it was searched for, and the plan that was found."""
    told = ((found.case.title, found.case.structure, *found[2:], str(found.plan)) for found in cases)
    return "\n".join(map(repr, told))


def read(text: str, op: str, dtype: str) -> list[Found] | None:
    """The cases, each with the plan that is made of it now; None where that is another than was kept."""
    cases = []
    for line in text.splitlines():
        title, structure, why, limits, threads, before = ast.literal_eval(line)
        case = Case(OPS[op], title, structure, dtype)
        plan = explained(case, limits, threads)
        if str(plan) != before:
            return None
        cases.append(Found(case, plan, why, limits, threads))
    return cases
