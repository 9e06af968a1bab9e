"""Booleans and integers beside PyTorch: every function and method of one tensor and of two, in six dtypes each.

Compared are the kind of the result (boolean, integer, float, of how many bits) and its values. What PyTorch refuses and
tinyres computes is held against PyTorch's values for the same numbers as float64: no integer wraps, no float16.
"""

import itertools
import warnings

import numpy as np
import pytest

import tinyres as tr
from tinyres.autograd.operators import METHODS, RENAMED

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")
pytestmark = pytest.mark.parity

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
VALUES = np.array([[5, 0, 2, 1], [3, 7, 0, 4], [1, 2, 6, 0], [0, 3, 8, 9]])
OTHERS = np.array([[1, 2, 2, 5], [3, 1, 4, 1], [7, 2, 1, 3], [2, 2, 8, 1]])
OPERATORS = ["__neg__", "__abs__", "__invert__", "__and__", "__or__", "__xor__", "__lt__", "__le__", "__eq__", "__ne__"]
OPERATORS += [f"__{r}{n}__" for r in ("", "r") for n in ("add", "sub", "mul", "truediv", "pow", "floordiv", "mod")]
OPERATORS += ["__matmul__"]
DRAWN = {"empty_like", "multinomial", "new_empty", "rand_like", "randint_like", "randn_like", "dropout"}
DRAWN |= {"dropout1d", "dropout2d", "empty", "rand", "randn", "randint", "randperm"}
INDEX, MASK = np.array([[0, 2, 1, 3]]), VALUES > 2
X, Y = "the first argument", "a second one"
# What else a function is called with.
CALLS = {
    "all": [(0,)], "any": [(0,)], "sum": [(0,)], "prod": [(0,)], "cumsum": [(0,)], "cumprod": [(0,)], "amax": [(0,)],
    "amin": [(0,)], "argmax": [(0,)], "argmin": [(0,)], "max": [(0,)], "min": [(0,)], "sort": [(0,)], "norm": [(1,)],
    "argsort": [(0,)], "logsumexp": [(0,)], "softmax": [(0,)], "log_softmax": [(0,)], "flip": [(0,)],
    "gather": [(0, INDEX)], "index_select": [(0, INDEX[0])], "masked_select": [(MASK,)], "transpose": [(0, 1)],
    "masked_fill": [(MASK, 0), (MASK, True), (MASK, 2)], "new_full": [((2,), 3)], "new_ones": [((2,),)],
    "scatter": [(0, INDEX, 1), (0, INDEX, X)], "scatter_add": [(0, INDEX, X)], "roll": [(1, 0)],
    "clip": [(1, 3), (0.5, 2.5)], "clamp": [(1, 3), (0.5, 2.5)], "pad": [((1, 1),), ((1, 1), "constant", 1)],
    "pow": [(0,), (-1,), (0.5,)], "permute": [((1, 0),)], "reshape": [((2, 8),)], "view": [((2, 8),)],
    "repeat": [(2, 1)], "tile": [((2, 1),)], "broadcast_to": [((2, 4, 4),)], "expand": [((2, 4, 4),)],
    "unsqueeze": [(0,)], "chunk": [(2,)], "split": [(2,)], "full_like": [(1,), (2.5,)], "linspace": [], "where": [()],
}  # fmt: skip
OF_LISTS = ["cat", "concatenate", "stack"]
WHERE = [(X, 0), (X, 2.5), (X, Y), (X, True), (1, 0), (True, False), (1.0, 0.0)]
KEPT = "uint8 was PyTorch's boolean once"
OF_INPUT = "a loss has the dtype of its input, whatever the targets have"
LOSSES = "binary_cross_entropy_with_logits cross_entropy kl_div l1_loss mse_loss smooth_l1_loss"
# What differs on purpose, and why; besides that whole numbers make float64, as the page "Coming from PyTorch" says.
DIFFER = {
    "all: uint8": KEPT, "any: uint8": KEPT,
    **{f"{name}: float32, float64": OF_INPUT for name in LOSSES.split()},
    "binary_cross_entropy_with_logits: float64, float32": OF_INPUT,
    "avg_pool1d: int64": "PyTorch rounds the mean of integers down",
}  # fmt: skip
LEFT_OUT = {"eigh", "dropout2d"}  # of symmetric matrices only; of images only


def given(array, dtype, library, exact):
    values = (array > 2 if dtype == "bool" else array).astype(dtype)
    values = values if exact else values.astype("float64")
    return torch.from_numpy(values) if library is torch else tr.tensor(values)


def flat(found):
    if isinstance(found, (tuple, list)):
        return [array for one in found for array in flat(one)]
    return [np.asarray(found)]


