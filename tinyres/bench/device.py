"""Where a benchmark runs: arrays brought there for us and for PyTorch, and brought together again."""

from __future__ import annotations

from typing import Any

from tinyres import arrays
from tinyres.arrays import memory

TORCH = {"cpu": "cpu", "cuda": "cuda"}  # what PyTorch calls our devices


def empty(shape: tuple[int, ...], dtype: Any, device: str) -> Any:
    """An array to be written into, out of the memory that the library's operations take theirs from."""
    if device == "cpu":
        return memory.empty(shape, dtype)
    import cupy

    return cupy.empty(shape, dtype)


def to_torch(torch: Any, array: Any, device: str) -> Any:
    """A NumPy array as PyTorch's, its axes in memory as they were."""
    return torch.from_numpy(array).to(TORCH[device])


def from_torch(tensor: Any, device: str) -> Any:
    """PyTorch's as an array of ours on the same memory."""
    tensor = tensor.detach()
    if device == "cpu":
        return tensor.numpy()
    import cupy

    return cupy.from_dlpack(tensor)


def on_host(result: Any) -> Any:
    """The numbers of an array, of a Tensor of ours or of PyTorch's, as a NumPy array."""
    result = result.detach() if hasattr(result, "detach") else result
    result = result.cpu() if hasattr(result, "cpu") else result
    return result.numpy() if hasattr(result, "numpy") else arrays.to_device(result, "cpu")
