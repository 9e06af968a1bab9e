# %% [markdown]
# # 10 Is it enough that a gradient has the right size?
#
# *It computes for about 8 seconds. From before: what keeps the squared gradient in plain, residual and normalised nets
# (06 to 08).*
#
# For four tutorials we have looked at one number, the length of the gradient. Suppose that it is right. A gradient is
# an arrow, and a step of training follows it a little way, in the hope that it still points the same way there. Does
# it?
#
# Take a net with a single number $x$ as its input, and draw the slope $df/dx$ for 256 inputs between $-2$ and $2$. All
# three nets below are random, of ReLU layers with batch norm (its statistics held fixed, so that inputs do not see one
# another), 256 units wide, and the slopes are scaled to the same height.
#
# **Guess before you run:** two neighbouring inputs differ by $0.016$. Are their slopes alike, in a plain net of 24
# layers?

# %%
guess = ...  # a correlation, between 0 and 1

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.theory import isometry

UNITS = BATCH = POINTS = 256


def frozen(x):
    """ReLU after batch norm, with the batch's statistics as constants: no gradient passes from sample to sample."""
    rows = x.numpy()
    return tr.relu((x - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5))


def gradients(h, depth, g, rng, residual):
    """The gradient at each row of h, of a net of layers frozen(h) W (or h + frozen(h) W), with g at every output."""
    x = h = tr.tensor(h, requires_grad=True)
    for _ in range(depth):
        layer = frozen(h) @ (np.sqrt(2 / UNITS) * rng.standard_normal((UNITS, UNITS)))
        h = h + layer if residual else layer
    return tr.grad(h, x, np.broadcast_to(g, h.shape))[0].numpy()


def over_line(depth, residual=False):
    """df/dx at 256 inputs between -2 and 2: f begins with x w + b, and ends in a random direction."""
    rng = np.random.default_rng(0)
    w, b, g = rng.standard_normal((3, 1, UNITS))
    return gradients(np.linspace(-2, 2, POINTS)[:, None] * w + b, depth, g, rng, residual) @ w[0]


lines = {
    "plain, 2 layers": over_line(2),
    "plain, 24 layers": over_line(24),
    "residual, 50 blocks": over_line(50, residual=True),
    "white noise": np.random.default_rng(0).standard_normal(POINTS),
}
figure, grid = plt.subplots(1, 4, figsize=(9, 2.9), layout="constrained", sharey=True)
for axes, (name, slopes), colour in zip(grid, lines.items(), ("C0", "C3", "C2", "0.5"), strict=True):
    axes.plot(np.linspace(-2, 2, POINTS), slopes / np.abs(slopes).max(), color=colour, lw=0.8)
    axes.set(title=name, xlabel="input x")
grid[0].set_ylabel("df/dx, scaled")
plt.show()
alike = {name: float(np.corrcoef(slopes[:-1], slopes[1:])[0, 1]) for name, slopes in lines.items()}
print("correlation of neighbours:", {name: round(value, 2) for name, value in alike.items()})

# %% [markdown]
# <details><summary>Answer</summary>
#
# You could swap the second picture and the fourth, and nobody would notice. The gradient of the deep plain net has a
# perfectly good size, and it is noise: what it says at one input is no longer true at the next. Balduzzi et al. 2017
# [balduzzi2017shattered] call such gradients *shattered*. The slope of the residual net, which is more than twice as
# deep, is rugged, yet a shape is visible.
#
# </details>
#
# ## One half per layer
#
# How fast does it happen? Take two inputs that have nothing to do with each other, and send the same gradient down
# through the net for both. At the top the two are equal. At each layer, a unit passes its part on if its ReLU is open.
# For one input that is half of the units; the *same* unit is open for both in a quarter of the cases. So the squared
# length is halved (and He's 2 makes up for that), while what the two have in common is quartered. So each layer halves
# their correlation: $2^{-L}$.
#
# In a block $x + F(x)$ only the branch's part is halved. By 08 the branch of block $l$ carries $r_l = 1/(1 + (l-1)v)$,
# and the skip connection carries 1. So the correlation is multiplied by $(1 + r_l/2)/(1 + r_l)$.
#
# **Guess before you run:** what is left after 20 plain layers, and after 20 residual blocks?

# %%
guess = ...  # two correlations

# %% tags=["hide-output"]
PLAIN, RESIDUAL, SEEDS = (1, 2, 3, 4, 6, 8), (1, 2, 5, 10, 20, 40), 3
r = 1 / (1 + np.arange(40) * (1 - 1 / np.pi))  # of block 1, 2, ...; from 08
LAWS = {"plain": 0.5 ** np.arange(1, 41), "residual": np.cumprod((1 + r / 2) / (1 + r))}  # after 1, 2, ... of them


