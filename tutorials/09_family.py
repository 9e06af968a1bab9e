# %% [markdown]
# # 09 What do the relatives of the residual net do with the gradient?
#
# *It computes for about 8 seconds. From before: a skip connection $m x$ and a branch $a F(x)$ multiply the squared
# gradient by $m^2 + a^2$ (07).*
#
# Residual nets have a family. In all of them a second route bypasses the layer. They differ in what they do where the
# routes meet:
#
# | net | block | skip $m$ | branch $a$ |
# |---|---|---|---|
# | ResNet | $x + F(x)$ | $1$ | $1$ |
# | Highway | $(1 - T)\,x + T\,F(x)$ | $1 - T$ | $T$ |
# | squeeze-and-excitation | $x + s\,F(x)$ | $1$ | $s$ |
# | DenseNet | $[x,\, F(x)]$, side by side | - | - |
#
# $T$ and $s$ are *gates*: numbers between 0 and 1 from a sigmoid, which the net learns and which depend on the input.
# By now we know how to read such a table. Let us see how far $m^2 + a^2$ takes us.
#
# ## Highway: a gate that decides
#
# At each unit the gate decides: take the old value, or the new, or mix (Srivastava et al. 2015
# [srivastava2015training]). It looks like the fairest of all designs; the two shares sum to 1.
#
# **Guess before you run:** the gates start half open, $T = \frac12$, and the branch has gain 1. What is left of a
# gradient of length 1 after 50 layers? And if the gates start nearly closed, $T = \sigma(-4) = 0.02$?

# %%
guess = ...  # two lengths, for T = 0.5 and T = 0.02

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres import data, flow, models, nn, optim

WIDTH, SAMPLES, LAYERS, NETS, BIASES = 128, 8, 50, 8, (0.0, -1.0, -2.0, -4.0)


def sigmoid(bias):
    return 1 / (1 + np.exp(-bias))


def gain(bias):
    """(1 - T)² + T²: what a layer multiplies the squared gradient by, in theory."""
    return (1 - sigmoid(bias)) ** 2 + sigmoid(bias) ** 2


def gaussian(layer, variance, rng):
    """The layer, with weights from N(0, variance / WIDTH)."""
    nn.init.normal_(layer.weight, std=np.sqrt(variance / WIDTH), rng=rng)
    return layer


def highway_net(bias, rng):
    """50 times nn.Highway, with branches of gain 1. The gates have no weights, so T is the sigmoid of the bias."""

    def layer():
        one, two, gate = (nn.Linear(WIDTH, WIDTH, bias=k == 2, rng=rng) for k in range(3))
        nn.init.zeros_(gate.weight)
        nn.init.constant_(gate.bias, bias)
        return nn.Highway(nn.Sequential(gaussian(one, 2.0, rng), nn.ReLU(), gaussian(two, 1.0, rng)), gate)

    return nn.Sequential(*(layer() for _ in range(LAYERS))).to("float64").requires_grad_(False)


def squared_gradients(net, x, rng):
    """The squared gradient 0, 1, 2, ... layers below the top, relative to the top: mean over the samples."""
    states = [tr.tensor(x, requires_grad=True)]
    for layer in net:
        states.append(layer(states[-1]))
    gradients = tr.grad(states[-1], states, rng.standard_normal(states[-1].shape))
    squared = np.array([(g.numpy() ** 2).reshape(len(x), -1).sum(axis=1) for g in gradients[::-1]])
    return (squared / squared[0]).mean(axis=1)


length = {}
for bias in BIASES:
    found = []
    for seed in range(NETS):
        rng = np.random.default_rng(seed)
        found.append(squared_gradients(highway_net(bias, rng), rng.standard_normal((SAMPLES, WIDTH)), rng))
    length[bias] = np.mean(found, axis=0) ** 0.5
for bias in (0.0, -4.0):
    print(f"bias {bias:2g}, T = {sigmoid(bias):.3f}: {length[bias][-1]:.1e} is left after {LAYERS} layers")

