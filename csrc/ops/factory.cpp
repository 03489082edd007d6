#include "ops/factory.h"

#include <cmath>

#include "kernels/elementwise.h"
#include "ops/apply.h"
#include "ops/iter.h"

namespace deeplite {
namespace {

// The strides of both are those of a dense tensor, or none: row-major.
struct Empty {
    static constexpr OpInfo info{.name = "empty"};
    Dims shape;
    DType dtype;
    Device device;
    Dims strides;
    void attributes(auto& v) const {
        v("shape", shape);
        v("dtype", dtype);
        v("device", device);
        if (!strides.empty()) v("strides", strides);
    }
    Tensor forward() const {
        return strides.empty() ? empty(shape, dtype, device)
                               : empty_strided(shape, strides, dtype, device, info.name);
    }
};

struct Full {
    static constexpr OpInfo info{.name = "full"};
    Dims shape;
    double value;
    DType dtype;
    Device device;
    Dims strides;
    void attributes(auto& v) const {
        v("shape", shape);
        v("value", value);
        v("dtype", dtype);
        v("device", device);
        if (!strides.empty()) v("strides", strides);
    }
    Tensor forward() const {
        if (strides.empty()) return full_raw(shape, value, dtype, device);
        const Tensor y = empty_strided(shape, strides, dtype, device, info.name);
        fill_raw(y, value);
        return y;
    }
};

// Both fill a contiguous vector from its position alone.
struct Range {
    static constexpr OpInfo info{.name = "arange"};
    double start, step;
    int64_t length;
    DType dtype;
    Device device;
    void attributes(auto& v) const {
        v("start", start);
        v("step", step);
        v("length", length);
        v("dtype", dtype);
        v("device", device);
    }
    Tensor forward() const {
        Tensor y = empty({length}, compute_dtype(dtype), device);
        if (length == 0) return cast_raw(y, dtype);
        dl_iter it = make_iter(y.shape(), {&y});
        double params[] = {start, step};
        auto fn =
            kernel("arange", device, backend_of(device).elementwise, &dl_elementwise_table::arange);
        check_status(fn(&it, params), device, "arange");
        return cast_raw(y, dtype);
    }
};

struct Linspace {
    static constexpr OpInfo info{.name = "linspace"};
    double start, end;
    int64_t steps;
    DType dtype;
    Device device;
    void attributes(auto& v) const {
        v("start", start);
        v("end", end);
        v("steps", steps);
        v("dtype", dtype);
        v("device", device);
    }
    Tensor forward() const {
        Tensor y = empty({steps}, compute_dtype(dtype), device);
        if (steps == 0) return cast_raw(y, dtype);
        dl_iter it = make_iter(y.shape(), {&y});
        double params[] = {start, end, double(steps)};
        auto fn = kernel("linspace", device, backend_of(device).elementwise,
                         &dl_elementwise_table::linspace);
        check_status(fn(&it, params), device, "linspace");
        return cast_raw(y, dtype);
    }
};

struct Eye {
    static constexpr OpInfo info{.name = "eye"};
    int64_t n, m;
    DType dtype;
    Device device;
    void attributes(auto& v) const {
        v("n", n);
        v("m", m);
        v("dtype", dtype);
        v("device", device);
    }
    Tensor forward() const {
        Tensor y = full_raw({n, m}, 0, dtype, device);
        int64_t k = std::min(n, m);
        if (k > 0) fill_raw(raw_view(y, {k}, {m + 1}, 0), 1);
        return y;
    }
};

}  // namespace

Tensor empty_recorded(const Dims& shape, DType dtype, Device device, const Dims& strides) {
    return apply(Empty{shape, dtype, device, strides});
}
Tensor full(const Dims& shape, double value, DType dtype, Device d) {
    return apply(Full{shape, value, dtype, d, {}});
}
Tensor full_like(const Tensor& x, double value, DType dtype, Device d, MemoryFormat format) {
    const Dims strides = like_strides(x, format, "full_like");
    const bool row_major = strides == contiguous_strides(x.shape());
    return apply(Full{x.shape(), value, dtype, d, row_major ? Dims{} : strides});
}
Tensor zeros(const Dims& shape, DType dtype, Device d) { return full(shape, 0, dtype, d); }
Tensor ones(const Dims& shape, DType dtype, Device d) { return full(shape, 1, dtype, d); }
Tensor zeros_like(const Tensor& x) { return full_like(x, 0, x.dtype(), x.device()); }
Tensor ones_like(const Tensor& x) { return full_like(x, 1, x.dtype(), x.device()); }

Tensor arange(double start, double end, double step, DType dtype, Device device) {
    check(step != 0, "arange: step must be nonzero");
    check(std::isfinite(start) && std::isfinite(end), "arange: bounds must be finite, got ", start,
          " and ", end);
    check((step > 0) == (end >= start) || start == end,
          "arange: upper bound and lower bound inconsistent with step sign (start ", start,
          ", end ", end, ", step ", step, ")");
    double n = std::ceil((end - start) / step);
    check<ShapeError>(n < 9.2e18, "arange: too many elements (", n, ")");
    return apply(Range{start, step, std::max<int64_t>(int64_t(n), 0), dtype, device});
}

Tensor linspace(double start, double end, int64_t steps, DType dtype, Device device) {
    check(steps >= 0, "linspace: number of steps must be non-negative, got ", steps);
    return apply(Linspace{start, end, steps, dtype, device});
}

Tensor eye(int64_t n, int64_t m, DType dtype, Device device) {
    check(n >= 0 && m >= 0, "eye: sizes must be non-negative, got ", n, " and ", m);
    return apply(Eye{n, m, dtype, device});
}

}  // namespace deeplite
