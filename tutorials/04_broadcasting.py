# %% [markdown]
# # 04 Where does the gradient of a copied number go?
#
# *It computes for about 2 seconds. From before: what comes back along several routes is added (01, 02), and
# $\langle g, J d\rangle$, the one number that checks a gradient (03).*
#
# A batch of 32 samples goes through a layer, and the *same* bias is added to each. In NumPy you write `x + b`, where
# `x` has shape `(32, 3)` and `b` has `(3,)`. Silently, `b` is copied 32 times. This is called broadcasting. On the way
# back a gradient of shape `(32, 3)` arrives. But the bias has only three numbers.
#
# **Guess before you run:** what is the gradient of `b`? The first row, the mean of the rows, their sum?

# %%
guess = ...  # three numbers

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr

rng = np.random.default_rng(0)
x = tr.tensor(rng.standard_normal((4, 3)), requires_grad=True)
b = tr.tensor(np.zeros(3), requires_grad=True)
g = np.arange(12.0).reshape(4, 3)  # what arrives from above
gx, gb = tr.grad(x + b, [x, b], g)
print(g)
print("gradient of b:", gb.numpy())

# %% [markdown]
# <details><summary>Answer</summary>
#
# $0 + 3 + 6 + 9 = 18$: the sum of each column. It has to be. A bias that is used four times moves the result along four
# routes, and what comes back along them is added. To copy a number is to use it many times.
#
# </details>
#
# ## Copying is a matrix
#
# Write the four copies of `b` as one long vector of 12 numbers. Each of the 12 is one of the three, so copying is a
# $12 \times 3$ matrix $B$ of zeros and ones. Going forwards multiplies by $B$, going backwards multiplies by $B^\top$,
# as with any linear map. A column of $B$ holds a one for each copy, so $B^\top$ adds the copies up.

# %%
B = tr.jacobian(lambda b: tr.expand(b, (4, 3)), b).numpy().reshape(12, 3)
S = tr.jacobian(lambda x: x.sum(axis=0), x).numpy().reshape(3, 12)
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained", width_ratios=[1, 2.6])
for ax, matrix, title in ((axes[0], B, "B: copy b\ninto 4 rows"), (axes[1], S, "sum the 4 rows of x")):
    ax.imshow(matrix, cmap="Blues", vmin=-0.2, vmax=1.2)
    for (i, j), entry in np.ndenumerate(matrix):
        ax.text(j, i, f"{entry:.0f}", ha="center", va="center", fontsize=8, color="white" if entry else "0.6")
    ax.set(xlabel="input element", ylabel="output element", title=title,
           xticks=range(matrix.shape[1]), yticks=range(matrix.shape[0]))  # fmt: skip
plt.show()

# %% [markdown]
# On the right is the matrix of the *sum* over rows, as tinyres differentiates it. It is the transpose of the one on the
# left. So each is the other's way back:
#
# | forwards | backwards |
# |---|---|
# | copy along an axis | sum over that axis |
# | sum over an axis | copy along that axis |
# | mean of $N$ | copy, divided by $N$ |
# | pick some elements | put them back, zeros elsewhere |
# | swap axes | swap them back |
#
# Such a pair is called *adjoint*, and the test of 03 is its definition:
# $\langle g, B b\rangle = \langle B^\top g, b\rangle$ for any $g$ and $b$. Here it is exact, with no nudge.

# %%
pairs = {
    "copy / sum": (lambda t: tr.expand(t, (5, 4, 3)), (4, 3)),
    "mean / copy": (lambda t: t.mean(axis=1), (4, 3)),
    "pick / put back": (lambda t: t[np.array([0, 2, 2])], (4, 3)),
    "swap / swap back": (lambda t: t.T, (4, 3)),
    "pad / crop": (lambda t: tr.pad(t, (0, 1, 1, 2)), (4, 3)),
}
gaps = {}
for name, (forwards, shape) in pairs.items():
    v = tr.tensor(rng.standard_normal(shape), requires_grad=True)
    y = forwards(v)
    u = rng.standard_normal(y.shape)
    (back,) = tr.grad(y, v, u)
    there, here = (u * y.numpy()).sum(), (back.numpy() * v.numpy()).sum()
    gaps[name] = abs(there - here)
    print(f"{name:17} {v.shape!s:7} -> {y.shape!s:10} <g, Av> = {there:9.6f}   <Aᵀg, v> = {here:9.6f}")

# %% [markdown]
# ## The rule for every operation, in one place
#
# `x * b`, `x - b`, `x / b`, `maximum(x, b)`: each of them may broadcast, and each would have to undo it. So tinyres
# does it once, in the engine: an operation's rule may return a gradient of the *output's* shape, and what was copied is
# summed,
#
# - over each axis at the front that the input did not have, and
# - over each axis where the input had length 1 and the output has more (that axis is kept, with length 1).
#
# Shapes are compared from the right.
#
# **Guess before you run:** four arrays of ones are multiplied below, with the shapes `(3,)`, `(4, 1)`, `(2, 1, 3)` and
# `()`. Which shapes do their gradients have, and which number is in the last?

# %%
guess = ...  # four shapes and a number

