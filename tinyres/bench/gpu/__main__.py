"""A part of the report, or a staged run; from a checkout that is not installed, too:

PYTHONPATH=.:kernels python -m tinyres.bench.gpu run A B C --out DIR      stages, each with its limit
PYTHONPATH=.:kernels python -m tinyres.bench.gpu PART DIR                 one part, its rows added to those in DIR
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tinyres.bench.gpu import parts
from tinyres.bench.gpu.parts import ALL, PARTS, STAGES


def main(*words: str) -> int:
    """Returns the exit status: 3 where a smoke check failed, so that no later part was begun."""
    return stages(words[1:]) if words[:1] == ("run",) else one(*words)


def one(name: str, folder: str) -> int:
    for row in parts.run(name):
        parts.write(row, Path(folder))
        print(row["name"], row.get("error", ""), flush=True)
        print(row.get("traceback", ""), file=sys.stderr, flush=True)
    return 0


def stages(words: Sequence[str]) -> int:
    told = "; ".join(f"{name}: {stage.title}, at most {stage.seconds:.0f} s" for name, stage in STAGES.items())
    parser = argparse.ArgumentParser(
        prog="python -m tinyres.bench.gpu run",
        description=f"Run parts of the GPU report in stages ({told}). Exit status: 0; 3 where a smoke check failed.",
    )
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"(default: {' '.join(ALL)})")
    parser.add_argument("--out", type=Path, metavar="DIR", default=Path("gpu-results"),
                        help="where rows, logs, machine code and report go (default: gpu-results)")  # fmt: skip
    parser.add_argument("--earlier", type=Path, metavar="DIR",
                        help="an earlier run's folder: its rows count, and its machine code is used")  # fmt: skip
    parser.add_argument("--tests", default="", metavar="NAMES", help="for the stage K, as pytest's -k takes them")
    given = parser.parse_args(words)
    unknown = [name for name in given.stages if name not in STAGES]
    if unknown:
        parser.error(f"no stage {', '.join(unknown)}; there are {', '.join(STAGES)}")
    if "K" in given.stages and not given.tests:
        parser.error("the stage K needs --tests, such as --tests 'stream or every_tile'")
    if given.earlier is not None and not given.earlier.is_dir():
        parser.error(f"--earlier {given.earlier}: no such folder")
    from tinyres.bench.gpu.stages import run

    return run(given.stages or ALL, given.out, given.earlier, given.tests)


if __name__ == "__main__":
    if len(sys.argv) != 3 and sys.argv[1:2] != ["run"]:
        sys.exit(f"{__doc__}\nparts: {', '.join(PARTS)}")
    sys.exit(main(*sys.argv[1:]))
