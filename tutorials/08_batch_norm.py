# %% [markdown]
# # 08 What is batch norm's real job?
#
# *It computes for about 8 seconds. From before: the factor $\chi$ per layer (06), and $m^2 + a^2$ for a block
# $m x + a F(x)$ (07).*
#
# Batch norm takes each unit of a layer, and shifts and scales its values so that over the batch they have mean 0 and
# variance 1 (Ioffe & Szegedy 2015 [ioffe2015batch]):
#
# $$ \hat x = \frac{x - \text{mean}(x)}{\sqrt{\text{var}(x)}}. $$
#
# After that no signal can vanish, and none can explode: it is set to 1 again at every layer. So nobody should need to
# worry about initialisation, or about depth.
#
# **Guess before you run:** forty plain layers, each of batch norm, ReLU and a He matrix. A gradient of size 1 arrives
# at the top. How large is its square at the bottom: about 1, less, or more?

# %%
guess = ...  # a power of ten

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import data, nn, optim

WIDTH = BATCH = 256
DEPTH, NETS = 40, 3
V = 1 - 1 / np.pi  # the variance that settles in the plain net; the next section says why


def layer(x, w):
    """Batch norm, ReLU, and a He matrix; w from N(0, 1)."""
    return tr.relu(tr.batch_norm(x)) @ (np.sqrt(2 / WIDTH) * w)


kinds = {
    "no norm, residual": lambda x, w: x + tr.relu(x) @ (np.sqrt(2 / WIDTH) * w),
    "batch norm, plain": layer,
    "batch norm, residual": lambda x, w: x + layer(x, w),
}


def log_gradients(block, matrices, rng, variance=1.0):
    """ln of the squared gradient at the input, relative to that at the output of block l = 0, 1, ..., L."""
    states = [tr.tensor(np.sqrt(variance) * rng.standard_normal((BATCH, WIDTH)), requires_grad=True)]
    for w in matrices:
        states.append(block(states[-1], w))
    gradients = tr.grad(states[-1], states, rng.standard_normal((BATCH, WIDTH)))  # for each sample one of its own
    logs = np.log([(g.numpy() ** 2).sum() for g in gradients])
    return logs[0] - logs


logs = {kind: [] for kind in kinds}
for seed in range(NETS):
    rng = np.random.default_rng(seed)
    matrices = rng.standard_normal((DEPTH, WIDTH, WIDTH))
    for kind, block in kinds.items():
        logs[kind].append(log_gradients(block, matrices, rng, V if "plain" in kind else 1.0))
curves = {kind: np.mean(found, axis=0) for kind, found in logs.items()}
print(f"batch norm, plain, {DEPTH} layers: {np.exp(curves['batch norm, plain'][-1]):.1e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# Millions. Forwards everything is in order, but backwards it explodes, faster than any net of 06. Batch norm does not
# preserve the gradient.
#
# </details>
#
# ## 1.467
#
# To see why, follow one unit. It comes out of batch norm, so it is $z \sim N(0, 1)$. ReLU keeps the positive half, with
# a mean square of $\frac12$; He's factor 2 makes it 1 again. So far, so good. But ReLU's output is never negative. It
# has a *mean*, and the mean is the same for each sample of the batch. The next batch norm subtracts it. What is left of
# the 1 is
#
# $$ v = 2\left(\tfrac12 - \Big(\tfrac{1}{\sqrt{2\pi}}\Big)^2\right) = 1 - \frac1\pi = 0.68, $$
#
# and batch norm stretches *that* to 1. A map that stretches by $1/\sqrt v$ forwards stretches gradients by as much
# backwards. Matrix and ReLU keep the squared gradient, batch norm multiplies it by $1/v = \pi/(\pi - 1)$:

# %%
rng = np.random.default_rng(0)
h = tr.relu(tr.batch_norm(tr.tensor(5 + 3 * rng.standard_normal((4096, 256)))))  # whatever came in
v = 2 * h.numpy().var(axis=0).mean()
per_layer = np.exp(np.polyfit(np.arange(DEPTH + 1), curves["batch norm, plain"], 1)[0])
print(f"variance that the next batch norm finds: {v:.3f} (theory {V:.3f})")
print(f"1 / {v:.3f} = {1 / v:.3f}; measured per layer: {per_layer:.3f} (theory {1 / V:.4f})")

# %% [markdown]
# $1.467^{40}$ is $4.5$ million. It is not a matter of initialisation. No weights help: batch norm undoes their scale.
#
# ## Add a skip connection
#
# Now put the same layer into a branch, $x + F(x)$. In 07 this did not prevent an explosion: a branch as strong as the
# skip connection gives $2^L$.
#
# **Guess before you run:** forty such blocks, branches *with* batch norm. Their curve will lie between two curves of
# 07, $2^{40} = 10^{12}$ and the flat one. Nearer to which?

# %%
guess = ...  # the squared gradient after 40 blocks

# %% tags=["hide-output"]
blocks = np.arange(1, DEPTH + 1)
theory = {
    "no norm, residual": 2.0**blocks,
    "batch norm, plain": (1 / V) ** blocks,
    "batch norm, residual": np.cumprod(1 + 1 / (1 + (blocks - 1) * V)),
}
share = {False: [], True: []}  # with batch norm: the squared branch over the squared skip, block by block
for norm, found in share.items():
    rng = np.random.default_rng(0)
    x = tr.tensor(rng.standard_normal((BATCH, WIDTH)))
    for _ in range(DEPTH):
        y = kinds["batch norm, residual" if norm else "no norm, residual"](x, rng.standard_normal((WIDTH, WIDTH)))
        found.append(((y - x).numpy() ** 2).mean() / (x.numpy() ** 2).mean())
        x = y

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.1), layout="constrained")
for kind, colour in zip(kinds, ("tab:red", "tab:orange", "tab:blue"), strict=True):
    left.loglog(blocks, theory[kind], color=colour, lw=1)
    left.loglog(blocks, np.exp(curves[kind][1:]), "o", color=colour, markersize=4, label=kind)
