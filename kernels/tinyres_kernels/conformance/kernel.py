"""A reader's kernel: where it is, and whether it is compiled."""

import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

_FOREIGN = type(ctypes.pythonapi.Py_IsInitialized).__mro__[1]  # what ctypes calls, of whichever library


def load(place: str) -> Callable[..., Any]:
    """The function at `module:name`, or at `folder/file.py:name`; a dot in the name goes on to an attribute.

    Raises ValueError, saying what is missing, where there is none.
    """
    module, colon, name = place.partition(":")
    if not (module and colon and name):
        raise ValueError(f"got {place!r}, needed MODULE:FUNCTION, as in mymodule:my_conv2d")
    folder = os.getcwd()
    if module.endswith(".py") and os.path.isfile(module):
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
            there = [key for key, value in vars(found).items() if callable(value) and not key.startswith("_")]
            raise ValueError(f"{module} has no {name}; it has {', '.join(there) or 'nothing that can be called'}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{place} is of type {type(found).__name__}, needed a function")
    function: Callable[..., Any] = found
    return function


def is_compiled(kernel: Any) -> bool:
    """Whether it is machine code, or a Python function that calls some: of Numba, by ctypes, of an extension module.

    Functions of the kernel's own package are looked into, those of others are not: NumPy's code is trusted.
    """
    return isinstance(kernel, BuiltinFunctionType) or _reaches_code(kernel, set())


def _reaches_code(found: Any, seen: set[CodeType]) -> bool:
    # Types by name: Numba need not be there. An object that ctypes calls is of a type that is made for its library.
    if any(t.__module__.startswith("numba.") and t.__name__ in ("Dispatcher", "CFunc") for t in type(found).__mro__):
        return True
    if isinstance(found, ctypes.CDLL | _FOREIGN):
        return True
    if isinstance(found, partial):
        return _reaches_code(found.func, seen)
    if isinstance(found, MethodType):
        return _reaches_code(found.__func__, seen)
    if not isinstance(found, FunctionType):
        call = vars(type(found)).get("__call__")
        return isinstance(call, FunctionType) and _reaches_code(call, seen)
    if found.__code__ in seen:
        return False
    seen.add(found.__code__)
    package = found.__module__.partition(".")[0]
    return any(
        _reaches_code(used, seen)
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
