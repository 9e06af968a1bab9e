# %% [markdown]
# # 07 Where does the gradient go at a residual sum?
#
# *It computes for about 6 seconds. From before: a plain layer multiplies the squared gradient by $\chi$, and $\chi^L$
# vanishes or explodes (06).*
#
# Take the worst net of the last tutorial, twenty sigmoid layers whose first layer got $10^{-12}$ of the gradient, and
# change one thing. Each layer used to *replace* its input by its result. Now it *adds* the result to the input:
#
# $$ y = F(x) \qquad\longrightarrow\qquad y = x + F(x). $$
#
# He et al. 2016 [he2016deep] called this a residual connection.
#
# **Guess before you run:** the layers are the same, with the same hopeless $\chi = \frac1{18}$. How much of the
# gradient reaches the first one now?

# %%
guess = ...  # of a gradient of length 1 at the top

# %% [markdown]
# `nn.Residual(F)` is the block $x + F(x)$, and `flow.record` watches a model's blocks through a forward and a backward
# pass. It keeps the gradient at each block, and what came back along each of its two routes.

# %% tags=["hide-output"]
import math

import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.theory import path_lengths

WIDTH, DEPTH = 256, 20


def net(residual):
    """Twenty sigmoid layers, W from N(0, 1 / WIDTH); the same numbers for either net."""
    rng = np.random.default_rng(0)

    def block():
        linear = nn.Linear(WIDTH, WIDTH, bias=False, rng=rng)
        nn.init.normal_(linear.weight, std=WIDTH**-0.5, rng=rng)
        layer = nn.Sequential(linear, nn.Sigmoid())
        return nn.Residual(layer) if residual else layer

    return nn.Sequential(*(block() for _ in range(DEPTH))).to("float64")


def watched(model, samples=32):
    """One forward and one backward pass, with a random gradient of length 1 at the top."""
    rng = np.random.default_rng(1)
    recording = flow.record(model)
    x = tr.tensor(rng.standard_normal((samples, WIDTH)), requires_grad=True)
    with recording:
        y = model(x)
        g = rng.standard_normal(y.shape)
        y.backward(g / np.linalg.norm(g))
    return recording


