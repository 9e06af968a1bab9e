# %% [markdown]
# # 14 Which of these claims survives a measurement?
#
# *It computes for about 6 seconds. From before: what a deep net does to its gradient (06, 07), the two losses of a GAN
# (11), and how a generator is judged (13).*
#
# Much of what is written about deep nets is repeated, not measured. Listings are copied that cannot have run; sentences
# are copied that sound right. This tutorial takes some that circulate widely. We run each listing and read its first
# error. Each claim gets one decisive number.
#
# **Guess before you run:** true or false, and why?
#
# 1. Non-linear activations make gradients vanish.
# 2. A GAN's competition keeps its gradients large: the better the adversary, the better the signal.
# 3. A shortcut that starts *after* the convolution is still a shortcut.
# 4. Residual nets learn adversarially: skip and branch compete, like the players of a GAN.
# 5. The mean squared error between real and generated images tells how good a generator is.
# 6. One optimiser on `d_loss + g_loss` trains both players of a GAN.

# %%
guess = ...  # six times true or false, and why

# %% [markdown]
# ## Listings that stop
#
# They are in tinyres as functions, shortened to what matters, each with its fix.

# %%
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres.lab.claims.listings import LISTINGS, error_of, mended
from tinyres.lab.registry import EXPERIMENTS, Options

for listing in LISTINGS:
    print(listing.wrong)

# %% [markdown]
# **Guess before you run:** what is the first error of each?

# %%
guess = ...  # four operations that complain

# %% tags=["hide-output"]
errors = {listing.wrong: error_of(listing, seed=0) for listing in LISTINGS}
for listing in LISTINGS:
    print(f"* {listing.wrong}\n  {errors[listing.wrong]}\n  fix: {listing.fix}\n")

# %% [markdown]
# An error is the best kind of failure. It stops at the first wrong line, and names the operation, what it got and what
# it needed. Look at the first of the four once more, with a net of two numbers. It is the most common of all:

# %%
d, g = tr.tensor(0.5, requires_grad=True), tr.tensor(-0.3, requires_grad=True)  # a discriminator and a generator
fake = g * 1.0
loss = tr.softplus(d * fake)
loss.backward()
try:
    loss.backward()  # "now for the generator"
    stopped = ""
except RuntimeError as error:
    stopped = str(error)
    print(stopped)
print("\nand the generator's gradient was there after the first:", g.grad is not None)

# %% [markdown]
# The fix that everyone finds is `retain_graph=True`. Now it runs, and is wrong: the second `backward()` *adds*, so both
# players have the gradient twice. And the generator had already been sent where the *discriminator's* loss wants it.
# Which gradient do you want, of which loss, for whose parameters? `tr.grad(loss, parameters)` makes you say it.
#
# ## A listing that runs
#
# A listing that runs is the dangerous kind. With *one optimiser on* `d_loss + g_loss` the loss falls, and there is no
# error. Data are $N(0, 1)$, fakes $N(2, 1)$, and the discriminator is trained until nothing changes.
#
# **Guess before you run:** how likely does it then think it is that a fake is real?

# %%
guess = ...  # the mean of D on fakes

# %% tags=["hide-output"]
run = {}  # what each experiment found


def laws(name):
    """Run one of the library's experiments, once; its figures by name."""
    if name not in run:
        run[name] = EXPERIMENTS[name].run(Options(), lambda: None)
    return {law.name: law for law in run[name].laws}


for name in ("L_D = -V: D's right answers", "one sum, log(1 - D): mean D on fakes after training",
             "one sum, -log D: share of points that the best D calls fake",
             "one sum: asymmetry of the field's Jacobian",
             "two losses: asymmetry"):  # fmt: skip
    print(f"{name:62} {laws('claim-signs')[name].measured:.3f}")

figure = plt.figure(figsize=(9, 4), layout="constrained")
run["claim-signs"].figures[""](figure)
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# $V$ is the value of the game (12), and $L_D = -V$ is the loss that $D$ should descend: the green curve. (The red one
# is a listing with both signs swapped.) With `log(1 - D)` the two losses cancel on fakes: what is left asks $D$ to call
# *everything* real, and it does so. With $-\log D$ the sum has a best $D$, $(p + q)/(p + 2q)$ for the densities $p$ of
# data and $q$ of fakes. That is never below one half: no fake is ever called a fake. Two players became two helpers.
# The last lines say it in one number. Take the matrix that says how each parameter's step changes with each parameter.
# If all of them descend *one* loss, it is symmetric. In a game it is not.
#
# </details>
#
# ## Claims, with one number each
#
# The library has an experiment for each of these claims (`tinyres flow --list`). We run four of them, and pick the
# figures that decide.

# %% tags=["hide-output"]
LAYERS = 50
slopes = {"linear, s_w²=0.5": "linear net", "tanh, critical, s_w²=1.76": "tanh net, critical"}
decisive = {}  # name: measured, predicted
for key, words in slopes.items():
    law = laws("claim-nonlinear")[f"{key}: ln of gradient² per layer"]
    decisive[f"{words}, {LAYERS} layers"] = np.exp(LAYERS * law.measured), np.exp(LAYERS * law.predicted)
