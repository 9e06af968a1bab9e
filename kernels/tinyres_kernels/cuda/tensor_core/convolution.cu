// The convolutions on tensor cores, as matrix products whose matrices are never written down (implicit GEMM).
// Compiled with COLUMNS (32, 64, 128), PRODUCTS (3, 1) and the words of a copy A_WORDS, B_WORDS (4, 1) defined.
//
// A block of 8 warps computes 128 x COLUMNS results; it walks along the inner dimension in slabs of 16. While a slab is
// multiplied, the next one is on its way into the other half of shared memory: one barrier a slab.
// Gathered, without atomics, in an order that does not depend on who runs first: the same bits every time.

constexpr int ROWS = 128, DEEP = 16, THREADS = 256;
constexpr int WARPS_ACROSS = COLUMNS / 32, WARPS_DOWN = 8 / WARPS_ACROSS;
constexpr int DOWN = ROWS / WARPS_DOWN / 16, ACROSS = 4;  // tiles of an mma that a warp holds
constexpr int FAR = -(1 << 28);  // where the windows of pixels lie that do not exist: outside of every image
// Blocks of a multiprocessor: each has 65,536 registers, and 64 sums a thread leave too few for a second block.
constexpr int RESIDENT = COLUMNS == 128 ? 1 : 2;
constexpr unsigned INFINITE = 0x7f800000u, TF32 = 0xffffe000u, HALF = 0x1000u;

// Of an mma, lane 4 g + t reads (row g, deep t) of a and (deep t, column g) of b. With these distances the 32 words lie
// in 32 banks: 20 g + t and 8 t + g take every value modulo 32.
constexpr int A_PITCH = DEEP + 4, A_PITCH_TURNED = ROWS + 8, B_PITCH = COLUMNS + 8;

struct Window {
    long long corner;  // address of its first channel
    int top, left;
};

struct Parts {
    unsigned big, small, finite;
};

// x = big + small to 23 bits: big is x rounded to the 11 bits that the tensor cores take, small is the rest, cut to as many.
//
// Quickly: additions to the bits, a fraction of what a conversion costs. Numbers that are not finite, or round up to
// infinity, have a small part that is not finite: it shows in the sums, which is all that is asked of it here.
// Carefully: `big` alone stands for such a number, and what it is paired with in the corrections is 0, not `big`, since
// infinity times a small part of 0 would be NaN; `big` is cut rather than rounded, which keeps the largest numbers.
template <bool CAREFUL>
__device__ __forceinline__ Parts split(float x) {
    unsigned bits = __float_as_uint(x);
    if (CAREFUL) {
        if ((bits & INFINITE) == INFINITE) return {to_tf32(x), 0u, 0u};
        unsigned big = bits & TF32;
        return {big, to_tf32(x - __uint_as_float(big)), big};
    }
    if (PRODUCTS == 1) {
        unsigned big = to_tf32(x);
        return {big, 0u, big};
    }
    unsigned big = (bits + HALF) & TF32;
    return {big, __float_as_uint(x - __uint_as_float(big)) & TF32, big};
}

// sums += a slab of a times a slab of b, both from the warp's first row and column on.
// Each mma starts from zero and is added to the sums in float32, rounded to nearest: the tensor cores cut what they
// add, and cuts, all towards zero, would pile up over a long sum.
template <bool CAREFUL, int ROW_STEP, int DEEP_STEP>
__device__ __forceinline__ void multiply(const float* a_slab, const float* b_slab, float (&sums)[DOWN][ACROSS][4]) {
    int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll(CAREFUL ? 1 : DEEP / 8)  // its registers are not to be more than the quick one's
    for (int k = 0; k < DEEP; k += 8) {
        unsigned b_big[ACROSS][2], b_small[ACROSS][2], b_finite[ACROSS][2];
#pragma unroll
        for (int j = 0; j < ACROSS; j++)
#pragma unroll
            for (int q = 0; q < 2; q++) {
                Parts b = split<CAREFUL>(b_slab[(k + t + 4 * q) * B_PITCH + 8 * j + g]);
                b_big[j][q] = b.big, b_small[j][q] = b.small, b_finite[j][q] = b.finite;
            }
#pragma unroll
        for (int i = 0; i < DOWN; i++) {
            unsigned a_big[4], a_small[4], a_finite[4];
#pragma unroll
            for (int q = 0; q < 4; q++) {
                int row = 16 * i + g + q % 2 * 8, deep = k + t + q / 2 * 4;
                Parts a = split<CAREFUL>(a_slab[row * ROW_STEP + deep * DEEP_STEP]);
                a_big[q] = a.big, a_small[q] = a.small, a_finite[q] = a.finite;
            }
#pragma unroll
            for (int j = 0; j < ACROSS; j++) {
                float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
                if (PRODUCTS == 3) {
                    mma(part, a_small, b_finite[j]);
                    mma(part, a_finite, b_small[j]);
                }
                mma(part, a_big, b_big[j]);
#pragma unroll
                for (int q = 0; q < 4; q++) sums[i][j][q] += part[q];
            }
        }
    }
}

