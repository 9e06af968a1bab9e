# %% [markdown]
# # 13 Can it draw, and how would you know?
#
# *It computes for about 15 seconds. From before: the non-saturating loss (11), R1 as friction (11), and why a penalty
# needs a gradient of a gradient (12).*
#
# It is time to let two real players play. $G$ is a DCGAN, whose transposed convolutions turn 32 random numbers into an
# image of $8 \times 8$ pixels; $D$ is the same upside down. The data are scikit-learn's 1,797 handwritten digits. The
# library does nearly all of that part. The hard part comes afterwards: *is it any good?* A classifier has an accuracy.
# What does a generator have?
#
# ## Let them play
#
# We train for eight hundred steps, with the non-saturating loss and R1. We keep what the generator draws from the same
# 8 noise vectors, at some steps along the way.
#
# **Guess before you run:** while the drawings get better, does $G$'s loss fall?

# %%
guess = ...  # yes or no

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

import tinyres as tr
from tinyres import gan
from tinyres.gan.metrics import frechet_distance, null_bias, precision_recall

threadpool_limits(1, user_api="blas")  # these matrix products are too small to be shared between cores

digits = gan.real_data("digits")
recipe = gan.GANRecipe.of("r1", "digits", width=16, steps=800, lr_g=1e-3, lr_d=1e-3, penalty_weight=1.0)
trainer = gan.prepare(recipe, digits)
N = len(digits) // 2  # 898: half of the real digits judge, the other half is judged for comparison
looks, drawn = (0, 50, 100, 200, 400, 800), {0: trainer.sample(N)}
for record in trainer.steps():
    if trainer.step in looks:
        drawn[trainer.step] = trainer.sample(N)
        print(f"step {trainer.step:3}: loss of D {record.d_loss:.2f}, of G {record.g_loss:.2f}")

# %% tags=["hide-input", "hide-output"]
figure, axes = plt.subplots(len(looks) + 1, 8, figsize=(6, 5.4), layout="constrained")
rows = {"real": digits.inputs[:8]} | {f"step {step}": drawn[step][:8] for step in looks}
for row, (name, images) in zip(axes, rows.items(), strict=True):
    for cell, image in zip(row, images, strict=True):
        cell.imshow(image[0], cmap="gray_r", vmin=-1, vmax=1)
        cell.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
figure.suptitle("Below the real ones, each column is one noise vector, as training goes on")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# The drawings turn into digits. The losses stay where they are, $G$'s near $\log 2$, $D$'s near $2 \log 2$: each is
# measured against an opponent that learned just as much.
#
# </details>
#
# Could we ask $D$ instead? How likely does it think it is that an image is real?

# %%
with tr.no_grad():
    shown = {"real": digits.inputs[:N], "step 100": drawn[100], "step 800": drawn[800]}
    believed = {name: tr.sigmoid(trainer.discriminator(tr.tensor(x))).mean().item() for name, x in shown.items()}
print("D on average:", ", ".join(f"{share:.3f} on {name}" for name, share in believed.items()))

# %% [markdown]
# One half, one half, one half. With R1's friction $D$ is a good teacher, whose *slope* points the right way, but it is
# no judge at all. A number that says how good $G$ is must come from outside the game.
#
# ## First yardstick: the distance to a real digit
#
# The first idea that comes to mind is the mean squared difference between generated images and real ones, pair by pair.
# Small is good. Before we trust it, we judge some fakes whose worth we *know*:
#
# - *real*, the other half of the real digits: nothing can be better;
# - *mean*, the same grey smudge every time, the average of all digits;
# - *ghosts*, drawn from a Gaussian with the same mean and covariance of the 64 pixels as the digits;
# - *parrot*, 50 digits of the other half, repeated;
# - *one digit*, nothing but ones.
#
# **Guess before you run:** which of the five does the squared difference like best?

# %%
guess = ...  # one of: real, mean, ghosts, parrot, one digit

