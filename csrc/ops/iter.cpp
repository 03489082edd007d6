#include "ops/iter.h"

#include "core/memory_format.h"
#include "kernels/elementwise.h"

namespace deeplite {
namespace {

// Merges dimension d+1 into d wherever every operand walks through both as through one.
void coalesce(dl_iter& it) {
    int last = 0;
    for (int d = 1; d < it.ndim; ++d) {
        bool merge = true;
        for (int k = 0; k < it.noperands; ++k)
            merge &= it.strides[k][d] == it.strides[k][last] * it.shape[last];
        if (merge || it.shape[d] == 1) {
            if (merge) it.shape[last] *= it.shape[d];
            continue;
        }
        if (it.shape[last] != 1) ++last;
        it.shape[last] = it.shape[d];
        for (int k = 0; k < it.noperands; ++k) it.strides[k][last] = it.strides[k][d];
    }
    it.ndim = last + 1;
}

// Innermost first, by rising stride of the output; then of the inputs where the output does not tell.
void sort_dims(dl_iter& it) {
    auto before = [&](int a, int b) {  // should a lie inside b?
        for (int k = 0; k < it.noperands; ++k) {
            int64_t x = std::abs(it.strides[k][a]), y = std::abs(it.strides[k][b]);
            if (x == 0 || y == 0 || x == y) continue;
            return x < y;
        }
        return it.shape[a] != 1 && it.shape[b] == 1 ? true : false;
    };
    for (int i = 1; i < it.ndim; ++i)
        for (int j = i; j > 0 && before(j, j - 1); --j) {
            std::swap(it.shape[j], it.shape[j - 1]);
            for (int k = 0; k < it.noperands; ++k)
                std::swap(it.strides[k][j], it.strides[k][j - 1]);
        }
}

}  // namespace

dl_iter make_iter(const Dims& shape, std::initializer_list<const Tensor*> operands) {
    dl_iter it;
    it.noperands = int(operands.size());
    int ndim = shape.size(), k = 0;
    bool flat = true;
    for (const Tensor* t : operands) {
        it.data[k] = t->raw();
        it.dtype[k] = int(t->dtype());
        flat &= t->is_contiguous() && (t->numel() == 1 || t->shape() == shape);
        ++k;
    }
    if (flat) {  // everything contiguous, or a single element: one dimension, nothing to think about
        it.ndim = 1;
        it.shape[0] = 1;
        for (int64_t s : shape) it.shape[0] *= s;
        k = 0;
        for (const Tensor* t : operands)
            it.strides[k++][0] =
                t->numel() == 1 && it.shape[0] != 1 ? 0 : int64_t(itemsize(t->dtype()));
        return it;
    }
    it.ndim = std::max(ndim, 1);
    it.shape[0] = 1;
    for (int d = 0; d < ndim; ++d) it.shape[d] = shape[ndim - 1 - d];
    k = 0;
    for (const Tensor* t : operands) {
        int64_t size = int64_t(itemsize(t->dtype()));
        it.strides[k][0] = 0;
        for (int d = 0; d < ndim; ++d) {
            int from = t->dim() - 1 - d;
            it.strides[k][d] = from < 0 || t->shape()[from] == 1 ? 0 : t->strides()[from] * size;
        }
        ++k;
    }
    sort_dims(it);
    coalesce(it);
    return it;
}

void check_same_device(const char* op, std::initializer_list<const Tensor*> tensors) {
    const Tensor* first = nullptr;
    for (const Tensor* t : tensors) {
        if (!t->defined()) continue;
        if (!first) first = t;
        check(t->device() == first->device(), op, ": expected all tensors on one device, got ",
              first->device(), " and ", t->device());
    }
}

void copy_raw(const Tensor& dst, const Tensor& src) {
    if (dst.numel() == 0) return;
    if (dst.device() == src.device()) {
        Device d = dst.device();
        auto fn = kernel("copy", d, backend_of(d).elementwise, &dl_elementwise_table::copy);
        dl_iter it = make_iter(dst.shape(), {&dst, &src});
        check_status(fn(&it, nullptr), d, "copy");
        return;
    }
    // Bytes cross between devices contiguous and already in the target dtype.
    Tensor from = cast_contiguous_raw(src, dst.dtype());
    bool direct = dst.is_contiguous() && from.shape() == dst.shape();
    Tensor to = direct ? dst : empty(from.shape(), dst.dtype(), dst.device());
    const Device device_side = from.device().is_cpu() ? to.device() : from.device();
    if (!from.device().is_cpu() && !to.device().is_cpu() &&
        from.device().backend != to.device().backend)
        from = to_device_raw(from, Device{});
    dl_copy_kind kind = from.device().is_cpu() ? DL_HOST_TO_DEVICE
                        : to.device().is_cpu() ? DL_DEVICE_TO_HOST
                                               : DL_DEVICE_TO_DEVICE;
    const Device owner = kind == DL_DEVICE_TO_HOST ? from.device() : to.device();
    const dl_backend& b = backend_of(owner.is_cpu() ? device_side : owner);
    check_status(b.copy(to.raw(), from.raw(), from.nbytes(), kind, owner.index), owner, "copy");
    if (!direct) copy_raw(dst, to);
}

Tensor contiguous_raw(const Tensor& x) {
    if (!x.defined() || x.is_contiguous()) return x;
    return cast_contiguous_raw(x, x.dtype());
}

Tensor cast_raw(const Tensor& x, DType dtype) {
    if (!x.defined() || x.dtype() == dtype) return x;
    Tensor y = empty_like(x, dtype);
    copy_raw(y, x);
    return y;
}

Tensor cast_contiguous_raw(const Tensor& x, DType dtype) {
    if (!x.defined() || (x.dtype() == dtype && x.is_contiguous())) return x;
    Tensor y = empty(x.shape(), dtype, x.device());
    copy_raw(y, x);
    return y;
}

Tensor cast_format_raw(const Tensor& x, DType dtype, MemoryFormat format) {
    if (!x.defined() || (x.dtype() == dtype && is_contiguous(x, format))) return x;
    Tensor y = empty_in(format, x.shape(), dtype, x.device(), "contiguous");
    copy_raw(y, x);
    return y;
}

Tensor clone_raw(const Tensor& x) {
    Tensor y = empty_strided(x.shape(), like_strides(x, MemoryFormat::Preserve, "clone"), x.dtype(),
                             x.device(), "clone");
    copy_raw(y, x);
    return y;
}

Tensor to_device_raw(const Tensor& x, Device d) {
    if (!x.defined() || x.device() == d) return x;
    Tensor y = empty(x.shape(), x.dtype(), d);
    copy_raw(y, x);
    return y;
}

Tensor full_raw(const Dims& shape, double value, DType dtype, Device device) {
    Tensor y = empty(shape, dtype, device);
    fill_raw(y, value);
    return y;
}

void fill_raw(const Tensor& x, double value) {
    Tensor v = empty({}, x.dtype());
    store_double(v.raw(), x.dtype(), value);
    copy_raw(x, to_device_raw(v, x.device()));
}

}  // namespace deeplite
