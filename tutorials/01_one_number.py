# %% [markdown]
# # 01 How much does one number move another?
#
# *It computes for about 2 seconds. You need the derivative of $\tanh$, which is $1 - \tanh^2$, and nothing else.*
#
# A net is a long calculation with knobs in it. Training turns every knob a little, in the direction that makes the loss
# smaller. So for each knob we need one number: *if I turn it by a little, by how much does the loss move?* That number
# is the gradient. A real net has millions of knobs. We begin with one.
#
# Here is a net of one unit. It multiplies its input $x = 0.5$ by a weight $w$, squashes the product, and its loss is
# the squared distance from the target $0.9$:
#
# $$ u = w\,x, \qquad y = \tanh u, \qquad \ell = (y - 0.9)^2. $$

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr

X, TARGET = 0.5, 0.9


def loss(w):
    return (np.tanh(w * X) - TARGET) ** 2


print(f"w = 1.000: loss {loss(1.0):.6f}")
print(f"w = 1.001: loss {loss(1.001):.6f}")

# %% [markdown]
# **Guess before you run:** look at the two lines above. $w$ went up by $0.001$. What is the gradient, roughly? Is it
# positive or negative, nearer to $0.03$, to $0.3$ or to $3$?

# %%
guess = ...  # the gradient, with its sign

# %% [markdown]
# ## Ask by nudging
#
# Change in the loss over change in the weight: that is the slope of the line through two points of the curve. The
# smaller the nudge, the closer it comes to the slope *at* the point.

