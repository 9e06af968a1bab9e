# %% [markdown]
# # 05 How can the same sum be ten thousand times faster?
#
# *It computes for about 6 seconds. From before: a copied number gathers the sum of its gradients, and what an adjoint
# is (04).*
#
# A convolution slides one small set of weights over an image. In the layer below,
# $3 \times 3 \times 32 \times 32 = 9216$ weights make $32$ new channels out of $32$. They are used at each of the
# $32 \times 32$ pixels, so the layer costs $9216 \cdot 1024 \approx 9.4$ million multiplications per image. This is all
# it does:
#
# $$ y_{i,j,o} = \sum_{a=0}^{2} \sum_{b=0}^{2} \sum_{c=0}^{31} x_{i+a,\;j+b,\;c}\; w_{a,b,c,o}. $$
#
# Six loops. We will run them in five ways, and each time they compute the same numbers.
#
# **Guess before you run:** how many operations per second (each $+$ and each $\cdot$ counts) does Python manage? And
# how many could one core of this processor do if nothing held it up?

# %%
guess = ...  # two numbers: Python's, the processor's

# %% tags=["hide-output"]
import time

import matplotlib.pyplot as plt
import numba
import numpy as np
from threadpoolctl import threadpool_limits
from tinyres_kernels import cpu
from tinyres_kernels.cpu.host import TARGET

import tinyres as tr
from tinyres.bench.machine import peak_flops

tr.set_num_threads(1)  # one core: how to use it well is the question here
threadpool_limits(1)
rng = np.random.default_rng(0)
x = rng.standard_normal((1, 34, 34, 32)).astype("float32")  # images, rows, columns, channels; with a rim of 1
w = rng.standard_normal((3, 3, 32, 32)).astype("float32")  # rows, columns, channels in, channels out
y = np.empty((1, 32, 32, 32), "float32")


def loops(x, w, y):
    N, H, W, O = y.shape
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for o in range(O):
                    total = np.float32(0)
                    for a in range(3):
                        for b in range(3):
                            for c in range(x.shape[3]):
                                total += x[n, i + a, j + b, c] * w[a, b, c, o]
                    y[n, i, j, o] = total
    return y


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def work(y):
    """A multiplication and an addition for each term."""
    return 2 * y.size * 9 * x.shape[3]


one_row = y[:, :1]
rates = {"Python": work(one_row) / seconds(lambda: loops(x, w, one_row))}
peak = peak_flops()
print(f"Python: {rates['Python'] / 1e6:.1f} million operations per second")
print(f"the processor, one core: {peak / 1e9:.0f} billion")

# %% [markdown]
# <details><summary>Answer</summary>
#
# The second number is measured too, by a loop of nothing but multiply-adds on vectors of 4, 8 or 16 numbers, depending
# on the processor. Between the two lies a factor of ten thousand and more.
#
# </details>
#
# Where does that factor go?
#
# ## First: who reads the program?
#
# For each term Python looks up what `*` means for these two objects, makes a new object for the product, and throws the
# old one away. Numba compiles *the same function* into machine code: you write `numba.njit(loops)`, and nothing else.
#
# ## Second: in which order?
#
# Look at its innermost loop. Each addition needs the result of the one before, and an addition takes a few ticks of the
# clock: the processor waits. It could add 8 or 16 numbers with one instruction, but these must all go into *one* sum,
# and adding in another order would round differently, so the compiler leaves it alone.
#
# Move the loop over `o` to the inside. Now the innermost loop works on *different* sums, one per output channel, and
# their weights lie next to each other.
#
# **Guess before you run:** how much faster is that? And is the result the same, to the last bit?

# %%
guess = ...  # times as fast; the same bits or not


# %% tags=["hide-output"]
@numba.njit
def reordered(x, w, y):
    N, H, W, O = y.shape
    for n in range(N):
        for i in range(H):
            for j in range(W):
                for o in range(O):
                    y[n, i, j, o] = 0
                for a in range(3):
                    for b in range(3):
                        for c in range(x.shape[3]):
                            pixel = x[n, i + a, j + b, c]
                            for o in range(O):
                                y[n, i, j, o] += pixel * w[a, b, c, o]
    return y


