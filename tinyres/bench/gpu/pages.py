"""The whole report as Markdown: the README's table, then everything that it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinyres.bench.convolutions import Shape
from tinyres.bench.gpu import findings, smoke, table
from tinyres.bench.gpu.findings import OFF, ON, Rows, of, ratio, seconds
from tinyres.bench.gpu.parts import PARTS, REPORT, STAGES, attempt
from tinyres.bench.gpu.races import CORES
from tinyres.bench.race import OURS

CORE = next(iter(CORES))
CONVOLUTIONS = (
    "N, C, H -> O, K, stride", "pass", "ours, µs", "quartiles", "TFLOP/s", "called, µs", "cuDNN, µs", "with TF32",
    "rate / cuDNN's", "tensor cores", "rms error", "/ cuDNN's", "compile, s",
)  # fmt: skip


REPORTED = tuple(part for name in REPORT for part in STAGES[name].parts)


def page(rows: Rows) -> str:
    """All of it. A part that found nothing says why; of those beyond `gpu-report`, only what was run."""
    which = [name for name in PARTS if name in REPORTED or of(rows, name)]
    sections = [f"# tinyres on a GPU\n\n{table.readme(rows)}"]
    return "\n".join(sections + [section(name, rows) for name in which])


def section(name: str, rows: Rows) -> str:
    """One part."""
    lines = [f"## {PARTS[name].title[0].upper()}{PARTS[name].title[1:]}", ""]
    told = attempt(name, lambda: {"body": list(_BODIES[name](rows, name))})
    body = told.get("body") or ([f"The rows cannot be read: {told['error']}"] if "error" in told else [])
    lines += body or ([] if findings.errors(rows, name) else ["Not measured."])
    lines += [f"- not measured: {error}" for error in findings.errors(rows, name)]
    return "\n".join(lines) + "\n"


def _facts(rows: Rows, part: str) -> Iterator[str]:
    for row in of(rows, part):
        told = {key: value for key, value in row.items() if key not in ("part", "name", "on", "error", "traceback")}
        if row["name"] != PARTS[part].title and told:
            yield f"- {row['name']}: {told}"


def _smoke(rows: Rows, part: str) -> Iterator[str]:
    for row in of(rows, part):
        if row["name"] == smoke.GATE:
            yield f"- the gate is {'open' if row['open'] else 'SHUT: ' + ', '.join(row['shut by'])}"
        elif "needed" in row and "error" not in row:
            known = ("part", "name", "on", "needed", "seconds")
            found = ", ".join(f"{key}: {value}" for key, value in row.items() if key not in known)
            yield f"- ok: {row['name']} ({row['seconds']:.1f} s) {found}".rstrip()


def _checker(rows: Rows, part: str) -> Iterator[str]:
    for row in of(rows, part, "faults"):
        yield f"- {findings.checker(part)(rows).text}"
        yield from (f"- FAULT: {found}" for found in row["found"])


def _card(rows: Rows, part: str) -> Iterator[str]:
    for row in of(rows, part):
        if "bytes_per_s" in row:
            yield f"- copy, read and written: {row['bytes_per_s'] / 1e9:,.0f} GB/s"
        elif "flops_per_s" in row:
            by = ", ".join(f"{name} {rate / 1e12:.1f}" for name, rate in row["by"].items())
            yield f"- {row['name']}: {row['flops_per_s'] / 1e12:.1f} TFLOP/s ({by})"
        elif "host_s" in row:
            yield f"- a launch costs the host: {findings.launch(rows).text}"
        elif "card" in row:
            yield f"- {table.heading(rows)}"
            cache = (row["l2_bytes"] or 0) / 2**20
            yield f"- compute capability {row['compute_capability']}, L2 cache {cache:.0f} MiB"


def _conformance(rows: Rows, part: str) -> Iterator[str]:
    checked = of(rows, part, "cases")
    if checked:
        yield f"- {findings.conformance(rows).text}"
    for row in checked:
        yield from (f"- FAILS: {row['name']}: {fault}" for fault in row["faults"])


def _suite(rows: Rows, part: str) -> Iterator[str]:
    told = of(rows, part, "counts")
    if told:
        yield f"- {findings.suite(rows).text}"
    for row in told:
        yield f"- {row['name']}: {', '.join(f'{count} {how}' for how, count in row['counts'].items())}"
        yield from (f"- FAILED: {test}" for test in row.get("reasons") or row["first"])


def _nothing(rows: Rows, part: str) -> Iterator[str]:
    yield "Its tests are counted with the suite's."


def _convolutions(rows: Rows, part: str) -> Iterator[str]:
    measured = of(rows, part, "timings")
    if not measured:
        return
    yield from _header(CONVOLUTIONS, 2)
    for row in measured:
        mine = row["timings"][OURS]
        device, called = mine["device"], mine["called"]["median_s"]
        against, cores = ratio(row, OURS, OFF, "device"), ratio(row, CORE, OFF, "device")
        errors = row.get("errors", {})
        theirs = min((errors[name]["rms"] for name in OFF if name in errors), default=None)
        yield _line(
            Shape(*row["shape"]), row["pass"], _micro(device["median_s"]),
            f"{_micro(device['lower_quartile_s'])} - {_micro(device['upper_quartile_s'])}",
            f"{row['flops'] / device['median_s'] / 1e12:.2f}", _micro(called), _micro(seconds(row, OFF, "device")),
            _micro(seconds(row, ON, "device")), _number(against and 1 / against), _number(cores and 1 / cores),
            f"{errors[OURS]['rms']:.1e}" if errors else "", _number(theirs and errors[OURS]["rms"] / theirs),
            _number(mine["first_s"]),
        )  # fmt: skip
    yield ""
    yield ("Microseconds of the device, median, all of a turn queued before it begins; called: launches included. Of "
           "PyTorch's memory formats the faster. Neither side is given its output; inputs change from call to call, "
           "together three times as large as the L2 cache.")  # fmt: skip
    for row in measured:
        if row.get("disagree"):
            yield f"- DISAGREES, not counted: {row['name']}: {row['disagree']}"
        if "no errors" in row:
            yield f"- no float64 to compare with: {row['name']}: {row['no errors']}"
        yield from (f"- refused: {row['name']}: {name}: {why}" for name, why in row["refused"].items())


def _streams(rows: Rows, part: str) -> Iterator[str]:
    measured, copy = of(rows, part, "timings"), findings.bandwidth(rows)
    if measured:
        yield from _header(
            ["", "ours, µs", "GB/s", "of the copy's", "called, µs", "PyTorch, µs", "ours / PyTorch's"], 1
        )
    for row in measured:
        mine, called = (seconds(row, [OURS], how) or 0.0 for how in ("device", "called"))
        rate = row["bytes"] / mine
        share = f"{rate / copy:.0%}" if copy else ""
        yield _line(row["name"], _micro(mine), f"{rate / 1e9:,.0f}", share, _micro(called),
                    _micro(seconds(row, OFF, "device")), _number(ratio(row, OURS, OFF, "device")))  # fmt: skip
    yield from (
        f"- DISAGREES, not counted: {row['name']}: {row['disagree']}" for row in measured if row.get("disagree")
    )


def _steps(rows: Rows, part: str) -> Iterator[str]:
    for row in of(rows, part, "timings"):
        yield from _header([row["name"], "ms", "quartiles", "ours / this", "the device alone, ms", "ours / this", "MB",
                            "first step, s", "first losses"], 1)  # fmt: skip
        for name, times in row["timings"].items():
            called = times["called"]
            yield _line(name, *(f"{1e3 * v:.2f}" for v in (called["median_s"],)),
                        f"{1e3 * called['lower_quartile_s']:.2f} - {1e3 * called['upper_quartile_s']:.2f}",
                        _number(ratio(row, OURS, [name], "called")),
                        f"{1e3 * times['device']['median_s']:.2f}", _number(ratio(row, OURS, [name], "device")),
                        f"{row['memory_bytes'][name] / 1e6:.0f}", _number(row["first_s"][name]),
                        ", ".join(f"{loss:.6f}" for loss in row["losses"][name]))  # fmt: skip
        yield ""
        yield from (f"- DISAGREES, not counted: {name}: {losses}" for name, losses in row["disagree"].items())
        yield from (f"- refused: {name}: {why}" for name, why in row["refused"].items())


def _header(columns: Sequence[str], words: int) -> Iterator[str]:
    yield _line(*columns)
    yield "|" + "---|" * words + "---:|" * (len(columns) - words)


def _line(*cells: Any) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _micro(value: float | None) -> str:
    return "" if value is None else f"{1e6 * value:.1f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


_BODIES = {
    "facts": _facts,
    "warm": _facts,
    "smoke": _smoke,
    "card": _card,
    "conformance": _conformance,
    "suite": _suite,
    "convolutions": _convolutions,
    "resnet": _steps,
    "gan": _steps,
    "streams": _streams,
    "table": _nothing,
    "memcheck": _checker,
    "racecheck": _checker,
    "again": _nothing,
}