// A slab of b: rows `first + deep` below `end`, of a matrix `pitch` wide, from the column `group_col + first_col` on.
__device__ __forceinline__ void load_b(const float* matrix, float* slab, int first, int end, int pitch, int group_col,
                                       int first_col, int columns) {
    constexpr int QUADS = COLUMNS / B_WORDS;
    int col = threadIdx.x % QUADS * B_WORDS;
    bool inside = first_col + col < columns;
#pragma unroll
    for (int i = 0; i < (DEEP * QUADS + THREADS - 1) / THREADS; i++) {
        int deep = threadIdx.x / QUADS + i * (THREADS / QUADS);
        if (deep >= DEEP) break;
        bool there = inside && first + deep < end;
        const float* from = there ? matrix + (long long)(first + deep) * pitch + group_col + first_col + col : matrix;
        copy_async<B_WORDS>(slab + deep * B_PITCH + col, from, there);
    }
}

struct Gather {
    static constexpr int ROW_STEP = A_PITCH, DEEP_STEP = 1, A_SIZE = ROWS * A_PITCH;
    const float *x, *w;
    Window* windows;  // of the block's rows
    int H, W, C, CG, O, OG, group, first_col, depth, move_h, move_w, taps_w, slabs;
    int c, kh, kw;  // channel and tap that this thread loads next

    __device__ __forceinline__ void begin() { c = threadIdx.x % (DEEP / A_WORDS) * A_WORDS, kh = kw = 0; }
    __device__ __forceinline__ void look_ahead(int) {}

    __device__ __forceinline__ void load(int slab, float* a, float* b) {
        constexpr int QUADS = DEEP / A_WORDS, STEP = THREADS / QUADS;
        int deep = threadIdx.x % QUADS * A_WORDS;
        while (c >= CG) {  // a carry, which costs less than two divisions
            c -= CG;
            if (++kw == taps_w) kw = 0, kh++;
        }
        int down = kh * move_h, along = kw * move_w;
        long long offset = ((long long)down * W + along) * C + c;
        bool inside = slab * DEEP + deep < depth;
#pragma unroll
        for (int row = threadIdx.x / QUADS; row < ROWS; row += STEP) {
            Window at = windows[row];
            bool there = inside && unsigned(at.top + down) < unsigned(H) && unsigned(at.left + along) < unsigned(W);
            copy_async<A_WORDS>(a + row * A_PITCH + deep, there ? x + at.corner + offset : x, there);
        }
        c += DEEP;
        load_b(w, b, slab * DEEP, depth, O, group * OG, first_col, OG);
    }
};

struct Weights {
    static constexpr int ROW_STEP = 1, DEEP_STEP = A_PITCH_TURNED, A_SIZE = DEEP * A_PITCH_TURNED;
    const float *x, *g;
    Window* windows;  // of the pixels of two slabs
    int H, W, C, OH, OW, O, OG, group, first_col, slabs, stride_h, padding_h, stride_w, padding_w;
    int down, along;           // tap of the row that this thread loads,
    long long offset;          // and the address of its channel there
    int first, end;            // pixels of this part

    __device__ __forceinline__ void begin() {
        look_ahead(0);
        look_ahead(1);
    }

