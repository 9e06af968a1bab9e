"""`tinyres flow`: run experiments, print their verdicts, keep files, pictures and one page of all."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

from tinyres.cli.common import LAB, UsageError, check_depth, known, make_folder, need, on_device, progress, writing

NETS = {"depth": "depths", "arch": "archs", "steps": "steps"}  # options of the command: fields of `Options`


class _Help(argparse.Action):
    """The experiments are read when somebody asks, so that all other commands start without them."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from tinyres.flow.experiments import GROUPS, TOUR

        parser.description = (
            "Measure how gradients vanish or survive, beside what theory predicts. Without names: a tour of "
            f"{', '.join(TOUR[:-1])} and {TOUR[-1]}. Groups: {', '.join(GROUPS)}."
        )
        parser.print_help()
        parser.exit()


def add(commands: Any) -> None:
    """Declare the command."""
    flow = commands.add_parser(
        "flow",
        help="gradient-flow experiments: laws at initialisation, trained nets, popular claims",
        add_help=False,
    )
    flow.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help and stop")
    flow.add_argument("names", nargs="*", metavar="NAME", help="experiments or groups; see --list")
    flow.add_argument("--list", action="store_true", help="list the experiments and stop")
    flow.add_argument("--depth", type=int, nargs="+", metavar="N",
                      help="layers of the nets of `digits` (default: 8 20 56)")  # fmt: skip
    flow.add_argument("--arch", nargs="+", metavar="NAME",
                      help="architectures of `digits` (default: plain resnet)")  # fmt: skip
    flow.add_argument("--steps", type=int, metavar="N",
                      help="training steps of `digits` (default: 200)")  # fmt: skip
    flow.add_argument("--seed", type=int, default=0, metavar="N", help="of every draw (default: 0)")
    flow.add_argument("--device", default="cpu", metavar="NAME",
                      help="cpu or cuda: where nets are (default: cpu); formulas and toys stay on the CPU")  # fmt: skip
    flow.add_argument("--out", type=Path, metavar="DIR", default=Path("flow-results"),
                      help="where results go (default: flow-results); with one page of all")  # fmt: skip
    flow.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the experiments one after the other; what is finished is kept whatever happens to the next."""
    need(LAB)
    from rich.console import Console
    from rich.markup import escape

    from tinyres.flow import report
    from tinyres.flow.experiments import EXPERIMENTS, GROUPS, TOUR, Options

    console = Console()
    if arguments.list:
        _list(console)
        return 0
    asked = [known("experiment", name, [*EXPERIMENTS, *GROUPS], "; --list shows all") for name in arguments.names]
    names = list(dict.fromkeys(name for entry in asked or TOUR for name in GROUPS.get(entry, [entry])))
    given = {option: value for option in NETS if (value := getattr(arguments, option)) is not None}
    if given and "digits" not in names:
        raise UsageError(
            f"{' and '.join(f'--{option}' for option in given)}: for `digits` only, which is not among "
            f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}; name digits, too, or leave the option out"
        )
    chosen = {NETS[option]: _once(value) for option, value in given.items()}
    on_device(arguments.device)
    options = Options(seed=arguments.seed, device=arguments.device, **chosen)
    _check(options)
    out = arguments.out
    make_folder(out)

    staying = [name for name in names if options.device not in EXPERIMENTS[name].devices]
    if staying:
        console.print(f"on the CPU all the same: {', '.join(staying)}", highlight=False, soft_wrap=True)
    laws = []
    with progress(console) as bars:
        whole = bars.add_task("experiments", total=len(names), visible=len(names) > 1)
        for name in names:
            experiment = EXPERIMENTS[name]
            current = bars.add_task(escape(name), total=experiment.ticks(options))
            start = time.perf_counter()
            result = experiment.run(options, partial(bars.advance, current))
            seconds = time.perf_counter() - start
            bars.remove_task(current)
            bars.advance(whole)
            for table in report.tables(experiment, result):
                bars.console.print(table)
            with writing(out):
                written = report.save(experiment, result, options, seconds, out)
                page = report.write_page(out)
            files = ", ".join(str(path) for path in written)
            bars.console.print(f"{name}: {seconds:.1f} s, wrote {files}\n", highlight=False, soft_wrap=True)
            laws += [(name, law) for law in result.laws if law.kind != "figure"]

    console.print(f"all on one page: {page}", highlight=False, soft_wrap=True)
    failed = [f"{name}: {law.name}" for name, law in laws if not law.ok]
    if failed:
        text = f"[bold red]{len(failed)} of {len(laws)} do not hold:[/] {escape('; '.join(failed))}"
        console.print(text, highlight=False)
    elif laws:
        console.print(f"[green]all {len(laws)} hold[/]", highlight=False)
    return 1 if failed else 0


def _once(value: Any) -> Any:
    """Lists without what was named before."""
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else value


def _list(console: Any) -> None:
    from rich.table import Table

    from tinyres.flow.experiments import GROUPS, ROOMS, TOUR

    table = Table(box=None, pad_edge=False)
    for column in ("name", "claim", "about"):
        table.add_column(column, no_wrap=column != "claim", justify="right" if column == "about" else "left")
    for room, experiments in ROOMS.items():
        table.add_row(f"[bold]{room}[/]")
        for name, experiment in experiments.items():
            mark = "*" if experiment.starred else " "
            table.add_row(f" {mark}{name}", experiment.claim, f"{experiment.seconds:g} s")
    console.print(table)
    console.print(f"Groups: {', '.join(GROUPS)} (tour: {', '.join(TOUR)}; * starred).", highlight=False)


def _check(options: Any) -> None:
    """Refuse what cannot be run before anything long begins."""
    from tinyres import models

    for arch in options.archs:
        if arch not in models.CLASSIFIERS:
            known("architecture", arch, models.CLASSIFIERS)
        for depth in options.depths:
            check_depth(arch, depth, width=8)
    if options.steps < 1:
        raise UsageError(f"--steps {options.steps}: at least one step is needed")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: a seed is not negative")
