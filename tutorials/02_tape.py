# %% [markdown]
# # 02 What must a program remember to go backwards?
#
# *It computes for about 3 seconds. From before: a gradient is a product of local slopes, and what comes back along two
# routes is added (01, its exercise).*
#
# In the first tutorial we multiplied three slopes by hand. For a net with thousands of operations a program has to do
# it. What does it need to know? Less than you would think. We now build such a program, all of it, and then compare it
# with the real one.
#
# **Guess before you read on:** how many lines does it take to differentiate *any* calculation made of $+$, $\cdot$ and
# $\tanh$, and what has to be stored for each operation?

# %%
guess = ...  # lines of code; what is stored

# %% [markdown]
# ## The tape
#
# While the calculation runs forwards, write each operation down, in order. An entry holds the value that came out, the
# numbers of the earlier entries that went in, and for each of these the local slope: by how much the output moves if
# that input moves. That is all. The slopes are known at once: for $a + b$ they are $1$ and $1$, for $a \cdot b$ they
# are $b$ and $a$, for $y = \tanh a$ it is $1 - y^2$.

# %%
import math
import time

import matplotlib.pyplot as plt
import numpy as np

import tinyres as tr
from tinyres.autograd import reference
from tinyres.autograd.primitive import PRIMITIVES


class Tape:
    """A list of operations in the order in which they ran."""

    def __init__(self):
        self.entries = []  # (name, value, numbers of the inputs, local slope for each)

    def write(self, name, value, inputs=(), slopes=()):
        self.entries.append((name, value, inputs, slopes))
        return Number(self, len(self.entries) - 1)


class Number:
    """One entry of a tape, dressed up so that + and * work."""

    def __init__(self, tape, index):
        self.tape, self.index = tape, index

    @property
    def value(self):
        return self.tape.entries[self.index][1]

    def __add__(self, other):
        other = self.lift(other)
        return self.tape.write("+", self.value + other.value, (self.index, other.index), (1.0, 1.0))

    def __mul__(self, other):
        other = self.lift(other)
        return self.tape.write("×", self.value * other.value, (self.index, other.index), (other.value, self.value))

    def __sub__(self, other):
        return self + self.lift(other) * -1.0

    def tanh(self):
        y = math.tanh(self.value)
        return self.tape.write("tanh", y, (self.index,), (1 - y * y,))

    def lift(self, other):
        """A plain number becomes an entry that has no inputs."""
        return other if isinstance(other, Number) else self.tape.write("const", float(other))

    __radd__, __rmul__ = __add__, __mul__


def backward(output):
    """The derivative of `output` with respect to every entry of its tape."""
    entries = output.tape.entries
    gradients = [0.0] * len(entries)
    gradients[output.index] = 1.0
    for index in range(output.index, -1, -1):  # from the last to the first
        _, _, inputs, slopes = entries[index]
        for i, slope in zip(inputs, slopes, strict=True):
            gradients[i] += gradients[index] * slope  # routes that meet are added
    return gradients


# %% [markdown]
# That is the whole machine: some forty lines. For each operation it stores the value that came out, the numbers of its
# inputs, and one slope for each of them. Two of its lines carry the ideas. The first is the loop, which runs from the
# last entry to the first: an entry was written *after* its inputs, so when we reach it, everything that uses it has
# already contributed. The second is the `+=`: a number that is used twice gets two contributions. (It is a loop, not a
# recursion, so no net is too deep for it.)
#
# Try it on $f = a \cdot b + \tanh a$, where $a$ is used twice. By hand, $df/da = b + 1 - \tanh^2 a$.

# %%
tape = Tape()
a, b = tape.write("a", 0.6), tape.write("b", -1.5)
f = a * b + a.tanh()
gradients = backward(f)
by_hand = b.value + 1 - math.tanh(a.value) ** 2
print(f"df/da: {gradients[a.index]:.6f}, by hand {by_hand:.6f}")

