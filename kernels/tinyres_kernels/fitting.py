"""What contracts ask of arrays; each raises an error that says what was needed."""

from tinyres_kernels.namespace import Array


def alike(what: str, shape: tuple[int, ...], **arrays: Array | None) -> None:
    """Raises ValueError, naming all of them, if an array that is given has another shape than `what`."""
    for array in arrays.values():
        if array is not None and array.shape != shape:
            given = "".join(f", {name} {tuple(a.shape)}" for name, a in arrays.items() if a is not None)
            raise ValueError(f"shapes must agree, got {what} {tuple(shape)}{given}")


def there(op: str, **arrays: Array | None) -> None:
    """Raises TypeError where one of these is None, which `alike` lets pass."""
    for name, array in arrays.items():
        if array is None:
            raise TypeError(f"{op}: {name} must not be None")


def line(x: Array) -> None:
    """Raises ValueError where x is not one line of elements."""
    if x.ndim != 1:
        raise ValueError(f"needed are lines (M,), got shape {tuple(x.shape)}: hand over x.reshape(-1)")


def rows(x: Array) -> None:
    """Raises ValueError where x is not a matrix."""
    if x.ndim != 2:
        raise ValueError(f"needed are rows (M, C), got shape {tuple(x.shape)}")


def contiguous(*written: Array | None) -> None:
    """Raises ValueError where a result cannot be written in place: a reshape of it would be a copy."""
    for out in written:
        if out is not None and not out.flags.c_contiguous:
            raise ValueError(f"out must be C-contiguous to be written in place, got shape {out.shape} with strides "
                             f"{out.strides}")  # fmt: skip


def lines_in_place(*written: Array) -> None:
    """Raises ValueError where the last axis of a result does not lie element by element, or an axis runs backwards."""
    for out in written:
        steps = out.strides if out.size else ()
        if any(step < 0 for step in steps) or (out.shape[-1] > 1 and steps[-1:] not in ((), (out.itemsize,))):
            raise ValueError("the last axis of a result must lie element by element, and no axis run backwards, got "
                             f"shape {out.shape} with strides {out.strides}")  # fmt: skip
