"""`tinyres bench mpi`: steps of ResNet-20 at batch 128, by two processes of one thread each and by one of one thread.

Both take the steps of `tinyres train`, augmentation included, on the same images; fresh processes, in turns.
`mpiexec -n 2 python -m tinyres.bench.mpi STEPS DISTRIBUTED SYNC` (the last two 0 or 1) takes the steps of one turn and
prints the seconds of each as JSON.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from tinyres import data, training
from tinyres.bench import children, report
from tinyres.bench.race import Timing, Verdict
from tinyres.bench.works import RANKS, SYNC_RANKS

DEPTH, BATCH = 20, 128
WARM_UP, STEPS = 3, 12
CASES = {"one process": (1, False), "two ranks": (2, False), "two ranks, --sync-batch-norm": (2, True)}


def images(count: int) -> data.Dataset:
    """Noise of the shape of CIFAR-10: (N, 3, 32, 32)."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((count, 3, 32, 32)).astype(np.float32)
    return data.Dataset(inputs, rng.integers(0, 10, count), "noise", 10)


def work(steps: int, distributed: bool, sync_batch_norm: bool) -> list[float] | None:
    """Seconds of each step, after some that are not counted; None on all ranks but the first."""
    recipe = training.Recipe(arch="resnet", depth=DEPTH, data="cifar10", batch_size=BATCH, steps=WARM_UP + steps)
    run = training.prepare(recipe, data.Split(images(8 * BATCH), images(BATCH)))
    ranks = training.Ranks() if distributed else None
    if ranks is not None:
        run = training.DataParallel(run, ranks, sync_batch_norm=sync_batch_norm)
    marks = [time.perf_counter()]
    marks += [time.perf_counter() for _ in run.steps()]
    return [float(s) for s in np.diff(marks)[WARM_UP:]] if ranks is None or ranks.rank == 0 else None


def launch(mpiexec: str, count: int, sync: bool, steps: int = STEPS) -> list[float]:
    """The same in so many fresh processes with one thread each."""
    environment = children.environment(NUMBA_NUM_THREADS="1")
    start = [mpiexec, "-n", str(count)] if count > 1 else []
    command = [*start, sys.executable, "-m", "tinyres.bench.mpi", str(steps), str(int(count > 1)), str(int(sync))]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{count} processes: failed\n{done.stderr[-2000:]}")
    return [float(seconds) for seconds in json.loads(done.stdout)]


def find_mpiexec() -> str | None:
    """The one beside this Python, where the wheel of MPICH puts it, or the system's; None where there is none."""
    beside = Path(sys.executable).parent / "mpiexec"
    return str(beside) if beside.exists() else shutil.which("mpiexec")


def main(rounds: int, json_file: Path | None, mpiexec: str) -> int:
    """Measure in turns, print the table and the verdict."""
    to = report.console()
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    with report.progress(to, "turns", rounds * len(CASES)) as tick:
        for _ in range(rounds):
            for name, (count, sync) in CASES.items():
                taken[name] += launch(mpiexec, count, sync)
                tick()
    times = {name: Timing.of(seconds) for name, seconds in taken.items()}
    alone = times["one process"].median
    made = report.table(
        f"ResNet-{DEPTH}, batch {BATCH}, one thread a process: a training step", ["", "ms, median", "quartiles", "x"]
    )
    for name, t in times.items():
        made.add_row(name, f"{t.median * 1e3:.1f}", t.quartiles(), f"{alone / t.median:.2f}")
    to.print(made)
    verdicts = [
        Verdict(f"throughput, {name} / one process", alone / times[name].median, target)
        for name, target in (("two ranks", RANKS), ("two ranks, --sync-batch-norm", SYNC_RANKS))
    ]
    return report.conclude(to, verdicts, [], {"timings": report.timings(times)}, json_file)


if __name__ == "__main__":
    steps, distributed, sync = (int(argument) for argument in sys.argv[1:])
    seconds = work(steps, bool(distributed), bool(sync))
    if seconds is not None:
        print(json.dumps(seconds))
