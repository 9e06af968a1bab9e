"""What the rows say about each target: one number, how it reads, and what is wanting for it to count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tinyres.bench import works
from tinyres.bench.convolutions import PASSES
from tinyres.bench.gpu.parts import PARTS, REPORT, STAGES, Row
from tinyres.bench.peers import FORMATS, TF32
from tinyres.bench.race import OURS, geometric_mean

OFF = tuple(FORMATS)  # PyTorch's peers without TF32, and with it
ON = tuple(name + TF32 for name in FORMATS)
Rows = Sequence[Row]


class Figure(NamedTuple):
    """value: None where nothing was measured. wanting: why it does not count in full; empty where it does."""

    value: float | None
    text: str = ""
    wanting: str = ""


def of(rows: Rows, part: str, key: str = "name") -> list[Row]:
    """A part's rows that tell this."""
    return [row for row in rows if row["part"] == part and key in row]


def errors(rows: Rows, part: str) -> list[str]:
    return [f"{row['name']}: {row['error']}" for row in of(rows, part) if "error" in row and "timings" not in row]


def unmeasured(rows: Rows, part: str) -> Figure:
    """Nothing was found: the part did not run, or this is why."""
    return Figure(None, wanting=next(iter(errors(rows, part)), ""))


def seconds(row: Row, names: Sequence[str], how: str) -> float | None:
    """The median of the fastest of these peers. how: `device` or `called`."""
    found = [row["timings"][name][how]["median_s"] for name in names if name in row.get("timings", {})]
    return min(found) if found else None


def ratio(row: Row, ours: str, theirs: Sequence[str], how: str) -> float | None:
    """Our time / theirs; None where either is missing, or the results disagree."""
    mine, other = seconds(row, [ours], how), seconds(row, theirs, how)
    bad = {ours, *theirs} & row.get("disagree", {}).keys()
    return mine / other if mine and other and not bad else None


def conformance(rows: Rows) -> Figure:
    checked = of(rows, "conformance", "cases")
    if not checked:
        return unmeasured(rows, "conformance")
    failed, cases = sum(row["failed"] for row in checked), sum(row["cases"] for row in checked)
    rung = next((row["rung"] for row in of(rows, "conformance", "rung")), "?")
    wrong = errors(rows, "conformance") + ([] if rung.endswith(".cuda") else [f"these were the kernels of {rung}"])
    return Figure(failed, f"{failed} of {cases:,} cases fail, in {len(checked)} kernels", "; ".join(wrong))


def suite(rows: Rows) -> Figure:
    """Of all runs together: a test that was run again counts as it ended last."""
    outcomes: dict[str, str] = {}
    for row in of(rows, "suite", "counts"):
        outcomes |= row["outcomes"]
    counts = Counter(outcomes.values())
    if not counts:
        return unmeasured(rows, "suite")
    wrong = [error for part in ("suite", "table", "again") for error in errors(rows, part)]
    wrong += [] if counts["passed"] else ["no test ran to its end"]
    text = ", ".join(f"{count} {how}" for how, count in counts.items())
    return Figure(counts["failed"] + counts["error"], text, "; ".join(wrong))


def checker(tool: str) -> Callable[[Rows], Figure]:
    """Faults that one of compute-sanitizer's tools found."""

    def find(rows: Rows) -> Figure:
        row = next(iter(of(rows, tool, "faults")), None)
        if row is None:
            return unmeasured(rows, tool)
        tests = ", ".join(f"{count} {how}" for how, count in row["counts"].items())
        wanting = "" if row["counts"].get("passed") else "no test passed"
        return Figure(row["faults"], f"{row['faults']}; {tests}", wanting)

    return find


def share_of_cudnn(
    families: Sequence[str], theirs: Sequence[str] = OFF, ours: str = OURS, how: str = "device"
) -> Callable[[Rows], Figure]:
    """Our rate / cuDNN's, the geometric mean over the shapes and passes of these families."""

    def find(rows: Rows) -> Figure:
        chosen = [row for row in of(rows, "convolutions") if row.get("family") in families]
        ratios = [r for r in (ratio(row, ours, theirs, how) for row in chosen) if r]
        if not ratios:
            return unmeasured(rows, "convolutions")
        shares = [1 / r for r in ratios]
        wanted = len(PASSES) * sum(len(works.FAMILIES[family]) for family in families)
        rungs = {row["rung"] for row in chosen if "rung" in row}
        wanting = [] if len(shares) == wanted else [f"{len(shares)} of {wanted} were measured and agree"]
        wanting += [f"rung {rung}" for rung in rungs if not rung.endswith(".cuda")]
        text = f"{geometric_mean(shares):.2f} ({min(shares):.2f} to {max(shares):.2f}, {len(shares)} passes)"
        return Figure(geometric_mean(shares), text, "; ".join(wanting))

    return find


