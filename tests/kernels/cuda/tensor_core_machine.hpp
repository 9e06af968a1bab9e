// A processor in place of a GPU: what machine.cuh and CUDA's own names mean, so that convolution.cu runs as plain C++.
//
// A thread of the GPU is a fiber with a stack of its own; one runs at a time, until it has to wait. A warp runs as far
// ahead of the others as barriers let it, in an order that is given: what depends on it lacks a barrier. Shared memory
// starts as NaN; a copy arrives at once or as late as it may, as is asked for. What a GPU would leave undefined stops
// everything: copies that are not aligned or read outside of the arrays, operands that are no TF32, barriers not met.

#pragma once
#include <algorithm>
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("shared_memory")))
using std::min;

extern char __start_shared_memory[], __stop_shared_memory[];  // by the linker

struct Index {
    unsigned x, y, z;
};
static Index threadIdx, blockIdx;

inline float __uint_as_float(unsigned bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}
inline unsigned __float_as_uint(float x) {
    unsigned bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}

namespace machine {

constexpr int LANES = 32, WARPS = 8, FIBERS = LANES * WARPS, STACK = 1 << 17;
enum class State { ready, at_mma, at_barrier, done };

struct Copy {
    float* to;
    const float* from;
    int words;
    bool there;
};

struct Fiber {
    jmp_buf place;
    ucontext_t start;
    std::vector<char> stack;
    State state;
    bool started;
    float* d;
    const unsigned *a, *b;
    std::vector<Copy> copies;
};

struct Range {
    const float *first, *last;
};

static Fiber fibers[FIBERS];
static int running, arrived[WARPS];
static jmp_buf scheduler;
static bool vote, verdict;
static void (*kernel)();
static std::vector<Range> readable;
static const char* fault;
static long long mmas;
int order, late;  // which of ORDERS; whether copies arrive only when they are waited for

inline void wait_as(State state) {
    Fiber& self = fibers[running];
    self.state = state;
    if (!_setjmp(self.place)) _longjmp(scheduler, 1);
}

[[noreturn]] inline void stop(const char* why) {
    fault = why;
    _longjmp(scheduler, 2);
}

// Where a lane's registers of mma.m16n8k8 with .tf32 lie in the matrices, by the figures of the PTX ISA ("Matrix
// Fragments for mma.m16n8k8"), as read there lane by lane: the lanes of a(row, column < 4), of b(row < 4, column),
// and of c(row < 8, column).
constexpr int LANE_OF_A[8][4] = {{0, 1, 2, 3},     {4, 5, 6, 7},     {8, 9, 10, 11},   {12, 13, 14, 15},
                                 {16, 17, 18, 19}, {20, 21, 22, 23}, {24, 25, 26, 27}, {28, 29, 30, 31}};
constexpr int A_REGISTER[2][2] = {{0, 2}, {1, 3}};  // [row 8 or later][column 4 or later]
constexpr int LANE_OF_B[4][8] = {{0, 4, 8, 12, 16, 20, 24, 28},
                                 {1, 5, 9, 13, 17, 21, 25, 29},
                                 {2, 6, 10, 14, 18, 22, 26, 30},
                                 {3, 7, 11, 15, 19, 23, 27, 31}};
constexpr int LANE_OF_C[8][8] = {
    {0, 0, 1, 1, 2, 2, 3, 3},         {4, 4, 5, 5, 6, 6, 7, 7},         {8, 8, 9, 9, 10, 10, 11, 11},
    {12, 12, 13, 13, 14, 14, 15, 15}, {16, 16, 17, 17, 18, 18, 19, 19}, {20, 20, 21, 21, 22, 22, 23, 23},
    {24, 24, 25, 25, 26, 26, 27, 27}, {28, 28, 29, 29, 30, 30, 31, 31}};

// c and four products, as tensor cores add: exact products, all cut to the last place of the largest one, and the sum
// cut to float32. (Fasi et al. 2021, "Numerical behavior of NVIDIA tensor cores", found this on several generations;
// later ones keep a few places more, so this is the most pessimistic.)
inline float add_cut(float c, const double (&products)[4]) {
    double most = std::fabs(c), plain = c;
    for (double p : products) most = std::max(most, std::fabs(p)), plain += p;
    if (!std::isfinite(plain) || !std::isfinite(most) || most == 0.0) return float(plain);
    int exponent;
    std::frexp(most, &exponent);
    double unit = std::ldexp(1.0, 24 - exponent);
    long long sum = (long long)(c * unit);
    for (double p : products) sum += (long long)(p * unit);
    double exact = sum / unit;
    float rounded = float(exact);
    return std::fabs(double(rounded)) > std::fabs(exact) ? std::nextafter(rounded, 0.0f) : rounded;
}

inline void multiply_warp(Fiber* lanes) {
    mmas++;
    double a[16][8], b[8][8];
    auto number = [](unsigned bits) {
        if (bits & 0x1fffu) stop("an operand of mma is no TF32");
        return double(__uint_as_float(bits));
    };
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < 8; k++)
            a[row][k] = number(lanes[LANE_OF_A[row % 8][k % 4]].a[A_REGISTER[row / 8][k / 4]]);
    for (int k = 0; k < 8; k++)
        for (int col = 0; col < 8; col++) b[k][col] = number(lanes[LANE_OF_B[k % 4][col]].b[k / 4]);
    for (int row = 0; row < 16; row++)
        for (int col = 0; col < 8; col++) {
            float& c = lanes[LANE_OF_C[row % 8][col]].d[row / 8 * 2 + col % 2];
            for (int half = 0; half < 8; half += 4) {
                double products[4];
                for (int k = 0; k < 4; k++) products[k] = a[row][half + k] * b[half + k][col];
                c = add_cut(c, products);
            }
        }
}

