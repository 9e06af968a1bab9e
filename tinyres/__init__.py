"""tinyres: see how gradients vanish or survive.

A tensor and autograd library from scratch. `tr.Tensor` and the operations below are differentiable to any order; the
rest lives in the submodules `nn`, `optim`, `data`, `models` and `flow`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from tinyres import starting  # isort: skip  # noqa: F401  (first, while Ctrl-C may come)
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
_HIGHER = {"trace": "viewer", "compile": "graph", "exercise": "exercises"}


def __getattr__(name: str) -> object:
    """`tr.trace`, `tr.compile`, `tr.exercise`: imported when first asked for, since they stand on higher floors."""
    if name in _HIGHER:
        return getattr(import_module(f"tinyres.{_HIGHER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
