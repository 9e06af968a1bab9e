# %% [markdown]
# # 18 What does attention do if it is left alone?
#
# *It computes for about 4 seconds. From before: skip connections bring the gradient back past the branches (07), and
# the norm decides how loud a branch is (17).*
#
# Attention lets the tokens of a sequence look at each other. Each token asks a question, its *query*; each offers a
# *key* and a *value*; and each goes home with a mean of all values, weighted by how well the keys fit its query:
#
# $$ y_i = \sum_j p_{ij}\, v_j, \qquad p_{ij} \propto e^{q_i \cdot k_j / \sqrt d}, \qquad \sum_j p_{ij} = 1. $$
#
# Vaswani et al. 2017 [vaswani2017attention] called their paper "Attention is all you need". Dong et al. 2021
# [dong2021attention] answered with "Attention is not all you need". Who is right can be measured in a few lines.
#
# **Guess before you run:** a sequence of 32 independent random tokens. Send it through four layers of attention, with
# random weights. How alike are two tokens then? Say it with $e = 1 - \text{correlation}$, which is 1 at the start.

# %%
guess = ...  # e after four layers

# %% tags=["hide-output"]
import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr

TOKENS, WIDTH = 32, 128


def attention(x, wq, wk, wv):
    """One head. Tokens are rows, each scaled to RMS 1 first."""
    x = x / tr.sqrt((x * x).mean(axis=1, keepdims=True))
    q, k, v = x @ wq, x @ wk, x @ wv
    p = tr.softmax(q @ tr.transpose(k, 0, 1) / np.sqrt(WIDTH), dim=1)
    return p @ v


def weights(rng):
    """W_Q, W_K, W_V, which keep the size of what they are given."""
    return rng.standard_normal((3, WIDTH, WIDTH)) / np.sqrt(WIDTH)


def apart(x):
    """1 - mean correlation of two tokens, from their distances: exact however small."""
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True))
    return ((x - x.mean(axis=0)) ** 2).sum(axis=0).mean() / (len(x) - 1)


def through(layers, seed, skip):
    """e after 0, 1, ..., layers."""
    rng = np.random.default_rng(seed)
    x = tr.tensor(rng.standard_normal((TOKENS, WIDTH)))
    found = [apart(x.numpy())]
    for _ in range(layers):
        y = attention(x, *weights(rng))
        x = x + y if skip else y
        found.append(apart(x.numpy()))
    return np.array(found)


alone = np.exp(np.mean([np.log(through(4, seed, skip=False)) for seed in range(8)], axis=0))
for layer, e in enumerate(alone):
    print(f"after {layer} layers: e = {e:.0e}")

# %% [markdown]
# <details><summary>Answer</summary>
#
# $10^{-15}$. In float32 what is left of the differences is rounding error: all 32 tokens are the same, and no fifth
# layer could tell them apart again.
#
# </details>
#
# Look at the exponents. They do not grow by a fixed amount per layer, as in every net so far; they are *multiplied*
# each time. An exponential would be $e^{-cL}$; this is an exponential of an exponential. What is the factor?
#
# **Guess before you run:** take tokens that are already alike, $e = 0.01$, and then ten times more alike, $e = 0.001$.
# By what factor does $e$ *after* one layer fall? And how does the gradient of $W_Q$, the weights of the queries,
# change?

# %%
guess = ...  # the factor for e, and for the squared gradient of W_Q

# %% tags=["hide-output"]
START = np.array([0.1, 0.01, 0.001, 0.0001])


def one_layer(e, seed):
    """e after attention, e after x + attention, and the squared gradients of W_Q and W_V."""
    rng = np.random.default_rng(seed)
    x = np.sqrt(1 - e) * rng.standard_normal((1, WIDTH)) + np.sqrt(e) * rng.standard_normal((TOKENS, WIDTH))
    wq, wk, wv = (tr.tensor(w, requires_grad=True) for w in weights(rng))
    y = attention(tr.tensor(x), wq, wk, wv)
    dq, dv = tr.grad(y, [wq, wv], rng.standard_normal(y.shape))
    return apart(y.numpy()), apart(x + y.numpy()), (dq.numpy() ** 2).sum(), (dv.numpy() ** 2).sum()


found = np.exp(np.mean([[np.log(one_layer(e, seed)) for e in START] for seed in range(8)], axis=0))
print("   e before   e after   with skip    |dW_Q|²    |dW_V|²")
for e, row in zip(START, found, strict=True):
    print(f"{e:10.0e}" + "".join(f"{value:11.1e}" for value in row))

