// convolution.cu as a shared library for the processor; SOURCE is where it lies.

#include "tensor_core_machine.hpp"
#include SOURCE
#include <utility>

static float** arrays;
static const int* numbers;

template <class... Arguments, size_t... A, size_t... N>
static void call(void (*kernel)(Arguments...), std::index_sequence<A...>, std::index_sequence<N...>) {
    kernel(arrays[A]..., numbers[N]...);
}

static void run_gather() {
    call(gather, std::make_index_sequence<3>(), std::make_index_sequence<23>());
}
static void run_weights() {
    call(weights, std::make_index_sequence<3>(), std::make_index_sequence<18>());
}
static void run_sum_parts() {
    call(sum_parts, std::make_index_sequence<2>(), std::make_index_sequence<2>());
}

// Runs a kernel on `count` arrays of these sizes. Returns what went wrong, or null; `mmas` is how many there were.
extern "C" const char* run(const char* name, int order, int late, const int* grid, float** given, const long long* sizes,
                           int count, const int* with, long long* mmas) {
    arrays = given, numbers = with;
    machine::order = order, machine::late = late, machine::mmas = 0;
    machine::readable.clear();
    for (int i = 0; i < count; i++) machine::readable.push_back({given[i], given[i] + sizes[i]});
    bool is_gather = !std::strcmp(name, "gather"), is_weights = !std::strcmp(name, "weights");
    const char* fault = machine::run(is_gather ? run_gather : is_weights ? run_weights : run_sum_parts, grid);
    *mmas = machine::mmas;
    return fault;
}

// d += a b of one warp: d (32, 4), a (32, 4) and b (32, 2) are what each lane holds in its registers.
extern "C" void warp_mma(float* d, const unsigned* a, const unsigned* b) {
    machine::Fiber* lanes = machine::fibers;
    for (int i = 0; i < machine::LANES; i++) lanes[i].d = d + 4 * i, lanes[i].a = a + 4 * i, lanes[i].b = b + 2 * i;
    machine::multiply_warp(lanes);
}
