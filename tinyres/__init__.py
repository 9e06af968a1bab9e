"""tinyres: see how gradients vanish or survive. A tensor and autograd library from scratch.

core      context arrays refusals autograd ops gradcheck files nesting signatures lock linalg nn optim graph: the
          library, some 18,000 lines
study     data utils models training gan flow figures lab: nets, how they train, and what theory says about them
workshop  viewer play exercises bench cli: tools around it

`import tinyres as tr` gives tensors, the operations (`tr.tanh`, `tr.conv2d`, ...), which are differentiable to any
order, and the functions below. Import the rest as modules: `from tinyres import nn, optim, data, models, flow`.

To read how it works, begin with `context.py`, then `arrays`, `autograd` (its `__init__` gives the order) and
`ops/elementwise.py`: an afternoon.
"""

from tinyres import starting  # isort: skip  # noqa: F401  (first, so that Ctrl-C ends the command during the imports)
import sys
from importlib import import_module
from math import e, inf, nan, pi
from typing import TYPE_CHECKING

from numpy import dtype, finfo, iinfo
from tinyres_kernels import waiting

from tinyres import ops
from tinyres.arrays import KernelDisagreement, get_num_threads, kernels, set_num_threads
from tinyres.arrays.devices import Device as device
from tinyres.arrays.devices import cuda
from tinyres.arrays.random import manual_seed
from tinyres.autograd import Event, Observer, backward, grad, primitive, steps, walk
from tinyres.autograd.anomaly import detect_anomaly
from tinyres.autograd.checkpoint import checkpoint
from tinyres.autograd.dlpack import from_dlpack
from tinyres.autograd.function import Function
from tinyres.autograd.functional import hessian, hvp, jacobian, jvp, vjp
from tinyres.autograd.operators import CONVERSIONS
from tinyres.autograd.printing import set_printoptions
from tinyres.autograd.tensor import Tensor, tensor
from tinyres.context import enable_grad, inference_mode, is_recording, no_grad, set_grad_enabled
from tinyres.files import FileFormatError, load, load_metadata, save
from tinyres.gradcheck import GradcheckError, gradcheck
from tinyres.ops import *  # noqa: F403
from tinyres.refusals.absent import why
from tinyres.version import __version__ as __version__

if TYPE_CHECKING:
    from typing import Any

    from tinyres import linalg as linalg
    from tinyres import nn as nn
    from tinyres import optim as optim
    from tinyres import utils as utils
    from tinyres.exercises import exercise
    from tinyres.graph import compile
    from tinyres.play import play
    from tinyres.viewer import trace

    float16: dtype[Any]
    float32: dtype[Any]
    float64: dtype[Any]
    uint8: dtype[Any]
    int8: dtype[Any]
    int16: dtype[Any]
    int32: dtype[Any]
    int64: dtype[Any]
    bool: dtype[Any]
    half: dtype[Any]
    float: dtype[Any]
    double: dtype[Any]
    short: dtype[Any]
    int: dtype[Any]
    long: dtype[Any]


__all__ = [
    "Event", "FileFormatError", "Function", "GradcheckError", "KernelDisagreement", "Observer", "Tensor", "backward",
    "checkpoint", "compile", "cuda", "detect_anomaly", "device", "dtype", "e", "enable_grad", "exercise", "finfo",
    "from_dlpack", "get_num_threads", "grad", "gradcheck", "hessian", "hvp", "iinfo", "inf", "inference_mode",
    "is_grad_enabled", "is_recording", "jacobian", "jvp", "kernels", "load", "load_metadata",
    "manual_seed", "nan", "no_grad", "pi", "play", "primitive", "save", "set_grad_enabled", "set_num_threads",
    "set_printoptions", "steps", "tensor", "trace", "vjp", "walk",
]  # fmt: skip
__all__ += ops.__all__
is_grad_enabled = is_recording
if hasattr(sys, "ps1"):  # a prompt or a notebook: its first seconds should not seem to hang
    waiting.told = lambda begins: import_module("tinyres.cli.compiling").at_prompt(begins)
_HIGHER = {"trace": "viewer", "compile": "graph", "exercise": "exercises"}
_ROOMS = {
    "data", "figures", "flow", "gan", "lab", "linalg", "models", "nn", "optim", "play", "training", "utils", "viewer",
}  # fmt: skip
_DTYPES = {
    "float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool", "half", "float", "double",
    "short", "int", "long",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """What is built on top of all the rest is imported on first use; dtypes have PyTorch's names, too."""
    if name in _HIGHER:
        return getattr(import_module(f"tinyres.{_HIGHER[name]}"), name)
    if name in _ROOMS:
        return import_module(f"tinyres.{name}")
    if name in _DTYPES:
        return dtype(CONVERSIONS.get(name, name))
    raise AttributeError(why(f"module {__name__!r}", name, import_module("tinyres.nn.functional")))