def alike_in_batch(depth, seed, residual):
    """Mean of <g_i, g_j> over all pairs of independent inputs, over the mean of |g_i|²."""
    rng = np.random.default_rng(seed)
    g = gradients(rng.standard_normal((BATCH, UNITS)), depth, rng.standard_normal(UNITS), rng, residual)
    squares, total = (g * g).sum(), g.sum(axis=0)
    return ((total * total).sum() - squares) / squares / (BATCH - 1)


correlation = {}
for kind, sizes in (("plain", PLAIN), ("residual", RESIDUAL)):
    for depth in sizes:
        correlation[kind, depth] = np.mean([alike_in_batch(depth, k, kind == "residual") for k in range(SEEDS)])
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
depths = np.arange(1, 41)
for kind, law, colour, words in (
    ("plain", LAWS["plain"], "C3", "plain: 1/2 per layer"),
    ("residual", LAWS["residual"], "C2", "residual: (1 + r/2)/(1 + r) per block"),
):
    axes.loglog(depths, law, color=colour, lw=1)
    measured = {depth: value for (which, depth), value in correlation.items() if which == kind}
    axes.loglog(measured.keys(), measured.values(), "o", color=colour, markersize=5, label=words)
axes.set(xlabel="layers, or blocks", ylabel="correlation of the gradients at two inputs", ylim=(1e-3, 1.2),
         title="Two independent inputs: lines theory, dots mean of three nets")  # fmt: skip
axes.legend()
plt.show()
plain, residual = LAWS["plain"][19], correlation["residual", 20]
print(f"20 plain layers, theory: {plain:.0e}; 20 blocks, measured: {residual:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A millionth (too little to measure above the noise of three nets) after plain layers, and one sixth after residual
# blocks. Once more it is an exponential against a power of the depth, and once more because the branches of deep blocks
# are small.
#
# </details>
#
# (In training mode batch norm lets samples see one another, and the gradients of a batch then sum to zero whatever the
# net is. That hides the effect; hence the frozen statistics.)
#
# ## Long in which direction?
#
# There is something else that a length does not tell us. Let $J$ be the Jacobian of a whole net: how each output moves
# with each input. A gradient $g$ at the top arrives as $J^\top g$. For a *random* $g$ the length is kept, if all is set
# up as in tutorial 06. But is it kept in every single direction? The *singular values* of $J$ are the factors by which
# it stretches, one for each of its perpendicular principal directions. The mean of their squares is the 1 that we
# worked so hard to keep.
#
# `flow.jacobian_spectrum` computes them. Here are four nets of 16 layers, 128 wide, all with weights of the right size.
#
# **Guess before you run:** the *linear* net is only Gaussian matrices, one after the other. In what share of its 128
# directions does a gradient lose 99 % of its length or more?

# %%
guess = ...  # a share

# %% tags=["hide-output"]
WIDTH = 128


def linear(orthogonal, rng):
    layer = nn.Linear(WIDTH, WIDTH, bias=False, rng=rng)
    if orthogonal:
        nn.init.orthogonal_(layer.weight, rng=rng)
    else:
        nn.init.normal_(layer.weight, std=WIDTH**-0.5, rng=rng)
    return layer


def relu_net(depth, rng):
    layers = (nn.Sequential(linear(False, rng), nn.ReLU(), nn.Scale(2**0.5)) for _ in range(depth))
    return nn.Sequential(*layers)


def residual_net(depth, rng):
    """x + F(x) / sqrt(depth), F of unit gain."""
    branches = (nn.Sequential(relu_net(1, rng), linear(False, rng), nn.Scale(depth**-0.5)) for _ in range(depth))
    return nn.Sequential(*(nn.Residual(branch) for branch in branches))


kinds = {
    "linear, Gaussian": lambda depth, rng: nn.Sequential(*(linear(False, rng) for _ in range(depth))),
    "linear, orthogonal": lambda depth, rng: nn.Sequential(*(linear(True, rng) for _ in range(depth))),
    "ReLU, Gaussian": relu_net,
    "ReLU, residual": residual_net,
}


def stretches(kind, depth, seed=0):
    """The singular values of the Jacobian at a random input, over the root of their mean square."""
    rng = np.random.default_rng(seed)
    model = kinds[kind](depth, rng).to("float64")
    found = flow.jacobian_spectrum(model, tr.tensor(rng.standard_normal((1, WIDTH))))
    return found["singular_values"] / np.sqrt(found["mean_square"])


values = {kind: stretches(kind, 16) for kind in kinds}
for kind, found in values.items():
    print(f"{kind:18} largest {found[0]:5.2f}, smallest {found[-1]:.0e}, below 0.01: {(found < 0.01).mean():.0%}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Half. In the linear net half of the directions are as good as dead, and a few get all the rest: the largest is
# stretched sixfold. (Values below $10^{-16}$ are rounding.)
#
# </details>
#
# With ReLU it is worse. An orthogonal matrix rotates without stretching, and so does a product of any number of them:
# each value is exactly 1. Saxe et al. 2014 [saxe2014exact] call that *dynamical isometry*. It is no help with ReLU,
# which switches half of the units off, whatever the matrices are.
#
# One number says how unequal the values are: the variance of their squares over the squared mean. In theory (Pennington
# et al. 2017 [pennington2017resurrecting]) it *adds up* over the layers. A Gaussian matrix adds 1, and so does a ReLU.
# So it is $L$ and $2L$, and grows without bound.
#
# And a residual block $x + a F(x)$? Multiply $(1 + aJ)(1 + aJ)^\top$ out for a small $a$: the squares are
# $1 + a\,(J + J^\top)$, whose variance is $2a^2$. With $a^2 = 1/L$ each block adds $2/L$, so $L$ blocks together add
# about $2$, *at any depth*. (To the next order it is $(2a^2 + 3a^4)/(1 + a^2)^2$ per block. That is our own algebra, so
# let us check it.)

# %%
DEPTHS, NETS = (1, 2, 4, 8, 16, 32), 3


def spread(kind, depth):
    logs = []
    for seed in range(NETS):
        squares = stretches(kind, depth, seed) ** 2
        logs.append(np.log(squares.var() / squares.mean() ** 2))
    return np.exp(np.mean(logs))


spreads = {kind: np.array([spread(kind, depth) for depth in DEPTHS]) for kind in kinds if "orthogonal" not in kind}
a2 = 1 / depths
theory = {
    "linear, Gaussian": [isometry.spread(depth, orthogonal=False) for depth in depths],
    "ReLU, Gaussian": [isometry.spread(depth, orthogonal=False, active=0.5) for depth in depths],
    "ReLU, residual": depths * (2 * a2 + 3 * a2**2) / (1 + a2) ** 2,
}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.1), layout="constrained")
colours = dict(zip(kinds, ("C0", "C1", "C3", "C2"), strict=True))
for kind, found in values.items():
    left.semilogy(np.arange(1, WIDTH + 1) / WIDTH, np.maximum(found, 1e-9), color=colours[kind], lw=2, label=kind)
