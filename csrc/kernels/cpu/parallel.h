// parallel_for with a callable, for kernel files (each instruction set gets a private copy).
#pragma once
#include "kernels/parallel.h"

namespace {
// f(begin, end) over chunks of `grain`; see dl_parallel_for for what the cut guarantees. What is too
// little to share is run at once, and what is too little for denormals to matter (a hundred cycles
// each) without switching them off.
template <class F>
inline void parallel_for(int64_t n, int64_t grain, const F& f) {
    if (n <= 0) return;
    if (n <= grain / 8) {
        f(int64_t(0), n);
        return;
    }
    dl_parallel_for(
        n, grain,
        [](void* ctx, int64_t begin, int64_t end) { (*static_cast<const F*>(ctx))(begin, end); },
        const_cast<void*>(static_cast<const void*>(&f)));
}
}  // namespace