# %% tags=["hide-output"]
nudges = [1.0, 0.1, 0.01, 0.001]
slopes = [(loss(1.0 + h) - loss(1.0)) / h for h in nudges]
for h, slope in zip(nudges, slopes, strict=True):
    print(f"nudge {h:<6g} slope {slope:.6f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The slopes settle near $-0.344$. Negative: turning $w$ *up* brings the loss *down*.
#
# </details>
#
# That is good to know, but expensive: it takes one more run of the net for each knob. With a million knobs that is a
# million runs for one step of training.
#
# ## Ask by multiplying
#
# Follow the nudge instead. If $w$ moves by a little, $u = w x$ moves $x$ times as far. If $u$ moves, $y$ moves
# $1 - y^2$ times as far. If $y$ moves, the loss moves $2(y - 0.9)$ times as far. These are three small magnifications,
# one after the other, so they multiply. That is the whole chain rule:
#
# $$ \frac{d\ell}{dw} = \underbrace{2\,(y - 0.9)}_{d\ell/dy}\;\cdot\;\underbrace{(1 - y^2)}_{dy/du}\;\cdot\;
# \underbrace{x}_{du/dw}. $$

# %%
y = np.tanh(1.0 * X)
factors = [2 * (y - TARGET), 1 - y**2, X]
by_hand = np.prod(factors)
print(" · ".join(f"{factor:.4f}" for factor in factors), f"= {by_hand:.6f}")

# %% [markdown]
# Now let the library do it. `requires_grad=True` says: this is a knob. Everything calculated from it is recorded, and
# `tr.steps` walks back over the record, from the loss to the knob, and reports what it does at each step. Read the
# lines from top to bottom: the rules of the square, of $\tanh$ and of the product each multiply the travelling number
# by one of the three factors.

# %%
w = tr.tensor(np.array(1.0), requires_grad=True)
ell = (tr.tanh(w * X) - TARGET) ** 2
for event in tr.steps(ell):
    if event.kind == "rule":
        print(event)

(gradient,) = tr.grad(ell, w)
print(f"\ntinyres: {gradient.item():.6f}, by hand: {by_hand:.6f}")

# %% [markdown]
# The lines show sizes, without signs. The first rule sends $|2(y - 0.9)|$, subtracting a constant changes nothing,
# $\tanh$'s rule multiplies by $1 - y^2$, and the product's rule by $x$. Nothing here is approximate: no nudge, no small
# number, only the three factors. And *one* walk back would have served a million knobs, because they all share the part
# near the loss. That is why nets are trained backwards.
#
# `tr.trace` shows the whole walk, including the forward pass: press the arrow keys, and watch the number that travels.
# (It is a page: in a script, write `tr.trace(...).save("step.html")` and open that file.)

# %%
tr.trace(lambda: (tr.tanh(w * X) - TARGET) ** 2)

# %% [markdown]
# In the picture below, the curve is the loss for every $w$, and the line is drawn through one point of it with the
# slope that `tr.grad` returned. It touches the curve there.

# %%
ws = np.linspace(-1.0, 6.0, 200)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
left.plot(ws, loss(ws), color="tab:blue", label="the loss")
near = np.linspace(-0.6, 2.6, 2)
left.plot(near, loss(1.0) + by_hand * (near - 1.0), color="tab:orange", label=f"slope {by_hand:.3f}")
left.plot(1.0, loss(1.0), "o", color="tab:orange")
left.set(xlabel="weight w", ylabel="loss", title="The gradient is the slope where you stand", ylim=(-0.15, 2.1))
left.legend()
leaf = tr.tensor(ws, requires_grad=True)  # 200 weights at once: each moves only its own loss
(everywhere,) = tr.grad((((tr.tanh(leaf * X) - TARGET) ** 2).sum()), leaf)
right.plot(ws, 2 * (np.tanh(ws * X) - TARGET) * (1 - np.tanh(ws * X) ** 2) * X, label="the three factors, multiplied")
right.plot(ws[::10], everywhere.numpy()[::10], "o", color="tab:orange", label="tinyres")
right.axhline(0, color="0.8", zorder=0)
right.set(xlabel="weight w", ylabel="gradient", title="The gradient, for every weight")
right.legend()
plt.show()

# %% [markdown]
# Look at the right end. At $w = 6$ the net answers $\tanh 3 = 0.995$, the target is $0.9$, so something *is* left to
# learn. Yet the gradient is almost zero, since the middle factor $1 - y^2$ is $0.01$. The unit is saturated: it hardly
# feels its own weight. A small gradient does not mean that the work is done.
#
# ## Many factors
#
# One squashing unit multiplies by one factor below 1. What if forty of them stand in a row, each feeding the next?
#
# $$ y_0 = 0.5, \qquad y_{k} = \tanh(w\, y_{k-1}), \qquad k = 1 \dots 40. $$
#
# The chain rule works as before. The gradient of the last unit with respect to $y_k$ is the product of the factors
# $w\,(1 - y_j^2)$ of all units $j$ above it.
#
# **Guess before you run:** how large is the gradient that arrives at the first unit, for $w = 0.8$? For $w = 1$? And
# for $w = 1.5$, where each factor could be as large as $1.5$: does it explode?

# %%
guess = ...  # three sizes, for w = 0.8, 1 and 1.5

# %% tags=["hide-output"]
DEPTH = 40


def chain(weight):
    """Gradients of the last unit with respect to every one, by tinyres and as products of factors."""
    units = [tr.tensor(np.array(0.5), requires_grad=True)]
    for _ in range(DEPTH):
        units.append(tr.tanh(weight * units[-1]))
    found = np.array([g.item() for g in tr.grad(units[-1], units[:-1])])
    factors = np.array([weight * (1 - unit.item() ** 2) for unit in units[1:]])
    return found, np.cumprod(factors[::-1])[::-1]


arrived = {}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for weight, colour in ((0.8, "tab:blue"), (1.0, "tab:green"), (1.5, "tab:red")):
    found, products = chain(weight)
    arrived[weight] = found[0]
    axes.semilogy(range(DEPTH), products, color=colour, label=f"w = {weight}: product of the factors")
    axes.semilogy(range(0, DEPTH, 2), found[::2], "o", color=colour, markersize=4)
    assert np.allclose(found, products, rtol=1e-12)
axes.set(xlabel="unit, counted from the input (the loss is on the right)", ylabel="gradient",
         title="Forty units in a row: lines multiplied by hand, dots from tinyres")  # fmt: skip
axes.legend()
plt.show()
print({weight: f"{value:.1e}" for weight, value in arrived.items()})

# %% [markdown]
# <details><summary>Answer</summary>
#
# Read each line from right to left, as the gradient travels. For $w = 0.8$ it loses a fixed share at each unit, and
# about $10^{-4}$ is left after forty: it *vanishes*. For $w = 1.5$ it vanishes faster, although each factor *could* be
# 1.5! The larger weight drives the units towards $y = 0.86$, where $1 - y^2$ is $0.26$, and $1.5 \cdot 0.26 < 1$. The
# best of the three, $w = 1$, loses the least: its units shrink slowly towards 0, so that its factors $1 - y^2$ come
# ever closer to 1. (With $w = 0.8$ the units shrink faster, but each factor stays below $0.8$.) Neither the weight nor
# the squashing function decides alone. The *product* does, and forty equal factors leave no margin: $0.9^{40}$ is
# $0.015$, $1.1^{40}$ is $45$.
#
# </details>
#
# Keep that picture. How to build a deep net whose product stays near 1 is what most of these tutorials are about.

# %%
assert np.isclose(gradient.item(), by_hand, rtol=1e-12)  # multiplying is exact ...
assert abs(slopes[-1] - by_hand) < 1e-3 < abs(slopes[0] - by_hand)  # ... and nudging comes closer as nudges shrink
assert arrived[1.5] < arrived[0.8] < 1e-3 < arrived[1.0] < 1  # a larger weight made it vanish faster

# %% [markdown]
# ## Your turn
#
# So far each number was used once. Here the knob is used *twice*:
#
# $$ f(w) = w \cdot \tanh(w\,x). $$
#
# Find its derivative with pencil and paper, and write it as a function. Turning $w$ moves $f$ along two routes at once;
# what comes back along them is added.
#
# ```python
# def slope(w, x):
#     return ...  # one number: df/dw
#
# tr.exercise("01", slope)
# ```
#
# Next: a machine that does this for any calculation, in some forty lines.
