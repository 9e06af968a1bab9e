"""The house: its floors, and who imports whom, read off the sources. `python -m tests.house` draws the map."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Each floor may import from itself and from the floors before it.
FLOORS = [
    ["tinyres_kernels"],
    ["version", "starting", "context", "arrays", "refusals", "autograd", "signatures"],
    ["ops"],
    ["gradcheck", "files", "nesting", "lock", "linalg", "nn", "optim", "data", "figures"],
    ["models", "graph", "utils"],
    ["training"],
    ["gan"],
    ["flow"],
    ["lab"],
    ["viewer", "play", "exercises"],
    ["bench", "cli", "__main__"],
]
PARTS = {
    "core": [
        "context",
        "arrays",
        "refusals",
        "autograd",
        "ops",
        "gradcheck",
        "files",
        "nesting",
        "signatures",
        "lock",
        "linalg",
        "nn",
        "optim",
        "graph",
    ],
    "study": ["data", "utils", "models", "training", "gan", "flow", "figures", "lab"],
    "workshop": ["viewer", "play", "exercises", "bench", "cli"],
}
COLOURS = {"core": "#cfe3f7", "study": "#dff0d0", "workshop": "#f7e6c4"}
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
SOURCES = sorted([*(ROOT / "tinyres").rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[0] if parts[0] == "tinyres_kernels" else parts[1] if parts[0] == "tinyres" and len(parts) > 1 else None


@cache
def parsed(path):
    return ast.parse(path.read_text())


@cache
def imports_of(path):
    """Every import of a file, wherever it stands: in functions, for type checkers, by `import_module` and a name.

    The face of a package alone may fetch by name what is built on top of it.
    """
    named = re.findall(r'import_module\("(tinyres[\w.]*)"\)', path.read_text()) if path.name != "__init__.py" else []
    found, waiting = named, [parsed(path)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif not isinstance(node, ast.expr):  # no expression holds a statement
            waiting += ast.iter_child_nodes(node)
    return found


def rooms_imported():
    """For each room (a folder or a file of tinyres, and the kernels) the set of rooms that it imports."""
    found = {room: set() for room in LEVEL}
    for path in SOURCES:
        here = path.relative_to(ROOT).with_suffix("").parts[1]
        if here in LEVEL:  # not the package's own __init__, which sees every floor
            there = map(room_of, imports_of(path))
            found[here] |= {room for room in there if room in LEVEL and room != here}
    return found


def drawn():
    """The map as Mermaid text, the ground floor last: an arrow from A to B says that A imports B.

    What follows from other arrows is not drawn: gan -> training -> nn leaves out gan -> nn.
    """
    imported = rooms_imported()
    reached = {room: reach(room, imported) for room in LEVEL}
    lines = ["graph TD"]
    for level, rooms in reversed(list(enumerate(FLOORS))):
        lines.append(f'  subgraph floor{level} ["floor {level}"]')
        lines += [f'    {box(room)}["{room}"]' for room in rooms]
        lines.append("  end")
    for room in sorted(LEVEL, key=lambda room: (-LEVEL[room], room)):
        implied = set().union(*(reached[other] for other in imported[room]))
        lines += [f"  {box(room)} --> {box(other)}" for other in sorted(imported[room] - implied)]
    for part, rooms in PARTS.items():
        lines.append(f"  classDef {part} fill:{COLOURS[part]},color:#000")
        lines.append(f"  class {','.join(map(box, rooms))} {part}")
    return "\n".join(lines)


def box(room):
    """The name of a room's box: "graph" itself is a word of Mermaid's."""
    return f"{room.strip('_')}_"


def lines_of(part):
    """How many lines of Python a part of the house has."""
    folders = {(ROOT / "tinyres" / room).with_suffix(suffix) for room in PARTS[part] for suffix in ("", ".py")}
    files = [path for path in SOURCES if path in folders or folders & set(path.parents)]
    return sum(len(path.read_text().splitlines()) for path in files)


def reach(room, imported):
    """Every room that a room imports, directly or through others."""
    found, waiting = set(), [room]
    while waiting:
        new = imported[waiting.pop()] - found
        found |= new
        waiting += new
    return found


if __name__ == "__main__":
    print(drawn())
