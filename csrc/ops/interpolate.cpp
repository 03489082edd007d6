// Interpolation is separable and linear: along each spatial dimension an output is a weighted sum of
// some inputs, its taps. Every mode is a way of choosing them; one kernel does the rest.
#include "ops/interpolate.h"

#include <cmath>
#include <memory>

#include "kernels/pool.h"
#include "ops/apply.h"
#include "ops/copy.h"
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

// What each output of an axis is made of; see dl_taps.
struct Taps {
    int64_t in, out;
    std::vector<int64_t> begin{0}, at;
    std::vector<double> weight;

    explicit Taps(const Axis& a) : in(a.in), out(a.out) {  // most outputs have a tap at least
        begin.reserve(size_t(out) + 1);
        at.reserve(size_t(out));
        weight.reserve(size_t(out));
    }
    void add(int64_t from, double w) {
        at.push_back(from);
        weight.push_back(w);
    }
    void end_output() { begin.push_back(int64_t(at.size())); }

    // The axis of the gradient: what each input went into.
    std::shared_ptr<const Taps> transposed() const {
        auto t = std::make_shared<Taps>(Axis{out, in, 0});
        t->begin.assign(size_t(in + 1), 0);
        for (int64_t i : at) ++t->begin[size_t(i + 1)];
        for (size_t i = 0; i < size_t(in); ++i) t->begin[i + 1] += t->begin[i];
        std::vector<int64_t> next(t->begin.begin(), t->begin.end() - 1);
        t->at.resize(at.size());
        t->weight.resize(at.size());
        for (int64_t o = 0; o < out; ++o)
            for (int64_t k = begin[size_t(o)]; k < begin[size_t(o + 1)]; ++k) {
                size_t place = size_t(next[size_t(at[size_t(k)])]++);
                t->at[place] = o;
                t->weight[place] = weight[size_t(k)];
            }
        return t;
    }
};
using TapsRef = std::shared_ptr<const Taps>;  // null: the axis stays as it is

// The last two dimensions of x, each by its taps. Linear: the gradient is the same with the taps
// transposed.
struct Resample {
    static constexpr OpInfo info{.name = "resample"};
    TapsRef rows, columns;
    void attributes(auto& v) const {
        v("rows", rows ? rows->out : int64_t(-1));
        v("columns", columns ? columns->out : int64_t(-1));
    }
    static dl_taps describe(const TapsRef& t, int64_t size) {
        if (!t) return {size, size, nullptr, nullptr, nullptr};
        return {t->in, t->out, t->begin.data(), t->at.data(), t->weight.data()};
    }
    Tensor forward(const Tensor& input) const {
        Tensor x = contiguous_raw(input);
        Dims shape = x.shape();
        int n = shape.size();
        dl_resample g{};
        g.dtype = int32_t(x.dtype());
        g.rows = describe(rows, shape[n - 2]);
        g.columns = describe(columns, shape[n - 1]);
        g.planes = 1;
        for (int d = 0; d < n - 2; ++d) g.planes *= shape[d];
        shape[n - 2] = g.rows.out;
        shape[n - 1] = g.columns.out;
        Tensor y = empty(shape, x.dtype(), x.device(), "interpolate");
        if (y.numel() == 0) return y;
        g.x = x.raw();
        g.y = y.raw();
        Device d = x.device();
        auto fn = kernel("interpolate", d, backend_of(d).pool, &dl_pool_table::resample);
        check_status(fn(&g), d, "interpolate");
        return y;
    }
    Grads backward(const Ctx&, const Tensor& dy) const {
        return {apply(
            Resample{rows ? rows->transposed() : rows, columns ? columns->transposed() : columns},
            dy)};
    }
};

int64_t nearest_source(const Axis& a, int64_t i, bool exact) {
    float scale = float(a.scale);
    int64_t s = exact               ? int64_t(std::floor((float(i) + 0.5f) * scale))
                : a.out == a.in     ? i
                : a.out == 2 * a.in ? i / 2
                                    : int64_t(std::floor(float(i) * scale));
    return std::min(s, a.in - 1);
}

void nearest(Taps& t, const Axis& a, bool exact) {
    for (int64_t i = 0; i < a.out; ++i) {
        t.add(nearest_source(a, i, exact), 1);
        t.end_output();
    }
}

template <class T>
void linear(Taps& t, const Axis& a, bool align_corners) {
    for (int64_t i = 0; i < a.out; ++i) {
        T s = source_of<T>(a, i, align_corners);
        if (s < 0) s = 0;
        int64_t lo = std::min(int64_t(s), a.in - 1);
        T frac = std::min(std::max(s - T(lo), T(0)), T(1));
        t.add(lo, double(T(1) - frac));
        t.add(std::min(lo + 1, a.in - 1), double(frac));
        t.end_output();
    }
}

template <class T>
void bicubic(Taps& t, const Axis& a, bool align_corners) {
    for (int64_t i = 0; i < a.out; ++i) {
        T s = source_of<T>(a, i, align_corners);
        T base = std::floor(s), frac = s - base;
        for (int k = 0; k < 4; ++k)
            t.add(std::clamp<int64_t>(int64_t(base) + k - 1, 0, a.in - 1),
                  cubic(double(frac) - (k - 1), kCubicA));
        t.end_output();
    }
}

