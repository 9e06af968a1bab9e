"""`tinyres step`: step through a forward and backward pass of your own model, event by event."""

from __future__ import annotations

import argparse
import runpy
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from typing import Any

from tinyres_kernels.command_line import suggested

from tinyres.cli.common import UsageError, make_room, need, writing
from tinyres.cli.terminal import printable, terminal


def add(commands: Any) -> None:
    """Declare the command."""
    step = commands.add_parser(
        "step",
        help="step through the forward and backward pass of your own model",
        description="Run a Python file and step through the loss that it defines. The file may define `loss`, a "
        "tensor of one element, or better a function without arguments that computes one (then every value is shown). "
        "For several losses it may define `trace`, a function without arguments that returns tr.trace(D=d_loss, "
        "G=g_loss). Code under `if __name__ == '__main__'` does not run. In a terminal you step with keys; otherwise "
        "each event is printed on its own line.",
        epilog="Example: tinyres step model.py --html step.html --open",
    )
    step.add_argument("file", type=Path, metavar="FILE.py", help="the file to run")
    step.add_argument(
        "--html", type=Path, metavar="FILE", help="write an HTML page to step through instead (default: none)"
    )
    step.add_argument("--open", action="store_true", help="open the page in the browser (default file: step.html)")
    step.add_argument("--limit", type=int, metavar="N", help="print at most N events (default: all)")
    step.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the file, then print its trace, step through it, or write it as a page."""
    if arguments.limit is not None and arguments.limit < 0:
        raise UsageError(f"--limit {arguments.limit}: must not be negative")
    target = arguments.html or (Path("step.html") if arguments.open else None)
    make_room(target, "--html")
    trace = _traced(arguments.file)
    if target is not None:
        with writing(target):
            trace.save(target, title=f"{arguments.file.name}, step by step")
        print(printable(f"wrote {target}"))
        if arguments.open:
            webbrowser.open(target.resolve().as_uri())
        return 0
    if arguments.limit is None and sys.stdin.isatty() and sys.stdout.isatty():
        need({"rich": "rich"})
        from tinyres.viewer.stepper import LEAST, step_through

        step_through(trace, terminal(least=LEAST))
        return 0
    printed = len(trace) if arguments.limit is None else min(arguments.limit, len(trace))
    digits = len(str(len(trace)))
    told = ""  # the line of the reader's code that was printed last: one line makes many events
    for i in range(printed):
        source = ""
        if trace[i].kind == "forward" and trace[i].source and trace[i].source != told:
            told = trace[i].source
            source = f"    {told}"
        print(f"{i + 1:{digits}} ", trace[i], source, sep="")
    if printed < len(trace):
        print(f"and {len(trace) - printed} more")
    print(f"{trace.summary}; --html FILE writes a page to step through")
    for line in dict.fromkeys(entry["text"] for entry in trace.silent):
        print(printable(line))
    if trace.first is not None:
        print(printable(f"Look first at event {trace.first['event'] + 1}: {trace.first['text']}"))
    if any(op.inputs and op.value is None for op in trace.ops):
        losses = trace.lanes
        how = "make the loss a function: `def loss(): ...`"
        if len(losses) > 1:
            how = f"hand over functions: tr.trace({', '.join(f'{name}=lambda: ...' for name in losses)})"
        print(f"the tape saves only what its rules need; to see every value, {how}")
    return 0


def _traced(file: Path) -> Any:
    """The trace of the loss that the file defines."""
    from tinyres.autograd.tensor import Tensor
    from tinyres.viewer.tracing import Trace, traced

    if file.is_dir():
        raise UsageError(f"{file} is a folder; name a Python file in it that defines `loss`")
    if not file.is_file():
        near = suggested(file.name, [path.name for path in file.parent.glob("*.py")])
        guess = f"; did you mean {' or '.join(str(file.parent / name) for name in near)}?" if near else ""
        raise UsageError(f"there is no file {file}{guess}")
    if b"\0" in file.read_bytes()[:4096]:  # Python would take an archive, such as a checkpoint, for a program
        raise UsageError(f"{file} is not a Python file; name one that defines `loss`")
    sys.path.insert(0, str(file.resolve().parent))
    try:
        with _reporting(file):
            defined = runpy.run_path(str(file), run_name="__tinyres__")
            own, loss = defined.get("trace"), defined.get("loss")
            if callable(own) and getattr(own, "__module__", None) == "__tinyres__":  # not one that was imported
                found = own()
                if not isinstance(found, Trace):
                    what = type(found).__name__
                    raise UsageError(f"{file}: trace() must return the result of tr.trace(...), it returned {what}")
                return found
            if not isinstance(loss, Tensor) and not callable(loss):
                got = "" if loss is None else f"; its `loss` is of type {type(loss).__name__}"
                raise UsageError(
                    f"{file} defines no `loss` to step through, neither a tensor nor a function that computes one{got}"
                )
            return traced({"loss": loss}, [defined])
    finally:
        sys.path.pop(0)


@contextmanager
def _reporting(file: Path) -> Iterator[None]:
    """Turn an exception in the user's code into a one-line error with its file and line."""
    from tinyres.autograd.anomaly import is_ours

    try:
        yield
    except (UsageError, KeyboardInterrupt):
        raise
    except SyntaxError as error:
        raise UsageError(f"{Path(error.filename or file).name}:{error.lineno}: {error.msg}") from error
    except (Exception, SystemExit) as error:
        frames = [(frame, line) for frame, line in walk_tb(error.__traceback__) if not is_ours(frame)]
        lines = [(frame.f_code.co_filename, line) for frame, line in frames if "runpy" not in frame.f_code.co_filename]
        where = f"{Path(lines[-1][0]).name}:{lines[-1][1]}: " if lines else f"{file.name}: "
        raise UsageError(f"{where}{type(error).__name__}: {error}") from error
