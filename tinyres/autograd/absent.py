"""Names of PyTorch that are left out on purpose: one sentence on why, and what is near.

tinyres studies how gradients flow in residual nets, GANs and kernels, and stays small enough to be read. What would
make it larger without serving that is not there.
"""

from __future__ import annotations

NEAR = {
    "fft": "Fourier transforms need complex numbers, which are left out: multiply by matrices of cosines and of sines",
    "complex": "complex numbers are left out: keep the real and the imaginary part in two tensors",
    "sparse": "sparse tensors are left out: index a dense one, as nn.Embedding and tr.gather do",
    "quantized": "quantised numbers are left out: everything computes in float32 or float64",
    "3d": "three spatial dimensions are left out: fold one into the batch or the channels, and use the 2d layer",
    "attention": "only blocks of self-attention are there: stack nn.TransformerEncoderLayer in an nn.Sequential",
    "in place": "a tensor is a value and is not written into: the function without the underscore returns a new one",
    "jit": "there is no compiler for Python: call the model itself; on a GPU, tr.compile captures a training step",
    "bfloat16": "NumPy has no bfloat16: use float32",
    "set_default_dtype": "the default is float32 for all: pass dtype=, or convert a model by model.to('float64')",
}
_KINDS = {
    "fft": "fft", "stft": "fft", "istft": "fft", "complex": "complex", "complex64": "complex", "complex128": "complex",
    "cfloat": "complex", "cdouble": "complex", "view_as_real": "complex", "view_as_complex": "complex",
    "polar": "complex", "sparse": "sparse", "sparse_coo_tensor": "sparse", "sparse_csr_tensor": "sparse",
    "quantization": "quantized", "quantize_per_tensor": "quantized", "qint8": "quantized", "quint8": "quantized",
    "Transformer": "attention", "TransformerEncoder": "attention", "TransformerDecoder": "attention",
    "TransformerDecoderLayer": "attention", "multi_head_attention_forward": "attention", "jit": "jit",
    "bfloat16": "bfloat16", "set_default_dtype": "set_default_dtype",
}  # fmt: skip
NAMES = tuple(_KINDS)


def kind_of(name: str) -> str | None:
    """Which of `NEAR` says why there is no such name; None for a name that nobody left out."""
    if name in _KINDS or name.lower().endswith("3d"):
        return _KINDS.get(name, "3d")
    return "in place" if name.endswith("_") and not name.startswith("_") else None


def why(room: str, name: str) -> str:
    """What the AttributeError says for a name that a module lacks."""
    kind = kind_of(name)
    said = f"{room} has no attribute {name!r}"
    return f"{said}: {NEAR[kind]}" if kind else said
