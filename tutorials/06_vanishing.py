# %% [markdown]
# # 06 Why do deep nets lose their gradient?
#
# *It computes for about 6 seconds. From before: a gradient is a product, with one factor for each step it takes (01).*
#
# In the first tutorial forty units stood in a row, and the gradient was a product of forty numbers. A real layer has
# hundreds of units, all connected to the next layer's. Its factor is a matrix. Does the same picture hold?
#
# Take twenty layers of 256 units with the oldest squashing function, the sigmoid. The weights have the usual size: they
# are random with variance $1/256$, so that a sum over 256 inputs is about as large as one of them. A gradient of size 1
# arrives at the top.
#
# **Guess before you run:** the sigmoid's slope is never above $\frac14$. How much of the gradient is left after 20
# layers?

# %%
guess = ...  # a power of ten: what is left at the first layer?

# %% [markdown]
# A plain net takes four lines: multiply by random weights, add random biases, squash, and repeat. `tr.grad` then gives
# the gradient at the output of every layer in one walk back. The whole experiment is in these two functions.

# %% tags=["hide-output"]
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import data

WIDTH, SAMPLES = 256, 8
rng = np.random.default_rng(0)


def outputs(activation, matrices, s_w2, s_b2=0.0, q=1.0):
    """All h of h = activation(h) @ W + b. Variances: s_w2 / WIDTH for W, s_b2 for b, q for the first h."""
    h = np.sqrt(q) * rng.standard_normal((SAMPLES, WIDTH))
    states = [tr.tensor(h, requires_grad=True)]
    for matrix in matrices:
        w, b = np.sqrt(s_w2 / WIDTH) * matrix, np.sqrt(s_b2) * rng.standard_normal(WIDTH)
        states.append(activation(states[-1]) @ w + b)
    return states


def squared_gradients(states):
    """Send a random gradient in at the top: its squared length 0, 1, 2, ... layers below, relative to the top."""
    top = rng.standard_normal(states[-1].shape)
    gradients = tr.grad(states[-1], states, top)
    squared = np.array([(g.numpy() ** 2).sum() for g in gradients[::-1]])
    return squared / squared[0]


