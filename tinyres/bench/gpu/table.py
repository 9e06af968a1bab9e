"""The README's table: every target, what was measured, the verdict. Until then the README says NOTHING.

python -m tinyres.bench.gpu.table           the targets, with nothing measured
python -m tinyres.bench.gpu.table DIR       the table of a report's folder
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tinyres.bench.gpu import findings, parts
from tinyres.bench.gpu.findings import ON, Figure, Rows, share_of_cudnn, step
from tinyres.bench.gpu.races import CORES
from tinyres.bench.race import Target, said
from tinyres.bench.works import CUDNN, ON_CUDA

NOT_YET = "not yet measured"
NOTHING = "Nothing has been measured on a GPU yet."


class Line(NamedTuple):
    """A line of the table. target: None where a figure is told, but nothing demanded."""

    what: str
    find: Callable[[Rows], Figure]
    target: Target | None = None


MUST = ("performance.md", "56x56")
LINES = (
    Line("conformance of the CUDA kernels on CuPy arrays, failures", findings.conformance, Target(0)),
    Line("tests of the suite that need a GPU, failures", findings.suite, Target(0)),
    Line("-- of the CUDA kernels under memcheck, faults", findings.checker("memcheck")),
    Line("-- of the CUDA kernels under racecheck, hazards", findings.checker("racecheck")),
    Line("convolutions, rate / cuDNN's, TF32 off: the next two", share_of_cudnn(MUST), CUDNN),
    Line("-- of ResNet-20, DCGAN and ImageNet's first", share_of_cudnn(("performance.md",))),
    Line("-- of 128 and 256 channels, 56x56, 3x3", share_of_cudnn(("56x56",))),
    Line("-- 64 to 256 channels, 56x56, 1x1", share_of_cudnn(("1x1",))),
    Line("-- all, as called: launches included", share_of_cudnn(MUST, how="called")),
    Line("-- all, cuDNN with TF32", share_of_cudnn(MUST, ON)),
    *(Line(f"-- all, {name.removeprefix('tinyres, ')}", share_of_cudnn(MUST, ours=name))
      for name in CORES),
    Line("rms error against float64, ours / cuDNN's", findings.error_ratio),
    Line("ResNet-20 step, batch 1,024, time / eager PyTorch's, TF32 off", step("resnet", 1024), ON_CUDA),
    Line("-- with TF32", step("resnet", 1024, ON)),
    Line("-- batch 128", step("resnet", 128)),
    Line("-- batch 1,024, memory / PyTorch's", findings.memory("resnet", 1024)),
    Line("DCGAN, a step of each player, batch 64, time / eager PyTorch's", step("gan", 64)),
    Line("-- batch 512", step("gan", 512)),
    Line("share of the copy bandwidth: pools, norms, losses, updates", findings.streaming),
    Line("the host's cost of a launch", findings.launch),
    Line("minutes that `tinyres bench gpu-report` takes", findings.minutes, Target(8)),
)  # fmt: skip


def verdict(figure: Figure, target: Target | None, begun: bool) -> str:
    """In words. begun: whether a report was made at all."""
    if figure.value is None:
        if not begun:
            return NOT_YET
        return f"not measured: {figure.wanting}" if figure.wanting else "not measured"
    if target is None:
        return figure.wanting
    outcome = target.outcome(figure.value)
    if not figure.wanting:
        return outcome
    return f"{outcome}; {figure.wanting}" if outcome == "MISSED" else f"incomplete: {figure.wanting}"


def readme(rows: Rows) -> str:
    """The table in Markdown, under a line that says what was measured, on what, when and with which versions."""
    lines = [heading(rows), "", "| on a GPU | must | aim | measured | verdict |", "|---|---|---|---|---|"]
    for line in LINES:
        figure, target = found(line, rows), line.target
        sign = "" if target is None else "at least " if target.at_least else "at most "
        must = f"{sign}{target.must:g}" if target else ""
        aim = f"{target.aim:g}" if target and target.aim is not None else ""
        cells = line.what, must, aim, figure.text, verdict(figure, target, bool(rows))
        lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ")[:200] for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def found(line: Line, rows: Rows) -> Figure:
    """The figure; one that cannot be told must not cost the others."""
    try:
        return line.find(rows)
    except Exception as error:
        return Figure(None, wanting=said(error))


def heading(rows: Rows) -> str:
    card = next((row for row in rows if row["part"] == "card" and "card" in row), None)
    if card is None:
        return NOTHING if not rows else "The card did not say what it is."
    versions = ", ".join(f"{name} {value}" for name, value in card["versions"].items() if value)
    memory = f"{(card['memory_bytes'] or 0) / 2**30:.0f} GiB, {card['multiprocessors']} multiprocessors"
    return f"{card['date']}, {card['card']} ({memory}); {versions}."


def missed(rows: Rows) -> list[str]:
    """The targets that are not met in full."""
    met = ("met", "aim met")
    return [line.what for line in LINES if line.target and verdict(found(line, rows), line.target, True) not in met]


def main(arguments: Sequence[str]) -> None:
    print(readme(parts.read(Path(arguments[0])) if arguments else []), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
