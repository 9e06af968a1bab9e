# %% [markdown]
# # 11 Does a strong opponent teach you more?
#
# *It computes for about 6 seconds. From before: a gradient is a product of slopes, and a saturated unit lets hardly any
# of it through (01).*
#
# Up to here one net went down one loss. Now there are two nets. A *generator* $G$ makes fakes, a *discriminator* $D$
# says how likely a sample is real, and each has its own loss. $G$ never sees the data. Everything it learns, it learns
# from a gradient that comes back to it *through* $D$. So the opponent is also the teacher, and it is natural to hope
# that the better $D$ is, the better it teaches. We measure that.
#
# ## Two bells on a line
#
# Data are numbers from a bell curve around $0$; fakes come from the same bell, shifted by $d$. $G$ has one knob, $d$,
# and should turn it to $0$. For two such bells we know the best discriminator that there can be:
#
# $$ D^*(x) = \frac{p_{data}(x)}{p_{data}(x) + p_{fake}(x)} = \sigma\!\left(a(x)\right), \qquad
# a(x) = \frac{d^2}{2} - d\,x. $$
#
# Against this $D$, $G$ can play in two ways. The rule of the game is *saturating*: make $\log(1 - D)$ small, "be caught
# less often". The other way is *non-saturating*: make $-\log D$ small, "be believed more often" (Goodfellow et al. 2014
# [goodfellow2014generative] propose both). The $D$ is the same, and so is the winner in the end.
#
# **Guess before you run:** the fakes are 8 standard deviations off, and $D^*$ is right in 99.997 % of all cases. How
# large is the gradient with respect to $d$ for each of the two losses?

# %%
guess = ...  # two sizes: saturating, non-saturating

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import gan
from tinyres.flow.theory import dirac, saturation

Z, WEIGHTS = saturation.trapezoid()  # a fine grid, and the bell over it: the sum of WEIGHTS · f(Z) is the mean of f


def generator_gradient(loss, distance):
    """With respect to d, for the best D, held fixed."""
    bias, slope = saturation.optimal_logit(distance)
    d = tr.tensor(np.array(float(distance)), requires_grad=True)
    logits = bias + slope * (Z + d)  # D's answer to every fake
    # log(1 - sigmoid(a)), or -log sigmoid(a)
    each = -tr.softplus(logits) if loss == "saturating" else tr.softplus(-logits)
    return tr.grad((WEIGHTS * each).sum(), d)[0].item()


distances = np.array([0.5, 1, 2, 3, 4, 5, 6, 7, 8])
measured = {loss: [generator_gradient(loss, d) for d in distances] for loss in ("saturating", "non-saturating")}
for k in (1, 4, 8):
    told = ", ".join(f"{loss} {values[k]:.2g}" for loss, values in measured.items())
    print(f"d = {distances[k]:g}: D is right in {saturation.accuracy(distances[k]):7.3%}; gradient {told}")

# %% tags=["hide-output"]
fine = np.linspace(0.1, 8.5, 200)
figure, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
for loss, closed, law, colour in (
    ("non-saturating", saturation.non_saturating, "d (1 − A)", "tab:blue"),
    ("saturating", saturation.saturating, "d A", "tab:red"),
):
    axes.semilogy(fine, [closed(d) for d in fine], color=colour, label=f"{loss}: {law}")
    axes.semilogy(distances, measured[loss], "o", color=colour)
axes.semilogy(fine, [saturation.bound(d) for d in fine], "--", color="0.4", label="bound (d/2) exp(−d²/8)")
axes.set(xlabel="distance d of the fakes, in standard deviations", ylabel="gradient with respect to d", ylim=(1e-4, 30),
         title="The same best opponent, two losses (lines theory, dots measured)")  # fmt: skip
axes.legend()
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# $0.0004$ for the saturating loss and $8$ for the other, from the same opponent.
#
# </details>
#
# Let $A = \mathbb{E}\,D^*(\text{fake})$ be the probability, on average, that $D$ gives to a fake. Then the chain rule
# gives both at a glance. The derivative of $\log(1 - \sigma(a))$ is $-\sigma(a)$, that of $-\log \sigma(a)$ is
# $-(1 - \sigma(a))$, and $da/dx$ is $-d$ for both:
#
# $$ \text{saturating: } d\,A, \qquad \text{non-saturating: } d\,(1 - A). $$
#
# A confident opponent has $A \approx 0$. Then the one factor is zero and the other is one. It is the saturated unit of
# the first tutorial again: the sigmoid at $D$'s output is far out on its flat side, and $\log(1 - D)$ is flat with it.
# So the answer to the title is: *it depends on the loss*. The competition by itself keeps no gradient large.
#
# ## A real generator, a real opponent
#
# Now 64 pixels instead of a number. An untrained $G$ makes fake digits and stays frozen while $D$ trains. `gan.probe`
# stops at some steps and measures the gradient that each loss *would* send to $G$, through one and the same $D$.
#
# **Guess before you run:** after 200 steps, how far apart are the two?

