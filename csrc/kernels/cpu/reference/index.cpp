// The index family in plain loops: what kernels/cpu/index*.cpp must agree with.
#include "kernels/index.h"

#include "kernels/cpu/index_common.h"
#include "kernels/parallel.h"

namespace deeplite::cpu::reference {
namespace {

template <class T>
T& as(void* base, int64_t offset) {
    return *reinterpret_cast<T*>(static_cast<char*>(base) + offset);
}

// f(offsets of indexed (without the index), index and other) for every index, along the dimension
// in order.
template <class F>
dl_status for_gather(const dl_gather_args& a, const F& f) {
    const int64_t columns = iter_count(a.rest);
    for (int64_t c = 0; c < columns; ++c)
        for (int64_t k = 0; k < a.count; ++k)
            if (dl_status s =
                    f(iter_offset(a.rest, 0, c), iter_offset(a.rest, 1, c) + k * a.stride[1],
                      iter_offset(a.rest, 2, c) + k * a.stride[2]))
                return s;
    return DL_OK;
}

dl_status check_gather(const dl_gather_args& a) {
    return for_gather(a, [&](int64_t, int64_t at, int64_t) {
        return checked(as<int64_t>(a.rest.data[1], at), a.size, a.wrap) < 0 ? DL_BAD_INDEX : DL_OK;
    });
}

dl_status gather(const dl_gather_args* args) {
    const dl_gather_args& a = *args;
    if (dl_status s = check_gather(a)) return s;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        return for_gather(a, [&](int64_t x, int64_t at, int64_t out) {
            const int64_t i = checked(as<int64_t>(a.rest.data[1], at), a.size, a.wrap);
            as<T>(a.rest.data[2], out) = as<T>(a.rest.data[0], x + i * a.stride[0]);
            return DL_OK;
        });
    });
}

template <class T, int op>
dl_status scatter_typed(const dl_gather_args& a) {
    for (int fill = (op != DL_SCATTER_SET && a.exclude_self); fill >= 0; --fill)
        for_gather(a, [&](int64_t x, int64_t at, int64_t other) {
            const int64_t i = checked(as<int64_t>(a.rest.data[1], at), a.size, a.wrap);
            T& place = as<T>(a.rest.data[0], x + i * a.stride[0]);
            place = fill ? neutral<op, T>() : combine<op>(place, as<T>(a.rest.data[2], other));
            return DL_OK;
        });
    return DL_OK;
}

dl_status scatter(const dl_gather_args* args) {
    const dl_gather_args& a = *args;
    if (dl_status s = check_gather(a)) return s;
    return by_scatter_op(a.op, [&](auto op) {
        constexpr int o = decltype(op)::value;
        const auto run = [&](auto tag) {
            return scatter_typed<typename decltype(tag)::type, o>(a);
        };
        return o == DL_SCATTER_SET ? by_width(a.dtype, run) : by_number(a.dtype, run);
    });
}

// f(offset in indexed, offset in other) for every element of every position, positions in order.
template <class F>
dl_status for_positions(const dl_advanced_args& a, const F& f) {
    for (int64_t p = 0; p < a.n; ++p)
        for (int d = 0; d < a.nindex; ++d)
            if (checked(a.index[d][p], a.size[d], a.wrap) < 0) return DL_BAD_INDEX;
    const int64_t elements = iter_count(a.slices);
    for (int64_t p = 0; p < a.n; ++p) {
        int64_t at = 0;
        for (int d = 0; d < a.nindex; ++d)
            at += checked(a.index[d][p], a.size[d], a.wrap) * a.stride[d];
        for (int64_t e = 0; e < elements; ++e)
            f(at + iter_offset(a.slices, 0, e), p * a.other_stride + iter_offset(a.slices, 1, e));
    }
    return DL_OK;
}

dl_status index_get(const dl_advanced_args* args) {
    const dl_advanced_args& a = *args;
    if (iter_count(a.slices) == 0) return DL_OK;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        return for_positions(a, [&](int64_t x, int64_t other) {
            as<T>(a.slices.data[1], other) = as<T>(a.slices.data[0], x);
        });
    });
}

