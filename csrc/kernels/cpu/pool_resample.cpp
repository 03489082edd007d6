// Resampling of planes by sparse weights along rows and columns: interpolation of every kind, its
// gradient, and averages over windows of unequal size.
//
// Rows are combined as whole vectors. Along the columns a vector of neighbouring outputs reads
// inputs that lie close together: one or two vectors of them are loaded and permuted. Where rows
// become more, columns go first (each input row once), else rows do.
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/pool.h"

namespace deeplite::cpu::DL_ISA {

dl_status resample(const dl_resample* args);

namespace {

constexpr int kPlanSlot = 0, kRowsSlot = 1;
constexpr int64_t kBandWork = 65536;  // outputs worth a task

// The taps of one vector of output columns: tap k of lane l reads input base + index[k][l]; lanes
// with fewer taps than the others have -1 there.
struct Block {
    int64_t base, span, taps;
    int64_t offset;  // of its first index and weight
    bool ragged;
};
template <class T>
struct ColumnPlan {
    int64_t in = 0, out = 0, blocks = 0;
    const Block* block = nullptr;
    const typename LaneInt<T>::type* index = nullptr;
    const T* weight = nullptr;
};

int64_t tap_count(const dl_taps& t, int64_t o) { return t.begin[o + 1] - t.begin[o]; }

template <class T>
bool plan_columns(const dl_taps& t, ColumnPlan<T>* plan) {
    typedef typename LaneInt<T>::type I;
    constexpr int N = Vec<T>::N;
    plan->in = t.in, plan->out = t.out, plan->blocks = (t.out + N - 1) / N;
    int64_t cells = 0;
    for (int64_t b = 0; b < plan->blocks; ++b) {
        int64_t most = 0;
        for (int64_t o = b * N; o < t.out && o < (b + 1) * N; ++o)
            if (tap_count(t, o) > most) most = tap_count(t, o);
        cells += most * N;
    }
    const size_t bytes = size_t(plan->blocks) * sizeof(Block) + size_t(cells) * 2 * sizeof(T) + 64;
    char* room = static_cast<char*>(dl_scratch(bytes, kPlanSlot));
    if (!room) return false;
    T* weight = reinterpret_cast<T*>(room);
    I* index = reinterpret_cast<I*>(weight + cells);
    Block* block = reinterpret_cast<Block*>(index + cells);
    plan->weight = weight, plan->index = index, plan->block = block;
    for (int64_t b = 0, at = 0; b < plan->blocks; ++b) {
        Block& k = block[b];
        k = {t.in, 0, 0, at, false};
        const int64_t o0 = b * N, o1 = o0 + N < t.out ? o0 + N : t.out;
        int64_t top = -1;
        for (int64_t o = o0; o < o1; ++o) {
            if (tap_count(t, o) > k.taps) k.taps = tap_count(t, o);
            for (int64_t i = t.begin[o]; i < t.begin[o + 1]; ++i) {
                if (t.at[i] < k.base) k.base = t.at[i];
                if (t.at[i] > top) top = t.at[i];
            }
        }
        k.span = top - k.base + 1;
        for (int64_t j = 0; j < k.taps; ++j)
            for (int64_t l = 0; l < N; ++l, ++at) {
                const int64_t o = o0 + l;
                const bool there = o < o1 && j < tap_count(t, o);
                k.ragged |= !there;
                index[at] = there ? I(t.at[t.begin[o] + j] - k.base) : I(-1);
                weight[at] = there ? T(t.weight[t.begin[o] + j]) : T(0);
            }
    }
    return true;
}

// Lane l of the result: row[index[l]], or anything where the index is -1.
template <class T>
DL_INLINE typename Vec<T>::type look_up(const T* row,
                                        typename Vec<typename LaneInt<T>::type>::type index) {
    typename Vec<T>::type v;
    for (int l = 0; l < Vec<T>::N; ++l) v[l] = row[index[l] < 0 ? 0 : index[l]];
    return v;
}

template <class T, bool ragged, class Read>
DL_INLINE typename Vec<T>::type weigh(const Block& k, const typename LaneInt<T>::type* index,
                                      const T* weight, const Read& read) {
    constexpr int N = Vec<T>::N;
    typename Vec<T>::type sum = {}, none = {};
    for (int64_t j = 0; j < k.taps; ++j) {
        const auto at = vload(index + j * N);
        const auto part = read(at) * vload(weight + j * N);
        // The first product as it is: 0 + -0 would lose a sign.
        const auto term = ragged ? (at < 0 ? none : part) : part;
        sum = j == 0 ? term : sum + term;
    }
    return sum;
}
template <class T, bool ragged>
DL_INLINE typename Vec<T>::type weigh_block(const ColumnPlan<T>& p, const Block& k, const T* row) {
    typedef typename LaneInt<T>::type I;
    const I* index = p.index + k.offset;
    const T* weight = p.weight + k.offset;
    row += k.base;
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    if constexpr (sizeof(T) == 4) {
        const int64_t room = p.in - k.base;
        if (k.span <= 16) {
            const __m512 v = (__m512)(room >= 16 ? vload(row) : vload_n(row, room));
            return weigh<T, ragged>(k, index, weight, [&](vi32 at) {
                return (vf32)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)at, v);
            });
        }
        if (k.span <= 32) {
            const __m512 v = (__m512)vload(row),
                         u = (__m512)(room >= 32 ? vload(row + 16) : vload_n(row + 16, room - 16));
            return weigh<T, ragged>(k, index, weight, [&](vi32 at) {
                return (vf32)_mm512_permutex2var_ps(v, (__m512i)at, u);
            });
        }
    }
#endif
    return weigh<T, ragged>(k, index, weight, [&](auto at) { return look_up<T>(row, at); });
}

