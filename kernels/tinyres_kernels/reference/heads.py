"""Attention and its gradients, query by query."""

from math import exp, log

from numpy import ndindex

from tinyres_kernels.namespace import Array
from tinyres_kernels.settings import Attention


def attention(q: Array, k: Array, v: Array, out: Array, lse: Array, s: Attention) -> None:
    """Each query's mean of the values, weighted by how well the keys fit.

        logit[b, i, j] = scale sum_e q[b, i, e] k[b, j, e]        for all keys j, or if `causal` for j <= i
        lse[b, i]      = log sum_j exp(logit[b, i, j])
        out[b, i, c]   = sum_j exp(logit[b, i, j] - lse[b, i]) v[b, j, c]

    However large the logits, nothing overflows. NaN and infinity in a key or value reach the queries that see it; where
    `causal`, they may also reach others.

    q (B, L, E), k (B, S, E), v (B, S, V), out (B, L, V), lse (B, L). Without any key (S = 0), out is 0, lse -inf.
    Cost: B L S (E + V) multiplications, half of them if `causal`, and B L S exponentials; memory: this here holds one
    row of logits. Vaswani et al. 2017 [vaswani2017attention], Milakov & Gimelshein 2018 [milakov2018online].
    """
    (B, L, _), S = q.shape, k.shape[1]
    for b, i in ndindex(B, L):
        query = q[b, i].tolist()
        keys, values = k[b].tolist(), v[b].tolist()
        seen = min(i + 1, S) if s.causal else S
        logits = [s.scale * sum(x * y for x, y in zip(query, keys[j], strict=True)) for j in range(seen)]
        top = max(logits)
        powers = [exp(logit - top) for logit in logits]
        lse[b, i] = top + log(sum(powers))
        out[b, i] = [sum(p * values[j][c] for j, p in enumerate(powers)) / sum(powers) for c in range(v.shape[2])]


def attention_dx(
    g: Array, q: Array, k: Array, v: Array, y: Array, lse: Array, out: Array, dk: Array, dv: Array, s: Attention
) -> None:
    """The gradients of `attention` in q (`out`), k and v, from its results y and lse.

        p[b, i, j]   = exp(logit[b, i, j] - lse[b, i]),   or 0 where query i does not see key j
        d[b, i, j]   = scale p[b, i, j] (sum_c g[b, i, c] v[b, j, c] - sum_c g[b, i, c] y[b, i, c])
        out[b, i, e] = sum_j d[b, i, j] k[b, j, e],   dk[b, j, e] = sum_i d[b, i, j] q[b, i, e]
        dv[b, j, c]  = sum_i p[b, i, j] g[b, i, c]

    Shapes as there; g as y. Cost: B L S (3 E + 2 V) multiplications, half of them if `causal`, and B L S exponentials.
    Dao et al. 2022 [dao2022flashattention].
    """
    (B, L, _), S = q.shape, k.shape[1]
    for b in range(B):
        wide = (a[b].astype("float64") for a in (g, q, k, v, y))
        slopes, queries, keys, values, means = wide
        found = queries * 0, keys * 0, values * 0
        for i in range(L):
            for j in range(min(i + 1, S) if s.causal else S):
                p = exp(s.scale * float((queries[i] * keys[j]).sum()) - float(lse[b, i]))
                d = s.scale * p * float((slopes[i] * (values[j] - means[i])).sum())
                found[0][i] += d * keys[j]
                found[1][j] += d * queries[i]
                found[2][j] += p * slopes[i]
        out[b], dk[b], dv[b] = found
