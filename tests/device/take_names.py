"""Write `cupy_names.json` anew: the public names of the installed CuPy, and what their functions call their arguments.

    python tests/device/take_names.py

Needs a CuPy that can be imported, but no GPU.
"""

import inspect
import json
import re
import warnings
from pathlib import Path


def parameters(function):
    """The names of the arguments, from the signature or the docstring's first line; None where neither tells."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        first = (function.__doc__ or "").split("\n")[0]
        listed = re.search(r"\((.*)\)", first)
        if listed is None:
            return None
        words = [part.split("=")[0].split()[-1] for part in listed[1].split(",") if part.split("=")[0].split()]
        return [word for word in words if word not in ("self", "/", "*")]
    return [("*" if p.kind is p.VAR_POSITIONAL else "") + p.name for p in found if p.name != "self"]


def public(thing):
    return [name for name in dir(thing) if not name.startswith("_")]


def names():
    import cupy
    import cupyx.scipy.special

    functions = {n: parameters(getattr(cupy, n)) for n in public(cupy) if inspect.isroutine(getattr(cupy, n))}
    return {
        "cupy": cupy.__version__,
        "functions": functions,
        "ufuncs": [n for n in public(cupy) if isinstance(getattr(cupy, n), cupy.ufunc)],
        "gufuncs": [n for n in public(cupy) if type(getattr(cupy, n)).__name__ == "_GUFunc"],
        "of ufuncs": public(cupy.ufunc),
        "methods": {
            n: parameters(getattr(cupy.ndarray, n)) for n in public(cupy.ndarray) if callable(getattr(cupy.ndarray, n))
        },
        "attributes": [n for n in public(cupy.ndarray) if not callable(getattr(cupy.ndarray, n))],
        "operators": [n for n in dir(cupy.ndarray) if n.startswith("__") and n not in dir(object)],
        "linalg": {
            n: parameters(getattr(cupy.linalg, n))
            for n in public(cupy.linalg)
            if inspect.isroutine(getattr(cupy.linalg, n))
        },
        "special": public(cupyx.scipy.special),
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    text = json.dumps(names(), indent=None, separators=(",", ": "))
    (Path(__file__).parent / "cupy_names.json").write_text(text.replace('],"', '],\n"') + "\n")