// One input row to one output row.
template <class T>
void resample_row(const ColumnPlan<T>& p, const T* row, T* y) {
    constexpr int N = Vec<T>::N;
    for (int64_t b = 0; b < p.blocks; ++b) {
        const Block& k = p.block[b];
        const auto sum =
            k.ragged ? weigh_block<T, true>(p, k, row) : weigh_block<T, false>(p, k, row);
        if ((b + 1) * N <= p.out)
            vstore(y + b * N, sum);
        else
            vstore_n(y + b * N, sum, p.out - b * N);
    }
}

// y = the weighted sum of the rows that output row o takes; rows are `width` apart, the first is
// number `first`.
template <class T>
void combine_rows(const dl_taps& t, int64_t o, const T* rows, int64_t first, int64_t width, T* y) {
    constexpr int N = Vec<T>::N;
    const int64_t begin = t.begin[o], end = t.begin[o + 1];
    for (int64_t c = 0; c < width; c += N) {
        const int64_t n = width - c < N ? width - c : N;
        typename Vec<T>::type sum = {};
        for (int64_t i = begin; i < end; ++i) {
            const T* row = rows + (t.at[i] - first) * width + c;
            const auto v = n == N ? vload(row) : vload_n(row, n);
            sum = i == begin ? v * T(t.weight[i]) : sum + v * T(t.weight[i]);
        }
        if (n == N)
            vstore(y + c, sum);
        else
            vstore_n(y + c, sum, n);
    }
}

// The input rows that output rows [o0, o1) take: [*first, *last).
void rows_taken(const dl_taps& t, int64_t o0, int64_t o1, int64_t* first, int64_t* last) {
    *first = t.in, *last = 0;
    for (int64_t i = t.begin[o0]; i < t.begin[o1]; ++i) {
        if (t.at[i] < *first) *first = t.at[i];
        if (t.at[i] >= *last) *last = t.at[i] + 1;
    }
}

// Output rows [o0, o1) of one plane. False: out of memory.
template <class T>
bool resample_band(const dl_resample& g, const ColumnPlan<T>& p, const T* x, T* y, int64_t o0,
                   int64_t o1) {
    const int64_t in = g.columns.in, out = g.columns.out;
    if (!g.rows.begin) {
        for (int64_t o = o0; o < o1; ++o) resample_row(p, x + o * in, y + o * out);
        return true;
    }
    if (!g.columns.begin) {
        for (int64_t o = o0; o < o1; ++o) combine_rows(g.rows, o, x, 0, in, y + o * out);
        return true;
    }
    if (g.rows.in > g.rows.out) {
        T* row = static_cast<T*>(dl_scratch(size_t(in) * sizeof(T), kRowsSlot));
        for (int64_t o = o0; row && o < o1; ++o) {
            combine_rows(g.rows, o, x, 0, in, row);
            resample_row(p, row, y + o * out);
        }
        return row != nullptr;
    }
    int64_t first, last;
    rows_taken(g.rows, o0, o1, &first, &last);
    const int64_t held = last > first ? last - first : 1;
    T* rows = static_cast<T*>(dl_scratch(size_t(held * out) * sizeof(T), kRowsSlot));
    if (!rows) return false;
    int64_t ready =
        first;  // rows are made when they are first needed, so that they are still in cache
    for (int64_t o = o0; o < o1; ++o) {
        for (int64_t i = g.rows.begin[o]; i < g.rows.begin[o + 1]; ++i)
            for (; ready <= g.rows.at[i]; ++ready)
                resample_row(p, x + ready * in, rows + (ready - first) * out);
        combine_rows(g.rows, o, rows, first, out, y + o * out);
    }
    return true;
}

template <class T>
dl_status resample_of(const dl_resample& g) {
    ColumnPlan<T> plan;
    if (g.columns.begin && !plan_columns(g.columns, &plan)) return DL_OUT_OF_MEMORY;
    const int64_t in = g.rows.in * g.columns.in, out = g.rows.out * g.columns.out;
    if (out == 0) return DL_OK;
    int64_t band = kBandWork / g.columns.out + 1;
    if (band > g.rows.out) band = g.rows.out;
    const int64_t bands = (g.rows.out + band - 1) / band;
    const int64_t work = (in + out) / bands, grain = work < 16384 ? 16384 / (work + 1) + 1 : 1;
    int failed = 0;
    parallel_for(g.planes * bands, grain, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t plane = t / bands, o0 = t % bands * band;
            const int64_t o1 = o0 + band < g.rows.out ? o0 + band : g.rows.out;
            if (!resample_band(g, plan, static_cast<const T*>(g.x) + plane * in,
                               static_cast<T*>(g.y) + plane * out, o0, o1))
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace

dl_status resample(const dl_resample* args) {
    if (args->dtype == DL_F32) return resample_of<float>(*args);
    if (args->dtype == DL_F64) return resample_of<double>(*args);
    return DL_UNSUPPORTED;
}

}  // namespace deeplite::cpu::DL_ISA
