"""A reader's kernel: where it is, and whether it is compiled."""

import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tinyres_kernels.command_line import suggested

SHOWN = 6  # files that are named
LAZY = ("Dispatcher", "CFunc", "PjitFunction")  # types of functions that are compiled as they are called
LAZILY = {"Numba": ("numba.",), "JAX": ("jax",)}
_FOREIGN = type(ctypes.pythonapi.Py_IsInitialized).__mro__[1]  # what ctypes calls, of whichever library


def load(place: str) -> Callable[..., Any]:
    """The function at `module:name`, or at `folder/file.py:name`; a dot in the name goes on to an attribute.

    Raises ValueError, saying what is missing, where there is none.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise ValueError(f"got {place!r}, needed MODULE:FUNCTION, as in mymodule:my_conv2d")
    folder = os.getcwd()
    if (module.endswith(".py") or os.sep in module) and not os.path.isfile(module):
        raise ValueError(_no_file(module, name))
    if module.endswith(".py"):
        folder, file = os.path.split(os.path.abspath(module))
        module = file.removesuffix(".py")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # the reader's module runs here, and may raise anything
        raise ValueError(
            f"{module} could not be imported: {type(error).__name__}: {error}. "
            "Give the module's dotted name and start in the folder that holds it, or give its file, as in "
            "folder/mymodule.py:my_conv2d"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise ValueError(_no_name(module, name, found))
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{place} is of type {type(found).__name__}, needed a function")
    function: Callable[..., Any] = found
    return function


def _no_file(file: str, name: str) -> str:
    """A sentence for a file that is not there, with those beside it that were perhaps meant."""
    if os.path.isfile(f"{file}.py"):
        return f"there is no file {file}; did you mean {file}.py:{name}?"
    folder = os.path.dirname(file)
    if not os.path.isdir(folder or "."):
        return f"there is no file {file}, and no folder {folder}"
    beside = [one for one in sorted(os.listdir(folder or ".")) if one.endswith(".py")]
    near = [os.path.join(folder, one) for one in suggested(os.path.basename(file), beside)]
    mend = (
        f"did you mean {' or '.join(near)}?"
        if near
        else f"in its folder there are {', '.join(beside[:SHOWN]) or 'none that end in .py'}"
    )
    return f"there is no file {file}; {mend}"


def _no_name(module: str, name: str, found: Any) -> str:
    """A sentence for a name that the module, or what was found in it, does not have."""
    there = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
    if name.endswith(".py"):
        return (
            f"{module} has no {name}: after the colon comes the function, before it the module or its file, as in "
            f"{module}:{name.removesuffix('.py')} or folder/{module}.py:{name.removesuffix('.py')}"
        )
    near = suggested(name, there)
    mend = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{module} has no {name}; {mend}it has {', '.join(there) or 'nothing that can be called'}"


def is_compiled(kernel: Any) -> bool:
    """Whether it is machine code, or a Python function that calls some: of Numba, by ctypes, of an extension module.

    Functions of the kernel's own package are looked into, those of others are not: NumPy's code is trusted.
    """
    return isinstance(kernel, BuiltinFunctionType) or _reaches_code(
        kernel, set(), lambda found: _is_lazy(found) or _is_foreign(found)
    )


def compiler(kernel: Any) -> str:
    """Who compiles it as it is first called, which takes time: Numba or JAX; empty for nobody."""
    for name, packages in LAZILY.items():
        if _reaches_code(kernel, set(), lambda found, packages=packages: _is_lazy(found, packages)):  # type: ignore[misc]
            return name
    return ""


def by_ctypes(kernel: Any) -> bool:
    """Whether it calls functions of C through ctypes."""
    return _reaches_code(kernel, set(), _is_foreign)


# Types by name: Numba need not be there. An object that ctypes calls is of a type that is made for its library.
def _is_lazy(found: Any, packages: tuple[str, ...] = ("numba.", "jax")) -> bool:
    return any(t.__module__.startswith(packages) and t.__name__ in LAZY for t in type(found).__mro__)


def _is_foreign(found: Any) -> bool:
    return isinstance(found, ctypes.CDLL | _FOREIGN)


def _reaches_code(found: Any, seen: set[CodeType], is_code: Callable[[Any], bool]) -> bool:
    if is_code(found):
        return True
    if isinstance(found, partial):
        return _reaches_code(found.func, seen, is_code)
    if isinstance(found, MethodType):
        return _reaches_code(found.__func__, seen, is_code)
    if not isinstance(found, FunctionType):
        call = vars(type(found)).get("__call__")
        return isinstance(call, FunctionType) and _reaches_code(call, seen, is_code)
    if found.__code__ in seen:
        return False
    seen.add(found.__code__)
    package = found.__module__.partition(".")[0]
    return any(
        _reaches_code(used, seen, is_code)
        for used in _used(found)
        if not isinstance(used, FunctionType) or used.__module__.partition(".")[0] == package
    )


def _used(function: FunctionType) -> Iterator[Any]:
    """What the function's code names: globals, attributes of modules among them, and variables around it."""
    names = function.__code__.co_names
    for name in names:
        value = function.__globals__.get(name)
        if isinstance(value, ModuleType):
            yield from (getattr(value, attribute) for attribute in names if hasattr(value, attribute))
        elif isinstance(value, dict | list | tuple):  # a table of ways to go
            yield from value.values() if isinstance(value, dict) else value
        elif not isinstance(value, type):
            yield value
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
