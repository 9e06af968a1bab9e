"""Every public function with a wrong kind of value in each argument: it works, or a sentence names the function."""

import inspect
import re

import numpy as np
import pytest

import tinyres as tr
from tinyres import linalg, ops
from tinyres.nn import functional as F


class Thing:
    def __repr__(self):
        return "<thing>"


WRONG = {
    "None": None, "a word": "word", "a thing": Thing(), "words": ["a", "b"], "NaN": float("nan"), "-1": -1, "2.5": 2.5,
    "10**30": 10**30, "an empty tensor": tr.tensor(np.zeros(0, "f")),
}  # fmt: skip
X, IMAGE, INDEX = np.array([[0.2, 0.5, 0.3], [0.4, 0.1, 0.5]], "f"), np.ones((1, 2, 4, 4), "f"), np.array([1, 0])
SQUARE = np.array([[2.0, 0.5], [0.5, 1.0]], "f")


def x():
    return tr.tensor(X, requires_grad=True)


# What a function is called with, where its arguments' names do not say it.
GIVEN = {
    "input": x, "x": x, "a": x, "b": x, "other": x, "y": x, "dim": 1, "axis": 1, "A": lambda: tr.tensor(SQUARE),
    "x1": x, "x2": x, "input1": x, "input2": x, "size": (2, 3), "shape": (2, 3), "dtype": np.float32, "dim0": 0,
    "dim1": 1, "n": 3, "start": 0, "end": 4, "steps": 4, "low": 0, "high": 5, "fill_value": 1.0, "exponent": 2.0,
    "condition": lambda: x() > 0.3, "mask": lambda: x() > 0.3, "value": 0.5, "chunks": 2, "sections": 2, "k": 1,
    "split_size": 1, "num_samples": 2, "xs": lambda: [x(), x()], "tensors": lambda: [x(), x()],
    "repeats": (2, 1), "subscripts": "ij->ji", "operands": x, "more": x, "scale_factor": 2, "target": x,
    "kernel_size": 2, "output_size": 2,
    "threshold": 0.1, "p": 0.5, "shifts": 1, "dims": (0, 1), "reps": (2, 1), "data": [1.0], "ndarray": X,
    "ord": 2, "upscale_factor": 1, "downscale_factor": 2, "num_groups": 1, "normalized_shape": (3,),
    "running_mean": None, "running_var": None, "offset": 0, "factor": 2, "source": 0, "destination": 1, "iterations": 2,
}  # fmt: skip
IMAGES = {"input": lambda: tr.tensor(IMAGE), "x": lambda: tr.tensor(IMAGE)}
OF_IMAGES = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d", "pixel_unshuffle", "pixel_shuffle", "dropout2d",
             "upsample_nearest2d", "instance_norm"]  # fmt: skip
