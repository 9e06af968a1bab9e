# %% [markdown]
# # 17 Where should the norm stand?
#
# *It computes for about 8 seconds. From before: a gradient is a sum over paths, and each path passes some of the
# branches (07). Batch norm makes the branches of a deep net weak (08).*
#
# Follow one token through a Transformer. It enters as a vector, and every block *adds* something to that vector.
# Nothing is ever replaced. The vector that runs through the whole net is called the *residual stream*; the blocks are
# tributaries.
#
# A stream that only collects grows, so a layer norm keeps it in check: it shifts and scales each vector to mean 0 and
# variance 1. The question is where to put it. The first Transformers normalised *after* each sum, today's nearly all
# normalise *before* each branch, and the search goes on:
#
# | | block $l$ | |
# |---|---|---|
# | post-LN | $\mathrm{LN}(x + F(x))$ | Vaswani et al. 2017 [vaswani2017attention] |
# | pre-LN | $x + F(\mathrm{LN}(x))$ | Xiong et al. 2020 [xiong2020layer] |
# | peri-LN | $x + \mathrm{LN}(F(\mathrm{LN}(x)))$ | Kim et al. 2025 [kim2025peri] |
# | LayerNorm scaling | $x + F(\mathrm{LN}(x) / \sqrt l)$ | Sun et al. 2025 [sun2025curse] |
# | DeepNorm | $\mathrm{LN}(\alpha x + F(x))$, small weights | Wang et al. 2022 [wang2022deepnet] |
#
# They look like matters of taste. Let us see what the gradient thinks of them.
#
# **Guess before you run:** sixteen blocks. How much of the squared gradient does the last block's weight matrix get
# with pre-LN, and how much with post-LN? It is next to the loss: surely about the same?

# %%
guess = ...  # the share with pre-LN, and the share with post-LN

# %% [markdown]
# A branch is two matrices with a ReLU between them, $F(x) = \mathrm{relu}(x W_1)\, W_2$, with weights that keep the
# size of what they are given. (Attention comes in 18.) A net of any of the five kinds takes a few lines:

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.theory import path_lengths

WIDTH, BATCH = 256, 8


class Matrix(nn.Module):
    """x W, times a number that is not learned."""

    def __init__(self, w, scale=1.0):
        self.weight, self.scale = nn.Parameter(w), scale

    def forward(self, x):
        return self.scale * (x @ self.weight)


class Times(nn.Module):
    def __init__(self, scale):
        self.scale = scale

    def forward(self, x):
        return self.scale * x


def norm():
    return nn.LayerNorm(WIDTH, elementwise_affine=False)


def block(kind, l, depth, w1, w2):
    """Block number l of `depth`."""
    F = [Matrix(w1), nn.ReLU(), Matrix(w2)]
    if kind == "post":
        return nn.Sequential(nn.Residual(nn.Sequential(*F)), norm())
    if kind == "pre":
        return nn.Residual(nn.Sequential(norm(), *F))
    if kind == "peri":
        return nn.Residual(nn.Sequential(norm(), *F, norm()))
    if kind == "lns":
        return nn.Residual(nn.Sequential(norm(), Times(l**-0.5), *F))
    alpha, beta = (2 * depth) ** 0.25, (8 * depth) ** -0.25  # DeepNorm
    F = [Matrix(w1, beta), nn.ReLU(), Matrix(w2, beta)]
    return nn.Sequential(nn.Residual(nn.Sequential(*F), shortcut=Times(alpha)), norm())


def net(kind, depth, rng):
    """The blocks, and one last norm where the stream is left to grow."""
    blocks = []
    for l in range(1, depth + 1):
        w1, w2 = rng.standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
        blocks.append(block(kind, l, depth, np.sqrt(2) * w1, w2))
    return nn.Sequential(*blocks, *([norm()] if kind in ("pre", "peri", "lns") else []))


