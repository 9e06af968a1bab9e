"""What a script for PyTorch uses, by reading it: names that are here, and what to write for the rest."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import tinyres
from tinyres.autograd.in_place import CHANGES
from tinyres.refusals.absent import Refused, why
from tinyres.refusals.arguments import mend_of
from tinyres.signatures import CONVERT

OURS = ("torch", "tinyres")  # a script that was ported before may be read again
MAYBE = ", if that is a tensor"
WRITTEN = (
    "a tensor is not written into: build a new one, e.g. with tr.where, or fill a NumPy array first; part of a "
    "parameter or a buffer may be assigned inside `with tr.no_grad():`"
)
OF_PART = "part of a parameter is assigned: write {0}, inside `with tr.no_grad():`"
ASSIGNED = {"fill_": "=", "copy_": "=", "add_": "+=", "sub_": "-=", "mul_": "*=", "div_": "/="}
OTHERS = "is another package; tinyres.data has data sets and transforms, tinyres.models nets that read its weights"
PICTURES = (
    "is another package: matplotlib draws pictures, plt.imsave('x.png', images[0, 0].numpy(), cmap='gray'); of three "
    "channels, from -1 to 1, (images[0].permute(1, 2, 0).numpy() + 1) / 2"
)
OF_DATA = "`.data` is a NumPy array here: drop it, p.{0}(...), inside `with tr.no_grad():`, or assign, p.data = array"
DATA_READ = (
    "`.data` is a NumPy array here, without a tensor's methods: write {0}.detach(); of a gradient, {0} is enough"
)
OF_ARRAYS = {
    "all",
    "any",
    "argmax",
    "argmin",
    "astype",
    "copy",
    "item",
    "max",
    "mean",
    "min",
    "reshape",
    "sum",
    "tolist",
}
FREE = ("print", "len", "float", "int", "str", "np.", "numpy.", "math.")  # functions that take arrays, too
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
COMPILED = "delete the line: a model runs as it is; on a GPU, tr.compile(step, model, optimizer) captures a whole step"
FILES = {
    "save": "tr.save writes safetensors, not pickles: call the file x.safetensors, so that no checkpoint of PyTorch is "
    "taken for it",
    "load": f"tr.load reads safetensors, not pickles: {CONVERT}",
}


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
        elif isinstance(node, ast.Subscript) or (isinstance(node, ast.Attribute) and node.attr in ("data", "detach")):
            node = node.value
        else:
            return of_data, isinstance(node, ast.Attribute) and node.attr == "grad"


def _part(node: ast.expr) -> tuple[str, bool]:
    """Of `w.data[:, 1]`, "w[:, 1]", and whether that is surely part of a parameter; "" where it may be an entry of a
    list or a dictionary."""
    if not isinstance(node, ast.Subscript) or _is_key(node.slice):
        return "", False
    of = node.value.value if isinstance(node.value, ast.Attribute) and node.value.attr == "data" else node.value
    sure = of is not node.value or (isinstance(of, ast.Attribute) and of.attr in ("weight", "bias"))
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    sliced = len(inner) > 1 or isinstance(inner[0], ast.Slice)
    return (ast.unparse(ast.Subscript(of, node.slice, ast.Load())) if sure or sliced else ""), sure


def _holders(node: ast.AST) -> list[ast.expr]:
    """What is bound to a dictionary, a list or an array of NumPy, into which one may write."""
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return []
    pairs = [(target, node.value) for target in (node.targets if isinstance(node, ast.Assign) else [node.target])]
    for target, value in pairs:  # a, b = {}, []
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs += zip(target.elts, value.elts, strict=False)
    return [target for target, value in pairs if _is_holder(value)]


def _is_holder(made: ast.expr) -> bool:
    if isinstance(made, ast.Call):
        return ast.unparse(made.func).startswith(("dict", "defaultdict", "list", "np."))
    return isinstance(made, (ast.Dict, ast.DictComp, ast.List, ast.ListComp))


class Script(ast.NodeVisitor):
    """Collects what a script uses: (line, dotted name behind torch) and (line, what, mend) of what is no name."""

    def __init__(self, tree: ast.AST) -> None:
        self.quiet = 0  # blocks without recording around the present line, in which a parameter may be written into
        self.holders = {ast.unparse(place) for node in ast.walk(tree) for place in _holders(node)}
        self.roots: set[str] = set()  # of the packages that it imports: torch, tinyres
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
            if root in OURS:
                self.roots.add(root)
                self.rooms[alias.asname or root] = rest if alias.asname else ""
            elif root.startswith(("torch", "pytorch")):
                pictures = root == "torchvision" and rest.startswith("utils")
                self.seen.append((node.lineno, root, f"{root} {PICTURES if pictures else OTHERS}"))

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        root, _, rest = (node.module or "").partition(".")
        if root not in OURS or node.level:
            others = [ast.alias(f"{root}.{rest or alias.name}") for alias in node.names]
            return self.visit_Import(ast.Import(others, lineno=node.lineno))
        self.roots.add(root)
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
        if name and not (name in FILES and "torch" not in self.roots):
            self.seen += [(node.lineno, f"torch.{name}({word})", mend) for word, mend in strange(name, node)]
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in self.scalers:
            mend = SCALED.get(node.func.attr, "delete it: there is no scaler")
            self.seen.append((node.lineno, f"{ast.unparse(node.func)}(...)", mend))
        elif name is None and isinstance(node.func, ast.Attribute) and node.func.attr not in self.own:
            of_data, of_grad = _ends(node.func.value)
            mend, (part, _) = without(node.func.attr, of_data, of_grad), _part(node.func.value)
            if part and not of_grad and node.func.attr in CHANGES:
                value = ast.unparse(node.args[0]) if node.args else "0"
                mend = OF_PART.format(f"{part} {ASSIGNED.get(node.func.attr, '=')} {value}")
            elif self.quiet and node.func.attr in CHANGES and not (of_data or of_grad):
                mend = ""
            elif not mend and of_data and node.func.attr not in OF_ARRAYS:
                mend = DATA_READ.format(ast.unparse(node.func.value).removesuffix(".data"))
            if mend:
                sure = "" if of_data or of_grad else MAYBE
                self.seen.append((node.lineno, f"{ast.unparse(node.func)}(...){sure}", mend))
        if not (name or "").startswith("nn.init.") and not ast.unparse(node.func).startswith(FREE):
            self.arguments(node)
        self.generic_visit(node)

    def arguments(self, call: ast.Call) -> None:
        """The `.data` of a tensor, handed on as if it were one."""
        for argument in [*call.args, *(keyword.value for keyword in call.keywords)]:
            if isinstance(argument, ast.Attribute) and argument.attr == "data" and self.dotted(argument) is None:
                of = ast.unparse(argument.value)
                if of not in ("self", "args", "opt"):
                    self.seen.append((argument.lineno, f"{of}.data{MAYBE}", DATA_READ.format(of)))

    def visit_With(self, node: ast.With) -> None:
        quiet = any(
            isinstance(item.context_expr, ast.Call) and self.unrecorded(item.context_expr) for item in node.items
        )
        self.quiet += quiet
        self.generic_visit(node)
        self.quiet -= quiet

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        quiet = any(self.unrecorded(one) for one in node.decorator_list)
        self.quiet += quiet
        self.generic_visit(node)
        self.quiet -= quiet

    def unrecorded(self, node: ast.expr) -> bool:
        return self.dotted(node.func if isinstance(node, ast.Call) else node) in ("no_grad", "inference_mode")

    def visit_Assign(self, node: ast.Assign | ast.AugAssign) -> None:
        made = self.dotted(node.value.func) if isinstance(node.value, ast.Call) else None
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if made and made.endswith("GradScaler"):
                self.scalers.add(ast.unparse(target))
            held = isinstance(target, ast.Subscript) and ast.unparse(target.value) in self.holders
            if isinstance(target, ast.Subscript) and not held and not _is_key(target.slice):
                text, (part, sure) = ast.unparse(target), _part(target)
                if not sure:
                    self.seen.append((node.lineno, f"{text} = ...{MAYBE}", WRITTEN))
                elif part != text or not self.quiet:
                    self.seen.append((node.lineno, f"{text} = ...", OF_PART.format(f"{part} = ...")))
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
    if name.startswith("nn.init.") and call.args and _part(call.args[0])[0]:
        yield "w[...]", OF_PART.format(f"{_part(call.args[0])[0]} = ...")
    if name.startswith("nn.init.") and any(isinstance(a, ast.Attribute) and a.attr == "data" for a in call.args):
        yield ".data", "hand over the parameter itself, without .data"
    if name == "compile" and len(call.args) + len(call.keywords) == 1:
        yield "...", COMPILED
    if name in FILES and not any(_is_safe(argument) for argument in call.args):
        yield "...", FILES[name]
    for keyword in call.keywords if callable(found) else []:
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else keyword.value
        unknown = keyword.arg and mend_of(found, {keyword.arg: value})
        if unknown:
            yield f"{keyword.arg}=", f"there is no argument {keyword.arg}: {unknown[1]}"
        elif keyword.arg == "momentum" and value is None:
            yield "momentum=None", "momentum must be a number from 0 to 1; assign 1 / k to .momentum before batch k"
