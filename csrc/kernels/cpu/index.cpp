// Gather, scatter, advanced indexing, embedding gradient. Sorting is in index_sort.cpp, masks in
// index_mask.cpp, joining and padding in index_arrange.cpp.
#include "kernels/index.h"

#include "kernels/cpu/index_common.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/strided.h"

namespace deeplite::cpu::DL_ISA {

dl_status sort_rows(const dl_sort_args* a);
dl_status topk_rows(const dl_sort_args* a);
dl_status kthvalue_rows(const dl_sort_args* a);
dl_status searchsorted_rows(const dl_searchsorted_args* a);
dl_status mask_count(const uint8_t* mask, int64_t n, int64_t* count);  // index_mask.cpp
dl_status nonzero(const dl_mask_args* args);
dl_status masked_select(const dl_mask_args* args);
dl_status masked_scatter(const dl_mask_args* args);
dl_status concat(const dl_concat_args* args);  // index_arrange.cpp
dl_status pad(const dl_pad_args* args);
dl_status pad_backward(const dl_pad_args* args);

namespace {

constexpr int64_t kGrain = 16384;  // element moves worth a chunk of their own

inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

// f(pointers of the operands, count) over the innermost runs that make up places [begin, end).
template <class F>
void for_runs(const dl_iter& it, int64_t begin, int64_t end, const F& f) {
    int64_t at[DL_MAX_DIMS], flat = begin;
    char* p[DL_MAX_OPERANDS];
    for (int o = 0; o < it.noperands; ++o)
        p[o] = static_cast<char*>(it.data[o]) + iter_offset(it, o, begin);
    for (int d = 0; d < it.ndim; ++d) {
        at[d] = flat % it.shape[d];
        flat /= it.shape[d];
    }
    while (begin < end) {
        const int64_t count = at_most(it.shape[0] - at[0], end - begin);
        f(p, count);
        begin += count;
        if (begin >= end) return;
        for (int o = 0; o < it.noperands; ++o) p[o] -= at[0] * it.strides[o][0];
        at[0] = 0;
        for (int d = 1; d < it.ndim; ++d) {
            for (int o = 0; o < it.noperands; ++o) p[o] += it.strides[o][d];
            if (++at[d] < it.shape[d]) break;
            for (int o = 0; o < it.noperands; ++o) p[o] -= it.shape[d] * it.strides[o][d];
            at[d] = 0;
        }
    }
}

// True when all of n indices, `stride` bytes apart, are in range: none of them lies, as an unsigned
// number counted from the lowest, beyond the span.
inline bool all_in_range(const char* index, int64_t n, int64_t stride, int64_t size, bool wrap) {
    const uint64_t low = wrap ? -uint64_t(size) : 0;
    uint64_t most = 0;
    const auto take = [&](int64_t i) {
        const uint64_t above = uint64_t(i) - low;
        most = above > most ? above : most;
    };
    if (stride == int64_t(sizeof(int64_t)))
        for (int64_t i = 0; i < n; ++i) take(reinterpret_cast<const int64_t*>(index)[i]);
    else
        for (int64_t i = 0; i < n; ++i) take(*reinterpret_cast<const int64_t*>(index + i * stride));
    return n <= 0 || most < uint64_t(size) - low;
}

// The dimensions of a gather in one iteration; the indexed operand stands still along the indexed
// dimension. That dimension becomes the innermost or the second one, whichever walks `other`
// better.
dl_iter with_dimension(const dl_gather_args& a, bool innermost) {
    dl_iter it = a.rest;
    const int place = innermost ? 0 : 1;
    for (int d = it.ndim; d > place; --d) {
        it.shape[d] = it.shape[d - 1];
        for (int o = 0; o < 3; ++o) it.strides[o][d] = it.strides[o][d - 1];
    }
    it.shape[place] = a.count;
    it.strides[0][place] = 0;
    it.strides[1][place] = a.stride[1];
    it.strides[2][place] = a.stride[2];
    it.ndim += 1;
    it.noperands = 3;
    return it;
}

bool dimension_innermost(const dl_gather_args& a) {
    const dl_iter& r = a.rest;
    return r.shape[0] == 1 || a.stride[1] + a.stride[2] < r.strides[1][0] + r.strides[2][0];
}

dl_status check_gather(const dl_gather_args& a, const dl_iter& it) {
    int bad = 0;
    parallel_for(iter_count(it), 4 * kGrain, [&](int64_t begin, int64_t end) {
        for_runs(it, begin, end, [&](char** p, int64_t n) {
            if (!all_in_range(p[1], n, it.strides[1][0], a.size, a.wrap))
                __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
        });
    });
    return bad ? DL_BAD_INDEX : DL_OK;
}

// The usual case: indexed along the last dimension, everything contiguous.
template <class T>
bool along_contiguous(const dl_gather_args& a, int64_t sx, int64_t si, int64_t so) {
    return sx == 0 && a.stride[0] == int64_t(sizeof(T)) && si == int64_t(sizeof(int64_t)) &&
           so == int64_t(sizeof(T));
}
// n elements, where the indices are seen to be in range just before they are used; false when one is not.
// What comes next is asked for meanwhile: the row that is read in no order most of all.
template <class T>
bool gather_along(const T* __restrict x, const int64_t* __restrict index, T* __restrict out,
                  int64_t n, int64_t size, bool wrap) {
    constexpr int64_t kBlock = 64, kLine = 64;
    for (int64_t i = 0; i < n; i += kBlock) {
        const int64_t m = at_most(kBlock, n - i);
        if (!all_in_range(reinterpret_cast<const char*>(index + i), m, sizeof(int64_t), size, wrap))
            return false;
        for (int64_t j = 0; j < kBlock * int64_t(sizeof(int64_t)); j += kLine)
            __builtin_prefetch(reinterpret_cast<const char*>(index + n + i) + j);
        for (int64_t j = 0; j < kBlock * int64_t(sizeof(T)); j += kLine) {
            __builtin_prefetch(reinterpret_cast<const char*>(x + size + i) + j);
            __builtin_prefetch(reinterpret_cast<const char*>(out + n + i) + j, 1);
        }
        int64_t j = i;
        for (; !wrap && j + 8 <= i + m; j += 8)  // unrolled
            for (int64_t k = j; k < j + 8; ++k) out[k] = x[index[k]];
        for (; j < i + m; ++j) out[j] = x[index[j] + (index[j] < 0 ? size : 0)];
    }
    return true;
}

dl_status gather(const dl_gather_args* args) {
    const dl_gather_args& a = *args;
    if (a.rest.ndim >= DL_MAX_DIMS) return DL_UNSUPPORTED;
    const dl_iter it = with_dimension(a, dimension_innermost(a));
    if (iter_count(it) == 0) return DL_OK;
    int bad = 0;  // seen before it is read
    const int64_t sx = it.strides[0][0], si = it.strides[1][0], so = it.strides[2][0];
    const auto run = [&](char** p, int64_t n, auto tag) {
        typedef typename decltype(tag)::type T;
        if (along_contiguous<T>(a, sx, si, so))
            return gather_along(reinterpret_cast<const T*>(p[0]),
                                reinterpret_cast<const int64_t*>(p[1]), reinterpret_cast<T*>(p[2]),
                                n, a.size, a.wrap);
        if (!all_in_range(p[1], n, si, a.size, a.wrap)) return false;
        for (int64_t i = 0; i < n; ++i) {
            const int64_t raw = *reinterpret_cast<const int64_t*>(p[1] + i * si);
            const int64_t k = raw + (raw < 0 ? a.size : 0);
            *reinterpret_cast<T*>(p[2] + i * so) =
                *reinterpret_cast<const T*>(p[0] + i * sx + k * a.stride[0]);
        }
        return true;
    };
    return by_width(a.dtype, [&](auto tag) {
        parallel_for(iter_count(it), kGrain, [&](int64_t begin, int64_t end) {
            for_runs(it, begin, end, [&](char** p, int64_t n) {
                if (!run(p, n, tag)) __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
            });
        });
        return bad ? DL_BAD_INDEX : DL_OK;
    });
}

template <class T, int op>
void scatter_along(T* x, const int64_t* index, const T* other, int64_t n) {
    for (int64_t i = 0; i < n; ++i) x[index[i]] = combine<op>(x[index[i]], other[i]);
}

// One block of n columns of a scatter, in order along every column. `fill` writes the neutral
// element.
template <class T, int op>
__attribute__((noinline)) void scatter_columns(const dl_gather_args& a, char* const* p, int64_t n,
                                               bool along, bool fill) {
    const dl_iter& r = a.rest;
    const int64_t outer = along ? n : a.count, inner = along ? a.count : n;
    const int64_t step[3] = {along ? 0 : r.strides[0][0], along ? a.stride[1] : r.strides[1][0],
                             along ? a.stride[2] : r.strides[2][0]};
    const int64_t jump[3] = {along ? r.strides[0][0] : 0, along ? r.strides[1][0] : a.stride[1],
                             along ? r.strides[2][0] : a.stride[2]};
    const bool plain = !fill && !a.wrap && along_contiguous<T>(a, step[0], step[1], step[2]);
    for (int64_t u = 0; u < outer; ++u) {
        char* x = p[0] + u * jump[0];
        const char* index = p[1] + u * jump[1];
        const char* other = p[2] + u * jump[2];
        if (plain) {
            scatter_along<T, op>(reinterpret_cast<T*>(x), reinterpret_cast<const int64_t*>(index),
                                 reinterpret_cast<const T*>(other), inner);
            continue;
        }
        for (int64_t v = 0; v < inner; ++v) {
            const int64_t raw = *reinterpret_cast<const int64_t*>(index + v * step[1]);
            const int64_t i = raw + (raw < 0 ? a.size : 0);
            T& place = *reinterpret_cast<T*>(x + v * step[0] + i * a.stride[0]);
            place = fill ? neutral<op, T>()
                         : combine<op>(place, *reinterpret_cast<const T*>(other + v * step[2]));
        }
    }
}

typedef void (*columns_fn)(const dl_gather_args&, char* const*, int64_t, bool, bool);

dl_status scatter(const dl_gather_args* args) {
    const dl_gather_args& a = *args;
    if (a.rest.ndim >= DL_MAX_DIMS) return DL_UNSUPPORTED;
    columns_fn columns = nullptr;
    const dl_status known = by_scatter_op(a.op, [&](auto op) {
        constexpr int o = decltype(op)::value;
        const auto choose = [&](auto tag) {
            columns = scatter_columns<typename decltype(tag)::type, o>;
            return DL_OK;
        };
        return o == DL_SCATTER_SET ? by_width(a.dtype, choose) : by_number(a.dtype, choose);
    });
    if (known) return known;
    const bool along = dimension_innermost(a);
    const dl_iter it = with_dimension(a, along);
    if (iter_count(it) == 0) return DL_OK;
    if (dl_status s = check_gather(a, it)) return s;
    // Bands of columns: a narrow one would put every row it meets into the same few cache sets.
    const int64_t grain = at_least(along ? 1 : 256, kGrain / at_least(1, a.count));
    parallel_for(iter_count(a.rest), grain, [&](int64_t begin, int64_t end) {
        for_runs(a.rest, begin, end, [&](char** p, int64_t n) {
            if (a.op != DL_SCATTER_SET && a.exclude_self) columns(a, p, n, along, true);
            columns(a, p, n, along, false);
        });
    });
    return DL_OK;
}

// Byte offsets in `indexed` of all positions, in scratch; null (and why) when that cannot be.
const int64_t* position_offsets(const dl_advanced_args& a, dl_status* status) {
    int64_t* offsets = static_cast<int64_t*>(dl_scratch(size_t(a.n) * sizeof(int64_t), 0));
    *status = offsets ? DL_OK : DL_OUT_OF_MEMORY;
    if (!offsets) return nullptr;
    int bad = 0;
    parallel_for(a.n, 2 * kGrain, [&](int64_t begin, int64_t end) {
        for (int d = 0; d < a.nindex; ++d) {
            const int64_t* index = a.index[d];
            const int64_t size = a.size[d], stride = a.stride[d];
            if (!all_in_range(reinterpret_cast<const char*>(index + begin), end - begin,
                              sizeof(int64_t), size, a.wrap))
                __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
            for (int64_t p = begin; p < end; ++p) {
                const uint64_t k = uint64_t(index[p] + (index[p] < 0 ? size : 0));
                const int64_t offset = int64_t(k * uint64_t(stride));  // a bad one may overflow
                offsets[p] = d ? int64_t(uint64_t(offsets[p]) + uint64_t(offset)) : offset;
            }
        }
    });
    if (bad) *status = DL_BAD_INDEX;
    return bad ? nullptr : offsets;
}

// How slices are cut: runs along the innermost sliced dimension, or single elements when the
// positions lie closer together in `other` than the elements of a slice.
struct SliceCut {
    int from;      // rows count dimensions [from, ndim)
    int64_t run;   // elements in a run
    int64_t rows;  // runs in a slice
    int64_t run_stride[2];
    explicit SliceCut(const dl_advanced_args& a) {
        const dl_iter& s = a.slices;
        const bool single = s.shape[0] == 1 || (a.n > 1 && a.other_stride < s.strides[1][0]);
        from = single ? 0 : 1;
        run = single ? 1 : s.shape[0];
        rows = iter_count(s, from);
        run_stride[0] = single ? 0 : s.strides[0][0];
        run_stride[1] = single ? 0 : s.strides[1][0];
    }
};

template <class T>
void copy_run(const char* x, char* out, int64_t n, int64_t sx, int64_t so) {
    if (n == 1) {
        *reinterpret_cast<T*>(out) = *reinterpret_cast<const T*>(x);
    } else if (sx == sizeof(T) && so == sizeof(T)) {
        copy_bytes(out, x, n * int64_t(sizeof(T)));
    } else {
        for (int64_t i = 0; i < n; ++i)
            *reinterpret_cast<T*>(out + i * so) = *reinterpret_cast<const T*>(x + i * sx);
    }
}

constexpr int64_t kAhead = 8;           // positions
constexpr int64_t kMostFetched = 1024;  // bytes of a slice

// Places [begin, end) of rows x positions.
template <class T>
__attribute__((noinline)) void get_range(const dl_advanced_args& a, const SliceCut& cut,
                                         const int64_t* offsets, int64_t begin, int64_t end) {
    const bool dense = cut.run_stride[0] == int64_t(sizeof(T));
    const int64_t fetched = dense ? at_most(cut.run * int64_t(sizeof(T)), kMostFetched) : 0;
    while (begin < end) {
        const int64_t row = begin / a.n, first = begin % a.n;
        const int64_t last = at_most(a.n, first + end - begin);
        const char* from =
            static_cast<const char*>(a.slices.data[0]) + iter_offset(a.slices, 0, row, cut.from);
        char* to = static_cast<char*>(a.slices.data[1]) + iter_offset(a.slices, 1, row, cut.from);
        if (cut.run == 1 && a.other_stride == int64_t(sizeof(T)))
            for (int64_t p = first; p < last; ++p)
                reinterpret_cast<T*>(to)[p] = *reinterpret_cast<const T*>(from + offsets[p]);
        else
            for (int64_t p = first; p < last; ++p) {
                // Slices that lie anywhere are beyond what the processor foresees.
                if (p + kAhead < last)
                    for (int64_t b = 0; b < fetched; b += 64)
                        __builtin_prefetch(from + offsets[p + kAhead] + b);
                copy_run<T>(from + offsets[p], to + p * a.other_stride, cut.run, cut.run_stride[0],
                            cut.run_stride[1]);
            }
        begin += last - first;
    }
}

dl_status index_get(const dl_advanced_args* args) {
    const dl_advanced_args& a = *args;
    if (a.n == 0 || iter_count(a.slices) == 0) return DL_OK;
    dl_status status;
    const int64_t* offsets = position_offsets(a, &status);
    if (!offsets) return status;
    const SliceCut cut(a);
    return by_width(a.dtype, [&](auto tag) {
        const int64_t grain = at_least(1, kGrain / cut.run);
        parallel_for(cut.rows * a.n, grain, [&](int64_t begin, int64_t end) {
            get_range<typename decltype(tag)::type>(a, cut, offsets, begin, end);
        });
        return DL_OK;
    });
}

template <class T, int op>
void put_run(char* x, const char* other, int64_t n, int64_t sx, int64_t so) {
    if (n > 1 && sx == sizeof(T) && so == sizeof(T)) {
        T* to = reinterpret_cast<T*>(x);
        const T* from = reinterpret_cast<const T*>(other);
        for (int64_t i = 0; i < n; ++i) to[i] = combine<op>(to[i], from[i]);
    } else {
        for (int64_t i = 0; i < n; ++i) {
            T& place = *reinterpret_cast<T*>(x + i * sx);
            place = combine<op>(place, *reinterpret_cast<const T*>(other + i * so));
        }
    }
}

// Rows [row, row + R) of slices of single elements, at all positions: the rows share the offsets.
template <class T, int op, int R>
void put_singles(const dl_advanced_args& a, const SliceCut& cut, const int64_t* offsets,
                 int64_t row) {
    char* x[R];
    const char* other[R];
    for (int r = 0; r < R; ++r) {
        x[r] = static_cast<char*>(a.slices.data[0]) + iter_offset(a.slices, 0, row + r, cut.from);
        other[r] =
            static_cast<char*>(a.slices.data[1]) + iter_offset(a.slices, 1, row + r, cut.from);
    }
    for (int64_t p = 0; p < a.n; ++p)
        for (int r = 0; r < R; ++r) {
            T& place = *reinterpret_cast<T*>(x[r] + offsets[p]);
            place = combine<op>(place, *reinterpret_cast<const T*>(other[r] + p * a.other_stride));
        }
}

// Row `row` of the slices, for the positions whose offset hashes to `owner` of `owners`, in order.
template <class T, int op>
void put_row(const dl_advanced_args& a, const SliceCut& cut, const int64_t* offsets, int64_t row,
             int64_t owner, int64_t owners) {
    char* x = static_cast<char*>(a.slices.data[0]) + iter_offset(a.slices, 0, row, cut.from);
    const char* other =
        static_cast<const char*>(a.slices.data[1]) + iter_offset(a.slices, 1, row, cut.from);
    // In blocks: the positions that are its own, then their slices, fetched ahead.
    constexpr int64_t kBlock = 256;
    const bool dense = cut.run_stride[0] == int64_t(sizeof(T));
    const int64_t fetched = dense ? at_most(cut.run * int64_t(sizeof(T)), kMostFetched) : 0;
    int64_t own[kBlock];
    for (int64_t begin = 0; begin < a.n; begin += kBlock) {
        const int64_t end = at_most(a.n, begin + kBlock);
        int64_t count = 0;
        for (int64_t p = begin; p < end; ++p) {
            const uint64_t hash = (uint64_t(offsets[p]) * 0x9e3779b97f4a7c15ull) >> 32;
            own[count] = p;
            count += int64_t((hash * uint64_t(owners)) >> 32) == owner;
        }
        for (int64_t j = 0; j < count; ++j) {
            if (j + kAhead < count)
                for (int64_t b = 0; b < fetched; b += 64)
                    __builtin_prefetch(x + offsets[own[j + kAhead]] + b, 1);
            put_run<T, op>(x + offsets[own[j]], other + own[j] * a.other_stride, cut.run,
                           cut.run_stride[0], cut.run_stride[1]);
        }
    }
}

template <class T, int op>
__attribute__((noinline)) void put_rows(const dl_advanced_args& a, const SliceCut& cut,
                                        const int64_t* offsets, int64_t begin, int64_t end,
                                        int64_t owner, int64_t owners) {
    if (owners == 1 && cut.run == 1) {
        for (; begin + 2 <= end; begin += 2) put_singles<T, op, 2>(a, cut, offsets, begin);
        if (begin < end) put_singles<T, op, 1>(a, cut, offsets, begin);
        return;
    }
    for (; begin < end; ++begin) put_row<T, op>(a, cut, offsets, begin, owner, owners);
}

typedef void (*put_rows_fn)(const dl_advanced_args&, const SliceCut&, const int64_t*, int64_t,
                            int64_t, int64_t, int64_t);

// Every place must see its updates in order: either each chunk owns rows of the slices, or it owns
// the positions whose offset hashes to it.
void put_all(const dl_advanced_args& a, const int64_t* offsets, put_rows_fn put) {
    const SliceCut cut(a);
    if (cut.rows >= 8) {
        const int64_t grain = at_least(1, kGrain / at_least(1, a.n * cut.run));
        parallel_for(cut.rows, grain,
                     [&](int64_t begin, int64_t end) { put(a, cut, offsets, begin, end, 0, 1); });
        return;
    }
    const int64_t work = cut.run * cut.rows;  // per position
    // However many owners: a place sees the same updates in the same order.
    const int64_t most = at_most(16, dl_num_threads());
    const int64_t owners = work < 16 ? 1 : at_least(1, at_most(most, a.n * work / kGrain));
    parallel_for(owners, 1, [&](int64_t begin, int64_t end) {
        for (int64_t owner = begin; owner < end; ++owner)
            put(a, cut, offsets, 0, cut.rows, owner, owners);
    });
}

dl_status index_put(const dl_advanced_args* args) {
    const dl_advanced_args& a = *args;
    put_rows_fn put = nullptr;
    const dl_status known = by_scatter_op(a.op, [&](auto op) {
        constexpr int o = decltype(op)::value;
        const auto choose = [&](auto tag) {
            put = put_rows<typename decltype(tag)::type, o>;
            return DL_OK;
        };
        return o == DL_SCATTER_SET ? by_width(a.dtype, choose) : by_number(a.dtype, choose);
    });
    if (known) return known;
    if (a.n == 0 || iter_count(a.slices) == 0) return DL_OK;
    dl_status status;
    const int64_t* offsets = position_offsets(a, &status);
    if (!offsets) return status;
    put_all(a, offsets, put);
    return DL_OK;
}

// dweight rows [first, last): zero them, then one pass over the indices.
template <class T>
void embedding_rows(const dl_embedding_backward_args& a, const int64_t* seen, int64_t first,
                    int64_t last) {
    T* dw = static_cast<T*>(a.dweight);
    memset(dw + first * a.width, 0, size_t((last - first) * a.width) * sizeof(T));
    for (int64_t i = 0; i < a.n; ++i) {
        const int64_t row = a.index[i];
        if (row < first || row >= last || row == a.padding_idx) continue;
        const T scale = seen ? T(1) / T(seen[row]) : T(1);
        const T* dy = static_cast<const T*>(a.dy) + i * a.width;
        T* to = dw + row * a.width;
        for (int64_t j = 0; j < a.width; ++j) to[j] += dy[j] * scale;
    }
}

dl_status embedding_backward(const dl_embedding_backward_args* args) {
    const dl_embedding_backward_args& a = *args;
    if (a.dtype != DL_F32 && a.dtype != DL_F64) return DL_UNSUPPORTED;
    if (!all_in_range(reinterpret_cast<const char*>(a.index), a.n, sizeof(int64_t), a.rows, false))
        return DL_BAD_INDEX;
    int64_t* seen = nullptr;
    if (a.scale_by_freq) {
        const size_t bytes = size_t(a.rows) * sizeof(int64_t);
        seen = static_cast<int64_t*>(dl_scratch(bytes, 0));
        if (!seen) return DL_OUT_OF_MEMORY;
        memset(seen, 0, bytes);
        for (int64_t i = 0; i < a.n; ++i) ++seen[a.index[i]];
    }
    const int64_t work = (a.n + a.rows) * a.width;
    const int64_t owners = a.width < 16 ? 1 : at_least(1, at_most(16, work / kGrain));
    parallel_for(owners, 1, [&](int64_t begin, int64_t end) {
        const int64_t first = begin * a.rows / owners, last = end * a.rows / owners;
        if (a.dtype == DL_F32)
            embedding_rows<float>(a, seen, first, last);
        else
            embedding_rows<double>(a, seen, first, last);
    });
    return DL_OK;
}

dl_status triangle(const dl_triangle_args* args) {
    const dl_triangle_args& a = *args;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        const int64_t grain = at_least(1, kGrain / at_least(1, a.cols));
        parallel_for(a.batch * a.rows, grain, [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
                const T* x = static_cast<const T*>(a.x) + r * a.cols;
                T* out = static_cast<T*>(a.out) + r * a.cols;
                // columns [lo, hi) stay
                const int64_t edge = r % a.rows + a.k + (a.upper ? 0 : 1);
                const int64_t cut = at_least(0, at_most(a.cols, edge));
                const int64_t lo = a.upper ? cut : 0, hi = a.upper ? a.cols : cut;
                memset(out, 0, size_t(lo) * sizeof(T));
                if (out != x) memcpy(out + lo, x + lo, size_t(hi - lo) * sizeof(T));
                memset(out + hi, 0, size_t(a.cols - hi) * sizeof(T));
            }
        });
        return DL_OK;
    });
}

}  // namespace

const dl_index_table* index_table() {
    static const dl_index_table table = {
        .gather = gather,
        .scatter = scatter,
        .index_get = index_get,
        .index_put = index_put,
        .mask_count = mask_count,
        .nonzero = nonzero,
        .masked_select = masked_select,
        .masked_scatter = masked_scatter,
        .embedding_backward = embedding_backward,
        .sort = sort_rows,
        .topk = topk_rows,
        .kthvalue = kthvalue_rows,
        .searchsorted = searchsorted_rows,
        .runs = nullptr,  // the plain ones are as fast as it gets
        .argsort_rows = nullptr,
        .triangle = triangle,
        .concat = concat,
        .pad = pad,
        .pad_backward = pad_backward,
    };
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