def shares(kind, depth, seed):
    """|dL/dW2|² of each block, as a share of WIDTH times the squared gradient at the top."""
    rng = np.random.default_rng(seed)
    model = net(kind, depth, rng)
    second = [m.weight for m in model.modules() if isinstance(m, Matrix)][1::2]
    y = model(tr.tensor(rng.standard_normal((BATCH, WIDTH))))
    g = rng.standard_normal(y.shape)
    return np.array([(d.numpy() ** 2).sum() for d in tr.grad(y, second, g)]) / (WIDTH * (g**2).sum())


L, NETS = 16, 8
received = {kind: np.mean([shares(kind, L, seed) for seed in range(NETS)], axis=0) for kind in ("pre", "post")}
for kind, found in received.items():
    print(f"{kind}-LN: first block {found[0]:.3f}, last block {found[-1]:.3f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# One seventeenth with pre-LN, one half with post-LN: eight times as much, in the very block that touches the loss.
#
# </details>
#
# Why? With pre-LN each block adds 1 to the variance of the stream, so after $L$ blocks the last norm divides by
# $\sqrt{L + 1}$, and the gradient is divided with it. Below that norm the stream carries $1/(L+1)$ of the squared
# gradient, and that is what the last block gets. Deeper in the net the gradient grows again: block $l$ gets $1/(l+1)$.
#
# With post-LN each norm sees a sum of two vectors of variance 1 and divides the squared gradient by 2. Then the block
# below doubles it, since skip and branch both send it back. Halved and doubled, it stays at $\frac12$ everywhere. You
# will read that post-LN's gradient vanishes. In this net it does not.
#
# Xiong et al. proved it for the last block: post-LN's weights near the output get a *large* gradient, and this is why
# such Transformers need a warm-up, a first while of tiny steps. That last step is a statement about training. No random
# net can confirm it.

# %%
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
l = np.arange(1, L + 1)
for kind, law, colour in (("pre", 1 / (1 + l), "tab:blue"), ("post", np.full(L, 0.5), "tab:orange")):
    axes.semilogy(l, law, color=colour, lw=1)
    axes.semilogy(l, received[kind], "o", color=colour, markersize=4, label=f"{kind}-LN")
axes.set(xlabel="block, from the input", ylabel="share of the squared gradient", ylim=(0.03, 1),
         title="What a block's weights receive: dots measured, lines 1/(1 + l) and 1/2")  # fmt: skip
axes.legend()
plt.show()

# %% [markdown]
# ## How long is the way back?
#
# So post-LN's gradient is as strong as anyone could wish. Then why did everybody leave it? Look not at how much comes
# back, but at *how*. Each time the gradient reaches a block it goes two ways: past the branch, or through it.
# `flow.paths` counts the branches (07).
#
# **Guess before you run:** 24 blocks. Through how many branches does the gradient pass on its way to the input, on
# average, with pre-LN? And with post-LN?

# %%
guess = ...  # two numbers between 0 and 24

# %% tags=["hide-output"]
L = 24
KINDS = {"post": "post-LN", "pre": "pre-LN", "peri": "peri-LN", "lns": "LayerNorm scaling", "deep": "DeepNorm"}


def by_length(kind, seed):
    """The share of the squared gradient at the input that came through 0, 1, ..., L branches."""
    rng = np.random.default_rng(seed)
    model = net(kind, L, rng).requires_grad_(False)
    x = tr.tensor(rng.standard_normal((BATCH, WIDTH)), requires_grad=True)
    return flow.paths(model(x), x, rng.standard_normal(x.shape))["share"]


k = np.arange(L + 1)
lengths = {kind: np.mean([by_length(kind, seed) for seed in range(4)], axis=0) for kind in KINDS}
for kind, name in KINDS.items():
    print(f"{name:17} passes {lengths[kind] @ k:6.3f} branches; {lengths[kind][0]:.1e} of it passes none")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About three with pre-LN, twelve with post-LN.
#
# </details>
#
# In a post-LN block, branch and skip send back equally much, always. So every path is equally good, and the average
# path takes every other branch: twelve of 24. The path that takes none, the one that a residual net is built for,
# carries $2^{-24}$.
#
# In a pre-LN net, the stream has variance $l$ when it enters block $l$, and the norm weakens that block's branch by as
# much. Branch against skip is $r_l = 1/l$, and the mean number of branches is
#
# $$ \sum_{l=1}^L \frac{r_l}{1 + r_l} = \frac12 + \frac13 + \dots + \frac1{L+1} \approx \ln L. $$
#
# For 24 blocks that is 2.8, and for a thousand it is 6.5. That may be why deep pre-LN Transformers train so calmly, and
# also what is wrong with them: a late block hardly changes anything. LayerNorm scaling and DeepNorm go further down the
# same road. A DeepNorm net begins as nearly no net at all: one gradient in fifty has seen a branch.


# %%
def gains(kind):
    """r_l of each block: what comes back through the branch, relative to the skip."""
    l = np.arange(1, L + 1)
    harmonic = np.cumsum(1 / l) - 1 / l  # 1 + 1/2 + ... + 1/(l - 1)
    return {
        "post": np.ones(L),
        "pre": 1 / l,
        "peri": 1 / l,
        "lns": 1 / (l * (1 + harmonic)),
        "deep": np.full(L, 1 / (8 * L * np.sqrt(2 * L))),
    }[kind]


theory = {kind: path_lengths.poisson_binomial(gains(kind)) for kind in KINDS}
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for c, (kind, name) in enumerate(KINDS.items()):
    seen = lengths[kind] > 1e-8
    axes.semilogy(k, theory[kind], color=f"C{c}", lw=1)
    ring = {"fillstyle": "none", "markersize": 8} if kind == "peri" else {"markersize": 4}  # around pre-LN's dots
    axes.semilogy(k[seen], lengths[kind][seen], "o", color=f"C{c}", **ring,
                  label=f"{name}: {lengths[kind] @ k:.2g} branches")  # fmt: skip
axes.set(xlabel="branches on the way back", ylabel="share of the squared gradient", ylim=(1e-8, 2),
         title="Five places for a norm: how long is the way back? (24 blocks)")  # fmt: skip
axes.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.72, 0))
plt.show()