inline void copy(const Copy& c) {
    for (int i = 0; i < c.words; i++) c.to[i] = c.there ? c.from[i] : 0.0f;
}

inline void run_fiber(int which) {
    running = which;
    threadIdx = {unsigned(which), 0, 0};
    Fiber& fiber = fibers[which];
    int jumped = _setjmp(scheduler);
    if (jumped || fault) return;
    if (fiber.started) _longjmp(fiber.place, 1);
    fiber.started = true;
    setcontext(&fiber.start);
}

inline void trampoline() {
    kernel();
    fibers[running].state = State::done;
    _longjmp(scheduler, 1);
}

inline void run_block() {
    std::memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
    for (int i = 0; i < FIBERS; i++) {
        Fiber& fiber = fibers[i];
        fiber.state = State::ready, fiber.started = false, fiber.copies.clear();
        fiber.stack.resize(STACK);
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.data(), fiber.start.uc_stack.ss_size = STACK;
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, trampoline, 0);
    }
    std::fill(arrived, arrived + WARPS, 0);
    static constexpr int ORDERS[3][WARPS] = {{0, 1, 2, 3, 4, 5, 6, 7}, {7, 6, 5, 4, 3, 2, 1, 0}, {5, 2, 7, 0, 3, 6, 1, 4}};
    while (!fault) {
        vote = false;
        for (int warp : ORDERS[order])
            for (bool moved = true; moved && !fault;) {
                moved = false;
                for (int lane = 0; lane < LANES && !fault; lane++) {
                    int which = warp * LANES + (order == 1 ? LANES - 1 - lane : lane);
                    if (fibers[which].state == State::ready) run_fiber(which), moved = true;
                }
            }
        int waiting = 0, done = 0;
        for (Fiber& fiber : fibers) waiting += fiber.state == State::at_barrier, done += fiber.state == State::done;
        if (done == FIBERS) return;
        if (waiting != FIBERS && !fault) fault = "not all threads came to the barrier, or not all lanes to an mma";
        verdict = vote;
        for (Fiber& fiber : fibers) fiber.state = State::ready;
    }
}

// All blocks of a grid. Returns what went wrong, or null.
inline const char* run(void (*body)(), const int* grid) {
    kernel = body, fault = nullptr;
    for (blockIdx.z = 0; blockIdx.z < unsigned(grid[2]); blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < unsigned(grid[1]); blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < unsigned(grid[0]); blockIdx.x++) {
                run_block();
                if (fault) return fault;
            }
    return nullptr;
}

}  // namespace machine

inline int __syncthreads_or(int odd) {
    machine::vote |= odd != 0;
    machine::wait_as(machine::State::at_barrier);
    return machine::verdict;
}
inline void __syncthreads() { __syncthreads_or(0); }

inline unsigned to_tf32(float x) {
    return std::isnan(x) ? 0x7fffe000u : std::isinf(x) ? __float_as_uint(x) : (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
}

inline void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    using namespace machine;
    int warp = running / LANES;
    Fiber& self = fibers[running];
    self.d = d, self.a = a, self.b = b;
    if (++arrived[warp] < LANES) return wait_as(State::at_mma);
    arrived[warp] = 0;
    multiply_warp(fibers + warp * LANES);
    for (int lane = 0; lane < LANES; lane++) fibers[warp * LANES + lane].state = State::ready;
}

template <int WORDS>
inline void copy_async(float* to, const float* from, bool there) {
    using namespace machine;
    if (std::uintptr_t(to) % (4 * WORDS) || std::uintptr_t(from) % (4 * WORDS)) stop("a copy is not aligned");
    auto holds = [&](const Range& r) { return r.first <= from && from + WORDS <= r.last; };
    if (there && !std::any_of(readable.begin(), readable.end(), holds)) stop("a copy reads outside of the arrays");
    Copy made{to, from, WORDS, there};
    late ? fibers[running].copies.push_back(made) : copy(made);
}

inline void wait_for_copies() {
    auto& copies = machine::fibers[machine::running].copies;
    for (const auto& each : copies) machine::copy(each);
    copies.clear();
}
