"""Faults that a tired author might make in the tensor-core convolutions."""

# What is broken: the sentence of convolution.cu, and what it is replaced by.
FAULTS = {
    "the last row of a tail": ("if (p >= pixels ||", "if (p >= pixels - 1 ||"),
    "columns beyond the last": ("p >= pixels || first_col + col >= OG", "p >= pixels"),
    "a carry forgotten": ("if (++kw == taps_w) kw = 0, kh++;", "++kw;"),
    "the end of the depth": ("bool there = inside && first + deep < end;", "bool there = inside;"),
    "the rim": ("windows[row];\n            bool there = inside &&", "windows[row];\n            bool there = true ||"),
    "two registers of an mma": ("q % 2 * 8, deep = k + t + q / 2 * 4", "q / 2 * 8, deep = k + t + q % 2 * 4"),
    "a column of the results": ("col + 8 * j + q % 2", "col + 8 * j + q / 2"),
    "the barrier": ("        __syncthreads();  // all have", "        // all have"),
    "the wait": ("        wait_for_copies();\n", ""),
    "the half that is being read": ("there = 1 - here", "there = here"),
    "windows looked up late": ("source.look_ahead(slab + 2)", "source.look_ahead(slab + 1)"),
    "the phase": ("first_w + qw * step_w", "qw * step_w"),
    "the end of a part": ("source.end = min(first + part_size, pixels)", "source.end = first + part_size"),
    "a correction": ("mma(part, a_finite, b_small[j]);", ""),
    "the small part": ("__float_as_uint(x - __uint_as_float(big)) & TF32, big}", "0u, big}"),
    "an operand that is no TF32": ("unsigned big = (bits + HALF) & TF32;", "unsigned big = bits + HALF;"),
    "sums through the tensor cores": ("mma(part, a_big, b_big[j]);", "mma(sums[i][j], a_big, b_big[j]);"),
    "the careful walk": ("walk<true>(source, a, b, sums)", "walk<false>(source, a, b, sums)"),
    "infinity times a small part": ("return {to_tf32(x), 0u, 0u};", "return {to_tf32(x), 0u, to_tf32(x)};"),
    "cut, not rounded, and so kept": ("unsigned big = bits & TF32;", "unsigned big = to_tf32(x);"),
}
