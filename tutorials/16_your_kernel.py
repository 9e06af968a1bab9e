# %% [markdown]
# # 16 Is your own kernel right, and is it fast?
#
# *It computes for about 10 seconds. From before: a convolution as a sum of matrix products, one per tap (05, its
# exercise). It needs `pip install 'tinyres[conformance]'`.*
#
# You have written a convolution. On your image it gives the correct numbers. Is it right? With a stride of 2 along the
# rows and 1 along the columns? With an image smaller than its padding, 17 channels, a pixel that is NaN?
#
# tinyres keeps a *specification*: plain loops, one sum per output (`tinyres_kernels.reference`). `conformance` runs any
# kernel, yours included, on eighty named corner cases and a hundred random ones. Every number must agree with
# the specification to within a few roundings. Here we write a kernel, fail, pass, make it faster, and fail again.
#
# ## The first try
#
# A kernel gets its arrays, and its settings in one object, and writes into `out`. It may rely on arrays that fit
# together and are not empty: `tinyres_kernels.contract` checks that before every call. Output row $i$ reads, through
# tap $a$, the image's row
#
# $$ i \cdot \text{stride} - \text{padding} + a \cdot \text{dilation}, $$
#
# and group $k$ of the outputs reads group $k$ of the channels. That row may lie outside the image. Our author is
# careful never to leave an array, and clips the row to the rows that exist. On images without padding it works.

# %%
import time

import matplotlib.pyplot as plt
import numba
import numpy as np
from matplotlib.colors import ListedColormap
from tinyres_kernels import conformance, cpu
from tinyres_kernels.settings import Conv

import tinyres as tr
from tinyres.bench import machine

tr.set_num_threads(1)


def add_taps(shifted, w, out, groups):
    """Add to out, tap by tap, what the tap makes of the image that is shifted to it."""
    KH, KW, CG, O = w.shape
    OG = O // groups
    for a in range(KH):
        for b in range(KW):
            pixels = shifted(a, b)  # (N, OH, OW, C)
            for k in range(groups):
                to, of = slice(k * OG, (k + 1) * OG), slice(k * CG, (k + 1) * CG)
                out[..., to] += pixels[..., of] @ w[a, b, :, to]


def first_try(x, w, out, s):
    def shifted(a, b):
        rows = np.arange(out.shape[1]) * s.stride[0] - s.padding[0] + a * s.dilation[0]
        columns = np.arange(out.shape[2]) * s.stride[1] - s.padding[1] + b * s.dilation[1]
        return x[:, rows.clip(0, x.shape[1] - 1)[:, None], columns.clip(0, x.shape[2] - 1)]

    out[...] = 0
    add_taps(shifted, w, out, s.groups)


def essence(report):
    """A report without its last part, Python to paste that reproduces the example."""
    return str(report).partition("to reproduce it")[0].rstrip()


# %% [markdown]
# **Guess before you run:** which outputs will be wrong? For which kinds of layers?

# %%
guess = ...  # where in the picture; which layers

# %% tags=["hide-output"]
first = conformance.check(first_try, "conv2d")
print(essence(first))

# %% [markdown]
# The failing cases are sorted by *kind*: a case was made plainer and smaller for as long as the kernel kept failing in
# the same way, and what could not be taken away gives the kind its name. Below it is what the kernel seems to do (its
# numbers are compared with those of faulty versions of the specification), the smallest example, and a picture with an
# `X` for each wrong number. *Where to look* is what all failing cases have in common and the passing ones do not. The
# pictures of some larger corners:


# %% tags=["hide-output"]
def draw(report, titles):
    """The picture of wrong elements, for some of the named cases: image 0, channel 0."""
    found = {f.case.title: f for f in report.named if f.case.dtype == "float64"}
    colours = ListedColormap(["0.93", "tab:red", "tab:orange"])
    figure, axes = plt.subplots(1, len(titles), figsize=(8.5, 3.2), layout="constrained")
    for ax, title in zip(axes, titles, strict=True):
        finding = found[title]
        out = finding.case.writes[0]
        marks = finding.marks.get("out", np.full(finding.case.shape(out), "."))[0, :, :, 0]
        ax.imshow(np.select([marks == "X", marks == "N"], [1, 2], 0), cmap=colours, vmin=0, vmax=2)
        for (i, j), mark in np.ndenumerate(marks):
            ax.text(j, i, mark, ha="center", va="center", color="0.6" if mark == "." else "white")
        ax.set(title=title.replace(", ", ",\n"), xlabel="column", ylabel="row", xticks=[], yticks=[])
    figure.suptitle("X: a wrong number, N: no number, a dot: right")
    plt.show()


