"""A staged run: part after part, each with its own limit, behind a gate. Minutes on a GPU are few, so

- what is most likely to fail comes first, and where a smoke check fails nothing else is begun;
- kernels are compiled by all cores, before the first of them is needed;
- what is not timed shares its time;
- the report, the rows and the machine code are written after every stage, so whatever stops this program, what was
  measured before lies in the folder, and a later run goes on from there.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import time
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

from tinyres import files
from tinyres.bench.gpu import pages, parts, report, smoke, suite, table
from tinyres.bench.gpu.parts import PARTS, REPORT, ROWS, SAVING, STAGES, Stage, attempt, read, write

CACHES = "caches.tgz"
SHUT = 3  # the exit status where the gate is shut
MOST = 2**30  # bytes of machine code: there are some megabytes
SAFELY: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # Python 3.11.0 to 3.11.3 do not know it
LEAST = 5.0  # seconds with which a part is not begun any more


def run(names: Sequence[str], out: Path, earlier: Path | None = None, tests: str = "") -> int:
    """These stages, added to what lies in `out`. Returns the exit status: 0, or 3 where the gate is shut.

    Args:
        earlier: the folder of an earlier run, whose rows and machine code are taken over where `out` has none.
        tests: for the stage K, an expression as pytest's -k takes it.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tinyres-gpu-", ignore_cleanup_errors=True) as folder:
        caches = Path(folder)
        _take_over(out, earlier, caches)
        variables = {"NUMBA_CACHE_DIR": folder, "CUPY_CACHE_DIR": str(caches / "cupy"), suite.TESTS: tests}
        for name in names:
            began = time.monotonic()
            print(f"stage {name}, {STAGES[name].title}: at most {STAGES[name].seconds:.0f} s", flush=True)
            shut = _stage(STAGES[name], out, variables)
            write({"part": "report", "name": f"stage {name}", "seconds": time.monotonic() - began}, out)
            _keep(caches, out)
            _publish(out)
            if shut:
                print("the gate is shut, and nothing was begun behind it:", *shut, sep="\n- ", flush=True)
                return SHUT
    return 0


def main(out: Path) -> int:
    """`tinyres bench gpu-report`: the stages that it consists of, on nothing; the report printed. The exit status."""
    for name in (ROWS, report.LOG):
        (out / name).unlink(missing_ok=True)
    status = run(REPORT, out)
    rows = read(out)
    print(pages.page(rows))
    print(f"The README's table once more, to be pasted:\n\n{table.readme(rows)}")
    for path in sorted(out.iterdir()):
        print(f"wrote {path}")
    missed = table.missed(rows)
    print(f"not met, or not in full: {'; '.join(missed)}" if missed else "every target is met")
    return status


def _stage(stage: Stage, out: Path, variables: dict[str, str]) -> list[str]:
    """Run its parts; what keeps the gate shut, if it has one and that is shut."""
    until, shut = time.monotonic() + stage.seconds - SAVING, Event()
    for names in stage.groups:
        left = until - time.monotonic()

        def one(name: str, left: float = left) -> list[str]:
            _part(name, out, min(PARTS[name].seconds, left), shut, variables)
            why = smoke.gate(read(out)) if name == "smoke" else []
            if why:
                shut.set()  # which ends what runs beside it
            return why

        with ThreadPoolExecutor(len(names)) as pool:
            if why := [line for lines in pool.map(one, names) for line in lines]:
                return why
    return []


def _part(name: str, out: Path, seconds: float, shut: Event, variables: dict[str, str]) -> None:
    title = PARTS[name].title
    began = time.monotonic()
    write({"part": name, "name": title, "seconds": 0.0}, out)  # in place of what an earlier run said of its end
    print(f"  {title}: at most {max(0.0, seconds):.0f} s ...", flush=True)
    why = report.launch(name, out, seconds, shut, **variables) if seconds >= LEAST else "no time was left"
    if why:
        write({"part": name, "name": title, "error": why}, out)
    print(f"  {title}: {why or 'done'} ({time.monotonic() - began:.0f} s)", flush=True)


def _publish(out: Path) -> None:
    """The report of all rows so far, and the roofline where there is something to draw."""
    rows = report._save(out)
    if any(row["part"] == "convolutions" and "timings" in row for row in rows):
        drawn = attempt("roofline", lambda: {"path": str(report.roofline(rows, out / "roofline.png"))})
        if "error" in drawn:
            print(f"  no picture: {drawn['error']}", flush=True)
    for card in parts.other_cards(out):
        print(f"  the rows of {card}, on which an earlier run was, are not in the report", flush=True)


def _take_over(out: Path, earlier: Path | None, caches: Path) -> None:
    if earlier is not None:
        for name in (ROWS, CACHES):
            if (earlier / name).exists() and not (out / name).exists():
                files.write(out / name, (earlier / name).read_bytes())
    if (out / CACHES).exists():
        try:
            with tarfile.open(out / CACHES) as packed:
                _unpack(packed, caches)
        except (OSError, tarfile.TarError, EOFError, zlib.error, ValueError) as broken:
            print(f"{out / CACHES} cannot be read ({broken}): its kernels are compiled again", flush=True)


def _unpack(packed: tarfile.TarFile, caches: Path) -> None:
    room = MOST
    for member in packed:
        room -= member.size
        if room < 0:
            raise tarfile.TarError(f"it inflates to more than {MOST} bytes")
        packed.extract(member, caches, **SAFELY)


def _keep(caches: Path, out: Path) -> None:
    """Machine code of our kernels and of CuPy's, for a later run on such a machine."""
    new = out / f"{CACHES}.new"
    with tarfile.open(new, "w:gz", compresslevel=1) as packed:
        for file in [*sorted(caches.glob("*.cubin")), *caches.glob("cupy")]:
            packed.add(file, file.name)
    os.replace(new, out / CACHES)
