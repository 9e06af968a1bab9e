"""Spectral normalisation: layers whose weight, as a matrix, has largest singular value 1."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from tinyres import ops
from tinyres.arrays import device_of, namespace, to_device
from tinyres.arrays.random import rng_of
from tinyres.autograd.checkpoint import note_state, replayed_state
from tinyres.autograd.tensor import Array, Tensor, rebind
from tinyres.context import is_replaying
from tinyres.nn.convolution import Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d
from tinyres.nn.embedding import Embedding
from tinyres.nn.init import Rng
from tinyres.nn.layers import Linear
from tinyres.nn.module import Module, Parameter
from tinyres.refusals.blame import explain_operands

M = TypeVar("M", bound=Module)
WARM_UP = 15  # steps of power iteration before the first forward pass, as in PyTorch's newer parametrisation


class SpectralNorm(Module):
    """What `spectral_norm` adds to a layer: `weight` is weight_orig / sigma, sigma = u^T W v."""

    weight_orig: Parameter
    weight_u: Tensor
    weight_v: Tensor
    n_power_iterations: int
    outputs_axis: int  # of the weight: which one counts what comes out; only transposed convolutions have it

    @property
    def weight(self) -> Any:
        """weight_orig / sigma: computed each time, a constant multiple of a leaf to whoever differentiates."""
        return self.weight_orig / self.sigma()

    def sigma(self) -> Any:
        """u^T W v, one number: the largest singular value of W, once u and v have converged.

        u and v are constants: at the singular vectors d sigma / dW = u v^T holds exactly, for u and v are then
        stationary. The second derivative of sigma would need their motion and is left out, as it is in the paper.
        """
        w = self._matrix(self.weight_orig)  # (O, rest)
        return ops.sum(ops.matmul(w, self.weight_v) * self.weight_u)

    def forward(self, x: Any, *more: Any) -> Any:
        own = replayed_state(self)  # u and v of the first run, which later passes have changed
        if own is None and self.training and not is_replaying():
            self.iterate(self.n_power_iterations)
        now = self.weight_u.data, self.weight_v.data
        note_state(self, own or now)
        if own is None:
            return super().forward(x, *more)
        self._rebind(*own)
        try:
            return super().forward(x, *more)
        finally:
            self._rebind(*now)

    def iterate(self, steps: int) -> None:
        """`steps` of power iteration; each makes the error in sigma smaller by the factor (s2 / s1)^4."""
        w, u, v = self._matrix(self.weight_orig.data), self.weight_u.data, self.weight_v.data
        for _ in range(steps):
            v = _unit(w.T @ u)
            u = _unit(w @ v)
        self._rebind(u, v)

    def _rebind(self, u: Array, v: Array) -> None:
        rebind(self.weight_u, u)
        rebind(self.weight_v, v)

    def _matrix(self, weight: Any) -> Any:
        if getattr(self, "outputs_axis", 0):
            weight = ops.transpose(weight, 0, 1)  # (C, O, KH, KW) -> (O, C, KH, KW)
        return ops.reshape(weight, (weight.shape[0], -1))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, spectral_norm"


class SpectralLinear(SpectralNorm, Linear):  # type: ignore[override]
    """A `Linear` under spectral normalisation."""


class SpectralConv1d(SpectralNorm, Conv1d):  # type: ignore[override]
    """A `Conv1d` under spectral normalisation, of its weight as a matrix (O, C K)."""


class SpectralConv2d(SpectralNorm, Conv2d):  # type: ignore[override]
    """A `Conv2d` under spectral normalisation, of its weight as a matrix (O, C KH KW)."""


class SpectralConvTranspose2d(SpectralNorm, ConvTranspose2d):  # type: ignore[override]
    """A `ConvTranspose2d` under spectral normalisation, of its weight as a matrix (O, C KH KW)."""


class SpectralConvTranspose1d(SpectralNorm, ConvTranspose1d):  # type: ignore[override]
    """A `ConvTranspose1d` under spectral normalisation, of its weight as a matrix (O, C K)."""


class SpectralEmbedding(SpectralNorm, Embedding):  # type: ignore[override]
    """An `Embedding` under spectral normalisation of its table (num_embeddings, embedding_dim): rows up to length 1.

    A projection discriminator needs it: its slope holds the row of the class.
    """


NORMALISED: dict[type[Module], type[SpectralNorm]] = {
    Embedding: SpectralEmbedding, Linear: SpectralLinear, Conv1d: SpectralConv1d, Conv2d: SpectralConv2d,
    ConvTranspose1d: SpectralConvTranspose1d, ConvTranspose2d: SpectralConvTranspose2d,
}  # fmt: skip


@explain_operands
def spectral_norm(module: M, n_power_iterations: int = 1, *, rng: Rng = None) -> M:
    """Divide the weight of a layer, or of every layer below a module, by its largest singular value; the module itself.

        W = weight_orig / sigma,    sigma = u^T weight_orig v,    v <- W^T u / |W^T u|,    u <- W v / |W v|

    A linear layer with such a weight changes no distance by more than the factor 1, so a discriminator of them (and of
    activations with slopes up to 1) is 1-Lipschitz. For a convolution the weight counts as a matrix (O, C KH KW), as in
    the paper: the convolution itself may still stretch by up to sqrt(KH KW) times that. Miyato et al. 2018
    [miyato2018spectral], "Spectral normalization for generative adversarial networks".

    The layer stays the object that it was. Its keys are PyTorch's: `weight_orig`, which is learned, and the buffers
    `weight_u` and `weight_v`. Every forward pass in training does `n_power_iterations` steps, evaluation does none.
    What draws initial values comes before, for `weight` is no leaf afterwards.

    Args:
        module: a linear layer, a convolution or a transposed one, an embedding, or what holds such layers; those
            already normalised stay.
        rng: what the start of u is drawn from: a Generator or a seed.

    Raises:
        ValueError: there is no such layer, a weight is 0 (it has no direction), or there are no iterations.
    """
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}")
    named: list[tuple[str, Any]] = [(name, m) for name, m in module.named_modules() if type(m) in NORMALISED]
    if not named:
        raise ValueError(
            f"spectral_norm: {type(module).__name__} is, and holds, no Linear, convolution or Embedding without it"
        )
    for name, layer in named:
        if not layer.weight.data.any():
            raise ValueError(
                f"spectral_norm: the weight of {name or type(layer).__name__} is 0 and has no largest direction; draw "
                "it from a distribution first"
            )
    rng = rng_of(rng)
    for _, layer in named:
        _normalise(layer, n_power_iterations, rng)
    return module


def _normalise(layer: Module, n_power_iterations: int, rng: np.random.Generator) -> None:
    weight: Parameter = layer.__dict__.pop("weight")
    layer.__class__ = NORMALISED[type(layer)]
    assert isinstance(layer, SpectralNorm)
    layer.weight_orig, layer.n_power_iterations = weight, n_power_iterations
    rows, columns = layer._matrix(weight.data).shape
    u, device = rng.standard_normal(rows).astype(weight.dtype), device_of(weight.data)
    layer.register_buffer("weight_u", Tensor(to_device(_unit(u), device)))
    layer.register_buffer("weight_v", Tensor(to_device(np.zeros(columns, weight.dtype), device)))
    layer.iterate(WARM_UP)


def _unit(vector: Array) -> Array:
    # PyTorch's eps: a weight that has become 0 gives 0 here and a NaN in weight_orig / sigma, never a wrong scale.
    xp = namespace(vector)
    return vector / xp.maximum(xp.linalg.norm(vector), 1e-12)


__all__ = [
    "SpectralConv1d", "SpectralConv2d", "SpectralConvTranspose1d", "SpectralConvTranspose2d",
    "SpectralEmbedding", "SpectralLinear", "SpectralNorm", "spectral_norm",
]  # fmt: skip
