"""An operation called: by arrays one by one, as the specification, and as Python that a reader pastes."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinyres_kernels import contract, im2col, reference
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Running

Arrays = dict[str, Array]


def specification(op: str, inputs: Arrays, like: Arrays, keywords: dict[str, Any], order: list[str]) -> Arrays:
    """What `op` is specified to write, in float64 (and int32): by `reference`, or where that is too slow by `im2col`.

    `like` has the shapes and kinds of the results; `order` the names of all positional arguments,
    of which None is passed for those that are in neither.
    """
    made = {name: np.empty(a.shape, "int32" if a.dtype.kind == "i" else "float64") for name, a in like.items()}
    wide = {name: a if a.dtype.kind == "i" else a.astype("float64") for name, a in inputs.items()}
    rung = reference if sum(a.size for a in (*wide.values(), *made.values())) <= 400 else im2col
    given = {**wide, **made}
    with np.errstate(all="ignore"):  # a NaN among the inputs is on purpose
        call(op, getattr(rung, op), [given.get(name) for name in order], keywords)
    return made


def call(op: str, kernel: contract.Kernel, arrays: Iterable[Array | None], keywords: dict[str, Any]) -> Any:
    """Call a kernel behind its contract, with its arrays one by one; None for those that there are not."""
    return contract.kernel(op, kernel)(*contract.OPERATIONS[op].gathered(arrays), **keywords)


def written_out(op: str, names: Sequence[str]) -> str:
    """The arguments of a call in Python, from the names of its arrays, "None" for those that there are not.

    Those go by their names all the same: `absent_line` makes them None.
    """
    operation = contract.OPERATIONS[op]
    given = operation.gathered([name if name != "None" else None for name in names])
    texts = []
    for name, one in zip(operation.arrays, given, strict=True):
        if isinstance(one, Running):
            fields = [f"{field}={array}" for field, array in one._asdict().items() if array is not None]
            texts.append(f"settings.Running({', '.join(fields)})")
        else:
            texts.append(one or name)
    return ", ".join([*texts, *(["s"] if operation.settings else [])])


def settings_line(op: str, keywords: dict[str, Any]) -> list[str]:
    """The Python line that makes the settings, where the operation has some."""
    kind = contract.OPERATIONS[op].settings
    return [f"s = settings.{kind(**keywords)!r}"] if kind else []