# %%
guess = ...  # the ratio of the two

# %% tags=["hide-output"]
recipe = gan.GANRecipe.of("nonsaturating", "digits", arch="mlp", norm="none", width=64)
generator, discriminator = gan.players(recipe)
points = gan.probe(generator, discriminator, gan.real_data("digits"), latent=recipe.latent, samples=256, lr=5e-4,
                   steps=(0, 3, 10, 20, 30, 50, 100, 200))  # fmt: skip
for point in (points[0], points[-1]):
    told = ", ".join(f"{name} {point.norms[name]:.2g}" for name in ("saturating", "nonsaturating"))
    print(f"D after {point.step:3} steps is {point.confidence:.2%} sure of the truth; |gradient of G|: {told}")

figure, axes = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
doubt = [1 - point.confidence for point in points]
for loss, colour in (("nonsaturating", "tab:blue"), ("saturating", "tab:red")):
    axes.loglog(doubt, [point.norms[loss] for point in points], "o-", color=colour,
                label={"nonsaturating": "non-saturating"}.get(loss, loss))  # fmt: skip
axes.set(xlabel="what is left of D's doubt, 1 − confidence (D learns towards the right)", ylabel="|gradient of G|",
         title="Digits: a frozen generator, a discriminator that learns")  # fmt: skip
axes.invert_xaxis()
axes.legend()
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# The red line falls in step with $D$'s doubt; the blue one rises. The direction that $D$ could show never disappears,
# but the saturating loss multiplies it by next to nothing. That is why hardly anyone trains with it.
#
# </details>
#
# ## Two gradients are not one
#
# So a strong signal can arrive. Do the two players meet? Take the smallest game that there is (Mescheder et al. 2018
# [mescheder2018which]): all data are the number $0$. $G$ gives one number, $\theta$. $D$ is a line through the origin,
# $a(x) = \psi\,x$. Each player has one weight, and the only point of rest is $\theta = \psi = 0$. We let them play the
# original game, in which one player wins what the other loses. With $\mathrm{softplus}(a) = \log(1 + e^a)$, which is
# $-\log(1 - \sigma(a))$, each descends its own loss:
#
# $$ L_D = \mathrm{softplus}(-\psi \cdot 0) + \mathrm{softplus}(\psi\,\theta), \qquad
# L_G = -\mathrm{softplus}(\psi\,\theta). $$


# %%
def field(point):
    """Where the two want to go: (-dL_G/dθ, -dL_D/dψ), for any number of points (2, N) at once."""
    theta, psi = point[0], point[1]
    d_loss = tr.softplus(-psi * 0) + tr.softplus(psi * theta)
    g_loss = -tr.softplus(psi * theta)
    (for_g,) = tr.grad(g_loss.sum(), theta, create_graph=True)
    (for_d,) = tr.grad(d_loss.sum(), psi, create_graph=True)
    return -tr.stack([for_g, for_d])


jacobian = tr.jacobian(field, tr.tensor(np.zeros(2))).numpy()
eigenvalues = np.linalg.eigvals(jacobian)
print("Jacobian of the field at (0, 0):", jacobian.round(3).tolist())
print("its eigenvalues:", eigenvalues.round(3))

# %% [markdown]
# Look at the two numbers off the diagonal: $+\tfrac12$ and $-\tfrac12$. If both players went down *one* loss, this
# matrix of second derivatives would be symmetric: $\theta$ would do to the slope of $\psi$ what $\psi$ does to the
# slope of $\theta$. Its eigenvalues would be real, and following the field would end in a valley. Here they are
# $\pm i/2$, purely imaginary. There is no valley. Such a field *rotates*.
#
# **Guess before you run:** both start at $(1, 0)$ and take small steps along the arrows, at the same time. Do they
# spiral in, circle, or spiral out? What if they take turns, first $G$ and then $D$, which sees where $G$ has gone?

# %%
guess = ...  # in, round or out: at the same time; in turns

# %% tags=["hide-output"]
STEP, STEPS, GAMMA = 0.2, 150, 0.3


def simultaneous(point, who=(1.0, 1.0)):
    return point + STEP * field(tr.tensor(point, requires_grad=True)).numpy() * who


def alternating(point):
    return simultaneous(simultaneous(point, who=(1.0, 0.0)), who=(0.0, 1.0))


def damped(point):
    """The penalty R1, (γ/2) |dD/dx|² at the data: the slope of D is ψ everywhere, so D also descends γψ²/2."""
    return simultaneous(point) - STEP * GAMMA * point * [0.0, 1.0]


