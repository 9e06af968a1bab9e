"""Every argument that PyTorch gives a default may be written out with that default: what asks for nothing is taken."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tinyres import nn, optim
from tinyres.utils import data

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.parity

PARAMETER = nn.Parameter(np.ones(3))
OPTIMIZER = optim.SGD([PARAMETER], lr=0.1)
# What is passed for an argument without a default, by its name.
GIVEN: dict[str, Any] = {
    "d_model": 4, "dataset": [1, 2], "dim": -1, "downscale_factor": 2, "embed_dim": 4, "embedding_dim": 4,
    "encoder_layer": nn.TransformerEncoderLayer(4, 2), "gamma": 0.9, "hidden_size": 4, "in_channels": 4,
    "in_features": 4, "indices": [0], "input_size": 4, "kernel_size": 3, "lr_lambda": lambda t: 1.0, "max_lr": 0.1,
    "milestones": [1], "nhead": 2, "normalized_shape": 4, "num_channels": 4, "num_embeddings": 5, "num_features": 4,
    "num_groups": 2, "num_heads": 2, "num_layers": 1, "optimizer": OPTIMIZER, "out_channels": 4, "out_features": 4,
    "output_size": 2, "padding": 1, "params": [PARAMETER], "schedulers": [optim.StepLR(OPTIMIZER, 1) for _ in "ab"],
    "step_size": 2, "T_0": 3, "T_max": 3, "threshold": 0.5, "unflattened_size": (2, 2), "upscale_factor": 2,
    "value": 0.5,
}  # fmt: skip
# Classes whose signature leaves out what they need, and bases of which nothing is made.
ALSO: dict[str, dict[str, Any]] = {
    "GRU": {"input_size": 4, "hidden_size": 4}, "LSTM": {"input_size": 4, "hidden_size": 4},
    "RNN": {"input_size": 4, "hidden_size": 4}, "OneCycleLR": {"total_steps": 5}, "Parameter": {"data": PARAMETER},
    "Upsample": {"scale_factor": 2}, "UpsamplingBilinear2d": {"scale_factor": 2},
    "UpsamplingNearest2d": {"scale_factor": 2},
}  # fmt: skip
BASES = ("Dataset", "LRScheduler", "Module", "Optimizer", "TensorDataset")


def classes() -> Iterator[tuple[str, type, type]]:
    rooms = ((nn, torch.nn), (optim, torch.optim), (optim, torch.optim.lr_scheduler), (data, torch.utils.data))
    for here, there in rooms:
        for name in dir(here):
            ours, theirs = getattr(here, name, None), getattr(there, name, None)
            if inspect.isclass(ours) and inspect.isclass(theirs) and name not in BASES:
                yield name, ours, theirs


@pytest.mark.parametrize(("name", "ours", "theirs"), [pytest.param(*c, id=c[0]) for c in classes()])
def test_a_class_takes_pytorchs_defaults(name, ours, theirs):
    parameters = list(inspect.signature(theirs.__init__).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    needed = {p.name: GIVEN[p.name] for p in named if p.default is p.empty} | ALSO.get(name, {})
    defaults = {p.name: p.default for p in named if p.default is not p.empty and p.name not in needed}
    for written in (*({n: v} for n, v in defaults.items()), defaults):
        assert type(ours(**needed, **written)) is ours


def defaults_of(op: Any) -> list[tuple[str, Any]]:
    """The defaults of a function of PyTorch's: of its signature or, if it is compiled, of its schemas."""
    try:
        return [(p.name, p.default) for p in inspect.signature(op.op).parameters.values() if p.default is not p.empty]
    except (ValueError, TypeError):
        pass
    names = {op.name.replace(".", "_").removeprefix("nn_functional_"), op.name.rpartition(".")[2], op.aten_name or ""}
    schemas = [s for n in names for s in torch._C._jit_get_schemas_for_operator(f"aten::{n}")]
    arguments = [a for schema in schemas for a in schema.arguments if a.is_out or a.has_default_value()]
    found = [(a.name, None if a.is_out else a.default_value) for a in arguments]
    return [pair for pair in found if pair[1] != []]  # the schemas write [] where the functions have None


def test_functions_take_pytorchs_defaults():
    from tests.parity.opinfo import operations, twin
    from tests.parity.samples import LeftOut, mapped, samples_of, translated

    tried, refused = 0, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in operations([]):
            function, samples = twin(op), samples_of(op)
            for sample in samples[:1]:
                try:
                    x, args, named = mapped((sample.input, tuple(sample.args), dict(sample.kwargs)), translated({}))
                    function(x, *args, **named)
                except (LeftOut, TypeError, ValueError):  # test_opinfo_parity.py counts these
                    continue
                for name, value in defaults_of(op):
                    try:
                        op.op(sample.input, *sample.args, **{**sample.kwargs, name: value})
                    except (TypeError, ValueError, RuntimeError):  # of another overload, or given by its place already
                        continue
                    tried += 1
                    try:
                        function(x, *args, **{**named, name: value})
                    except Exception as error:
                        refused[f"{op.name}({name}={value})"] = str(error)
    assert not refused
    assert tried > 300
