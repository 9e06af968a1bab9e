"""What the failing cases have in common that the passing ones have not: where to look first."""

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from tinyres_kernels.conformance.declare import Case
from tinyres_kernels.conformance.examine import RIGHT, Finding

SHOWN = 4  # traits; a longer list hints at nothing
LEAST = 3  # passing cases without the trait: fewer may lack it by chance
TILES = (2, 4, 8, 16, 32, 64)


def hints(findings: Sequence[Finding]) -> list[str]:
    """Sentences about the failing cases among these, the named and the drawn ones."""
    usual = [finding for finding in findings if not finding.case.refused]
    failing = [finding for finding in usual if not finding.ok]
    # A kernel does nothing wrong where there is nothing to do, and that sets no failing case apart.
    passing = [f for f in usual if f.ok and all(prod(f.case.shape(a)) for a in f.case.writes)]
    if not failing:
        return []
    if not passing:
        return ["no case passes at all: begin with the plain one"]
    return [*_traits(failing, passing), *_tails(failing, passing), *_places(failing)]


def _having(case: Case) -> dict[str, bool]:
    """The traits that a case may have, and whether it has them."""
    return {
        **{name: holds(case.structure) for name, holds in case.op.family.traits.items()},
        "a NaN or an infinity among the inputs": case.put is not None,
        "read-only inputs": case.readonly,
        "numbers that are large beside their spread": case.shift is not None,
        "inputs that are views": bool(case.lies),
        "a call before": case.again,
        "dtype float32": case.dtype == "float32",
        "dtype float64": case.dtype == "float64",
    }


def _traits(failing: list[Finding], passing: list[Finding]) -> list[str]:
    """What all failing cases have and some passing ones have not; what fewer passing ones have comes first."""
    bad, good = [_having(finding.case) for finding in failing], [_having(finding.case) for finding in passing]
    shared = []
    for name in bad[0]:
        with_it = sum(having[name] for having in good)
        # What most passing cases have as well says nothing.
        if all(having[name] for having in bad) and len(good) - with_it >= LEAST and 2 * with_it <= len(good):
            also = {0: "and none that passes", 1: "as does one that passes"}.get(with_it, f"as do {with_it} that pass")
            shared.append((with_it, f"every failing case has {name}, {also}"))
    return [text for _, text in sorted(shared)[:SHOWN]]


def _tails(failing: list[Finding], passing: list[Finding]) -> Iterator[str]:
    """The smallest tile, if there is one, whose tail in a result goes with failing.

    A few cases may pass with a tail: where the terms are padding, a kernel that leaves it out is right by chance.
    """
    bad, every = [_sizes(finding.case) for finding in failing], [_sizes(finding.case) for finding in passing]
    for key in (key for key in bad[0] if all(key in sizes for sizes in bad)):
        good = [sizes for sizes in every if key in sizes]  # a result may be left out, and arrays may have any rank
        for tile in TILES:
            tails = sum(sizes[key] % tile > 0 for sizes in good)
            if all(sizes[key] % tile for sizes in bad) and 10 * tails <= len(good):
                if len(good) - tails >= LEAST:
                    also = f"in {tails} of {len(good)} that pass" if tails else "in none that passes"
                    yield f"{key} is no multiple of {tile} in every failing case, and {also}"
                break


def _sizes(case: Case) -> dict[str, int]:
    return {f"{axis} of {arg.name}": size for arg in case.writes for axis, size in case.axes(arg).items()}


def _places(failing: list[Finding]) -> Iterator[str]:
    """Where along each axis the wrong elements lie, over all failing cases at once."""
    seen: dict[
        tuple[str, str], list[tuple[int, int, np.ndarray]]
    ] = {}  # result, axis: its size, a group's, wrong places
    alone = set()  # with a size of 1 in some failing case: its only element, the first, is wrong there
    for finding in failing:
        case = finding.case
        for arg in case.writes:
            if arg.name not in finding.marks:
                continue
            for i, (axis, size) in enumerate(case.axes(arg).items()):
                if size == 1:
                    alone.add((arg.name, axis))
                else:
                    places = (finding.marks[arg.name] != RIGHT).nonzero()[i]
                    groups = case.structure.get("groups", 1) if axis in case.op.family.grouped else 1
                    seen.setdefault((arg.name, axis), []).append((size, size // groups, places))
    for (name, axis), found in seen.items():
        least = min(places.min() for _, _, places in found)
        if all((places == size - 1).all() for size, _, places in found):
            yield f"all wrong elements of {name} lie at the last {axis}"
        elif all((places == 0).all() for _, _, places in found):
            yield f"all wrong elements of {name} lie at {axis}=0"
        elif all(((places == 0) | (places == size - 1)).all() for size, _, places in found) and any(
            size > 2 for size, _, _ in found
        ):
            yield f"all wrong elements of {name} lie at the first or the last {axis}"
        elif least > 0 and (name, axis) not in alone:
            yield f"no element of {name} with {axis} < {least} is ever wrong"
        divided = [(block, places) for size, block, places in found if block < size]
        if divided and len(divided) == len(found) and all((places >= block).all() for block, places in divided):
            yield f"all wrong elements of {name} belong to groups after the first"
