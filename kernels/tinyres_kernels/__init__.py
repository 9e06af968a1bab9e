"""Floor 0 of tinyres: arrays in, arrays out. Nothing here knows what a tensor or a gradient is.

The same kernels exist several times over, one package (a *kernel set*) each, under the same names and signatures, so
that one can be read while another is run. In front of each stands its contract, which is written once:

    contract    the signature of every operation, the shapes that fit, the answers to empty arrays
    settings    the settings of those that have some: a kernel's last argument

    reference   loops: what the words mean. Docstrings there hold the equations, shapes and costs
    im2col      whole-array operations, for NumPy or CuPy arrays; needs no compiler
    cpu         compiled by Numba, on all cores, for NumPy arrays in float32 or float64
    cuda        compiled by Numba for a GPU, for CuPy arrays in float32 or float64

What there is, and the shapes of its arrays (fastest where they are C-contiguous; float32 or float64 unless said
otherwise):

    conv2d, conv2d_dx, conv2d_dw             images (N, H, W, C), channels last; weights (KH, KW, C / groups, O)
    max_pool2d, max_pool2d_dx,
    max_pool2d_take,
    avg_pool2d, avg_pool2d_dx                images; winners as int32, numbers of taps in their window
    batch_norm, batch_norm_dx                images as matrices (N H W, C), the rest (C,). The residual sum and the
                                             ReLU that often follow can be taken along
    cross_entropy, cross_entropy_dx          logits (M, C), losses (M,), classes (M,) int64
    softmax, softmax_dx                      matrices (M, C), along their rows
    activation, activation_dx                lines (M,)
    attention, attention_dx                  heads (B, L, E), (B, S, E) and (B, S, V)
    bce_with_logits, bce_with_logits_dx      arrays of one shape, whichever it is
    sgd, adam, rmsprop                       a parameter, its gradient and state, of one shape, whichever it is
    add, relu, relu_dx                       lines (M,)
    matmul                                   matrices (M, K) and (K, N), which may be transposed views

What every kernel set promises:

- The results are written into arrays that the caller allocates: `out`, which is also returned, and the arguments behind
  it. What they held before does not matter (it may be NaN): every element is written. Nothing else is: what is read
  may be read-only. (Batch norm's `mean` and `variance` are results in training, and are read otherwise; running
  statistics are read, and what they become is written elsewhere. Over one of its terms `add` may write, if it is the
  caller's.)
- `out`'s dtype is the result's dtype, and its shape carries the part of the geometry that the other arguments leave
  open: at stride 2, images of 7 and of 8 rows both have outputs of 4.
- None stands for what there is not: no residual, no gradient of one wanted, no state before the first step.
- Settings come in one object behind the arrays, `conv2d(x, w, out, Conv(...))`, or by keyword, which makes that object.
  `stride`, `padding`, `dilation` and `kernel` are pairs `(h, w)` of ints. Padding is symmetric.
- An empty batch is a batch: `N = 0` is allowed, and the weight gradient is then zero. (Statistics of an empty batch
  there are none: batch norm needs a pixel in training. Nor are there losses of rows without a class.)
- Shapes that do not belong together raise ValueError before anything is written. Classes are not held against their
  number: whoever calls has checked.
- All of this the contract sees to: a body, `def conv2d(x, w, out, s)`, gets arrays that fit and have elements.
- The same arguments on as many threads give the same bits, run after run: no order of summation is left to chance.
- What is read may lie in memory in any way that its array library knows: strided, reversed, broadcast, misaligned, in
  the other byte order. It may then be copied. What is written has to be C-contiguous: another `out` raises
  ValueError, since it could not be written in place (`sgd`, `adam` and `rmsprop` take any order of axes without gaps).
- NaN and infinity come out where the equations put them, and nowhere else. There is one exception, at the rim of an
  image. `reference` leaves padding out. The other kernel sets may multiply the zeros there, and zero times a NaN or an
  infinity is NaN. Both conform, and they differ only where it is the *second* argument that is not finite: a weight in
  `conv2d` and `conv2d_dx` (whose images g have a rim of zeros even without padding), a cotangent in `conv2d_dw`.
  A result all of whose terms are pixels is the same on every kernel set, and what is not finite in an image never
  reaches a result that does not read it.
  Likewise in attention with a causal mask: what is not finite in a key or value may reach a query that does not see
  it.

`conv2d`, `conv2d_dx` and `conv2d_dw` are one trilinear form seen from three sides, so each is the derivative of the
others. So are `max_pool2d_dx` and `max_pool2d_take`, which are linear once the winners are known, and `avg_pool2d`
and `avg_pool2d_dx`.

The set `cuda` also has the steps of many parameters in one launch, with the bits of one by one: `cuda.MANY`, by name.
And it has `cuda.conv2d_norm`: a convolution and batch norm in evaluation, in one launch, within rounding of the two;
and `cuda.conv2d_statistics`, which in training leaves mean and variance of the convolution's channels.

`contract.kernel("conv2d", body)` is a reader's own kernel as callers call it. `conformance` holds any kernel, of these
or a reader's own, against all of this; `checked` holds every call of a kernel set against `im2col` while a program
runs. `namespace` tells whose arrays are at hand; `geometry` holds the integer
arithmetic of windows. Importing this package imports none of them.
"""
