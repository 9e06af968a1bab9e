"""The inner loop of the tiled convolutions, written out: what a thread does with a slab, without a branch in between.

The compiler leaves a loop of this size a loop, and spends a fourth of its instructions on counting and addresses. What
is a product here is one instruction when it runs, and all places in a slab are known beforehand.
"""

from functools import cache

from tinyres_kernels.cuda.host import SIMULATED, part_of_numba
from tinyres_kernels.cuda.words import WIDE, load4


@cache
def products(deep, down, across, a_pitch, b_pitch, a_far, b_far, fold=0):
    """A function for kernels: sums[i, j] += sum over k of a[k, i] * b[k, j], for `deep` lines of two slabs.

    From line to line it is `a_pitch` and `b_pitch` numbers; a thread's rows and columns lie in fours that are `a_far`
    and `b_far` apart. Line k of the first slab has its fours exchanged where there is a `fold`: row r of it lies at
    r ^ (k * fold).
    """

    def bits(k):
        """What is folded within a thread's reach, and what from one of its fours to another."""
        turned = k * fold % a_pitch
        return turned & a_far - 1, turned & -a_far

    def add_products(sums, a_slab, from_a, b_slab, from_b):
        for k in range(deep):
            low, high = bits(k)
            start = (from_a ^ low) + k * a_pitch
            a = [v for i in range(0, down, WIDE) for v in load4(a_slab, start + (i // WIDE * a_far ^ high))]
            b = [v for j in range(0, across, WIDE) for v in load4(b_slab, from_b + k * b_pitch + j // WIDE * b_far)]
            for i in range(down):
                for j in range(across):
                    sums[i, j] += a[i] * b[j]

    if SIMULATED:
        return add_products

    from llvmlite import ir

    types, extending = map(part_of_numba, ("types", "extending"))

    @extending.type_callable(add_products)
    def type_add_products(context):
        return lambda sums, a_slab, from_a, b_slab, from_b: types.void

    @extending.lower_builtin(add_products, types.Array, types.Array, types.Integer, types.Array, types.Integer)
    def lower_add_products(context, builder, signature, given):
        index = ir.IntType(64)
        number = context.get_data_type(signature.args[0].dtype)
        vector = ir.VectorType(number, WIDE)
        held = [context.make_array(signature.args[n])(context, builder, given[n]).data for n in (0, 1, 3)]

        def fours(slab, start, line, far, count, high=0):
            for i in range(0, count, WIDE):
                place = builder.add(start, ir.Constant(index, line + (i // WIDE * far ^ high)))
                pointer = builder.bitcast(builder.gep(slab, [place], inbounds=True), vector.as_pointer())
                loaded = builder.load(pointer, align=16)
                for lane in range(WIDE):
                    yield builder.extract_element(loaded, ir.Constant(ir.IntType(32), lane))

        places = [builder.gep(held[0], [ir.Constant(index, n)], inbounds=True) for n in range(down * across)]
        sums = [builder.load(place) for place in places]
        for k in range(deep):
            low, high = bits(k)
            start = builder.xor(given[2], ir.Constant(index, low)) if low else given[2]
            a = list(fours(held[1], start, k * a_pitch, a_far, down, high))
            b = list(fours(held[2], given[4], k * b_pitch, b_far, across))
            for n, total in enumerate(sums):
                sums[n] = builder.fma(a[n // across], b[n % across], total)
        for place, total in zip(places, sums, strict=True):
            builder.store(total, place)
        return context.get_dummy_value()

    return add_products
