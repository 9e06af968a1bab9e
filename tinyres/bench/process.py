"""What only a fresh process can tell: peak resident memory, and the first step with and without compiled kernels.

`python -m tinyres.bench.process BENCH PEER STEPS BATCH THREADS STARTED` takes some steps and prints one line of JSON.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tinyres.bench import children
from tinyres.bench.peers import FORMATS
from tinyres.bench.race import OURS, Target, Verdict
from tinyres.bench.report import table
from tinyres.bench.works import COLD, WARM

STEPS = 5


def peak_bytes() -> int:
    """The largest resident size that this process has had.

    Linux carries getrusage's ru_maxrss over from the process that started this one, which may be larger than this one
    ever becomes; VmHWM is this program's own. Elsewhere there is only the former.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def work(bench: str, peer: str, steps: int, batch: int, threads: int, started: float) -> dict[str, float]:
    """Take steps in this process. Seconds count from `started`, when the process was asked for (time.time())."""
    if peer == "ours":
        importlib.import_module("tinyres_kernels.cpu")
    else:
        importlib.import_module("torch").set_num_threads(threads)
    imports, imported = peak_bytes(), time.time() - started
    module = importlib.import_module(f"tinyres.bench.{bench}")
    step = module.ours(batch) if peer == "ours" else module.pytorch(peer == "last", batch)
    step()
    first = time.time() - started
    for _ in range(steps - 1):
        step()
    return {"peak": peak_bytes(), "peak_after_imports": imports, "imports_s": imported, "first_step_s": first}


def fresh(bench: str, peer: str, batch: int, threads: int, steps: int = STEPS, cache: str | None = None) -> Any:
    """`work` in a process of its own; `cache` is the folder of Numba's compiled code, else the usual one."""
    environment = children.environment(**({} if cache is None else {"NUMBA_CACHE_DIR": cache}))
    arguments = [bench, peer, str(steps), str(batch), str(threads), repr(time.time())]
    command = [sys.executable, "-m", "tinyres.bench.process", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{bench}, {peer}: the process failed\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def study(
    to: Any, bench: str, batch: int, torch: Any | None, threads: int, memory: Target
) -> tuple[dict[str, Any], list[Verdict]]:
    """First steps from an empty and from a filled kernel cache, and everyone's peak memory; printed and judged."""
    found = {}
    with to.status("fresh processes: first step, compiling every kernel ..."), tempfile.TemporaryDirectory() as cache:
        cold = fresh(bench, "ours", batch, threads, steps=1, cache=cache)
        found[OURS] = fresh(bench, "ours", batch, threads, cache=cache)
    for name, last in FORMATS.items() if torch is not None else ():
        with to.status(f"fresh processes: {name} ..."):
            found[name] = fresh(bench, "last" if last else "first", batch, threads)

    mine = found[OURS]
    title = f"Peak resident memory of a fresh process after {STEPS} steps, MB"
    made = table(title, ["", "in all", "without what imports took", f"{OURS} / this"])
    for name, r in found.items():
        alone = r["peak"] - r["peak_after_imports"]
        made.add_row(name, f"{r['peak'] / 1e6:.0f}", f"{alone / 1e6:.0f}", f"{mine['peak'] / r['peak']:.2f}")
    to.print(made)
    verdicts = [
        Verdict("first step of a process, empty kernel cache", cold["first_step_s"], COLD, " s"),
        Verdict("first step of a process, filled kernel cache", mine["first_step_s"], WARM, " s"),
    ]
    theirs = [r["peak"] for name, r in found.items() if name != OURS]
    if theirs:
        verdicts.append(Verdict("peak memory, tinyres / PyTorch", mine["peak"] / min(theirs), memory))
    return {"processes": found, "empty_cache": cold}, verdicts


if __name__ == "__main__":
    bench, peer, steps, batch, threads, started = sys.argv[1:]
    print(json.dumps(work(bench, peer, int(steps), int(batch), int(threads), float(started))))
