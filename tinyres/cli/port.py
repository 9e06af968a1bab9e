"""`tinyres port`: what a script for PyTorch uses, what of it is here, and what to write for the rest."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tinyres
from tinyres.cli.common import UsageError, make_room, need, writing
from tinyres.cli.ported import Source
from tinyres.cli.terminal import say, terminal
from tinyres.files import write
from tinyres.refusals.absent import Refused, why
from tinyres.refusals.arguments import mend_of
from tinyres.signatures import CONVERT

MAYBE = ", if that is a tensor"
WRITTEN = "a tensor is not written into: build a new one, e.g. with tr.where, or fill a NumPy array first"
OTHERS = "is another package; tinyres.data has data sets and transforms, tinyres.models nets that read its weights"
PICTURES = "is another package: matplotlib draws pictures, plt.imsave('x.png', images[0].permute(1, 2, 0).numpy())"
OF_DATA = "`.data` is a NumPy array here: drop it, p.{0}(...), inside `with tr.no_grad():`, or assign, p.data = array"
DATA_CHANGED = "`.data` is a read-only NumPy array here: assign a new one, {0} = {0} {1} ..."
OF_GRAD = (
    "a gradient is not written into: bind a new one, p.grad = p.grad.clip(-1, 1), or call "
    "nn.utils.clip_grad_value_(model.parameters(), 1.0) or nn.utils.clip_grad_norm_; zero_() is p.grad = None"
)
SCALED = {  # a GradScaler's methods, and what to write without one
    "scale": "without a scaler: write loss.backward()",
    "step": "without a scaler: write optimizer.step()",
    "update": "delete the line: there is no scaler",
    "unscale_": "delete the line: gradients are not scaled",
    "state_dict": "delete it: there is no scaler whose state could be saved",
    "load_state_dict": "delete the line: there is no scaler",
}
FILES = {
    "save": "tr.save writes safetensors, not pickles: call the file x.safetensors, so that no checkpoint of PyTorch is "
    "taken for it",
    "load": f"tr.load reads safetensors, not pickles: {CONVERT}",
}


def add(commands: Any) -> None:
    """Declare the command."""
    port = commands.add_parser(
        "port",
        help="say what a script written for PyTorch needs before it runs here",
        description="Read a script or a Jupyter notebook written for PyTorch, without running it, and list at once "
        "every name of PyTorch that tinyres has, and every one that it lacks, with its line and what to write instead. "
        "Exit status 1 if something is missing.",
        epilog="Example: tinyres port train.py --out train_tinyres.py",
    )
    port.add_argument("file", type=Path, metavar="FILE", help="the script or the Jupyter notebook to read")
    port.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="also write a copy that imports tinyres instead of torch (default: none)",
    )
    port.add_argument("--force", action="store_true", help="overwrite an existing file")
    port.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what is here and what is missing; write the script with other imports if asked to."""
    need({"rich": "rich"})
    path, out, console = arguments.file, arguments.out, terminal()
    make_room(out, "--out")
    if out is not None and out.exists() and not arguments.force:
        raise UsageError(f"{out} exists, and may have been edited by hand; choose another --out, or add --force")
    source = Source(path)
    script = Script(source.tree)
    here, missing = script.found()
    if not here and not missing:
        say(console, f"{path}: uses nothing of PyTorch{'; nothing was written' if out is not None else ''}")
        return 0
    count = sum(map(len, here.values()))
    names = (
        "1 name of PyTorch is here under the same name"
        if count == 1
        else f"{count} names of PyTorch are here under the same names"
    )
    say(console, f"{path}: {names}; {len(missing) or 'nothing'} to mend")
    for room, inside in sorted(here.items()):
        say(console, f"  {room}: {', '.join(sorted(inside))}", style="green")
    for line, what, mend in sorted(missing):
        say(console, f"  {mend}", f"{source.place(line)}: {what}\n", "bold red")
    if out is not None:
        with writing(out):
            write(out, source.ported())
        left = "; the lines listed above are left for you to change" if missing else ""
        say(console, f"wrote {out}, which imports tinyres instead of torch{left}")
    return 1 if missing else 0


def _is_key(index: ast.expr) -> bool:
    """Of a dictionary, since it is a text."""
    return isinstance(index, ast.JoinedStr) or (isinstance(index, ast.Constant) and isinstance(index.value, str))


def _is_safe(argument: ast.expr) -> bool:
    """Whether it is, or ends in, a name of a safetensors file."""
    texts = [node.value for node in ast.walk(argument) if isinstance(node, ast.Constant)]
    return any(isinstance(text, str) and text.endswith(".safetensors") for text in texts)


def _ends(node: ast.expr) -> tuple[bool, bool]:
    """Whether it is the `.data` of something; and whether it is a gradient, p.grad, p.grad.data or p.grad.detach()."""
    of_data = isinstance(node, ast.Attribute) and node.attr == "data"
    while True:
        if isinstance(node, ast.Call):
            node = node.func
        elif isinstance(node, ast.Attribute) and node.attr in ("data", "detach"):
            node = node.value
        else:
            return of_data, isinstance(node, ast.Attribute) and node.attr == "grad"


