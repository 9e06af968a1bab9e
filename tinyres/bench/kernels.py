"""`tinyres bench kernels`: every rung against the others, this machine's limits, and PyTorch where it is installed.

Each convolution is timed from the unpadded image to a new output, as PyTorch's is; of PyTorch's two memory formats
the faster one counts. Compilation is told apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tinyres.bench import accuracy, convolutions, peers, report, scaling, works
from tinyres.bench.agreement import Disagreement
from tinyres.bench.convolutions import FORMATS, PASSES, Shape
from tinyres.bench.report import Target, Verdict
from tinyres.bench.timing import PAUSE, Timing, enough, interleave, seconds

TARGETS = {
    "geometric mean of ours / PyTorch": Target(1.0, 0.8),
    "worst of ours / PyTorch": Target(1.5, 1.1),
    "least share of the FMA peak at 32 and 64 channels, %": Target(65, 85, at_least=True),
}


class Row(NamedTuple):
    shape: Shape
    which: str
    times: dict[str, Timing]
    disagreements: list[Disagreement]

    @property
    def rival(self) -> tuple[str, Timing] | None:
        """PyTorch's faster format."""
        theirs = [(name, t) for name, t in self.times.items() if name in FORMATS]
        return min(theirs, key=lambda pair: pair[1].median) if theirs else None

    @property
    def ratio(self) -> float | None:
        return self.times["cpu"].median / self.rival[1].median if self.rival else None

    @property
    def rate(self) -> float:
        """FLOP/s of the direct convolution."""
        return self.shape.flops / self.times["cpu"].median

    def to_json(self, peak: float) -> dict[str, Any]:
        return {
            "shape": self.shape._asdict(),
            "pass": self.which,
            "timings": {name: t.to_json() for name, t in self.times.items()},
            "gflops": self.rate / 1e9,
            "share_of_peak": self.rate / peak,
            "ratio": self.ratio,
        }


