// Sizes known when running, as constants that a kernel is compiled for.
#pragma once
#include <stdint.h>

namespace {

template <int N>
struct StaticSize {
    static constexpr int value = N;
};

// f(StaticSize<n>()), of n in [1, Most]; what is outside becomes the nearest of them.
template <int Most, int N = 1, class F>
auto with_size(int64_t n, const F& f) {
    if constexpr (N < Most)
        if (n > N) return with_size<Most, N + 1>(n, f);
    return f(StaticSize<N>{});
}

}  // namespace