class Script(ast.NodeVisitor):
    """Collects what a script uses: (line, dotted name behind torch) and (line, what, mend) of what is no name."""

    def __init__(self, tree: ast.AST) -> None:
        self.rooms: dict[str, str] = {}  # names of the script: what of torch they stand for, "nn.functional"
        self.used: list[tuple[int, str]] = []
        self.seen: list[tuple[int, str, str]] = []
        self.scalers: set[str] = set()  # what the script calls its GradScaler: "scaler", "self.scaler"
        self.own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        self.visit(tree)

    def found(self) -> tuple[dict[str, set[str]], set[tuple[int, str, str]]]:
        """Names that are here, by their module; and the line, name and mend of each that is not."""
        here, missing = defaultdict(set), set(self.seen)
        for line, name in self.used:
            _, mend = reached(name)
            room, _, last = f"torch.{name}".rpartition(".")
            if mend:
                missing.add((line, f"torch.{name}", mend))
            else:
                here[room].add(last)
        return here, missing

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            root, _, rest = alias.name.partition(".")
            if root == "torch":
                self.rooms[alias.asname or "torch"] = rest if alias.asname else ""
            elif root.startswith(("torch", "pytorch")):
                pictures = root == "torchvision" and rest.startswith("utils")
                self.seen.append((node.lineno, root, f"{root} {PICTURES if pictures else OTHERS}"))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root, _, rest = (node.module or "").partition(".")
        if root != "torch":
            others = [ast.alias(f"{root}.{rest or alias.name}") for alias in node.names]
            return self.visit_Import(ast.Import(others, lineno=node.lineno))
        for alias in node.names:
            name = f"{rest}.{alias.name}".strip(".")
            self.rooms[alias.asname or alias.name] = name
            self.used.append((node.lineno, name))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self.dotted(node)
        if name is None:
            self.generic_visit(node)
        else:
            self.used.append((node.lineno, name))

    def visit_Call(self, node: ast.Call) -> None:
        name = self.dotted(node.func)
        if name:
            self.seen += [(node.lineno, f"torch.{name}({word})", mend) for word, mend in strange(name, node)]
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in self.scalers:
            mend = SCALED.get(node.func.attr, "delete it: there is no scaler")
            self.seen.append((node.lineno, f"{ast.unparse(node.func)}(...)", mend))
        elif name is None and isinstance(node.func, ast.Attribute) and node.func.attr not in self.own:
            of_data, of_grad = _ends(node.func.value)
            mend = without(node.func.attr, of_data, of_grad)
            if mend:
                sure = "" if of_data or of_grad else MAYBE
                self.seen.append((node.lineno, f"{ast.unparse(node.func)}(...){sure}", mend))
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign | ast.AugAssign) -> None:
        made = self.dotted(node.value.func) if isinstance(node.value, ast.Call) else None
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if made and made.endswith("GradScaler"):
                self.scalers.add(ast.unparse(target))
            if isinstance(target, ast.Subscript) and not _is_key(target.slice):
                self.seen.append((node.lineno, f"{ast.unparse(target)} = ...{MAYBE}", WRITTEN))
            elif isinstance(node, ast.AugAssign) and _ends(target)[0]:
                of_grad, text = _ends(target)[1], ast.unparse(target)
                sign = ast.unparse(node).removeprefix(text).split("=")[0].strip()
                mend = OF_GRAD if of_grad else DATA_CHANGED.format(text, sign)
                self.seen.append((node.lineno, f"{text} {sign}= ...", mend))
        self.generic_visit(node)

    visit_AugAssign = visit_Assign

    def dotted(self, node: ast.AST) -> str | None:
        """`F.relu` as "nn.functional.relu"; None if it does not begin with a name of torch."""
        if isinstance(node, ast.Name):
            return self.rooms.get(node.id)
        head = self.dotted(node.value) if isinstance(node, ast.Attribute) else None
        return None if head is None else f"{head}.{node.attr}".strip(".")  # type: ignore[attr-defined]


def reached(name: str) -> tuple[Any, str]:
    """What tinyres has under a name; or None, and why there is none and what to write instead."""
    found: Any = tinyres
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            why = str(error).partition(": ")[2]
            return None, why or "nobody has asked for it yet: write it with what is here, or open an issue"
    return found, ""


def without(name: str, of_data: bool, of_grad: bool) -> str:
    """What to write for a method that tensors lack, or that only parameters have; an empty text for any other."""
    if of_grad and name.endswith("_") and name != "requires_grad_":
        return OF_GRAD
    if of_data and name.endswith("_"):
        return OF_DATA.format(name)
    here = inspect.getattr_static(tinyres.Tensor, name, None)
    absent = name.endswith("_") and not name.startswith("_") and here is None and not hasattr(tinyres.nn.Module, name)
    return why("a tensor", name).partition(": ")[2] if absent or isinstance(here, Refused) else ""


def strange(name: str, call: ast.Call) -> Iterator[tuple[str, str]]:
    """The arguments that what is here does not take."""
    found, _ = reached(name)
    if name.startswith("nn.init.") and any(isinstance(a, ast.Attribute) and a.attr == "data" for a in call.args):
        yield ".data", "hand over the parameter itself, without .data"
    if name in FILES and not any(_is_safe(argument) for argument in call.args):
        yield "...", FILES[name]
    for keyword in call.keywords if callable(found) else []:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword.value
        unknown = keyword.arg and mend_of(found, {keyword.arg: value})
        if unknown:
            yield f"{keyword.arg}=", f"there is no argument {keyword.arg}: {unknown[1]}"
        elif keyword.arg == "momentum" and value is None:
            yield "momentum=None", "momentum must be a number from 0 to 1; assign 1 / k to .momentum before batch k"
