# %% [markdown]
# # 07 Where does the gradient go at a residual sum?
#
# *About 6 seconds. From before: a plain layer multiplies the squared gradient by $\chi$, and $\chi^L$ vanishes or
# explodes (06).*
#
# Take the worst net of the last tutorial, twenty sigmoid layers whose first layer got $10^{-12}$ of the gradient, and
# change one thing. Each layer *adds* its result to what it was given, where it used to replace it:
#
# $$ y = F(x) \qquad\longrightarrow\qquad y = x + F(x). $$
#
# He et al. 2016 [he2016deep] called it a residual connection. **Guess before you run:** the layers are the same, with
# the same hopeless $\chi = \frac1{18}$. What reaches the first one now?

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import flow, nn
from tinyres.flow.theory import normalised, path_lengths
from tinyres.lab.laws import e03_nets
from tinyres.lab.laws import e03_residual_gain as gain_law
from tinyres.lab.laws import e14_path_lengths as length_law

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
    """One forward and one backward pass, a random gradient of length 1 on top."""
    rng = np.random.default_rng(1)
    recording = flow.record(model)
    x = tr.tensor(rng.standard_normal((samples, WIDTH)), requires_grad=True)
    with recording:
        y = model(x)
        y.backward(rng.standard_normal(y.shape) / np.sqrt(y.size))
    return recording


plain, residual = watched(net(False)), watched(net(True))
print(f"plain:    {plain.gradient_norms()[0]:.1e}")
print(f"residual: {residual.gradient_norms()[0]:.2f}")

# %% [markdown]
# All of it. The reason is one line of algebra. If $x$ moves, $y$ moves along two routes, and what comes back along them
# is added (01):
#
# $$ g_x \;=\; \underbrace{g}_{\text{skip}} \;+\; \underbrace{F'(x)^\top g}_{\text{branch}}. $$
#
# At the sum the gradient is not divided. *Both* routes get all of it. The branch sends back little, or nothing, and
# the skip sends back $g$ as it came. Here are both, as they arrive at the input of a block, a few blocks below the top.

# %%
for name in ("19", "15", "10", "5"):
    route = residual.routes[name]
    print(f"block {name:>2}: by the skip {route['skip']:.4f}, by the branch {route['branch']:.4f}")

# %% [markdown]
# So the gradient survives, but look who is doing the work: the skips, almost alone. These branches hardly take part.
# A residual connection preserves the gradient for what lies *below*. It does not repair the layer that it goes around.
#
# You can take the walk yourself. Below is a pass through two such blocks of four units, operation by operation, as in
# 01: watch both routes leave a sum and rejoin at the input of its block.

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
# Now give it good branches, ReLU layers of gain 1, which on their own would keep the gradient for ever. **Guess before
# you run:** ten blocks $x + F(x)$, where the skip keeps the squared gradient and the branch keeps it. What do ten
# blocks do: nothing? times 10?

# %%
BLOCKS, SEEDS = gain_law.DEPTH, 5
cases = [(1.0, 1.0), (1.0, 0.5), (1.0, BLOCKS**-0.5), (0.0, 1.0), (0.5, 0.5)]  # skip m, branch a
names = ["x + F(x)", "x + F(x)/2", "x + F(x)/√10", "F(x)", "x/2 + F(x)/2"]
model, shape = e03_nets.Net(WIDTH, BLOCKS), e03_nets.Shape(WIDTH, BLOCKS)
nets = [gain_law.gains(model, cases, e03_nets.Draw.of((0, seed), shape))[1] for seed in range(SEEDS)]
gains = dict(zip(cases, np.moveaxis(nets, 2, 0), strict=True))  # each (seeds, blocks + 1)
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
passed = np.arange(BLOCKS + 1)
for k, ((m, a), name) in enumerate(zip(cases, names, strict=True)):
    axes.semilogy(passed, (m * m + a * a) ** passed, color=f"C{k}", lw=1)
    label = f"{name}: {m * m + a * a:.3g} a block"
    axes.semilogy(passed, np.exp(gains[m, a].mean(axis=0)), "o", color=f"C{k}", markersize=4, label=label)
axes.set(xlabel="blocks below the top", ylabel="squared gradient, relative to the top",
         title="Without normalisation: lines (m² + a²)ᴸ, dots mean of five nets", ylim=(1e-4, 1e5))  # fmt: skip
axes.legend(fontsize=8, ncols=2, loc="upper left")
plt.show()
print(f"ten blocks x + F(x): {np.exp(gains[1, 1].mean(axis=0)[-1]):.0f}")

