// Joining tensors and padding them: rows put together from runs, each row written once.
#include "kernels/cpu/index_common.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/static_size.h"
#include "kernels/cpu/strided.h"

namespace deeplite::cpu::DL_ISA {

dl_status concat(const dl_concat_args* args);
dl_status pad(const dl_pad_args* args);
dl_status pad_backward(const dl_pad_args* args);

namespace {

constexpr int64_t kGrainBytes = 128 << 10;  // written, worth a chunk
constexpr int64_t kBlockBytes = 16 << 10;   // of rows that all inputs put their runs into

// ---- joining ------------------------------------------------------------------------------------

template <class U, int R>
void place_runs(U* __restrict y, int64_t pitch, const U* __restrict x, int64_t rows) {
    for (int64_t r = 0; r < rows; ++r)
        for (int j = 0; j < R; ++j) y[r * pitch + j] = x[r * R + j];
}
template <class U>
void place_any_runs(U* y, int64_t pitch, const U* x, int64_t run, int64_t rows) {
    switch (run) {
        case 1:
            return place_runs<U, 1>(y, pitch, x, rows);
        case 2:
            return place_runs<U, 2>(y, pitch, x, rows);
        case 3:
            return place_runs<U, 3>(y, pitch, x, rows);
        case 4:
            return place_runs<U, 4>(y, pitch, x, rows);
        case 8:
            return place_runs<U, 8>(y, pitch, x, rows);
        default:
            for (int64_t r = 0; r < rows; ++r)
                copy_bytes(reinterpret_cast<char*>(y + r * pitch),
                           reinterpret_cast<const char*>(x + r * run), run * int64_t(sizeof(U)));
    }
}

// Elements of two inputs in turns; returns how many of each it has placed.
template <class U>
int64_t zip_two(U* y, const U* a, const U* b, int64_t rows) {
    constexpr int N = Vec<U>::N;
    int64_t r = 0;
    for (; r + N <= rows; r += N) {
        const auto u = vload(a + r), v = vload(b + r);
        vstore(y + 2 * r, vzip_lo<U>(u, v));
        vstore(y + 2 * r + N, vzip_hi<U>(u, v));
    }
    return r;
}
template <class U>
int64_t zip_four(U* y, const U* a, const U* b, const U* c, const U* d, int64_t rows) {
    constexpr int N = Vec<U>::N;
    int64_t r = 0;
    for (; r + N <= rows; r += N, y += 4 * N) {
        const auto p = vload(a + r), q = vload(b + r), s = vload(c + r), t = vload(d + r);
        const auto ac = vzip_lo<U>(p, s), bd = vzip_lo<U>(q, t);
        const auto ac2 = vzip_hi<U>(p, s), bd2 = vzip_hi<U>(q, t);
        vstore(y, vzip_lo<U>(ac, bd));
        vstore(y + N, vzip_hi<U>(ac, bd));
        vstore(y + 2 * N, vzip_lo<U>(ac2, bd2));
        vstore(y + 3 * N, vzip_hi<U>(ac2, bd2));
    }
    return r;
}
// The first rows of single elements, as many as whole vectors cover.
template <class U>
int64_t zip_rows(const dl_concat_args& a, int64_t pitch, int64_t begin, int64_t end) {
    if constexpr (sizeof(U) >= 4) {
        if (pitch != a.n) return begin;
        U* y = static_cast<U*>(a.y) + begin * pitch;
        const auto x = [&](int k) { return static_cast<const U*>(a.x[k]) + begin; };
        if (a.n == 2) return begin + zip_two(y, x(0), x(1), end - begin);
        if (a.n == 4) return begin + zip_four(y, x(0), x(1), x(2), x(3), end - begin);
    }
    return begin;
}

template <class U>
void concat_short(const dl_concat_args& a, int64_t pitch) {
    const int64_t bytes = pitch * int64_t(sizeof(U)), block = kBlockBytes / bytes + 1;
    parallel_for(a.rows, kGrainBytes / bytes + 1, [&](int64_t begin, int64_t end) {
        for (int64_t r = zip_rows<U>(a, pitch, begin, end); r < end; r += block) {
            const int64_t rows = end - r < block ? end - r : block;
            U* y = static_cast<U*>(a.y) + r * pitch;
            for (int k = 0; k < a.n; y += a.run[k++])
                if (a.run[k])
                    place_any_runs(y, pitch, static_cast<const U*>(a.x[k]) + r * a.run[k], a.run[k],
                                   rows);
        }
    });
}

// Elements [begin, end) of y, by the runs that meet them.
template <class U>
void concat_long(const dl_concat_args& a, int64_t pitch) {
    parallel_for(a.rows * pitch, kGrainBytes / int64_t(sizeof(U)), [&](int64_t begin, int64_t end) {
        for (int64_t row = begin / pitch; row * pitch < end; ++row) {
            int64_t at = row * pitch;
            for (int k = 0; k < a.n && at < end; at += a.run[k++]) {
                const int64_t from = at < begin ? begin : at;
                const int64_t to = at + a.run[k] < end ? at + a.run[k] : end;
                if (from < to)
                    memcpy(static_cast<U*>(a.y) + from,
                           static_cast<const U*>(a.x[k]) + row * a.run[k] + from - at,
                           size_t(to - from) * sizeof(U));
            }
        }
    });
}

// ---- padding ------------------------------------------------------------------------------------

// Where place p of a padded dimension of n places reads; -1: the constant.
DL_INLINE int64_t place_read(int mode, int64_t p, int64_t n) {
    if (uint64_t(p) < uint64_t(n)) return p;
    switch (mode) {
        case DL_PAD_REFLECT:
            return p < 0 ? -p : 2 * (n - 1) - p;
        case DL_PAD_REPLICATE:
            return p < 0 ? 0 : n - 1;
        case DL_PAD_CIRCULAR:
            return p < 0 ? p + n : p - n;
        default:
            return -1;
    }
}

// The rows of y in their order, and the row of x that each one reads.
class PaddedRows {
 public:
    PaddedRows(const dl_pad_args& args, int dims, int64_t row) : a(args), ndim(dims) {
        stride[0] = 1;
        for (int d = 1; d < ndim; ++d) {
            stride[d] = d == 1 ? a.in[0] : stride[d - 1] * a.in[d - 1];
            at[d] = row % a.out[d];
            row /= a.out[d];
        }
        find_outer();
    }
    // Offset of the row in x, or -1: it is all border.
    int64_t offset() const {
        if (ndim == 1 || outer < 0) return outer;
        const int64_t p = place_read(a.mode, at[1] - a.before[1], a.in[1]);
        return p < 0 ? -1 : outer + p * stride[1];
    }
    // How many rows from here on, at most `most`, read rows of x one after the other.
    int64_t run(int64_t most) const {
        const int64_t p = ndim > 1 ? at[1] - a.before[1] : -1;
        int64_t n = 1;
        if (p >= 0 && p < a.in[1]) {
            const int64_t inside = a.in[1] - p, left = a.out[1] - at[1];
            n = inside < left ? inside : left;
        }
        return n < most ? n : most;
    }
    void next(int64_t rows = 1) {
        if (ndim > 1) at[1] += rows - 1;
        for (int d = 1; d < ndim; ++d) {
            if (++at[d] < a.out[d]) {
                if (d > 1) find_outer();
                return;
            }
            at[d] = 0;
        }
    }