# %% [markdown]
# <details><summary>Answer</summary>
#
# A few $10^{-8}$ from half-open gates, and about $0.4$ from nearly closed ones. Half and half is the *worst* choice.
#
# </details>
#
# With $T = \frac12$ the skip connection carries $\frac12 g$, and the branch carries something random of length
# $\frac12 |g|$, at a right angle. Squares add: $\frac14 + \frac14 = \frac12$ per layer. An average of two independent
# things is smaller than either; that is what averages are for.
#
# In general a layer multiplies by $(1 - T)^2 + T^2$. That is 1 at either end, and less than 1 in between. The fix is
# one number: begin with a negative bias, so that the gates start closed and the layer starts as (nearly) the identity.
# The gate learns to open where that pays. Does such a small thing decide whether a net trains? We train four Highway
# nets of 30 layers on digits, from the same weights, with the same learning rate.

# %%
STEPS, RATE, TRAINED_LAYERS = 150, 0.05, 30
train = data.digits(seed=0).train
runs = {}


def losses(model, rng):
    """The training loss at each step."""
    optimizer, criterion, found = optim.SGD(model.parameters(), lr=RATE, momentum=0.9), nn.CrossEntropyLoss(), []
    for _ in range(STEPS):
        batch = rng.integers(len(train), size=64)
        loss = criterion(model(tr.tensor(train.inputs[batch])), tr.tensor(train.targets[batch]))
        found.append(loss.item())
        model.zero_grad()
        loss.backward()
        optimizer.step()
    return found


for bias in BIASES:
    model = models.highway_mlp(TRAINED_LAYERS, 32, in_channels=1, gate_bias=bias, rng=0)
    runs[bias] = losses(model, np.random.default_rng(0))
final = {bias: np.mean(run[-10:]) for bias, run in runs.items()}

# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
below = np.arange(LAYERS + 1)
for k, bias in enumerate(BIASES):
    left.semilogy(below, gain(bias) ** (below / 2), color=f"C{k}", lw=1)
    label = f"bias {bias:g}: T = {sigmoid(bias):.2f}"
    left.semilogy(below[::5], length[bias][::5], "o", color=f"C{k}", markersize=4, label=label)
    right.plot(runs[bias], color=f"C{k}", lw=1.3, label=f"bias {bias:g}: {final[bias]:.2f}")
left.set(xlabel="Highway layers below the top", ylabel="length of the gradient", ylim=(1e-9, 3),
         title="At the start: dots measured,\nlines ((1 − T)² + T²) to the layers / 2")  # fmt: skip
left.legend(fontsize=8)
right.axhline(np.log(10), color="0.6", linestyle="--")
right.set(xlabel="step", ylabel="training loss", ylim=(0, 2.7), title=f"Digits, {TRAINED_LAYERS} layers:\nfour biases")
right.legend(fontsize=8, loc="lower left")
plt.show()

# %% [markdown]
# It does. A single bias, the same for all units, separates a net that guesses forever from one that learns.
#
# You may know this from elsewhere. The forget gate of an LSTM carries its cell from step to step as $T$ carries $x$
# here, and the folklore "start the forget bias at 1 or 2" is the same arithmetic, over time in place of depth.
#
# ## The third route
#
# A gate depends on $x$ as well. So there is a third way back: through the branch, past both, *and through the gate*,
#
# $$ g_x = \underbrace{(1 - T)\, g}_{\text{skip}} + \underbrace{F'(x)^\top (T\, g)}_{\text{branch}} +
# \underbrace{T'(x)^\top \big((F(x) - x)\, g\big)}_{\text{gate}}. $$
#
# **Guess before you run:** what share of the whole comes through the gate, from a gate that starts nearly closed?

# %%
guess = ...  # three shares: skip, branch, gate