dl_status index_put(const dl_advanced_args* args) {
    const dl_advanced_args& a = *args;
    if (iter_count(a.slices) == 0) return DL_OK;
    return by_scatter_op(a.op, [&](auto op) {
        constexpr int o = decltype(op)::value;
        const auto run = [&](auto tag) {
            typedef typename decltype(tag)::type T;
            return for_positions(a, [&](int64_t x, int64_t other) {
                T& place = as<T>(a.slices.data[0], x);
                place = combine<o>(place, as<T>(a.slices.data[1], other));
            });
        };
        return o == DL_SCATTER_SET ? by_width(a.dtype, run) : by_number(a.dtype, run);
    });
}

dl_status mask_count(const uint8_t* mask, int64_t n, int64_t* count) {
    *count = 0;
    for (int64_t i = 0; i < n; ++i) *count += mask[i] != 0;
    return DL_OK;
}

dl_status nonzero(const dl_mask_args* a) {
    int64_t k = 0;
    for (int64_t i = 0; i < a->n; ++i) {
        if (!a->mask[i]) continue;
        int64_t rest = i;
        for (int d = a->ndim - 1; d >= 0; --d) {
            a->coordinates[d * a->count + k] = rest % a->shape[d];
            rest /= a->shape[d];
        }
        ++k;
    }
    return DL_OK;
}

dl_status masked_select(const dl_mask_args* a) {
    const int64_t width = element_size(a->dtype);
    char* out = static_cast<char*>(a->packed);
    for (int64_t i = 0; i < a->n; ++i) {
        if (!a->mask[i]) continue;
        memcpy(out, static_cast<char*>(a->data) + i * width, size_t(width));
        out += width;
    }
    return DL_OK;
}

dl_status masked_scatter(const dl_mask_args* a) {
    const int64_t width = element_size(a->dtype);
    const char* source = static_cast<const char*>(a->packed);
    for (int64_t i = 0; i < a->n; ++i) {
        if (!a->mask[i]) continue;
        memcpy(static_cast<char*>(a->data) + i * width, source, size_t(width));
        source += width;
    }
    return DL_OK;
}

dl_status embedding_backward(const dl_embedding_backward_args* args) {
    const dl_embedding_backward_args& a = *args;
    if (a.dtype != DL_F32 && a.dtype != DL_F64) return DL_UNSUPPORTED;
    for (int64_t i = 0; i < a.n; ++i)
        if (checked(a.index[i], a.rows, false) < 0) return DL_BAD_INDEX;
    int64_t* seen = static_cast<int64_t*>(dl_scratch(size_t(a.rows) * sizeof(int64_t), 0));
    if (!seen) return DL_OUT_OF_MEMORY;
    for (int64_t r = 0; r < a.rows; ++r) seen[r] = 0;
    for (int64_t i = 0; i < a.n; ++i) ++seen[a.index[i]];
    return by_number(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        T* dw = static_cast<T*>(a.dweight);
        for (int64_t i = 0; i < a.rows * a.width; ++i) dw[i] = T(0);
        for (int64_t i = 0; i < a.n; ++i) {
            const int64_t row = a.index[i];
            if (row == a.padding_idx) continue;
            const T scale = a.scale_by_freq ? T(1) / T(seen[row]) : T(1);
            for (int64_t j = 0; j < a.width; ++j)
                dw[row * a.width + j] += static_cast<const T*>(a.dy)[i * a.width + j] * scale;
        }
        return DL_OK;
    });
}

// Stable merge sort of order [n] by before(a, b): a must stand before b.
template <class F>
void merge_sort(int64_t* order, int64_t* room, int64_t n, const F& before) {
    for (int64_t width = 1; width < n; width *= 2) {
        for (int64_t lo = 0; lo < n; lo += 2 * width) {
            const int64_t mid = lo + width < n ? lo + width : n;
            const int64_t hi = lo + 2 * width < n ? lo + 2 * width : n;
            for (int64_t i = lo, j = mid, k = lo; k < hi; ++k)
                room[k] =
                    (i < mid && (j >= hi || !before(order[j], order[i]))) ? order[i++] : order[j++];
        }
        memcpy(order, room, size_t(n) * sizeof(int64_t));
    }
}

