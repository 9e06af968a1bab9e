"""Floor 0 of tinyres: arrays in, arrays out. Nothing here knows what a tensor or a gradient is.

The same kernels exist several times over, one module (a *rung*) each, under the same names and signatures, so that one
can be read while another is run: `reference` (loops: what the words mean) and `im2col` (whole-array operations: NumPy
or CuPy, no compiler) are the two lowest. What every rung promises:

- Images are `(N, H, W, C)` and weights `(KH, KW, C / groups, O)`: channels last, C-contiguous, float32 or float64.
- The result is written into `out`, which the caller allocates and gets back. What `out` held before does not matter
  (it may be NaN): every element is written. `out`'s dtype is the result's dtype, and its shape carries the part of the
  geometry that the other arguments leave open: at stride 2, images of 7 and of 8 rows both have outputs of 4.
- `stride`, `padding`, `dilation` and `kernel` are pairs `(h, w)` of ints, passed by keyword. Padding is symmetric.
- An empty batch is a batch: `N = 0` is allowed, and the weight gradient is then zero.
- Shapes that do not belong together raise ValueError before anything is written.
- The same arguments give the same bits, run after run: no order of summation is left to chance.

`conv2d`, `conv2d_dx` and `conv2d_dw` are one trilinear form seen from three sides, so each is the derivative of the
others. So are `max_pool2d_dx` and `max_pool2d_take`, which are linear once the winners are known, and `avg_pool2d`
and `avg_pool2d_dx`.

`namespace` tells whose arrays are at hand; `geometry` holds the integer arithmetic of windows. Importing this package
imports neither.
"""
