# %% [markdown]
# # 03 How do you know that a gradient is right?
#
# *It computes for about 3 seconds. From before: a rule multiplies the gradient that arrives by local slopes (02).*
#
# A wrong gradient does not crash. The loss still falls, only slower, to a worse place, and you blame the learning rate.
# So gradients are *checked* against the function itself: nudge an input, and see what the output does. It sounds
# foolproof. In this tutorial we are fooled four times, and learn each time what a checker must do about it.
#
# ## How small a nudge?
#
# The slope of $f$ at $x$ follows from two points: from $x$ and a step $h$ ahead, or from a step on either side:
#
# $$ \frac{f(x+h) - f(x)}{h} \qquad\text{or}\qquad \frac{f(x+h) - f(x-h)}{2h}. $$
#
# **Guess before you run:** you may choose any $h$. Is $h = 10^{-3}$, $10^{-8}$ or $10^{-15}$ the best? And how many
# correct digits does the best one give?

# %%
guess = ...  # the best h; how many digits

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres.autograd.calling import primitive

x0 = 0.7
truth = np.exp(x0) * (np.sin(x0) + np.cos(x0))


def f(x):
    return np.exp(x) * np.sin(x)


steps = np.logspace(-16, -1, 61)
errors = {
    "one-sided": np.abs((f(x0 + steps) - f(x0)) / steps - truth),
    "central": np.abs((f(x0 + steps) - f(x0 - steps)) / (2 * steps) - truth),
    "complex": np.abs(f(x0 + 1j * steps).imag / steps - truth),
}
best = {name: (steps[np.argmin(error)], error.min()) for name, error in errors.items()}
for name, (step, error) in best.items():
    print(f"{name:10} best at h = {step:.0e}, error {error:.0e}")

# %% tags=["hide-input", "hide-output"]
second = 2 * np.exp(x0) * np.cos(x0)
third = 2 * np.exp(x0) * (np.cos(x0) - np.sin(x0))
rounding = np.finfo(float).eps * abs(f(x0)) / steps
theory = {"one-sided": abs(second) / 2 * steps + rounding, "central": abs(third) / 6 * steps**2 + rounding}
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for (name, error), colour in zip(errors.items(), ("tab:blue", "tab:orange", "tab:green"), strict=True):
    axes.loglog(steps, np.maximum(error, 1e-17), "o", markersize=4, color=colour, label=f"{name}, measured")
    if name in theory:
        axes.loglog(steps, theory[name], color=colour, label=f"{name}: error of the curve + rounding")
axes.set(xlabel="step h", ylabel="error of the slope", ylim=(1e-17, 1e5),
         title="Too large a step is wrong, too small is worse")  # fmt: skip
axes.legend(loc="upper center", fontsize=8, ncols=2)
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# Two errors pull in opposite directions. On the right the curve bends within a step: the error falls as $h$, or as
# $h^2$ with two sides. On the left $f(x+h)$ and $f(x)$ agree in almost all of their sixteen digits, and subtracting
# cancels them; what remains is rounding, magnified by $1/h$. The best step is where the two meet: with two sides at $h
# \approx \varepsilon^{1/3} \approx 6 \cdot 10^{-6}$, with eleven digits or so (a lucky step may hit twelve). float32
# would leave about five at its own best step.
#
# </details>
#
# The green dots are a trick worth knowing: step in the *imaginary* direction. $f(x + ih) \approx f(x) + ih f'(x)$, the
# slope stands alone in the imaginary part, nothing is subtracted, and only the last digit is wrong (Squire & Trapp 1998
# [squire1998using]). It works where every operation takes complex numbers.
#
# ## One number for a whole matrix
#
# A layer with a thousand inputs and outputs has a million slopes. We need not nudge a thousand times. Let $J$ be all of
# them. Going forwards along a direction $d$ gives $J d$ (by nudging); going backwards from a gradient $g$ gives
# $J^\top g$ (by the rules). Both must agree in one number,
#
# $$ \langle g, J d\rangle = \langle J^\top g, d\rangle. $$
#
# Draw $d$ and $g$ at random, and a wrong slope anywhere has nowhere to hide. Here is that checker, in four lines.


