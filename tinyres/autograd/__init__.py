"""The tape: tensors, how operations are declared and recorded, and the passes that walk back over them.

Read in this order:

primitive.py   the declaration of an operation: a forward, and a rule for each input
node.py        what the tape is made of;   tensor.py  an array with its node
reference.py   the whole engine on a page: it is not run, but held against the one that is
calling.py     @primitive, and what calling an operation does;   operands.py  what it accepts beside tensors
sweep.py       the one loop of reverse mode;   reverse.py  its faces: grad, backward, steps, walk
functional.py  products with Jacobians and Hessians, and these themselves
checkpoint.py  less memory for a second forward run;   anomaly.py  who made the first NaN
dlpack.py      tensors on the memory of other libraries
"""

from tinyres.autograd.calling import primitive
from tinyres.autograd.reverse import backward, grad, steps, walk
from tinyres.autograd.sweep import Algebra, Arrays, Event
from tinyres.context import Observer

__all__ = ["Algebra", "Arrays", "Event", "Observer", "backward", "grad", "primitive", "steps", "walk"]
