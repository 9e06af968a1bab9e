# %% [markdown]
# # 15 What does one thread of a GPU do?
#
# *It computes for about 3 seconds. From before: the loops of a convolution (05). It needs numba-cuda (`pip install
# 'tinyres[cuda12]'` or `[cuda13]`), and no GPU.*
#
# A GPU runs a hundred thousand threads at once. They all run *the same function*, and each knows only its own number.
# To write for a GPU is to answer one question: I am thread $i$. What do I read, and what do I write?
#
# Numba can simulate a GPU. That is slow, and just right for looking. Numba must be told *before* it is imported, hence
# the first lines. Where there is a GPU, everything below runs on it. (In a notebook that has imported Numba before:
# restart the kernel, then begin here.)

# %%
import os

try:
    import cupy as xp  # arrays on the GPU

    GPU = xp.cuda.is_available()
except ImportError:
    GPU = False
if not GPU:
    import numpy as xp

    os.environ["NUMBA_ENABLE_CUDASIM"] = "1"

import matplotlib.pyplot as plt
import numpy as np
from numba import cuda
from tinyres_kernels.cuda import conv_naive, races, show_thread
from tinyres_kernels.cuda.host import SIMULATED

assert GPU or SIMULATED, "there is no GPU, and Numba was imported before it was told to simulate one: restart"
print("on a GPU" if GPU else "in the simulator")

# %% [markdown]
# ## A function, and who you are
#
# Threads come in *blocks*. Here are 3 blocks of 4 threads, twelve in all, for an array of ten numbers.
#
# **Guess before you run:** which number does thread 1 of block 2 write? And what do the last two threads do?

# %%
guess = ...  # a number; what the last two do


# %% tags=["hide-output"]
def double(x, out):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < x.size:
        out[i] = 2 * x[i]


numbers, doubled = xp.arange(10.0), xp.zeros(10)
cuda.jit(double)[3, 4](numbers, doubled)  # [blocks, threads in a block]
print(doubled)
for thread in (1, 3):
    shown = show_thread(double, 2, thread, (np.arange(10.0), np.zeros(10)), threads=4)
    print(f"thread {thread} of block 2:", ", ".join(str(shown).splitlines()))

# %% [markdown]
# `show_thread` runs one block of a kernel and notes what one of its threads touches. Without the `if`, thread 3 of
# block 2 would write to `out[11]`, beyond the end, into whatever lies there. On a GPU nothing stops it.
#
# ## A convolution: one thread, one output
#
# The plain convolution of tinyres (`cuda/conv_naive.py`) gives each output number a thread of its own. Each thread
# works out which output is its own, and *gathers* all terms of its sum. The channel varies fastest: threads 0, 1, 2
# compute channels 0, 1, 2 of the same pixel.
#
# Our image has 6 rows, 7 columns and 2 channels, with a rim of padding, and the result has 4 channels.
#
# **Guess before you run:** how many numbers does a thread in the middle read, and how many does a thread in the corner
# read? What do two neighbouring threads share?

# %%
guess = ...  # two counts; what neighbours share

# %% tags=["hide-output"]
rng = np.random.default_rng(0)
x, w = rng.standard_normal((1, 6, 7, 2)), rng.standard_normal((3, 3, 2, 4))
out = np.zeros((1, 6, 7, 4))
THREADS = 8
arguments = (x, w, out, (1, 1, 1), (1, 1, 1))  # along rows and along columns: stride, padding, dilation
kernel = conv_naive.conv2d_naive(np.float64)


