# %% [markdown]
# # 06 Why do deep nets lose their gradient?
#
# *About 6 seconds. From before: a gradient is a product, one factor for each step that it takes (01).*
#
# In the first tutorial forty units stood in a row, and the gradient was a product of forty numbers. A real layer has
# hundreds of units, all connected. Its factor is a matrix. Does the picture survive?
#
# Here are twenty layers of 256 units with the oldest of all squashing functions, the sigmoid, and weights of the
# ordinary size: random, of variance $1/256$, so that a sum over 256 inputs is about as large as one of them.
# `flow.record` watches a model's blocks through a forward and a backward pass.
#
# **Guess before you run:** a gradient of size 1 arrives on top. The sigmoid's slope is never above $\frac14$. How much
# is left after 20 layers?

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import data, flow, nn
from tinyres.flow.theory import mean_field
from tinyres.flow.theory.finite_width import leading
from tinyres.lab.laws import e02_depth as depth_law
from tinyres.lab.laws import e07_finite_width as finite_width
from tinyres.lab.laws.e02_figure import against_theory
from tinyres.lab.trained import e16_trainability as trainability

WIDTH = 256
rng = np.random.default_rng(0)


def layer(variance):
    """y = sigmoid(W x), entries of W from N(0, variance / WIDTH)."""
    linear = nn.Linear(WIDTH, WIDTH, bias=False, rng=rng)
    nn.init.normal_(linear.weight, std=np.sqrt(variance / WIDTH), rng=rng)
    return nn.Sequential(linear, nn.Sigmoid())


model = nn.Sequential(*(layer(1.0) for _ in range(20))).to("float64")
recording = flow.record(model)
with recording:
    y = model(tr.tensor(rng.standard_normal((32, WIDTH))))
    y.backward(rng.standard_normal(y.shape) / np.sqrt(y.size))  # of length 1 on top
norms = recording.gradient_norms()  # at the output of each layer, from the first to the last
print("on top", f"{norms[-1]:.2f}", " three layers below", f"{norms[-4]:.5f}", " at the first", f"{norms[0]:.1e}")

# %% [markdown]
# $10^{-12}$. A step of gradient descent would change the first layer's weights in their twelfth digit; float32 has
# seven. The first layer stays random forever, and all the others must work with what it makes of the image.
#
# ## One factor a layer
#
# Take one layer backwards. The gradient $g$ is multiplied by the slopes $\varphi'$, unit by unit, and by the transposed
# matrix:
#
# $$ g_{\text{below},\,i} = \sum_{j=1}^{n} W_{ji}\,\varphi'_j\, g_j. $$
#
# The weights are random, so the $n$ terms have random signs, and what adds up are their *squares*. A weight has
# variance $s_w^2/n$, so
#
# $$ |g_{\text{below}}|^2 \approx \chi\, |g|^2, \qquad \chi = s_w^2 \cdot \text{mean of } \varphi'^2. $$
#
# All of those hundreds of units come down to *one* number. The sigmoid's slope at 0 is $\frac14$, so $\chi$ is about
# $1 \cdot \frac1{16}$: a little less, since some units are off 0. Does it fit?

# %%
measured = (norms[0] / norms[-1]) ** (2 / 19)  # of the squared gradient, a layer
squash = depth_law.Case("sigmoid", s_w2=1.0)
print(f"a layer multiplies the squared gradient by {measured:.4f}; theory {squash.chi:.4f}; 1/16 is {1 / 16:.4f}")

# %% [markdown]
# The theory's $\chi$ is an integral over a bell curve: the inputs of a wide layer are Gaussian, with a variance $q$
# that settles after a few layers (Poole et al. 2016 [poole2016exponential]; Schoenholz et al. 2017
# [schoenholz2017deep]). No net had to be built for it.
#
# **Guess again.** If $\frac1{16}$ is the trouble, weights of variance $16/n$ should fix it: $16 \cdot \frac1{16} = 1$.
# Will that net keep its gradient?

