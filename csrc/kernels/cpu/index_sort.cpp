// Sorting, selection and search along rows: radix methods on order-preserving unsigned keys, with
// 32-bit row positions carried along. Stable, so equal values stay in the order of their indices.
#include <math.h>

#include "kernels/cpu/index_common.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace deeplite::cpu::DL_ISA {

dl_status sort_rows(const dl_sort_args* a);
dl_status topk_rows(const dl_sort_args* a);
dl_status kthvalue_rows(const dl_sort_args* a);
dl_status searchsorted_rows(const dl_searchsorted_args* a);

namespace {

constexpr int64_t kGrain = 16384;
constexpr int64_t kInsertion = 40;  // rows up to here are sorted by insertion
constexpr int64_t kFewWanted = 16;  // topk up to here keeps a small sorted list

inline int64_t grain_of(int64_t n) { return n >= kGrain / 4 ? 1 : kGrain / 4 / (n > 0 ? n : 1); }

template <class K>
struct Rows {
    K* key;
    uint32_t* place;
};

// Two key arrays and two place arrays of n in this thread's scratch; false when out of memory.
template <class K>
bool row_scratch(int64_t n, Rows<K>* a, Rows<K>* b) {
    const size_t keys = (size_t(n) * sizeof(K) + 63) & ~size_t(63);
    const size_t places = (size_t(n) * sizeof(uint32_t) + 63) & ~size_t(63);
    char* p = static_cast<char*>(dl_scratch(2 * (keys + places), 1));
    if (!p) return false;
    a->key = reinterpret_cast<K*>(p);
    b->key = reinterpret_cast<K*>(p + keys);
    a->place = reinterpret_cast<uint32_t*>(p + 2 * keys);
    b->place = reinterpret_cast<uint32_t*>(p + 2 * keys + places);
    return true;
}

template <class S>
void load_keys(const typename S::type* x, typename S::type* key, int64_t n, bool descending) {
    typedef typename S::type K;
    const K flip = descending ? K(~K(0)) : K(0);
    for (int64_t i = 0; i < n; ++i) key[i] = K(S::of(x[i]) ^ flip);
}

template <class K>
void insertion_sort(Rows<K> a, int64_t n) {
    for (int64_t i = 1; i < n; ++i) {
        const K key = a.key[i];
        const uint32_t place = a.place[i];
        int64_t j = i;
        for (; j > 0 && a.key[j - 1] > key; --j) {
            a.key[j] = a.key[j - 1];
            a.place[j] = a.place[j - 1];
        }
        a.key[j] = key;
        a.place[j] = place;
    }
}

// Sorts a by key, least significant byte first; b is room. Returns where the result is.
template <class K>
Rows<K> radix_sort(Rows<K> a, Rows<K> b, int64_t n) {
    if (n <= kInsertion) {
        insertion_sort(a, n);
        return a;
    }
    uint32_t counts[sizeof(K)][256];
    memset(counts, 0, sizeof counts);
    for (int64_t i = 0; i < n; ++i)
        for (unsigned d = 0; d < sizeof(K); ++d) ++counts[d][(a.key[i] >> (8 * d)) & 255];
    for (unsigned d = 0; d < sizeof(K); ++d) {
        if (counts[d][(a.key[0] >> (8 * d)) & 255] == uint32_t(n)) continue;  // all the same byte
        uint32_t start = 0;
        for (int v = 0; v < 256; ++v) {
            const uint32_t count = counts[d][v];
            counts[d][v] = start;
            start += count;
        }
        for (int64_t i = 0; i < n; ++i) {
            const uint32_t to = counts[d][(a.key[i] >> (8 * d)) & 255]++;
            b.key[to] = a.key[i];
            b.place[to] = a.place[i];
        }
        const Rows<K> t = a;
        a = b;
        b = t;
    }
    return a;
}

// ---- one long row, by all threads: pieces of it, each stable, in their order -------------------
constexpr int64_t kPiece = 32768;  // keys, at least
constexpr int kMostPieces = 16;

struct Pieces {
    int64_t n, count, length;
    explicit Pieces(int64_t size) : n(size) {
        count = n / kPiece < kMostPieces ? n / kPiece : kMostPieces;
        if (count < 1) count = 1;
        length = (n + count - 1) / count;
    }
    // f(piece, begin, end)
    template <class F>
    void each(const F& f) const {
        parallel_for(count, 1, [&](int64_t first, int64_t last) {
            for (int64_t c = first; c < last; ++c) {
                const int64_t begin = c * length, end = begin + length;
                f(c, begin < n ? begin : n, end < n ? end : n);
            }
        });
    }
};

// The bits in which keys differ.
template <class K>
K varying_bits(const Pieces& pieces, const K* key) {
    K set[kMostPieces], common[kMostPieces];
    pieces.each([&](int64_t c, int64_t begin, int64_t end) {
        K any = 0, all = K(~K(0));
        for (int64_t i = begin; i < end; ++i) any |= key[i], all &= key[i];
        set[c] = any, common[c] = all;
    });
    K any = 0, all = K(~K(0));
    for (int64_t c = 0; c < pieces.count; ++c) any |= set[c], all &= common[c];
    return K(any ^ all);
}

// As radix_sort, by all threads.
template <class K>
Rows<K> radix_sort_pieces(const Pieces& pieces, Rows<K> a, Rows<K> b) {
    const K varying = varying_bits(pieces, a.key);
    uint32_t to[kMostPieces][256];
    for (unsigned shift = 0; shift < 8 * sizeof(K); shift += 8) {
        if (((varying >> shift) & 255) == 0) continue;
        pieces.each([&](int64_t c, int64_t begin, int64_t end) {
            uint32_t counts[256] = {};
            for (int64_t i = begin; i < end; ++i) ++counts[(a.key[i] >> shift) & 255];
            memcpy(to[c], counts, sizeof counts);
        });
        uint32_t start = 0;
        for (int v = 0; v < 256; ++v)
            for (int64_t c = 0; c < pieces.count; ++c) {
                const uint32_t count = to[c][v];
                to[c][v] = start;
                start += count;
            }
        pieces.each([&](int64_t c, int64_t begin, int64_t end) {
            uint32_t next[256];
            memcpy(next, to[c], sizeof next);
            for (int64_t i = begin; i < end; ++i) {
                const uint32_t at = next[(a.key[i] >> shift) & 255]++;
                b.key[at] = a.key[i];
                b.place[at] = a.place[i];
            }
        });
        const Rows<K> t = a;
        a = b;
        b = t;
    }
    return a;
}

// The k-th smallest key (from 0), found byte by byte; *below = how many keys are smaller.
template <class K>
K radix_select(const K* key, int64_t n, int64_t k, int64_t* below) {
    K prefix = 0, mask = 0;
    *below = 0;
    for (int d = int(sizeof(K)) - 1; d >= 0; --d) {
        int64_t counts[256] = {};
        for (int64_t i = 0; i < n; ++i)
            if ((key[i] & mask) == prefix) ++counts[(key[i] >> (8 * d)) & 255];
        int v = 0;
        while (k >= counts[v]) {
            k -= counts[v];
            *below += counts[v];
            ++v;
        }
        prefix = K(prefix | K(K(v) << (8 * d)));
        mask = K(mask | K(K(255) << (8 * d)));
    }
    return prefix;
}

// A key that some more than k of n keys probably do not exceed, from a sample; `room` takes the sample.
// False where looking at all keys closely is as well.
template <class K>
bool likely_limit(const K* key, int64_t n, int64_t k, K* room, K* limit) {
    constexpr int64_t kSample = 2048;
    const double expected = double(k) * kSample / double(n);
    const int64_t rank = int64_t(expected + 3 * sqrt(expected)) + 8;
    if (n < 8 * kSample || rank > kSample / 4) return false;
    for (int64_t i = 0; i < kSample; ++i) room[i] = key[i * (n / kSample)];
    int64_t below;
    *limit = radix_select(room, kSample, rank, &below);
    return true;
}

// The keys up to `limit`, in order of place; how many. Most vectors of keys have none.
template <class K>
int64_t collect(const K* key, int64_t n, K limit, Rows<K> a) {
    constexpr int64_t N = Vec<K>::N;
    int64_t m = 0;
    for (int64_t i = 0; i < n; i += N) {
        if (i + N <= n && !vany(vload(key + i) <= limit)) continue;
        for (int64_t j = i; j < (i + N < n ? i + N : n); ++j) {
            if (key[j] > limit) continue;
            a.key[m] = key[j];
            a.place[m++] = uint32_t(j);
        }
    }
    return m;
}

// Of n keys in a, the k smallest, moved to its front.
template <class K>
void keep_smallest(Rows<K> a, int64_t n, int64_t k) {
    int64_t below, m = 0;
    const K last = radix_select(a.key, n, k - 1, &below);
    int64_t equal = k - below;
    for (int64_t i = 0; i < n && m < k; ++i) {
        if (a.key[i] > last || (a.key[i] == last && equal-- <= 0)) continue;
        a.key[m] = a.key[i];
        a.place[m++] = a.place[i];
    }
}

// Places of the k smallest keys into a.place (keys into a.key), unordered by key but in order of
// place.
template <class K>
void select_smallest(const K* key, int64_t n, int64_t k, Rows<K> a) {
    int64_t below, m = 0;
    K limit;
    if (likely_limit(key, n, k, a.key, &limit) && (m = collect(key, n, limit, a)) >= k)
        return keep_smallest(a, m, k);
    m = 0;
    const K last = radix_select(key, n, k - 1, &below);
    int64_t equal = k - below;  // how many of the last value still belong to the k
    for (int64_t i = 0; i < n && m < k; ++i) {
        if (key[i] > last || (key[i] == last && equal-- <= 0)) continue;
        a.key[m] = key[i];
        a.place[m++] = uint32_t(i);
    }
}

// The same for few: a sorted list of the best so far.
template <class K>
void select_few(const K* key, int64_t n, int64_t k, Rows<K> a) {
    int64_t m = 0;
    for (int64_t i = 0; i < n; ++i) {
        if (m == k && key[i] >= a.key[k - 1]) continue;
        int64_t j = m < k ? m++ : k - 1;
        for (; j > 0 && a.key[j - 1] > key[i]; --j) {
            a.key[j] = a.key[j - 1];
            a.place[j] = a.place[j - 1];
        }
        a.key[j] = key[i];
        a.place[j] = uint32_t(i);
    }
}

// The value a key was made of: from the key alone, or from its place where several values share it.
template <class S>
DL_INLINE typename S::type value_of(typename S::type key, const typename S::type* from) {
    typedef typename S::type K;
    if constexpr (!S::has_nan) {
        return S::of(key);  // turns one bit, or none
    } else {
        const K sign = K(K(1) << (8 * sizeof(K) - 1));
        if (key == sign || key == K(~K(0))) return *from;  // zeros, NaNs
        return (key & sign) ? K(key ^ sign) : K(~key);
    }
}

// Rows [begin, end) of a sorted row. Values come from keys, which lie in order, not from x.
template <class S>
void store_sorted(const dl_sort_args& a, int64_t row, Rows<typename S::type> sorted, int64_t begin,
                  int64_t end) {
    typedef typename S::type K;
    const K flip = a.descending ? K(~K(0)) : K(0);
    const K* x = static_cast<const K*>(a.x) + row * a.n;
    K* values = static_cast<K*>(a.values) + row * a.n;
    int64_t* indices = a.indices + row * a.n;
    for (int64_t i = begin; i < end; ++i) {
        values[i] = value_of<S>(K(sorted.key[i] ^ flip), x + sorted.place[i]);
        indices[i] = int64_t(sorted.place[i]);
    }
}

template <class S>
dl_status sort_long_rows(const dl_sort_args& a) {
    typedef typename S::type K;
    Rows<K> first, second;
    if (!row_scratch(a.n, &first, &second)) return DL_OUT_OF_MEMORY;
    const Pieces pieces(a.n);
    for (int64_t row = 0; row < a.rows; ++row) {
        const K* x = static_cast<const K*>(a.x) + row * a.n;
        pieces.each([&](int64_t, int64_t begin, int64_t end) {
            load_keys<S>(x + begin, first.key + begin, end - begin, a.descending);
            for (int64_t i = begin; i < end; ++i) first.place[i] = uint32_t(i);
        });
        const Rows<K> sorted = radix_sort_pieces(pieces, first, second);
        pieces.each([&](int64_t, int64_t begin, int64_t end) {
            store_sorted<S>(a, row, sorted, begin, end);
        });
    }
    return DL_OK;
}

template <class K>
void store(const K* x, const uint32_t* place, int64_t n, K* values, int64_t* indices) {
    for (int64_t i = 0; i < n; ++i) {
        values[i] = x[place[i]];
        indices[i] = int64_t(place[i]);
    }
}

template <class K>
void topk_row(const dl_sort_args& a, Rows<K> list, Rows<K> room, const K* x, int64_t row) {
    // keys stand in room.key
    if (a.k <= kFewWanted && a.sorted) {
        select_few(room.key, a.n, a.k, list);
    } else {
        select_smallest(room.key, a.n, a.k, list);
        if (a.sorted) list = radix_sort(list, room, a.k);
    }
    store(x, list.place, a.k, static_cast<K*>(a.values) + row * a.k, a.indices + row * a.k);
}

// f(key type tag, row, two scratch rows) for all rows.
template <class F>
dl_status over_rows(const dl_sort_args& a, const F& f) {
    if (a.n >= int64_t(1) << 32) return DL_UNSUPPORTED;
    return by_sort_key(a.dtype, [&](auto s) {
        typedef decltype(s) S;
        int failed = 0;
        parallel_for(a.rows, grain_of(a.n), [&](int64_t begin, int64_t end) {
            Rows<typename S::type> first, second;
            if (!row_scratch(a.n, &first, &second)) {
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                return;
            }
            for (int64_t row = begin; row < end; ++row) f(s, row, first, second);
        });
        return failed ? DL_OUT_OF_MEMORY : DL_OK;
    });
}

// First place of the sorted row whose value is not below (right: is above) v. NaN sorts last.
template <class T>
int64_t search(const T* sorted, const int64_t* sorter, int64_t m, T v, bool right) {
    int64_t lo = 0, hi = m;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        const T at = sorted[sorter ? sorter[mid] : mid];
        if (right ? !(at > v) : !(at >= v))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

}  // namespace

dl_status sort_rows(const dl_sort_args* args) {
    const dl_sort_args& a = *args;
    if (a.n >= 2 * kPiece && a.n < int64_t(1) << 32 && a.rows < dl_num_threads())
        return by_sort_key(a.dtype, [&](auto s) { return sort_long_rows<decltype(s)>(a); });
    return over_rows(a, [&](auto s, int64_t row, auto first, auto second) {
        typedef typename decltype(s)::type K;
        load_keys<decltype(s)>(static_cast<const K*>(a.x) + row * a.n, first.key, a.n,
                               a.descending);
        for (int64_t i = 0; i < a.n; ++i) first.place[i] = uint32_t(i);
        store_sorted<decltype(s)>(a, row, radix_sort(first, second, a.n), 0, a.n);
    });
}

dl_status topk_rows(const dl_sort_args* args) {
    const dl_sort_args& a = *args;
    if (a.k == 0) return DL_OK;
    return over_rows(a, [&](auto s, int64_t row, auto first, auto second) {
        typedef typename decltype(s)::type K;
        const K* x = static_cast<const K*>(a.x) + row * a.n;
        load_keys<decltype(s)>(x, second.key, a.n, a.descending);
        topk_row<K>(a, first, second, x, row);
    });
}

dl_status kthvalue_rows(const dl_sort_args* args) {
    const dl_sort_args& a = *args;
    return over_rows(a, [&](auto s, int64_t row, auto first, auto) {
        typedef typename decltype(s)::type K;
        const K* x = static_cast<const K*>(a.x) + row * a.n;
        load_keys<decltype(s)>(x, first.key, a.n, false);
        int64_t below, i = 0;
        const K key = radix_select(first.key, a.n, a.k, &below);
        for (int64_t equal = a.k - below;; ++i)
            if (first.key[i] == key && equal-- == 0) break;
        static_cast<K*>(a.values)[row] = x[i];
        a.indices[row] = i;
    });
}

dl_status searchsorted_rows(const dl_searchsorted_args* args) {
    const dl_searchsorted_args& a = *args;
    if (a.sorter)
        for (int64_t i = 0; i < (a.shared ? 1 : a.rows) * a.m; ++i)
            if (a.sorter[i] < 0 || a.sorter[i] >= a.m) return DL_BAD_INDEX;
    return by_number(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        parallel_for(a.rows * a.n, kGrain / 8, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t row = a.shared ? 0 : i / a.n * a.m;
                a.out[i] = search(static_cast<const T*>(a.sorted) + row,
                                  a.sorter ? a.sorter + row : nullptr, a.m,
                                  static_cast<const T*>(a.values)[i], a.right != 0);
            }
        });
        return DL_OK;
    });
}

}  // namespace deeplite::cpu::DL_ISA
