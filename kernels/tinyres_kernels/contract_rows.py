"""The contracts of activations, softmax, norms of rows and attention. `contract` has the others."""

from tinyres_kernels.dispatch import operation
from tinyres_kernels.fitting import alike, contiguous, line, lines_in_place, rows
from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import ACTIVATIONS, Activation, Attention, LayerNorm, Softmax


# -- activations ------------------------------------------------------------------------------------------------------
def known(s: Activation) -> None:
    """Raises ValueError where no activation has this name."""
    if s.name not in ACTIVATIONS:
        raise ValueError(f"activation: there are {', '.join(ACTIVATIONS)}, got {s.name!r}")


@operation("out", Activation)
def activation(x: Array, out: Array, s: Activation) -> bool:
    known(s)
    line(x)
    alike("x", x.shape, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out", Activation)
def activation_dx(g: Array, x: Array, out: Array, s: Activation) -> bool:
    known(s)
    line(g)
    alike("g", g.shape, x=x, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out", Softmax)
def softmax(x: Array, out: Array, s: Softmax) -> bool:
    rows(x)
    alike("x", x.shape, out=out)
    contiguous(out)
    return bool(out.size)


@operation("out", Softmax)
def softmax_dx(g: Array, y: Array, out: Array, s: Softmax) -> bool:
    rows(g)
    alike("g", g.shape, y=y, out=out)
    contiguous(out)
    return bool(out.size)


# -- layer norm -------------------------------------------------------------------------------------------------------
@operation("out mean scale", LayerNorm)
def layer_norm(
    x: Array, weight: Array | None, bias: Array | None, out: Array, mean: Array, scale: Array, s: LayerNorm
) -> bool:  # fmt: skip
    rows(x)
    alike("x", x.shape, out=out)
    alike("columns", x.shape[1:], weight=weight, bias=bias)
    alike("rows", x.shape[:1], mean=mean, scale=scale)
    contiguous(out, mean, scale)
    if len(x) and not x.size:
        raise ValueError(f"rows of no number at all have no mean: got x {x.shape}")
    return bool(x.size)


@operation("out dweight dbias", LayerNorm)
def layer_norm_dx(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, out: Array, dweight: Array | None,
    dbias: Array | None, s: LayerNorm,
) -> bool:  # fmt: skip
    rows(x)
    alike("x", x.shape, g=g, out=out)
    alike("columns", x.shape[1:], weight=weight, dweight=dweight, dbias=dbias)
    alike("rows", x.shape[:1], mean=mean, scale=scale)
    contiguous(out, dweight, dbias)
    for summed in (dweight, dbias) if not x.size else ():
        if summed is not None:
            summed.fill(0)
    return bool(x.size)


@operation("out scale", LayerNorm)
def rms_norm(x: Array, weight: Array | None, out: Array, scale: Array, s: LayerNorm) -> bool:
    rows(x)
    alike("x", x.shape, out=out)
    alike("columns", x.shape[1:], weight=weight)
    alike("rows", x.shape[:1], scale=scale)
    contiguous(out, scale)
    if len(x) and not x.size:
        raise ValueError(f"rows of no number at all have no mean: got x {x.shape}")
    return bool(x.size)


@operation("out dweight", LayerNorm)
def rms_norm_dx(
    g: Array, x: Array, weight: Array | None, scale: Array, out: Array, dweight: Array | None, s: LayerNorm
) -> bool:
    rows(x)
    alike("x", x.shape, g=g, out=out)
    alike("columns", x.shape[1:], weight=weight, dweight=dweight)
    alike("rows", x.shape[:1], scale=scale)
    contiguous(out, dweight)
    if dweight is not None and not x.size:
        dweight.fill(0)
    return bool(x.size)


# -- attention --------------------------------------------------------------------------------------------------------
def _heads(q: Array, k: Array, v: Array, y: Array, lse: Array) -> None:
    """Raises ValueError where these do not have the shapes that the error names."""
    shapes = [tuple(a.shape) for a in (q, k, v, y, lse)]
    if [len(shape) for shape in shapes] == [4, 4, 4, 4, 3]:
        (N, L, H, E), (_, S, _, _), (_, _, _, V) = shapes[:3]
        if shapes == [(N, L, H, E), (N, S, H, E), (N, S, H, V), (N, L, H, V), (N, H, L)]:
            return
    raise ValueError(
        f"q, k, v, their result and lse have the shapes {', '.join(map(str, shapes))}: needed are (N, L, H, E), "
        "(N, S, H, E), (N, S, H, V), (N, L, H, V) and (N, H, L)"
    )


@operation("out lse", Attention)
def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> bool:
    _heads(q, k, v, out, lse)
    contiguous(out, lse)
    if k.shape[1]:
        return bool(lse.size)
    out.fill(0)  # of a query that sees no key
    lse.fill(float("-inf"))
    return False


@operation("out dk dv", Attention)
def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> bool:
    _heads(q, k, v, y, lse)
    alike("y", y.shape, g=g)
    alike("q", q.shape, out=out)
    alike("k", k.shape, dk=dk)
    alike("v", v.shape, dv=dv)
    lines_in_place(out, dk, dv)
    if lse.size and k.shape[1]:
        return True
    for written in (out, dk, dv):
        written.fill(0)
    return False