// f(sort key tag, row, order of the row) for all rows, each sorted as a.descending says.
template <class F>
dl_status for_sorted(const dl_sort_args& a, const F& f) {
    int64_t* order = static_cast<int64_t*>(dl_scratch(size_t(2 * a.n) * sizeof(int64_t), 0));
    if (!order) return DL_OUT_OF_MEMORY;
    return by_sort_key(a.dtype, [&](auto s) {
        typedef typename decltype(s)::type K;
        for (int64_t row = 0; row < a.rows; ++row) {
            const K* x = static_cast<const K*>(a.x) + row * a.n;
            for (int64_t i = 0; i < a.n; ++i) order[i] = i;
            merge_sort(order, order + a.n, a.n, [&](int64_t i, int64_t j) {
                return a.descending ? s.of(x[i]) > s.of(x[j]) : s.of(x[i]) < s.of(x[j]);
            });
            f(s, row, order);
        }
        return DL_OK;
    });
}

dl_status sort(const dl_sort_args* a) {
    return for_sorted(*a, [&](auto s, int64_t row, int64_t* order) {
        typedef typename decltype(s)::type K;
        for (int64_t i = 0; i < a->n; ++i) {
            static_cast<K*>(a->values)[row * a->n + i] =
                static_cast<const K*>(a->x)[row * a->n + order[i]];
            a->indices[row * a->n + i] = order[i];
        }
    });
}

dl_status topk(const dl_sort_args* a) {
    return for_sorted(*a, [&](auto s, int64_t row, int64_t* order) {
        typedef typename decltype(s)::type K;
        if (!a->sorted)
            merge_sort(order, order + a->n, a->k, [](int64_t i, int64_t j) { return i < j; });
        for (int64_t i = 0; i < a->k; ++i) {
            static_cast<K*>(a->values)[row * a->k + i] =
                static_cast<const K*>(a->x)[row * a->n + order[i]];
            a->indices[row * a->k + i] = order[i];
        }
    });
}

dl_status kthvalue(const dl_sort_args* a) {
    dl_sort_args ascending = *a;
    ascending.descending = 0;
    return for_sorted(ascending, [&](auto s, int64_t row, int64_t* order) {
        typedef typename decltype(s)::type K;
        const K* x = static_cast<const K*>(a->x) + row * a->n;
        static_cast<K*>(a->values)[row] = x[order[a->k]];
        a->indices[row] = order[a->k];
    });
}

dl_status searchsorted(const dl_searchsorted_args* args) {
    const dl_searchsorted_args& a = *args;
    for (int64_t i = 0; a.sorter && i < (a.shared ? 1 : a.rows) * a.m; ++i)
        if (checked(a.sorter[i], a.m, false) < 0) return DL_BAD_INDEX;
    return by_number(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        for (int64_t i = 0; i < a.rows * a.n; ++i) {
            const int64_t row = a.shared ? 0 : i / a.n * a.m;
            const T v = static_cast<const T*>(a.values)[i];
            int64_t lo = 0, hi = a.m;
            while (lo < hi) {
                const int64_t mid = (lo + hi) / 2;
                const int64_t at = a.sorter ? a.sorter[row + mid] : mid;
                const T x = static_cast<const T*>(a.sorted)[row + at];
                if (a.right ? x > v : x >= v)  // false for NaN in the row's tail or v: search on
                    hi = mid;
                else
                    lo = mid + 1;
            }
            a.out[i] = lo;
        }
        return DL_OK;
    });
}

dl_status runs(const dl_runs_args* args) {
    const dl_runs_args& a = *args;
    return by_sort_key(a.dtype, [&](auto s) {
        typedef decltype(s) S;
        typedef typename S::type K;
        const K* x = static_cast<const K*>(a.x);
        const auto same = [&](int64_t i, int64_t j) {
            for (int64_t c = 0; c < a.width; ++c) {
                const K u = S::of(x[i * a.width + c]);
                if (u != S::of(x[j * a.width + c]) || (S::has_nan && u == K(~K(0)))) return false;
            }
            return true;
        };
        int64_t run = -1;
        for (int64_t i = 0; i < a.n; ++i) {
            const int64_t at = a.order ? a.order[i] : i;
            if (i == 0 || !same(at, a.order ? a.order[i - 1] : i - 1)) a.starts[++run] = i;
            a.inverse[at] = run;
        }
        *a.runs = run + 1;
        return DL_OK;
    });
}