# %% [markdown]
# Here is the tape, from left to right, with an arc from each entry to the entries it was computed from. The number on
# an arc is its slope, the colour of an entry its gradient. Follow the two arcs that end in $a$: their products add up.

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(8, 3.7), layout="constrained")
for index, (_, _, inputs, slopes) in enumerate(tape.entries):
    for i, slope in zip(inputs, slopes, strict=True):
        bend = -0.55 if index - i > 1 else -0.3
        style = {"arrowstyle": "->", "connectionstyle": f"arc3,rad={-bend}", "color": "0.45"}
        axes.annotate("", (i, 0), (index, 0), arrowprops=style | {"shrinkA": 17, "shrinkB": 17})
        axes.text((index + i) / 2, -bend * (index - i) / 2 + 0.05, f"{slope:.2f}", ha="center", color="0.3")
coloured = axes.scatter(range(len(gradients)), [0] * len(gradients), s=900, c=gradients, cmap="coolwarm", vmin=-1.6,
                        vmax=1.6, edgecolors="0.3", zorder=3)  # fmt: skip
for index, (name, value, _, _) in enumerate(tape.entries):
    axes.text(index, 0, name, ha="center", va="center", zorder=4)
    axes.text(index, -0.38, f"value {value:.3f}\ngradient {gradients[index]:.3f}", ha="center", va="top", fontsize=9)
axes.set(xlim=(-0.6, 4.6), ylim=(-0.85, 1.35), aspect="equal",
         title="The tape of a·b + tanh a: written to the right, read back to the left")  # fmt: skip
axes.axis("off")
figure.colorbar(coloured, ax=axes, label="gradient", shrink=0.8)
plt.show()

# %% [markdown]
# ## Is it enough to train with?
#
# We fit a net of one input, five $\tanh$ units and one output to 16 points of a sine. Nothing below knows about layers
# or training; it is the same three operations, 640 entries per step. Its twin is the same net in tinyres, from the same
# start, with the five units as one array.

# %%
rng = np.random.default_rng(0)
xs = np.linspace(-3, 3, 16)
ys = np.sin(xs)
UNITS, STEPS, RATE = 5, 150, 0.2
start = rng.standard_normal((3, UNITS)) * np.array([[1.0], [1.0], [0.5]])  # weights in, biases, weights out


def train_toy(values):
    losses, values = [], values.copy()
    for _ in range(STEPS):
        tape = Tape()
        knobs = [[tape.write("knob", v) for v in row] for row in values]
        loss = 0.0
        for x, y in zip(xs, ys, strict=True):
            answer = sum(v * (w * x + c).tanh() for w, c, v in zip(*knobs, strict=True))
            miss = answer - y
            loss = loss + miss * miss * (1 / len(xs))
        gradients = backward(loss)
        values -= RATE * np.array([[gradients[k.index] for k in row] for row in knobs])
        losses.append(loss.value)
    return losses, len(tape.entries)


def train_tinyres(values):
    losses, x, y = [], xs[:, None], ys
    for _ in range(STEPS):
        knobs = tr.tensor(values, requires_grad=True)
        answer = tr.tanh(x * knobs[0] + knobs[1]) @ knobs[2]  # (16, 5) @ (5,) -> (16,)
        loss = ((answer - y) ** 2).mean()
        (gradient,) = tr.grad(loss, knobs)
        values = values - RATE * gradient.numpy()
        losses.append(loss.item())
    return losses, loss.node.serial - knobs.node.serial


begun = time.perf_counter()
toy, toy_entries = train_toy(start)
between = time.perf_counter()
real, real_nodes = train_tinyres(start)
ended = time.perf_counter()
print(f"toy:     {toy_entries} entries per step, {1e3 * (between - begun) / STEPS:.1f} ms per step, loss {toy[-1]:.6f}")
print(f"tinyres: {real_nodes} nodes per step, {1e3 * (ended - between) / STEPS:.1f} ms per step, loss {real[-1]:.6f}")

# %% tags=["hide-input"]
figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
axes.semilogy(real, label="tinyres")
axes.semilogy(range(0, STEPS, 10), toy[::10], "o", label="the toy above")
axes.set(xlabel="training step", ylabel="loss", title="Two engines, one training")
axes.legend()
plt.show()

# %% [markdown]
# The same losses to the last digit. So the toy is not a caricature: `Tape` and `backward` *are* reverse-mode automatic
# differentiation. The real engine differs in what an entry is. Look at one:

