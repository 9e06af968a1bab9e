"""`tinyres bench kernels --why`: which way each convolution goes on this machine, and the limits that decide, and
what trials have changed; with a line on each word that stands there."""

from __future__ import annotations

from typing import Any

from tinyres.bench import report, words, works
from tinyres.bench.convolutions import Shape


def plans(shape: Shape) -> dict[str, str]:
    """By pass, what the kernels' planner says."""
    from tinyres_kernels import cpu

    x, g = (shape.N, shape.H, shape.H, shape.C), (shape.N, shape.out, shape.out, shape.O)
    how: dict[str, Any] = {
        "stride": (shape.stride,) * 2,
        "padding": shape.pads,
        "dilation": (1, 1),
        "groups": shape.groups,
    }
    given: dict[str, tuple[Any, ...]] = {
        "forward": ("conv2d", x, shape.weight, g),
        "dx": ("conv2d_dx", g, shape.weight, x),
        "dw": ("conv2d_dw", x, g, shape.weight),
    }
    return {which: str(cpu.explain(*arguments, **how)) for which, arguments in given.items()}


def main() -> int:
    """Print all of it."""
    from tinyres_kernels.cpu.choices import LIMITS
    from tinyres_kernels.cpu.host import TARGET, threads
    from tinyres_kernels.cpu.measured import file, found

    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        to.print(text, soft_wrap=True, markup=False, highlight=False)

    to, (lanes, registers) = report.console(), TARGET
    say(f"{threads()} threads, {lanes} float32 lanes, {registers} vector registers")
    for shape in works.SHAPES + works.NARROW:
        say(f"\n{shape}        (N, C, H -> O, K, stride)")
        for which, plan in plans(shape).items():
            say(f"    {which:8}  {plan}")
    say("\nThe limits that decide (kernels/tinyres_kernels/cpu/choices.py)")
    for name, limit in LIMITS.items():
        say(f"    {name:18} {limit.value:12,.0f}  {limit.why}")
    say(f"\nWhat trials have changed on this machine ({file() or 'nothing is kept: TINYRES_TRIALS=0, or no folder'})")
    for about, choice in sorted(found().items()):
        if choice:
            say(f"    {about}:  {', '.join(f'{name} {value}' for name, value in choice)}")
    say("\nThe words above")
    for word, meaning in words.appearing("\n".join(said)).items():
        say(f"    {word:20} {meaning}")
    return 0