matrices = rng.standard_normal((20, WIDTH, WIDTH))
squared = squared_gradients(outputs(tr.sigmoid, matrices, s_w2=1.0))
lengths = np.sqrt(squared)
print(f"at the top {lengths[0]:.2f}, three layers below {lengths[3]:.5f}, at the first layer {lengths[-2]:.1e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About $10^{-12}$. A step of gradient descent would change the first layer's weights in their twelfth digit; float32
# has seven. The first layer stays random forever, and all the others must work with what it makes of the image.
#
# </details>
#
# ## One factor per layer
#
# Follow the gradient $g$ back through one layer. It is multiplied by the transposed matrix, and then, unit by unit, by
# the slopes $\varphi'$:
#
# $$ g_{\text{below},\,i} = \varphi'_i \sum_{j=1}^{n} W_{ij}\, g_j. $$
#
# The weights are random, so the $n$ terms have random signs, and it is their *squares* that add up. A weight has
# variance $s_w^2/n$, so
#
# $$ |g_{\text{below}}|^2 \approx \chi\, |g|^2, \qquad \chi = s_w^2 \cdot \text{mean of } \varphi'^2. $$
#
# All those hundreds of units come down to *one* number. To predict it we need the mean of $\varphi'^2$. The input of a
# unit in a wide layer is a sum of many random terms, so it follows a bell curve with some variance $q$. That variance
# settles after a few layers: the next layer's is $s_w^2 \cdot \text{mean of } \varphi^2 + s_b^2$, where $s_b^2$ is the
# variance of the biases, and repeating this finds the $q$ that stays (Poole et al. 2016 [poole2016exponential];
# Schoenholz et al. 2017 [schoenholz2017deep]). So both means are integrals over a bell curve, and the theory fits in
# ten lines. It builds no net.

# %%
z = np.linspace(-8, 8, 2000)  # an even number of points: none lies on ReLU's kink
bell = np.exp(-z * z / 2)
bell /= bell.sum()  # bell @ f(z) is the mean of f over a bell curve of variance 1
FUNCTIONS = {  # name: the library's function, the function, its slope
    "sigmoid": (tr.sigmoid, lambda u: 1 / (1 + np.exp(-u)), lambda u: np.exp(-u) / (1 + np.exp(-u)) ** 2),
    "tanh": (tr.tanh, np.tanh, lambda u: 1 - np.tanh(u) ** 2),
    "relu": (tr.relu, lambda u: np.maximum(u, 0), lambda u: (u > 0).astype(float)),
}


def theory(name, s_w2, s_b2=0.0):
    """The variance q that stays from layer to layer, and chi."""
    _, phi, slope = FUNCTIONS[name]
    q = 1.0
    if name != "relu":  # whose slope is the same at any q
        for _ in range(1000):
            q = s_w2 * bell @ phi(np.sqrt(q) * z) ** 2 + s_b2
    return q, s_w2 * bell @ slope(np.sqrt(q) * z) ** 2


measured = (squared[-2] / squared[0]) ** (1 / 19)
_, predicted = theory("sigmoid", s_w2=1.0)
print(f"a layer multiplies the squared gradient by {measured:.4f}; theory {predicted:.4f}; 1/16 is {1 / 16:.4f}")

# %% [markdown]
# The sigmoid's slope at 0 is $\frac14$, so $\chi$ is about $1 \cdot \frac1{16}$: a little less, since some units are
# away from 0.
#
# **Guess before you run:** if $\frac1{16}$ is the trouble, weights of variance $16/n$ should fix it:
# $16 \cdot \frac1{16} = 1$. Will that net keep its gradient?

# %%
guess = ...  # yes or no, and why?

# %% tags=["hide-output"]
LAYERS, NETS = 30, 3
SETTINGS = {  # name: function, s_w2, s_b2
    "tanh, s_w² = 1": ("tanh", 1.0, 0.05),
    "tanh, s_w² = 1.76": ("tanh", 1.76, 0.05),
    "tanh, s_w² = 2.5": ("tanh", 2.5, 0.05),
    "sigmoid, s_w² = 16": ("sigmoid", 16.0, 0.0),
    "ReLU, s_w² = 1": ("relu", 1.0, 0.0),
    "ReLU, s_w² = 2": ("relu", 2.0, 0.0),
}
nets = rng.standard_normal((NETS, LAYERS, WIDTH, WIDTH))  # the same matrices for all settings
chi, curves = {}, {}  # curves: ln of the squared gradient, mean over the nets
for label, (name, s_w2, s_b2) in SETTINGS.items():
    q, chi[label] = theory(name, s_w2, s_b2)
    found = [squared_gradients(outputs(FUNCTIONS[name][0], net, s_w2, s_b2, q)) for net in nets]
    curves[label] = np.log(found).mean(axis=0)

figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
below = np.arange(LAYERS + 1)
for k, (label, curve) in enumerate(curves.items()):
    axes.semilogy(below, chi[label] ** below, color=f"C{k}", lw=1)
    axes.semilogy(below[::2], np.exp(curve[::2]), "o", color=f"C{k}", ms=4, label=f"{label}: χ = {chi[label]:.3g}")
axes.set(xlabel="layers below the top", ylabel="squared gradient, relative to the top", ylim=(1e-13, 1e4),
         title="Dots: random nets, mean of three.\nLines: one number each, to the power of the depth")  # fmt: skip
axes.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# It does not: $\chi$ is $0.4$. Larger weights drive the sigmoid's units to its flat ends, where the slope is next to
# nothing. It is the same trap as with the single $\tanh$ of 01. There is a way out, but a costly one:
# `theory("sigmoid", 103)` has $\chi = 1$, and still larger weights make a sigmoid net *explode*. By then most units are
# stuck at 0 or 1, and a few that happen to be near the middle pass on the whole gradient.
#
# </details>
#
# With $\tanh$ there *is* a way through, but it is narrow: $s_w^2 = 1.76$ (with biases of variance 0.05) has $\chi = 1$.
# With a little less the gradient vanishes; with a little more it explodes.
#
# ReLU is kinder. Its slope is 0 for half of the units and 1 for the other half, however large the signal is, so
# $\chi = s_w^2/2$ exactly. Glorot's $1/n$ loses half at every layer; He's $2/n$ loses nothing. That is where the 2 in
# He's initialisation comes from.
#
# Note what did *not* decide: not the squashing alone (the critical $\tanh$ is flat), not the weights alone, and not
# backpropagation, which is exact in all six nets. Only $\chi^L$ decides.
#
# ## How deep is too deep?
#
# Over $\xi = 1/|\ln\chi|$ layers the squared gradient changes by a factor of $e$. This *depth scale* says how far
# anything reaches through such a net. If it matters, nets much deeper than $\xi$ should not *train*. We train five
# $\tanh$ nets at four depths on real digits, all with the same learning rate, for 100 steps.
#
# **Guess before you run:** at 32 layers, which of the five learn anything?

# %%
guess = ...  # which of s_w² = 0.8, 1.0, 1.3, 1.76, 3.0?

# %% [markdown]
# The training loop is plain gradient descent, written out. The five nets differ only in the scale of the same random
# numbers; their weights are stacked along a first axis, so that one pass trains them side by side.

# %% tags=["hide-output"]
S_W2, DEPTHS, UNITS, BATCH, STEPS, RATE = (0.8, 1.0, 1.3, 1.76, 3.0), (2, 4, 11, 32), 100, 32, 100, 0.015
digits = data.digits(seed=0).train
pixels = digits.inputs.reshape(len(digits), 64)
pixels = ((pixels - pixels.mean()) / pixels.std()).astype("float32")


def train(depth):
    """The loss over the last ten steps of five tanh nets with `depth` hidden layers, (5,)."""
    rng = np.random.default_rng((3, depth))
    scale, sizes = np.sqrt(np.array(S_W2))[:, None, None], [64, *[UNITS] * depth, 10]
    weights = [scale * rng.standard_normal((n, m)) / np.sqrt(n) for n, m in pairwise(sizes)]
    biases = [np.sqrt(0.05) * rng.standard_normal(m) * np.ones((len(S_W2), 1, 1)) for m in sizes[1:]]
    values, losses = [array.astype("float32") for array in weights + biases], []
    for _ in range(STEPS):
        batch = rng.choice(len(pixels), BATCH, replace=False)
        leaves = [tr.tensor(value, requires_grad=True) for value in values]
        h = tr.tensor(pixels[batch])
        for i in range(depth + 1):
            h = (tr.tanh(h) if i else h) @ leaves[i] + leaves[depth + 1 + i]  # (5, BATCH, units)
        targets = np.tile(digits.targets[batch], len(S_W2))
        each = tr.cross_entropy(h.reshape(-1, 10), targets, reduction="none").reshape(len(S_W2), BATCH).mean(axis=1)
        gradients = tr.grad(each.sum(), leaves)  # no net's loss reaches another net's weights
        values = [value - np.float32(RATE) * g.numpy() for value, g in zip(values, gradients, strict=True)]
        losses.append(each.numpy())
    return np.mean(losses[-10:], axis=0)


losses = np.array([train(depth) for depth in DEPTHS])
for depth, row in zip(DEPTHS, losses, strict=True):
    print(f"{depth:2} layers:", ", ".join(f"s_w² = {s:g}: {loss:.2f}" for s, loss in zip(S_W2, row, strict=True)))

# %% tags=["hide-input", "hide-output"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=[1.25, 1])
for k, s in enumerate(S_W2):
    xi = 1 / abs(np.log(theory("tanh", s, 0.05)[1]))
    reach = f"ξ = {xi:.1f}" if xi < 1000 else "ξ = ∞"
    left.semilogx(DEPTHS, losses[:, k], "o-", label=f"s_w² = {s:g}: {reach}", color=f"C{k}", lw=1)
    right.axvline(s, color=f"C{k}")
left.axhline(np.log(10), color="0.6", linestyle="--")
left.text(2, np.log(10) + 0.03, "guessing", color="0.4", fontsize=9)
left.set(xlabel="hidden layers", ylabel="loss after 100 steps", title="Digits, plain tanh nets", xticks=DEPTHS,
         xticklabels=DEPTHS, ylim=(0, 3.2))  # fmt: skip
left.minorticks_off()
left.legend(fontsize=8, ncols=2, loc="upper center")
qs = np.union1d(np.geomspace(0.1, 1.4, 60), np.linspace(0.53, 0.61, 200))  # the peak is narrow
around = [(q - 0.05) / (bell @ np.tanh(np.sqrt(q) * z) ** 2) for q in qs]  # the s_w² that keeps the variance q
chis = [s * bell @ (1 - np.tanh(np.sqrt(q) * z) ** 2) ** 2 for q, s in zip(qs, around, strict=True)]
right.semilogy(around, 1 / np.abs(np.log(chis)), "k-")
right.set(xlabel="s_w²", ylabel="depth scale ξ, in layers", title="How far a gradient reaches", ylim=(1, 1000))
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# At two layers all of them learn, slowly or fast. At eleven, $s_w^2 = 0.8$ is almost back at guessing. At thirty-two
# one learns well, and it is the critical one; no other comes near its loss. The five differ only in the size of their
# first random weights. What the exploding net, $s_w^2 = 3$, has learnt by then is a matter of luck: it magnifies the
# last digit of every rounding, so its loss changes with the smallest change in the code.
#
# One thing surprises: up to eleven layers the *exploding* net learns fastest. A gradient that grows on its way acts
# like a larger learning rate, and for a while that helps.
#
# </details>
#
# ## The mean is not what you get
#
# So does He's initialisation, with $\chi = 1$ *exactly*, solve the problem? Take 2048 nets of He's ReLU layers, 64
# units wide. Send a gradient of length 1 through each, and look at the square of what arrives. The mean over nets is 1,
# by construction.
#
# **Guess before you run:** in what share of the nets does less than 1 arrive, at 4, 16 and 64 layers?

# %%
guess = ...  # three shares: after 4, 16 and 64 layers

# %% [markdown]
# A trick saves most of the work. Drawing every matrix of 2048 nets would take long, so 64 nets share their matrices
# $W$, and each multiplies the rows of $W$ by random signs of its own. A Gaussian number with a random sign is Gaussian
# again, so each of them is a net of the right kind.

# %% tags=["hide-output"]
N = 64  # units, and nets in a group


def he_nets(depth, rng):
    """The squared gradient that arrives at the input of 64 ReLU nets, from a gradient of length 1 at the top."""
    signs = rng.choice([-1.0, 1.0], (N, N))  # (net, unit)
    x = tr.tensor(rng.standard_normal((N, N)), requires_grad=True)  # one input for each net
    h = x
    for _ in range(depth):
        h = (tr.relu(h) * signs) @ (np.sqrt(2 / N) * rng.standard_normal((N, N)))
    (g,) = tr.grad(h, x, np.eye(N))  # net i gets the unit vector i
    return (g.numpy() ** 2).sum(axis=1)


found = {depth: np.concatenate([he_nets(depth, np.random.default_rng(k)) for k in range(32)]) for depth in (4, 16, 64)}
for depth, arrived in found.items():
    share, median = (arrived < 1).mean(), np.median(arrived)
    print(f"{depth:2} layers: mean {arrived.mean():.2f}, median {median:.3f}, below 1 in {share:.0%} of the nets")

# %% tags=["hide-input", "hide-output"]
figure, grid = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained", sharex=True)
for axes, (depth, arrived) in zip(grid, found.items(), strict=True):
    mean, variance = -5 / 2 * depth / N, 5 * depth / N
    logs = np.linspace(-10, 5, 300)
    axes.hist(np.log(arrived), bins=40, density=True, color="tab:blue", alpha=0.45, label="2048 nets")
    density = np.exp(-((logs - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    axes.plot(logs, density, "k-", label="theory")
    axes.axvline(0, color="tab:red", linestyle="--", label="the mean: 1")
    axes.set(xlabel="ln of the squared gradient", title=f"{depth} layers", yticks=[])
grid[0].legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# About six in ten at 4 layers, seven in ten at 16, and nearly nine in ten at 64. And look at the printed means: they
# fall short of 1. Neither the means nor the 1 are wrong: the few nets that would lift the mean are so rare that 2048
# nets do not include enough of them.
#
# </details>
#
# It is like a game in which each round multiplies your money by a random number of mean 1. The mean over all players
# stays the same, held up by a few who become very rich, while nearly everybody is ruined. Each layer is a round. The
# *logarithm* adds up, and it is bell-shaped, with mean $-\frac52 \frac{L}{n}$ and variance $5\frac Ln$ (Hanin & Nica
# 2020 [hanin2020products]): the black lines. What counts is depth over width: at 64 layers of 64 units this is 1, which
# is too much, and no choice of $s_w^2$ narrows the bell.
#
# A product of many random factors is a bad bet. The next tutorial replaces the product by a sum.

# %%
assert lengths[-2] < 1e-11 * lengths[0]
assert abs(measured / predicted - 1) < 0.1  # one number describes twenty layers
for label, curve in curves.items():
    slope = np.polyfit(below, curve, 1)[0]
    assert abs(slope - np.log(chi[label])) < 0.03 + 0.03 * abs(np.log(chi[label])), label
assert chi["sigmoid, s_w² = 16"] < 0.5  # weights of 16 times the variance do not save the sigmoid
assert theory("sigmoid", 102)[1] < 1 < theory("sigmoid", 104)[1]  # of 103 times, they do
critical = losses[-1, S_W2.index(1.76)]
assert critical < np.log(10) / 3
assert all(loss > 1.4 * critical for s, loss in zip(S_W2, losses[-1], strict=True) if s != 1.76)
assert losses[-1, 0] > 2.25 > losses[0, 0]  # what two layers learn, thirty-two of the same weights do not
for depth, arrived in found.items():
    mean, variance = -5 / 2 * depth / N, 5 * depth / N
    assert abs(np.log(arrived).mean() - mean) < 0.1 * abs(mean) + 4 * np.sqrt(variance / len(arrived))
assert 0.55 < (found[4] < 1).mean() < (found[16] < 1).mean() < (found[64] < 1).mean()

# %% [markdown]
# ## Your turn
#
# A *leaky* ReLU passes $a\,x$ on where $x < 0$, so its slope is $1$ for half of the units and $a$ for the other half.
# Dropout follows: each unit is kept with probability $p$, and divided by $p$ if it is kept. Which variance $s_w^2$ (the
# variance of a weight, times the number of inputs) keeps the squared gradient the same from layer to layer?
#
# ```python
# def variance(a, p):
#     return ...  # for a = 0, p = 1 it is He's 2
#
# tr.exercise("06", variance)
# ```
#
# Next: blocks that *add*, and the routes that the gradient takes through them.