dl_status argsort_rows(const dl_argsort_rows_args* args) {
    const dl_argsort_rows_args& a = *args;
    int64_t* room = static_cast<int64_t*>(dl_scratch(size_t(a.n) * sizeof(int64_t), 0));
    if (!room) return DL_OUT_OF_MEMORY;
    return by_sort_key(a.dtype, [&](auto s) {
        typedef typename decltype(s)::type K;
        const K* x = static_cast<const K*>(a.x);
        for (int64_t i = 0; i < a.n; ++i) a.order[i] = i;
        merge_sort(a.order, room, a.n, [&](int64_t i, int64_t j) {
            for (int64_t c = 0; c < a.width; ++c) {
                const K u = s.of(x[i * a.width + c]), v = s.of(x[j * a.width + c]);
                if (u != v) return u < v;
            }
            return false;
        });
        return DL_OK;
    });
}

dl_status triangle(const dl_triangle_args* args) {
    const dl_triangle_args& a = *args;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        for (int64_t i = 0; i < a.batch * a.rows * a.cols; ++i) {
            const int64_t row = i / a.cols % a.rows, col = i % a.cols;
            const bool keep = a.upper ? col - row >= a.k : col - row <= a.k;
            static_cast<T*>(a.out)[i] = keep ? static_cast<const T*>(a.x)[i] : T(0);
        }
        return DL_OK;
    });
}

dl_status concat(const dl_concat_args* args) {
    const dl_concat_args& a = *args;
    int64_t pitch = 0;
    for (int k = 0; k < a.n; ++k) pitch += a.run[k];
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        T* y = static_cast<T*>(a.y);
        for (int k = 0; k < a.n; y += a.run[k++])
            for (int64_t i = 0; i < a.rows * a.run[k]; ++i)
                y[i / a.run[k] * pitch + i % a.run[k]] = static_cast<const T*>(a.x[k])[i];
        return DL_OK;
    });
}

// f(place in y, place in x or -1) for all places of y.
template <class F>
void for_padded(const dl_pad_args& a, const F& f) {
    int64_t total = 1;
    for (int d = 0; d < a.ndim; ++d) total *= a.out[d];
    for (int64_t i = 0; i < total; ++i) {
        int64_t rest = i, stride = 1, place = 0;
        for (int d = 0; d < a.ndim; ++d) {
            const int64_t n = a.in[d];
            int64_t p = rest % a.out[d] - a.before[d];
            rest /= a.out[d];
            const bool outside = p < 0 || p >= n;
            if (outside && a.mode == DL_PAD_REFLECT) p = p < 0 ? -p : 2 * (n - 1) - p;
            if (outside && a.mode == DL_PAD_REPLICATE) p = p < 0 ? 0 : n - 1;
            if (outside && a.mode == DL_PAD_CIRCULAR) p = p < 0 ? p + n : p - n;
            if (place >= 0) place = outside && a.mode == DL_PAD_CONSTANT ? -1 : place + p * stride;
            stride *= n;
        }
        f(i, place);
    }
}

dl_status pad(const dl_pad_args* args) {
    const dl_pad_args& a = *args;
    return by_width(a.dtype, [&](auto tag) {
        typedef typename decltype(tag)::type T;
        T value;
        memcpy(&value, &a.value, sizeof value);
        for_padded(a, [&](int64_t i, int64_t from) {
            static_cast<T*>(a.y)[i] = from < 0 ? value : static_cast<const T*>(a.x)[from];
        });
        return DL_OK;
    });
}

template <class T>
dl_status pad_gradient(const dl_pad_args& a) {
    int64_t total = 1;
    for (int d = 0; d < a.ndim; ++d) total *= a.in[d];
    for (int64_t i = 0; i < total; ++i) static_cast<T*>(a.x)[i] = 0;
    for_padded(a, [&](int64_t i, int64_t from) {
        static_cast<T*>(a.x)[from] += static_cast<const T*>(a.y)[i];
    });
    return DL_OK;
}

dl_status pad_backward(const dl_pad_args* a) {
    if (a->mode == DL_PAD_CONSTANT) return DL_UNSUPPORTED;
    if (a->dtype == DL_F32) return pad_gradient<float>(*a);
    if (a->dtype == DL_F64) return pad_gradient<double>(*a);
    return DL_UNSUPPORTED;
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
        .sort = sort,
        .topk = topk,
        .kthvalue = kthvalue,
        .searchsorted = searchsorted,
        .runs = runs,
        .argsort_rows = argsort_rows,
        .triangle = triangle,
        .concat = concat,
        .pad = pad,
        .pad_backward = pad_backward,
    };
    return &table;
}

}  // namespace deeplite::cpu::reference