SPECIAL = {
    "flip": {"dims": 0, "more": 1},
    "randint": {"high": 5, "size": (2, 3)}, "randint_like": {"high": 5},
    **dict.fromkeys(OF_IMAGES, IMAGES),
    "conv2d": {**IMAGES, "weight": np.ones((3, 2, 2, 2), "f")},
    "conv_transpose2d": {**IMAGES, "weight": np.ones((2, 3, 2, 2), "f")},
    "conv1d": {"input": np.ones((1, 2, 4), "f"), "weight": np.ones((3, 2, 2), "f")},
    "conv_transpose1d": {"input": np.ones((1, 2, 4), "f"), "weight": np.ones((2, 3, 2), "f")},
    "interpolate": {**IMAGES, "size": 2}, "group_norm": IMAGES,
    **{n: {"input": np.ones((1, 2, 4), "f")} for n in ("avg_pool1d", "max_pool1d", "adaptive_avg_pool1d", "dropout1d")},
    **{n: {"target": INDEX} for n in ("cross_entropy", "nll_loss")},
    "cosine_embedding_loss": {"target": np.array([1, -1])}, "embedding": {"input": INDEX, "weight": X},
    "one_hot": {"tensor": INDEX}, "bincount": {"input": INDEX}, "prelu": {"weight": np.array([0.1], "f")},
    **{n: {"index": INDEX[:, None]} for n in ("gather", "scatter", "scatter_add")}, "index_select": {"index": INDEX},
    "scatter": {"index": INDEX[:, None], "src": X, "value": None}, "scatter_add": {"index": INDEX[:, None], "src": X},
    "linear": {"w": X, "weight": X}, "matmul": {"w": X.T}, "mm": {"mat2": X.T}, "mv": {"vec": X[0], "vec2": X[0]},
    "bmm": {"input": IMAGE[0], "mat2": IMAGE[0]}, "dot": {"input": X[0], "other": X[0], "tensor": X[0]},
    "outer": {"input": X[0], "vec2": X[0]}, "solve": {"B": SQUARE}, "diag_embed": {"dim": None}, "squeeze": {"dim": 0},
    **{n: {"input": INDEX, "other": INDEX, "a": INDEX, "b": INDEX, "x": INDEX} for n in
       ("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not")},
    **{n: {"x": SQUARE, "input": SQUARE} for n in ("cholesky", "eigh", "eigvalsh", "matrix_transpose", "sinkhorn")},
    "expand": {"shape": (2, 3)}, "pad": {"pad": (1, 1), "padding": (1, 1)}, "permute": {"dims": (1, 0), "axes": (1, 0)},
    "scaled_dot_product_attention": {"query": IMAGE, "key": IMAGE, "value": IMAGE}, "glu": {"input": IMAGE},
 "clip": {"min": 0.2},
    "binary_cross_entropy": {"input": X}, "masked_fill": {"value": 1.0}, "getitem": {"key": 0}, "tril": {}, "triu": {},
    "unsqueeze": {"dim": 0}, "batch_norm": {**IMAGES, "training": True},
}  # fmt: skip
WORKERS = {"added_at", "conv2d_dw", "conv2d_dx"}  # of rules; they take what another function gives them


def functions():
    rooms = ((tr, ops.__all__), (F, F.__all__), (linalg, linalg.__all__))
    found = {getattr(room, name): (room, name) for room, names in rooms for name in names if name not in WORKERS}
    for function, (room, name) in found.items():
        if not isinstance(function, type):
            yield pytest.param(function, id=f"{room.__name__.removeprefix('tinyres.')}.{name}")


def made(value):
    return value() if callable(value) and not isinstance(value, type) else value


def arguments(function):
    """By the names of the parameters: what a call gives that goes well."""
    name, found = function.__name__, {}
    special = SPECIAL.get(name, {})
    for parameter in inspect.signature(function).parameters.values():
        known = {**GIVEN, **special}
        if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD:
            found[parameter] = made(known[parameter.name])
        elif parameter.name in special:
            found[parameter] = made(special[parameter.name])
        elif parameter.default is not parameter.empty:
            found[parameter] = parameter.default
    return found


def call(function, given):
    places = [v for p, v in given.items() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    places += [v for p, v in given.items() if p.kind is p.VAR_POSITIONAL]
    return function(*places, **{p.name: v for p, v in given.items() if p.kind is p.KEYWORD_ONLY})


ALLOWED = (TypeError, ValueError, RuntimeError, IndexError, MemoryError)


@pytest.mark.parametrize("function", list(functions()))
def test_a_wrong_kind_of_value_in_each_argument(function):
    with tr.kernels("im2col"), np.errstate(all="ignore"):  # nothing is to be compiled
        wrong = list(tried(function))
    assert not wrong, "\n".join(wrong)


def tried(function):
    """What went wrong otherwise than by a sentence with the function's name."""
    given = arguments(function)
    call(function, given)
    for parameter in given:
        for kind, value in WRONG.items():
            if (parameter.name, kind) == ("iterations", "10**30"):
                continue  # as many as were asked for
            try:
                call(function, {**given, parameter: value})
            except ALLOWED as error:
                if not re.search(rf"\b{function.__name__}\b", str(error)):
                    yield f"{parameter.name} is {kind}: {type(error).__name__}: {error}"
            except Exception as error:
                yield f"{parameter.name} is {kind}: {type(error).__name__}: {error}"
