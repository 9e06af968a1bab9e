"""`tr.trace`: record a forward and backward pass to step through, event by event."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tinyres.autograd.tensor import FUNCTIONS, Tensor
from tinyres.version import __version__
from tinyres.viewer import guide, page, picture
from tinyres.viewer.events import TraceEvent
from tinyres.viewer.names import Scopes
from tinyres.viewer.records import Op, TraceData, file_name
from tinyres.viewer.rules import rule_text
from tinyres.viewer.summaries import WHOLE
from tinyres.viewer.tracer import Tracer

_SIZE = 750  # bytes per operation; above this, smaller arrays become thumbnails too
_LEAST = 500_000  # bytes allowed for any trace
_LINE = 160  # characters of a source line


def trace(target: Tensor | Callable[[], Tensor] | None = None, /, **lanes: Tensor | Callable[[], Tensor]) -> Trace:
    """Record every event of a forward and a backward pass, to step through in a page or a terminal.

    PyTorch has another function of this name, so a tensor that is a matrix gives the sum of its diagonal: a loss has no
    axes, or one. What follows is for losses and for functions that compute them.

        tr.trace(lambda: loss_function(model(x), y)).save("step.html")
        tr.trace(D=discriminator_loss, G=generator_loss).save("players.html")

    Pass a function to see everything: it is run and observed, and every value is shown with your source line and the
    module that ran. Fused operations are split, so that each residual sum has its routes. For a tensor, whose graph
    exists already, only what the tape has saved is shown: values that no rule needs, source lines and checkpoint
    recomputations are missing. Tracing changes no `.grad` and frees no graph; the only side effects are the function's
    own (batch norm's running statistics, random draws). Arrays with more than 64 elements are kept as thumbnails.

    Args:
        target: the loss, a tensor of one element, or a function without arguments that computes it.
        lanes: several named losses, each with its own backward pass.

    Raises:
        TypeError: there is no target, or one is neither a tensor nor a function that returns one.
        ValueError: the loss has more than one element, or requires no gradient.
        RuntimeError: the graph was freed by an earlier backward pass.
    """
    if getattr(target, "ndim", 0) == 2 and not lanes:
        return FUNCTIONS["trace"](target)  # type: ignore[no-any-return]
    if (target is None) == (not lanes):
        raise TypeError("trace: needs one loss, trace(loss), or several with names, trace(D=d_loss, G=g_loss)")
    caller = sys._getframe(1)
    return traced(lanes if target is None else {"loss": target}, [caller.f_locals, caller.f_globals])


def traced(targets: Mapping[str, Any], scopes: Scopes) -> Trace:
    """`trace` with explicit scopes, whose variable names label the values of a finished graph."""
    for name, entry in targets.items():
        if not isinstance(entry, Tensor) and not callable(entry):
            raise TypeError(f"trace: {name} must be a tensor or a function, got {type(entry).__name__}")
    tracer = Tracer(scopes)
    for i, (name, entry) in enumerate(targets.items()):
        tracer.lane(i, name, entry)
    return Trace(list(targets), tracer)


class Trace(TraceData):
    """Operations and events of one or several passes; see `trace`. `str(trace)`, `len(trace)`, `for event in trace`."""

    def __init__(self, lanes: list[str], tracer: Tracer) -> None:
        self.lanes = lanes
        kept = _reached(tracer)
        number = {serial: i for i, serial in enumerate(sorted(kept))}
        self.ops = [tracer.ops[serial] for serial in number]
        tracer.names.place(tracer.ops, tracer.unplaced)
        for op in self.ops:
            op.name = tracer.names.full(op.root, op.name) if op.name else ""
            op.path = tracer.names.full(op.root, op.path)
            op.inputs = [None if serial is None else number[serial] for serial in op.inputs]
        self.events = [
            [number[entry] if k in _OPS[event[0]] else entry for k, entry in enumerate(event)]
            for event in tracer.events
        ]
        self.joins = [
            {"lane": join["lane"], "op": number[join["op"]], "name": tracer.ops[join["sum"]].path,
             "routes": join["routes"], "angle": join["angle"]}
            for join in tracer.joins
        ]  # fmt: skip
        self.grads = {(lane, number[serial]): place for (lane, serial), place in tracer.grads.items()}
        self.summaries = tracer.summaries.items
        places = dict.fromkeys(op.place for op in self.ops if op.place is not None)
        self.sources = {place: linecache.getline(*place).strip()[:_LINE] for place in places}
        inside = {
            ".".join(parts[: k + 1]) for op in self.ops for parts in [op.path.split(".")] for k in range(len(parts))
        }
        self.classes = tracer.names.classes(sorted(inside))
        self.rejoined, self.silent, self.first = guide.rejoining(self), guide.silent(self), guide.first_look(self)

    # -- as a sequence of events ------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return len(self.events)

    def __iter__(self) -> Iterator[TraceEvent]:
        return (TraceEvent(self, i) for i in range(len(self)))

    def __getitem__(self, i: int) -> TraceEvent:
        return TraceEvent(self, range(len(self))[i])

    @property
    def summary(self) -> str:
        """How many events there are, and of which kinds."""
        kinds = [event[0] for event in self.events]
        return (
            f"trace of {', '.join(self.lanes)}: {len(self)} events; forward {kinds.count('f')} operations, backward "
            f"{kinds.count('r')} rules, each followed by its accumulation"
        )

    def __str__(self) -> str:
        return f"{self.summary}; .save('step.html') to step through"

    __repr__ = __str__

    # -- as a file --------------------------------------------------------------------------------------------------
    def save(self, path: str | Path, title: str | None = None) -> None:
        """Write a self-contained HTML page that steps through the trace; an existing file is replaced.

        Raises:
            FileNotFoundError: the folder does not exist.
            IsADirectoryError: `path` is a folder.
        """
        page.write(path, self.html(title))

    def html(self, title: str | None = None) -> str:
        """The HTML page that `save` writes."""
        return page.fill(document(trace=self, title=title), picture.draw(self))

    def to_json(self, path: str | Path | None = None) -> dict[str, Any]:
        """The trace as JSON, in the format of tinyres/viewer/schema.json; also written to `path` if given."""
        found = document(trace=self)
        if path is not None:
            page.write(path, page.dump(found) + "\n")
        return found

    def _repr_html_(self) -> str:
        return page.notebook_frame(self.html(), picture.draw(self))

    def described(self) -> dict[str, Any]:
        """The document's entry "trace"."""
        for whole in (WHOLE, WHOLE // 4, 0):  # 64 numbers take four times the space of a thumbnail
            found = self._described(whole)
            if len(page.dump(found)) <= max(_SIZE * len(self.ops), _LEAST):
                break
        return found

    def _described(self, whole: int) -> dict[str, Any]:
        places = {place: i for i, place in enumerate(self.sources)}
        used: dict[int, int] = {}  # summaries that are referred to, and their indices in the document

        def at(place: int | None) -> int | None:
            return None if place is None else used.setdefault(place, len(used))

        described = {
            "lanes": self.lanes,
            "whole": whole,
            "ops": [_op(op, at(op.value), places) for op in self.ops],
            "rules": {kind: text for kind in dict.fromkeys(op.kind for op in self.ops) if (text := rule_text(kind))},
            "places": [[file_name(file), line, source] for (file, line), source in self.sources.items()],
            "events": [
                [at(entry) if k >= _ARRAYS[event[0]] else entry for k, entry in enumerate(event)]
                for event in self.events
            ],
            "joins": self.joins,
            "modules": self.classes,
            "silent": self.silent,
            "first": self.first,
            "grads": {f"{lane}:{op}": at(place) for (lane, op), place in self.grads.items()},
        }
        exact = set(self.grads.values())  # the leaves' total gradients stay as exact as possible
        arrays = [self.summaries[place].to_json(WHOLE if place in exact else whole) for place in used]
        return described | {"arrays": arrays}


_OPS = {"f": (1,), "s": (2,), "r": (2, 4), "a": (2, 4)}  # by kind of event: the positions of operations
_ARRAYS = {"f": 2, "s": 3, "r": 5, "a": 5}  # and the position of the first array


def document(trace: Trace | None = None, run: dict[str, Any] | None = None, title: str | None = None) -> dict[str, Any]:
    """The document that the page reads; see tinyres/viewer/schema.json."""
    return {
        "format": "tinyres-trace", "version": 1, "tinyres": __version__,
        "title": title or (f"tinyres: {', '.join(trace.lanes)}, step by step" if trace else "tinyres: a training"),
        "trace": None if trace is None else trace.described(), "run": run,
    }  # fmt: skip


def _reached(tracer: Tracer) -> set[float]:
    """Serials of the operations in any event, and of their inputs; those that never reached a loss are left out."""
    reached = {event[k] for event in tracer.events for k in _OPS[event[0]]}
    return reached | {serial for op in reached for serial in tracer.ops[op].inputs if serial is not None}


def _op(op: Op, value: int | None, places: dict[tuple[str, int], int]) -> dict[str, Any]:
    found = {
        "name": op.name, "path": op.path, "inputs": op.inputs, "args": op.args, "roles": op.roles, "static": op.static,
        "again": op.again,
    }  # fmt: skip
    present: dict[str, Any] = {key: entry for key, entry in found.items() if entry}
    if value is not None:
        present["value"] = value
    if op.place is not None:
        present["place"] = places[op.place]
    return {"kind": op.kind, "shape": list(op.shape), "dtype": op.dtype} | present
