"""`tinyres sweep`: train a grid of short runs, on this machine's cores or a Dask cluster."""

from __future__ import annotations

import argparse
import math
from functools import partial
from pathlib import Path
from typing import Any

from tinyres.cli.common import (
    LAB,
    UsageError,
    check_folder,
    data_set,
    known,
    make_folder,
    need,
    on_device,
    progress,
    writing,
)
from tinyres.cli.terminal import say, terminal
from tinyres.cli.train import add_recipe
from tinyres.lock import UNGUARDED

STEPS = 100
MOST_ROWS = 40


def add(commands: Any) -> None:
    """Declare the command."""
    sweep = commands.add_parser(
        "sweep",
        help="train a grid of short runs over depth, width, learning rate, ...",
        description=f"Train every combination of the lists below, {STEPS} steps each unless --steps or --epochs says "
        "otherwise. Writes sweep.csv, one row per finished point, and sweep.png. Repeat the command to continue after "
        "an interruption; a larger grid runs only the new points.",
        epilog="Example: tinyres sweep --arch plain resnet --depth 8 20 --lr 0.03 0.1 --seed 0 1",
    )
    for name, kind, text in (
        ("arch", str, "architectures (default: plain resnet)"),
        ("depth", int, "layers with weights (default: the architecture's)"),
        ("width", int, "channels, units or growth rate (default: as above)"),
        ("init", str, "default, kaiming_normal, xavier_normal, orthogonal, or a number s_w²"),
        ("activation", str, "replacements for every ReLU (default: relu)"),
        ("lr", float, "peak learning rate (default: that of `tinyres train`)"),
        ("seed", int, "random seeds (default: 0)"),
    ):
        sweep.add_argument(f"--{name}", type=kind, nargs="+", metavar="X", help=text)
    add_recipe(sweep)
    sweep.set_defaults(epochs=None)
    sweep.add_argument("--metric", default="accuracy", metavar="NAME",
                       help="plotted in sweep.png: accuracy (default), train_loss, test_loss, gradient")  # fmt: skip
    sweep.add_argument("--x", metavar="AXIS", help="columns of sweep.png (default: the longest list)")
    sweep.add_argument("--y", metavar="AXIS", help="rows of sweep.png (default: the second longest list)")
    sweep.add_argument("--device", default="cpu", metavar="NAME",
                       help="cpu or cuda, on this machine or the cluster's workers (default: cpu)")  # fmt: skip
    sweep.add_argument("--jobs", type=int, metavar="N",
                       help="number of points to run in parallel, one core each (default: all cores; on cuda: 1)",
                       )  # fmt: skip
    sweep.add_argument("--scheduler", metavar="tcp://HOST:PORT",
                       help="run on this Dask cluster, whose workers need tinyres (default: this machine)")  # fmt: skip
    sweep.add_argument("--out", type=Path, metavar="DIR", default=Path("sweep-results"),
                       help="where to write the results (default: sweep-results)")  # fmt: skip
    sweep.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the unfinished points, print the table, draw the figure."""
    need(LAB)
    if arguments.scheduler is not None:
        need({"distributed": "distributed"}, "cluster")
    from tinyres.files import write_figure
    from tinyres.lab import sweep
    from tinyres.lab.sweep.cluster import ClusterError

    console = terminal()
    check_folder(arguments.out)
    execute = _where(arguments)
    recipes, found = _grid(arguments)
    if found:
        say(console, found)
    _figure_options(arguments, recipes)
    make_folder(arguments.out)
    path = arguments.out / "sweep.csv"
    again = "repeat the command to continue"
    try:
        with writing(path), sweep.Results(path) as results:
            if not results.guarded:
                say(console, UNGUARDED.format(arguments.out))
            finished = sum(recipe in results for recipe in recipes)
            if finished:
                say(console, f"{finished} of {len(recipes)} points are already finished")
            try:
                with progress(console) as bars:
                    bar = bars.add_task("sweep", total=len(recipes), completed=finished)
                    failed = sweep.sweep(recipes, results, execute, lambda: bars.advance(bar))
            except ClusterError as error:
                raise UsageError(f"{error}; {_kept(recipes, results, path)}: {again}") from error
            except KeyboardInterrupt:
                say(console, f"\nstopped; {_kept(recipes, results, path)}: {again}")
                return 130
            console.print(_table(recipes, results))
            picture = arguments.out / "sweep.png"
            figure = sweep.heatmap(recipes, results, arguments.metric, arguments.x, arguments.y)
            write_figure(figure, picture)
    except sweep.ResultsError as error:
        raise UsageError(str(error)) from error
    say(console, f"wrote {path}, {picture}")
    for recipe, why in failed.items():
        say(console, f"{_name(recipe, recipes)}: {why}", "failed:", "bold red")
    return 1 if failed else 0


def _where(arguments: argparse.Namespace) -> Any:
    from tinyres.lab.processes import cores
    from tinyres.lab.sweep import cluster, local

    if arguments.scheduler is not None:
        known("device", arguments.device, ["cpu", "cuda"])  # only the workers know whether they have it
        if arguments.jobs is not None:
            raise UsageError("--jobs applies to this machine only; on a cluster, each worker sets its own limit")
        try:
            return cluster.dask(arguments.scheduler, device=arguments.device)
        except ValueError as error:
            raise UsageError(f"--scheduler: {error}") from error
    on_device(arguments.device)
    alone = 1 if arguments.device == "cuda" else cores()
    jobs = alone if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: must be at least 1")
    return partial(local.here, device=arguments.device) if jobs == 1 else local.processes(jobs, arguments.device)


def _grid(arguments: argparse.Namespace) -> Any:
    """The recipes of the grid, and what was found in your own data; an error if a recipe cannot be built."""
    from tinyres import data, models, training
    from tinyres.lab import sweep
    from tinyres.training.prepare import load_split
    from tinyres.training.recipe import FIELDS, same_data

    arguments.data = data_set(arguments.data, data.BY_NAME)
    axes = {name: getattr(arguments, name) for name in sweep.AXES if getattr(arguments, name) is not None}
    axes["arch"] = [known("architecture", name, models.CLASSIFIERS) for name in axes.get("arch", ["plain", "resnet"])]
    if "activation" in axes:
        axes["activation"] = [known("activation", name, training.ACTIVATIONS) for name in axes["activation"]]
    shared = {name: getattr(arguments, name) for name in FIELDS if name not in sweep.AXES and hasattr(arguments, name)}
    if shared["epochs"] is None:
        shared |= {"epochs": training.Recipe.epochs, "steps": STEPS if shared["steps"] is None else shared["steps"]}
    try:
        recipes = sweep.grid(axes, **shared)
        train = load_split(recipes[0]).train  # also puts the data on disk before several processes need it
        recipes = [same_data(recipe, train.fingerprint) for recipe in recipes]
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    wrong = sweep.problems(recipes, train.inputs.shape[1:], train.classes or int(train.targets.max()) + 1)
    if wrong:
        first = next(iter(wrong.values()))
        others = f"; neither can {', '.join(list(wrong)[1:])}" if len(wrong) > 1 else ""
        raise UsageError(f"{next(iter(wrong))} cannot be built ({first}){others}")
    return recipes, train.found


def _figure_options(arguments: argparse.Namespace, recipes: Any) -> None:
    from tinyres.lab import sweep

    arguments.metric = known("metric", arguments.metric, sweep.METRICS)
    for option in ("x", "y"):
        if getattr(arguments, option) is not None:
            setattr(arguments, option, known("axis", getattr(arguments, option), sweep.AXES))
    if arguments.x is not None and arguments.x == arguments.y:
        raise UsageError(f"--x and --y are both {arguments.x}: a figure needs two axes")


def _table(recipes: Any, results: Any) -> Any:
    """A table of means over the seeds, one row per combination of the other axes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tinyres.lab import sweep

    several = sweep.varying(recipes)
    axes = [name for name in several if name != "seed"] or ["arch"]
    columns = {metric: sweep.mean(recipes, results, metric, axes) for metric in sweep.METRICS}
    title = f"mean over {len(several['seed'])} seeds" if "seed" in several else None
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=title, title_justify="left")
    for name in (*axes, "accuracy", "training loss", "test loss", "log10 gradient", "diverged"):
        words = name in ("arch", "init", "activation")
        # In a narrow terminal headers wrap first, and nothing is cut off.
        table.add_column(name, justify="left" if words else "right", overflow="fold", no_wrap=name == "arch")
    places = list(columns["accuracy"])
    for place in places[:MOST_ROWS]:
        cells = {metric: found[place] for metric, found in columns.items()}
        count = cells["accuracy"]
        figures = (_figure(cells[metric].value, ".2%" if metric == "accuracy" else ".3f") for metric in columns)
        total = count.ok + count.diverged
        style = "red" if count.diverged else None
        table.add_row(*(_value(value) for value in place), *figures, f"{count.diverged} of {total}", style=style)
    if len(places) > MOST_ROWS:
        table.caption = f"and {len(places) - MOST_ROWS} more rows in sweep.csv"
    return table


def _figure(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)


def _value(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _name(recipe: Any, recipes: Any) -> str:
    from tinyres.lab import sweep

    others = (f"{name} {_value(getattr(recipe, name))}" for name in sweep.varying(recipes) if name != "arch")
    return ", ".join([recipe.arch, *others])


def _kept(recipes: Any, results: Any, path: Path) -> str:
    return f"{sum(recipe in results for recipe in recipes)} of {len(recipes)} points are finished and saved in {path}"
