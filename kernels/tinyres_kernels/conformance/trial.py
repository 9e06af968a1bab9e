"""A case as the fuzz draws it: how its arrays lie, and how many threads it runs on. As text, a line of JSON."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from tinyres_kernels.conformance.agree import disagreements
from tinyres_kernels.conformance.calling import Arrays, call, settings_line, specification, written_out
from tinyres_kernels.conformance.declare import Case, Put, absent_line
from tinyres_kernels.conformance.examine import STALE, Kernel
from tinyres_kernels.conformance.fences import guarded, overruns
from tinyres_kernels.conformance.layouts import ALIKE, CHANGES, LAYOUTS
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import fill

Names = dict[str, list[str]]  # of lines in `layouts.py`, for arguments by name


@dataclass(frozen=True)
class Trial:
    """One call: a case, what is done to its values, how they lie, and how many threads the kernel may use."""

    case: Case
    layouts: Names = field(default_factory=dict)
    changes: Names = field(default_factory=dict)
    threads: int = 1

    def lines(self) -> list[str]:
        """The Python lines that make the arrays which are read."""
        head, *rest = self.case.lines()
        reads = self.case.reads
        made = [head]
        for arg, line in zip(reads, rest, strict=False):  # what is planted comes behind
            changes = [CHANGES[change] for change in self.changes.get(arg.name, [])]
            alike = [ALIKE] if "broadcast" in self.layouts.get(arg.name, []) else []
            made += [line, *(change.format(a=arg.name) for change in changes + alike)]
        made += rest[len(reads) :]
        return made + [LAYOUTS[layout].format(a=arg.name) for arg in reads for layout in self.layouts.get(arg.name, [])]

    def inputs(self) -> Arrays:
        """The arrays which are read, by name."""
        scope: dict[str, Any] = {"np": np}
        exec("\n".join(self.lines()), scope)
        return {arg.name: scope[arg.name] for arg in self.case.reads}

    def faults(self, kernel: Kernel) -> list[str]:
        """What is wrong with what the kernel does: [] if nothing is, or if the arguments do not belong together."""
        case, inputs = self.case, self.inputs()
        before = {name: a.tobytes() for name, a in inputs.items()}
        with threads(self.threads):
            (outputs, first), (again, second) = (self._run(kernel, inputs, held) for held in (np.nan, STALE))
        found = list(dict.fromkeys(first + second))
        found += [f"wrote to its input {name}" for name, a in inputs.items() if a.tobytes() != before[name]]
        if not outputs or not again:
            return found if self._legal(inputs) else []
        for name, a in outputs.items():
            if a.tobytes() != again[name].tobytes():
                bits = f"u{a.itemsize}"
                different = (a.view(bits) != again[name].view(bits)).sum()
                found.append(f"{name}: the second time, {different} of {a.size} elements were others")
        return found + disagreements(case.op.name, inputs, outputs, case.keywords)

    def _run(self, kernel: Kernel, inputs: Arrays, held: float) -> tuple[Arrays, list[str]]:
        """The results, over `held`, and what went wrong; no results where the kernel raised."""
        buffers, outputs = guarded(self.case, held)
        given = {**inputs, **outputs}
        try:
            with np.errstate(all="ignore"):
                arrays = [given[arg.name] if arg else None for arg in self.case.arguments]
                call(self.case.op.name, kernel, arrays, self.case.keywords)
        except (Exception, SystemExit) as error:  # whatever it is, it is the kernel's and belongs in the report
            return {}, [*overruns(buffers), f"raised {type(error).__name__}: {error}"]
        return outputs, overruns(buffers)

    def _legal(self, inputs: Arrays) -> bool:
        case = self.case
        try:
            specification(case.op.name, inputs, guarded(case, 0.0)[1], case.keywords, case.op.order)
        except ValueError:
            return False
        return True

    def __str__(self) -> str:
        """A line of JSON, which `read` takes."""
        case = self.case
        more = {"put": case.put[:2] if case.put else None, "layouts": self.layouts, "changes": self.changes}
        told = {"op": case.op.name, "dtype": case.dtype, "structure": case.structure}
        return json.dumps({**told, "seed": case.seed, "threads": self.threads, **{k: v for k, v in more.items() if v}})

    def snippet(self, rung: str) -> str:
        """Python that makes the arrays, calls the kernel of that module, and `im2col` in float64, and compares."""
        case = self.case
        name, writes, read = case.op.name, case.writes, {arg.name: arg for arg in case.reads}

        def wide(name: str) -> str:
            return f"{name}.astype('float64')" if name in read and not read[name].dtype else name

        def called(module: str, names: list[str]) -> str:
            return f"{module}.{name}({written_out(name, names)})"

        ours = [arg.name if arg else "None" for arg in case.arguments]
        theirs = [f"needed_{n}" if n in {arg.name for arg in writes} else wide(n) for n in ours]
        return "\n".join(
            [
                "import numba",
                "import numpy as np",
                "from tinyres_kernels import im2col, settings",
                f"import {rung} as rung",
                "",
                *self.lines(),
                *absent_line(case),
                *settings_line(name, case.keywords),
                *(f"{a.name} = np.full({case.shape(a)}, {fill(a.dtype)}, {a.dtype or case.dtype!r})" for a in writes),
                *(
                    f"needed_{a.name} = np.full({case.shape(a)}, {fill(a.dtype)}, {a.dtype or 'float64'!r})"
                    for a in writes
                ),
                f"numba.set_num_threads({self.threads})",
                called("rung", ours),
                called("im2col", theirs),
                *(f"print('{a.name}', abs({a.name} - needed_{a.name}).max())" for a in writes),
            ]
        )


def read(line: str) -> Trial:
    """The trial of a line of JSON."""
    told = json.loads(line)
    structure = {key: tuple(value) if isinstance(value, list) else value for key, value in told["structure"].items()}
    put = Put(*told["put"]) if "put" in told else None
    case = Case(OPS[told["op"]], "kept", structure, told["dtype"], told["seed"], put)
    return Trial(case, told.get("layouts", {}), told.get("changes", {}), told["threads"])


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads for the kernels that Numba compiles; all that there are, where there are fewer."""
    numba = import_module("numba")
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
