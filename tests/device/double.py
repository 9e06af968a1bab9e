"""A stand-in for CuPy where there is no GPU: its names, its refusals, and NumPy behind them.

Only what CuPy has exists here (`cupy_names.json`, taken from CuPy itself), with CuPy's names of arguments. An array
never becomes NumPy's unasked, and takes no NumPy array as a partner. Every copy to the host is counted. What it cannot
show: races, streams, speed, and rounding.
"""

from __future__ import annotations

import json
from collections import Counter
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

NAMES = json.loads((Path(__file__).parent / "cupy_names.json").read_text())
UPLOADS = ("array", "asarray", "asanyarray")  # what takes the host's arrays; indexing is the other way in
copies: Counter[str] = Counter()  # to the host: "get", "item", and "implicit" (a truth value, a Python number)


IN_PLACE = {f"ndarray.{name}" for name in ("fill", "set", "put", "sort", "partition")}
IN_PLACE |= {"copyto", "put", "place", "putmask", "fill_diagonal"}
recorded = None  # a list while a stream captures: what its graph is to do, a function each
held = []  # the memory that was asked for meanwhile, as a pool keeps it: kernels may know an address and no array


def note(name):
    """Called for each operation that computes or copies on the device; `launches.py` counts them here."""


def pinned(size):
    """Called before so many bytes travel from the host while a stream captures."""


def _noted(name, again, *given):
    """The array that `again` makes of `given`: one that is no view of it, and holds something, took a launch."""
    result = again()
    array = up(result)
    if recorded is not None:
        held.append(result)
    made = isinstance(result, (np.ndarray, np.generic)) and result.size and "empty" not in name
    if made and not any(isinstance(a, np.ndarray) and np.may_share_memory(a, result) for a in given):
        note(name)
        if recorded is not None:
            recorded.append(partial(_once_more, again, array._host))
    return array


def _once_more(again, into):
    into[...] = again()


def _in_place(name, action):
    """Done now; by the graph where one is being captured."""
    note(name)
    if recorded is None:
        action()
    else:
        recorded.append(action)


def _to_host(kind):
    copies[kind] += 1
    if recorded is not None:
        raise RuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")


class Flags:
    def __init__(self, flags):
        self.c_contiguous, self.f_contiguous, self.owndata = flags.c_contiguous, flags.f_contiguous, flags.owndata


class ndarray:
    __module__ = "cupy"
    __slots__ = ("_host",)
    __array_ufunc__ = None  # stricter than CuPy's: numpy.exp(array) is refused, too
    __hash__ = None

    def __init__(self, shape, dtype=float):
        self._host = np.empty(shape, dtype)

    # -- what it is -------------------------------------------------------------------------------------------------
    flags = property(lambda self: Flags(self._host.flags))
    device = property(lambda self: SimpleNamespace(id=0))
    data = property(lambda self: SimpleNamespace(ptr=self._host.ctypes.data))

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __len__(self):
        return len(self._host)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        place = _key(key)
        return _noted("__getitem__", lambda: self._host[place], self._host)

    def __setitem__(self, key, value):
        place, given = _key(key), down(value)
        _in_place("__setitem__", lambda: self._host.__setitem__(place, given))

    def __deepcopy__(self, memo):
        return up(self._host.copy())

    def __repr__(self):
        return f"double of {self._host!r}"

    # -- to the host ------------------------------------------------------------------------------------------------
    def get(self, stream=None, order="C", out=None, blocking=True):
        _to_host("get")
        return np.array(self._host, order=order)

    def set(self, arr, stream=None):
        self._host[...] = arr

    def item(self):
        _to_host("item")
        return self._host.item()

    def tolist(self):
        _to_host("get")
        return self._host.tolist()

    def __dlpack__(self, **how):
        raise BufferError("a stand-in's memory is on no GPU")

    def __dlpack_device__(self):
        return (2, 0)


def down(value):
    """What NumPy is to compute with; refused where CuPy refuses."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (list, tuple)):
        return type(value)(map(down, value))
    return value


def up(value):
    """An array of the stand-in for what NumPy computed: never a NumPy scalar."""
    if isinstance(value, (np.ndarray, np.generic)):
        array = ndarray.__new__(ndarray)
        array._host = np.asarray(value)
        return array
    return tuple(map(up, value)) if isinstance(value, tuple) else value


def _key(key):
    """CuPy copies a host's index to the device by itself."""
    parts = key if isinstance(key, tuple) else (key,)
    found = tuple(k._host if isinstance(k, ndarray) else k for k in parts)
    return found if isinstance(key, tuple) else found[0]