def measure(torch: Any | None, shape: Shape, rounds: int, tick: Callable[[], Any] = lambda: None) -> list[Row]:
    """The three passes. The slow rung has a race of its own: BLAS's threads would be in the others' way."""
    from tinyres_kernels import cpu, im2col

    rows = []
    arrays = convolutions.draw(shape)
    slow = convolutions.ours(im2col, shape, arrays)
    for which, calls in convolutions.peers(torch, shape, arrays, {"cpu": cpu}).items():
        wrong = convolutions.disagreements(shape, which, {"im2col": slow[which], **calls})
        times = interleave(calls, rounds, enough(calls["cpu"]), warm_up=2, pause=PAUSE)
        times |= interleave({"im2col": slow[which]}, max(1, rounds // 5), warm_up=1)
        rows.append(Row(shape, which, times, wrong))
        tick()
    return rows


def show(to: Any, rows: list[Row], peak: float) -> list[Verdict]:
    """Print the table; the verdicts."""
    title = "Convolutions, milliseconds (median); PyTorch in its faster memory format; ratio: ours / PyTorch"
    columns = ["N, C, H -> O, K, stride", "pass", "ours", "quartiles", "GFLOP/s", "of peak", "im2col"]
    made = report.table(title, [*columns, "PyTorch", "channels", "ratio"], left=2)
    for row in rows:
        mine, rival = row.times["cpu"], row.rival
        theirs = (f"{rival[1].median * 1e3:.2f}", rival[0].split()[-1]) if rival else ("-", "")
        made.add_row(
            str(row.shape) if row.which == PASSES[0] else "",
            row.which,
            f"{mine.median * 1e3:.2f}",
            mine.quartiles(),
            f"{row.rate / 1e9:.0f}",
            f"{row.rate / peak:.0%}",
            f"{row.times['im2col'].median * 1e3:.1f}",
            *theirs,
            "-" if row.ratio is None else f"{row.ratio:.2f}",
        )
    to.print(made)
    mean, worst, share = TARGETS.items()
    verdicts = []
    ratios = [row.ratio for row in rows if row.ratio is not None]
    if ratios:
        verdicts = [Verdict(mean[0], report.geometric_mean(ratios), mean[1]), Verdict(worst[0], max(ratios), worst[1])]
    shares = [100 * row.rate / peak for row in rows if row.shape.C in (32, 64)]
    return [*verdicts, Verdict(share[0], min(shares), share[1])] if shares else verdicts


def ladder(to: Any, row: Row) -> dict[str, float]:
    """Seconds of each rung at one convolution. The loops run on a crumb of it: theirs is scaled up by the work."""
    from tinyres_kernels import reference

    shape = row.shape
    crumb = shape._replace(N=1, C=min(shape.C, 4), O=min(shape.O, 4), H=min(shape.H, 8))
    call = convolutions.ours(reference, crumb, convolutions.draw(crumb))[row.which]
    found = {"reference": seconds(call) * shape.flops / crumb.flops}
    found |= {rung: row.times[rung].median for rung in ("im2col", "cpu")}
    made = report.table(f"The ladder: {shape}, {row.which}", ["rung", "ms", "times cpu"])
    for rung, taken in found.items():
        note = f" (scaled up from {crumb.flops / shape.flops:.1e} of the work)" if rung == "reference" else ""
        made.add_row(rung + note, f"{taken * 1e3:,.2f}", f"{taken / found['cpu']:,.1f}")
    to.print(made)
    return found


def main(rounds: int, json_file: Path | None, out: Path) -> int:
    """Measure everything, print the tables and verdicts, write the pictures."""
    to, torch, shapes = report.console(), peers.load_torch(), convolutions.SHAPES
    threads = peers.pin_threads(torch)
    start = time.perf_counter()
    for call in convolutions.ours(_compiled(), shapes[0], convolutions.draw(shapes[0])).values():
        call()
    compiling = time.perf_counter() - start
    from tinyres.bench import figures, machine  # Numba, and what is compiled when imported, only now

    to.print(f"kernels ready in {compiling:.1f} s (compiled, or read from Numba's cache), not counted below")
    limits = machine.measure()
    entries = works.works()
    with report.progress(to, "convolutions", 2 * len(shapes) * len(PASSES) + len(entries)) as tick:
        rows = []
        for shape in shapes:
            rows += measure(torch, shape, rounds, tick)
            limits = limits._replace(flops=max(limits.flops, machine.peak_flops(repeats=5)))  # a limit is a maximum
        streams = works.measure(torch, entries, rounds, tick)
        rivals = {(row.shape, row.which): row.rival and row.rival[0] for row in rows}
        errors = accuracy.measure(torch, shapes, rivals, tick)
    curves = scaling.measure(max(3, rounds // 2), scaling.FAMILIES)

    to.print(str(limits), soft_wrap=True)
    verdicts = show(to, rows, limits.flops)
    works.show(to, streams)
    steps = ladder(to, rows[min(len(rows) - 1, len(PASSES))])
    scaling.show(to, curves)
    verdicts += accuracy.show(to, errors)
    roofs = {f"triad over {limits.memory_bytes >> 20} MB": limits.memory_bandwidth,
             f"triad over {limits.cache_bytes >> 20} MB": limits.cache_bandwidth}  # fmt: skip
    title = f"fused multiply-add peak {limits.flops / 1e9:.0f} GFLOP/s, {limits.threads} threads, float32"
    points = [figures.Point(r.shape, r.which, r.times["cpu"].median, r.rival and r.rival[1].median) for r in rows]
    for path in (
        figures.roofline(points, limits.flops, roofs, title, out / "roofline.png"),
        figures.linearity(curves, out / "scaling.png"),
    ):
        to.print(f"wrote {path}", soft_wrap=True)
    document = {
        "machine": limits._asdict(),
        "threads": threads,
        "compile_s": compiling,
        "convolutions": [row.to_json(limits.flops) for row in rows],
        "works": [{"name": r.name, "ratio": r.ratio, "timings": {n: t.to_json() for n, t in r.times.items()}}
                  for r in streams],
        "ladder_s": steps,
        "scaling": curves,
        "errors": [row.to_json() for row in errors],
    }  # fmt: skip
    wrong = [pair for found in (rows, streams) for row in found for pair in row.disagreements]
    return report.conclude(to, verdicts, [] if torch else ["PyTorch"], document, json_file, wrong)


def _compiled() -> Any:
    from tinyres_kernels import cpu

    return cpu
