"""The tape: how operations are declared and recorded, and the passes that walk back over it.

primitive.py   the declaration of an operation: a forward and a rule for each input
calling.py     what calling one does, compiled once from its signature
sweep.py       the one loop of reverse mode
reverse.py     its faces: grad, backward, steps, walk
functional.py  products with Jacobians and Hessians, and these themselves
checkpoint.py  less memory for a second forward run
observe.py     who watches;   anomaly.py  who made the first NaN
"""

from tinyres.autograd.calling import primitive
from tinyres.autograd.reverse import backward, grad, steps, walk
from tinyres.autograd.sweep import Algebra, Arrays, Event
from tinyres.context import Observer

__all__ = ["Algebra", "Arrays", "Event", "Observer", "backward", "grad", "primitive", "steps", "walk"]
