// What the kernels for pictures share: how work is cut, and loops for a fixed number of channels.
#pragma once
#include "kernels/cpu/parallel.h"

namespace {

// Below this many elements a picture stays on the calling thread: loader threads already fill the
// processors, and waking others costs more than a picture of ordinary size.
constexpr int64_t kImageGrain = int64_t(1) << 18;

// f(begin, end) over `rows` rows of `width` elements, in chunks that are multiples of `unit` rows.
template <class F>
void for_blocks(int64_t rows, int64_t unit, int64_t width, const F& f) {
    int64_t grain = kImageGrain / (width > 0 ? width : 1) / unit * unit;
    parallel_for(rows, grain > unit ? grain : unit, f);
}

// A number of channels that the compiler knows.
template <int64_t N>
struct Channels {
    constexpr operator int64_t() const { return N; }
};

template <class F>
void for_channels(int64_t c, const F& f) {
    if (c == 3) return f(Channels<3>{});
    if (c == 1) return f(Channels<1>{});
    f(c);
}

}  // namespace