plain, residual = watched(net(False)), watched(net(True))
print(f"plain:    {plain.gradient_norms()[0]:.1e}")
print(f"residual: {residual.gradient_norms()[0]:.2f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# All of it. (What is more than 1 came through the branches.)
#
# </details>
#
# The reason is one line of algebra. If $x$ moves, $y$ moves along two routes, and what comes back along them is added
# (01):
#
# $$ g_x \;=\; \underbrace{g}_{\text{skip}} \;+\; \underbrace{F'(x)^\top g}_{\text{branch}}. $$
#
# The sum does not divide the gradient: *both* routes get all of it. The branch sends little back, or nothing, and the
# skip connection sends $g$ back as it came. Here are both, as they arrive at the input of a block.

# %%
for name in ("19", "15", "10", "5"):
    route = residual.routes[name]
    print(f"block {name:>2}: through the skip {route['skip']:.4f}, through the branch {route['branch']:.4f}")

# %% [markdown]
# So the gradient survives, but look what does the work: the skip connections, almost alone. These branches hardly take
# part. A residual connection preserves the gradient for what lies *below*. It does not repair the layer that it
# bypasses.
#
# You can follow the gradient yourself. Below is a pass through two such blocks of four units, operation by operation,
# as in 01. Watch the gradient leave each sum along both routes, which rejoin at the input of the block.

# %%
rng = np.random.default_rng(0)
small = nn.Sequential(*(nn.Residual(nn.Sequential(nn.Linear(4, 4, rng=rng), nn.Sigmoid())) for _ in range(2)))
small = small.to("float64")
x = tr.tensor(rng.standard_normal((2, 4)), requires_grad=True)
step = tr.trace(lambda: (small(x) ** 2).mean())
step

# %% [markdown]
# ## A sum can explode
#
# Now use good branches, ReLU layers of gain 1, which on their own would keep the gradient forever.
#
# **Guess before you run:** ten blocks $x + F(x)$. In each, the skip connection keeps the squared gradient, and so does
# the branch. What do ten blocks do to it: nothing? multiply it by 10?

# %%
guess = ...  # the squared gradient ten blocks below the top, relative to the top

# %% [markdown]
# A block is one line: $m\,x + a\,F(x)$ with $F(x) = \mathrm{relu}(x W_1)\, W_2$. The weights of $W_1$ have variance
# $2/n$, which makes up for the half that ReLU takes, and those of $W_2$ have variance $1/n$. Change `m` and `a`, and
# run the cell again.

# %% tags=["hide-output"]
BLOCKS, SEEDS = 10, 5


def squared_gradients(m, a, seed):
    """The squared gradient 0, 1, ..., 10 blocks m x + a F(x) below the top, relative to the top."""
    rng = np.random.default_rng(seed)
    states = [tr.tensor(rng.standard_normal((4, WIDTH)), requires_grad=True)]
    for _ in range(BLOCKS):
        x = states[-1]
        w1, w2 = rng.standard_normal((2, WIDTH, WIDTH)) / np.sqrt(WIDTH)
        states.append(m * x + a * (tr.relu(x @ (np.sqrt(2) * w1)) @ w2))
    gradients = tr.grad(states[-1], states, rng.standard_normal((4, WIDTH)))
    squared = np.array([(g.numpy() ** 2).sum() for g in gradients[::-1]])
    return squared / squared[0]


cases = {"x + F(x)": (1.0, 1.0), "x + F(x)/2": (1.0, 0.5), "x + F(x)/√10": (1.0, BLOCKS**-0.5), "F(x)": (0.0, 1.0),
         "x/2 + F(x)/2": (0.5, 0.5)}  # fmt: skip
logs = {name: np.log([squared_gradients(m, a, seed) for seed in range(SEEDS)]) for name, (m, a) in cases.items()}
print(f"ten blocks x + F(x): {np.exp(logs['x + F(x)'].mean(axis=0)[-1]):.0f}")

figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
passed = np.arange(BLOCKS + 1)
for k, (name, (m, a)) in enumerate(cases.items()):
    label = f"{name}: {m * m + a * a:.3g} per block"
    axes.semilogy(passed, (m * m + a * a) ** passed, color=f"C{k}", lw=1)
    axes.semilogy(passed, np.exp(logs[name].mean(axis=0)), "o", color=f"C{k}", markersize=4, label=label)
axes.set(xlabel="blocks below the top", ylabel="squared gradient, relative to the top",
         title="Without normalisation: lines (m² + a²)ᴸ, dots mean of five nets", ylim=(1e-4, 1e5))  # fmt: skip
axes.legend(fontsize=8, ncols=2, loc="upper left")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# About a thousand. Two vectors of length 1 at a right angle add up to a squared length of 2. The branch is random, so
# what it sends back is nearly at a right angle to what the skip connection sends. Each block doubles the square, and
# ten blocks give $2^{10} = 1024$.
#
# </details>
#
# For a skip connection $m\,x$ and a branch $a\,F(x)$ the factor is $m^2 + a^2$ per block. In a net of practical size,
# with 54 blocks, $x + F(x)$ reaches $10^{16}$.
#
# A residual net *without normalisation does not vanish, it explodes*. The plain net of the same layers, `F(x)`, is the
# one whose gradient stays level. One way out is to make branches weak, $a = 1/\sqrt L$: then $(1 + 1/L)^L < e$ at any
# depth. Another is to average, $\frac12 x + \frac12 F(x)$, which looks harmless but loses half at every block: the skip
# connections alone carry $4^{-L}$. (Batch norm quietly makes branches weak: 08. Some of the relatives average: 09.)
#
# ## A thousand ways through ten blocks
#
# Multiply out three blocks, with $J$ for what a branch does:
#
# $$ (1 + J_1)(1 + J_2)(1 + J_3) = 1 + (J_1 + J_2 + J_3) + (J_1 J_2 + J_1 J_3 + J_2 J_3) + J_1 J_2 J_3. $$
#
# There are eight paths from the top to the bottom: at each block, around the branch or through it. One path takes no
# branch, three take one, three take two, one takes all three. With $L$ blocks there are $2^L$ paths, and $\binom Lk$ of
# them pass through $k$ branches. The gradient is their sum, and `flow.paths` takes it apart exactly: it walks back
# once, with a polynomial in place of each number, and each branch multiplies by $z$. The coefficient of $z^k$ at the
# end came through $k$ branches.
#
# **Guess before you run:** in a net of 54 blocks, as in ResNet-110, most of the $2^{54}$ paths pass through about 27
# branches. How many does the gradient pass through, on average? (These blocks have batch norm in their branches.)

# %%
guess = ...  # branches passed, between 0 and 54

# %% tags=["hide-output"]
L = 54


def normalised_net(rng):
    """54 blocks x + F(x); F is batch norm, ReLU and a matrix with entries from N(0, 2 / WIDTH)."""

    def branch():
        linear = nn.Linear(WIDTH, WIDTH, bias=False, rng=rng)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", rng=rng)
        return nn.Sequential(nn.BatchNorm1d(WIDTH, affine=False, track_running_stats=False), nn.ReLU(), linear)

    return nn.Sequential(*(nn.Residual(branch()) for _ in range(L))).to("float64")


rng = np.random.default_rng(0)
model = normalised_net(rng).requires_grad_(False)
x = tr.tensor(rng.standard_normal((256, WIDTH)), requires_grad=True)
g = rng.standard_normal((256, WIDTH))
y = model(x)
found = flow.paths(y, x, g, keep_terms=True)
ordinary = tr.grad(y, x, g)[0].numpy()
error = np.linalg.norm(found["terms"].sum(axis=0) - ordinary) / np.linalg.norm(ordinary)

k = np.arange(L + 1)
count, share = np.array([math.comb(L, i) / 2**L for i in k]), found["share"]
print(f"paths:    mean length {count @ k:.1f}, {count[20:].sum():.0%} of them pass 20 branches or more")
print(f"gradient: mean length {share @ k:.1f}, {share[20:].sum():.0e} of it passed 20 branches or more")
print(f"the 55 terms add up to the gradient, with an error of {error:.0e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About five, of 54. The net is deep, but its gradient is not: it is a sum of many short products, and from 06 we know
# that short products are harmless. Nearly all paths are long, and carry nothing that one could measure. Veit et al.
# 2016 [veit2016residual] saw it in a trained net of this size: the paths through 5 to 17 branches did the work, and
# only one path in 220 is that short.
#
# </details>
#
# Which lengths should one expect? Say that the branch of block $l$ multiplies the squared gradient by $r_l$. For batch
# norm it is $r_l = 1/(1 + (l-1)\,v)$ with $v = 1 - \frac1\pi$; the next tutorial explains why. From these 54 numbers
# follows the share of the gradient at each length. How it follows is your exercise at the end of this page, so here the
# library does it.

# %% tags=["hide-output"]
r = 1 / (1 + np.arange(L) * (1 - 1 / np.pi))  # per block, from the input
theory = path_lengths.poisson_binomial(r)  # the share of the squared gradient on paths with 0, 1, 2, ... branches
through_skip = np.array(list(watched(normalised_net(np.random.default_rng(0)), samples=256).skip_share().values()))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
left.fill_between(k, count, color="0.85", label="all 2⁵⁴ paths")
left.plot(k, theory, color="tab:blue", lw=1, label="squared gradient, theory")
left.plot(k, share, "o", color="tab:blue", markersize=4, label="squared gradient, measured")
left.set(xlabel="branches on the path", ylabel="share", title="Most paths are long,\nthe gradient takes short ones")
left.legend(fontsize=8)
right.plot(range(1, L + 1), 1 / (1 + np.sqrt(r)), color="tab:green", lw=1, label="theory")
right.plot(range(1, L + 1), through_skip, "o", color="tab:green", markersize=4, label="measured")
right.axhline(0.5, color="0.7", linestyle="--", label="both alike")
right.set(xlabel="block, from the input", ylabel="skip / (skip + branch)", ylim=(0.4, 1),
          title="What comes back through the skip\nto the input of its block")  # fmt: skip
right.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# The right figure shows each block by itself. At the first block both routes carry equally much. Further up, the skip
# connection carries more and more. That is *not* an effect of the residual connection, which treats both routes alike;
# batch norm does something to the branches. What exactly is the next question.

# %%
assert plain.gradient_norms()[0] < 1e-11 < 0.5 < residual.gradient_norms()[0] < 2
assert all(route["skip"] > 4 * route["branch"] for route in residual.routes.values())
for name, (m, a) in cases.items():  # m² + a² per block, as well as five nets can tell
    ends = logs[name][:, -1]
    assert abs(ends.mean() - BLOCKS * np.log(m * m + a * a)) < 0.08 + 3 * ends.std(ddof=1) / np.sqrt(SEEDS), name
assert np.exp(logs["x + F(x)"].mean(axis=0)[-1]) > 500  # it explodes, where the plain net does not
assert [len(join["routes"]) for join in step.joins] == [2, 2]  # both routes rejoin, at each of the two blocks
assert error < 1e-12  # nothing is lost in taking the gradient apart
assert np.allclose(count, found["count_share"], rtol=1e-12)
assert abs(found["mean_length"] - theory @ k) < 0.1 * (theory @ k)
assert share[20:].sum() < 1e-5 < 0.9 < count[20:].sum()
assert np.abs(through_skip - 1 / (1 + np.sqrt(r))).max() < 0.01

# %% [markdown]
# ## Your turn
#
# Where does the blue line of the left figure come from? Say that the branch of block $l$ multiplies the squared
# gradient by $r_l$, that a skip connection keeps it, and that the gradients along different paths are at right angles,
# so that their squares add up. Then a path carries the product of the $r_l$ of its branches. From the list of $r_l$,
# return the share of the squared gradient that came through $0, 1, \dots, L$ branches. The shares sum to 1.
#
# ```python
# def shares(gains):  # gains[l]: what the branch of block l multiplies the squared gradient by
#     return ...  # len(gains) + 1 numbers
#
# tr.exercise("07", shares)
# ```
#
# Next: why batch norm makes the branches of a deep net weak, and what becomes of a net where it cannot.