 private:
    void find_outer() {
        outer = 0;
        for (int d = 2; d < ndim; ++d) {
            const int64_t p = place_read(a.mode, at[d] - a.before[d], a.in[d]);
            if (p < 0) {
                outer = -1;
                return;
            }
            outer += p * stride[d];
        }
    }
    const dl_pad_args& a;
    int ndim;
    int64_t at[DL_MAX_DIMS] = {}, stride[DL_MAX_DIMS] = {}, outer = 0;
};

// The part of a row that is copied as it is: places [begin, end).
struct Body {
    static constexpr int64_t kListed = 16;  // places of the border
    int64_t begin, end;
    int64_t reads[kListed];  // what each of them reads, before and behind; if there are so few
    bool listed;
    explicit Body(const dl_pad_args& a) {
        begin = a.before[0] > 0 ? a.before[0] : 0;
        end = a.before[0] + a.in[0] < a.out[0] ? a.before[0] + a.in[0] : a.out[0];
        if (end < begin) begin = end = a.before[0] > 0 ? a.out[0] : 0;
        listed = a.mode != DL_PAD_CONSTANT && begin + a.out[0] - end <= kListed;
        int64_t n = 0;
        for (int64_t j = 0; listed && j < begin; ++j)
            reads[n++] = place_read(a.mode, j - a.before[0], a.in[0]);
        for (int64_t j = end; listed && j < a.out[0]; ++j)
            reads[n++] = place_read(a.mode, j - a.before[0], a.in[0]);
    }
};

// Places [j, end) of a row's border.
template <class U>
DL_INLINE void pad_border(const dl_pad_args& a, const U* x, U value, U* y, int64_t j, int64_t end) {
    for (; j < end; ++j) {
        const int64_t p = place_read(a.mode, j - a.before[0], a.in[0]);
        y[j] = p < 0 ? value : x[p];
    }
}

// Places [from, to) of a row; x null: all of it is constant. Nothing else is touched.
template <class U>
void pad_part(const dl_pad_args& a, const Body& body, const U* x, U value, U* y, int64_t from,
              int64_t to) {
    if (!x) {
        for (int64_t j = from; j < to; ++j) y[j] = value;
        return;
    }
    const int64_t begin = body.begin < from ? from : body.begin > to ? to : body.begin;
    const int64_t end = body.end > to ? to : body.end < begin ? begin : body.end;
    pad_border(a, x, value, y, from, begin);
    memcpy(y + begin, x + begin - a.before[0], size_t(end - begin) * sizeof(U));
    pad_border(a, x, value, y, end, to);
}

// `rows` whole rows of y that read neighbouring rows of x (null: nothing but the constant), in vectors
// that may run over into the next ones, which are written later. V: vectors of a body, if that many or
// fewer are known. What the loops need is in registers: a vector that is stored may alias all of memory.
template <class U, int V, bool listed>
__attribute__((noinline)) void pad_run(const dl_pad_args& a, const Body& body, U value, const U* x,
                                       U* y, int64_t rows) {
    constexpr int N = Vec<U>::N;
    const int64_t n = a.out[0], step = a.in[0], begin = body.begin, end = body.end;
    const auto fill = vset1<U>(value);
    int64_t reads[Body::kListed];
    if constexpr (listed) memcpy(reads, body.reads, sizeof reads);
    const U* from = x ? x + begin - a.before[0] : nullptr;
    for (; rows > 0; --rows, x += step, from += step, y += n) {
        if constexpr (listed)
            for (int64_t j = 0; j < begin; ++j) y[j] = x[reads[j]];
        else
            for (int64_t j = 0; j < begin; j += N) vstore(y + j, fill);
        U* to = y + begin;
        if constexpr (V > 0)
            for (int v = 0; v < V; ++v) vstore(to + v * N, vload(from + v * N));
        else
            for (int64_t j = 0; j < end - begin; j += N) vstore(to + j, vload(from + j));
        if constexpr (listed)
            for (int64_t j = end; j < n; ++j) y[j] = x[reads[begin + j - end]];
        else
            for (int64_t j = end; j < n; j += N) vstore(y + j, fill);
    }
}
template <class U>
void pad_any_run(const dl_pad_args& a, const Body& body, U value, const U* x, U* y, int64_t rows) {
    constexpr int kMost = 8;
    const int64_t vectors = (body.end - body.begin + Vec<U>::N - 1) / Vec<U>::N;
    with_size<kMost + 1>(vectors, [&](auto v) {
        constexpr int V = decltype(v)::value <= kMost ? decltype(v)::value : 0;
        if (a.mode == DL_PAD_CONSTANT)
            pad_run<U, V, false>(a, body, value, x, y, rows);
        else
            pad_run<U, V, true>(a, body, value, x, y, rows);
    });
}

template <class U>
void pad_rows(const dl_pad_args& a) {
    constexpr int N = Vec<U>::N;
    const U *x = static_cast<const U*>(a.x), *last = x;
    U* y = static_cast<U*>(a.y);
    U value;
    memcpy(&value, &a.value, sizeof value);
    int64_t rows = 1, elements = 1;
    for (int d = 1; d < a.ndim; ++d) rows *= a.out[d];
    for (int d = 0; d < a.ndim; ++d) elements *= a.in[d];
    last += elements;
    const Body body(a);
    const int64_t n = a.out[0], piece = kGrainBytes / int64_t(sizeof(U));
    if (n >= 2 * piece) {  // long rows are shared out too
        const int64_t pieces = (n + piece - 1) / piece;
        return parallel_for(rows * pieces, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t at = PaddedRows(a, a.ndim, i / pieces).offset();
                const int64_t from = i % pieces * piece;
                pad_part(a, body, at < 0 ? nullptr : x + at, value, y + i / pieces * n, from,
                         from + piece < n ? from + piece : n);
            }
        });
    }
    const bool runs = body.end > body.begin && (body.listed || a.mode == DL_PAD_CONSTANT);
    parallel_for(rows, piece / n + 1, [&](int64_t begin, int64_t end) {
        PaddedRows walk(a, a.ndim, begin);
        for (int64_t r = begin; r < end;) {
            const int64_t at = walk.offset();
            const U* from = at < 0 ? nullptr : x + at;
            U* to = y + r * n;
            // Rows behind which there is room for a vector, in y and in x.
            int64_t count = runs && from ? walk.run(end - r - N / n - 1) : 0;
            if (count > 0 && from + count * a.in[0] + N > last) count = (last - N - from) / a.in[0];
            if (count > 0) {
                pad_any_run(a, body, value, from, to, count);
            } else {
                count = 1;
                pad_part(a, body, from, value, to, 0, n);
            }
            r += count;
            walk.next(count);
        }
    });
}

