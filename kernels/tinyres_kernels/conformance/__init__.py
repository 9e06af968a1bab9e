"""Does this kernel do what the specification says? For any kernel: your own, or one of a new kernel set.

    from tinyres_kernels import conformance
    conformance.assert_conforms(my_conv2d, "conv2d")            # in a test
    print(conformance.check(my_conv2d, "conv2d"))               # the whole report
    python -m tinyres_kernels check mymodule:my_conv2d --op conv2d
    conformance.check(mine, "conv2d", adapt=conformance.Adapt(layout="nchw", arrays="torch"))
    python -m tinyres_kernels fuzz --minutes 10             # the CPU kernels, at any size

Every case, a named corner or one drawn by Hypothesis, is put to the kernel three times. Its results must be those of
the specification (`reference`, in float64) within a few roundings of the terms that they are sums of, satisfy the
adjoint identities, not depend on what the results held before, and be the same bits again. Nothing beside the results
may be written to. The kernel is called through its contract, as by everyone else. The contract refuses shapes that do
not fit together and answers empty arrays, so such cases ask nothing of the kernel, and are counted apart. Kernels get
NumPy arrays here, C-contiguous but in the cases of views; the fuzz passes others as well.

    calling.py   an operation called, as the specification and as text
    declare.py   what a declaration of an operation consists of, and one case
    windows.py   convolutions and pools, declared;   norm.py   batch norm;   loss.py   cross-entropies
    update.py    the steps of optimisers;   elementwise.py   sums and ReLUs;   ops.py   all of them by name
    agree.py, projection.py   results compared with the specification, at any size
    in_use.py    the same on the numbers of a training, where rounding has more room
    layers.py    the convolutions of well-known nets: sizes to check a kernel at, besides
    asked.py     what a case asks for, computed once
    examine.py   one case put to one kernel;   adjoint.py   the identity that ties it to its adjoints
    search.py    the named cases, and the search for one that fails
    kind.py      a kind of failure
    kinds.py     the failing cases sorted by kind: plainer.py makes them plainer, tails.py varies their sizes,
                 explain.py compares them with faulty versions of the specification, where.py says in which
                 row, column or channel all wrong elements lie
    breach.py    one sentence for a kernel that breaks the contract;   signature.py   what a kernel is called with
    picture.py, hints.py, remarks.py, report.py   the text;   export.py   JSON, JUnit, PNG
    kernel.py    a reader's kernel: where it is, whether it is compiled
    adapt.py     kernels for NCHW, or for arrays of another library
    child.py     cases in a process of their own, within a time limit
    checking.py  the command `check`;   prints.py   what a kernel prints
    guarded.py   cases with arrays that must not be overrun, in a process of their own: guarded_child.py
    draw.py      realistic cases;   trial.py, layouts.py   one of them, and how its arrays lie
    fuzz.py      the search among them
"""

try:
    import hypothesis as _hypothesis  # noqa: F401 (asked for here, so that one message says how to get it)
except ModuleNotFoundError:
    raise ModuleNotFoundError(
        "tinyres_kernels.conformance draws its cases with hypothesis, which is missing: "
        "pip install 'tinyres[conformance]'",
        name="hypothesis",
    ) from None

from tinyres_kernels.conformance.adapt import Adapt
from tinyres_kernels.conformance.ops import OPS
from tinyres_kernels.conformance.report import Report
from tinyres_kernels.conformance.search import assert_conforms, check

__all__ = ["OPS", "Adapt", "Report", "assert_conforms", "check"]
