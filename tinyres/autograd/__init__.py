"""Reverse-mode automatic differentiation: tensors, the tape that operations are recorded on, and the backward pass.

Read in this order:

primitive.py   the declaration of an operation: a function of arrays, and a vector-Jacobian product for each input
node.py        the tape: one node for each recorded operation
tensor.py      Tensor: an array, and the node that made it;   operators.py  `x + y` and `x.sum()`
methods.py     `x.size(0)`, `x.to(...)` and their like;   in_place.py  `p.add_` and `p -= step` of a parameter
reference.py   the whole engine on one page. It is there to be read; the tests compare the real engine with it
operands.py    what else an operation accepts: numbers, lists, arrays of NumPy and of other libraries
plan.py        which values a call saves for its rules
calling.py     @primitive;   source.py  what happens when an operation is called
algebra.py     adding cotangents: arrays, or whatever else a pass carries
hooks.py       functions that see a gradient on its way, and may change it
event.py       one step of the backward pass, as it is shown
sweep.py       the one loop of the backward pass;   between.py  the nodes that it is about
reverse.py     the functions that start it: grad, backward, steps, walk
function.py    Function: an operation in PyTorch's form, on top of @primitive
functional.py  vjp, jvp, hvp, Jacobians and Hessians, all built on grad
checkpoint.py  gradient checkpointing: less memory for a second forward run
anomaly.py     detect_anomaly: which operation made the first NaN?
dlpack.py      sharing memory with other libraries
"""

from tinyres.autograd.algebra import Algebra, Arrays
from tinyres.autograd.calling import primitive
from tinyres.autograd.event import Event
from tinyres.autograd.function import Function
from tinyres.autograd.reverse import backward, grad, steps, walk
from tinyres.context import Observer
from tinyres.refusals.absent import told

__all__ = ["Algebra", "Arrays", "Event", "Function", "Observer", "backward", "grad", "primitive", "steps", "walk"]
__getattr__ = told(__name__)
