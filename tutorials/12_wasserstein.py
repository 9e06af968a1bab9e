# %% [markdown]
# # 12 What is the gradient of a gradient good for?
#
# *It computes for about 3 seconds. From before: a confident discriminator leaves the saturating loss no slope, and two
# players can circle (11); `create_graph` records the walk back, so that it can be differentiated again (02).*
#
# In the last tutorial a stronger opponent took the generator's gradient away, and the fix was another loss. There is a
# second fix: an opponent that answers not "real or fake?" but "how far?". Its slope must be kept in check, and to keep
# a slope in check you have to differentiate it.
#
# ## A distance that keeps growing
#
# Two bells again, data around $0$ and fakes around $d$. A perfect discriminator measures how different they are: the
# value of its game is $-\log 4 + 2\,\mathrm{JSD}$, with the Jensen-Shannon divergence. Another measure: how far must
# each fake be carried, on average, to turn the fakes into the data? That is the Wasserstein distance $W$, and for two
# bells of equal width it is simply $d$.
#
# **Guess before you run:** from $d = 6$ to $d = 7$, by how much does each of the two grow?

# %%
guess = ...  # two numbers: JSD, W

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import gan
from tinyres.flow.theory import saturation, wasserstein

rng = np.random.default_rng(0)
distances = np.linspace(0, 8, 33)
divergence = np.array([saturation.divergence(d) for d in distances])


def game(d):
    """V = E log D(data) + E log(1 - D(fakes)) of the perfect D, by its two sums."""
    (z, mass), (bias, slope) = saturation.trapezoid(), saturation.optimal_logit(d)
    return -(mass * (np.logaddexp(0, -bias - slope * z) + np.logaddexp(0, bias + slope * (z + d)))).sum()


played = np.array([(game(d) + np.log(4)) / 2 for d in distances])
bell = rng.standard_normal((2, 4000))
carried = np.array([np.abs(np.sort(bell[0]) - np.sort(bell[1] + d)).mean() for d in distances])  # the k-th to the k-th
six, seven = 24, 28
print(f"from d = 6 to 7: JSD grows by {divergence[seven] - divergence[six]:.5f}, "
      f"W by {carried[seven] - carried[six]:.3f}")  # fmt: skip

# %% tags=["hide-input", "hide-output"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.7), layout="constrained")
left.plot(distances, divergence, color="tab:red", label="Jensen-Shannon divergence")
left.plot(distances, played, "o", color="tab:red", markersize=4, label="(V + log 4) / 2 of the perfect D")
left.axhline(np.log(2), color="0.6", linestyle="--", label="log 2")
left.set(xlabel="distance d of the fakes", ylabel="JSD", title="What a perfect D measures stops at log 2")
right.plot(distances, distances, color="tab:green", label="d")
right.plot(distances, carried, "o", color="tab:green", markersize=4, label="4,000 fakes carried to 4,000 data")
right.set(xlabel="distance d of the fakes", ylabel="W", title="The cost of carrying keeps growing")
for axes in (left, right):
    axes.legend()
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# The divergence hardly grows; $W$ grows by 1. The divergence measures whether the two can be told apart, and at $d = 6$
# they can, full stop. $W$ keeps a slope of $1$ at any distance.
#
# </details>
#
# An opponent can provide this distance, too (Arjovsky et al. 2017 [arjovsky2017wasserstein]): among all functions $f$
# whose slope is nowhere above $1$, the one that scores data highest and fakes lowest separates their mean scores by
# exactly $W$,
#
# $$ W = \max_{|\nabla f| \le 1} \; \mathbb{E} f(\text{data}) - \mathbb{E} f(\text{fakes}). $$
#
# Such an $f$ is called a *critic*. It gives a score, without a sigmoid at its end to saturate. Without the limit on its
# slope it would score $\pm\infty$. So everything depends on the limit.
#
# ## A slope inside a loss
#
# Gulrajani et al. 2017 [gulrajani2017improved] put a price on it: the critic also pays $\lambda\,(|\nabla f(x)| - 1)^2$
# at points $x$ between data and fakes. Read that twice. $\nabla f(x)$ is a gradient with respect to a *sample*. The
# price is part of the critic's loss, which is differentiated with respect to the *weights*. So training takes the
# derivative with respect to $w$ of a derivative with respect to $x$.
#
# Let us do it with a net of one hidden layer, $f(x) = v \cdot \tanh(W x)$. Two calls to `tr.grad`, one inside the
# other:

# %%
x = rng.standard_normal((64, 2))
W, v = rng.standard_normal((2, 16)), rng.standard_normal(16)


def slopes(W, v, create_graph):
    """|∇f(x_i)| for every sample, (64,)."""
    samples = tr.tensor(x, requires_grad=True)
    scores = tr.tanh(samples @ W) @ v  # (64,)
    (gradient,) = tr.grad(scores.sum(), samples, create_graph=create_graph)  # (64, 2): each score has its own sample
    return tr.sqrt((gradient * gradient).sum(axis=1))


def price(W, v, create_graph=True):
    return ((slopes(W, v, create_graph) - 1) ** 2).mean()


weights = tr.tensor(W, requires_grad=True)
(by_weights,) = tr.grad(price(weights, v), weights)  # the gradient of a gradient

nudge = 1e-5 * rng.standard_normal(W.shape)  # and the same by nudging, in one random direction (03)
nudged = (price(W + nudge, v).item() - price(W - nudge, v).item()) / 2
along = float((by_weights.numpy() * nudge).sum())
print(f"along a random nudge the price moves by {nudged:.9e}; from the second derivative: {along:.9e}")

# %% [markdown]
# They agree. The same works for any net, since every rule of tinyres is itself made of operations that have rules. What
# if you forget `create_graph`? Then the inner gradient is an array of numbers without a history.
#
# **Guess before you run:** will the price have the wrong value, the wrong gradient, or no gradient?

# %%
guess = ...  # wrong value, wrong gradient, or no gradient

# %% tags=["hide-output"]
refused = ""
try:
    tr.grad(price(weights, v, create_graph=False), weights)
except (RuntimeError, ValueError) as error:
    refused = str(error)
    print(type(error).__name__ + ":", refused)
print("its value, with and without:", price(weights, v).item(), price(weights, v, create_graph=False).item())

# %% [markdown]
# <details><summary>Answer</summary>
#
# The right value and no gradient. Had there been other terms in the loss, there would have been no error: the critic
# would train as if the price did not exist, while the log shows a perfectly good number for it.
#
# </details>
#
# (`gan.gradient_penalty` does what `price` does, between data and fakes.)
#
# ## Is the slope 1?
#
# Now train a critic. Fakes are the data shifted by $\delta = 4$ in the direction $(0.6, -0.8)$, so $W = 4$. The
# simplest critic is a plane, $f(x) = w \cdot x$, whose slope is $|w|$ everywhere, and of all critics with a slope of at
# most 1 the best one here is a plane.
#
# **Guess before you run:** with $\lambda = 10$, as in the paper, where does $|w|$ end? And with $\lambda = 0.1$, as in
# the authors' toy examples?

# %%
guess = ...  # two slopes, for λ = 10 and λ = 0.1

# %% tags=["hide-output"]
SHIFT = np.array([2.4, -3.2])
DELTA = float(np.linalg.norm(SHIFT))
data = rng.standard_normal((64, 2))
loss = gan.LOSSES["wasserstein"]


def train(weight, steps=300):
    """Slopes |w| on the way, by gradient descent on the critic's loss."""
    w, found = np.array([0.5, 0.5]), []
    for _ in range(steps):
        leaf = tr.tensor(w, requires_grad=True)
        penalty = gan.gradient_penalty(lambda x, w=leaf: x @ w, data, data + SHIFT, np.random.default_rng(0))
        total = loss.discriminator(data @ leaf, (data + SHIFT) @ leaf) + weight * penalty
        (gradient,) = tr.grad(total, leaf)
        found.append(float(np.linalg.norm(w)))
        w = w - 0.5 * gradient.numpy() / (2 * weight + DELTA / found[-1])  # half of what the curvature allows
    return np.array(found), w


figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
ended, directions = {}, {}
for weight, colour in ((0.1, "tab:red"), (1.0, "tab:orange"), (10.0, "tab:blue")):
    way, w = train(weight)
    ended[weight], directions[weight] = way[-1], w / way[-1]
    predicted = wasserstein.penalised_slope(DELTA, weight)
    shown = np.unique(np.geomspace(1, len(way), 40).astype(int)) - 1
    axes.loglog(1 + shown, way[shown], "o", color=colour, markersize=4)
    axes.axhline(predicted, color=colour, label=f"λ = {weight:g}: 1 + δ/2λ = {predicted:.3g}")
    print(f"λ = {weight:4g}: slope {way[-1]:.4f}")