# %%
settings = [
    depth_law.Case("tanh", 1.0, 0.05),
    depth_law.Case("tanh", 1.76, 0.05),
    depth_law.Case("tanh", 2.5, 0.05),
    depth_law.Case("sigmoid", 16.0),
    depth_law.Case("relu", 1.0),
    depth_law.Case("relu", 2.0),
]
LAYERS, NETS = 30, 3
weights = [[rng.standard_normal((WIDTH, WIDTH)) for _ in range(LAYERS)] for _ in range(NETS)]
curves = {
    setting.name: np.mean([depth_law.measure(setting, net, rng) for net in weights], axis=0) for setting in settings
}
figure, axes = plt.subplots(figsize=(8, 4.6), layout="constrained")
against_theory(axes, settings, [curves[setting.name] / np.log(10) for setting in settings])
axes.set(ylim=(-13, 4), title="Dots: random nets, mean of three.\nLines: one number each, to the power of the depth")
axes.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# It does not. Larger weights drive the sigmoid's units to its flat ends, where the slope is next to nothing; $\chi$
# stops at $0.4$. The same trap as with the single $\tanh$ of 01. With $\tanh$ there *is* a way through, narrow:
# $s_w^2 = 1.76$ (with biases of variance 0.05) has $\chi = 1$. A little less, and the gradient vanishes; a little more,
# and it explodes.
#
# ReLU is kinder. Its slope is 0 or 1, half of the units each, however large the signal is: $\chi = s_w^2/2$, exactly.
# Glorot's $1/n$ loses half at every layer; He's $2/n$ loses nothing. That is where the 2 in He's initialisation comes
# from.
#
# Note what did *not* decide: not the squashing alone (the critical $\tanh$ is flat), not the weights alone, and not
# backpropagation, which is exact in all six nets. Only $\chi^L$.
#
# ## How deep is too deep?
#
# Over $\xi = 1/|\ln\chi|$ layers the squared gradient changes by a factor $e$. It is the depth to which anything
# reaches through such a net. If that is more than a pretty curve, then nets much deeper than $\xi$ should not *train*.
# We train five $\tanh$ nets at four depths on real digits, all with the same learning rate, for 100 steps.
#
# **Guess before you run:** at 32 layers, which of the five learn anything?

# %%
S_W2 = (0.8, 1.0, 1.3, 1.76, 3.0)
DEPTHS = (2, 4, 11, 32)
digits = trainability.flat(data.digits(seed=0).train)
losses = np.array([trainability.train(depth, S_W2, digits, (0, depth), 100) for depth in DEPTHS])
scales = [trainability.xi(s) for s in S_W2]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=[1.25, 1])
for k, (s, xi) in enumerate(zip(S_W2, scales, strict=True)):
    reach = f"ξ = {xi:.1f}" if xi < 1000 else "ξ = ∞"
    left.semilogx(DEPTHS, losses[:, k], "o-", label=f"s_w² = {s:g}: {reach}", color=f"C{k}", lw=1)
left.axhline(np.log(10), color="0.6", linestyle="--")
left.text(2, np.log(10) + 0.03, "guessing", color="0.4", fontsize=9)
left.set(xlabel="hidden layers", ylabel="loss after 100 steps", title="Digits, plain tanh nets", xticks=DEPTHS,
         xticklabels=DEPTHS, ylim=(0, 3.2))  # fmt: skip
left.minorticks_off()
left.legend(fontsize=8, ncols=2, loc="upper center")
qs = np.union1d(np.geomspace(0.1, 1.4, 60), np.linspace(0.53, 0.61, 200))  # the peak is narrow
around = [mean_field.weights_for(q, np.tanh, 0.05) for q in qs]
chis = [mean_field.chi(q, lambda z: 1 - np.tanh(z) ** 2, s) for q, s in zip(qs, around, strict=True)]
right.semilogy(around, [mean_field.depth_scale(chi) for chi in chis], "k-")
for k, s in enumerate(S_W2):
    right.axvline(s, color=f"C{k}")
right.set(xlabel="s_w²", ylabel="depth scale ξ, in layers", title="How far a gradient reaches", ylim=(1, 1000))
plt.show()

# %% [markdown]
# Two layers: all of them learn, slowly or fast. Eleven: $s_w^2 = 0.8$ is almost back at guessing. Thirty-two: one
# learns well, and it is the critical one; no other comes near its loss. Nothing distinguishes the five but the size of
# their first random weights. What the exploding net, $s_w^2 = 3$, has learnt by then is a matter of luck: it magnifies
# the last digit of every rounding, and its loss after 100 steps was 1.35 with one version of the kernels and 0.96 with
# the next.
# One thing surprises: at eleven layers the *exploding* net, $s_w^2 = 3$, learns best. A gradient that grows on its way
# is a larger learning rate, and for a while that helps.
#
# ## The mean is not what you get
#
# So He's initialisation, with $\chi = 1$ *exactly*, solves it? Take 2048 nets of He's ReLU layers, 64 units wide.
# Send a gradient of length 1 through each, and look at the square of what arrives. The mean over nets is 1, by
# construction. **Guess before you run:** in what share of the nets does less than 1 arrive, at 4, 16 and 64 layers?

