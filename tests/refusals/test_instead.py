"""What to write in the place of a function of PyTorch gives what PyTorch's function gives."""

import ast
import math
import re

import numpy as np
import pytest

import tinyres as tr
from tinyres.refusals import absent
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
    **dict.fromkeys(["inverse", "logdet"], (SQUARE,)), **dict.fromkeys(["moveaxis"], (STACK,)),
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
    "unflatten": (STACK.reshape(2, 12),), "matrix_power": (SQUARE,),
}  # fmt: skip
MORE = {
    "swapaxes": (0, 1), "swapdims": (0, 1), "clamp_max": (0.3,), "clamp_min": (0.3,), "hsplit": ([2],),
    "vsplit": (2,), "tensor_split": (2, -1), "repeat_interleave": (2, 0), "matrix_power": (3,),
    "split_with_sizes": ([1, 2], 1), "moveaxis": (0, 2),
    "unflatten": (1, (3, 4)), "narrow": (1, 1, 2), "select": (1, 1), "take_along_dim": (1,), "tensordot": (1,),
}  # fmt: skip
IN_LISTS = ["concat", "hstack", "vstack", "row_stack", "dstack", "column_stack"]
IN_WORDS = [
    "bernoulli",
    "pdist",
    "index_fill",
    "masked_scatter",
    "index_put",
    "index_add",
]  # those that need more than x, y, z


def flat(found):
    """Arrays of a tensor, or of a tuple of them."""
    several = isinstance(found, (tuple, list))
    return [np.asarray(one) for one in found] if several else [np.asarray(found)]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:at..nuclear_norm is deprecated")
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


DRAWS = {  # the values for p, n, rate and so on, and the mean that is expected
    "bernoulli": 0.3, "bernoulli_": 0.3, "normal": 2.0, "normal_": 2.0, "uniform_": 3.0, "random_": 4.5,
    "exponential_": 0.5, "gumbel_softmax": 1 / 60,
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWS)
def test_what_draws_draws_from_the_generator_that_manual_seed_seeds(name):
    expression = {**INSTEAD, **absent._ELSEWHERE}[name].split(", or p.")[0]
    x = tr.full((500, 60), 0.3)
    values = {"x": x, "p": 0.3, "mean": 2.0, "std": 0.5, "size": (500, 60), "a": 1.0, "b": 5.0, "n": 10, "rate": 2.0}

    def drawn():
        tr.manual_seed(3)
        return eval(expression, {"tr": tr, "tau": 1.0, **values})

    assert drawn().shape == x.shape
    assert drawn().float().mean().item() == pytest.approx(DRAWS[name], rel=0.05)
    np.testing.assert_array_equal(drawn().numpy(), drawn().numpy())


def test_no_advice_draws_with_numpy_where_tr_draws():
    for name, advice in {**absent.NEAR, **absent._ELSEWHERE, **INSTEAD}.items():
        assert "draw with NumPy" not in advice
        assert "np.random" not in advice or name in ("Generator", "rng state")


FITS = {  # how names begin or end, and which groups may answer them
    r"set_default\w*": {"defaults", "set_default_dtype"}, r".*Dataset": {"stream", "joined data"},
    r".*Sampler": {"sampler", "distributed"}, r".*(?<!With)Loss|.*_loss": {"loss"}, r"Lazy.*": {"lazy"},
    r"is_\w*autocast\w*": {"amp"}, r".*rng_state": {"rng state"}, r".*complex\w*": {"complex"},
    r"q?u?int\d+": {"quantized"}, r".*LR": {"schedule"},
    r".*(memory_allocated|cache)": {"device memory"}, r"\w*pool\w*2d": {"layer"},
}  # fmt: skip


def test_a_name_s_advice_is_in_a_group_that_fits_it():
    for pattern, groups in FITS.items():
        names = [name for name in absent.NAMES if re.fullmatch(pattern, name) and name not in absent._ELSEWHERE]
        assert {absent.kind_of(name) for name in names} <= groups, pattern


def test_what_is_said_to_be_absent_is_nowhere():
    rooms = (tr, tr.nn, tr.nn.functional, tr.linalg, tr.nn.utils, tr.nn.init, tr.utils.data, tr.optim.lr_scheduler)
    found = {name for name in absent.NAMES for room in rooms if name in room.__all__ and name not in absent._ELSEWHERE}
    assert found == set()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ConcatDataset", "which sample an index means"), ("hub", "models.from_pytorch"), ("fx", "tr.trace"),
        ("multiprocessing", "multiprocessing"), ("get_default_dtype", "tr.float32"), ("is_contiguous", "delete it"),
        ("sdpa_kernel", "delete the line"), ("cov", "x.shape"), ("broadcast_shapes", "np.broadcast_shapes"),
    ],
)  # fmt: skip
def test_a_hint_answers_the_question(name, said):
    assert said in absent.why("a room", name)