axes.axhline(1, color="0.5", linestyle="--", label="what the price asks for")
axes.set(xlabel="step of the critic", ylabel="slope |w|", yticks=[1, 3, 10, 20], yticklabels=["1", "3", "10", "20"],
         ylim=(0.6, 30), title="The slope settles where wanting to be steep balances the price")  # fmt: skip
axes.legend(loc="upper right", bbox_to_anchor=(1, 0.87))
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# Not at $1$, but at $1.2$ for $\lambda = 10$ and at $21$ for $\lambda = 0.1$.
#
# </details>
#
# Pencil and paper say why: a plane of slope $n$ in the right direction earns $\delta n$ and pays $\lambda (n-1)^2$. Set
# the derivative of the difference to zero: $\delta = 2\lambda(n - 1)$, so
#
# $$ n = 1 + \frac{\delta}{2\lambda}. $$
#
# A price is not a limit. The further away the fakes are, the steeper the critic becomes, and $\lambda = 0.1$ makes it
# 21 times too steep. Is that bad? The generator's gradient is the critic's slope, so it is too long by that factor,
# which Adam hardly notices. Its *direction* is exact.
#
# ## The crude way
#
# The first Wasserstein GAN had no price. After each step it clipped every weight to $[-c, c]$. That limits the slope as
# well, without any second derivative.
#
# **Guess before you run:** where does the plane end, and does it point from fakes to data?

# %%
guess = ...  # a place; degrees off

# %% tags=["hide-output"]
CLIP = 0.01
w = rng.uniform(-CLIP, CLIP, 2)
for _ in range(50):
    leaf = tr.tensor(w, requires_grad=True)
    (gradient,) = tr.grad(loss.discriminator(data @ leaf, (data + SHIFT) @ leaf), leaf)
    w = np.clip(w - 0.01 * gradient.numpy(), -CLIP, CLIP)
clipped, ideal = w / np.linalg.norm(w), -SHIFT / DELTA
cosines = {"with a price": directions[10.0] @ ideal, "clipped": clipped @ ideal}
angle = {name: float(np.degrees(np.arccos(min(1, cosine)))) for name, cosine in cosines.items()}
print(f"clipped: w = {w}, slope {np.linalg.norm(w):.4f}")
print("degrees off:", {name: round(degrees, 2) for name, degrees in angle.items()})

# %% [markdown]
# <details><summary>Answer</summary>
#
# Each weight runs into its own wall: $w$ ends in a *corner* of the square, whatever the direction to the data, and its
# slope is $c\sqrt2$, seventy times too small. Its direction is 8 degrees off.
#
# </details>
#
# In a deep net each clipped layer multiplies the gradient by about the same factor, too small or too large: $\chi^L$
# again (06).
#
# And does the price make the two players *meet* (11)? No: at the end, where fakes are data, it still asks for a slope
# of $1$, so the critic never comes to rest. R1, which asks for a slope of $0$ on the data, damps; it is a gradient of a
# gradient as well. `tinyres flow E8 E5` compares all of this with closed forms.

# %%
assert np.allclose(played, divergence, atol=1e-6)
assert divergence[seven] - divergence[six] < 0.01 < 0.99 < carried[seven] - carried[six]
assert np.isclose(along, nudged, rtol=1e-6)
assert refused  # no create_graph, no gradient ...
assert price(weights, v).item() == price(weights, v, create_graph=False).item()  # ... and the same value
for weight, slope in ended.items():
    assert np.isclose(slope, wasserstein.penalised_slope(DELTA, weight), rtol=1e-4)
    assert slope > 1.1
    assert directions[weight] @ ideal > 1 - 1e-6
assert np.allclose(np.abs(w), CLIP)  # a corner
assert 5 < angle["clipped"] < 10

# %% [markdown]
# ## Your turn
#
# Asking for a slope of *at most* 1 is what the mathematics wanted. Write the one-sided price
#
# $$ \frac1N \sum_i \max\left(0,\; |\nabla f(x_i)| - 1\right)^2 $$
#
# for any `critic`, a function from samples $(N, d)$ to scores $(N,)$ or $(N, 1)$, and samples `x`, a NumPy array.
# Return a tensor that can be differentiated with respect to the critic's weights.
#
# ```python
# def one_sided(critic, x):
#     return ...
#
# tr.exercise("12", one_sided)
# ```
#
# Next: two real players draw digits, and we have to say how well.