# %% [markdown]
# So where should the norm stand? Wherever it stands, it sets one number per block: how loud the branch is against the
# stream. Post-LN listens to all blocks alike, and its way back is as long as that of a plain net with half as many
# layers. Pre-LN listens to the first blocks, and its way back grows as a logarithm. You choose between a deep net that
# is hard to train and a net that is easy to train and not as deep as it looks.

# %%
l = np.arange(1, 17)
assert np.abs(received["pre"] * (1 + l) - 1).max() < 0.3
assert abs(received["pre"][-1] * 17 - 1) < 0.15
assert abs(received["post"][-1] / 0.5 - 1) < 0.15
assert received["post"][0] > 0.35  # post-LN's gradient does not vanish here
for kind in KINDS:
    mean, predicted = lengths[kind] @ k, theory[kind] @ k
    assert abs(mean / predicted - 1) < 0.08, kind
    assert abs(lengths[kind].sum() - 1) < 1e-12
assert lengths["post"][0] < 1e-6 < 0.02 < lengths["pre"][0] < lengths["lns"][0] < lengths["deep"][0]

# %% [markdown]
# ## Your turn
#
# The branches of a trained net do not all have gain 1. Say that branch $l$ of a pre-LN net multiplies the size (not the
# square) of what it is given by $s_l$. The stream enters with variance 1, and each branch adds its own variance to it.
# From the list of $s_l$, return the mean number of branches that the gradient passes.
#
# ```python
# def mean_length(s):  # s[l]: gain of branch l, from the input to the top
#     return ...  # one number
#
# tr.exercise("17", mean_length)
# ```
#
# Next: the branch that makes a Transformer a Transformer, and what it does when it is left alone.