# %% tags=["hide-output"]
model = models.highway_mlp(12, 64, in_channels=1, gate_bias=-2.0, rng=0)
recording = flow.record(model)
with recording:
    nn.CrossEntropyLoss()(model(tr.tensor(train.inputs[:64])), tr.tensor(train.targets[:64])).backward()
route = recording.routes["blocks.5"]
whole = sum(route.values())
print("block 5:", ", ".join(f"{name} {size / whole:.0%}" for name, size in route.items()))

# %% [markdown]
# <details><summary>Answer</summary>
#
# A small one, as long as the gate is nearly closed: the sigmoid is flat there.
#
# </details>
#
# The third route is how the gate itself learns, and it does no harm to what passes by. (`flow.record` keeps the three
# routes apart.)
#
# ## Squeeze-and-excitation: a gate on the branch only
#
# SE blocks (Hu et al. 2018 [hu2018squeeze]) gate each *channel* of the branch, $x + s\,F(x)$, and leave the skip
# connection alone. Before anything is learned, $s = \frac12$. So $m^2 + a^2$ is $1 + \frac14$ per block, where the
# ungated net has $1 + 1$. What if the same gates stood in a plain net, $s\,F(x)$? Then the factor is $\frac14$, and ten
# blocks leave a millionth. A gate belongs where closing it cannot cut the wire.


# %%
BLOCKS = 10


def excited_net(skip, rng):
    """Ten blocks x + s F(x), or s F(x), of 1x1 convolutions. nn.SqueezeExcite ends in zeros, so s = 1/2."""

    def block():
        one, two = (nn.Conv2d(WIDTH, WIDTH, 1, bias=False, rng=rng) for _ in range(2))
        squeeze = nn.SqueezeExcite(WIDTH, 4, rng=rng)
        for parameter in squeeze.fc2.parameters():
            nn.init.zeros_(parameter)
        branch = nn.Sequential(gaussian(one, 2.0, rng), nn.ReLU(), gaussian(two, 1.0, rng), squeeze)
        return nn.Residual(branch) if skip else branch

    return nn.Sequential(*(block() for _ in range(BLOCKS))).to("float64").requires_grad_(False)


excited, predicted = {}, {True: 1.25, False: 0.25}  # per block
for skip, words in ((True, "x + s F(x)"), (False, "s F(x)")):
    found = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        images = rng.standard_normal((SAMPLES, WIDTH, 2, 2))
        found.append(squared_gradients(excited_net(skip, rng), images, rng)[-1])
    excited[skip] = np.mean(found)
    print(f"ten blocks {words:11} {excited[skip]:.2e}, predicted {predicted[skip] ** BLOCKS:.2e}")

# %% [markdown]
# ## DenseNet: nothing is added at all
#
# A dense layer makes $k$ new features and puts them *beside* all existing ones, which are kept as they are (Huang et
# al. 2017 [huang2017densely]). It is often said that a layer reads "the sum of all earlier layers".
#
# **Guess before you run:** twenty layers, 32 features at first, 12 new ones per layer. How much does the squared
# gradient of one input feature grow? And how much would it grow if layers were really *summed*?

# %%
guess = ...  # two factors: side by side, summed

# %% tags=["hide-output"]
FIRST, NEW, DENSE = 32, 12, 20  # features at first, new ones per layer, layers


def he_layer(x, features, rng):
    """A He layer that reads all features of x: (nets, 1, m) -> (nets, 1, features), with other weights in each net."""
    nets, _, m = x.shape
    return tr.relu(x) @ (np.sqrt(2 / m) * rng.standard_normal((nets, m, features)))


WAYS = {  # a layer, and the law for its label
    "concatenated": (
        lambda x, rng: tr.concatenate([x, he_layer(x, NEW, rng)], axis=2),
        "side by side: (32 + 12 L) / 32",
    ),
    "summed": (lambda x, rng: x + he_layer(x, x.shape[2], rng), "summed: 2ᴸ"),
}


