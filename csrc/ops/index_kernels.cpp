#include "ops/index_kernels.h"

#include "ops/view.h"

namespace deeplite {
namespace {

int64_t bytes(const Tensor& t, int64_t stride) { return stride * int64_t(itemsize(t.dtype())); }

// Merges neighbouring dimensions through which every operand walks evenly.
void merge_dims(dl_iter& it) {
    int last = 0;
    for (int d = 1; d < it.ndim; ++d) {
        bool even = true;
        for (int o = 0; o < it.noperands; ++o)
            even &= it.strides[o][d] == it.strides[o][last] * it.shape[last];
        if (it.shape[d] == 1) continue;
        if (even || it.shape[last] == 1) {
            for (int o = 0; o < it.noperands && !even; ++o) it.strides[o][last] = it.strides[o][d];
            it.shape[last] *= it.shape[d];
            continue;
        }
        ++last;
        it.shape[last] = it.shape[d];
        for (int o = 0; o < it.noperands; ++o) it.strides[o][last] = it.strides[o][d];
    }
    it.ndim = last + 1;
}

void start_iter(dl_iter& it, std::initializer_list<const Tensor*> operands) {
    it.noperands = int(operands.size());
    it.ndim = 1;
    it.shape[0] = 1;
    int o = 0;
    for (const Tensor* t : operands) {
        it.data[o] = t->raw();
        it.dtype[o] = int(t->dtype());
        it.strides[o++][0] = 0;
    }
}

dl_gather_args gather_args(const Tensor& x, int dim, const Tensor& index, const Tensor& other) {
    dl_gather_args a{};
    const Tensor* operands[3] = {&x, &index, &other};
    start_iter(a.rest, {&x, &index, &other});
    a.dtype = int(x.dtype());
    a.count = index.dim() ? index.shape()[dim] : 1;
    a.size = x.dim() ? x.shape()[dim] : 1;
    for (int o = 0; o < 3; ++o)
        a.stride[o] = operands[o]->dim() ? bytes(*operands[o], operands[o]->strides()[dim]) : 0;
    int n = 0;
    for (int d = index.dim() - 1; d >= 0; --d) {
        if (d == dim) continue;
        a.rest.shape[n] = index.shape()[d];
        for (int o = 0; o < 3; ++o)
            a.rest.strides[o][n] = bytes(*operands[o], operands[o]->strides()[d]);
        ++n;
    }
    a.rest.ndim = std::max(n, 1);
    merge_dims(a.rest);
    return a;
}

// The error for the first index that is out of range (the kernel only says that there is one).
[[noreturn]] void throw_bad_index(const char* op, const Tensor& index, int64_t size, int64_t dim,
                                  bool wrap) {
    Tensor host = to_device_raw(cast_contiguous_raw(index, DType::Int64), Device{});
    for (int64_t i = 0; i < host.numel(); ++i) {
        int64_t v = host.data<int64_t>()[i];
        if (v < (wrap ? -size : 0) || v >= size)
            throw IndexError(cat(op, ": index ", v, " is out of bounds for dimension ", dim,
                                 " with size ", size));
    }
    throw IndexError(
        cat(op, ": an index is out of bounds for dimension ", dim, " with size ", size));
}

template <class Fn>
void run_along(const char* op, Fn dl_index_table::* entry, const dl_gather_args& a, const Tensor& x,
               int dim, const Tensor& index) {
    Device d = x.device();
    dl_status s = kernel(op, d, backend_of(d).index, entry)(&a);
    if (s == DL_BAD_INDEX) throw_bad_index(op, index, a.size, dim, a.wrap);
    check_status(s, d, op, name(x.dtype()));
}

// The one stride that walks through all dimensions [from, to) of t, or -1.
int64_t common_stride(const Tensor& t, int from, int to) {
    int64_t stride = 0, expect = -1;
    for (int d = to - 1; d >= from; --d) {
        if (t.shape()[d] == 1) continue;
        if (expect < 0)
            stride = t.strides()[d];
        else if (t.strides()[d] != expect)
            return -1;
        expect = t.strides()[d] * t.shape()[d];
    }
    return stride;
}

dl_advanced_args advanced_args(const Tensor& x, const Dims& dims, int at, const TensorList& indices,
                               bool wrap, const Tensor& other) {
    dl_advanced_args a{};
    a.dtype = int(x.dtype());
    a.wrap = wrap;
    a.nindex = int(indices.size());
    a.n = indices[0].numel();
    int block = indices[0].dim();
    for (int i = 0; i < a.nindex; ++i) {
        a.index[i] = indices[size_t(i)].data<int64_t>();
        a.size[i] = x.dim() ? x.shape()[int(dims[i])] : 1;
        a.stride[i] = x.dim() ? bytes(x, x.strides()[int(dims[i])]) : 0;
    }
    a.other_stride = bytes(other, common_stride(other, at, at + block));
    start_iter(a.slices, {&x, &other});
    int n = 0, to = other.dim() - 1;
    for (int d = x.dim() - 1; d >= 0; --d) {
        if (dims.contains(d)) continue;
        if (to == at + block - 1) to -= block;
        a.slices.shape[n] = x.shape()[d];
        a.slices.strides[0][n] = bytes(x, x.strides()[d]);
        a.slices.strides[1][n++] = bytes(other, other.strides()[to--]);
    }
    a.slices.ndim = std::max(n, 1);
    merge_dims(a.slices);
    return a;
}

void run_advanced(const char* op, dl_advanced_fn dl_index_table::* entry, const dl_advanced_args& a,
                  const Tensor& x, const Dims& dims, const TensorList& indices) {
    Device d = x.device();
    dl_status s = kernel(op, d, backend_of(d).index, entry)(&a);
    if (s == DL_BAD_INDEX) {
        for (int i = 0; i < a.nindex; ++i) {
            int64_t n = a.size[i];
            Tensor host = to_device_raw(indices[size_t(i)], Device{});
            for (int64_t p = 0; p < host.numel(); ++p) {
                int64_t v = host.data<int64_t>()[p];
                if (v < (a.wrap ? -n : 0) || v >= n) throw_bad_index(op, host, n, dims[i], a.wrap);
            }
        }
    }
    check_status(s, d, op, name(x.dtype()));
}

}  // namespace

Tensor index_int64(const char* op, const Tensor& index) {
    check<IndexError>(index.dtype() == DType::Int64 || index.dtype() == DType::Int32, op,
                      ": expected an int64 or int32 index, got ", index.dtype());
    return cast_raw(index, DType::Int64);
}

void run_gather(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& out) {
    run_along(op, &dl_index_table::gather, gather_args(x, dim, index, out), x, dim, index);
}

void run_scatter(const char* op, const Tensor& self, int dim, const Tensor& index,
                 const Tensor& src, int scatter_op, bool exclude_self) {
    // The kernel reads index and src while it writes self.
    Tensor at = index.impl()->storage == self.impl()->storage ? clone_raw(index) : index;
    Tensor from = src.impl()->storage == self.impl()->storage ? clone_raw(src) : src;
    dl_gather_args a = gather_args(self, dim, at, from);
    a.op = scatter_op;
    a.exclude_self = exclude_self;
    run_along(op, &dl_index_table::scatter, a, self, dim, at);
}

Dims indexed_shape(const Tensor& x, const Dims& dims, int at, const Dims& block) {
    Dims shape;
    int sliced = 0;
    for (int d = 0; d <= x.dim(); ++d) {
        if (d < x.dim() && dims.contains(d)) continue;
        if (sliced++ == at)
            for (int64_t s : block) shape.push_back(s);
        if (d < x.dim()) shape.push_back(x.shape()[d]);
    }
    return shape;
}

void run_get(const char* op, const Tensor& x, const Dims& dims, int at, const TensorList& indices,
             bool wrap, const Tensor& out) {
    run_advanced(op, &dl_index_table::index_get, advanced_args(x, dims, at, indices, wrap, out), x,
                 dims, indices);
}

void run_put(const char* op, const Tensor& self, const Dims& dims, int at,
             const TensorList& indices, bool wrap, const Tensor& values, int scatter_op) {
    const Dims& block = indices[0].shape();
    Dims shape = indexed_shape(self, dims, at, block);
    check<ShapeError>(
        values.dim() <= shape.size() && broadcast_shapes(values.shape(), shape, op) == shape, op,
        ": values of shape ", values.shape(), " cannot be broadcast to the indexed shape ", shape);
    Tensor from = cast_raw(values, self.dtype());
    if (from.impl()->storage == self.impl()->storage) from = clone_raw(from);
    from = expand(from, shape);
    if (common_stride(from, at, at + block.size()) < 0) from = contiguous_raw(from);
    dl_advanced_args a = advanced_args(self, dims, at, indices, wrap, from);
    a.op = scatter_op;
    run_advanced(op, &dl_index_table::index_put, a, self, dims, indices);
}

}  // namespace deeplite
