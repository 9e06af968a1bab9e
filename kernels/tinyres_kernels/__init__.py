"""Floor 0 of tinyres: arrays in, arrays out. Nothing here knows what a tensor or a gradient is.

The same kernels exist in several packages (*kernel sets*), with the same names and signatures, so that you can read one
set while another runs. Each kernel is called through its contract, which is written once:

    contract    the signature of every operation, the shapes that fit, the answers to empty arrays
    settings    the settings of those that have some: a kernel's last argument

    reference   loops: the specification. Its docstrings hold the equations, shapes and costs
    im2col      whole-array operations, for NumPy or CuPy arrays; needs no compiler
    cpu         compiled by Numba, on all cores, for NumPy arrays in float32 or float64
    cuda        compiled by Numba for a GPU, for CuPy arrays in float32 or float64

The operations, and the shapes of their arrays (fastest if C-contiguous; float32 or float64 unless said otherwise):

    conv2d, conv2d_dx, conv2d_dw             images (N, H, W, C), channels last; weights (KH, KW, C / groups, O)
    max_pool2d, max_pool2d_dx,
    max_pool2d_take,
    avg_pool2d, avg_pool2d_dx                images; winners as int32, numbers of taps in their window
    batch_norm, batch_norm_dx                images as matrices (N H W, C), the rest (C,). The residual sum and the
                                             ReLU that often follow can be fused in
    cross_entropy, cross_entropy_dx          logits (M, C), losses (M,), classes (M,) int64
    softmax, softmax_dx                      matrices (M, C), along their rows
    layer_norm, layer_norm_dx                matrices (M, C), along their rows; weight and bias (C,)
    rms_norm, rms_norm_dx                    likewise, without mean and bias
    activation, activation_dx                lines (M,)
    attention, attention_dx                  heads (N, L, H, E), (N, S, H, E) and (N, S, H, V)
    bce_with_logits, bce_with_logits_dx      arrays of one shape, any shape
    sgd, adam, rmsprop                       a parameter, its gradient and state, all of one shape, any shape
    add, relu, relu_dx                       lines (M,)
    matmul                                   matrices (M, K) and (K, N), which may be transposed views
    linear                                   rows (M, K), weights (N, K), a bias (N,)
    column_sums                              a matrix (M, C)

Every kernel set promises:

- Results are written into arrays that the caller allocates: `out`, which is also returned, and the arguments after it.
  Their previous contents do not matter (they may be NaN), because every element is written. Nothing else is written, so
  inputs may be read-only. (Batch norm's `mean` and `variance` are results in training, and inputs otherwise. Running
  statistics are inputs; their new values go into other arrays. `add` may overwrite one of its terms, if the caller asks
  for it.)
- All arrays of a call have one dtype, except those that hold integers; what is read may have the other byte order.
  `cpu` and `cuda` compute in float32 and float64 only.
- `out`'s shape carries the part of the geometry that the other arguments leave open: at stride 2, images of 7 and of 8
  rows both have outputs of 4.
- None means absent: no residual, no gradient wanted, no state before the first step.
- Settings come in one object after the arrays, `conv2d(x, w, out, Conv(...))`, or by keyword, which makes that object.
  `stride`, `padding`, `dilation` and `kernel` are pairs `(h, w)` of ints. Padding is symmetric.
- An empty batch is a batch: `N = 0` is allowed, and the weight gradient is then zero. (But an empty
  batch has no statistics: in training, batch norm needs at least one pixel. And a row of no classes has no loss.)
- Shapes that do not fit together raise ValueError, and mixed dtypes TypeError, before anything is written. Class
  numbers are not checked: the caller has done that.
- The contract enforces all of this: a body, `def conv2d(x, w, out, s)`, gets arrays that fit and are not empty.
- The same arguments on the same number of threads give the same bits in every run: the order of summation is fixed.
- Inputs may have any memory layout that their array library knows: strided, reversed, broadcast, misaligned, of the
  other byte order. They may then be copied. Results must be C-contiguous: another `out` raises
  ValueError, since it could not be written in place (`sgd`, `adam` and `rmsprop` take any order of axes without gaps,
  `attention_dx` any whose last axis lies element by element).
- NaN and infinity come out where the equations put them, and nowhere else. There is one exception, at the rim of an
  image. `reference` leaves padding out. The other kernel sets may multiply the zeros there, and zero times a NaN or an
  infinity is NaN. Both conform, and they differ only where the *second* argument is not finite: a weight in
  `conv2d` and `conv2d_dx` (whose images g have a rim of zeros even without padding), a cotangent in `conv2d_dw`.
  Where every term is a pixel, all kernel sets give the same result; and an infinity or NaN in an image never reaches a
  result that does not read it.
  Likewise in attention with a causal mask: what is not finite in a key or value may reach a query that does not see
  it.

`conv2d`, `conv2d_dx` and `conv2d_dw` are one trilinear form seen from three sides, so each is the derivative of the
others. So are `max_pool2d_dx` and `max_pool2d_take`, which are linear once the winners are known, and `avg_pool2d`
and `avg_pool2d_dx`.

The sets `cpu` and `cuda` can also update many parameters in one launch, with the same bits as one by one: `cpu.MANY`
(SGD and Adam) and `cuda.MANY`, by name. The set `cuda` also has `cuda.conv2d_norm`: a convolution and batch norm in
evaluation, in one launch, within rounding of the two; and `cuda.conv2d_statistics`, which in training leaves mean and
variance of the convolution's channels.

`contract.kernel("conv2d", body)` puts your own kernel behind the same contract. `conformance` checks any kernel, ours
or yours, for all of this; `checked` compares every call of a kernel set with `im2col` while a program runs. `namespace`
says which library an array belongs to; `geometry` holds the integer arithmetic of windows. Importing this package
imports none of them.
"""