# %%
def looks_right(function, backward, x, g, h=1e-5, seed=0):
    """Compare <g, J d>, by nudging, with <J^T g, d>, by the rule `backward(x, g)`."""
    d = np.random.default_rng(seed).standard_normal(x.shape)
    nudged = (g * (function(x + h * d) - function(x - h * d)) / (2 * h)).sum()
    return bool(abs(nudged - (backward(x, g) * d).sum()) < 1e-6)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_right(x, g):
    y = softmax(x)
    return y * (g - (g * y).sum(axis=-1, keepdims=True))


def softmax_wrong(x, g):  # a plain mean where a weighted one is needed
    return softmax(x) * (g - g.mean(axis=-1, keepdims=True))


# %% [markdown]
# ## Fooled, the first time: a gradient of ones
#
# The usual way to check is to sum the outputs, call `backward` and compare. A sum sends back ones, $g = (1, 1, \dots)$.
#
# **Guess before you run:** does the wrong softmax pass the check?

# %%
guess = ...  # yes or no

# %% tags=["hide-output"]
rng = np.random.default_rng(0)
x = rng.standard_normal((3, 5))
ones, random = np.ones_like(x), rng.standard_normal(x.shape)
verdicts = {
    (name, kind): looks_right(softmax, rule, x, g)
    for name, rule in (("right rule", softmax_right), ("wrong rule", softmax_wrong))
    for kind, g in (("ones", ones), ("random", random))
}
for (name, kind), verdict in verdicts.items():
    print(f"{name}, g = {kind:7} {'looks right' if verdict else 'wrong'}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It does, and so would *any* rule that returns zero. The outputs of softmax sum to 1, whatever goes in: the sum has no
# slope, both sides are zero, and zero equals zero. Batch norm has the same blind spot.
#
# </details>
#
# `tr.gradcheck` draws $g$ at random, and refuses to call a comparison of zero with zero a success:

# %%
logits = tr.tensor(x, requires_grad=True)
vacuous = kink = frozen = refused = ""  # nothing was caught yet
try:
    tr.gradcheck(lambda t: tr.softmax(t).sum(), logits)
except tr.GradcheckError as error:
    vacuous = str(error)
    print(vacuous)
print(tr.gradcheck(tr.softmax, logits))

# %% [markdown]
# ## Fooled, the second time: a kink
#
# ReLU is $\max(x, 0)$. Its rule in tinyres is right. Put one input on the kink, or very near it, and a nudge steps
# across it: half of the difference comes from each side. This time the *check* is wrong.

# %%
near_a_kink = tr.tensor(np.array([1.0, -0.5, 0.000001]), requires_grad=True)
try:
    tr.gradcheck(tr.relu, near_a_kink)
except tr.GradcheckError as error:
    kink = str(error)
    print(kink)

# %% [markdown]
# Read the errors at the different steps: it does not look like the V above. It stays near one half for each step that
# reaches over the kink, and drops to nothing once the step is too short for that. The last line says so, with the
# slopes on either side. A checker that only says "wrong" sends you looking for a bug that is not there.
#
# ## Fooled, the third time: right once, wrong twice
#
# Some methods differentiate a gradient again (a GAN's gradient penalty does, tutorial 12). Here is an operation
# $y = x^3$ of our own, with a rule that looks innocent: it takes the slope $3x^2$ *as an array*, kept from the forward
# pass. (You may change a rule and run its cell again: the new rule replaces the old one.)


# %%
@primitive(aux=True)
def cube_frozen(x):
    return x * x * x, 3 * x * x  # the second is handed to the rule as `aux`: a plain array


@primitive
def cube(x):
    return x * x * x


cube_frozen.vjp(x=lambda g, aux: g * aux)
cube.vjp(x=lambda g, x: g * 3 * x * x)  # names x: so the engine knows that the slope moves with x

t = tr.tensor(np.array([0.5, 1.0, 2.0]), requires_grad=True)
print(tr.gradcheck(cube_frozen, t, order=1))
try:
    tr.gradcheck(cube_frozen, t, order=2)
except tr.GradcheckError as error:
    frozen = str(error)
    print(f"\n{frozen}\n")
print(tr.gradcheck(cube, t, order=2))

# %% [markdown]
# At order 1 the two cannot be told apart: same numbers, same arrays. But for the first rule the slope is a constant, so
# its derivative $6x$ is silently lost. Only a check *of the gradient function itself* can see that. This is why all
# rules of tinyres are checked to order 2.
#
# ## Fooled, the fourth time: too few digits
#
# Take a rule that forgets a small term: for $y = \tanh x + 0.0001 \sin x$ its author wrote $1 - \tanh^2 x$. How strict
# must the comparison be to notice, and how strict can it be? That depends on how many digits the numbers have.

# %%
points = np.linspace(-1, 1, 101)
slope = 1 - np.tanh(points) ** 2 + 1e-4 * np.cos(points)
missing = np.median(1e-4 * np.cos(points))


def error_of_nudging(h, dtype):
    """The largest error over the points, where everything is calculated in `dtype`."""
    function = lambda x: np.tanh(x) + dtype(1e-4) * np.sin(x)
    x, h = points.astype(dtype), dtype(h)
    return np.abs((function(x + h) - function(x - h)) / (2 * h) - slope).max()


hs = np.logspace(-8, -0.5, 46)
noise = {dtype: np.array([error_of_nudging(h, dtype) for h in hs]) for dtype in (np.float32, np.float64)}
figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
for (dtype, error), colour in zip(noise.items(), ("tab:red", "tab:blue"), strict=True):
    axes.loglog(hs, error, "o", markersize=4, color=colour, label=f"{dtype.__name__}: error of the check")
axes.axhline(missing, color="0.3", linestyle="--", label="the term that was forgotten")
axes.set(xlabel="step h", ylabel="error of the slope", title="A fault is seen only where the check errs by less")
axes.legend()
plt.show()
for dtype, error in noise.items():
    usual = error_of_nudging(1e-5, dtype)
    print(f"{dtype.__name__}: at h = 1e-5 the check errs by {usual:.0e}, at best by {error.min():.0e}")

# %% [markdown]
# In float32 only a narrow window of steps errs by less than what is missing; take $h = 10^{-5}$, as one does in
# float64, and the noise is larger than the fault. If you widen the tolerance until the check passes, the faulty rule
# passes as well. `tr.gradcheck` therefore refuses float32:

# %%
try:
    tr.gradcheck(tr.tanh, tr.tensor(np.ones(3, dtype="float32"), requires_grad=True))
except TypeError as error:
    refused = str(error)
    print(refused)

# %%
assert 1e-7 < best["central"][0] < 1e-3  # neither the largest nor the smallest step is the best
assert best["central"][1] < best["one-sided"][1] < 1e-6
assert best["complex"][1] < 1e-14
assert verdicts == {("right rule", "ones"): True, ("right rule", "random"): True,
                    ("wrong rule", "ones"): True, ("wrong rule", "random"): False}  # fmt: skip
assert "vacuous" in vacuous
assert "kink" in kink
assert "order 2" in frozen
assert error_of_nudging(1e-5, np.float64) < 1e-3 * missing < missing < error_of_nudging(1e-5, np.float32)
assert "float32" in refused

# %% [markdown]
# ## Your turn
#
# Write the checker. It gets a function, a rule and a point, all in plain NumPy, and returns `True` or `False`. It will
# be tried on correct rules that must pass (one has a scale a thousand times larger) and on wrong rules that must not.
# Two of these are in this tutorial.
#
# ```python
# def is_right(function, backward, x):
#     ...  # function(x) -> y;  backward(x, g) -> J^T g, of x's shape
#     return True
#
# tr.exercise("03", is_right)
# ```
#
# Next: what happens on the way back to an array that was copied.
