"""What contracts ask of dtypes: all arrays of a call have one, except those that hold integers."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from operator import itemgetter
from typing import Any, NoReturn

import numpy as np

from tinyres_kernels.settings import Running

COMPILED = np.dtype("float32"), np.dtype("float64")  # what a compiled kernel set computes in
RUNNING = {"running_mean": 0, "running_var": 1, "new_mean": 3, "new_var": 4}  # of a `Running`; the others are counts


def same_dtypes(
    admit: Callable[..., bool],
    arrays: Sequence[str],
    written: Callable[[Any], set[str]],
    integers: Mapping[str, str],
) -> Callable[..., bool]:
    """`admit`, which is asked only if the dtypes of a call fit. The byte order of what is read may be any.

    written: from a call's settings, which of its arrays are written
    """
    alike = [name for name in arrays if name not in integers and name != "running"]
    pick = itemgetter(*map(arrays.index, alike), arrays.index("out"))
    whole = [(arrays.index(name), np.dtype(dtype)) for name, dtype in integers.items()]
    running = arrays.index("running") if "running" in arrays else None

    @wraps(admit)
    def admitted(*given: Any) -> bool:
        *others, out = pick(given)
        dtype = out.dtype
        for a in others:
            if a is not None and a.dtype is not dtype and a.dtype != dtype:
                refuse(given)
        for place, wanted in whole:
            if given[place].dtype is not wanted and given[place].dtype != wanted:
                refuse(given)
        if running is not None and given[running] is not None:
            refuse(given)
        return admit(*given)

    def refuse(given: Sequence[Any]) -> None:
        """Raises TypeError if the dtypes differ in more than the byte order of what is read."""
        op, named = admit.__name__, dict(zip(arrays, given, strict=False))
        moved = named.pop("running", None)
        for name, wanted in integers.items():
            _refuse_integers(op, name, named.pop(name), wanted)
        real = {name: named[name] for name in alike if named[name] is not None}
        if isinstance(moved, Running):
            real |= {name: moved[place] for name, place in RUNNING.items() if moved[place] is not None}
        _refuse_mixed(op, real, written(given[-1]))

    return admitted


def refuse_others(op: str, dtype: Any, dtypes: tuple[Any, ...]) -> NoReturn:
    """Raises TypeError for a dtype that a kernel set does not compute in."""
    raise TypeError(
        f"{op}: these kernels compute in {' or '.join(map(str, dtypes))}, got out in {_said(dtype)}: convert the "
        "arrays first, or use the kernel set im2col"
    )


def _refuse_integers(op: str, name: str, array: Any, wanted: str) -> None:
    dtype = array.dtype
    if dtype.newbyteorder("=") != np.dtype(wanted):
        raise TypeError(f"{op}: {name} must be {wanted}, got {_said(dtype)}: hand over {name}.astype({wanted!r})")


def _refuse_mixed(op: str, arrays: Mapping[str, Any], written: set[str]) -> None:
    kinds = {name: a.dtype if name in written else a.dtype.newbyteorder("=") for name, a in arrays.items()}
    if len(set(kinds.values())) > 1:
        _mixed(op, kinds, written)


def _mixed(op: str, kinds: Mapping[str, Any], written: set[str]) -> NoReturn:
    """The floating dtype that most of the arrays have is taken to be meant; of two as frequent, that of `out`."""
    most = Counter(kinds.values())
    meant = max(most, key=lambda dtype: (dtype.kind == "f", most[dtype], dtype == kinds["out"]))
    other = next(name for name, dtype in kinds.items() if dtype != meant)
    mend = (
        f"{other} = np.empty({other}.shape, {meant.name!r})" if other in written else f"{other}.astype({meant.name!r})"
    )
    came = ", ".join(f"{name} {_said(dtype)}" for name, dtype in kinds.items())
    raise TypeError(f"{op}: all arrays must have one dtype, got {came}: hand over {mend}")


def _said(dtype: Any) -> str:
    return str(dtype.name) if dtype.isnative else f"{dtype.name} in the other byte order"