# %%
found = {}
for depth in (4, 16, 64):
    net = finite_width.Case("ReLU", 64, depth)
    found[depth] = np.concatenate([finite_width.squared_gradients(net, np.random.default_rng(k)) for k in range(32)])
    share, median = (found[depth] < 1).mean(), np.median(found[depth])
    print(f"{depth:2} layers: mean {found[depth].mean():.2f}, median {median:.3f}, below 1 in {share:.0%} of the nets")

# %% tags=["hide-input"]
figure, grid = plt.subplots(1, 3, figsize=(9, 3.3), layout="constrained", sharex=True)
for axes, (depth, squared) in zip(grid, found.items(), strict=True):
    mean, variance = leading(64, depth)
    z = np.linspace(-10, 5, 300)
    axes.hist(np.log(squared), bins=40, density=True, color="tab:blue", alpha=0.45, label="2048 nets")
    axes.plot(z, np.exp(-((z - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance), "k-", label="theory")
    axes.axvline(0, color="tab:red", linestyle="--", label="the mean: 1")
    axes.set(xlabel="ln of the squared gradient", title=f"{depth} layers", yticks=[])
grid[0].legend(fontsize=8, loc="upper left")
plt.show()

# %% [markdown]
# The theory is the black line. And look at the printed means: they fall short of 1. Neither they nor the 1 are wrong:
# the few nets that would lift the mean are so rare that 2048 nets do not include enough of them.
#
# It is like a game in which each round multiplies your money by a random number of mean 1. The mean over all players
# stays the same, held up by a few who become very rich, while nearly everybody is ruined. Each layer is a round. The
# *logarithm* adds up, and it is bell-shaped, with mean $-\frac52 \frac{L}{n}$ and variance $5\frac Ln$ (Hanin & Nica
# 2020 [hanin2020products]). What counts is depth over width: at 64 layers of 64 units this is 1, which is too much, and
# no choice of $s_w^2$ narrows the bell.
#
# A product of many random factors is a bad thing to bet on. The next tutorial replaces the product by a sum.

# %%
assert norms[0] < 1e-11 * norms[-1]
assert abs(measured / squash.chi - 1) < 0.1  # one number describes twenty layers
for setting in settings:
    slope = np.polyfit(np.arange(LAYERS + 1), curves[setting.name], 1)[0]
    assert abs(slope - np.log(setting.chi)) < 0.03 + 0.03 * abs(np.log(setting.chi)), setting.name
assert settings[3].chi < 0.5  # weights 16 times as strong do not save the sigmoid
critical = losses[-1, S_W2.index(1.76)]
assert critical < np.log(10) / 3
assert all(loss > 1.4 * critical for s, loss in zip(S_W2, losses[-1], strict=True) if s != 1.76)
assert losses[-1, 0] > 2.25 > losses[0, 0]  # what two layers learn, thirty-two of the same weights do not
for depth, squared in found.items():
    mean, variance = leading(64, depth)
    assert abs(np.log(squared).mean() - mean) < 0.1 * abs(mean) + 4 * np.sqrt(variance / len(squared))
assert 0.55 < (found[4] < 1).mean() < (found[16] < 1).mean() < (found[64] < 1).mean()

# %% [markdown]
# ## Your turn
#
# A *leaky* ReLU lets $a\,x$ through where $x < 0$; so its slope is $1$ for half of the units and $a$ for the other
# half. On top of it comes dropout: each unit is kept with probability $p$, and divided by $p$ if it is kept. Which
# variance $s_w^2$ (of a weight, times the number of inputs) keeps the squared gradient from layer to layer?
#
# ```python
# def variance(a, p):
#     return ...  # for a = 0, p = 1 it is He's 2
#
# tr.exercise("06", variance)
# ```
#
# Next: blocks that *add*, and the route that the gradient takes through them.
