"""`tinyres bench kernels`: the kernel sets against each other, this machine's limits, and PyTorch if installed.

Each convolution is timed from the unpadded image to a new output, as PyTorch's is; of PyTorch's two memory formats
the faster one counts. Compilation is told apart.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinyres.bench import accuracy, convolutions, peers, report, scaling, works
from tinyres.bench.accuracy import Error
from tinyres.bench.agreement import Disagreement, disagreements
from tinyres.bench.clocks import HostClock, seconds
from tinyres.bench.convolutions import PASSES, Shape
from tinyres.bench.peers import FORMATS
from tinyres.bench.race import OURS, Times, Timing, Verdict, begin, fastest, geometric_mean, race
from tinyres.bench.streams import Stream, streams
from tinyres.bench.works import AGREE

CPU = "cpu"  # what our fastest kernel set is called beside the others
Tick = Callable[[], Any]


class Row(NamedTuple):
    """One work. ours: which peer is."""

    name: str
    ours: str
    times: Times
    disagreements: list[Disagreement]

    @property
    def mine(self) -> Timing:
        return self.times[self.ours]

    @property
    def rival(self) -> str | None:
        """PyTorch's faster format."""
        return fastest(self.times, FORMATS)

    @property
    def ratio(self) -> float | None:
        return self.mine.median / self.times[self.rival].median if self.rival else None

    def to_json(self) -> dict[str, Any]:
        return {"timings": report.timings(self.times), "ratio": self.ratio}


class Convolution(NamedTuple):
    """A pass of one, with everyone's error against float64."""

    shape: Shape
    which: str
    row: Row
    errors: dict[str, Error]

    @property
    def rate(self) -> float:
        """FLOP/s of the direct convolution."""
        return self.shape.flops / self.row.mine.median

    @property
    def error_ratio(self) -> float | None:
        """Ours / that of PyTorch's faster format: one computation is judged for speed and error."""
        return self.errors[CPU].worse(self.errors[self.row.rival]) if self.row.rival else None

    def to_json(self, peak: float) -> dict[str, Any]:
        rates = {"gflops": self.rate / 1e9, "share_of_peak": self.rate / peak}
        return {"shape": self.shape._asdict(), "pass": self.which, **self.row.to_json(), **rates}

    def errors_to_json(self) -> dict[str, Any]:
        found = {name.replace(CPU, "ours"): error._asdict() for name, error in self.errors.items()}
        return {"shape": self.shape._asdict(), "pass": self.which, "ratio": self.error_ratio, "errors": found}