# %%
x = tr.tensor(np.ones((4, 3)), requires_grad=True)
w = tr.tensor(np.full((3, 2), 0.5), requires_grad=True)
y = tr.tanh(x @ w).sum()
node = y.node
while node is not None:  # down the first input of each
    saved = [value.shape if isinstance(value, np.ndarray) else value for value in node.saved or ()]
    print(f"{node!r:28} keeps {saved}")
    node = node.parents[0] if node.parents else None

# %% [markdown]
# An entry is a whole array operation, so there are few of them. It does not store slopes: a matrix product of $(4, 3)$
# and $(3, 2)$ has $8 \times 12$ slopes for its first input alone, most of them zero. It stores what its *rule* needs to
# multiply a gradient by all these slopes at once: for `matmul` the two arrays, for `tanh` its output, for `sum` only a
# shape and the axes. The number behind the `#` grows with time, like our index, and the walk back goes by it. Step
# through that walk on the page that the next cell makes (keys and buttons as in 01): you see every rule with its
# formula, and every `+=`.

# %%
tr.trace(lambda: tr.tanh(x @ w).sum())

# %% [markdown]
# The complete loop that walks back over such nodes fits on a page. It is in `tinyres/autograd/reference.py`, next to
# `record`, which makes the nodes, and `_schedule`, which puts a node on the list of what is still to do. A table holds
# the cotangents (gradients) that have arrived. The list is a *heap*: it always gives the youngest node first, so a
# node's turn comes when everything that uses it has contributed. A rule is called a *vector-Jacobian product* there
# (`vjp`): it multiplies a gradient by all slopes at once. You need not follow each line; the library's own loop
# (`sweep.py`) adds observers, checkpoints and a few shortcuts; a test runs every operation through both and compares.
#
# ```{literalinclude} ../tinyres/autograd/reference.py
# :pyobject: grad
# ```

# %%
product = reference.record(PRIMITIVES["matmul"], [x, w], {})
answer = reference.record(PRIMITIVES["tanh"], [product], {})
slow = reference.grad(answer, [x, w], np.ones(answer.shape))
fast = tr.grad(tr.tanh(x @ w).sum(), [x, w])
print("largest difference:", max(float(np.abs(a - b.numpy()).max()) for a, b in zip(slow, fast, strict=True)))

# %% [markdown]
# There are two things that the toy cannot do. First, its tape never ends: whatever was calculated stays, wanted or not.
# A node of tinyres knows only its parents, and is freed as soon as nothing refers to it. Second, its `backward` works
# on plain floats, so its result cannot be differentiated again. In tinyres the walk back can itself be recorded. For
# $\tanh$, the second derivative is $-2\,y\,(1 - y^2)$:

# %%
t = tr.tensor(np.linspace(-2, 2, 5), requires_grad=True)
(once,) = tr.grad(tr.tanh(t).sum(), t, create_graph=True)
(twice,) = tr.grad(once.sum(), t)
print(twice.numpy().round(4))
print((-2 * np.tanh(t.numpy()) * once.numpy()).round(4))

# %%
assert math.isclose(gradients[a.index], by_hand, rel_tol=1e-12)
assert np.allclose(toy, real, rtol=1e-9)  # the same training, step by step
assert toy[-1] < 0.1 * toy[0]  # which learned something
assert real_nodes * 20 < toy_entries
assert all(np.allclose(a, b.numpy(), rtol=1e-14) for a, b in zip(slow, fast, strict=True))
assert np.allclose(twice.numpy(), -2 * np.tanh(t.numpy()) * once.numpy(), rtol=1e-12)

# %% [markdown]
# ## Your turn
#
# A tape can also be read *forwards*. Nudge one entry, and keep track of how much every later entry moves. One walk
# gives the derivatives of everything with respect to one input (backwards, one walk gave those of one output with
# respect to everything). Write that walk. Here a tape is a plain list, and an entry is a pair: the numbers of its
# inputs, and their slopes. Entries without inputs are `((), ())`.
#
# ```python
# def forward(tape, start):
#     moves = [0.0] * len(tape)
#     ...  # moves[k]: by how much entry k moves for each unit that entry `start` moves
#     return moves
#
# tr.exercise("02", forward)
# ```
#
# Next: how we know that the slopes themselves are right.