void area(Taps& t, const Axis& a) {
    for (int64_t i = 0; i < a.out; ++i) {
        int64_t lo = i * a.in / a.out, hi = ((i + 1) * a.in + a.out - 1) / a.out;
        for (int64_t j = lo; j < hi; ++j) t.add(j, 1.0 / double(hi - lo));
        t.end_output();
    }
}

// The kernel is stretched by the scale, so that every input pixel counts when an image is shrunk.
void antialiased(Taps& t, const Axis& a, bool use_cubic) {
    double stretch = std::max(a.scale, 1.0), support = (use_cubic ? 2.0 : 1.0) * stretch;
    for (int64_t i = 0; i < a.out; ++i) {
        double center = a.scale * (double(i) + 0.5), total = 0;
        int64_t lo = std::max<int64_t>(int64_t(center - support + 0.5), 0);
        int64_t hi = std::min<int64_t>(int64_t(center + support + 0.5), a.in);
        size_t first = t.weight.size();
        for (int64_t j = lo; j < hi; ++j) {
            double d = (double(j) - center + 0.5) / stretch;
            double w = use_cubic ? cubic(d, kAntialiasCubicA) : std::max(0.0, 1 - std::abs(d));
            t.add(j, w);
            total += w;
        }
        for (size_t k = first; k < t.weight.size() && total != 0; ++k) t.weight[k] /= total;
        t.end_output();
    }
}

// Integers only move: the places of the nearest mode, one axis at a time.
Tensor pick_nearest(const Tensor& x, int d, const Axis& a, bool exact) {
    Tensor at = empty({a.out}, DType::Int64);
    for (int64_t i = 0; i < a.out; ++i) at.data<int64_t>()[i] = nearest_source(a, i, exact);
    return index_select(x, d, to_device(at, x.device()));
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
            const double out = std::floor(double(x.shape()[int(i) + 2]) * scale[i]);
            check<ShapeError>(out < 0x1p62, "interpolate: scale_factor ", scale[i],
                              " makes a dimension of ", x.shape(), " too large");
            size.push_back(int64_t(out));
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
TapsRef taps_of(const Axis& a, const std::string& mode, bool align, bool antialias) {
    auto t = std::make_shared<Taps>(a);
    if (antialias)
        antialiased(*t, a, mode == "bicubic");
    else if (mode == "nearest" || mode == "nearest-exact")
        nearest(*t, a, mode != "nearest");
    else if (mode == "area")
        area(*t, a);
    else if (mode == "bicubic")
        bicubic<T>(*t, a, align);
    else
        linear<T>(*t, a, align);
    return t;
}

// x [N, C, spatial...] by the taps of each spatial dimension. Two dimensions go in one pass; a third
// takes one of its own, with height and width as one axis that stays.
Tensor resample(const Tensor& x, const std::vector<TapsRef>& taps) {
    Dims shape = x.shape();
    if (taps.size() == 1) return apply(Resample{nullptr, taps[0]}, x);
    if (taps.size() == 2) return apply(Resample{taps[0], taps[1]}, x);
    Tensor y = apply(Resample{taps[0], nullptr},
                     reshape(x, {shape[0], shape[1], shape[2], shape[3] * shape[4]}));
    return apply(Resample{taps[1], taps[2]},
                 reshape(y, {shape[0], shape[1], taps[0]->out, shape[3], shape[4]}));
}

}  // namespace

Tensor interpolate(const Tensor& x, const std::vector<int64_t>& size,
                   const std::vector<double>& scale_factor, const std::string& mode,
                   std::optional<bool> align_corners, bool recompute_scale_factor, bool antialias) {
    check_mode(x, mode, align_corners.has_value(), antialias);
    Request r = resolve_size(x, size, scale_factor, recompute_scale_factor);
    bool align = align_corners.value_or(false),
         moves_only = mode == "nearest" || mode == "nearest-exact";
    Tensor y = x;
    Dims shape(x.shape().data(), 2);
    for (int64_t n : r.size) shape.push_back(n);
    bool large = false;
    for (int64_t n : r.size) large = large || n > int64_t(1) << 24;
    if (large && x.numel() > 0)
        empty(shape, x.dtype(), x.device(), "interpolate");  // fails before large tables are made
    std::vector<TapsRef> taps;
    for (int i = 0; i < x.dim() - 2; ++i) {
        Axis a{x.shape()[i + 2], r.size[size_t(i)], 0};
        if (align)
            a.scale = a.out > 1 ? double(a.in - 1) / double(a.out - 1) : 0;
        else
            a.scale = r.scale.empty() ? double(a.in) / double(a.out) : 1 / r.scale[size_t(i)];
        if (moves_only && !x.is_floating())
            y = pick_nearest(y, i + 2, a, mode != "nearest");
        else
            taps.push_back(x.dtype() == DType::Float64 ? taps_of<double>(a, mode, align, antialias)
                                                       : taps_of<float>(a, mode, align, antialias));
    }
    if (taps.empty()) return contiguous(y);
    return cast(resample(cast(x, compute_dtype(x.dtype())), taps), x.dtype());
}

}  // namespace deeplite