left.set(xlabel="share of the directions", ylabel="stretched by", ylim=(1e-4, 3e3), title="16 layers: singular values")
left.legend(fontsize=8, loc="upper right")
for kind, found in spreads.items():
    right.loglog(depths, theory[kind], color=colours[kind], lw=1)
    right.loglog(DEPTHS, found, "o", color=colours[kind], markersize=5, label=kind)
right.set(xlabel="layers, or blocks", ylabel="variance / mean² of the squares",
          title="How unequal: lines theory, dots measured")  # fmt: skip
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# The residual net stays at 2 while the others keep growing. That is the third time that the same small number, a branch
# of $1/\sqrt L$, was the answer: it kept the gradient's size (07), its direction from input to input, and now its even
# spread over directions. A deep net is trainable, at the start, if it is *near the identity*; and each of the
# inventions in 07 to 09 is a way of getting there.
#
# (The theory is for infinite width. The plain dots begin to leave their lines where the depth is no longer small
# compared with the 128 units, as in 06.)

# %%
neighbours = [alike[name] for name in lines]
assert abs(neighbours[1]) < 0.3 < 0.7 < neighbours[0]  # deep and plain: as little alike as noise
assert neighbours[2] > abs(neighbours[1]) + 0.1  # residual, and twice as deep: more alike
for (kind, depth), value in correlation.items():
    predicted = LAWS[kind][depth - 1]
    assert abs(value - predicted) < 0.15 * predicted + 0.003, (kind, depth)
assert np.abs(values["linear, orthogonal"] - 1).max() < 1e-6
assert (values["linear, Gaussian"] < 0.01).mean() > 0.3
for kind, found in spreads.items():
    few = np.array([depth <= 8 for depth in DEPTHS])
    predicted = np.array(theory[kind])[np.array(DEPTHS) - 1]
    assert np.abs(found[few] / predicted[few] - 1).max() < 0.25, kind
assert abs(spreads["ReLU, residual"][-1] - 2) < 0.3
assert spreads["ReLU, Gaussian"][-1] > 10 * spreads["ReLU, residual"][-1]

# %% [markdown]
# ## Your turn
#
# One half per layer was for inputs that have *nothing* in common. Now take two inputs of correlation $\rho$, in a wide
# ReLU net with He's weights, *without* batch norm. Two Gaussian numbers of correlation $\rho$ behave like the heights
# of two arrows at an angle $\theta = \arccos\rho$, turned at random. When are both positive? Of the units that are open
# for one input, what share is open for the other as well? That is the factor of one layer. The layer also changes the
# correlation of the *signals*, to
#
# $$ \rho \;\longrightarrow\; \frac{\sqrt{1 - \rho^2} + \rho\,(\pi - \arccos\rho)}{\pi}. $$
#
# Return the correlation of the two gradients after a given number of layers; the first ReLU sees $\rho$ itself.
#
# ```python
# def alike(rho, layers):
#     return ...
#
# tr.exercise("10", alike)
# ```
#
# Next: two nets, each of which is the other's loss.
