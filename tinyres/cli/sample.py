"""`tinyres sample`: let a trained model of text write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, need


def add(commands: Any) -> None:
    """Declare the command."""
    sample = commands.add_parser(
        "sample",
        help="let a model that `train gpt` has trained write text",
        description="Write text, character by character, with a model that `tinyres train gpt` has trained.",
        epilog="Example: tinyres sample train-results/gpt-topics --prompt 'The ' --length 200",
    )
    sample.add_argument("run_folder", metavar="RUN", type=Path, help="the folder of the run, or its model.safetensors")
    sample.add_argument("--length", type=int, default=500, metavar="N", help="characters to write (default: 500)")
    sample.add_argument("--prompt", default="", metavar="TEXT", help="text to continue (default: begin a new line)")
    sample.add_argument("--temperature", type=float, default=0.8, metavar="X",
                        help="below 1 for safer characters, above 1 for wilder ones; 0: always the likeliest "
                        "(default: 0.8)")  # fmt: skip
    sample.add_argument("--seed", type=int, default=0, metavar="N", help="random seed (default: 0)")
    sample.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the prompt and what follows it."""
    need({"safetensors": "safetensors", "sklearn": "scikit-learn"})
    from tinyres import training

    if arguments.length < 0:
        raise UsageError(f"--length {arguments.length}: a number of characters is needed, 0 or more")
    if not 0 <= arguments.temperature < float("inf"):
        raise UsageError(f"--temperature {arguments.temperature}: a number of at least 0 is needed")
    if arguments.seed < 0:
        raise UsageError(f"--seed {arguments.seed}: must not be negative")
    try:
        writer = training.Writer(arguments.run_folder)
        text = writer.write(arguments.prompt, arguments.length, arguments.temperature, rng=arguments.seed)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    sys.stdout.write(f"{arguments.prompt}{text}\n")
    return 0
