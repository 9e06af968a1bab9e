"""`tinyres flow`: run gradient-flow experiments, print what they found, and write files, figures and a report page."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tinyres.cli import flow_runs
from tinyres.cli.common import LAB, UsageError, check_depth, known, make_folder, need, on_device
from tinyres.cli.terminal import say, terminal

NETS = {"depth": "depths", "arch": "archs", "steps": "steps"}  # options of the command: fields of `Options`


class _Help(argparse.Action):
    """Builds the help text on demand, so that other commands start without importing the experiments."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from tinyres.lab.registry import GROUPS, TOUR

        parser.description = (
            "Measure how gradients vanish or survive, and compare with theory. Without names: a tour of "
            f"{', '.join(TOUR[:-1])} and {TOUR[-1]}. Groups: {', '.join(GROUPS)}."
        )
        parser.print_help()
        parser.exit()


def add(commands: Any) -> None:
    """Declare the command."""
    flow = commands.add_parser(
        "flow",
        help="run gradient-flow experiments: laws at initialisation, trained nets, popular claims",
        add_help=False,
        epilog="Example: tinyres flow E3 --seeds 5",
    )
    flow.add_argument("-h", "--help", action=_Help, nargs=0, help="show this help message and exit")
    flow.add_argument("names", nargs="*", metavar="NAME", help="experiments or groups; see --list")
    flow.add_argument("--list", action="store_true", help="list the experiments and exit")
    flow.add_argument("--depth", type=int, nargs="+", metavar="N",
                      help="layers of the nets of `digits` (default: 8 20 56)")  # fmt: skip
    flow.add_argument("--arch", nargs="+", metavar="NAME",
                      help="architectures of `digits` (default: plain resnet)")  # fmt: skip
    flow.add_argument("--steps", type=int, metavar="N",
                      help="training steps of `digits` (default: 200)")  # fmt: skip
    flow.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    flow.add_argument("--seeds", type=int, default=1, metavar="N",
                      help="run N seeds from --seed on, on all cores, and show the spread (default: 1)")  # fmt: skip
    flow.add_argument("--jobs", type=int, metavar="N",
                      help="number of processes (default: one per core, or 1 with --device cuda); what is found does "
                      "not depend on it")  # fmt: skip
    flow.add_argument("--set", nargs="+", metavar="NAME=VALUE", dest="settings",
                      help="test a law at other settings, as in E3 --set m=0.9 a=0.436 "
                      "(default: those of the law; --list names them)")  # fmt: skip
    flow.add_argument("--rows", action="store_true",
                      help="print every measurement and table as well; report.html always has them")  # fmt: skip
    flow.add_argument("--device", default="cpu", metavar="NAME",
                      help="cpu or cuda, for nets (default: cpu); formulas and toys stay on the CPU")  # fmt: skip
    flow.add_argument("--out", type=Path, metavar="DIR", default=Path("flow-results"),
                      help="where to write the results and report.html (default: flow-results)")  # fmt: skip
    flow.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the experiments; finished results are kept even if a later one fails."""
    need(LAB)
    from tinyres.lab.registry import EXPERIMENTS, GROUPS, STAR, TOUR, Options

    console = terminal()
    if arguments.list:
        _list(console)
        return 0
    asked = [known("experiment", name, [*EXPERIMENTS, *GROUPS], "; --list shows all") for name in arguments.names]
    names = list(dict.fromkeys(name for entry in asked or TOUR for name in GROUPS.get(entry, [entry])))
    given = {option: value for option in NETS if (value := getattr(arguments, option)) is not None}
    if given and "digits" not in names:
        raise UsageError(
            f"{' and '.join(f'--{option}' for option in given)}: only for `digits`, which is not among "
            f"{', '.join(names[:8])}{', ...' if len(names) > 8 else ''}; add digits or drop the option"
        )
    chosen = {NETS[option]: _once(value) for option, value in given.items()}
    on_device(arguments.device)
    options = Options(seed=arguments.seed, device=arguments.device, settings=_settings(arguments, names), **chosen)
    _check(options)
    _check_seeds(arguments, names)
    out = arguments.out
    make_folder(out)

    if options.settings:
        at = ", ".join(
            f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in options.settings.items()
        )
        say(console, f"{names[0]} at {at}: one case, in place of its own; --list shows the settings of each")
    staying = [name for name in names if options.device not in EXPERIMENTS[name].devices]
    if staying:
        say(console, f"these run on the CPU regardless: {', '.join(staying)}")
    at_seeds = flow_runs.one_seed if arguments.seeds == 1 else flow_runs.several_seeds
    finished = at_seeds(console, names, options, arguments)
    rows: list[dict[str, Any]] = []
    silent, last = [], ""
    for document in _until_stopped(console, finished, len(names), arguments):
        found = document["seeds"]["laws"] if "seeds" in document else document["laws"]
        rows += [row | {"name": f"{document['name']}: {row['name']}"} for row in found]
        silent += list(document["seeds"]["failed"]) if "seeds" in document else []
        if document["name"] == STAR and "seeds" not in document:
            last = document["found"]
    page = out / "report.html"
    seen = "" if arguments.rows or arguments.seeds > 1 else " (pictures and every measurement; --rows prints them here)"
    say(console, f"report: {page}{seen}")
    status = _tell(console, rows, silent, [name for name in names if EXPERIMENTS[name].seeds > arguments.seeds])
    if last:
        say(console, f"\n{last}", style="bold")
    return status


def _until_stopped(
    console: Any, finished: Iterable[dict[str, Any]], count: int, arguments: argparse.Namespace
) -> Iterator[dict[str, Any]]:
    """What has finished; Ctrl-C says what of it is kept."""
    done = 0
    try:
        for document in finished:
            done += 1
            yield document
    except KeyboardInterrupt:
        kept = f"{done} of {count} experiments {'is' if done == 1 else 'are'} in {arguments.out}"
        if arguments.seeds > 1:
            say(console, f"\nstopped; {kept}, and every seed that finished: repeat the command to continue")
        else:
            shown = f", and {arguments.out / 'report.html'} shows them" if done else ""
            say(console, f"\nstopped; {kept}{shown}")
        raise


def _tell(console: Any, rows: list[dict[str, Any]], silent: list[str], unjudged: list[str]) -> int:
    """Print the summary and return the exit status."""
    from tinyres.lab.report import counts

    failed = [row["name"] for row in rows if row["verdict"] == "FAILS"]
    if failed:
        say(console, "; ".join(failed), f"{len(failed)} do not hold:", "bold red")
    said = counts(rows)
    if said:
        say(console, said, style="yellow" if failed else "green")
    if unjudged:
        from tinyres.lab.registry import EXPERIMENTS

        least = max(EXPERIMENTS[name].seeds for name in unjudged)
        text = f"no verdict yet; run more seeds: tinyres flow {' '.join(unjudged)} --seeds {least}"
        say(console, text)
    return 1 if failed or silent else 0


def _settings(arguments: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """The values of --set, checked against the single experiment they apply to."""
    from tinyres.lab.registry import EXPERIMENTS, SettingError, chosen

    if not arguments.settings:
        return {}
    if len(names) != 1:
        raise UsageError(f"--set works with one experiment at a time, got {', '.join(names[:8])}; name one")
    given = {}
    for text in arguments.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"--set {text}: expected NAME=VALUE, as in --set m=0.9")
        given[name] = value
    try:
        return chosen(names[0], EXPERIMENTS[names[0]].settings, given)
    except SettingError as error:
        raise UsageError(f"--set: {error}") from error


def _check_seeds(arguments: argparse.Namespace, names: list[str]) -> None:
    from tinyres.lab.registry import EXPERIMENTS, InPieces

    for option, value in (("--seeds", arguments.seeds), ("--jobs", arguments.jobs)):
        if value is not None and value < 1:
            raise UsageError(f"{option} {value}: must be at least 1")
    alone = arguments.seeds == 1 and len(names) == 1 and not isinstance(EXPERIMENTS[names[0]].run, InPieces)
    if arguments.jobs is not None and alone:
        raise UsageError(f"--jobs is for several experiments or seeds, not for {names[0]} at one seed; leave it out")


def _once(value: Any) -> Any:
    """A list without its duplicates, as a tuple."""
    return tuple(dict.fromkeys(value)) if isinstance(value, list) else value


def _list(console: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    from tinyres.lab.registry import GROUPS, ROOMS, TOUR

    table = Table(box=None, pad_edge=False)
    for column in ("name", "claim", "run time"):
        table.add_column(column, no_wrap=column != "claim", justify="right" if column == "run time" else "left")
    for room, experiments in ROOMS.items():
        table.add_row(Text(room, "bold"))
        for name, experiment in experiments.items():
            mark = "*" if experiment.starred else " "
            asked = f" (--set {', '.join(experiment.settings)})" if experiment.settings else ""
            table.add_row(f" {mark}{name}", Text(experiment.claim).append(asked, "dim"), f"{experiment.seconds:g} s")
    console.print(table)
    say(console, f"E2, E3, ... are names. Groups: {', '.join(GROUPS)} (tour: {', '.join(TOUR)}; * starred).")


def _check(options: Any) -> None:
    """Reject invalid options before any long run begins."""
    from tinyres import models

    for arch in options.archs:
        if arch not in models.CLASSIFIERS:
            known("architecture", arch, models.CLASSIFIERS)
        for depth in options.depths:
            check_depth(arch, depth, width=8)
    if options.steps < 1:
        raise UsageError(f"--steps {options.steps}: must be at least 1")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}: must not be negative")