draw(first, ["padding", "padding of rows only", "dilation 2, padding 2"])

# %% [markdown]
# <details><summary>Answer</summary>
#
# The rim is wrong, as wide as the padding reaches, and nothing else; so every layer with padding is wrong. A clipped
# row is the image's *last* row, read again; the specification has zeros there.
#
# </details>
#
# ## Right


# %%
def padded_taps(x, w, out, s):
    (sh, sw), (ph, pw), (dh, dw), groups = s
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    out[...] = 0
    add_taps(lambda a, b: padded[:, a * dh :: sh, b * dw :: sw][:, : out.shape[1], : out.shape[2]], w, out, groups)


conformance.assert_conforms(padded_taps, "conv2d")  # the line for a test
right = conformance.check(padded_taps, "conv2d")
print(essence(right))
print(f"{len(right.named)} named cases (each corner in two types), {right.tries} drawn ones")

# %% [markdown]
# ## Faster
#
# Where is it slow? A *depthwise* layer has a group for each channel. Then there is nothing to multiply as matrices, and
# our sum of products makes 9 tiny ones per channel. We write compiled loops for this case: channels innermost, since
# they lie next to each other, and four pixels at a time, so that each row of weights that is fetched is used four
# times. For all other layers the kernel stays as it is.


# %%
def depthwise(last):
    """A kernel; `last(W)` says where the blocks of four pixels of a row end."""

    @numba.njit(error_model="numpy")
    def loops(x, w, out, end, stride, padding, dilation):
        N, H, W, C = out.shape
        for n in range(N):
            for i in range(H):
                for first in range(0, end, 4):
                    block = range(first, min(first + 4, W))
                    for j in block:
                        for c in range(C):
                            out[n, i, j, c] = 0
                    for a in range(w.shape[0]):
                        row = i * stride[0] - padding[0] + a * dilation[0]
                        if 0 <= row < x.shape[1]:
                            for b in range(w.shape[1]):
                                for j in block:
                                    column = j * stride[1] - padding[1] + b * dilation[1]
                                    if 0 <= column < x.shape[2]:
                                        for c in range(C):
                                            out[n, i, j, c] += x[n, row, column, c] * w[a, b, 0, c]

    def kernel(x, w, out, s):
        if s.groups == x.shape[3] == w.shape[3]:
            loops(x, w, out, last(out.shape[2]), s.stride, s.padding, s.dilation)
        else:
            padded_taps(x, w, out, s)

    return kernel


