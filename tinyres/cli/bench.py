"""`tinyres bench`: speed, memory and rounding, beside peers."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from tinyres.cli.common import UsageError, make_folder, make_room, need, on_device


def add(commands: Any) -> None:
    """Declare the command."""
    bench = commands.add_parser("bench", help="measure speed, side by side with peers in one run")
    kinds = bench.add_subparsers(dest="part", metavar="WHAT", required=True)
    made = {}
    for name, rounds, text in (
        ("engine", 60, "measure the tape's cost per operation: a 50-layer tanh MLP, forward and backward"),
        ("kernels", 15, "compare every kernel with this machine's limits and with PyTorch; draw both comparisons"),
        ("resnet", 10, "measure a training step of ResNet-20, batch 128: time, memory, the first step of a process"),
        ("gan", 10, "measure a step of each player of a DCGAN, batch 64: time, memory, the first step of a process"),
        ("r3gan", 5, "measure a step of R3GAN's players, with both penalties, batch 64: time, memory, the first step"),
        ("gpt", 10, "measure a training step of a small GPT, batch 32 of 64 characters: time, memory, the first step"),
        ("mpi", 5, "compare training on two processes over MPI with one process, one thread each"),
    ):
        said = f"{text[0].upper()}{text[1:]}."
        example = f"Example: tinyres bench {name} --rounds {rounds} --json {name}.json"
        kind = made[name] = kinds.add_parser(name, help=text, description=said, epilog=example)
        kind.add_argument("--rounds", type=int, default=rounds, metavar="N",
                          help=f"number of measurements of each (default: {rounds})")  # fmt: skip
        kind.add_argument("--json", type=Path, metavar="FILE", dest="json_file",
                          help="also write the figures to this file (default: none)")  # fmt: skip
        kind.set_defaults(run=run)
    for name in ("kernels", "resnet", "gan"):
        made[name].add_argument("--device", default="cpu", metavar="NAME",
                                help="cpu, or cuda, compared with PyTorch and cuDNN (default: cpu)")  # fmt: skip
    made["kernels"].add_argument("--out", type=Path, metavar="DIR", default=Path("bench-results"),
                                 help="where to write the pictures (default: bench-results)")  # fmt: skip
    made["kernels"].add_argument("--why", action="store_true",
                                 help="only print the algorithm of each convolution, and the limits")  # fmt: skip
    made["resnet"].add_argument("--compile", action="store_true", dest="compiled",
                                help="also run torch.compile, which needs a C++ compiler and a minute")  # fmt: skip
    for name in ("resnet", "gan", "r3gan", "gpt"):
        made[name].add_argument("--no-memory", action="store_false", dest="memory",
                                help="leave out memory and first steps, which need fresh processes")  # fmt: skip
    text = "measure everything on a GPU: smoke checks, conformance, kernels, training steps; within 8 minutes"
    whole = kinds.add_parser(
        "gpu-report",
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="Example: tinyres bench gpu-report --out gpu-results",
    )
    whole.add_argument("--out", type=Path, metavar="DIR", default=Path("gpu-results"),
                       help="where to write the report (default: gpu-results)")  # fmt: skip
    whole.set_defaults(run=run_report)


def run(arguments: argparse.Namespace) -> int:
    """Run one benchmark."""
    device = getattr(arguments, "device", "cpu")
    options = {
        name: value for name, value in vars(arguments).items() if name not in ("command", "part", "run", "device")
    }
    on_device(device)
    if options.pop("why", False):
        need({"rich": "rich"})
        from tinyres.bench import ways

        return ways.main()
    need({"rich": "rich"} | ({"matplotlib": "matplotlib"} if arguments.part == "kernels" else {}))
    if arguments.rounds < 1:
        raise UsageError(f"--rounds {arguments.rounds}: at least one is needed")
    make_room(arguments.json_file, "--json")
    if "out" in options:
        make_folder(options["out"])
    if device == "cuda":
        from tinyres.bench.gpu import alone

        return alone.main(arguments.part, arguments.rounds, arguments.json_file, options.get("out"))
    if arguments.part == "mpi":
        options["mpiexec"] = mpiexec()
    if arguments.part in ("resnet", "gan", "r3gan", "gpt"):
        from tinyres.bench import steps

        return steps.main(arguments.part, **options)
    module = importlib.import_module(f"tinyres.bench.{arguments.part}")
    return int(module.main(**options))


def mpiexec() -> str:
    """What starts the processes of `tinyres bench mpi`."""
    need({"mpi4py": "mpi4py"}, "mpi")
    from tinyres.bench import mpi

    found = mpi.find_mpiexec()
    if found is None:
        raise UsageError("needs mpiexec: load the cluster's MPI, or pip install mpich")
    return found


def run_report(arguments: argparse.Namespace) -> int:
    """Measure everything on the GPU."""
    on_device("cuda")
    make_folder(arguments.out)
    from tinyres.bench.gpu import stages

    return stages.main(arguments.out)