compiled = numba.njit(loops)
one, other = compiled(x, w, np.empty_like(y)), reordered(x, w, np.empty_like(y))
print("the same bits:", np.array_equal(one, other))

# %% [markdown]
# <details><summary>Answer</summary>
#
# The same bits: each output still adds its own terms in the same order, but now a whole vector of outputs does so side
# by side.
#
# </details>
#
# ## Third: let someone else do it
#
# Few programs have been tuned as carefully as the product of two matrices. So write the $3 \times 3 \times 32 = 288$
# numbers that each output pixel reads into a row of a matrix. Multiply by the weights, a matrix of $288 \times 32$, and
# the convolution is done. The trick is known as *im2col*.


# %%
def columns_of(x):
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))  # (N, H, W, C, 3, 3), a view
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 9 * x.shape[3])  # (N H W, 9 C), a copy


def im2col(x, w, y):
    np.matmul(columns_of(x), w.reshape(-1, w.shape[3]), out=y.reshape(-1, y.shape[3]))
    return y


tiny = np.arange(25.0).reshape(1, 5, 5, 1)
figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
for ax, matrix, title in ((axes[0], tiny[0, :, :, 0], "An image of 5 x 5 pixels"),
                          (axes[1], columns_of(tiny), "its 9 windows of 3 x 3, one per row")):  # fmt: skip
    ax.imshow(matrix, cmap="viridis")
    for (i, j), value in np.ndenumerate(matrix):
        ax.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=9, color="white" if value < 16 else "black")
    ax.set(title=title, xticks=[], yticks=[])
plt.show()
copies = columns_of(x).nbytes / x.nbytes
print(f"pixel 12, in the middle, was copied {int((columns_of(tiny) == 12).sum())} times")
print(f"our layer: the image has {x.nbytes / 1e6:.2f} MB, its columns {columns_of(x).nbytes / 1e6:.2f} MB")

# %% [markdown]
# That is the price: the image is stored eight or nine times over.
#
# ## Fourth: keep the sums where the arithmetic is
#
# What does the matrix product do that our reordered loops do not? Count what they move. For *one* vector of
# multiply-adds they load a vector of weights, load the sums, and store the sums again: three moves, while the processor
# can multiply twice as often as it can store. Now take a *tile*: 14 pixels by 2 vectors of channels, whose 28 sums stay
# in registers until they are done. A step loads 2 vectors of weights and 14 pixels, and does 28 multiply-adds:
#
# $$ \frac{\text{moves}}{\text{multiply-adds}} = \frac{m + v}{m\,v} = \frac{14 + 2}{28} \approx 0.6
# \quad\text{instead of } 3. $$
#
# The kernels of tinyres do this directly on the image, without columns (`tinyres_kernels/cpu/simd.py`: a page that
# writes the two innermost loops as vector instructions). Now all five, side by side.

# %%
SETTINGS = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
calls = {
    "compiled": lambda: compiled(x, w, y),
    "loops reordered": lambda: reordered(x, w, y),
    "im2col + matrix product": lambda: im2col(x, w, y),
    "tiles in registers": lambda: cpu.conv2d(x, w, y, **SETTINGS),
}
best = dict.fromkeys(calls, np.inf)
errors = {}
exact = cpu.conv2d(x.astype("float64"), w.astype("float64"), np.empty(y.shape), **SETTINGS)
for name, call in calls.items():
    errors[name] = np.abs(call() - exact).max()  # the first run compiles and is not timed
for _ in range(25):  # in turn, so that a slow moment of the machine falls on all of them
    best = {name: min(best[name], seconds(call)) for name, call in calls.items()}
rates |= {name: work(y) / taken for name, taken in best.items()}

