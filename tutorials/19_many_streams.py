# %% [markdown]
# # 19 Are four streams better than one?
#
# *It computes for about 4 seconds. From before: the residual stream passes the gradient on as it is (07, 17). A product
# of many matrices vanishes or explodes (06).*
#
# A residual connection has one stream, and every block must share it. Zhu et al. 2024 [zhu2024hyper] ask: why only one?
# Their *hyper-connections* keep $n$ copies of the stream. Each block reads a mixture of them, writes to all of them,
# and before the next block the streams are mixed by a small matrix that is learned,
#
# $$ X_{l+1} = M_l X_l + w_l\, F(r_l X_l), \qquad X_l \text{ of } n \text{ rows}. $$
#
# With $M_l = I$ these are $n$ ordinary residual nets side by side. Learning may make it anything else. And there it is
# again, the thing that the residual connection was made to avoid: on the way back, past all branches, the gradient
# meets the *product of all* $M_l$.
#
# **Guess before you run:** four streams, 64 blocks. Each $M_l$ is the identity plus a little noise, $I + 0.1\, G$ with
# independent standard normal numbers in $G$. What happens to the squared gradient, on average?

# %%
guess = ...  # the mean of the squared gradient after 64 mixings, relative to the top

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import flow, nn

N, L, DRAWS = 4, 64, 2000


def squared(sigma, seed=0):
    """The squared gradient after 0, 1, ..., L mixings by I + sigma G, for many draws: (DRAWS, L + 1)."""
    rng = np.random.default_rng(seed)
    streams = [tr.tensor(np.zeros((DRAWS, N, 1)), requires_grad=True)]
    for _ in range(L):
        m = np.eye(N) + sigma * rng.standard_normal((DRAWS, N, N))
        streams.append(m @ streams[-1])
    g = rng.standard_normal((DRAWS, N, 1))
    gradients = tr.grad(streams[-1], streams, g)
    found = np.stack([(d.numpy() ** 2).sum(axis=(1, 2)) for d in gradients[::-1]], axis=1)
    return found / found[:, :1]