// x = for each of its places the sum of what y has where that place was read.
template <class T>
void pad_gradient(const dl_pad_args& a) {
    constexpr int N = Vec<T>::N;
    int inner = 1;  // dimensions of a plane: up to the last one with a border
    for (int d = 0; d < a.ndim; ++d)
        if (a.before[d] || a.in[d] != a.out[d]) inner = d + 1;
    int64_t planes = 1, in = 1, rows = 1;
    for (int d = inner; d < a.ndim; ++d) planes *= a.in[d];
    for (int d = 0; d < inner; ++d) in *= a.in[d];
    for (int d = 1; d < inner; ++d) rows *= a.out[d];
    const Body body(a);
    const int64_t n = a.out[0], grain = kGrainBytes / (rows * n * int64_t(sizeof(T))) + 1;
    parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            T* to = static_cast<T*>(const_cast<void*>(a.x)) + plane * in;
            const T* from = static_cast<const T*>(a.y) + plane * rows * n;
            memset(to, 0, size_t(in) * sizeof(T));
            PaddedRows walk(a, inner, 0);
            for (int64_t r = 0; r < rows; ++r, from += n, walk.next()) {
                T* row = to + walk.offset();
                for (int64_t j = 0; j < body.begin; ++j)
                    row[place_read(a.mode, j - a.before[0], a.in[0])] += from[j];
                T* middle = row - a.before[0];
                int64_t j = body.begin;
                for (; j + N <= body.end; j += N)
                    vstore(middle + j, vload(middle + j) + vload(from + j));
                if (const int64_t k = body.end - j; k > 0)
                    vstore_n(middle + j, vload_n(middle + j, k) + vload_n(from + j, k), k);
                for (j = body.end; j < n; ++j)
                    row[place_read(a.mode, j - a.before[0], a.in[0])] += from[j];
            }
        }
    });
}

}  // namespace

dl_status concat(const dl_concat_args* args) {
    const dl_concat_args& a = *args;
    int64_t pitch = 0;
    for (int k = 0; k < a.n; ++k) pitch += a.run[k];
    if (pitch == 0 || a.rows == 0) return DL_OK;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type U;
        if (pitch * int64_t(sizeof(U)) <= kBlockBytes)
            concat_short<U>(a, pitch);
        else
            concat_long<U>(a, pitch);
        return DL_OK;
    });
}

dl_status pad(const dl_pad_args* args) {
    return by_width(args->dtype, [&](auto tag) {
        pad_rows<typename decltype(tag)::type>(*args);
        return DL_OK;
    });
}

dl_status pad_backward(const dl_pad_args* args) {
    if (args->mode == DL_PAD_CONSTANT) return DL_UNSUPPORTED;
    if (args->dtype == DL_F32) return pad_gradient<float>(*args), DL_OK;
    if (args->dtype == DL_F64) return pad_gradient<double>(*args), DL_OK;
    return DL_UNSUPPORTED;
}

}  // namespace deeplite::cpu::DL_ISA
