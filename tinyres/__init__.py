"""tinyres: see how gradients vanish or survive. A tensor and autograd library from scratch.

core      context arrays autograd ops gradcheck files lock nn optim graph: the library, some 9,000 lines
study     data models training gan flow figures lab: nets, how they train, and what theory says about them
workshop  viewer exercises bench cli: tools around it

`import tinyres as tr` gives tensors, the operations (`tr.tanh`, `tr.conv2d`, ...), which are differentiable to any
order, and the functions below. Import the rest as modules: `from tinyres import nn, optim, data, models, flow`.

To read how it works, begin with `context.py`, then `arrays`, `autograd` (its `__init__` gives the order) and
`ops/elementwise.py`: an afternoon.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from tinyres_kernels import waiting

from tinyres import starting  # isort: skip  # noqa: F401  (first, so that Ctrl-C ends the command during the imports)
from tinyres import ops
from tinyres.arrays import KernelDisagreement, get_num_threads, kernels, set_num_threads
from tinyres.autograd import Event, Observer, backward, grad, steps, walk
from tinyres.autograd.anomaly import detect_anomaly
from tinyres.autograd.checkpoint import checkpoint
from tinyres.autograd.dlpack import from_dlpack
from tinyres.autograd.functional import hessian, hvp, jacobian, jvp, vjp
from tinyres.autograd.tensor import Tensor, tensor
from tinyres.context import enable_grad, is_recording, no_grad
from tinyres.files import FileFormatError, load, load_metadata, save
from tinyres.gradcheck import GradcheckError, gradcheck
from tinyres.ops import *  # noqa: F403
from tinyres.version import __version__ as __version__

if TYPE_CHECKING:
    from tinyres.exercises import exercise
    from tinyres.graph import compile
    from tinyres.viewer import trace


__all__ = [
    "Event", "FileFormatError", "GradcheckError", "KernelDisagreement", "Observer", "Tensor", "backward", "checkpoint",
    "compile", "detect_anomaly", "enable_grad", "exercise", "from_dlpack", "get_num_threads", "grad", "gradcheck",
    "hessian", "hvp", "is_recording", "jacobian", "jvp", "kernels", "load", "load_metadata", "no_grad", "save",
    "set_num_threads", "steps", "tensor", "trace", "vjp", "walk",
]  # fmt: skip
__all__ += ops.__all__
if hasattr(sys, "ps1"):  # a prompt or a notebook: its first seconds should not seem to hang
    waiting.told = lambda begins: import_module("tinyres.cli.compiling").at_prompt(begins)
_HIGHER = {"trace": "viewer", "compile": "graph", "exercise": "exercises"}


def __getattr__(name: str) -> object:
    """`tr.trace`, `tr.compile` and `tr.exercise` are imported on first use: they are built on top of all the rest."""
    if name in _HIGHER:
        return getattr(import_module(f"tinyres.{_HIGHER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