# %% [markdown]
# <details><summary>Answer</summary>
#
# $e$ falls by a thousand, its third power. The squared gradient of $W_Q$ falls by a hundred, its second power.
#
# </details>
#
# Here is why. Write each token as a common part and a part of its own, of size $\sqrt e$. All rows of $p$ see the same
# keys, and differ only as far as their queries differ ($\sqrt e$) *and* there are different keys to choose from ($\sqrt
# e$): by $e$. What row $i$ gains from choosing differently is the difference of the values ($\sqrt e$ again). So two
# outputs differ by $e^{3/2}$, and the square of that is $e^3$. Three such layers make $e^{27}$.
#
# The gradient tells the same story from behind. If all keys are alike, it does not matter whom one asks, and so nothing
# can be learned about asking: $W_Q$ gets $e^2$. The values $W_V$ get their usual gradient. A collapsed Transformer
# learns, but only what does not depend on the sequence (Noci et al. 2022 [noci2022signal]).
#
# ## What saves it
#
# You know what to do about a layer that destroys what it is given: add the input back. With $x + \text{attention}$ the
# own parts survive, $e$ stays proportional to $e$, as the third column has it.

# %%
LAYERS = 16
kept = np.mean([through(LAYERS, seed, skip=True) for seed in range(8)], axis=0)


def predicted(layers):
    """Variance q and covariance c of the tokens, layer by layer; p = c/q."""
    q, c, found = 1.0, 0.0, [1.0]
    for _ in range(layers):
        p = c / q
        q, c = (q + p + (1 - p) * np.exp(1 - p) / TOKENS, c + p + (1 - p) * np.exp(p * (1 - p)) / TOKENS)
        found.append(1 - c / q)
    return np.array(found)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for column, power, name, colour in ((0, 3, "attention alone: e³", "tab:orange"), (1, 1, "with skip: e", "tab:blue")):
    left.loglog(START, found[-1, column] * (START / START[-1]) ** power, color=colour, lw=1)
    left.loglog(START, found[:, column], "o", color=colour, markersize=4, label=name)
left.set(xlabel="e before", ylabel="e after", title="One layer")
left.legend(fontsize=8)
right.semilogy(predicted(LAYERS), color="tab:blue", lw=1)
right.semilogy(kept, "o", color="tab:blue", markersize=4, label="with skip: dots measured, line theory")
right.semilogy(alone, "o--", color="tab:orange", markersize=4, label="attention alone")
right.set(xlabel="layers", ylabel="e = 1 - correlation", ylim=(1e-16, 5), title="Many layers")
right.legend(fontsize=8)
plt.show()

# %% [markdown]
# With skip connections sixteen layers leave a tenth of the difference. The tokens still drift together, but now they do
# it slowly, and the line that follows them is four lines of algebra in the cell above: each layer adds what it puts out
# to the variance and to the covariance, and the means of many values are more alike than the values.
#
# So *attention* is not all you need. You need attention, and something that remembers who each token was. In a
# Transformer that is the residual stream, and the branch that makes no use of other tokens at all.
# `flow.token_similarity` measures $e$ in every block of a model, and `flow.attention_entropy` how widely each head
# looks.

# %%
steps = np.diff(np.log(found), axis=0) / np.log(0.1)  # powers of e, between neighbours
assert np.abs(steps[1:, 0] - 3).max() < 0.05
assert np.abs(steps[1:, 1] - 1).max() < 0.02
assert np.abs(steps[1:, 2] - 2).max() < 0.05
assert np.abs(steps[1:, 3]).max() < 0.02  # W_V keeps its gradient
assert alone[4] < 1e-12 < 0.05 < kept[-1]
assert np.abs(np.log(kept / predicted(LAYERS))).max() < 0.15

# %% [markdown]
# ## Your turn
#
# Correlations that are nearly 1 are treacherous: with sixteen digits, $1 - 0.99999999999999999$ is 0. Write the
# function that tells tokens apart. From tokens in rows, return 1 minus the mean correlation of two different tokens,
# where the correlation is $\langle x_i, x_j \rangle / (|x_i| |x_j|)$. It is checked down to $e = 10^{-20}$, so think of
# distances.
#
# ```python
# def apart(x):  # (tokens, width)
#     return ...  # one number
#
# tr.exercise("18", apart)
# ```
#
# Next: if one stream is good, are four better?
