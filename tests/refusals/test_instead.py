"""What to write in the place of a function of PyTorch gives what PyTorch's function gives."""

import ast
import math

import numpy as np
import pytest

import tinyres as tr
from tinyres.refusals.instead import INSTEAD

DRAW = np.random.default_rng(0)
MATRIX, OTHER, THIRD = DRAW.normal(size=(3, 2, 3))
VECTOR, WEIGHTS = DRAW.normal(size=(2, 4))
SQUARE = (ROWS := DRAW.normal(size=(3, 3))) @ ROWS.T + np.eye(3)
STACK = DRAW.normal(size=(2, 3, 4))
HOLES = np.array([1.0, np.nan, -2.0])
EDGES = np.array([-np.inf, -0.5, np.inf])
PLACES = np.array([[2, 0], [1, 1]])
# The arguments where two matrices will not do, and what PyTorch is called with beyond x, y, z.
ARGUMENTS = {
    **dict.fromkeys(["inverse", "logdet"], (SQUARE,)), **dict.fromkeys(["movedim", "moveaxis"], (STACK,)),
    **dict.fromkeys(["nan_to_num", "nansum", "nanmean"], (HOLES,)),
    **dict.fromkeys(["isposinf", "isneginf", "signbit"], (EDGES,)),
    **dict.fromkeys(["vdot", "ger", "column_stack"], (VECTOR, WEIGHTS)),
    **dict.fromkeys(["lerp", "addcmul", "addcdiv"], (MATRIX, OTHER, THIRD)),
    "logit": (np.abs(MATRIX) / 9,), "xlogy": (MATRIX, np.abs(OTHER)), "ldexp": (MATRIX, np.array([1, 2, 3])),
    "float_power": (np.abs(MATRIX), OTHER), "heaviside": (np.array([-1.0, 0.0, 2.0]), DRAW.normal(size=3)),
    "addmm": (SQUARE[:2, :2], MATRIX, OTHER.T), "addmv": (VECTOR[:2], MATRIX, VECTOR[:3]),
    "baddbmm": (STACK[:, :, :3], STACK, STACK.swapaxes(1, 2)),
    "addbmm": (SQUARE, STACK, STACK.swapaxes(1, 2)), "addr": (MATRIX, VECTOR[:2], WEIGHTS[:3]),
    "tensordot": (MATRIX, SQUARE), "diagflat": (VECTOR,),
    "take": (MATRIX, PLACES), "take_along_dim": (MATRIX, PLACES), "broadcast_tensors": (MATRIX[:, :1], OTHER),
    "argwhere": (np.array([[0.0, 1.0], [2.0, 0.0]]),), **dict.fromkeys(["clamp_max", "clamp_min"], (MATRIX,)),
    "unflatten": (STACK.reshape(2, 12),),
}  # fmt: skip
MORE = {
    "swapaxes": (0, 1), "swapdims": (0, 1), "clamp_max": (0.3,), "clamp_min": (0.3,), "hsplit": ([2],),
    "vsplit": (2,), "tensor_split": (2,), "split_with_sizes": ([1, 2], 1), "movedim": (0, 2), "moveaxis": (0, 2),
    "unflatten": (1, (3, 4)), "narrow": (1, 1, 2), "select": (1, 1), "take_along_dim": (1,), "tensordot": (1,),
}  # fmt: skip
IN_LISTS = ["concat", "hstack", "vstack", "row_stack", "dstack", "column_stack"]
IN_WORDS = ["meshgrid", "index_fill", "masked_scatter", "index_put", "index_add"]  # those that need more than x, y, z


def flat(found):
    """Arrays of a tensor, or of a tuple of them."""
    several = isinstance(found, (tuple, list))
    return [np.asarray(one) for one in found] if several else [np.asarray(found)]


@pytest.mark.parity
@pytest.mark.parametrize("name", sorted(set(INSTEAD) - set(IN_WORDS)))
def test_what_to_write_gives_what_pytorch_gives(name):
    torch = pytest.importorskip("torch")
    expression = INSTEAD[name].split(", which")[0]
    names = {node.id for node in ast.walk(ast.parse(expression)) if isinstance(node, ast.Name)}
    given = ARGUMENTS.get(name, (MATRIX, OTHER, THIRD))[: len(names & set("xyz"))]
    values = dict(zip("xyz", (*map(tr.tensor, given), *MORE.get(name, ())), strict=False))
    ours = eval(expression, {"tr": tr, "math": math, **values})
    tensors = [torch.tensor(one) for one in given]
    function = getattr(torch, name, None) or getattr(torch.Tensor, name)
    theirs = function(tensors) if name in IN_LISTS else function(*tensors, *MORE.get(name, ()))
    if name == "broadcast_tensors":
        theirs = theirs[0]
    assert len(flat(ours)) == len(flat(theirs))
    for one, other in zip(flat(ours), flat(theirs), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


def test_a_tensor_says_it_too_and_completes_only_what_it_has():
    x = tr.ones(2)
    for name, said in (("vdot", "write x @ y"), ("acos", "@tr.primitive"), ("cos_", "is not written into")):
        with pytest.raises(AttributeError, match=said):
            getattr(x, name)
        assert name not in dir(x)
    assert {"sum", "data", "grad", "shape"} <= set(dir(x))
    assert "weight" in dir(tr.nn.Linear(1, 1))
    assert "type" not in dir(tr.nn.Linear(1, 1))


def test_no_function_of_pytorch_is_answered_with_one_of_another_meaning():
    for name in ("acos", "asinh", "atan2", "fmax", "tensordot", "real", "svd"):
        with pytest.raises(AttributeError) as caught:
            getattr(tr, name)
        assert "did you mean" not in str(caught.value)
