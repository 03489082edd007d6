#include "core/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

namespace deeplite {
namespace {

bool compute_contiguous(const TensorImpl& t) {
    if (t.numel == 0) return true;
    int64_t expect = 1;
    for (int i = t.shape.size() - 1; i >= 0; --i) {
        if (t.shape[i] == 1) continue;
        if (t.strides[i] != expect) return false;
        expect *= t.shape[i];
    }
    return true;
}

Tensor make(Ref<Storage> storage, const Dims& shape, const Dims& strides, int64_t offset,
            DType dtype, int64_t numel) {
    auto t = make_ref<TensorImpl>();
    t->storage = std::move(storage);
    t->shape = shape;
    t->strides = strides;
    t->offset = offset;
    t->dtype = dtype;
    t->numel = numel;
    t->contiguous = compute_contiguous(*t);
    return Tensor(std::move(t));
}

template <class T>
Tensor wrapped(T v, DType dtype) {
    Tensor t = empty({}, dtype);
    *t.data<T>() = v;
    t.impl()->wrapped_number = true;
    return t;
}

// Dimensions in order of falling stride: the memory order of a dense tensor.
Dims memory_order(const Tensor& x) {
    Dims order;
    for (int i = 0; i < x.dim(); ++i) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        return x.strides()[int(a)] > x.strides()[int(b)];
    });
    return order;
}

float half_to_float(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000) << 16, exp = h >> 10 & 31, man = h & 0x3ff;
    if (exp == 31) return std::bit_cast<float>(sign | 0x7f800000 | man << 13);
    if (exp == 0)
        return std::copysign(std::ldexp(float(man), -24), std::bit_cast<float>(sign | 0x3f800000));
    return std::bit_cast<float>(sign | (exp + 112) << 23 | man << 13);
}

uint16_t float_to_half(float f) {
    uint32_t u = std::bit_cast<uint32_t>(f);
    uint16_t sign = uint16_t(u >> 16 & 0x8000);
    u &= 0x7fffffff;
    if (u > 0x7f800000) return sign | 0x7e00;
    if (u >= 0x477ff000) return sign | 0x7c00;  // rounds to infinity
    if (u < 0x38800000)                         // subnormal half: adding 0.5 lines the mantissa up
        return sign |
               uint16_t(std::bit_cast<uint32_t>(std::bit_cast<float>(u) + 0.5f) - 0x3f000000);
    uint32_t odd = u >> 13 & 1;
    return sign | uint16_t((u - 0x38000000 + 0xfff + odd) >> 13);
}

