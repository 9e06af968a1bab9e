"""The command `tinyres`."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
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
    for stream in (sys.stdout, sys.stderr):  # a terminal without Greek letters shows a question mark instead
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    parser = argparse.ArgumentParser(
        prog="tinyres",
        description="See how gradients vanish or survive.",
        epilog="Exit status: 0; 1 where a law does not hold; 2 where the command could not be run.",
    )
    parser.add_argument("--version", action="version", version=f"tinyres {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_flow(commands)
    _add_bench(commands)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        print(f"tinyres {arguments.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
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
    flow.add_argument("names", nargs="*", metavar="NAME", help="experiments to run, see --list (default: all)")
    flow.add_argument("--list", action="store_true", help="list the experiments and stop")
    flow.add_argument("--depth", type=int, nargs="+", default=[8, 20, 56], metavar="N",
                      help="layers of the nets trained on digits: 8, 14, 20, ... (default: 8 20 56)")  # fmt: skip
    flow.add_argument("--arch", nargs="+", default=["plain", "resnet"], metavar="NAME",
                      help="architectures trained on digits: plain, resnet (default: both)")  # fmt: skip
    flow.add_argument("--steps", type=int, default=200, metavar="N", help="training steps (default: 200)")
    flow.add_argument("--seed", type=int, default=0, metavar="N", help="of every draw (default: 0)")
    flow.add_argument("--out", type=Path, metavar="DIR",
                      help="where results go (default: flow-results, or flow-results/NAMES for a part)")  # fmt: skip
    flow.set_defaults(run=_flow)


def _flow(arguments: argparse.Namespace) -> int:
    _need({"rich": "rich", "matplotlib": "matplotlib", "sklearn": "scikit-learn"})
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tinyres.flow import EXPERIMENTS, Options, Result, report

    console = Console()
    if arguments.list:
        for experiment in EXPERIMENTS.values():
            console.print(f"[bold]{experiment.name:8}[/] {experiment.claim}", highlight=False, soft_wrap=True)
        return 0
    depths, archs = (tuple(dict.fromkeys(given)) for given in (arguments.depth, arguments.arch))
    options = Options(arguments.seed, depths, archs, arguments.steps)
    names = [_known(name, EXPERIMENTS) for name in dict.fromkeys(arguments.names)] or list(EXPERIMENTS)
    _check_flow(options)
    out = arguments.out or Path("flow-results", *(["-".join(names)] if arguments.names else []))
    _make_folder(out)

    results: list[Result] = []
    seconds: dict[str, float] = {}
    written: list[Path] = [out / "result.json"]
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
            try:  # after each, so that what is finished is kept whatever happens to the next
                report.save_json(results, options, names[: len(results)], seconds, out / "result.json")
                written += report.save_figures(results[-1:], out)
            except OSError as error:
                raise UsageError(f"cannot write {error.filename or out}: {error.strerror}") from error

    for table in report.tables(results):
        console.print(table)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    laws = [law for result in results for law in result.laws]
    failed = [law.name for law in laws if not law.ok]
    if failed:
        console.print(f"[bold red]{len(failed)} of {len(laws)} do not hold:[/] " + "; ".join(failed), highlight=False)
    return 1 if failed else 0


def _known(name: str, experiments: dict[str, Any]) -> str:
    """The experiment of this name, in whatever case it was typed."""
    found = {known.lower(): known for known in experiments}.get(name.lower())
    if found is None:
        near = get_close_matches(name, experiments, n=3, cutoff=0.4) or list(experiments)
        raise UsageError(f"no experiment called {name!r}; did you mean {' or '.join(near)}? --list shows all")
    return found


def _check_flow(options: Any) -> None:
    """Refuse what cannot be run before anything long begins."""
    from tinyres import models

    for arch in options.archs:
        if arch not in models.CLASSIFIERS:
            raise UsageError(f"no architecture called {arch!r}; there are {', '.join(models.CLASSIFIERS)}")
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
    made = {}
    for name, rounds, text in (
        ("engine", 60, "cost per operation of the tape: a 50-layer tanh MLP, forward and backward"),
        ("kernels", 15, "every kernel beside this machine's limits and PyTorch; pictures of both"),
        ("resnet", 10, "a full training step of ResNet-20, batch 128; memory; the first step of a process"),
        ("gan", 10, "a training step of each player of a DCGAN, batch 64; memory; the first step of a process"),
    ):
        kind = made[name] = kinds.add_parser(name, help=text, description=text)
        kind.add_argument("--rounds", type=int, default=rounds, help=f"how often each is measured (default: {rounds})")
        kind.add_argument("--json", type=Path, metavar="FILE", dest="json_file", help="write the figures there, too")
        kind.set_defaults(run=_bench)
    made["kernels"].add_argument("--out", type=Path, metavar="DIR", default=Path("bench-results"),
                                 help="where the pictures go (default: bench-results)")  # fmt: skip
    made["resnet"].add_argument("--compile", action="store_true", dest="compiled",
                                help="torch.compile as a further peer: needs a C++ compiler and a minute")  # fmt: skip
    for name in ("resnet", "gan"):
        made[name].add_argument("--no-memory", action="store_false", dest="memory",
                                help="no fresh processes: leave out memory and first steps")  # fmt: skip


def _bench(arguments: argparse.Namespace) -> int:
    options = {name: value for name, value in vars(arguments).items() if name not in ("command", "kind", "run")}
    _need({"rich": "rich"} | ({"matplotlib": "matplotlib"} if arguments.kind == "kernels" else {}))
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: at least one is needed")
    for folder in filter(None, (options.get("out"), arguments.json_file and arguments.json_file.parent)):
        _make_folder(folder)
    module = importlib.import_module(f"tinyres.bench.{arguments.kind}")
    return int(module.main(**options))


if __name__ == "__main__":
    sys.exit(main())
