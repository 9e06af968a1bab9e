"""The planted faults, all of them or those asked for: does the ordinary suite notice, without PyTorch?

    python -m tests.mutations [NAME ...]

NAME is a family (ops, nn, optim, gan, flow, stream, kernels) or a part of a fault's name. Without one, all families run
but `kernels`, whose faults take a minute or two each.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.mutations.faults import BY_NAME, FAMILIES, VERDICT, Fault, faults
from tests.mutations.run import Found, judge, unsound

WIDEST = 120  # of what an assertion says first


def chosen(names: list[str]) -> list[Fault]:
    """The faults that are asked for. Raises SystemExit where a name is none."""
    if not names:
        return faults(*FAMILIES)
    known = faults(*FAMILIES, *BY_NAME)
    for name in names:
        if not any(name == fault.family or name in fault.name for fault in known):
            raise SystemExit(f"no family or fault called {name!r}; families are {', '.join((*FAMILIES, *BY_NAME))}")
    return [fault for fault in known if any(name == fault.family or name in fault.name for name in names)]


def table(found: dict[Fault, Found]) -> Table:
    """A row for each fault."""
    rows = Table("fault", "noticed by", "how", "seconds", title="Planted faults", show_lines=True)
    for fault, what in found.items():
        test = escape(what.test.replace(VERDICT, "flow").removeprefix("tests/"))
        by = test if what.verdict == "noticed" else f"[bold red]{what.verdict}[/] {test}"
        rows.add_row(f"{fault.family}: {escape(fault.name)}", by, escape(what.how[:WIDEST]), f"{what.seconds:.0f}")
    return rows


def main(names: list[str]) -> int:
    asked, start = chosen(names), time.perf_counter()
    console = Console(width=None if sys.stdout.isatty() else 200)
    tests = {test for fault in asked for test in fault.tests}
    console.print(f"{len(tests)} tests without a fault, which must pass ...", highlight=False)
    bad = unsound(tests)
    found: dict[Fault, Found] = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
        waiting = {}
        for fault in asked:
            wrong = next((f"{test} {bad[test]}" for test in fault.tests if test in bad), None)
            if wrong:
                found[fault] = Found("broken", "", wrong, 0.0)
            else:
                waiting[pool.submit(judge, fault)] = fault
        for done in as_completed(waiting):
            fault = waiting[done]
            found[fault] = what = done.result()
            line = f"[{len(found)}/{len(asked)}] {fault.family}: {fault.name}: {what.verdict} ({what.seconds:.0f} s)"
            console.print(escape(line), highlight=False, soft_wrap=True)
    console.print(table({fault: found[fault] for fault in asked}))
    noticed = sum(what.verdict == "noticed" for what in found.values())
    seconds = time.perf_counter() - start
    console.print(f"{noticed} of {len(asked)} noticed, in {seconds:.0f} s on {os.cpu_count()} cores", highlight=False)
    return 0 if noticed == len(asked) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser("python -m tests.mutations", description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="a family, or a part of a fault's name (default: every family but those that compile all "
                        f"kernels anew, a minute or two for each fault: {', '.join(BY_NAME)}); "
                        f"families are {', '.join((*FAMILIES, *BY_NAME))}")  # fmt: skip
    sys.exit(main(parser.parse_args().names))
