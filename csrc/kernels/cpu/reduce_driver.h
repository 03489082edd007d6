// Walks a reduction: cuts it into tasks by size alone, hands contiguous runs or tiles of columns
// to an
// op, and merges the partial results in a fixed order. An op is a small struct:
//
//   in_t                 element type;  acc_t  a partial result (plain data)
//   init()               neutral partial result
//   run(a, p, n, at)     folds n contiguous elements, the first at flat reduced index `at`, into a
//   columns(a, p, rows, stride, cols, at)   folds rows of `cols` contiguous elements into
// a[0..cols)
//   merge(a, b)          a = a then b
//   store(args, k, a)    writes kept index k
#pragma once
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/reduce.h"

namespace {

constexpr int64_t kTile = 256;        // most columns a task folds at once
constexpr int64_t kTask = 64 * 1024;  // elements per task, about
constexpr int64_t kManyUnits = 32;    // with so many tasks already, a reduction is not cut further

// The parts of an op that most ops share: columns by way of run.
template <class Self, class In, class Acc>
struct ReduceOp {
    typedef In in_t;
    typedef Acc acc_t;

    // Strided elements go through a small contiguous buffer, so an op needs fast code for runs
    // only.
    void strided(Acc& a, const char* p, int64_t n, int64_t stride, int64_t at) const {
        const Self& self = static_cast<const Self&>(*this);
        if (stride == int64_t(sizeof(In))) {
            self.run(a, reinterpret_cast<const In*>(p), n, at);
            return;
        }
        In buffer[256];
        for (int64_t i = 0; i < n;) {
            int64_t m = n - i < 256 ? n - i : 256;
            for (int64_t j = 0; j < m; ++j, p += stride)
                buffer[j] = *reinterpret_cast<const In*>(p);
            self.run(a, buffer, m, at + i);
            i += m;
        }
    }
    // In blocks of rows, so that the cache lines of a block are still there for the next column.
    void columns(Acc* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t at) const {
        for (int64_t r = 0; r < rows; r += 256) {
            int64_t m = rows - r < 256 ? rows - r : 256;
            for (int64_t c = 0; c < cols; ++c)
                strided(a[c], p + r * stride + c * int64_t(sizeof(In)), m, stride, at + r);
        }
    }
};

// f(pointer, n, at) for each innermost run of the flat reduced range [begin, end).
template <class F>
void walk_reduced(const dl_reduce_args& args, const char* base, int64_t begin, int64_t end,
                  const F& f) {
    if (begin >= end) return;
    if (args.reduced_ndim == 0) {
        f(base, int64_t(1), int64_t(0));
        return;
    }
    int64_t index[DL_MAX_DIMS];
    int64_t rest = begin;
    const char* p = base;
    if (args.reduced_ndim == 1) {
        f(base + begin * args.reduced_strides[0], end - begin, begin);
        return;
    }
    for (int d = 0; d < args.reduced_ndim; ++d) {
        index[d] = rest % args.reduced_shape[d];
        rest /= args.reduced_shape[d];
        p += index[d] * args.reduced_strides[d];
    }
    for (int64_t at = begin; at < end;) {
        int64_t n = args.reduced_shape[0] - index[0];
        if (n > end - at) n = end - at;
        f(p, n, at);
        at += n;
        p -= index[0] * args.reduced_strides[0];
        index[0] = 0;
        for (int d = 1; d < args.reduced_ndim; ++d) {
            p += args.reduced_strides[d];
            if (++index[d] < args.reduced_shape[d]) break;
            p -= args.reduced_shape[d] * args.reduced_strides[d];
            index[d] = 0;
        }
    }
}

// Byte offset of the flat index over kept dimensions from..ndim-1.
int64_t kept_offset(const dl_reduce_args& args, int from, int64_t flat) {
    int64_t offset = 0;
    if (args.kept_ndim == from + 1) return flat * args.kept_strides[from];  // spares the divisions
    for (int d = from; d < args.kept_ndim; ++d) {
        offset += flat % args.kept_shape[d] * args.kept_strides[d];
        flat /= args.kept_shape[d];
    }
    return offset;
}

// How a reduction is cut: `units` of output (single values, or tiles of adjacent columns), each
// into
// `chunks` pieces of the reduced range.
struct ReducePlan {
    bool by_columns;
    int64_t kept, reduced, tile, tiles, units, chunk, chunks;
};

ReducePlan plan_reduction(const dl_reduce_args& args, int64_t item) {
    ReducePlan plan = {};
    plan.kept = plan.reduced = 1;
    for (int d = 0; d < args.kept_ndim; ++d) plan.kept *= args.kept_shape[d];
    for (int d = 0; d < args.reduced_ndim; ++d) plan.reduced *= args.reduced_shape[d];
    bool rows_contiguous = args.reduced_ndim > 0 && args.reduced_strides[0] == item;
    plan.by_columns = args.kept_ndim > 0 && args.kept_strides[0] == item &&
                      args.kept_shape[0] > 1 && !rows_contiguous;
    plan.tile = plan.tiles = 1;
    plan.units = plan.kept;
    if (plan.by_columns && plan.kept > 0) {
        plan.tile = args.kept_shape[0] < kTile ? args.kept_shape[0] : kTile;
        plan.tiles = (args.kept_shape[0] + plan.tile - 1) / plan.tile;
        plan.units = plan.kept / args.kept_shape[0] * plan.tiles;
    }
    plan.chunk = plan.reduced > 0 ? plan.reduced : 1;
    if (plan.units < kManyUnits && plan.reduced > kTask / plan.tile) plan.chunk = kTask / plan.tile;
    plan.chunks = (plan.reduced + plan.chunk - 1) / plan.chunk;
    if (plan.chunks < 1) plan.chunks = 1;
    return plan;
}

// An op behind plain function pointers, so that the driver below exists once and not once per op.
struct AnyOp {
    const void* op;
    int64_t item, acc_size;
    void (*init)(const void* op, char* acc, int64_t n);
    void (*strided)(const void* op, char* acc, const char* p, int64_t n, int64_t stride,
                    int64_t at);
    void (*columns)(const void* op, char* acc, const char* p, int64_t rows, int64_t stride,
                    int64_t cols, int64_t at);
    void (*merge)(const void* op, char* a, const char* b, int64_t n);
    void (*store)(const void* op, const dl_reduce_args& args, int64_t k, const char* acc,
                  int64_t n);
    // Kept indices [begin, end) of one dimension at most, over one dimension of n elements at most.
    void (*rows)(const void* op, const dl_reduce_args& args, int64_t begin, int64_t end, int64_t n);
};

template <class Op>
constexpr int64_t any_item = int64_t(sizeof(typename Op::in_t));

template <class Op>
AnyOp erase(const Op& op) {
    typedef typename Op::acc_t Acc;
    AnyOp any;
    any.op = &op;
    any.item = any_item<Op>;
    any.acc_size = int64_t(sizeof(Acc));
    any.init = [](const void* self, char* acc, int64_t n) {
        for (int64_t i = 0; i < n; ++i)
            reinterpret_cast<Acc*>(acc)[i] = static_cast<const Op*>(self)->init();
    };
    any.strided = [](const void* self, char* acc, const char* p, int64_t n, int64_t stride,
                     int64_t at) {
        static_cast<const Op*>(self)->strided(*reinterpret_cast<Acc*>(acc), p, n, stride, at);
    };
    any.columns = [](const void* self, char* acc, const char* p, int64_t rows, int64_t stride,
                     int64_t cols, int64_t at) {
        static_cast<const Op*>(self)->columns(reinterpret_cast<Acc*>(acc), p, rows, stride, cols,
                                              at);
    };
    any.merge = [](const void* self, char* a, const char* b, int64_t n) {
        for (int64_t i = 0; i < n; ++i)
            static_cast<const Op*>(self)->merge(reinterpret_cast<Acc*>(a)[i],
                                                reinterpret_cast<const Acc*>(b)[i]);
    };
    any.store = [](const void* self, const dl_reduce_args& args, int64_t k, const char* acc,
                   int64_t n) {
        for (int64_t i = 0; i < n; ++i)
            static_cast<const Op*>(self)->store(args, k + i, reinterpret_cast<const Acc*>(acc)[i]);
    };
    any.rows = [](const void* self, const dl_reduce_args& args, int64_t begin, int64_t end,
                  int64_t n) {
        const Op& typed = *static_cast<const Op*>(self);
        const int64_t step = args.kept_ndim ? args.kept_strides[0] : 0;
        const int64_t stride = args.reduced_ndim ? args.reduced_strides[0] : any_item<Op>;
        const char* p = static_cast<const char*>(args.in) + begin * step;
        for (int64_t k = begin; k < end; ++k, p += step) {
            Acc acc = typed.init();
            if (n > 0) typed.strided(acc, p, n, stride, 0);
            typed.store(args, k, acc);
        }
    };
    return any;
}

// Folds chunk `c` of unit `u` into acc[0..width); returns the width, the first kept index in
// `first`.
int64_t reduce_unit(const AnyOp& any, const dl_reduce_args& args, const ReducePlan& plan, int64_t u,
                    int64_t c, char* acc, int64_t* first) {
    const char* base = static_cast<const char*>(args.in);
    int64_t begin = c * plan.chunk;
    int64_t end = begin + plan.chunk < plan.reduced ? begin + plan.chunk : plan.reduced;
    int64_t stride = args.reduced_ndim ? args.reduced_strides[0] : any.item;
    if (!plan.by_columns) {
        *first = u;
        any.init(any.op, acc, 1);
        walk_reduced(args, base + kept_offset(args, 0, u), begin, end,
                     [&](const char* p, int64_t n, int64_t at) {
                         any.strided(any.op, acc, p, n, stride, at);
                     });
        return 1;
    }
    int64_t outer = u / plan.tiles, column = u % plan.tiles * plan.tile;
    int64_t width =
        args.kept_shape[0] - column < plan.tile ? args.kept_shape[0] - column : plan.tile;
    *first = outer * args.kept_shape[0] + column;
    any.init(any.op, acc, width);
    base += kept_offset(args, 1, outer) + column * args.kept_strides[0];
    walk_reduced(args, base, begin, end, [&](const char* p, int64_t n, int64_t at) {
        any.columns(any.op, acc, p, n, stride, width, at);
    });
    return width;
}

constexpr int64_t kMaxAcc = 24;  // bytes of the largest partial result

dl_status reduce_any(const AnyOp& any, const dl_reduce_args& args) {
    ReducePlan plan = plan_reduction(args, any.item);
    if (plan.kept == 0) return DL_OK;
    int64_t work = plan.tile * plan.chunk;  // per task
    int64_t grain = work >= kTask / 2 ? 1 : kTask / 2 / work;
    if (plan.chunks == 1 && !plan.by_columns && args.kept_ndim <= 1 && args.reduced_ndim <= 1) {
        parallel_for(plan.units, grain, [&](int64_t begin, int64_t end) {
            any.rows(any.op, args, begin, end, plan.reduced);
        });
        return DL_OK;
    }
    if (plan.chunks == 1) {
        parallel_for(plan.units, grain, [&](int64_t begin, int64_t end) {
            alignas(64) char acc[kTile * kMaxAcc];
            int64_t first;
            for (int64_t u = begin; u < end; ++u) {
                int64_t width = reduce_unit(any, args, plan, u, 0, acc, &first);
                any.store(any.op, args, first, acc, width);
            }
        });
        return DL_OK;
    }
    // Partial results [unit][chunk][tile], merged in the order of the chunks.
    int64_t block = plan.tile * any.acc_size;
    char* partial = static_cast<char*>(dl_scratch(size_t(plan.units * plan.chunks * block), 0));
    if (!partial) return DL_OUT_OF_MEMORY;
    parallel_for(plan.units * plan.chunks, grain, [&](int64_t begin, int64_t end) {
        int64_t first;
        for (int64_t t = begin; t < end; ++t)
            reduce_unit(any, args, plan, t / plan.chunks, t % plan.chunks, partial + t * block,
                        &first);
    });
    for (int64_t u = 0; u < plan.units; ++u) {
        char* total = partial + u * plan.chunks * block;
        int64_t outer = u / plan.tiles, column = u % plan.tiles * plan.tile;
        int64_t row = plan.by_columns ? args.kept_shape[0] : 1;
        int64_t width = row - column < plan.tile ? row - column : plan.tile;
        for (int64_t c = 1; c < plan.chunks; ++c)
            any.merge(any.op, total, total + c * block, width);
        any.store(any.op, args, outer * row + column, total, width);
    }
    return DL_OK;
}

template <class Op>
dl_status reduce_with(const Op& op, const dl_reduce_args& args) {
    static_assert(sizeof(typename Op::acc_t) <= kMaxAcc, "partial result too large");
    return reduce_any(erase(op), args);
}

}  // namespace