def result(function, library, dtypes, arguments, exact=True):
    """Arrays, computed in the dtypes or of the same numbers as float64; None where the library refuses the call."""
    x, y = (given(a, dtype, library, exact) for a, dtype in zip((VALUES, OTHERS), dtypes, strict=True))
    make = torch.from_numpy if library is torch else tr.tensor
    named = {X: x, Y: y}
    values = [make(a) if isinstance(a, np.ndarray) else named.get(a, a) if isinstance(a, str) else a for a in arguments]
    try:
        found = flat(function(x, *values))
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, ArithmeticError):
        return None
    return None if found and found[0].dtype == object else found  # NotImplemented


def differences(name, ours, theirs, calls):
    """A line for each call that gives something else."""
    for arguments, dtype in itertools.product(calls, DTYPES):
        for other in DTYPES if any(a is Y for a in arguments) else [dtype]:
            where = f"{name}: {', '.join(dict.fromkeys((dtype, other)))}"
            a, b = (result(f, lib, (dtype, other), arguments) for f, lib in ((ours, tr), (theirs, torch)))
            exact = b is not None
            if a is None:
                if exact:
                    yield where, f"{arguments}: refused, PyTorch makes {b[0].dtype}"
                continue
            b = b if exact else result(theirs, torch, (dtype, other), arguments, exact=False)
            if b is None or len(a) != len(b):
                continue
            for one, two in zip(a, b, strict=True):
                whole = one.dtype == "float64" and two.dtype == "float32" and {dtype, other} & set(DTYPES[:4])
                if exact and one.dtype != two.dtype and not whole:
                    yield where, f"{arguments}: {one.dtype}, PyTorch makes {two.dtype}"
                if name in DRAWN or not (exact or one.dtype.kind == "f"):  # integers are computed in integers
                    continue
                if not np.allclose(one, two, rtol=1e-5, atol=1e-5, equal_nan=True):
                    yield where, f"{arguments}: other values than PyTorch's{'' if exact else ' of float64'}"


def calls_of(name):
    return [(), (Y,), (2,), (2.5,), *CALLS.get(name, [])]


def judged(found):
    found = list(found)
    assert {f"{where} {what}" for where, what in found if where not in DIFFER} == set()


def functions():
    functional = set(tr.nn.functional.__all__)
    for ours, theirs, names in (
        (tr.nn.functional, torch.nn.functional, functional), (tr.linalg, torch.linalg, {*tr.linalg.__all__}),
        (tr, torch, {*tr.ops.__all__} - functional),
    ):  # fmt: skip
        for name in sorted(names - LEFT_OUT):
            if hasattr(theirs, name):
                yield pytest.param(name, getattr(ours, name), getattr(theirs, name), id=f"{theirs.__name__}.{name}")


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize(("name", "ours", "theirs"), list(functions()))
def test_a_function_makes_of_each_dtype_what_pytorch_makes(name, ours, theirs):
    judged(differences(name, ours, theirs, calls_of(name)))


@pytest.mark.parametrize("name", OF_LISTS)
def test_joined(name):
    ours, theirs = ((lambda x, y, lib=lib: getattr(lib, name)([x, y])) for lib in (tr, torch))
    judged(differences(name, ours, theirs, [(Y,)]))


@pytest.mark.parametrize("name", sorted({*METHODS, *RENAMED, *OPERATORS}))
def test_a_method_makes_of_each_dtype_what_pytorch_makes(name):
    if not hasattr(torch.Tensor, name):
        return
    ours, theirs = ((lambda x, *args: getattr(x, name)(*args)) for _ in range(2))
    judged(differences(name, ours, theirs, calls_of(name)))


@pytest.mark.parametrize("arguments", WHERE, ids=str)
def test_where(arguments):
    ours, theirs = ((lambda x, *args, lib=lib: lib.where(x > 2, *args)) for lib in (tr, torch))
    judged(differences("where", ours, theirs, [arguments]))


def test_a_fraction_is_not_cut_off_where_integers_are_filled():
    """PyTorch makes 2 of it."""
    filled = tr.tensor([1, 5]).masked_fill(tr.tensor([True, False]), 2.5)
    assert (filled.dtype, filled.tolist()) == ("float64", [2.5, 5.0])


def test_what_differs_on_purpose_still_differs():
    """So that the table names nothing in vain."""
    found = set()
    for name, ours, theirs in (case.values for case in functions()):
        if any(where.startswith(f"{name}:") for where in DIFFER):
            found |= {where for where, _ in differences(name, ours, theirs, calls_of(name))}
    assert set(DIFFER) == found