def feature_gradients(layer, rng, nets=100):
    """The squared gradient per feature at the input, relative to that after layer l = 0 ... 20: (nets, 21)."""
    states = [tr.tensor(rng.standard_normal((nets, 1, FIRST)), requires_grad=True)]
    for _ in range(DENSE):
        states.append(layer(states[-1], rng))
    gradients = tr.grad(states[-1], states, rng.standard_normal(states[-1].shape))
    per_feature = np.stack([(g.numpy() ** 2).mean(axis=(1, 2)) for g in gradients], axis=1)
    return per_feature[:, :1] / per_feature


ratios = {way: np.concatenate([feature_gradients(layer, np.random.default_rng(k)) for k in range(5)])
          for way, (layer, _) in WAYS.items()}  # fmt: skip
passed = np.arange(DENSE + 1)
laws = {"concatenated": (FIRST + NEW * passed) / FIRST, "summed": 2.0**passed}
figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for (way, (_, label)), colour in zip(WAYS.items(), ("tab:blue", "tab:red"), strict=True):
    axes.semilogy(passed, laws[way], color=colour, lw=1)
    axes.semilogy(passed, ratios[way].mean(axis=0), "o", color=colour, markersize=4, label=label)
axes.set(xlabel="dense layers, L", ylabel="squared gradient of a feature, input over top",
         xticks=passed[::5], title="Side by side grows like the depth, summed explodes: mean of 500 nets")  # fmt: skip
axes.legend()
plt.show()
print({way: f"{ratio[:, -1].mean():.3g}" for way, ratio in ratios.items()})

# %% [markdown]
# <details><summary>Answer</summary>
#
# $8.5$, compared with a million.
#
# </details>
#
# Count features. A He layer that reads $m$ features sends the whole squared gradient of its $k$ new ones back, *spread
# over all $m$*: each gets $k/m$ of what a feature has. So a layer multiplies by $1 + k/m$, and $m$ grows by $k$ each
# time: $\frac{44}{32} \cdot \frac{56}{44} \cdots \frac{272}{260}$, in which nearly everything cancels. It is a *power*
# of the depth again, as with batch norm in 08, and for the same reason: each further layer changes a smaller share of
# what exists.
#
# So this is the family likeness. A block that is half new and half old doubles or halves the gradient, and forty of
# them ruin it. All members that work at great depth begin, each in its own way, as a *small change* to the identity:
# batch norm's $1/l$, the number before the branch (08), Highway's closed gates, DenseNet's $k/m$.

# %%
for bias in BIASES:  # a few per cent, where the square runs over many decades
    assert abs(length[bias][-1] ** (2 / LAYERS) / gain(bias) - 1) < 0.03, bias
assert length[0.0][-1] < 1e-7 < 0.3 < length[-4.0][-1]
assert final[-4.0] < 0.5 < 2.2 < final[0.0]
assert route["gate"] < route["branch"] < route["skip"]
for skip, total in excited.items():
    assert abs(total ** (1 / BLOCKS) / predicted[skip] - 1) < 0.05, skip
side_by_side = ratios["concatenated"][:, -1]
error = side_by_side.std(ddof=1) / np.sqrt(len(side_by_side))
assert abs(side_by_side.mean() - 8.5) < max(0.05 * 8.5, 3 * error)
assert ratios["summed"][:, -1].mean() > 1e5

# %% [markdown]
# ## Your turn
#
# You build a Highway net of a given number of layers, and want a given share of the gradient's *length* (not its
# square) to reach the bottom at the start: `bias(50, 0.4)` should be about $-4$, as in the figure. All gates start at
# $T = \sigma(\text{bias})$, branches have gain 1. Two biases do it; return the one whose gates are nearly closed.
#
# ```python
# def bias(layers, kept):
#     return ...
#
# tr.exercise("09", bias)
# ```
#
# Next: all of this was about the gradient's *size*. Is that enough?
