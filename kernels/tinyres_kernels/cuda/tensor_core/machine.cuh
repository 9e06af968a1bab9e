// What the tensor cores and the asynchronous copies are called: a function an instruction (PTX ISA, sm_80 and later).
// Nothing else in this folder is in assembly, so that a processor can stand in for a GPU by supplying these.

// The nearest number of 11 significant bits (ties away from zero), as the tensor cores take it. NaN stays NaN.
__device__ __forceinline__ unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// d += a b by a warp: (16, 8) += (16, 8) (8, 8). A lane holds rows lane / 4 and that + 8 of a and d.
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// From global to shared memory, on its way while the thread goes on; zeros, and nothing is read, where !there.
template <int WORDS>
__device__ __forceinline__ void copy_async(float* to, const float* from, bool there) {
    unsigned address = __cvta_generic_to_shared(to);
    if constexpr (WORDS == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(there ? 16 : 0)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from), "r"(there ? 4 : 0)
                     : "memory");
}

// Until this thread's own copies have arrived; the other threads' have after the barrier that follows.
__device__ __forceinline__ void wait_for_copies() { asm volatile("cp.async.wait_all;" ::: "memory"); }
