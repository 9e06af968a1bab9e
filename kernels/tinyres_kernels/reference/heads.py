"""Attention and its gradients, query by query."""

from math import exp, log

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Attention


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """Each query's mean of the values, weighted by how well the keys fit.

        logit[n, h, i, j] = scale sum_e q[n, i, h, e] k[n, j, h, e]    for all keys j, or if `causal` for j <= i
        lse[n, h, i]      = log sum_j exp(logit[n, h, i, j])
        out[n, i, h, c]   = sum_j exp(logit[n, h, i, j] - lse[n, h, i]) v[n, j, h, c]

    However large the logits, nothing overflows. NaN and infinity in a key or value reach the queries that see it; where
    `causal`, they may also reach others.

    q (N, L, H, E), k (N, S, H, E), v (N, S, H, V), out (N, L, H, V), lse (N, H, L): heads as a projection leaves them,
    which may be views of one. Without any key (S = 0), out is 0, lse -inf.
    Cost: N H L S (E + V) multiplications, half of them if `causal`, and N H L S exponentials; memory: this here holds
    one row of logits. Vaswani et al. 2017 [vaswani2017attention], Milakov & Gimelshein 2018 [milakov2018online].
    """
    (N, L, H, _), S = q.shape, k.shape[1]
    for n, h, i in ndindex(N, H, L):
        query = q[n, i, h].tolist()
        keys, values = k[n, :, h].tolist(), v[n, :, h].tolist()
        seen = min(i + 1, S) if s.causal else S
        logits = [s.scale * sum(x * y for x, y in zip(query, keys[j], strict=True)) for j in range(seen)]
        top = max(logits)
        powers = [exp(logit - top) for logit in logits]
        lse[n, h, i] = top + log(sum(powers))
        out[n, i, h] = [sum(p * values[j][c] for j, p in enumerate(powers)) / sum(powers) for c in range(v.shape[3])]


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """The gradients of `attention` in q (`out`), k and v, from its results y and lse.

        p[n, h, i, j]   = exp(logit[n, h, i, j] - lse[n, h, i]),   or 0 where query i does not see key j
        d[n, h, i, j]   = scale p[n, h, i, j] (sum_c g[n, i, h, c] v[n, j, h, c] - sum_c g[n, i, h, c] y[n, i, h, c])
        out[n, i, h, e] = sum_j d[n, h, i, j] k[n, j, h, e],   dk[n, j, h, e] = sum_i d[n, h, i, j] q[n, i, h, e]
        dv[n, j, h, c]  = sum_i p[n, h, i, j] g[n, i, h, c]

    Shapes as there; g as y. out, dk and dv may be views of one array, as q, k and v may, if their last axis lies
    element by element. Cost: N H L S (3 E + 2 V) multiplications, half of them if `causal`, and N H L S exponentials.
    Dao et al. 2022 [dao2022flashattention].
    """
    (N, L, H, _), S = q.shape, k.shape[1]
    for n, h in ndindex(N, H):
        wide = (a[n, :, h].astype("float64") for a in (g, q, k, v, y))
        slopes, queries, keys, values, means = wide
        found = queries * 0, keys * 0, values * 0
        for i in range(L):
            for j in range(min(i + 1, S) if s.causal else S):
                p = exp(s.scale * float((queries[i] * keys[j]).sum()) - float(lse[n, h, i]))
                d = s.scale * p * float((slopes[i] * (values[j] - means[i])).sum())
                found[0][i] += d * keys[j]
                found[1][j] += d * queries[i]
                found[2][j] += p * slopes[i]
        out[n, :, h], dk[n, :, h], dv[n, :, h] = found
