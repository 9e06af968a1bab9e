"""Names for values: the source line that made one, the module that ran, the parameter or variable that holds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from types import CellType, FrameType
from typing import Any, NamedTuple, TypeAlias, TypeVar

from tinyres import nn
from tinyres.autograd.anomaly import is_ours
from tinyres.autograd.node import Node
from tinyres.autograd.tensor import Tensor
from tinyres.viewer.records import Op

Scopes: TypeAlias = "list[Mapping[str, Any]]"

Value = TypeVar("Value")

_CALL = nn.Module.__call__.__code__


class CallSite(NamedTuple):
    """Where an operation was called."""

    frame: FrameType | None  # of the user's innermost function
    root: nn.Module | None  # the outermost module that was running


def call_site(frame: FrameType | None, until: FrameType) -> CallSite:
    """Walk up the stack from an operation to `until`, the tracer's own frame."""
    user, outermost = None, None
    while frame is not None and frame is not until:
        if frame.f_code is _CALL:
            outermost = frame
        elif user is None and not is_ours(frame):
            user = frame
        frame = frame.f_back
    return CallSite(user, None if outermost is None else outermost.f_locals["self"])


class Names:
    """Names of leaves, constants and root modules, looked up in modules and in the variables of frames."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes  # searched last
        self._leaves: dict[int, tuple[int | None, str]] = {}  # by serial: the root module that has it, and its name
        # Objects keyed by id are held, so that their ids are not reused.
        self._roots: dict[int, tuple[nn.Module, list[str]]] = {}  # by id of a root module: the module, names for it
        self._frozen: dict[int, tuple[Any, int, str]] = {}  # by id of an array: the array, its root module, its name
        self._labels: dict[int, str] = {}  # by id of a root module that ran; chosen once all have
        self._searched = False

    def search_closure(self, function: Any) -> None:
        """Also search the variables that a function closes over, and those of its Python module."""
        function = getattr(function, "__func__", function)  # of a method
        names = getattr(getattr(function, "__code__", None), "co_freevars", ())
        cells = getattr(function, "__closure__", None) or ()
        held = {name: cell.cell_contents for name, cell in zip(names, cells, strict=True) if cell != CellType()}
        self._scopes = [held, getattr(function, "__globals__", {}), *self._scopes]
        self._searched = False

    def register(self, root: nn.Module | None, frame: FrameType | None) -> int | None:
        """Record a root module and the names of its parameters."""
        if root is None:
            return None
        if id(root) not in self._roots:
            called = [] if root._name else _variables(self._around(frame), root) or [type(root).__name__]
            self._roots[id(root)] = root, called
            for name, held in [*root.named_parameters(), *root.named_buffers()]:
                full = f"{root._name}.{name}" if root._name else name
                if held.node is not None:
                    self._leaves.setdefault(held.node.serial, (id(root), full))
                else:
                    self._frozen.setdefault(id(held._data), (held._data, id(root), full))
        return id(root)

    def classes(self, paths: Collection[str]) -> dict[str, str]:
        """The class of the module behind each path of an operation, where it is known."""
        known = {
            self.full(key, self._inside(root, path)): type(module).__name__
            for key, (root, _) in self._roots.items()
            for path, module in root._tree()
        }
        return {path: kind for path in paths if path and (kind := _behind(path, known))}

    def leaf(self, node: Node, frame: FrameType | None) -> tuple[int | None, str]:
        """The root module that a leaf belongs to, and its name; None and "" if it has no name."""
        if node.serial not in self._leaves:
            owner = node.owner() if node.owner is not None else None
            name = None if owner is None else _variable(self._around(frame), owner)
            if name is None and not self._searched:
                self._search()
            self._leaves.setdefault(node.serial, (None, name or ""))
        return self._leaves[node.serial]

    def constant(self, value: Any, frame: FrameType | None) -> tuple[int | None, str]:
        """Like `leaf`, for a value that requires no gradient: an array of a module or of a variable."""
        if id(value) in self._frozen:
            return self._frozen[id(value)][1:]
        return None, _variable(self._around(frame), value) or "" if hasattr(value, "strides") else ""

    def full(self, root: int | None, name: str) -> str:
        """A path or leaf name, prefixed with the root module's name if several root modules have none of their own."""
        label = self._labels.get(root, "") if root is not None and len(self._labels) > 1 else ""
        return f"{label}.{name}" if label and name else label or name

    def _search(self) -> None:
        """Register the modules in the caller's variables, because a finished graph does not show which modules ran."""
        self._searched = True
        values = [entry for scope in self._scopes for value in list(scope.values()) for entry in _held(value)]
        found = [value for value in values if isinstance(value, nn.Module)]
        for module in sorted(found, key=lambda module: module._name != ""):  # parts of others after the others
            self.register(module, None)

    def place(self, ops: Mapping[float, Op], unplaced: Collection[float]) -> None:
        """Find the root modules of operations that nobody watched, whose serials are `unplaced`, and names for all.

        The tape holds their paths in a root module, such as "0", and several roots have the same. But a weight tells
        whose it is, and a root runs without interruption: what lies between two operations of D's is D's as well.
        """
        runs: list[list[float]] = [[]]
        for serial in sorted(serial for serial, op in ops.items() if op.inputs):
            if serial in unplaced:
                runs[-1].append(serial)
            elif runs[-1]:
                runs.append([])
        trees = {key: self._places(root) for key, (root, _) in self._roots.items()}
        idle = [tree for key, tree in trees.items() if next(self._roots[key][0].parameters(), None) is None]
        for run in runs:
            owners = [_owner(ops, ops[serial], trees) for serial in run]
            root, place, last = None, -1, ""  # of the operation before; the place is that in its root's tree
            for i, serial in enumerate(run):
                path, after = ops[serial].path, next((owner for owner in owners[i:] if owner is not None), None)
                found = {key: _behind(path, trees[key]) for key in (root, after) if key is not None}
                able = {key: at for key, at in found.items() if at is not None}
                if owners[i] is not None:
                    here = owners[i]
                elif root != after and any(_behind(path, tree) is not None for tree in idle):
                    here = None  # it may be a loss that is a module, and has no weight to tell
                elif len(able) == 2 and able[root] < place and not last.startswith(path):  # type: ignore[index]
                    here = after  # modules mostly run in the order of the tree, one that holds others also after them
                else:
                    here = next(iter(able), None)
                ops[serial].root = here
                if here is not None:
                    root, place, last = here, able[here], path
        ran = {op.root for op in ops.values()}
        self._labels = _told_apart({key: called for key, (_, called) in self._roots.items() if called and key in ran})

    def _places(self, root: nn.Module) -> dict[str, int]:
        """The modules of a root that may compute something themselves: by path, the place in its tree."""
        return {
            self._inside(root, path): place
            for place, (path, module) in enumerate(root._tree())
            if not isinstance(module, nn.Sequential)
        }

    def _inside(self, root: nn.Module, path: str) -> str:
        return f"{root._name}.{path}" if root._name and path else root._name or path

    def _around(self, frame: FrameType | None) -> Scopes:
        return self._scopes if frame is None else [frame.f_locals, frame.f_globals, *self._scopes]


