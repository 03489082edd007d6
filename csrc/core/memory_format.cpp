#include "core/memory_format.h"

namespace deeplite {
namespace {

// Dimensions from the innermost outwards.
Dims format_order(int rank, MemoryFormat f) {
    if (f == MemoryFormat::ChannelsLast && rank == 4) return {1, 3, 2, 0};
    if (f == MemoryFormat::ChannelsLast3d && rank == 5) return {1, 4, 3, 2, 0};
    Dims order;
    for (int d = rank - 1; d >= 0; --d) order.push_back(d);
    return order;
}

bool has_rank(int rank, MemoryFormat f) {
    return f == MemoryFormat::ChannelsLast     ? rank == 4
           : f == MemoryFormat::ChannelsLast3d ? rank == 5
                                               : true;
}

// Whether strides rise from channels to columns to rows to images. Sizes of 1 leave more than one order
// possible, above all [N, 1, 1, 1] and [N, C, 1, 1] without gaps; these count as row-major.
bool strides_rise(const Tensor& x, const Dims& order) {
    int64_t least = 0;
    if (x.strides()[1] == 0) return false;
    for (const int64_t d : order) {
        const int64_t size = x.shape()[int(d)], stride = x.strides()[int(d)];
        if (size == 0 || stride < least) return false;
        if (d == 0 && least == x.strides()[1]) return false;
        least = size > 1 ? stride * size : stride;
    }
    return true;
}

}  // namespace

const char* name(MemoryFormat f) {
    constexpr const char* names[] = {"contiguous_format", "channels_last", "channels_last_3d",
                                     "preserve_format"};
    return names[int(f)];
}

Dims format_strides(const Dims& shape, MemoryFormat f, const char* op) {
    check<ShapeError>(has_rank(shape.size(), f), op, ": memory_format ", name(f),
                      " needs a tensor of ", f == MemoryFormat::ChannelsLast ? 4 : 5,
                      " dimensions, got shape ", shape);
    if (f == MemoryFormat::Contiguous) return contiguous_strides(shape);
    Dims strides = shape;
    int64_t step = 1;
    for (const int64_t d : format_order(shape.size(), f)) {
        strides[int(d)] = step;
        step *= shape[int(d)];
    }
    return strides;
}

bool is_contiguous(const Tensor& x, MemoryFormat f) {
    if (f == MemoryFormat::Contiguous) return x.is_contiguous();
    if (!has_rank(x.dim(), f) || f == MemoryFormat::Preserve) return false;
    int64_t expect = 1;
    for (const int64_t d : format_order(x.dim(), f)) {
        if (x.shape()[int(d)] == 1) continue;
        if (x.strides()[int(d)] != expect) return false;
        expect *= x.shape()[int(d)];
    }
    return true;
}

MemoryFormat suggested_format(const Tensor& x) {
    if (x.dim() != 4 && x.dim() != 5) return MemoryFormat::Contiguous;
    const MemoryFormat last = channels_last_of(x.dim());
    return strides_rise(x, format_order(x.dim(), last)) ? last : MemoryFormat::Contiguous;
}

bool is_channels_last(const Tensor& x) {
    return !x.is_contiguous() && (x.dim() == 4 || x.dim() == 5) &&
           is_contiguous(x, channels_last_of(x.dim()));
}

Tensor empty_strided(const Dims& shape, const Dims& strides, DType dtype, Device device,
                     const char* op) {
    const Tensor t = empty(shape, dtype, device, op);
    return strides == t.strides() ? t : raw_view(t, shape, strides, 0);
}

Tensor empty_in(MemoryFormat f, const Dims& shape, DType dtype, Device device, const char* op) {
    return empty_strided(shape, format_strides(shape, f, op), dtype, device, op);
}

Dims like_strides(const Tensor& x, MemoryFormat f, const char* op) {
    if (f != MemoryFormat::Preserve) return format_strides(x.shape(), f, op);
    return is_dense(x) ? x.strides() : format_strides(x.shape(), suggested_format(x), op);
}

}  // namespace deeplite
