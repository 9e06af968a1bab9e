"""How `tinyres flow` runs experiments: at one seed or several, in this process or side by side, with progress bars."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, progress, writing
from tinyres.cli.terminal import say, show


def one_seed(console: Any, names: list[str], options: Any, arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Run the experiments in --jobs processes, or in this one; print what each one found when it is complete."""
    from tinyres.lab import report
    from tinyres.lab.registry import EXPERIMENTS, STAR
    from tinyres.lab.side_by_side import run_side_by_side, works

    out = arguments.out
    several = len(works(names, options, out))
    jobs = min(_jobs(arguments, options), several)
    with progress(console) as bars, writing(out):
        whole = bars.add_task("experiments", total=len(names), visible=len(names) > 1)
        outcomes: Iterator[tuple[str, Any]]
        if jobs > 1:
            outcomes = run_side_by_side(names, options, out, jobs, watch := _Bars(bars, options))
        else:
            watch, outcomes = None, _in_turn(bars, names, options, out, one_thread_each=several > 1)
        waiting = list(names)
        for name, outcome in outcomes:
            bars.advance(whole)
            waiting.remove(name)
            if isinstance(outcome, str):
                raise UsageError(f"{name} found nothing: {outcome}")
            if watch is not None:
                watch.finish(name)
            result, seconds, written = outcome.result, outcome.seconds, outcome.written
            told = waiting or name != STAR  # else it is the last that `run` says
            shown = report.finding(EXPERIMENTS[name], result, seconds, bool(told))
            bars.console.print(*shown)
            if arguments.rows:
                show(bars.console, *report.tables(EXPERIMENTS[name], result))
            report.write_page(out, waiting)
            say(bars.console, f"  wrote {', '.join(str(path) for path in written)}\n", style="dim")
            yield report.describe(EXPERIMENTS[name], result, options, seconds, written[1:])


class _Bars:
    """A bar for each experiment that runs in other processes."""

    def __init__(self, bars: Any, options: Any) -> None:
        self.bars, self.options = bars, options
        self._shown: dict[str, Any] = {}
        self._finished: set[str] = set()

    def __call__(self, name: str, ticks: int) -> None:
        from tinyres.lab.registry import EXPERIMENTS

        if name in self._finished:
            return
        if name not in self._shown:
            self._shown[name] = self.bars.add_task(name, total=EXPERIMENTS[name].ticks(self.options))
        self.bars.update(self._shown[name], completed=ticks)

    def finish(self, name: str) -> None:
        """Show it no more."""
        self._finished.add(name)
        if name in self._shown:
            self.bars.remove_task(self._shown.pop(name))


def _in_turn(bars: Any, names: list[str], options: Any, out: Path, one_thread_each: bool) -> Iterator[tuple[str, Any]]:
    """One experiment after the other, in this process. A single one has all threads; several have one each, as they
    have side by side, so that the same is found."""
    from tinyres.lab import report
    from tinyres.lab.processes import one_thread
    from tinyres.lab.registry import EXPERIMENTS
    from tinyres.lab.side_by_side import Finished

    for name in names:
        experiment = EXPERIMENTS[name]
        current = bars.add_task(name, total=experiment.ticks(options))
        start = time.perf_counter()
        with one_thread() if one_thread_each else nullcontext():
            result = experiment.run(options, partial(bars.advance, current))
        seconds = time.perf_counter() - start
        bars.remove_task(current)
        yield name, Finished(result, seconds, report.save(experiment, result, options, seconds, out))


def _jobs(arguments: argparse.Namespace, options: Any) -> int:
    """The number of processes: by default one per core, or one for a GPU."""
    from tinyres.lab.processes import cores

    return arguments.jobs or (1 if options.device == "cuda" else cores())


def several_seeds(
    console: Any, names: list[str], options: Any, arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """Run all seeds of all experiments in parallel; print each experiment's table when its seeds are complete."""
    from tinyres.lab import report, seeds
    from tinyres.lab.registry import EXPERIMENTS

    out, count, jobs = arguments.out, arguments.seeds, _jobs(arguments, options)
    works = seeds.at_seeds(names, options, count, out)
    found: dict[str, dict[int, Any]] = {name: {} for name in names}
    with progress(console) as bars, writing(out):
        whole = bars.add_task(f"{len(names)} experiments, {count} seeds", total=len(works))
        for work, outcome in seeds.run_seeds(works, jobs):
            bars.advance(whole)
            at = found[work.name]
            at[work.options.seed] = outcome
            if len(at) < count:
                continue
            failed = {seed: at[seed] for seed in sorted(at) if isinstance(at[seed], str)}
            done = {seed: at[seed] for seed in sorted(at) if seed not in failed}
            for seed, why in failed.items():
                say(bars.console, f"{work.name}, seed {seed} failed: {why}", style="red")
            if not done:
                raise UsageError(f"{work.name} failed at every seed: {next(iter(failed.values()))}")
            document = report.gather(done, failed)
            report.save_seeds(EXPERIMENTS[work.name], options, document, out)
            report.write_page(out, [name for name in names if len(found[name]) < count])
            show(bars.console, report.seeds_table(document))
            yield document


__all__ = ["one_seed", "several_seeds"]