# %% [markdown]
# Two vectors of length 1 at a right angle add up to a squared length of 2. The branch is random, so what it sends back
# is nearly at a right angle to what the skip sends; each block doubles the square, and ten blocks give $2^{10} = 1024$.
# For a skip of $m x$ and a branch of $a F(x)$ it is $m^2 + a^2$ per block. In practice, with 54 blocks: $10^{16}$.
#
# A residual net *without normalisation does not vanish, it explodes*. The plain net of the same layers, `F(x)`, is the
# one whose gradient stays level. One way out is to make branches weak, $a = 1/\sqrt L$: then $(1 + 1/L)^L < e$ at any
# depth. Another is to average, $\frac12 x + \frac12 F(x)$, which looks harmless but loses half at every block: the
# skips alone carry $4^{-L}$. (Batch norm quietly makes branches weak: 08. Some of the relatives average: 09.)
#
# ## A thousand ways through ten blocks
#
# Multiply out three blocks, $J$ being what a branch does:
#
# $$ (1 + J_1)(1 + J_2)(1 + J_3) = 1 + (J_1 + J_2 + J_3) + (J_1 J_2 + J_1 J_3 + J_2 J_3) + J_1 J_2 J_3. $$
#
# Eight paths from the top to the bottom: at each block, around it or through it. One path takes no branch, three take
# one, three take two, one takes all three. With $L$ blocks there are $2^L$ paths, and $\binom Lk$ of them pass through
# $k$ branches. The gradient is their sum, and `flow.paths` takes it apart, exactly: it walks back once, with a
# polynomial in place of each number, in which a branch multiplies by $z$. The coefficient of $z^k$ at the end came
# through $k$ branches.
#
# **Guess before you run:** in a net of 54 blocks, as in ResNet-110, most of the $2^{54}$ paths pass through about 27
# branches. How many does the gradient pass through, on average? (These blocks have batch norm in their branches.)

# %%
found, error = length_law.measure(layers=1, seed=(0, 0))
count, share = found["count_share"], found["share"]
print(f"paths:    mean length {count @ np.arange(55):.1f}, {count[20:].sum():.0%} of them pass 20 branches or more")
print(f"gradient: mean length {found['mean_length']:.1f}, {share[20:].sum():.0e} of it passed 20 branches or more")
print(f"the 55 terms add up to the gradient, but for {error:.0e}")

# %%
branch = normalised.module_gains(54)  # what the branch of block l multiplies the squared gradient by: 08 tells why
theory = path_lengths.poisson_binomial(branch)
bn_net = watched(length_law.net(1, np.random.default_rng(0)), samples=256)
skip = np.array(list(bn_net.skip_share().values()))

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
k = np.arange(55)
left.fill_between(k, count, color="0.85", label="all 2⁵⁴ paths")
left.plot(k, theory, color="tab:blue", lw=1, label="squared gradient, theory")
left.plot(k, share, "o", color="tab:blue", markersize=4, label="squared gradient, measured")
left.set(xlabel="branches on the path", ylabel="share", title="Most paths are long,\nthe gradient takes short ones")
left.legend(fontsize=8)
right.plot(range(1, 55), 1 / (1 + np.sqrt(branch)), color="tab:green", lw=1, label="theory")
right.plot(range(1, 55), skip, "o", color="tab:green", markersize=4, label="measured")
right.axhline(0.5, color="0.7", linestyle="--", label="both alike")
right.set(xlabel="block, from the input", ylabel="skip / (skip + branch)", ylim=(0.4, 1),
          title="What the skip brings back\nto the input of its block")  # fmt: skip
right.legend(fontsize=8, loc="lower right")
plt.show()

# %% [markdown]
# About five, of 54. The net is deep, but its gradient is not: it is a sum of many short products, and from 06 we know
# that short products are harmless. Nearly all paths are long, and carry nothing that one could measure. Veit et
# al. 2016 [veit2016residual] saw it in a trained net of this size: paths of 5 to 17 branches did the work, one path in
# 220.
#
# The right figure shows the same for each block. At the first block both routes carry equally much. Further up, the
# skip carries more and more. That is *not* the residual connection, which treats both alike; it is something that batch
# norm does to the branches. What exactly is the next question.

# %%
assert plain.gradient_norms()[0] < 1e-11 < 0.5 < residual.gradient_norms()[0] < 2
assert all(route["skip"] > 4 * route["branch"] for route in residual.routes.values())
for m, a in cases:  # m² + a² a block, as well as five nets can tell
    logs = gains[m, a][:, -1]
    assert abs(logs.mean() - BLOCKS * np.log(m * m + a * a)) < 0.08 + 3 * logs.std(ddof=1) / np.sqrt(SEEDS), (m, a)
assert np.exp(gains[1, 1].mean(axis=0)[-1]) > 500  # it explodes, where the plain net does not
assert [len(join["routes"]) for join in step.joins] == [2, 2]  # both routes rejoin, at each of the two blocks
assert error < 1e-12  # nothing is lost in taking the gradient apart
assert abs(found["mean_length"] - theory @ k) < 0.1 * (theory @ k)
assert share[20:].sum() < 1e-5 < 0.9 < count[20:].sum()
assert np.abs(skip - 1 / (1 + np.sqrt(branch))).max() < 0.01

# %% [markdown]
# ## Your turn
#
# Where does the blue line of the left figure come from? Say that the branch of block $l$ multiplies the squared
# gradient by $r_l$, that a skip keeps it, and that what different paths carry is at right angles, so that squares add.
# Then a path carries the product of the $r_l$ of the branches on it. From the list of $r_l$, give the share of the
# squared gradient that came through $0, 1, \dots, L$ branches. The shares sum to 1.
#
# ```python
# def shares(gains):  # gains[l]: what the branch of block l multiplies the squared gradient by
#     return ...  # len(gains) + 1 numbers
#
# tr.exercise("07", shares)
# ```
#
# Next: why batch norm makes the branches of a deep net weak, and what becomes of a net where it cannot.