    // The windows of a slab's pixels, by the first threads; the others load, a barrier later, from what these found.
    __device__ __forceinline__ void look_ahead(int slab) {
        if (threadIdx.x >= DEEP) return;
        int p = first + slab * DEEP + threadIdx.x, n = p / OW / OH;
        int h = p / OW % OH * stride_h - padding_h, v = p % OW * stride_w - padding_w;
        windows[slab % 2 * DEEP + threadIdx.x] = {(((long long)n * H + h) * W + v) * C, p < end ? h : FAR, v};
    }

    __device__ __forceinline__ void load(int slab, float* a, float* b) {
        constexpr int QUADS = ROWS / A_WORDS, STEP = THREADS / QUADS;
        int row = threadIdx.x % QUADS * A_WORDS;
#pragma unroll
        for (int deep = threadIdx.x / QUADS; deep < DEEP; deep += STEP) {
            Window at = windows[slab % 2 * DEEP + deep];
            bool there = unsigned(at.top + down) < unsigned(H) && unsigned(at.left + along) < unsigned(W);
            copy_async<A_WORDS>(a + deep * A_PITCH_TURNED + row, there ? x + at.corner + offset : x, there);
        }
        load_b(g, b, first + slab * DEEP, end, O, group * OG, first_col, OG);
    }
};

template <bool CAREFUL, class Source>
__device__ __forceinline__ void walk(Source& source, float* a, float* b, float (&sums)[DOWN][ACROSS][4]) {
    int warp = threadIdx.x / 32;
    int row = warp / WARPS_ACROSS * (16 * DOWN), col = warp % WARPS_ACROSS * (8 * ACROSS);
#pragma unroll
    for (int i = 0; i < DOWN * ACROSS * 4; i++) sums[i / (ACROSS * 4)][i / 4 % ACROSS][i % 4] = 0.0f;
    source.begin();
    __syncthreads();
    if (source.slabs) source.load(0, a, b);
    for (int slab = 0; slab < source.slabs; slab++) {
        int here = slab % 2, there = 1 - here;
        wait_for_copies();
        __syncthreads();  // all have this slab, and none still reads from where the next one goes
        if (slab + 1 < source.slabs) source.load(slab + 1, a + there * Source::A_SIZE, b + there * DEEP * B_PITCH);
        source.look_ahead(slab + 2);
        multiply<CAREFUL, Source::ROW_STEP, Source::DEEP_STEP>(
            a + here * Source::A_SIZE + row * Source::ROW_STEP, b + here * DEEP * B_PITCH + col, sums);
    }
}

// A finite sum has met finite numbers only, since the rest stay what they are in any sum. So the quick split decides by
// itself, and only a block with a sum that is not finite goes over all of it again, carefully.
template <class Source>
__device__ __forceinline__ void product(Source& source, float* a, float* b, float (&sums)[DOWN][ACROSS][4]) {
    walk<false>(source, a, b, sums);
    bool odd = false;
#pragma unroll
    for (int i = 0; i < DOWN * ACROSS * 4; i++)
        odd |= (__float_as_uint(sums[i / (ACROSS * 4)][i / 4 % ACROSS][i % 4]) & INFINITE) == INFINITE;
    if (__syncthreads_or(odd)) walk<true>(source, a, b, sums);
}

// Call write(row, column, number) for every result that this thread holds.
template <class Write>
__device__ __forceinline__ void each(const float (&sums)[DOWN][ACROSS][4], Write write) {
    int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    int row = warp / WARPS_ACROSS * (16 * DOWN) + g, col = warp % WARPS_ACROSS * (8 * ACROSS) + 2 * t;
#pragma unroll
    for (int i = 0; i < DOWN; i++)
#pragma unroll
        for (int q = 0; q < 4; q++)
#pragma unroll
            for (int j = 0; j < ACROSS; j++)
                write(row + 16 * i + q / 2 * 8, col + 8 * j + q % 2, sums[i][j][q]);
}