uint16_t float_to_bfloat(float f) {
    uint32_t u = std::bit_cast<uint32_t>(f);
    if ((u & 0x7fffffff) > 0x7f800000) return uint16_t(u >> 16 | 0x40);
    return uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

template <class T>
T peek(const void* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class T, class U>
void poke(void* p, U v) {
    T x = T(v);
    std::memcpy(p, &x, sizeof x);
}

}  // namespace

Tensor empty(const Dims& shape, DType dtype, Device device, const char* op) {
    int64_t n = checked_numel(shape, op), bytes;
    check<ShapeError>(!__builtin_mul_overflow(n, int64_t(itemsize(dtype)), &bytes), op, ": shape ",
                      shape, " of ", dtype, " overflows 64 bits");
    auto t = make_ref<TensorImpl>();
    t->storage = make_ref<Storage>(size_t(bytes), device);
    t->shape = shape;
    t->strides = contiguous_strides(shape);
    t->numel = n;
    t->dtype = dtype;
    return Tensor(std::move(t));
}

Tensor empty_like(const Tensor& x) { return empty_like(x, x.dtype()); }

Tensor empty_like(const Tensor& x, DType dtype) {
    Tensor out = empty(x.shape(), dtype, x.device(), "empty_like");
    if (!is_dense(x)) return out;
    out.impl()->strides = x.strides();
    out.impl()->contiguous = x.is_contiguous();
    return out;
}

Tensor raw_view(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset) {
    int64_t n = checked_numel(shape, "view"), last = offset;
    check<ShapeError>(shape.size() == strides.size(), "as_strided: shape ", shape, " and strides ",
                      strides, " differ in length");
    check<Error>(offset >= 0, "as_strided: negative storage offset ", offset);
    bool overflow = false;
    for (int i = 0; i < shape.size(); ++i) {
        check<Error>(strides[i] >= 0, "as_strided: negative stride in ", strides);
        int64_t reach = 0;
        if (shape[i] > 1) overflow |= __builtin_mul_overflow(shape[i] - 1, strides[i], &reach);
        overflow |= __builtin_add_overflow(last, reach, &last);
    }
    if (n > 0)
        check<Error>(!overflow && uint64_t(last) < x.impl()->storage->bytes / itemsize(x.dtype()),
                     "as_strided: shape ", shape, ", strides ", strides, ", offset ", offset,
                     " reach outside a storage of ", x.impl()->storage->bytes / itemsize(x.dtype()),
                     " elements");
    return make(x.impl()->storage, shape, strides, offset, x.dtype(), n);
}

Tensor raw_alias(const Tensor& x) {
    Tensor y = make(x.impl()->storage, x.shape(), x.strides(), x.offset(), x.dtype(), x.numel());
    y.impl()->wrapped_number = x.impl()->wrapped_number;
    return y;
}

Tensor from_blob(void* data, const Dims& shape, const Dims& strides, DType dtype, Device device,
                 std::function<void()> release, bool writable) {
    int64_t n = checked_numel(shape, "from_blob"), reach = n > 0 ? 1 : 0;
    for (int i = 0; i < shape.size() && n > 0; ++i) reach += (shape[i] - 1) * strides[i];
    auto storage = make_ref<Storage>(data, size_t(reach) * itemsize(dtype), device,
                                     std::move(release), writable);
    return make(std::move(storage), shape, strides, 0, dtype, n);
}

Tensor wrapped_number(double v) { return wrapped(v, DType::Float64); }
Tensor wrapped_number(int64_t v) { return wrapped(v, DType::Int64); }
Tensor wrapped_number(bool v) { return wrapped(v, DType::Bool); }

double load_double(const void* p, DType t) {
    switch (t) {
        case DType::Float32:
            return peek<float>(p);
        case DType::Float64:
            return peek<double>(p);
        case DType::BFloat16:
            return std::bit_cast<float>(uint32_t(peek<uint16_t>(p)) << 16);
        case DType::Float16:
            return half_to_float(peek<uint16_t>(p));
        default:
            return double(load_int(p, t));
    }
}

int64_t load_int(const void* p, DType t) {
    switch (t) {
        case DType::Int64:
            return peek<int64_t>(p);
        case DType::Int32:
            return peek<int32_t>(p);
        case DType::Int16:
            return peek<int16_t>(p);
        case DType::Int8:
            return peek<int8_t>(p);
        case DType::UInt8:
            return peek<uint8_t>(p);
        case DType::Bool:
            return peek<uint8_t>(p) != 0;
        default:
            return int64_t(load_double(p, t));
    }
}

void store_double(void* p, DType t, double v) {
    switch (t) {
        case DType::Float32:
            return poke<float>(p, v);
        case DType::Float64:
            return poke<double>(p, v);
        case DType::BFloat16:
            return poke<uint16_t>(p, float_to_bfloat(float(v)));
        case DType::Float16:
            return poke<uint16_t>(p, float_to_half(float(v)));
        case DType::Bool:
            return poke<uint8_t>(p, v != 0);
        default:
            return store_int(p, t, int64_t(v));
    }
}

void store_int(void* p, DType t, int64_t v) {
    switch (t) {
        case DType::Int64:
            return poke<int64_t>(p, v);
        case DType::Int32:
            return poke<int32_t>(p, v);
        case DType::Int16:
            return poke<int16_t>(p, v);
        case DType::Int8:
            return poke<int8_t>(p, v);
        case DType::UInt8:
            return poke<uint8_t>(p, v);
        case DType::Bool:
            return poke<uint8_t>(p, v != 0);
        default:
            return store_double(p, t, double(v));
    }
}

bool is_dense(const Tensor& x) {
    if (x.is_contiguous()) return true;
    Dims order = memory_order(x);
    int64_t expect = 1;
    for (int i = order.size() - 1; i >= 0; --i) {
        int d = int(order[i]);
        if (x.shape()[d] == 1) continue;
        if (x.strides()[d] != expect) return false;
        expect *= x.shape()[d];
    }
    return true;
}

bool has_overlap(const Tensor& x) {
    if (x.is_contiguous() || x.numel() <= 1) return false;
    // Sorted by stride, each dimension must step over everything the smaller ones reach.
    Dims order = memory_order(x);
    int64_t reach = 0;
    for (int i = order.size() - 1; i >= 0; --i) {
        int d = int(order[i]);
        if (x.shape()[d] == 1) continue;
        if (x.strides()[d] <= reach) return true;
        reach += (x.shape()[d] - 1) * x.strides()[d];
    }
    return false;
}

std::ostream& operator<<(std::ostream& out, const Description& d) {
    return d.of.defined() ? out << d.of.dtype() << d.of.shape() : out << "None";
}
Description::operator std::string() const { return cat(*this); }

}  // namespace deeplite
