"""The command `tinyres`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from tinyres import __version__


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 where a law failed, or 2 where the command could not be run."""
    parser = argparse.ArgumentParser(prog="tinyres", description="See how gradients vanish or survive.")
    parser.add_argument("--version", action="version", version=f"tinyres {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_flow(commands)
    _add_bench(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        print(f"tinyres {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


class UsageError(Exception):
    """Something the user can mend; shown as one sentence without a traceback."""


def _need(packages: dict[str, str]) -> None:
    missing = [name for module, name in packages.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f"needs {', '.join(missing)}: pip install 'tinyres[lab]'")


# -- flow -----------------------------------------------------------------------------------------------------------
def _add_flow(commands: Any) -> None:
    flow = commands.add_parser(
        "flow",
        help="gradient-flow experiments: laws at initialisation, then real digits",
        description="Measure how gradients vanish or survive, beside what theory predicts. Without names: everything.",
    )
    flow.add_argument("names", nargs="*", metavar="NAME", help="experiments to run (see --list)")
    flow.add_argument("--list", action="store_true", help="list the experiments and stop")
    flow.add_argument("--depth", type=int, nargs="+", default=[8, 20, 56], help="layers of the nets trained on digits")
    flow.add_argument("--arch", nargs="+", default=["plain", "resnet"], help="architectures trained on digits")
    flow.add_argument("--steps", type=int, default=200, help="training steps")
    flow.add_argument("--seed", type=int, default=0, help="of every draw")
    flow.add_argument("--out", type=Path, default=Path("flow-results"), metavar="DIR", help="where results go")
    flow.set_defaults(run=_flow)


def _flow(arguments: argparse.Namespace) -> int:
    _need({"rich": "rich", "matplotlib": "matplotlib", "sklearn": "scikit-learn"})
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tinyres.flow import EXPERIMENTS, Options, report

    console = Console()
    if arguments.list:
        for experiment in EXPERIMENTS.values():
            console.print(f"[bold]{experiment.name:8}[/] {experiment.claim}", highlight=False, soft_wrap=True)
        return 0
    options = Options(arguments.seed, tuple(arguments.depth), tuple(arguments.arch), arguments.steps)
    names = arguments.names or list(EXPERIMENTS)
    _check_flow(names, options, EXPERIMENTS)
    _make_folder(arguments.out)

    results, seconds = [], {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        tasks = {
            name: progress.add_task(f"{name:8} {EXPERIMENTS[name].claim}", total=EXPERIMENTS[name].ticks(options))
            for name in names
        }
        for name in names:
            start = time.perf_counter()
            results.append(EXPERIMENTS[name].run(options, partial(progress.advance, tasks[name])))
            seconds[name] = round(time.perf_counter() - start, 2)

    report.save_json(results, options, seconds, arguments.out / "result.json")
    laws = [law for result in results for law in result.laws]
    for table in report.tables(results):
        console.print(table)
    for path in [*report.save_figures(results, arguments.out), arguments.out / "result.json"]:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    failed = [law.name for law in laws if not law.ok]
    if failed:
        console.print(f"[bold red]{len(failed)} of {len(laws)} do not hold:[/] " + "; ".join(failed), highlight=False)
    return 1 if failed else 0


def _check_flow(names: list[str], options: Any, experiments: dict[str, Any]) -> None:
    """Refuse what cannot be run before anything long begins."""
    from tinyres import models

    for name in names:
        if name not in experiments:
            near = get_close_matches(name, experiments, n=3, cutoff=0.4) or list(experiments)
            raise UsageError(f"no experiment called {name!r}; did you mean {' or '.join(near)}? --list shows all")
    for arch in options.archs:
        if arch not in models.__all__:
            raise UsageError(f"no architecture called {arch!r}; there are {', '.join(models.__all__)}")
    for depth in options.depths:
        if depth < 8 or (depth - 2) % 6:
            raise UsageError(f"--depth {depth}: the nets have 6 n + 2 layers: 8, 14, 20, ..., 56, ...")
    if options.steps < 1:
        raise UsageError(f"--steps {options.steps}: at least one step is needed")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: a seed is not negative")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".tinyres-can-write"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"cannot write into {folder}: {error.strerror}; name another folder with --out") from error


# -- bench ----------------------------------------------------------------------------------------------------------
def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="measure speed, side by side with peers in one run")
    kinds = bench.add_subparsers(dest="kind", metavar="WHAT", required=True)
    engine = kinds.add_parser(
        "engine", help="cost per operation of the tape: a 50-layer tanh MLP, forward and backward"
    )
    engine.add_argument("--rounds", type=int, default=60, help="how often each peer is measured")
    engine.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    engine.set_defaults(run=_bench_engine)


def _bench_engine(arguments: argparse.Namespace) -> int:
    _need({"rich": "rich"})
    from tinyres.bench import engine

    return engine.main(arguments.rounds, arguments.json)


if __name__ == "__main__":
    sys.exit(main())