# %% tags=["hide-output"]
operands = {name: tr.tensor(np.ones(shape), requires_grad=True) for name, shape in
            (("(3,)", (3,)), ("(4, 1)", (4, 1)), ("(2, 1, 3)", (2, 1, 3)), ("()", ()))}  # fmt: skip
product = operands["(3,)"] * operands["(4, 1)"] * operands["(2, 1, 3)"] * operands["()"]  # -> (2, 4, 3)
found = tr.grad(product, operands.values(), np.ones((2, 4, 3)))
for name, gradient in zip(operands, found, strict=True):
    print(f"{name:10} gradient {gradient.shape!s:10} each element {np.unique(gradient.numpy())}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The output has 24 elements. An operand of three numbers is copied 8 times, one of four 6 times, one of six 4 times,
# and the single number 24 times. The gradient grew by the number of copies.
#
# </details>
#
# ## What it does to training
#
# That count matters. A bias, a weight, every parameter of a net is shared by all samples of a batch, hence copied along
# the batch.
#
# **Guess before you run:** the batch grows from 1 to 1024. Does the bias's gradient stay as it is, or grow as $N$?

# %%
guess = ...  # constant, √N, N?

# %% [markdown]
# We measure it for a loss that is the *sum* over the batch and for one that is the *mean*. The samples either agree
# (all pull the bias the same way) or do not (each pulls at random).

# %% tags=["hide-output"]
sizes = 2 ** np.arange(11)
DRAWS = 400  # the root mean square is taken over this many batches
measured = {}
for reduction in ("sum", "mean"):
    for pull in ("agree", "random"):
        norms = []
        for n in sizes:
            g = np.ones((n, DRAWS)) if pull == "agree" else rng.standard_normal((n, DRAWS))
            bias = tr.tensor(np.zeros(DRAWS), requires_grad=True)
            each = tr.tensor(g) * bias  # a loss per sample, whose slope is g: (n, DRAWS)
            (gradient,) = tr.grad(getattr(each, reduction)(axis=0).sum(), bias)
            norms.append(np.sqrt((gradient.numpy() ** 2).mean()))
        measured[reduction, pull] = np.array(norms)

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
laws = {("sum", "agree"): (1.0, "N"), ("sum", "random"): (0.5, "√N"), ("mean", "agree"): (0.0, "1"),
        ("mean", "random"): (-0.5, "1/√N")}  # fmt: skip
colours = ("tab:red", "tab:orange", "tab:blue", "tab:green")
for ((reduction, pull), (power, law)), colour in zip(laws.items(), colours, strict=True):
    axes.loglog(sizes, sizes.astype(float) ** power, color=colour)
    axes.loglog(sizes, measured[reduction, pull], "o", color=colour, label=f"{reduction}, samples {pull}: {law}")
axes.set(xlabel="samples in the batch", ylabel="size of the bias's gradient",
         title="One bias, copied along the batch: lines are powers of N")  # fmt: skip
axes.legend()
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# With a sum the gradient grows with the batch, and a step that suited 32 samples is four times too large for 128. With
# a mean, what the samples agree on keeps its size, and what they disagree on averages out as $1/\sqrt N$.
#
# </details>
#
# That is why losses are means, and why a larger batch gives a *cleaner* gradient, not a larger one.
# `flow.gradient_noise_scale` measures for a net where cleaner stops being worth it.
#
# There is one more trap. Subtract a target of shape `(32,)` from an answer of shape `(32, 1)`. There is no error: both
# are broadcast, and the result is a $32 \times 32$ table of every answer against every target. The loss falls, and the
# net learns the mean.

# %%
answer = tr.tensor(np.zeros((32, 1)), requires_grad=True)
target = np.linspace(0, 3.1, 32)  # the mean is 1.55
trapped, right = ((answer - target) ** 2).mean(), ((answer - target[:, None]) ** 2).mean()
wrong_way = tr.grad(trapped, answer)[0].numpy()
right_way = tr.grad(right, answer)[0].numpy()
print("answer - target:", (answer - target).shape)
print("gradients of the first, the middle and the last answer:", right_way[[0, 16, 31], 0].round(3))
print("the same in the trap:                                  ", wrong_way[[0, 16, 31], 0].round(3))

# %%
assert np.array_equal(gb.numpy(), np.arange(12.0).reshape(4, 3).sum(axis=0))
assert np.array_equal(S, B.T)  # copying and summing are each other's transpose
assert max(gaps.values()) < 1e-12
assert [gradient.shape for gradient in found] == [(3,), (4, 1), (2, 1, 3), ()]
assert [float(gradient.numpy().max()) for gradient in found] == [8, 6, 4, 24]
for which, (power, _) in laws.items():  # the exponent of each line, to 0.05
    assert abs(np.polyfit(np.log(sizes), np.log(measured[which]), 1)[0] - power) < 0.05
assert np.ptp(wrong_way) < 1e-12 < np.ptp(right_way)  # in the trap all samples are pulled alike: to the mean

# %% [markdown]
# ## Your turn
#
# Write the engine's part. A gradient `g` arrives, a NumPy array of the output's shape; the input had `shape`. Sum over
# the copies, and return an array of exactly that shape.
#
# ```python
# def unbroadcast(g, shape):
#     return ...
#
# tr.exercise("04", unbroadcast)
# ```
#
# Next: the operation that shares its weights most of all, and how to make it fast.