for key, words in (
    ("true block", "x + F(x), 20 blocks"),
    ("shortcut after the convolution", "shortcut after the conv"),
):
    law = laws("claim-late-shortcut")[f"{key}: squared gradient after 20 blocks"]
    decisive[words] = law.measured, law.predicted
for key in ("saturating", "non-saturating"):
    law = laws("claim-competition")[f"d=8, D trained 600 steps: {key} gradient"]
    decisive[f"GAN, d = 8, {key}"] = law.measured, law.predicted
for name, (measured, predicted) in decisive.items():
    print(f"{name:28} measured {measured:9.2e}   predicted {predicted:9.2e}")

# %% tags=["hide-output"]
figure, axes = plt.subplots(figsize=(8.5, 3.4), layout="constrained")
for k, (measured, predicted) in enumerate(decisive.values()):
    axes.plot([predicted, predicted], [k - 0.35, k + 0.35], color="0.3", label="theory" if k == 0 else None)
    axes.semilogx(measured, k, "o", color=f"C{k // 2}", ms=8, label="measured" if k == 0 else None)
axes.axvline(1, color="0.8", zorder=0)
axes.set(yticks=range(len(decisive)), yticklabels=list(decisive), ylim=(len(decisive) - 0.5, -0.5),
         xlabel="the gradient that arrives (squared, for nets)", title="Three claims, one pair each")  # fmt: skip
axes.legend(loc="center left")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# 1. **False.** The *linear* net is the one that vanishes, to $2^{-50}$, since its weights have variance $1/2$. The tanh
#    net with the right weights passes nearly everything on. What decides is the gain of a layer. (Sigmoid nets
#    vanish at every usual $s_w^2$: up to 16 they must, since the slope is at most $1/4$, and they do up to 103.)
# 2. **The wrong way round.** Eight standard deviations apart, a nearly perfect discriminator leaves the saturating loss
#    $4 \cdot 10^{-4}$. What helps is another loss for $G$, with the very same adversary: 8. (In tutorial 11 it was
#    perfect on paper; this one was trained, with the same result.)
# 3. **False.** All weights were made half as large. The $x$ of the true block is not affected: $(1 + 1/16)^{20} = 3.4$.
#    Behind a convolution the 'shortcut' is part of the only route, and the net is a plain one: $(17/64)^{20}$.
#
# </details>
#
# The fourth claim is about that matrix again, of a small residual net and of the smallest GAN:

# %% tags=["hide-output"]
for name in ("residual net: asymmetry of the update field's Jacobian", "Dirac-GAN: asymmetry"):
    print(f"{name:56} {laws('claim-adversarial')[name].measured:.1e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# 4. **False.** Zero, but for rounding. All parameters of a residual net descend one loss; nobody competes.
# 5. **False, by a factor of two.** Tutorial 13 measured it: the same grey smudge every time has half the error of
#    *real* digits. The error penalises variety, which is what one wants from a generator.
# 6. **False**, as we saw.
#
# </details>
#
# These are six plausible sentences. None of them is true as it stands, and a run of a few seconds refutes each. The
# habit is worth more than the list: if this were true, what number would have to come out?

# %%
assert all(listing.mentions in errors[listing.wrong] for listing in LISTINGS)
assert all(mended(listing, seed=0) for listing in LISTINGS)
assert "retain_graph" in stopped
assert all(law.ok for result in run.values() for law in result.laws)  # every figure is where theory has it
assert decisive["linear net, 50 layers"][0] < 1e-14 < 0.5 < decisive["tanh net, critical, 50 layers"][0]
assert decisive["shortcut after the conv"][0] < 1e-11 < 1 < decisive["x + F(x), 20 blocks"][0]
assert decisive["GAN, d = 8, saturating"][0] < 1e-3 < 1 < decisive["GAN, d = 8, non-saturating"][0]

# %% [markdown]
# ## Your turn
#
# Fix this listing. It should return the gradients of *both* losses from one batch of fakes: that of $D$'s loss for
# $D$'s parameters, and that of $-\log D(G(z))$ for $G$'s. It has three faults; one of them raises an error.
#
# ```python
# import numpy as np
# import tinyres as tr
# from tinyres import nn
#
# def gradients(G, D, reals, z):
#     bce = nn.BCEWithLogitsLoss()  # of logits, which is what D gives: (N, 1)
#     fakes = G(z)
#     ones, zeros = tr.tensor(np.ones((len(z), 1))), tr.tensor(np.zeros((len(z), 1)))
#     d_loss = bce(D(reals), ones) + bce(D(fakes), zeros)
#     d_loss.backward()
#     g_loss = bce(D(fakes), zeros)
#     g_loss.backward()
#     return [p.grad for p in D.parameters()], [p.grad for p in G.parameters()]
#
# tr.exercise("14", gradients)
# ```
#
# Next: what one single thread of a GPU does.
