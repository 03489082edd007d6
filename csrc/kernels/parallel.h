// Threads and scratch memory for CPU kernels: the one seam to OpenMP (kernels/cpu/parallel.cpp).
#pragma once
#include <stddef.h>
#include <stdint.h>

extern "C" {
typedef void (*dl_range_fn)(void* ctx, int64_t begin, int64_t end);

// Cuts [0, n) into chunks of `grain` (the last may be shorter) and runs fn on each, on up to
// dl_num_threads() threads. The cut depends on n and grain only, so a reduction that keeps one
// partial result per chunk (chunk number = begin / grain) gives the same bits for any thread count.
// Nested calls run serially. Denormals are flushed to zero inside and the mode restored after.
void dl_parallel_for(int64_t n, int64_t grain, dl_range_fn fn, void* ctx);

int dl_num_threads(void);
void dl_set_num_threads(int n);

// Scratch memory of the calling thread, 64-byte aligned, contents undefined; valid until the same
// thread asks for the same slot (0..DL_SCRATCH_SLOTS-1) again. Null when out of memory.
#define DL_SCRATCH_SLOTS 4
void* dl_scratch(size_t bytes, int slot);
}
