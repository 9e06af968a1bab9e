"""Damaged inputs for every reader: `python -m tests.readers.mutated --count 10000`.

Each has to give an error in one sentence that names the file, or what the file says; none may take 200 MB.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from tests.readers.mutate import mutated
from tests.readers.pages import pages
from tests.readers.table import Reader, readers

MEMORY = 200  # MB
PATIENCE = 20.0  # seconds


def peak() -> float:
    """MB that this process has had at most."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # what the kernel counts in
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def tried(reader: Reader, content: bytes, folder: Path) -> tuple[str, str]:
    """("refused", "accepted" or "FAULT", and in what words)."""
    path = folder / reader.name
    path.write_bytes(content)
    began = time.monotonic()
    try:
        reader.read(path)
    except Exception as error:
        said = str(error)
        if not isinstance(error, reader.refusals):
            return "FAULT", f"{type(error).__name__}: {said[:300]}"
        if str(path) not in said or "\n" in said:
            return "FAULT", f"no sentence that names the file: {said[:300]!r}"
        outcome = "refused", said
    else:
        outcome = "accepted", ""
    if time.monotonic() - began > PATIENCE:
        return "FAULT", f"it took {time.monotonic() - began:.0f} seconds"
    return outcome


def campaign(
    count: int, seed: int, only: str = "", keep: Path | None = None, besides: Mapping[str, Reader] | None = None
) -> tuple[dict[str, Counter[str]], list[str]]:
    """What each reader made of its share of `count` inputs, and all faults."""
    found: dict[str, Counter[str]] = {}
    faults: list[str] = []
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = {**readers(Path(made)), **(besides or {})}
        names = [name for name in table if only in name]
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                first = tried(table[name], table[name].whole, Path(folder))
            if first[0] != "accepted" and name != "--data":
                faults.append(f"{name}: its own input is {first}")
        before = peak()
        for k in range(count):
            name = names[k % len(names)]
            content = mutated(table[name].whole, random.Random(f"{seed} {k}"))
            with tempfile.TemporaryDirectory() as folder:
                outcome, said = tried(table[name], content, Path(folder))
            if peak() - before > MEMORY:
                outcome, said, before = "FAULT", f"it took {peak() - before:.0f} MB", peak()
            found.setdefault(name, Counter())[outcome] += 1
            if outcome == "FAULT":
                faults.append(f"{name}, seed {seed}, input {k}: {said}")
                if keep is not None:
                    (keep / f"{k}").write_bytes(content)
    return found, faults


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.readers.mutated", description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="inputs in all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", metavar="WORD", help="readers that have it in their name")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where inputs that show a fault are kept")
    parser.add_argument("--browser", action="store_true", help="documents in the viewer's page, too")
    arguments = parser.parse_args()
    if not arguments.browser:  # which reserves more than that
        resource.setrlimit(resource.RLIMIT_DATA, (2**33, 2**33))  # what asks for more is seen, and the machine lives on
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with pages() if arguments.browser else nullcontext() as besides:
        found, faults = campaign(arguments.count, arguments.seed, arguments.only, arguments.keep, besides)
    for name, outcomes in found.items():
        print(f"{name:24}", ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())))
    print(*faults, sep="\n")
    print(f"{arguments.count} inputs, {len(faults)} faults, {time.monotonic() - began:.0f} s, at most {peak():.0f} MB")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