print(f"vectors of {TARGET.lanes} numbers; peak of one core {peak / 1e9:.0f} GFLOP/s (billion operations per second)")
for name, rate in rates.items():
    print(f"{name:24} {rate / 1e9:8.3f} GFLOP/s, {rate / rates['Python']:8,.0f} x", end="")
    print(f"   largest error {errors[name]:.0e}" if name in errors else "")

# %%
figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
axes.axvline(peak / 1e9, color="0.3", linestyle="--")
axes.text(peak / 1e9 / 1.1, -0.5, "what the core can do", ha="right", va="center", fontsize=9)
for k, rate in enumerate(rates.values()):
    axes.plot([rates["Python"] / 1e9, rate / 1e9], [k, k], color="0.85", zorder=0)
    axes.semilogx(rate / 1e9, k, "o", color="tab:blue", markersize=8)
axes.set(yticks=range(len(rates)), yticklabels=list(rates), ylim=(len(rates) - 0.5, -1.0),
         xlabel="billion operations per second (GFLOP/s), one core", title="The same six loops")  # fmt: skip
plt.show()

# %% [markdown]
# Nothing about the sum has changed along the way. What changed is who reads the program, the order of the loops, and
# how often a number is moved each time it is used. The last one is what speed is about: a convolution uses every weight
# at every pixel and every pixel for every channel, so there is a lot to save.
#
# Is the dashed line the end? Only if all those multiplications are needed. For $3 \times 3$ kernels Winograd's trick
# (Lavin & Gray 2016 [lavin2016fast]) computes $2 \times 2$ outputs with 16 products where the sum has 36; tinyres uses
# it for two images or more. (`tinyres bench kernels` measures every rung of this ladder, for 27 layers and passes.)
#
# ## And backwards?
#
# Training needs two more: the gradient of the image and the gradient of the weights. Each weight was *used* 1024 times,
# so its gradient is a sum of 1024 terms, exactly as for the bias of 04. The three are sums over the same triples
# (pixel, weight, output), each other's adjoints, and all three climb the same ladder:
#
# $$ \langle g,\ \mathrm{conv}(x, w)\rangle = \langle \mathrm{dx}(g, w),\ x\rangle
# = \langle \mathrm{dw}(x, g),\ w\rangle. $$

# %%
g = rng.standard_normal(y.shape)
wide, weights = x.astype("float64"), w.astype("float64")
forward = (g * cpu.conv2d(wide, weights, np.empty(y.shape), **SETTINGS)).sum()
by_image = (cpu.conv2d_dx(g, weights, np.empty(wide.shape), **SETTINGS) * wide).sum()
by_weights = (cpu.conv2d_dw(wide, g, np.empty(weights.shape), **SETTINGS) * weights).sum()
print(f"<g, conv> {forward:.9f}\n<dx, x>   {by_image:.9f}\n<dw, w>   {by_weights:.9f}")

# %%
order = list(rates)
assert order == sorted(rates, key=rates.get), f"each rung was to be faster than the one before: {rates}"
assert rates["tiles in registers"] > 1000 * rates["Python"]
assert np.array_equal(one, other)  # another order of the loops, the same order of each sum's terms
assert max(errors.values()) < 1e-4  # all of them compute the same sums
assert 7 < copies < 9
assert np.allclose([by_image, by_weights], forward, rtol=1e-12)

# %% [markdown]
# ## Your turn
#
# There is a rung between the loops and im2col that copies nothing. Take *one tap* of the kernel, `w[a, b]`. It is a
# matrix of channels in by channels out, and it meets a shifted image. So a $3 \times 3$ convolution is the sum of nine
# matrix products. Write it for any kernel size, stride and padding:
#
# ```python
# def conv2d(x, w, stride=1, padding=0):
#     # x (N, H, W, C), w (KH, KW, C, O)  ->  (N, (H + 2 padding - KH) // stride + 1, ..., O)
#     return ...
#
# tr.exercise("05", conv2d)
# ```
#
# It is compared with the six loops, at odd sizes and strides, and it has to be faster than they are.
#
# Next: what happens to a gradient that goes through fifty such layers.