# %% tags=["hide-output"]
rng = np.random.default_rng(0)
pixels = digits.inputs.reshape(len(digits), -1).astype("float64")  # (1797, 64)
order = rng.permutation(len(pixels))
judges, others = pixels[order[:N]], pixels[order[-N:]]
centre, covariance = judges.mean(axis=0), np.cov(judges.T)
ones = pixels[digits.targets == 1]
fakes = {
    "real": others,
    "mean": np.repeat(centre[None], N, axis=0),
    "ghosts": rng.multivariate_normal(centre, covariance, N),
    "parrot": others[rng.integers(50, size=N)],
    "one digit": ones[rng.integers(len(ones), size=N)],
} | {f"step {step}": drawn[step].reshape(N, -1).astype("float64") for step in looks[1:]}

squared = {name: ((made - judges[rng.permutation(N)]) ** 2).sum(axis=1).mean() for name, made in fakes.items()}
for name in ("real", "mean", "ghosts", "parrot", "one digit", "step 800"):
    print(f"{name:10} squared difference {squared[name]:5.1f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It likes the smudge best, and finds real digits *twice* as bad! That is no accident. Two independent draws $x, x'$
# from one distribution with covariance $C$ differ by $2 \operatorname{tr} C$ in the mean square, but a draw and the
# mean differ only by $\operatorname{tr} C$. If you train or judge by this number, you ask for smudges.
#
# </details>
#
# ## Second yardstick: compare the clouds, not the points
#
# It is better to take each set of images as a cloud of points, and to compare the means $m$ and covariances $C$ of the
# two clouds. That is the Fréchet distance (Heusel et al. 2017 [heusel2017gans]),
#
# $$ |m_a - m_b|^2 + \operatorname{tr}\left(C_a + C_b - 2\,(C_a^{1/2} C_b\, C_a^{1/2})^{1/2}\right). $$
#
# It is usually computed from the features of a large classifier, and is then called FID. Here the features are simply
# the 64 pixels, so no number below can be compared with a published one.
#
# What would a perfect generator score? Not $0$.
#
# **Guess before you run:** take two halves of the *real* digits, 898 each. Is their distance nearer to $0.003$, to
# $0.03$ or to $0.3$?

# %%
guess = ...  # 0.003, 0.03 or 0.3

# %% tags=["hide-output"]
sizes = np.array([75, 150, 300, 600, N])
between = np.array([np.mean([frechet_distance(*np.split(pixels[rng.permutation(len(pixels))[: 2 * n]], 2)).value
                             for _ in range(4)]) for n in sizes])  # fmt: skip
expected = np.array([null_bias(np.cov(pixels.T), n, n) for n in sizes])
floor = frechet_distance(judges, others).value
frechet = {name: frechet_distance(judges, made).value for name, made in fakes.items()}
print(f"real against real: {floor:.3f}; theory, for Gaussian clouds: {expected[-1]:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
left.loglog(sizes, expected, color="tab:green", label="theory, for Gaussian clouds: ∝ 1/N")
left.loglog(sizes, between, "o", color="tab:green", label="measured")
left.set(xlabel="images on each side, N", ylabel="Fréchet distance", title="Real digits against real digits")
left.legend()
steps = np.array([record.step + 1 for record in trainer.history])
smooth = np.convolve([record.g_loss for record in trainer.history], np.full(25, 1 / 25), "valid")
right.semilogy(steps[24:], smooth, color="tab:orange", label="G's loss, mean over 25 steps")
right.semilogy(looks[1:], [frechet[f"step {step}"] for step in looks[1:]], "o-", color="tab:blue",
               label="Fréchet distance to real digits")  # fmt: skip
right.axhline(floor, color="tab:green", linestyle="--", label="real against real")
right.set(xlabel="step", title="Only one of the two says that it learns")
right.legend()
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# To $0.3$: 898 images are few for the covariances of 64 pixels.
#
# </details>
#
# So a distance means nothing without the number of images and the distance that *real* images have at that number.
# Never compare two of them at different $N$: more images look like a better generator.
#
# ## Third yardstick: two numbers instead of one
#
# A set of fakes can be wrong in two ways. They may look unreal, or something real may be missing among them.
# *Precision* is the share of fakes that lie among the real ones, and *recall* is the share of real ones that lie among
# the fakes (Kynkäänniemi et al. 2019 [kynkaanniemi2019improved]; "among" means no further from a point than its third
# neighbour). And since these are digits, we can ask a nearest-neighbour classifier which digit each is, and look at the
# rarest.
#
# **Guess before you run:** which of the *bad* fakes does Fréchet call perfect? And which yardstick exposes the parrot?

# %%
guess = ...  # a fake; a yardstick

# %% tags=["hide-output"]
reader = KNeighborsClassifier(3).fit(pixels, digits.targets)
balls = {name: precision_recall(judges, made) for name, made in fakes.items()}
rarest = {name: np.bincount(reader.predict(made), minlength=10).min() / N for name, made in fakes.items()}
print("            squared  Fréchet  precision   recall  rarest digit")
for name in fakes:
    print(f"{name:10} {squared[name]:8.1f} {frechet[name]:8.2f} {balls[name].precision:9.2f} {balls[name].recall:8.2f} "
          f"{rarest[name]:12.1%}")  # fmt: skip

# %% tags=["hide-input", "hide-output"]
figure, axes = plt.subplots(3, 10, figsize=(7.5, 2.7), layout="constrained")
for row, name in zip(axes, ("real", "ghosts", "step 800"), strict=True):
    for cell, image in zip(row, fakes[name][:10].reshape(-1, 8, 8), strict=True):
        cell.imshow(image, cmap="gray_r", vmin=-1, vmax=1)
        cell.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"{name}\nFréchet {frechet[name]:.2f}", rotation=0, ha="right", va="center")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# Look at the ghosts. Fréchet calls them perfect, better than real ones and than anything our generator drew, and they
# are scribbles in fog. It sees mean and covariance, and these *are* right: they were copied from the judges. Precision
# exposes them. The parrot is as precise as real digits, and recall exposes it. A generator of nothing but ones is
# precise, too, and again recall exposes it, or the rarest digit. Even the smudge is precise: it lies in the middle of
# everything. Each yardstick is blind to something. If you report a single one, you choose what not to see.
#
# </details>
#
# After a few seconds our generator draws all ten digits, about evenly, at some five times the distance of real ones;
# but most of what it draws is not quite a digit yet. Set `steps=3000` above and wait for half a minute: its distance
# falls to 0.54, precision rises to 0.57 and recall to 0.73. `tinyres gan train --data digits` trains a wider pair for a
# minute, and prints all of this in the features of a classifier.
#
# One more yardstick is common where data have *modes*, clear-cut kinds, such as a ring of tight spots: count the modes
# that a generator hits at all (leaving some out is *mode collapse*). It is blind as well: one lucky sample per spot is
# enough. `tinyres flow E18` counts good samples as well as modes, for three methods; `tinyres flow E13` compares each
# metric with closed forms.

# %%
trained = frechet["step 800"]
assert trained < 0.2 * frechet["step 50"]  # it learned ...
assert np.abs(smooth - np.log(2)).max() < 0.35  # ... which G's loss does not say ...
assert max(abs(share - 0.5) for share in believed.values()) < 0.1  # ... nor D ...
assert trained > 1.5 * floor  # ... and is not perfect
assert rarest["step 800"] > 0.02  # all ten digits
assert abs(squared["real"] / squared["mean"] - 2) < 0.1  # the squared difference likes the smudge, twice over
assert np.allclose(between, expected, rtol=0.25)  # real against real is not 0, and falls as 1/N
assert frechet["ghosts"] < 1.5 * floor  # fog passes for real ...
assert balls["ghosts"].precision < 0.5 * balls["real"].precision  # ... and precision sees it
for name in ("parrot", "one digit"):
    assert balls[name].precision > 0.8
    assert balls[name].recall < 0.5

# %% [markdown]
# ## Your turn
#
# Forge some points. You are given points of a ring of eight tight spots, an array $(N, 2)$ (the ring may be moved and
# bent). Return the same number of fakes: the Fréchet distance must not be able to tell them from real points, but
# hardly any of them may lie on a spot.
#
# ```python
# def forge(real):
#     return ...  # (N, 2)
#
# tr.exercise("13", forge)
# ```
#
# Next: popular claims about all this, put to the test.