// out[p, col] = sum over taps and channels of x[where p's window has the tap, channel] * w[tap, channel, col].
// Along an axis: `count` results, `stride` and `shift` of their windows, `move` from tap to tap, `taps`, and where the
// results go: the `first` and the `step`. This says a convolution, and a phase of its adjoint as well.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
gather(const float* x, const float* w, float* out, int N, int H, int W, int C, int CG, int OH, int OW, int O, int OG,
       int count_h, int stride_h, int shift_h, int move_h, int taps_h, int first_h, int step_h,  //
       int count_w, int stride_w, int shift_w, int move_w, int taps_w, int first_w, int step_w) {
    alignas(16) __shared__ float a[2 * Gather::A_SIZE], b[2 * DEEP * B_PITCH];
    __shared__ Window windows[ROWS];
    int group = blockIdx.z, first_col = blockIdx.y * COLUMNS, first_row = blockIdx.x * ROWS;
    int pixels = N * count_h * count_w, depth = taps_h * taps_w * CG;
    if (threadIdx.x < ROWS) {
        int p = first_row + threadIdx.x;
        int qw = p % count_w, qh = p / count_w % count_h, n = p / count_w / count_h;
        int h = qh * stride_h + shift_h, v = qw * stride_w + shift_w;
        windows[threadIdx.x] = {(((long long)n * H + h) * W + v) * C + group * CG, p < pixels ? h : FAR, v};
    }
    Gather source{x, w, windows, H, W, C, CG, O, OG, group, first_col, depth, move_h, move_w, taps_w};
    source.slabs = (depth + DEEP - 1) / DEEP;
    float sums[DOWN][ACROSS][4];
    product(source, a, b, sums);
    each(sums, [&](int row, int col, float number) {
        int p = first_row + row;
        if (p >= pixels || first_col + col >= OG) return;
        int qw = p % count_w, qh = p / count_w % count_h, n = p / count_w / count_h;
        long long at = ((long long)n * OH + first_h + qh * step_h) * OW + first_w + qw * step_w;
        out[at * O + group * OG + first_col + col] = number;
    });
}

// out[part, tap, c, o] = sum over a part of the pixels of x[where the pixel's window has the tap, c] * g[pixel, o].
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
weights(const float* x, const float* g, float* out, int N, int H, int W, int C, int CG, int OH, int OW, int O, int OG,
        int part_size, int stride_h, int padding_h, int dilation_h, int KH,  //
        int stride_w, int padding_w, int dilation_w, int KW) {
    alignas(16) __shared__ float a[2 * Weights::A_SIZE], b[2 * DEEP * B_PITCH];
    __shared__ Window windows[2 * DEEP];
    int groups = O / OG, group = blockIdx.z % groups, part = blockIdx.z / groups;
    int first_col = blockIdx.y * COLUMNS, first_row = blockIdx.x * ROWS, rows = KH * KW * CG;
    int pixels = N * OH * OW, first = part * part_size;
    Weights source{x, g, windows, H, W, C, OH, OW, O, OG, group, first_col};
    source.first = first, source.end = min(first + part_size, pixels);
    source.slabs = (source.end - first + DEEP - 1) / DEEP;
    source.stride_h = stride_h, source.padding_h = padding_h, source.stride_w = stride_w, source.padding_w = padding_w;
    int row = first_row + threadIdx.x % (ROWS / A_WORDS) * A_WORDS, tap = row / CG;
    source.down = tap / KW * dilation_h, source.along = tap % KW * dilation_w;
    source.offset = ((long long)source.down * W + source.along) * C + group * CG + row % CG;
    if (row >= rows) source.down = FAR;  // there is no such row
    float sums[DOWN][ACROSS][4];
    product(source, a, b, sums);
    each(sums, [&](int row, int col, float number) {
        if (first_row + row >= rows || first_col + col >= OG) return;
        out[((long long)part * rows + first_row + row) * O + group * OG + first_col + col] = number;
    });
}

// The parts of `weights`, added up in this order, always.
extern "C" __global__ void __launch_bounds__(THREADS) sum_parts(const float* parts, float* out, int count, int size) {
    int i = blockIdx.x * THREADS + threadIdx.x;
    if (i >= size) return;
    float total = 0.0f;
    for (int part = 0; part < count; part++) total += parts[(long long)part * size + i];
    out[i] = total;
}
