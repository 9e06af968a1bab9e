"""`tinyres gan compare`: several methods on one data set, each at several seeds, in one table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tinyres.cli.common import LAB, UsageError, check_folder, known, make_folder, need, on_device, progress, writing
from tinyres.cli.terminal import say, terminal

METHODS = ["nonsaturating", "wgan_gp", "sn_hinge", "r3gan"]


def add(parts: Any) -> None:
    """Declare the command."""
    compare = parts.add_parser(
        "compare",
        help="train several methods at several seeds, and print one table",
        description="Train every method at every seed, score each, and print mean, standard deviation and extremes. "
        "Writes a folder for each run, compare.json and compare.png. Repeat the command to continue after an "
        "interruption; a longer list runs only what is new. On digits and stacked-digits, r3gan has other rates than "
        "its authors', chosen after theirs had failed: theirs are "
        "r3gan,lr_g=2e-4,lr_d=2e-4,lr_end=0.25,penalty_end=0.1.",
        epilog="Example: tinyres gan compare --data ring8 --methods wgan_gp r3gan,penalty=none --seeds 2",
    )
    compare.add_argument("--data", default="stacked-digits", metavar="NAME",
                         help="data set (default: stacked-digits)")  # fmt: skip
    compare.add_argument("--methods", nargs="+", default=METHODS, metavar="NAME",
                         help=f"methods, with what is changed in them, as in r3gan,penalty=none,steps=500 "
                         f"(default: {' '.join(METHODS)})")  # fmt: skip
    compare.add_argument("--seeds", type=int, default=3, metavar="N", help="number of seeds, from 0 on (default: 3)")
    compare.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda (default: cpu)")
    compare.add_argument("--out", type=Path, metavar="DIR",
                         help="where to write (default: gan-results/compare-DATA)")  # fmt: skip
    compare.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run what is missing, print the table, draw the picture."""
    need(LAB | {"safetensors": "safetensors", "scipy": "scipy"})
    from tinyres import gan
    from tinyres.files import FileFormatError, write_json
    from tinyres.gan.compare import draw, figures_of
    from tinyres.lock import FolderTaken
    from tinyres.training import CheckpointError

    if arguments.seeds < 1:
        raise UsageError(f"--seeds {arguments.seeds}: at least 1 is needed")
    on_device(arguments.device)
    data, console = known("data set", arguments.data, gan.SHAPES), terminal()
    out = arguments.out or Path("gan-results") / f"compare-{data}"
    check_folder(out)
    try:
        entrants = [gan.Entrant.of(text) for text in arguments.methods]
        for entrant in entrants:
            gan.players(entrant.recipe(data, 0))
    except ValueError as error:
        raise UsageError(f"--methods: {error}") from error
    make_folder(out)
    try:
        with writing(out), progress(console) as bars:
            bar = bars.add_task("steps", total=None)
            entries = gan.compare(
                data, entrants, range(arguments.seeds), out, device=arguments.device,
                say=lambda line: say(console, line),
                tick=lambda step, total: bars.update(bar, completed=step, total=total),
            )  # fmt: skip
    except (ImportError, ValueError, CheckpointError, FileFormatError, FolderTaken) as error:
        raise UsageError(str(error)) from error
    if entries is None:
        say(console, "stopped; repeat the command to continue")
        return 130
    names, title = figures_of(data), f"{data}, {arguments.seeds} seed{'s' if arguments.seeds > 1 else ''}"
    console.print(_table(entries, names, title))
    for entry in entries:
        for seed, why in entry.failed.items():
            say(console, f"{entry.entrant.text}, seed {seed}: {why}", "diverged:", "bold red")
    with writing(out):
        write_json(out / "compare.json", {"data": data, "entries": [entry.to_json() for entry in entries]})
        gan.pictures.write(out / "compare.png", draw, entries, names, title, size=(11, 1.5 + 0.5 * len(entries)))
    say(console, f"wrote {out / 'compare.json'}, {out / 'compare.png'}")
    return 1 if any(entry.failed for entry in entries) else 0


def _table(entries: Any, names: Any, title: str) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, title=title)
    table.add_column("method", overflow="fold")
    for name in names:
        table.add_column(name.replace("_", " "))
    for entry in entries:
        cells = [_cell(entry.values(name)) for name in names]
        table.add_row(entry.entrant.text, *cells)
    return table


def _cell(values: Any) -> str:
    """Mean, standard deviation, and the extremes below them."""
    if not len(values):
        return "-"
    if len(values) == 1:
        return f"{values[0]:.4g}"
    return f"{values.mean():.4g} ± {values.std(ddof=1):.2g}\n{values.min():.4g} to {values.max():.4g}"