def measure(torch: Any | None, shape: Shape, rounds: int, tick: Tick = lambda: None) -> list[Convolution]:
    """The three passes. The slow kernel set has a race of its own: BLAS's threads would be in the others' way."""
    found, drawn, clock = [], convolutions.draw(shape), HostClock()
    rungs = {name: importlib.import_module(f"tinyres_kernels.{name}") for name in ("im2col", CPU)}
    for which, everyone in convolutions.peers(torch, shape, drawn, rungs).items():
        results = begin(everyone, clock, needed=everyone).results
        wrong = disagreements(f"{shape} {which}", results, AGREE)
        slow = {"im2col": everyone.pop("im2col")}
        errors = accuracy.errors(shape, which, drawn, {name: results[name] for name in everyone})
        times = race(everyone, clock, rounds) | race(slow, HostClock(pause=0), max(1, rounds // 5))
        found.append(Convolution(shape, which, Row(f"{shape} {which}", CPU, times, wrong), errors))
        tick()
    return found


def measure_streams(torch: Any | None, entries: Sequence[Stream], rounds: int, tick: Tick = lambda: None) -> list[Row]:
    """Each in turn; and who disagrees."""
    rows, clock = [], HostClock()
    for stream in entries:
        everyone = stream.peers(torch)
        wrong = disagreements(stream.name, begin(everyone, clock, needed=everyone).results, AGREE)
        rows.append(Row(stream.name, OURS, race(everyone, clock, rounds), wrong))
        tick()
    return rows


def show(to: Any, title: str, found: list[Convolution], peak: float) -> None:
    """Print the table."""
    title += ", milliseconds (median); PyTorch in its faster memory format; ratio: ours / PyTorch"
    columns = ["N, C, H -> O, K, stride", "pass", "ours", "quartiles", "GFLOP/s", "of peak", "im2col"]
    made = report.table(title, [*columns, "PyTorch", "channels", "ratio"], left=2)
    for each in found:
        row, rival = each.row, each.row.rival
        theirs = (f"{row.times[rival].median * 1e3:.2f}", rival.split()[-1]) if rival else ("-", "")
        made.add_row(
            *_named(each), f"{row.mine.median * 1e3:.2f}", row.mine.quartiles(), f"{each.rate / 1e9:.0f}",
            f"{each.rate / peak:.0%}", f"{row.times['im2col'].median * 1e3:.1f}", *theirs, report.number(row.ratio),
        )  # fmt: skip
    to.print(made)


def verdicts_of(found: list[Convolution], narrow: list[Convolution], peak: float) -> list[Verdict]:
    """On the two tables' ratios, and on the share of the peak."""
    verdicts = []
    for what, some, mean, worst in (
        ("", found, works.MEAN, works.WORST),
        (" in groups, 1 x n and 1 x 1", narrow, works.NARROW_MEAN, works.NARROW_WORST),
    ):
        if ratios := [each.row.ratio for each in some if each.row.ratio is not None]:
            verdicts += [Verdict(f"geometric mean of ours / PyTorch{what}", geometric_mean(ratios), mean),
                         Verdict(f"worst of ours / PyTorch{what}", max(ratios), worst)]  # fmt: skip
    shares = [100 * each.rate / peak for each in found if each.shape.C in (32, 64)]
    what = "least share of the FMA peak at 32 and 64 channels, %"
    return [*verdicts, Verdict(what, min(shares), works.PEAK)] if shares else verdicts


def show_streams(to: Any, rows: list[Row]) -> list[Verdict]:
    """Print the table; the verdict is on the worst ratio."""
    columns = ["", "ours", "quartiles", "PyTorch, last", "first", "ratio"]
    made = report.table("What streams memory, milliseconds (median); ratio: ours / PyTorch's faster", columns)
    made.caption = "last, first: where PyTorch has its channels"
    for row in rows:
        theirs = [f"{row.times[name].median * 1e3:.2f}" if name in row.times else "-" for name in FORMATS]
        made.add_row(row.name, f"{row.mine.median * 1e3:.2f}", row.mine.quartiles(), *theirs, report.number(row.ratio))
    to.print(made)
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if not ratios:
        return []
    to.print(f"geometric mean, ours / PyTorch: {geometric_mean(ratios):.2f}; worst {max(ratios):.2f}")
    return [Verdict("worst of ours / PyTorch, streaming memory", max(ratios), works.STREAMED)]


def show_errors(to: Any, found: list[Convolution]) -> list[Verdict]:
    """Print the table; the verdict is on the worst ratio."""
    title = "float32 against float64: largest error / largest number, and rms error / rms"
    columns = ["N, C, H -> O, K, stride", "pass", "ours", "rms", "PyTorch, last", "rms", "first", "rms", "ratio"]
    made = report.table(title, columns, left=2)
    made.caption = "last, first: where PyTorch has its channels. ratio: ours / PyTorch's faster (*), the worse of both"
    for each in found:
        own, theirs = each.errors[CPU], accuracy.cells(each.errors, each.row.rival)
        ratio = report.number(each.error_ratio)
        made.add_row(*_named(each), f"{own.largest:.2e}", f"{own.rms:.2e}", *theirs, ratio)
    to.print(made)
    ratios = [each.error_ratio for each in found if each.error_ratio is not None]
    return [Verdict("worst float32 error, ours / PyTorch", max(ratios), works.ERROR)] if ratios else []


def _named(each: Convolution) -> tuple[str, str]:
    return str(each.shape) if each.which == PASSES[0] else "", each.which


def ladder(to: Any, each: Convolution) -> dict[str, float]:
    """Seconds of each kernel set at one convolution. The loops run on a part of it, scaled up by the work."""
    from tinyres_kernels import reference

    shape = each.shape
    crumb = shape._replace(N=1, C=min(shape.C, 4), O=min(shape.O, 4), H=min(shape.H, 8))
    call = convolutions.ours(reference, crumb, convolutions.draw(crumb))[each.which]
    found = {"reference": seconds(call) * shape.flops / crumb.flops}
    found |= {rung: each.row.times[rung].median for rung in ("im2col", CPU)}
    made = report.table(f"The ladder: {shape}, {each.which}", ["rung", "ms", "times cpu"])
    for rung, taken in found.items():
        note = f" (scaled up from {crumb.flops / shape.flops:.1e} of the work)" if rung == "reference" else ""
        made.add_row(rung + note, f"{taken * 1e3:,.2f}", f"{taken / found[CPU]:,.1f}")
    to.print(made)
    return found


def main(rounds: int, json_file: Path | None, out: Path) -> int:
    """Measure everything, print the tables and verdicts, write the pictures."""
    to, torch, shapes = report.console(), peers.load_torch(), works.SHAPES
    threads = peers.pin_threads(torch)

    def first() -> None:
        from tinyres_kernels import cpu

        for call in convolutions.ours(cpu, shapes[0], convolutions.draw(shapes[0])).values():
            call()

    compiling = seconds(first)
    from tinyres.bench import machine  # Numba, and what is compiled when imported, only now

    to.print(f"kernels ready in {compiling:.1f} s (compiled, or read from Numba's cache), not counted below")
    limits = machine.measure()
    entries = streams(**works.STREAMS["cpu"])
    with report.progress(to, "kernels", len(shapes + works.NARROW) * len(PASSES) + len(entries)) as tick:
        found: list[Convolution] = []
        narrow: list[Convolution] = []
        for shape in shapes + works.NARROW:
            (found if shape in shapes else narrow).extend(measure(torch, shape, rounds, tick))
            limits = limits._replace(flops=max(limits.flops, machine.peak_flops(repeats=5)))  # a limit is a maximum
        streamed = measure_streams(torch, entries, rounds, tick)
    curves = scaling.measure(max(3, rounds // 2), scaling.FAMILIES)

    to.print(str(limits), soft_wrap=True)
    show(to, "Convolutions", found, limits.flops)
    show(to, "Convolutions in groups, 1 x n and 1 x 1", narrow, limits.flops)
    verdicts = [*verdicts_of(found, narrow, limits.flops), *show_streams(to, streamed)]
    steps = ladder(to, found[min(len(found) - 1, len(PASSES))])
    scaling.show(to, curves)
    verdicts += show_errors(to, found + narrow)
    for path in _pictures(found, limits, curves, out):
        to.print(f"wrote {path}", soft_wrap=True)
    document = {
        "machine": limits._asdict(),
        "threads": threads,
        "compile_s": compiling,
        "convolutions": [each.to_json(limits.flops) for each in found + narrow],
        "works": [{"name": row.name, **row.to_json()} for row in streamed],
        "ladder_s": steps,
        "scaling": curves,
        "errors": [each.errors_to_json() for each in found + narrow],
    }
    wrong = [pair for row in [*(each.row for each in found + narrow), *streamed] for pair in row.disagreements]
    return report.conclude(to, verdicts, [] if torch else ["PyTorch"], document, json_file, wrong)


def _pictures(found: list[Convolution], limits: Any, curves: scaling.Curves, out: Path) -> list[Path]:
    from tinyres.bench import figures

    roofs = {f"triad over {limits.memory_bytes >> 20} MB": limits.memory_bandwidth,
             f"triad over {limits.cache_bytes >> 20} MB": limits.cache_bandwidth}  # fmt: skip
    title = f"fused multiply-add peak {limits.flops / 1e9:.0f} GFLOP/s, {limits.threads} threads, float32"
    points = []
    for each in found:
        rival = each.row.rival
        theirs = each.row.times[rival].median if rival else None
        points.append(figures.Point(each.shape, each.which, each.row.mine.median, theirs))
    return [
        figures.roofline(points, limits.flops, roofs, title, out / "roofline.png"),
        figures.linearity(curves, out / "scaling.png"),
    ]