def checked(name, parameters, call, *own):
    """`call` on NumPy's arrays (a method's `own` is one), with no more and no other arguments than CuPy's has."""
    spread = any(p.startswith("*") for p in parameters)

    def function(*args, **kwargs):
        unknown = kwargs.keys() - set(parameters)
        if unknown or (len(args) > len(parameters) and not spread):
            raise TypeError(f"cupy.{name} takes {parameters}, not {len(args)} arguments and {sorted(unknown)}")
        given = *map(down, args), *map(down, kwargs.values())

        def compute():
            with np.errstate(all="ignore"):  # a GPU says nothing of overflow
                return call(*given[: len(args)], **dict(zip(kwargs, given[len(args) :], strict=True)))

        if kwargs.get("out") is not None or name in IN_PLACE:
            _in_place(name, compute)
            return kwargs.get("out")
        return _noted(name, compute, *given, *own)

    function.__name__ = name
    return function


class ufunc:
    def __init__(self, name, function):
        self.__name__, self._function = name, function
        self._call = checked(name, ["*args", "out", "dtype", "casting"], function)

    def __call__(self, *args, **kwargs):
        if not any(isinstance(a, (ndarray, int, float, complex, np.generic)) for a in args):
            raise TypeError(f"cupy.{self.__name__}: no array among {[type(a).__name__ for a in args]}")
        return self._call(*args, **kwargs)

    def at(self, a, indices, b=None):
        given = down(a), _key(indices), *(() if b is None else (down(b),))
        _in_place(self.__name__, lambda: self._function.at(*given))


def _operator(name):
    call = getattr(np.ndarray, name)

    def operator(self, *others):
        if any(getattr(o, "__array_ufunc__", 0) is None and not isinstance(o, ndarray) for o in others):
            return NotImplemented  # a Tensor: its reflected operator takes over
        given = tuple(map(down, others))

        def compute():
            with np.errstate(all="ignore"):
                return call(self._host, *given)

        if name in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__", "__iand__", "__ior__"):
            _in_place(name, compute)
            return self
        return _noted(name, compute, self._host)

    return operator


def _method(name, parameters):
    def method(self, *args, **kwargs):
        if name == "ravel" and "K" in (*args, kwargs.get("order")):
            raise NotImplementedError("ravel with order='K' not yet implemented.")
        return checked(f"ndarray.{name}", parameters, getattr(self._host, name), self._host)(*args, **kwargs)

    return method


def _number(name):
    def convert(self):
        _to_host("implicit")
        return getattr(self._host, name)()

    return convert


def where(condition, x=None, y=None):
    if not hasattr(condition, "astype"):
        raise AttributeError(f"{type(condition).__name__!r} object has no attribute 'astype'")
    given = down(condition), down(x), down(y)
    return _noted("where", lambda: np.where(*given))


def upload(call):
    def function(obj, dtype=None, **kwargs):
        host = obj._host if isinstance(obj, ndarray) else obj
        if isinstance(obj, ndarray) and call is np.asarray and dtype in (None, host.dtype) and not kwargs:
            return obj
        if isinstance(obj, np.ndarray):  # a transfer keeps no layout but C's and Fortran's
            host = np.array(obj, order="F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C")
        if recorded is not None and not isinstance(obj, ndarray):
            pinned(np.asarray(host).nbytes)
        given = host if isinstance(obj, ndarray) else None
        return _noted("array", lambda: call(host, dtype=dtype, **kwargs), given)

    return function


def _fill_class():
    for name in NAMES["attributes"]:
        if not hasattr(ndarray, name) and hasattr(np.ndarray, name):
            setattr(ndarray, name, property(lambda self, name=name: up(getattr(self._host, name))))
    for name, parameters in NAMES["methods"].items():
        if hasattr(np.ndarray, name) and not hasattr(ndarray, name):
            setattr(ndarray, name, _method(name, parameters))
    numbers = ("__bool__", "__int__", "__float__", "__complex__")
    for name in NAMES["operators"]:
        if name in numbers:
            setattr(ndarray, name, _number(name))
        elif name not in vars(ndarray) and hasattr(np.ndarray, name) and not name.startswith(("__array", "__copy")):
            setattr(ndarray, name, _operator(name))
    for name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):  # which every object has
        setattr(ndarray, name, _operator(name))


_fill_class()


@contextmanager
def no_copies(*allowed):
    """Inside, nothing is copied to the host but in the ways that are `allowed`."""
    copies.clear()
    yield
    unasked = {kind: n for kind, n in copies.items() if kind not in allowed}
    assert not unasked, f"copied to the host: {unasked}"