free = {sigma: squared(sigma) for sigma in (0.05, 0.1)}
for sigma, found in free.items():
    ends = found[:, -1]
    print(f"sigma {sigma}: mean {ends.mean():.1f}, median {np.median(ends):.1f}, worst of {DRAWS} {ends.max():.0f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About twelve, in the mean; but the typical net has four, and the worst of two thousand nearly a thousand.
#
# </details>
#
# Each row of $G^\top g$ is a sum of $n$ independent numbers of variance $\sigma^2$, and there are $n$ rows. At a right
# angle to $g$, on average, they add $n \sigma^2 |g|^2$. So each mixing multiplies the mean square by
#
# $$ 1 + n \sigma^2 = 1.04, \qquad 1.04^{64} = 12.3. $$
#
# More streams make it *worse*. And these were small, harmless, unbiased deviations from the identity. A deep net that
# is free to mix is a plain net again, hidden in a corner of a residual one.
#
# ## A matrix that only shares
#
# Xie et al. 2025 [xie2025mhc] tie the matrices down: all entries at least 0, all rows and all columns with sum 1. Such
# a matrix is called *doubly stochastic*. Each stream becomes a mean of streams, and each stream is given away
# completely.
#
# Two things follow in one line each. If columns sum to 1, the mean of the streams passes unchanged, and if rows do, so
# does the mean of the gradient. And a mean of vectors is never longer than the longest: products of such matrices have
# norm 1, at any depth. Nothing explodes, nothing vanishes. Is that not perfect?
#
# How does one *learn* such a matrix? Take any matrix, make it positive with an exponential, divide the rows by their
# sums, then the columns, then the rows again. It converges (Sinkhorn & Knopp 1967 [sinkhorn1967concerning]).
#
# **Guess before you run:** four different streams are mixed by 64 random doubly stochastic matrices. The mean survives.
# What is left of the *differences* between the streams?

# %%
guess = ...  # the share of the differences after 64 mixings


# %% tags=["hide-output"]
def sinkhorn(logits, iterations=100):
    """exp(logits), with rows and columns divided by their sums in turn."""
    m = tr.exp(logits)
    for _ in range(iterations):
        m = m / m.sum(axis=-1, keepdims=True)
        m = m / m.sum(axis=-2, keepdims=True)
    return m


rng = np.random.default_rng(0)
random = sinkhorn(tr.tensor(rng.standard_normal((L, N, N)))).numpy()
gentle = np.broadcast_to(0.9 * np.eye(N) + 0.1 / N, (L, N, N))
gains = {"Sinkhorn of random logits": flow.composite_gain(random), "0.9 I + 0.1 J/n": flow.composite_gain(gentle)}
for name, gain in gains.items():
    print(f"{name}: norm {gain['norm'][-1]:.6f}, differences {gain['differences'][-1]:.0e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Nothing, down to the last digit; even the gentle matrix leaves only a thousandth.
#
# </details>
#
# The explosion is gone, and something else is gone with it. A mean of streams is more alike than the streams were.
# After enough of them, all four carry the same vector: you pay for four streams and own one. If each mixing gives away
# a share $\varepsilon$, what is left is $(1 - \varepsilon)^L$. It is the rank collapse of 18 once more, along another
# axis. Four streams remain four only while their mixing stays *close to the identity*, as it does at the start of
# `nn.HyperConnections`, whose off-diagonal entries begin at about $e^{-8}$.
#
# The matrices here are the same for every input. In the paper's *dynamic* form each input adds a little of its own to
# $M_l$, $r_l$ and $w_l$: `nn.HyperConnections(..., dynamic=True, width=E)`. It starts as the static form, so what you
# have just seen holds for its first step; after that, the product on the way back is another one for each input.

# %%
net = nn.Sequential(*(nn.HyperConnections(nn.Linear(8, 8, rng=l), N, "doubly stochastic", index=l) for l in range(L)))
begun = flow.composite_gain(net)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
l = np.arange(L + 1)
for c, (sigma, found) in enumerate(free.items()):
    left.semilogy(l, (1 + N * sigma**2) ** l, color=f"C{c}", lw=1)
    left.semilogy(l[::3], found.mean(axis=0)[::3], "o", color=f"C{c}", markersize=4, label=f"I + {sigma} G")
left.axhline(1, color="0.6", ls="--", lw=1, label="doubly stochastic, mean")
left.set(xlabel="mixings", ylabel="squared gradient", title="Free mixing explodes\n(dots measured, lines (1 + nσ²)ᴸ)")
left.legend(fontsize=8)
for c, (name, gain) in enumerate((gains | {"nn.HyperConnections, at the start": begun}).items()):
    right.semilogy(l, np.maximum(gain["differences"], 1e-18), color=f"C{c + 2}", label=name)
right.set(
    xlabel="mixings", ylabel="differences left", ylim=(1e-17, 3), title="Doubly stochastic mixing\nmakes streams alike"
)
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# ## Where Sinkhorn falls silent
#
# One more trap. The closer the matrix comes to a permutation, such as the identity, the further apart its logits must
# be, and exponentials are quick to vanish. What does the gradient say?


# %%
def loudest(reach, dtype):
    """The largest gradient among the logits of a matrix that is the identity but for e^-reach."""
    logits = tr.tensor((reach * np.eye(N)).astype(dtype), requires_grad=True)
    g = np.random.default_rng(0).standard_normal((N, N)).astype(dtype)
    return float(np.abs(tr.grad(sinkhorn(logits - reach, 20), logits, g)[0].numpy()).max())


for reach in (1, 8, 20, 100, 105, 700, 750):
    print(f"logits {reach:4} apart: float32 {loudest(reach, 'float32'):.1e}, float64 {loudest(reach, 'float64'):.1e}")

# %% [markdown]
# At 104 in float32, and 745.2 in float64, $e^{-\text{reach}}$ rounds to 0, the matrix *is* a permutation, and the
# gradient is exactly 0. No loss will ever move it again. Long before that, it is too small to matter. So the matrix
# should start near the identity, but not too near; $e^{-8}$ is a compromise between streams that blur and gates that
# are deaf.
#
# Are four streams better than one? The papers report that they help at scale. What you have seen is the price: whoever
# touches the identity path must say what its product does at any depth, and there are only three answers. It grows, it
# shrinks, or it stays, and what stays is the mean.

# %%
for sigma, found in free.items():
    ends, law = found[:, -1], (1 + N * sigma**2) ** L
    assert abs(ends.mean() - law) < 3 * ends.std() / np.sqrt(DRAWS) + 0.03 * law, sigma
for gain in (*gains.values(), begun):
    assert abs(gain["norm"][-1] - 1) < 1e-4  # the mean passes, and nothing is longer
assert gains["Sinkhorn of random logits"]["differences"][-1] < 1e-9
assert abs(gains["0.9 I + 0.1 J/n"]["differences"][-1] / 0.9**L - 1) < 1e-9
assert begun["differences"][-1] > 0.8  # near the identity, streams stay different
assert loudest(105, "float32") == 0 < loudest(100, "float32") < 1e-40
assert loudest(750, "float64") == 0 < loudest(700, "float64")

# %% [markdown]
# ## Your turn
#
# The `sinkhorn` of this page overflows: logits of 1000 make infinities, and infinity over infinity is no number. Write
# one that does not, for NumPy arrays. It shall return the same matrix for all logits, large ones included, with rows
# and columns that sum to 1.
#
# ```python
# def sinkhorn(logits, iterations):  # (n, n)
#     return ...  # (n, n), doubly stochastic
#
# tr.exercise("19", sinkhorn)
# ```
#
# That was the last of the three on the residual stream. `tinyres flow stream` runs all of its laws, E21 to E28.
# Next: two players once more, and which of ten years' tricks they need.
