"""Tensor: an array, and the node of the tape that made it.

A tensor that requires a gradient has a node; one that does not has `node = None`. Tensors are values: nothing writes
into their arrays.

`x + y`, `x.sum()` and all other operators and methods that compute are in `operators.py`, and what PyTorch's tensors
have besides, such as `x.size(0)` and `x.to(...)`, in `methods.py`.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from tinyres.arrays import device_of, inverse_permutation, memory_order, to_device
from tinyres.arrays.convert import new_array, numeric
from tinyres.arrays.devices import Device
from tinyres.arrays.foreign import foreign_array, is_foreign
from tinyres.autograd.in_place import put
from tinyres.autograd.methods import Methods
from tinyres.autograd.node import Node, make_node
from tinyres.autograd.operators import FUNCTIONS as FUNCTIONS
from tinyres.autograd.printing import printed
from tinyres.context import Context
from tinyres.refusals.arguments import explain_words

Array: TypeAlias = Any  # numpy.ndarray, cupy.ndarray: whatever `namespace` knows

_AN_ARRAY = np.empty(0)  # NumPy's own `__array_function__` is a method: any array will do to call it


class Tensor(Methods):
    """An n-dimensional array that remembers how it was made.

    Args:
        data: numbers, nested lists or an array; copied. Python floats become float32, as in PyTorch.
        dtype: of the result; by default, that of the array.
        requires_grad: make it a leaf of the graph, which gradients can be taken of (floating dtypes only).
    """

    __slots__ = ("__weakref__", "_data", "_hooks", "grad", "node")  # _hooks: of a leaf that has some; else not set
    _hooks: Any
    __array_priority__ = 1000  # `array * Tensor` then reaches Tensor.__rmul__

    def __init__(self, data: Any, dtype: Any = None, requires_grad: bool = False) -> None:
        self._data: Array = new_array(raw(data), dtype)
        self.node: Node | None = None
        self.grad: Tensor | None = None
        if requires_grad:
            self.requires_grad_()

    # -- what it is -------------------------------------------------------------------------------------------------
    @property
    def data(self) -> Array:
        """The raw array, read-only since a graph may have saved it. Assigning an array copies its values."""
        if not isinstance(self._data, np.ndarray):
            return self._data
        view = self._data.view()
        view.flags.writeable = False
        return view

    @data.setter
    def data(self, value: Array) -> None:
        if isinstance(value, Tensor):
            return rebind(self, value._data)
        if is_foreign(value):
            value = foreign_array(value, "data: the value", values=True)
        if not hasattr(value, "strides"):
            raise TypeError(f"data: needs an array, got {type(value).__name__}; make it one with np.asarray(...)")
        rebind(self, numeric(value, value).copy("K"))  # the array belongs to the caller, who may write into it

    @property
    def requires_grad(self) -> bool:
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        return self.node is None or self.node.primitive is None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape  # type: ignore[no-any-return]

    @property
    def ndim(self) -> int:
        return self._data.ndim  # type: ignore[no-any-return]

    @property
    def dtype(self) -> Any:
        return self._data.dtype

    @property
    def device(self) -> Device:
        """`cpu` or `cuda`, read off the array."""
        return Device(device_of(self._data))

    # -- the tape ---------------------------------------------------------------------------------------------------
    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Make this tensor a leaf that requires a gradient (or, with False, one that does not)."""
        if self.node is not None and requires_grad:
            return self
        if not requires_grad:
            if not self.is_leaf:
                raise RuntimeError("requires_grad_: only a leaf can stop requiring a gradient; use .detach()")
            self.node = None
            return self
        if not np.issubdtype(self._data.dtype, np.floating):
            raise TypeError(
                f"a tensor of dtype {self._data.dtype} cannot require a gradient: only floating dtypes can; "
                "convert it first, e.g. tensor.astype('float32')"
            )
        self.node = make_node(None, (), None, (), self._data, Context())
        self.node.owner = weakref.ref(self)
        if hasattr(self, "_hooks"):
            self.node.hooks = self._hooks
        return self

    def retain_grad(self) -> Tensor:
        """Let `backward` fill `.grad` of this intermediate result, too."""
        if self.node is None:
            raise RuntimeError("retain_grad: this tensor does not require a gradient")
        if self.node.primitive is None:
            return self  # a leaf's .grad is filled anyway
        self.node.owner = weakref.ref(self)
        return self

    def detach(self) -> Tensor:
        """A tensor with the same values that is not part of the graph."""
        return wrap(self._data)

    @explain_words
    def backward(self, gradient: Any = None, *, create_graph: bool = False, retain_graph: bool | None = None) -> None:
        """Add d(self)/d(leaf) to the `.grad` of every leaf; see `tinyres.backward`."""
        FUNCTIONS["backward"](self, gradient, create_graph=create_graph, retain_graph=retain_graph)

    # -- out of the graph -------------------------------------------------------------------------------------------
    def numpy(self) -> np.ndarray[Any, Any]:
        """A read-only NumPy view (from a GPU: a copy)."""
        view: np.ndarray[Any, Any] = to_device(self._data, "cpu").view()
        view.flags.writeable = False
        return view

    def item(self) -> Any:
        """The one number in it, as a Python scalar."""
        if self.size != 1:
            raise ValueError(f"item: needs exactly one element, got shape {self.shape}")
        return self._data.item()

    def tolist(self) -> Any:
        return self._data.tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.node is not None:
            raise RuntimeError(
                "NumPy was about to take the array out of a tensor that requires a gradient, and the gradient would be "
                "lost silently; use .detach().numpy() if you mean it, or the function of the same name in tinyres"
            )
        if self.device != "cpu":
            raise TypeError(
                "NumPy was about to copy a tensor from the GPU silently; "
                "use .numpy() or .to('cpu') if you mean it, or the function of the same name in tinyres"
            )
        return np.array(self.numpy(), dtype=dtype) if copy or dtype is not None else self.numpy()

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """`np.sum(tensor)`: apply NumPy's function to the array, if no gradient is lost."""
        try:
            return np.ndarray.__array_function__(_AN_ARRAY, function, (), args, kwargs)
        except TypeError:  # NumPy called the tensor's method, `tensor.sum(axis, dtype, out)`, with arguments it lacks
            args, kwargs = _as_arrays(args), {name: _as_arrays(value) for name, value in kwargs.items()}
            return function(*args, **kwargs)

    def __dlpack__(self, **how: Any) -> Any:
        """Share the memory with another library: `torch.from_dlpack(tensor)`. It must not be written into."""
        if self.node is not None:
            raise BufferError(
                "__dlpack__: this tensor requires a gradient, which the other library would not propagate; "
                "pass tensor.detach()"
            )
        # Read-only memory needs version 1 of the protocol; for older ones NumPy refuses a read-only view.
        return (self.data if how.get("max_version") else self._data).__dlpack__(**how)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._data.__dlpack_device__()  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise RuntimeError(
                "deepcopy: only leaves can be copied, since a computed tensor belongs to its graph; copy .detach()"
            )
        return type(self)(self._data, requires_grad=self.requires_grad)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle a leaf: its values in their memory layout, without `.grad`."""
        if not self.is_leaf:
            raise RuntimeError(
                "pickle: only leaves can be pickled, since a computed tensor belongs to its graph; pickle .detach()"
            )
        order = memory_order(self._data)  # a pickle keeps row-major arrays only
        made = type(self), self._data.transpose(order), order, self.requires_grad
        return _unpickled, made, getattr(self, "__dict__", None)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        """For `range(i)`, `words[i]` and `x[i : i + 4]`, where i is one integer."""
        if self.size != 1 or self.dtype.kind not in "iub":
            raise TypeError(f"only one integer can be an index, got a tensor of {self.dtype}, shape {self.shape}")
        return int(self._data.item())

    def __bool__(self) -> bool:
        if self.size != 1:
            raise ValueError(
                f"bool: a tensor of shape {self.shape} is neither true nor false; ask for one element, or say "
                "x.numpy().any() or x.numpy().all()"
            )
        return bool(self.item())

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len: a tensor of no dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        text = printed(to_device(self._data, "cpu"), "tensor(")
        made = f", made by {self.node.name}" if self.node and self.node.primitive else ""
        return f"tensor({text}, {self.dtype}{made or (', requires_grad' if self.node else '')})"

    __setitem__ = put

    __hash__ = object.__hash__  # by identity: == is element by element


def wrap(data: Array, node: Node | None = None) -> Tensor:
    """A Tensor around a raw array, without copy or check: for the engine."""
    tensor = Tensor.__new__(Tensor)
    tensor._data = data
    tensor.node = node
    tensor.grad = None
    return tensor


def _unpickled(kind: type[Tensor], array: Array, order: tuple[int, ...], requires_grad: bool) -> Tensor:
    """The inverse of `Tensor.__reduce__`: `array` has its axes in memory order, `order`."""
    made = Tensor.__new__(kind)
    made._data, made.node, made.grad = array.transpose(inverse_permutation(order)), None, None
    return made.requires_grad_() if requires_grad else made


def rebind(tensor: Tensor, array: Array) -> None:
    """`tensor.data = array` without the copy: for a new array that nobody else holds, such as an optimiser's."""
    if tensor.node is not None and tensor.node.primitive is not None:
        raise RuntimeError(f"{tensor.node.name}: only a leaf's data can be replaced; use .detach() first")
    changed = array.shape != tensor._data.shape or array.dtype != tensor._data.dtype
    tensor._data = array
    if changed and tensor.node is not None:  # a graph made before still needs the old node, with the old shape
        tensor.node = None
        tensor.requires_grad_()


@explain_words
def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, *, device: Any = None) -> Tensor:
    """Make a tensor from numbers, nested lists, an array or a tensor, of tinyres or another library.

    The values are copied, here and wherever tinyres keeps an array of yours: `p.data = a` copies it, and so does an
    operation that needs it for the backward pass (`x * a`, `x[a]`, `cross_entropy(x, a)`). You may write into the array
    afterwards: no tensor and no gradient changes. Only `from_dlpack` shares memory.
    """
    if device is None:
        return Tensor(data, dtype=dtype, requires_grad=requires_grad)
    there = Tensor(data, dtype=dtype).to(device)
    return there.requires_grad_() if requires_grad else there  # type: ignore[no-any-return]


def raw(value: Any) -> Any:
    """The raw array of a Tensor; any other value unchanged."""
    return value._data if isinstance(value, Tensor) else value


def _as_arrays(value: Any) -> Any:
    if type(value) in (list, tuple):
        return type(value)(map(_as_arrays, value))
    return np.asarray(value) if isinstance(value, Tensor) else value
