"""The modules that `import cupy` gives where `double.py` stands in for it."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from types import ModuleType, SimpleNamespace

import numpy as np
import scipy.special

from tests.device import double
from tests.device.double import NAMES, UPLOADS, checked, ndarray, ufunc, upload, where


def modules():
    """{name: module} of what stands in for CuPy."""
    cupy, cuda = ModuleType("cupy"), ModuleType("cupy.cuda")
    cupy.__version__, cupy.ndarray, cupy.cuda = NAMES["cupy"], ndarray, cuda
    cuda.is_available = lambda: True
    cuda.runtime = SimpleNamespace(getDevice=lambda: 0, getDeviceProperties=lambda device: {"name": b"a stand-in"})
    cuda.Stream = lambda non_blocking=False: nullcontext(SimpleNamespace(synchronize=lambda: None))
    cuda.get_current_stream = lambda: SimpleNamespace(ptr=0, is_capturing=lambda: double.recorded is not None)
    for name, parameters in NAMES["functions"].items():
        if callable(getattr(np, name, None)) and parameters is not None:
            setattr(cupy, name, checked(name, parameters, getattr(np, name)))
    for name in [*NAMES["ufuncs"], *NAMES["gufuncs"]]:
        if hasattr(np, name):
            setattr(cupy, name, ufunc(name, getattr(np, name)))
    for name in UPLOADS:
        setattr(cupy, name, upload(getattr(np, name)))
    for name in ("float16", "float32", "float64", "int8", "int32", "int64", "uint8", "bool_", "newaxis", "inf", "nan"):
        setattr(cupy, name, getattr(np, name))
    cupy.where, cupy.asnumpy = where, lambda a, stream=None, order="C", out=None, *, blocking=True: a.get(order=order)
    known = {name: names for name, names in NAMES["linalg"].items() if hasattr(np.linalg, name)}
    cupy.linalg = SimpleNamespace(**{n: checked(n, names, getattr(np.linalg, n)) for n, names in known.items()})
    strided = checked("as_strided", ["x", "shape", "strides"], np.lib.stride_tricks.as_strided)
    cupy.lib = SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=strided))
    special = ModuleType("cupyx.scipy.special")
    for name in NAMES["special"]:
        if isinstance(getattr(scipy.special, name, None), np.ufunc):
            setattr(special, name, ufunc(name, getattr(scipy.special, name)))
    cupyx, inner = ModuleType("cupyx"), ModuleType("cupyx.scipy")
    cupyx.scipy, inner.special = inner, special
    return {"cupy": cupy, "cupy.cuda": cuda, "cupyx": cupyx, "cupyx.scipy": inner, "cupyx.scipy.special": special}


@contextmanager
def standing_in():
    """Inside, `import cupy` gives the stand-in; whatever was imported under those names comes back after."""
    found = modules()
    before = {name: sys.modules.get(name) for name in found}
    sys.modules.update(found)
    try:
        yield found["cupy"]
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
