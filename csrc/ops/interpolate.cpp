// Interpolation is separable and linear: along each spatial dimension the output is a weighted sum
// of a few input planes (taps) or, where the number of taps varies, a product with a small matrix.
#include "ops/interpolate.h"

#include <cmath>

#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/index.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

constexpr double kCubicA = -0.75;  // as torch's bicubic
constexpr double kAntialiasCubicA = -0.5;

struct Axis {
    int64_t in, out;
    double scale;  // input steps per output step
};

double cubic(double x, double a) {  // Keys's kernel
    x = std::abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
    return 0;
}

// What torch computes in the element type is computed in it here: a source position one rounding
// off would pick another pixel.
template <class T>
T source_of(const Axis& a, int64_t i, bool align_corners) {
    T scale = T(a.scale);
    return align_corners ? scale * T(i) : scale * (T(i) + T(0.5)) - T(0.5);
}

// Tensor of host numbers, shaped so that it broadcasts along dimension d of an ndim-dimensional
// tensor.
template <class T>
Tensor along(const std::vector<T>& values, int d, int ndim, DType dtype, Device device) {
    Tensor t = empty({int64_t(values.size())},
                     sizeof(T) == 8 && std::is_integral_v<T> ? DType::Int64 : DType::Float64);
    std::copy(values.begin(), values.end(), t.data<T>());
    Dims shape = Dims::filled(ndim, 1);
    if (d >= 0) shape[d] = t.numel();
    return to_device(cast(d >= 0 ? view(t, shape) : t, dtype), device);
}

Tensor pick(const Tensor& x, int d, const std::vector<int64_t>& at) {
    return index_select(x, d, along(at, -1, 1, DType::Int64, x.device()));
}

Tensor nearest(const Tensor& x, int d, const Axis& a, bool exact) {
    std::vector<int64_t> at;
    float scale = float(a.scale);
    for (int64_t i = 0; i < a.out; ++i) {
        int64_t s = exact               ? int64_t(std::floor((float(i) + 0.5f) * scale))
                    : a.out == a.in     ? i
                    : a.out == 2 * a.in ? i / 2
                                        : int64_t(std::floor(float(i) * scale));
        at.push_back(std::min(s, a.in - 1));
    }
    return pick(x, d, at);
}

// y = sum over t of x[.., at[t], ..] * weight[t]
Tensor weigh_taps(const Tensor& x, int d, const std::vector<std::vector<int64_t>>& at,
                  const std::vector<std::vector<double>>& weight) {
    Tensor y;
    for (size_t t = 0; t < at.size(); ++t) {
        Tensor part = mul(pick(x, d, at[t]), along(weight[t], d, x.dim(), x.dtype(), x.device()));
        y = y.defined() ? add(y, part) : part;
    }
    return y;
}

template <class T>
Tensor linear(const Tensor& x, int d, const Axis& a, bool align_corners) {
    std::vector<std::vector<int64_t>> at(2);
    std::vector<std::vector<double>> weight(2);
    for (int64_t i = 0; i < a.out; ++i) {
        T s = source_of<T>(a, i, align_corners);
        if (s < 0) s = 0;
        int64_t lo = std::min(int64_t(s), a.in - 1);
        T frac = std::min(std::max(s - T(lo), T(0)), T(1));
        at[0].push_back(lo);
        at[1].push_back(std::min(lo + 1, a.in - 1));
        weight[0].push_back(T(1) - frac);
        weight[1].push_back(frac);
    }
    return weigh_taps(x, d, at, weight);
}

template <class T>
Tensor bicubic(const Tensor& x, int d, const Axis& a, bool align_corners) {
    std::vector<std::vector<int64_t>> at(4);
    std::vector<std::vector<double>> weight(4);
    for (int64_t i = 0; i < a.out; ++i) {
        T s = source_of<T>(a, i, align_corners);
        T base = std::floor(s), frac = s - base;
        for (int t = 0; t < 4; ++t) {
            at[size_t(t)].push_back(std::clamp<int64_t>(int64_t(base) + t - 1, 0, a.in - 1));
            weight[size_t(t)].push_back(cubic(double(frac) - (t - 1), kCubicA));
        }
    }
    return weigh_taps(x, d, at, weight);
}

// y = x times a matrix [in, out] along dimension d.
Tensor weigh_matrix(const Tensor& x, int d, const Axis& a, const std::vector<double>& matrix) {
    Tensor w = reshape(along(matrix, -1, 1, x.dtype(), x.device()), {a.in, a.out});
    return transpose(matmul(transpose(x, d, -1), w), d, -1);
}

Tensor area(const Tensor& x, int d, const Axis& a) {
    std::vector<double> m(size_t(a.in * a.out), 0.0);
    for (int64_t i = 0; i < a.out; ++i) {
        int64_t lo = i * a.in / a.out, hi = ((i + 1) * a.in + a.out - 1) / a.out;
        for (int64_t j = lo; j < hi; ++j) m[size_t(j * a.out + i)] = 1.0 / double(hi - lo);
    }
    return weigh_matrix(x, d, a, m);
}