def _behind(path: str, known: Mapping[str, Value]) -> Value | None:
    """What is known of a path, or of a module further out: "attention.branch.norm1" ran in a branch but is the layer's
    "norm1".
    """
    parts = path.split(".")
    shorter = (
        parts[:start] + parts[start + dropped :]
        for dropped in range(len(parts))
        for start in reversed(range(len(parts) - dropped))
    )
    return next((known[name] for name in map(".".join, shorter) if name in known), None)


def _owner(ops: Mapping[float, Op], op: Op, trees: Mapping[int, Mapping[str, int]]) -> int | None:
    """The root that a weight of the operation belongs to, if the operation can have run there."""
    sources = [ops[serial] for serial in op.inputs if serial is not None and not ops[serial].inputs]
    roots = [source.root for source in sources if source.root is not None]
    return next((root for root in roots if _behind(op.path, trees[root]) is not None), None)


def _held(value: Any) -> list[Any]:
    """A variable's value, or the entries of a dictionary or list."""
    if type(value) is dict:
        return list(value.values())
    return list(value) if type(value) in (list, tuple) else [value]


def _variable(scopes: Scopes, value: Any) -> str | None:
    held = hasattr(value, "strides")
    for scope in scopes:
        for name, found in list(scope.items()):
            if found is value or (held and isinstance(found, Tensor) and found._data is value):
                return name
    return None


def _variables(scopes: Scopes, module: nn.Module) -> list[str]:
    """The names under which variables hold a module, innermost scope first; also "plain" for nets = {"plain": net}, and
    "nets[0]" for a list.
    """
    found: list[str] = []
    for scope in scopes:
        held = [(name, value) for name, value in list(scope.items()) if not name.startswith("_")]
        found += [name for name, value in held if value is module]
        for name, value in held:
            if type(value) is dict:
                found += [key for key, entry in value.items() if entry is module and _is_name(key)]
            elif type(value) in (list, tuple):
                found += [f"{name}[{i}]" for i, entry in enumerate(value) if entry is module]
    return list(dict.fromkeys(found))


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and key != "" and "." not in key  # a dot would end the name in a path


def _told_apart(called: Mapping[int, list[str]]) -> dict[int, str]:
    """One name for each module: the first of its own that no other has, as a function calls every net `net`; where all
    have the same, they are counted.
    """
    shared = Counter(name for names in called.values() for name in names)
    labels = {key: next((name for name in names if shared[name] == 1), names[0]) for key, names in called.items()}
    alike = Counter(labels.values())
    seen: Counter[str] = Counter()
    for key, label in labels.items():
        if alike[label] > 1:
            seen[label] += 1
            labels[key] = f"{label} {seen[label]}"
    return labels
