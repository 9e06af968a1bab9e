"""Ten faults, each planted into a copy of the sources: does the ordinary suite notice?

    python -m tests.kernels.plans.planted [NAME ...]

It takes a minute or two a fault, for every copy is compiled anew. `test_planted.py` holds that they can be planted.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[3]
CPU = "kernels/tinyres_kernels/cpu/"
WATCH = ["tests/kernels/plans/test_plans.py", "tests/kernels/guard"]  # what the ordinary suite has for such faults


class Fault(NamedTuple):
    """A text of a file, and what it becomes."""

    file: str
    right: str
    wrong: str


FAULTS = {
    "the whole run for each piece (0.1.0)": Fault(
        "loops.py",
        "C, taps_h, dh * x_line, taps, panels, w0, run, out,",
        "C, taps_h, dh * x_line, CG, panels, w0, run, out,",
    ),
    "a tail mask dropped": Fault(
        "simd.py",
        "            masks = e.masks(tail, vectors)\n            result",
        "            masks = e.masks(ir.Constant(I64, vectors * lanes), vectors)\n            result",
    ),
    "the last piece skipped": Fault(
        "loops.py",
        "            for part in range(groups * blocks * pieces):",
        "            pieces = max(1, pieces - 1)\n            for part in range(groups * blocks * pieces):",
    ),
    "a panel one vector short": Fault(
        "dot.py",
        "_panels(weights, how.wide).reshape(-1), out",
        "_panels(weights, how.wide).reshape(-1)[: -how.wide // how.vectors], out",
    ),
    "a phase's padding off by one": Fault(
        "conv.py",
        "-((first + padding - taps[-1] * dilation) // stride),",
        "-((first + padding - taps[-1] * dilation) // stride) + (stride == 3),",
    ),
    "a stale scratch row": Fault(
        "loops.py",
        "        if h < 0 or h >= H or last <= first:\n",
        "        if h >= H:\n            continue\n        if h < 0 or last <= first:\n",
    ),
    "two threads' sums overlap": Fault(
        "loops.py", "        sums = t * (private + share)\n", "        sums = t * (private + share - 1)\n"
    ),
    "a limit moved: a plan gets a shape that it cannot do": Fault("dot.py", "and row <= OW)", "and row <= OW + 1)"),
    "a misaligned load": Fault(
        "emit.py",
        "return self.b.load(self.as_vector(pointer), align=self.bytes)",
        "return self.b.load(self.as_vector(pointer), align=self.bytes * self.lanes)",
    ),
    "a wrong plan kept": Fault(
        "plan.py",
        "    return _planned(op, shapes, itemsize, Machine(host.threads()), forced, settings)",
        "    plan = _planned(op, shapes, itemsize, Machine(host.threads()), forced, settings)\n"
        "    return _KEPT.setdefault((op, shapes), plan)\n\n\n"
        "_KEPT: dict[Any, Plan] = {}",
    ),
}


def plant(fault: Fault, root: Path) -> None:
    """Change the file in a copy. Raises ValueError where the text is not there, or not once."""
    path = root / CPU / fault.file
    text = path.read_text()
    if text.count(fault.right) != 1:
        raise ValueError(f"{fault.file} holds this {text.count(fault.right)} times, needed once: {fault.right!r}")
    path.write_text(text.replace(fault.right, fault.wrong))


def noticed(fault: Fault) -> str:
    """The first test that fails; nothing where none does."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tinyres"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", "node_modules"))
        plant(fault, copy)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *WATCH]
        environment = {"PYTHONPATH": f"{copy}:{copy / 'kernels'}", "PATH": "/usr/bin:/bin", "HOME": folder}
        ran = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
        lines = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
        if ran.returncode == 0:
            return ""
        return lines[0] if lines else f"pytest ended with status {ran.returncode}: {ran.stderr.strip()[:200]}"


def main(names: list[str]) -> int:
    missed = 0
    for name, fault in FAULTS.items():
        if names and not any(given in name for given in names):
            continue
        start = time.perf_counter()
        found = noticed(fault)
        missed += not found
        print(f"{name}: {found[:160] or 'NOT NOTICED'} ({time.perf_counter() - start:.0f} s)", flush=True)
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
