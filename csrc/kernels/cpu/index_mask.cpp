// Masks: counting what is set, its places, and elements packed and spread by them.
#include "kernels/cpu/index_common.h"
#include "kernels/cpu/parallel.h"

namespace deeplite::cpu::DL_ISA {

dl_status mask_count(const uint8_t* mask, int64_t n, int64_t* count);
dl_status nonzero(const dl_mask_args* args);
dl_status masked_select(const dl_mask_args* args);
dl_status masked_scatter(const dl_mask_args* args);

namespace {

// Masks are cut into at most kMaskChunks pieces; the counts of the pieces say where each one
// writes.
constexpr int kMaskChunks = 256;

int64_t mask_grain(int64_t n) {
    constexpr int64_t kLeast = 65536;  // elements worth a chunk
    const int64_t even = (n + kMaskChunks - 1) / kMaskChunks;
    return even > kLeast ? even : kLeast;
}

int64_t count_set(const uint8_t* mask, int64_t n) {
    int64_t total = 0;
    while (n > 0) {
        const int64_t block = n < (1 << 20) ? n : 1 << 20;
        uint32_t set = 0;
        for (int64_t i = 0; i < block; ++i) set += mask[i] != 0;
        total += set;
        mask += block;
        n -= block;
    }
    return total;
}

// starts[c] = how many are set before chunk c; returns how many in all.
int64_t chunk_starts(const uint8_t* mask, int64_t n, int64_t* starts) {
    const int64_t grain = mask_grain(n);
    parallel_for(n, grain, [&](int64_t begin, int64_t end) {
        starts[begin / grain] = count_set(mask + begin, end - begin);
    });
    int64_t total = 0;
    for (int64_t c = 0; c * grain < n; ++c) {
        const int64_t count = starts[c];
        starts[c] = total;
        total += count;
    }
    return total;
}

// f(i, k) for places i in order, k of them set before: the last call for a k is that for the k-th
// set place, so f may write what belongs to k without looking. (A branch on a mask without pattern is
// foreseen half the time.) after(from, to): all is done for these k.
template <class F, class G>
dl_status for_set(const dl_mask_args& a, const F& f, const G& after) {
    int64_t starts[kMaskChunks];
    if (chunk_starts(a.mask, a.n, starts) != a.count) return DL_FAILED;
    const int64_t grain = mask_grain(a.n);
    parallel_for(a.n, grain, [&](int64_t begin, int64_t end) {
        const int64_t chunk = begin / grain, from = starts[chunk];
        const int64_t to = end < a.n ? starts[chunk + 1] : a.count;
        int64_t k = from;
        for (int64_t i = begin; k < to; ++i) {
            f(i, k);
            k += a.mask[i] != 0;
        }
        after(from, to);
    });
    return DL_OK;
}

// Flat places in the first row of coordinates -> coordinates. I: wide enough for a flat place.
template <class I>
void unravel(const dl_mask_args& a, int64_t from, int64_t to) {
    for (int64_t k = from; k < to; ++k) {
        I i = I(a.coordinates[k]);
        for (int d = a.ndim - 1; d > 0; --d) {
            const I size = I(a.shape[d]), outer = i / size;
            a.coordinates[d * a.count + k] = int64_t(i - outer * size);
            i = outer;
        }
        a.coordinates[k] = int64_t(i);
    }
}

}  // namespace

dl_status mask_count(const uint8_t* mask, int64_t n, int64_t* count) {
    int64_t starts[kMaskChunks];
    *count = chunk_starts(mask, n, starts);
    return DL_OK;
}

dl_status nonzero(const dl_mask_args* args) {
    const dl_mask_args& a = *args;
    if (a.ndim == 0) return DL_OK;
    return for_set(
        a, [&](int64_t i, int64_t k) { a.coordinates[k] = i; },
        [&](int64_t from, int64_t to) {
            if (a.ndim > 1) (a.n >> 32 ? unravel<uint64_t> : unravel<uint32_t>)(a, from, to);
        });
}

dl_status masked_select(const dl_mask_args* args) {
    const dl_mask_args& a = *args;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        const T* x = static_cast<const T*>(a.data);
        T* out = static_cast<T*>(a.packed);
        return for_set(a, [&](int64_t i, int64_t k) { out[k] = x[i]; }, [](int64_t, int64_t) {});
    });
}

dl_status masked_scatter(const dl_mask_args* args) {
    const dl_mask_args& a = *args;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        T* x = static_cast<T*>(a.data);
        const T* source = static_cast<const T*>(a.packed);
        return for_set(
            a, [&](int64_t i, int64_t k) { x[i] = a.mask[i] ? source[k] : x[i]; },
            [](int64_t, int64_t) {});
    });
}

}  // namespace deeplite::cpu::DL_ISA