in_a_hurry = conformance.check(depthwise(lambda W: W // 4 * 4), "conv2d")
print("named cases that fail:", {f.case.title for f in in_a_hurry.named if not f.ok})
draw(in_a_hurry, ["padding", "groups 2", "depthwise"])

# %% [markdown]
# Two corner cases fail; no others use the new loops. The one that is drawn has five columns, in blocks of
# four, and the last column is left out. At widths of 8, 16 and 32 the kernel is right, and those are the widths one
# tries. Note the `N`: these numbers are not *wrong*. They were never written, and you see what was in `out` before.
# Fresh memory is often all zeros, and a test may be content with them. So `out` is filled with rubbish here, and the
# kernel is run again over other rubbish.

# %%
faster = depthwise(lambda W: W)  # `block` above already ends where the row does
mended = conformance.check(faster, "conv2d")
print(essence(mended))

# %% [markdown]
# ## Is it worth it?
#
# We time the kernels in turn, on three layers. Beside them stands the machine's limit: the time that the layer's
# multiplications take at the peak of the arithmetic, or its arrays at the speed of the memory, whichever is longer.
# `tinyres.bench` measures both.
#
# **Guess before you run:** is a kernel of our own ever as fast as that of the library?

# %%
guess = ...  # yes or no; on which layer

# %% tags=["hide-output"]
layers = {"3 -> 16 channels": (3, 16, 1), "32 -> 32 channels": (32, 32, 1), "32, depthwise": (32, 32, 32)}
kernels = {"sum of taps": padded_taps, "with own loops": faster, "tinyres": cpu.conv2d}
rng = np.random.default_rng(0)
peaks = machine.measure()
taken = {}
for layer, (C, O, groups) in layers.items():
    x = rng.standard_normal((2, 32, 32, C)).astype("float32")
    w = rng.standard_normal((3, 3, C // groups, O)).astype("float32")
    out = np.empty((2, 32, 32, O), "float32")
    s = Conv(stride=(1, 1), padding=(1, 1), dilation=(1, 1), groups=groups)
    best = dict.fromkeys(kernels, np.inf)
    for _ in range(12):
        for name, kernel in kernels.items():
            start = time.perf_counter()
            kernel(x, w, out, s)
            best[name] = min(best[name], time.perf_counter() - start)
    taken[layer] = best
    print(f"{layer:18}", ", ".join(f"{name} {seconds * 1e3:.2f} ms" for name, seconds in best.items()))
    arithmetic, memory = 2 * out.size * w[..., 0].size / peaks.flops, (x.nbytes + out.nbytes) / peaks.cache_bandwidth
    limit = "arithmetic" if arithmetic > memory else "memory"
    print(f"{'':18} the machine's limit {max(arithmetic, memory) * 1e3:.3f} ms ({limit})")

# %%
assert not first.ok
assert any("padding > 0" in line for line in str(first).splitlines() if "every failing case" in line)
rim = next(f for f in first.named if f.case.title == "padding").marks["out"][0, :, :, 0] == "X"
assert rim[[0, -1]].all()
assert rim[:, [0, -1]].all()
assert not rim[1:-1, 1:-1].any()  # the rim, and nothing but the rim
assert right.ok
tail, _ = (f for f in in_a_hurry.named if not f.ok and f.case.dtype == "float64")
assert tail.case.title == "depthwise"
assert (tail.marks["out"][:, :, 4:] == "N").all()  # the last of five columns ...
assert (tail.marks["out"][:, :, :4] == ".").all()  # ... and no other
assert mended.ok
assert taken["32, depthwise"]["with own loops"] < taken["32, depthwise"]["sum of taps"] / 2

# %% [markdown]
# <details><summary>Answer</summary>
#
# On ordinary layers the library is ahead, and our kernel is what it was. On the depthwise layer the compiled loops are
# some thirty times as fast as the sum of taps, and when this was written they were ahead of the library, too: a kernel
# for one case has less to do than one for all.
#
# </details>
#
# The whole difficulty is to be *certain* that it is called only in its case, and that it is right there. That is what
# conformance is for.
#
# Put `assert_conforms` into a test, and from then on you may turn the kernel inside out. From the command line it is
# `python -m tinyres_kernels check mymodule:my_conv2d --op conv2d`. Pools, norms, losses and optimisers' steps can be
# checked in the same way: `conformance.OPS` lists them. And `tinyres_kernels.contract.kernel("conv2d", my_conv2d)` is
# your kernel for others to call, behind the same checks as those of the library.
#
# ## For a class
#
# `python -m tinyres_kernels check students --op conv2d --csv marks.csv` checks a whole folder: `students/ann.py`,
# `students/bob.py`, or a folder for each student. It needs no network. A file that hangs, is empty, is not Python or
# defines two kernels gets a row that says so, and the next one is checked. `--json` and `--junit` hold the reports.
# The cases, the seed and the number of threads are the same on every machine with these versions, and so are the marks;
# only a kernel that takes about as long as `--limit` allows may pass on a fast machine and not on a slow one. The
# answers to these exercises are collected by `tinyres tutorials results FOLDER --csv FILE`.
#
# ## Your turn
#
# A kernel for the mean of each window:
#
# ```python
# def avg_pool2d(x, out, s):  # s.kernel, s.stride, s.padding, s.count_include_pad
#     # x (N, H, W, C) -> out (N, OH, OW, C), into which it writes; reference.avg_pool2d says exactly what is needed
#     ...
#
# tr.exercise("16", avg_pool2d)
# ```
#
# It must conform, and it must be at least ten times as fast as the specification. If you know what happens at the rim
# when `count_include_pad` is `False`, you are halfway through.
#
# `tinyres flow --list` has the experiments. The next tutorial could be yours: a kernel, an experiment, or a claim that
# you want to see measured.