def path(step, start):
    points = [np.array(start)]
    for _ in range(STEPS):
        points.append(step(points[-1]))
    return np.array(points)  # (STEPS + 1, 2)


players = {"at the same time": simultaneous, "in turns": alternating, "with R1": damped}
factors = [dirac.simultaneous(0.5j, STEP), dirac.alternating(dirac.SLOPE, STEP),
           dirac.simultaneous(dirac.r1(GAMMA)[0], STEP)]  # fmt: skip
near = {name: np.linalg.norm(path(step, (0.01, 0.0)), axis=1) for name, step in players.items()}
ends = {name: distance[-1] / distance[0] for name, distance in near.items()}

# %% tags=["hide-input", "hide-output"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2), layout="constrained")
grid = np.stack(np.meshgrid(np.linspace(-1.8, 1.8, 13), np.linspace(-1.8, 1.8, 13))).reshape(2, -1)  # (2, 169)
arrows = field(tr.tensor(grid, requires_grad=True)).numpy()
left.quiver(*grid, *arrows, color="0.7", zorder=0)
for (name, step), factor, colour in zip(players.items(), factors, ("tab:red", "tab:blue", "tab:green"), strict=True):
    left.plot(*path(step, (1.0, 0.0)).T, color=colour, label=name)
    right.semilogy(0.01 * factor ** np.arange(STEPS + 1), color=colour, label=f"{name}: {factor:.4f} per step")
    right.semilogy(range(0, STEPS + 1, 5), near[name][::5], "o", markersize=3, color=colour)
left.plot(1, 0, "ks")
left.plot(0, 0, "k+", markersize=12)
left.set(xlabel="θ: the fake (data are 0)", ylabel="ψ: slope of D", xlim=(-1.9, 1.9), ylim=(-1.9, 1.9), aspect="equal",
         title="Arrows: where both want to go")  # fmt: skip
left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, fontsize=8, frameon=False)
right.set(xlabel="steps, from near the centre", ylabel="distance from the centre",
          title="Lines: what the eigenvalues say")  # fmt: skip
right.legend(fontsize=8)
plt.show()
for name, end in ends.items():
    print(f"{name}: {end:.3f} times as far after {STEPS} steps")

# %% [markdown]
# <details><summary>Answer</summary>
#
# At the same time they drift out, by a factor of $\sqrt{1 + h^2/4}$ per step, and a smaller step $h$ only slows this
# down. In turns they circle forever. Neither has done anything wrong: each gradient is exact, and each player does
# improve its own loss. But when the fake has reached the data, $D$ still leans, so it is pushed on, past the data, and
# $D$ has to lean the other way. (The non-saturating loss has the same eigenvalues.)
#
# </details>
#
# What helps is friction. The penalty R1 tells $D$ to be flat *where the data are*. That puts $-\gamma$ on the diagonal,
# the eigenvalues become $-\gamma/2 \pm \dots$, and the players spiral in. In tutorial 13 a real pair trains with it.
#
# `tinyres flow E1 E5` measures both laws more finely, with a Wasserstein loss, instance noise and others.

# %%
for loss, closed in (("saturating", saturation.saturating), ("non-saturating", saturation.non_saturating)):
    assert np.allclose(measured[loss], [closed(d) for d in distances], rtol=1e-6)
assert measured["saturating"][-1] < 1e-4 * measured["non-saturating"][-1]  # a strong opponent, d = 8
first, last = points[0].norms, points[-1].norms
assert last["saturating"] < 0.05 * first["saturating"]  # on digits D took one gradient away ...
assert last["nonsaturating"] > first["nonsaturating"]  # ... and not the other
assert np.allclose(sorted(eigenvalues.imag), [-0.5, 0.5], atol=1e-12)
assert np.allclose(eigenvalues.real, 0, atol=1e-12)  # no valley
assert np.isclose(ends["at the same time"], factors[0] ** STEPS, rtol=1e-2)  # out
assert 0.8 < ends["in turns"] < 1.25  # round
assert 0.5 < ends["with R1"] / factors[2] ** STEPS < 2  # in: the distance sways about the line
assert factors[2] ** STEPS < 0.05

# %% [markdown]
# ## Your turn
#
# Write the two gradients with pencil and paper. Two things have changed: the data are now the number $c$, and $G$ has
# the non-saturating loss, so that
#
# $$ L_D = \mathrm{softplus}(-\psi\,c) + \mathrm{softplus}(\psi\,\theta), \qquad
# L_G = \mathrm{softplus}(-\psi\,\theta), $$
#
# and $\mathrm{softplus}' = \sigma$. Return the direction in which each player *moves*, downhill on its own loss.
#
# ```python
# def moves(theta, psi, c):
#     return ..., ...  # of theta, of psi
#
# tr.exercise("11", moves)
# ```
#
# Next: a critic that is strong and still useful, and what it takes to keep it so.