def thread_of(row, column, channel):
    i = (row * 7 + column) * 4 + channel
    return show_thread(kernel, i // THREADS, i % THREADS, arguments, threads=THREADS)


watched = {"a corner": (0, 0, 0), "an edge": (3, 6, 0), "the middle": (2, 3, 0)}
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
counts = {}
for ax, (name, place) in zip(axes, watched.items(), strict=True):
    shown = thread_of(*place)
    read = np.zeros((6, 7))
    for access in shown.reads:
        if access.argument == "x":
            read[access.place[1:3]] += 1
    counts[name] = len(shown.reads), int((read > 0).sum())
    ax.imshow(read, cmap="Blues", vmin=0, vmax=3)
    ax.plot(place[1], place[0], "o", color="tab:orange", ms=10)
    ax.set(title=f"{name}: {counts[name][0]} reads, 1 write", xticks=[], yticks=[])
figure.suptitle("Pixels that one thread reads (blue, both channels), and the one that it writes (orange)")
plt.show()
print(thread_of(0, 0, 0))

# %% [markdown]
# Read the list for the corner. A pixel, a weight, a pixel, a weight: *two* numbers are fetched from memory for each
# multiplication. The padding is never fetched; it is simply left out of the sum.
#
# Threads of a block run side by side, 32 at a time (a *warp*), and what they read in one moment is fetched together, in
# pieces of 32 bytes. Neighbouring threads should want neighbouring numbers. Do they? And how often is the same pixel
# fetched, over the whole image?

# %% tags=["hide-output"]
pair = thread_of(2, 3, 0), thread_of(2, 3, 1)
pixels, weights = ([{a.place for a in shown.reads if a.argument == name} for shown in pair] for name in "xw")
print("two neighbours share", len(pixels[0] & pixels[1]), "pixels and", len(weights[0] & weights[1]), "weights")
print("their first weights:", [next(str(a) for a in shown.reads if a.argument == "w") for shown in pair])

fetched = np.zeros((6, 7))
for i in range(out.size):
    for access in show_thread(kernel, i, 0, arguments, threads=1).reads:
        if access.argument == "x":
            fetched[access.place[1:3]] += 1
print("how often each number of the first rows is fetched:", (fetched[:2] / 2).astype(int).tolist())

# %% [markdown]
# <details><summary>Answer</summary>
#
# Neighbours share their pixels, and their weights lie next to each other: as it should be.
#
# </details>
#
# But a pixel in the middle is fetched 36 times, once for each of 9 windows and 4 channels. A real layer has 64
# channels, and it is 576 times. It is the question of 05 again: how often is a number moved for each time it is used?
# The answer is the same, a tile. On a GPU the tile lies in *shared memory*, a small fast memory that the threads of one
# block have in common.
#
# ## Sharing needs a barrier
#
# The threads of a block run side by side, and in no order that you may rely on. Here they reverse each block of 8
# numbers: every thread puts its own number into shared memory, and takes another one out.


# %%
def reverse(x, out):
    tile = cuda.shared.array(8, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t] = x[i]
    cuda.syncthreads()  # wait until every thread of the block has come here
    out[i] = tile[7 - t]


def reverse_in_a_hurry(x, out):
    tile = cuda.shared.array(8, np.float64)
    t = cuda.threadIdx.x
    i = cuda.blockIdx.x * 8 + t
    tile[t] = x[i]
    out[i] = tile[7 - t]


line, turned = xp.arange(16.0), xp.zeros(16)
cuda.jit(reverse)[2, 8](line, turned)
print(turned)
found = {}
for function in (reverse, reverse_in_a_hurry):
    found[function.__name__] = races(function, 0, (np.arange(16.0), np.zeros(16)), threads=8)
    print(f"{function.__name__}: races on", ", ".join(map(str, found[function.__name__])) or "nothing")

# %% [markdown]
# This is a *race*: between two barriers, one thread writes what another one reads. Thread 7 may take `tile[0]` before
# thread 0 has put anything there. On a GPU the results are right on most runs, so they are no test. `races` notes every
# access of every thread, and compares them.
#
# ## Gather or scatter?
#
# And backwards? The gradient of the image: each output sends its gradient to the nine pixels that it read. Written in
# just this way, with one thread per *output*, it is a *scatter*. Here it is for a line of numbers.
#
# **Guess before you run:** does it race?

# %%
guess = ...  # yes or no, and where


# %% tags=["hide-output"]
def scatter(g, w, dx):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    for a in range(3):
        if i < g.size and 0 <= i + a - 1 < dx.size:
            dx[i + a - 1] += g[i] * w[a]


def gather(g, w, dx):
    i = cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x
    if i < dx.size:
        total = 0.0
        for a in range(3):
            if 0 <= i - a + 1 < g.size:
                total += g[i - a + 1] * w[a]
        dx[i] = total


g, taps = rng.standard_normal(8), rng.standard_normal(3)
for function in (scatter, gather):
    result = xp.zeros(8)
    cuda.jit(function)[1, 8](xp.asarray(g), xp.asarray(taps), result)
    found[function.__name__] = races(function, 0, (g, taps, np.zeros(8)), threads=8)
    off = float(abs(np.convolve(g, taps)[1:-1] - np.asarray(result.tolist())).max())
    print(f"{function.__name__}: off by {off:.0e}; races on {len(found[function.__name__])} elements")

# %% [markdown]
# <details><summary>Answer</summary>
#
# It does, although its result may have been right, by luck. Two threads read `dx[3]`, both add, both write, and now and
# then one of the sums is lost.
#
# </details>
#
# You can force the threads to queue (atomic additions), but then the order of the sum changes from run to run, and so
# do its last digits. Turn it around: one thread per *pixel*, each collecting from the windows that read it. Then no two
# threads write to the same place. All kernels of tinyres are written this way, and give the same bits every time.
#
# For real use there is `tinyres_kernels.cuda.conv2d`, which chooses between this kernel and one with tiles.

# %%
assert doubled.tolist() == [2.0 * i for i in range(10)]
assert counts == {"a corner": (16, 4), "an edge": (24, 6), "the middle": (36, 9)}  # two reads a multiplication
assert pixels[0] == pixels[1]  # neighbours: the same pixels,
assert not weights[0] & weights[1]  # and weights of their own
assert (fetched[1:-1, 1:-1] == 2 * 36).all()
assert turned.tolist() == [*range(7, -1, -1), *range(15, 7, -1)]
assert not found["reverse"]
assert len(found["reverse_in_a_hurry"]) == 8
assert len(found["scatter"]) == 8
assert not found["gather"]

# %% [markdown]
# ## Your turn
#
# Each output is the sum of three neighbours, $out_i = x_{i-1} + x_i + x_{i+1}$, with zeros beyond the ends. Blocks have
# 8 threads, and the array's length need not be a multiple of 8. Written plainly, a block fetches 24 numbers for its 8
# results. Ten are enough: load each of them into shared memory first, once.
#
# ```python
# import tinyres as tr
#
# def sum3(x, out):
#     tile = cuda.shared.array(10, np.float64)
#     t = cuda.threadIdx.x
#     i = cuda.blockIdx.x * 8 + t
#     ...
#
# tr.exercise("15", sum3)
# ```
#
# The checker watches every thread: its results, its reads, and whether anyone races. It needs no GPU.
#
# Next: a kernel of your own, compared with the specification.