// The kernel is stretched by the scale, so that every input pixel counts when an image is shrunk.
Tensor antialiased(const Tensor& x, int d, const Axis& a, bool use_cubic) {
    std::vector<double> m(size_t(a.in * a.out), 0.0);
    double stretch = std::max(a.scale, 1.0), support = (use_cubic ? 2.0 : 1.0) * stretch;
    for (int64_t i = 0; i < a.out; ++i) {
        double center = a.scale * (double(i) + 0.5), total = 0;
        int64_t lo = std::max<int64_t>(int64_t(center - support + 0.5), 0);
        int64_t hi = std::min<int64_t>(int64_t(center + support + 0.5), a.in);
        for (int64_t j = lo; j < hi; ++j) {
            double t = (double(j) - center + 0.5) / stretch;
            double w = use_cubic ? cubic(t, kAntialiasCubicA) : std::max(0.0, 1 - std::abs(t));
            m[size_t(j * a.out + i)] = w;
            total += w;
        }
        for (int64_t j = lo; j < hi && total != 0; ++j) m[size_t(j * a.out + i)] /= total;
    }
    return weigh_matrix(x, d, a, m);
}

struct Request {
    std::vector<int64_t> size;
    std::vector<double> scale;  // empty: from the sizes
};

Request resolve_size(const Tensor& x, std::vector<int64_t> size, std::vector<double> scale,
                     bool recompute) {
    size_t n = size_t(x.dim() - 2);
    check<ValueError>(size.empty() != scale.empty(),
                      "interpolate: give exactly one of size and scale_factor");
    check<ValueError>(!recompute || size.empty(),
                      "interpolate: recompute_scale_factor goes with scale_factor, not size");
    if (size.size() == 1) size.assign(n, size[0]);
    if (scale.size() == 1) scale.assign(n, scale[0]);
    check<ValueError>(size.empty() || size.size() == n, "interpolate: size has ", size.size(),
                      " entries for ", n, " spatial dimensions of ", x.shape());
    check<ValueError>(scale.empty() || scale.size() == n, "interpolate: scale_factor has ",
                      scale.size(), " entries for ", n, " spatial dimensions of ", x.shape());
    if (size.empty())
        for (size_t i = 0; i < n; ++i) {
            check<ValueError>(scale[i] > 0 && std::isfinite(scale[i]),
                              "interpolate: scale_factor must be positive, got ", scale[i]);
            size.push_back(int64_t(std::floor(double(x.shape()[int(i) + 2]) * scale[i])));
        }
    if (recompute) scale.clear();
    for (size_t i = 0; i < n; ++i)
        check<ShapeError>(size[i] > 0 && x.shape()[int(i) + 2] > 0,
                          "interpolate: input and output sizes must be positive, got ", x.shape(),
                          " and ", size[i]);
    return {size, scale};
}

void check_mode(const Tensor& x, const std::string& mode, bool has_align, bool antialias) {
    int n = x.dim() - 2;
    check<NotImplementedError>(n >= 1 && n <= 3,
                               "interpolate: expected 3, 4 or 5 dimensions, got shape ", x.shape());
    bool any_rank = mode == "nearest" || mode == "nearest-exact" || mode == "area";
    int rank = mode == "linear"                          ? 1
               : mode == "bilinear" || mode == "bicubic" ? 2
               : mode == "trilinear"                     ? 3
                                                         : 0;
    check<NotImplementedError>(
        any_rank || rank, "interpolate: unknown mode '", mode,
        "'; expected nearest, nearest-exact, linear, bilinear, trilinear, bicubic or area");
    check<NotImplementedError>(any_rank || rank == n, "interpolate: mode '", mode, "' needs ",
                               rank + 2, " dimensions, got shape ", x.shape());
    check<ValueError>(
        !has_align || !any_rank,
        "interpolate: align_corners goes with linear, bilinear, bicubic and trilinear, not '", mode,
        "'");
    check<ValueError>(!antialias || mode == "bilinear" || mode == "bicubic",
                      "interpolate: antialias goes with bilinear and bicubic, not '", mode, "'");
    check<TypeError>(x.is_floating() || mode == "nearest" || mode == "nearest-exact",
                     "interpolate: mode '", mode, "' needs a floating-point tensor, got ",
                     x.dtype());
}

template <class T>
Tensor along_axis(const Tensor& x, int d, const Axis& a, const std::string& mode, bool align,
                  bool antialias) {
    if (antialias) return antialiased(x, d, a, mode == "bicubic");
    if (mode == "nearest" || mode == "nearest-exact") return nearest(x, d, a, mode != "nearest");
    if (mode == "area") return area(x, d, a);
    return mode == "bicubic" ? bicubic<T>(x, d, a, align) : linear<T>(x, d, a, align);
}

}  // namespace

Tensor interpolate(const Tensor& x, const std::vector<int64_t>& size,
                   const std::vector<double>& scale_factor, const std::string& mode,
                   std::optional<bool> align_corners, bool recompute_scale_factor, bool antialias) {
    check_mode(x, mode, align_corners.has_value(), antialias);
    Request r = resolve_size(x, size, scale_factor, recompute_scale_factor);
    bool align = align_corners.value_or(false),
         moves_only = mode == "nearest" || mode == "nearest-exact";
    Tensor y = moves_only ? x : cast(x, compute_dtype(x.dtype()));
    for (int i = 0; i < x.dim() - 2; ++i) {
        Axis a{x.shape()[i + 2], r.size[size_t(i)], 0};
        if (align)
            a.scale = a.out > 1 ? double(a.in - 1) / double(a.out - 1) : 0;
        else
            a.scale = r.scale.empty() ? double(a.in) / double(a.out) : 1 / r.scale[size_t(i)];
        y = x.dtype() == DType::Float64 ? along_axis<double>(y, i + 2, a, mode, align, antialias)
                                        : along_axis<float>(y, i + 2, a, mode, align, antialias);
    }
    return contiguous(cast(y, x.dtype()));
}

}  // namespace deeplite