def error_ratio(rows: Rows) -> Figure:
    """Of all convolutions: our rms error against float64 / that of cuDNN's faster format, TF32 off."""
    found = []
    for row in of(rows, "convolutions"):
        times, rms = row.get("timings", {}), {name: e["rms"] for name, e in row.get("errors", {}).items()}
        at = {name: times[name]["device"]["median_s"] for name in OFF if name in times and name in rms}
        if at:
            found.append(rms[OURS] / rms[min(at, key=at.__getitem__)])
    if not found:
        return unmeasured(rows, "convolutions")
    return Figure(geometric_mean(found), f"{geometric_mean(found):.2f} (worst {max(found):.2f})")


def step(part: str, batch: int, theirs: Sequence[str] = OFF) -> Callable[[Rows], Figure]:
    """Our time of a training step / eager PyTorch's in its faster format."""

    def find(rows: Rows) -> Figure:
        row = next((row for row in of(rows, part, "timings") if row.get("batch") == batch), None)
        value = ratio(row, OURS, theirs, "called") if row else None
        if row is None or value is None:
            disagree = ", ".join((row or {}).get("disagree", {}))
            return Figure(None, wanting=f"losses disagree: {disagree}") if disagree else unmeasured(rows, part)
        mine, other = (1e3 * float(seconds(row, names, "called") or 0) for names in ([OURS], theirs))
        text, device = f"{value:.2f} ({mine:.1f} / {other:.1f} ms)", ratio(row, OURS, theirs, "device")
        if device is not None:  # where the two differ, it is the host that launches which is measured
            alone = (1e3 * float(seconds(row, names, "device") or 0) for names in ([OURS], theirs))
            text += "; the device alone: {:.2f} ({:.1f} / {:.1f} ms)".format(device, *alone)
        return Figure(value, text)

    return find


def memory(part: str, batch: int) -> Callable[[Rows], Figure]:
    def find(rows: Rows) -> Figure:
        row = next((row for row in of(rows, part) if row.get("batch") == batch and row.get("memory_bytes")), None)
        theirs = [row["memory_bytes"][name] for name in OFF if name in row["memory_bytes"]] if row else []
        if row is None or not theirs or not min(theirs):
            return unmeasured(rows, part)
        mine = row["memory_bytes"][OURS]
        return Figure(
            mine / min(theirs), f"{mine / min(theirs):.2f} ({mine / 1e6:.0f} MB / {min(theirs) / 1e6:.0f} MB)"
        )

    return find


def bandwidth(rows: Rows) -> float | None:
    """Bytes a second of a copy."""
    return next((row["bytes_per_s"] for row in of(rows, "card", "bytes_per_s")), None)


def streaming(rows: Rows) -> Figure:
    """Compulsory traffic / time, as a share of the copy bandwidth; the median over all works."""
    copy, found = bandwidth(rows), of(rows, "streams", "timings")
    if not copy or not found:
        return unmeasured(rows, "streams")
    shares = [row["bytes"] / row["timings"][OURS]["device"]["median_s"] / copy for row in found]
    return Figure(float(np.median(shares)), f"{np.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})")


def launch(rows: Rows) -> Figure:
    row = next(iter(of(rows, "card", "host_s")), None)
    if row is None:
        return unmeasured(rows, "card")
    costs = {name: 1e6 * value for name, value in row["host_s"].items()}
    return Figure(next(iter(costs.values())), ", ".join(f"{name} {value:.1f} µs" for name, value in costs.items()))


def minutes(rows: Rows) -> Figure:
    """Of the stages that `gpu-report` runs."""
    took = [row["seconds"] for row in of(rows, "report") if row["name"] in [f"stage {name}" for name in REPORT]]
    if not took:
        return Figure(None)
    missing = [PARTS[part].title for name in REPORT for part in STAGES[name].parts if not of(rows, part)]
    return Figure(sum(took) / 60, f"{sum(took) / 60:.1f}", f"without {', '.join(missing)}" if missing else "")
