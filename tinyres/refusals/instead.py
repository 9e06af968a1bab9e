"""Functions of PyTorch that are an expression here: what to write for each, in terms of x, y, z.

They are left out because one name for one thing is easier to learn. A test evaluates every expression beside PyTorch.
"""

from __future__ import annotations

INSTEAD = {
    # other names of operators and functions
    "absolute": "tr.abs(x)", "negative": "-x", "positive": "x", "sgn": "tr.sign(x)", "fix": "tr.trunc(x)",
    "multiply": "x * y", "divide": "x / y", "true_divide": "x / y", "subtract": "x - y", "rsub": "y - x",
    "greater": "x > y", "greater_equal": "x >= y", "less": "x < y", "less_equal": "x <= y", "not_equal": "x != y",
    "conj": "x", "real": "x", "adjoint": "x.mT", "inverse": "tr.linalg.inv(x)",
    "logdet": "tr.linalg.slogdet(x)[1]",
    "concat": "tr.cat([x, y])", "swapaxes": "x.transpose(0, 1)", "swapdims": "x.transpose(0, 1)",
    # elementwise
    "sinh": "(tr.exp(x) - tr.exp(-x)) / 2", "cosh": "(tr.exp(x) + tr.exp(-x)) / 2", "erfc": "1 - tr.erf(x)",
    "logit": "tr.log(x / (1 - x))", "deg2rad": "x * (math.pi / 180)", "rad2deg": "x * (180 / math.pi)",
    "fmax": "tr.maximum(x, y), which keeps NaN", "fmin": "tr.minimum(x, y), which keeps NaN",
    "fmod": "x - y * tr.trunc(x / y)",
    "hypot": "tr.sqrt(x * x + y * y)", "logaddexp": "tr.logsumexp(tr.stack([x, y]), dim=0)",
    "xlogy": "x * tr.log(y), which is NaN where both are 0", "copysign": "tr.abs(x) * tr.sign(y)", "ldexp": "x * 2**y",
    "float_power": "x.to(tr.float64) ** y", "heaviside": "tr.where(x == 0, y, (x > 0) * 1.0)",
    "lerp": "x + z * (y - x)", "addcmul": "x + y * z", "addcdiv": "x + y / z",
    "clamp_max": "x.clamp(max=y)", "clamp_min": "x.clamp(min=y)",
    "nan_to_num": "tr.where(tr.isnan(x), 0.0, x), which keeps infinities",
    "isposinf": "x == tr.inf", "isneginf": "x == -tr.inf", "signbit": "x < 0",
    # drawn
    "bernoulli": "(tr.rand(x.shape) < x).to(x.dtype)",
    # sums and products
    "inner": "x @ y.T", "vdot": "x @ y", "ger": "tr.outer(x, y)", "dist": "(x - y).norm()",
    "cdist": "(x[:, None] - y).norm(dim=2)", "pdist": "(x[:, None] - x).norm(dim=2), which has each distance twice",
    "pairwise_distance": "(x - y + 1e-6).norm(dim=-1)",
    "nuclear_norm": "x.norm('nuc')", "matrix_power": "x @ x @ x", "trapz": "(x[..., 1:] + x[..., :-1]).sum(dim=-1) / 2",
    "trapezoid": "(x[..., 1:] + x[..., :-1]).sum(dim=-1) / 2",
    "kron": "(x[:, None, :, None] * y[:, None]).flatten(2, 3).flatten(0, 1)",
    "cov": "(x - x.mean(dim=1, keepdim=True)) @ (x - x.mean(dim=1, keepdim=True)).T / (x.shape[1] - 1)",
    "addmm": "x + y @ z", "addmv": "x + y @ z", "baddbmm": "x + y @ z",
    "addbmm": "x + (y @ z).sum(dim=0)", "addr": "x + tr.outer(y, z)",
    "tensordot": "tr.einsum('ij,jk->ik', x, y), which names the axes",
    "nansum": "tr.where(tr.isnan(x), 0.0, x).sum()", "nanmean": "x[~tr.isnan(x)].mean()",
    "count_nonzero": "(x != 0).sum()", "std_mean": "x.std(), x.mean()", "var_mean": "x.var(), x.mean()",
    # parts, rearranged
    "hstack": "tr.cat([x, y], dim=1)", "vstack": "tr.cat([x, y], dim=0)", "row_stack": "tr.cat([x, y], dim=0)",
    "dstack": "tr.stack([x, y], dim=2)", "column_stack": "tr.stack([x, y], dim=1)",
    "hsplit": "tr.chunk(x, 2, dim=1)", "vsplit": "tr.chunk(x, 2, dim=0)", 
    "tensor_split": "tr.chunk(x, 2, dim=-1), which makes the last piece the smaller one",
    "split_with_sizes": "x.split([1, 2], dim=1)", "moveaxis": "tr.movedim(x, 0, 2)",
    "repeat_interleave": "tr.stack([x, x], dim=1).flatten(0, 1), which repeats each row",
    "fliplr": "x.flip(1)", "flipud": "x.flip(0)", "rot90": "x.transpose(0, 1).flip(0)", "ravel": "x.flatten()",
    "unflatten": "x.reshape(2, 3, 4)", "narrow": "x[:, 1:3]", "select": "x[:, 1]", "diff": "x[..., 1:] - x[..., :-1]",
    "take": "x.flatten()[y]", "take_along_dim": "tr.gather(x, 1, y)", "diagflat": "tr.diag(x)",
    "msort": "tr.sort(x, dim=0)[0]", "argwhere": "tr.nonzero(x)", "broadcast_tensors": "tr.broadcast_to(x, y.shape)",
    "index_fill": "tr.where(mask, value, x)", "masked_scatter": "tr.where(mask, values, x)",
    "index_put": "tr.where(mask, values, x)", "index_add": "x + tr.zeros_like(x).scatter_add(0, indices, values)",
}  # fmt: skip
