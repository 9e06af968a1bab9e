"""PyTorch's own kernels are put to the checker as anybody's would be: what is computed soundly conforms.

What PyTorch does otherwise on purpose is named here, case by case.
"""

import pytest
from tinyres_kernels import conformance
from tinyres_kernels.conformance.adapt import Adapt

torch = pytest.importorskip("torch", reason="PyTorch is missing, so nothing was held against it: pip install torch")
F, aten = torch.nn.functional, torch.ops.aten

pytestmark = pytest.mark.parity


def conv2d(x, w, out, s):
    return F.conv2d(x, w, None, s.stride, s.padding, s.dilation, s.groups)


def conv2d_dx(g, w, out, s):
    return torch.nn.grad.conv2d_input(out.shape, w, g, s.stride, s.padding, s.dilation, s.groups)


def conv2d_dw(x, g, out, s):
    return torch.nn.grad.conv2d_weight(x, out.shape, g, s.stride, s.padding, s.dilation, s.groups)


def avg_pool2d(x, out, s):
    return F.avg_pool2d(x, s.kernel, s.stride, s.padding, False, s.count_include_pad)


def avg_pool2d_dx(g, out, s):
    return aten.avg_pool2d_backward(g, out, s.kernel, s.stride, s.padding, False, s.count_include_pad, None)


def max_pool2d(x, out, index, s):
    """Its index is that of a pixel, and here it is that of a tap."""
    y, at = F.max_pool2d(x, s.kernel, s.stride, s.padding, s.dilation, return_indices=True)
    i, j = torch.arange(y.shape[2])[:, None], torch.arange(y.shape[3])
    a = (at // x.shape[3] - i * s.stride[0] + s.padding[0]) // s.dilation[0]
    b = (at % x.shape[3] - j * s.stride[1] + s.padding[1]) // s.dilation[1]
    return y, (a * s.kernel[1] + b).to(torch.int32)


def batch_norm(x, weight, bias, residual, out, mean, variance, running, s):
    if s.training:
        y, centre, _ = torch.native_batch_norm(x, weight, bias, None, None, True, 0.0, s.eps)
    else:
        y = F.batch_norm(x, mean, variance, weight, bias, False, 0.0, s.eps)
    y = y if residual is None else y + residual
    y = torch.relu(y) if s.relu else y
    if not s.training:
        return y
    if running is None:
        return y, centre, x.var(0, correction=0)
    old = running.mean.clone(), running.var.clone()
    torch.native_batch_norm(x, weight, bias, *old, True, s.momentum, s.eps)
    return y, centre, x.var(0, correction=0), *old, running.batches + 1


def layer_norm(x, weight, bias, out, mean, scale, s):
    y, centre, rstd = torch.native_layer_norm(x, (x.shape[1],), weight, bias, s.eps)
    return y, centre[:, 0], rstd[:, 0]


def layer_norm_dx(g, x, weight, mean, scale, out, dweight, dbias, s):
    wanted = [True, dweight is not None, dbias is not None]
    shape, bias = (x.shape[1],), x.new_zeros(x.shape[1])
    made = aten.native_layer_norm_backward(g, x, shape, mean[:, None], scale[:, None], weight, bias, wanted)
    return tuple(a for a, asked in zip(made, wanted, strict=True) if asked)


def rms_norm(x, weight, out, scale, s):
    y, rstd = aten._fused_rms_norm(x, (x.shape[1],), weight, s.eps)
    return y, rstd[:, 0]


def softmax(x, out, s):
    return (torch.log_softmax if s.log else torch.softmax)(x, 1)


def softmax_dx(g, y, out, s):
    return (torch._log_softmax_backward_data if s.log else torch._softmax_backward_data)(g, y, 1, y.dtype)


def cross_entropy(x, target, out, probabilities):
    return F.cross_entropy(x, target, reduction="none"), torch.softmax(x, 1)


def bce_with_logits(x, target, out):
    return F.binary_cross_entropy_with_logits(x, target, reduction="none")


NAMES = {"tanh": torch.tanh, "sigmoid": torch.sigmoid, "softplus": F.softplus, "silu": F.silu, "gelu": F.gelu,
         "gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}  # fmt: skip


def activation(x, out, s):
    return NAMES[s.name](x)


def activation_dx(g, x, out, s):
    if s.name in ("tanh", "sigmoid"):  # x is what they gave
        return getattr(aten, f"{s.name}_backward")(g, x)
    x = x.requires_grad_()
    return torch.autograd.grad(NAMES[s.name](x), x, g)[0]


def relu(x, out, s):
    return F.leaky_relu(x, s.slope) if s.slope else torch.relu(x)


def attention(q, k, v, out, lse, s):
    q, k, v = (a.transpose(1, 2) for a in (q, k, v))
    logits = s.scale * q @ k.transpose(2, 3)
    if s.causal:
        logits = logits.masked_fill(~torch.ones(logits.shape[2:], dtype=torch.bool).tril(), -torch.inf)
    y = F.scaled_dot_product_attention(q, k, v, is_causal=s.causal, scale=s.scale)
    return y.transpose(1, 2), torch.logsumexp(logits, 3)


def adam(p, g, m, v, out, new_m, new_v, s):
    """Its own first step is number 1 of moments that are 0."""
    state = [torch.zeros_like(p) if a is None else a.clone() for a in (m, v)]
    p, step = p.clone(), torch.tensor(float(s.step))
    fused = aten._fused_adamw_ if s.decoupled else aten._fused_adam_
    more = {"lr": s.lr, "beta1": s.beta1, "beta2": s.beta2, "weight_decay": s.weight_decay, "eps": s.eps}
    fused([p], [g.clone()], [state[0]], [state[1]], [], [step], **more, amsgrad=False, maximize=False)
    return p, *state


def column_sums(x, out):
    return x.sum(0)


def linear(x, w, b, out):
    return F.linear(x, w, b)


def matmul(a, b, out):
    return a @ b


def add(a, b, out):
    return a + b


OWN = (conv2d, conv2d_dx, conv2d_dw, avg_pool2d, avg_pool2d_dx, max_pool2d, batch_norm, layer_norm, layer_norm_dx,
       rms_norm, softmax, softmax_dx, cross_entropy, bce_with_logits, activation, activation_dx, relu, attention, adam,
       column_sums, linear, matmul, add)  # fmt: skip
# What PyTorch does otherwise, by operation and case. Of several NaN in a window its maximum is the last one. Its
# cross-entropy of a logit is (1 - t) x - log_sigmoid(x), which loses its digits where both are nearly equal, and is NaN
# where both are infinite. Its GELU of infinity is NaN in float32, in vectors, and
# Adam's mean with beta1 = 0 of an infinite gradient is NaN.
OTHERWISE = {
    "bce_with_logits": {
        "many logits", "1025 logits", "257 logits", "129 logits", "65 logits", "logits in the tails", "infinity",
        "minus infinity", "large logits (nothing may overflow)", "large logits, targets of 0 and 1",
    },
    "activation": {"gelu of infinity"},
    "max_pool2d": set(),
    "adam": set(),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kernel", OWN, ids=lambda kernel: kernel.__name__)
def test_a_kernel_of_pytorch_conforms(kernel):
    op = kernel.__name__
    layout = "nchw" if op.endswith(("pool2d", "pool2d_dx")) or op.startswith("conv2d") else "nhwc"
    drawn = 0 if op in OTHERWISE else 60
    report = conformance.check(kernel, op, examples=drawn, adapt=Adapt(layout, "torch"))
    assert {f.case.title for f in report.failures} <= OTHERWISE.get(op, set()), str(report)