left.set(xlabel="blocks, L", ylabel="squared gradient, input over top", ylim=(0.7, 1e13),
         title="Straight is a power of L,\nbent upwards an exponential")  # fmt: skip
left.legend(fontsize=8, loc="upper left")
right.loglog(blocks, 1 / blocks, color="tab:blue", lw=1)
right.loglog(blocks, share[True], "o", color="tab:blue", markersize=4, label="batch norm: 1/l")
right.loglog(blocks, np.ones(DEPTH), color="tab:red", lw=1)
right.loglog(blocks, share[False], "o", color="tab:red", markersize=4, label="no norm: 1")
right.set(xlabel="block l, from the input", ylabel="squared branch over squared skip",
          title="How strong the branch is\ncompared with the skip")  # fmt: skip
right.legend(fontsize=8, loc="lower left")
plt.show()
print(f"batch norm, residual, {DEPTH} blocks: {np.exp(curves['batch norm, residual'][-1]):.0f}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# About a hundred, where the other two have millions and a trillion. And it is a straight line: a *power* of the depth,
# $L^{1.47}$, not an exponential. Two things that each explode tame each other.
#
# </details>
#
# How?
#
# Look at the right figure. Nothing resets the skip connection. Each block adds its $v$ to it, so the sum that arrives
# at block $l$ has variance $1 + (l-1)\,v$: it grows, slowly, by adding. The branch begins with batch norm, which
# divides by exactly that. So its output always has the same size, while the sum gets larger and larger: a share of
# $1/l$. The same division happens backwards. The branch multiplies the squared gradient by
#
# $$ r_l = \frac{1}{1 + (l-1)\,v}, \qquad\text{the block by}\quad 1 + r_l, \qquad\text{all blocks by}\quad
# \prod_{l=1}^{L} (1 + r_l) \approx (L v)^{1/v}. $$
#
# That is the $a^2 = 1/L$ of 07 in disguise: in deep blocks the branch is a small correction, the block is nearly the
# identity, paths are short. De & Smith 2020 [de2020batch] call it *the* reason why batch norm and residual nets go
# together.
#
# ## Does it decide who trains?
#
# If so, one should be able to leave batch norm out, *multiply* the branch by a small number, and still train. We train
# four nets of 32 blocks on digits, with the same learning rate, for 80 steps: batch norm without the skip connection,
# the skip connection without batch norm, both, and the skip connection with a small number before the branch.
#
# **Guess before you run:** which of the four learn?

# %%
guess = ...  # which ones?

# %% tags=["hide-output"]
LAYERS, UNITS, RATE, STEPS, SEEDS = 32, 32, 0.03, 80, 2
train = data.digits(seed=0).train


def net(kind, rng):
    """32 blocks of ReLU and a matrix, on 64 pixels; `kind` says with or without norm, skip connection, 1 / sqrt(32)."""

    def block():
        linear = nn.Linear(UNITS, UNITS, rng=rng)
        nn.init.kaiming_normal_(linear.weight, rng=rng)
        norm = [nn.BatchNorm1d(UNITS)] if "batch norm" in kind else []
        small = [nn.Scale(LAYERS**-0.5)] if "1/√L" in kind else []
        branch = nn.Sequential(*norm, nn.ReLU(), linear, *small)
        return branch if "plain" in kind else nn.Residual(branch)

    first = nn.Sequential(nn.Flatten(), nn.Linear(64, UNITS, rng=rng))
    last = [nn.BatchNorm1d(UNITS)] if "batch norm" in kind else []
    return nn.Sequential(first, *(block() for _ in range(LAYERS)), *last, nn.Linear(UNITS, 10, rng=rng))


def losses(model, rng):
    """The training loss at each step; training stops when the loss has exploded."""
    optimizer, criterion, found = optim.SGD(model.parameters(), lr=RATE, momentum=0.9), nn.CrossEntropyLoss(), []
    for _ in range(STEPS):
        batch = rng.integers(len(train), size=64)
        loss = criterion(model(tr.tensor(train.inputs[batch])), tr.tensor(train.targets[batch]))
        found.append(loss.item())
        if not found[-1] < 10 * (1 + found[0]):  # NaN is not below anything
            break
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return found


trained = {}
for kind in ("batch norm, plain", "no norm, residual", "batch norm, residual", "no norm, residual, 1/√L"):
    for seed in range(SEEDS):
        with np.errstate(all="ignore"):  # what explodes shows in the loss
            rng = np.random.default_rng(seed)
            trained.setdefault(kind, []).append(losses(net(kind, rng), rng))

# %% tags=["hide-input", "hide-output"]
final = {kind: np.mean([np.mean(run[-10:]) if len(run) == STEPS else np.inf for run in runs])
         for kind, runs in trained.items()}  # fmt: skip
colours = ("tab:orange", "tab:red", "tab:blue", "tab:green")
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for (kind, runs), colour in zip(trained.items(), colours, strict=True):
    for i, run in enumerate(runs):
        label = f"{kind}: {final[kind]:.2f}" if np.isfinite(final[kind]) else f"{kind}: explodes at once"
        marker = "-" if len(run) == STEPS else "X"
        axes.semilogy(run, marker, color=colour, lw=1.3, label=None if i else label)
axes.axhline(np.log(10), color="0.6", linestyle="--")
axes.text(STEPS - 1, np.log(10) * 1.1, "guessing", color="0.4", ha="right")
axes.set(xlabel="step", ylabel="training loss", ylim=(0.03, 1e5), title="Digits, 32 blocks: two nets of each kind")
axes.legend(fontsize=8, loc="upper right")
plt.show()

# %% [markdown]
# <details><summary>Answer</summary>
#
# Batch norm without the skip connection hardly gets off the ground. The skip connection without batch norm starts at a
# loss of thousands, and diverges in the first step. Together they train. And the skip connection with a small number,
# without any norm, trains as well.
#
# </details>
#
# So it is the *small branch* that makes depth possible; batch norm is one way to get it.
#
# That is not all that batch norm does. It allows larger learning rates, its noise regularises a little
# (`tinyres flow claim-batch-norm` measures both), and it forgives weights of the wrong size. But the story that it is
# in the block "against overfitting", or to keep each layer's input in shape, leaves out what happens in the second
# figure.

# %%
last = np.array(logs["batch norm, residual"])[:, -1]
error = last.std(ddof=1) / np.sqrt(NETS)
assert abs(last.mean() - np.log(theory["batch norm, residual"][-1])) < max(0.1, 3 * error)  # 10 % of the gradient
assert abs(per_layer - 1 / V) < 0.03 / V
assert abs(v - V) < 0.01
assert curves["batch norm, residual"][-1] < np.log(200) < np.log(1e6) < curves["batch norm, plain"][-1]
assert abs((np.array(share[True]) * blocks).mean() - 1) < 0.1
assert abs(np.mean(share[False]) - 1) < 0.1
assert max(final["batch norm, residual"], final["no norm, residual, 1/√L"]) < np.log(10) / 4
assert final["batch norm, plain"] > np.log(10) / 2
assert final["no norm, residual"] == np.inf

# %% [markdown]
# ## Your turn
#
# Batch norm's gradient is the one that is written wrong most often, because the batch's mean and variance also move
# when an element moves. Write it, with one unit per column: `x` and `g` have shape `(N, C)`, `g` is what arrives at
# $\hat x = (x - \text{mean})/\sqrt{\text{var} + \varepsilon}$, with the mean and the variance of the batch (divided by
# $N$).
#
# ```python
# def batch_norm_backward(x, g, eps):
#     return ...  # (N, C)
#
# tr.exercise("08", batch_norm_backward)
# ```
#
# Next: the relatives of the residual net, and what replaces $m^2 + a^2$ in each of them.
