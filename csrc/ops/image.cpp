#include "ops/image.h"

#include <algorithm>
#include <cmath>

#include "autograd/meta.h"
#include "core/device.h"
#include "core/error.h"
#include "graph/capture.h"
#include "kernels/image.h"
#include "ops/iter.h"

namespace deeplite {
namespace {

enum class Layout { Dense, Any };

// Of a picture [H, W, C] or pictures [N, H, W, C].
dl_image_strides strides_of(const Tensor& t) {
    const int first = t.dim() - 3;
    return {first ? t.strides()[0] : 0, t.strides()[first], t.strides()[first + 1],
            t.strides()[first + 2]};
}

// A picture ready for a kernel, and its sizes in the kernel's arguments.
struct Picture {
    Tensor x;
    dl_image_args args{};
    bool batch;

    Picture(const char* op, const Tensor& given, Layout layout) : batch(given.dim() == 4) {
        check<ShapeError>(given.dim() == 3 || given.dim() == 4, op,
                          ": expected a picture [H, W, C] or pictures [N, H, W, C], got ",
                          describe(given));
        check<TypeError>(given.dtype() == DType::UInt8 || given.dtype() == DType::Float32, op,
                         ": expected uint8 or float32 pictures, got ", describe(given));
        check(!requires_grad(given) || !grad_enabled(), op,
              ": prepares data and has no gradient; use nn.functional, or detach()");
        if (t_recorder) t_recorder->check_readable(given, op);
        x = layout == Layout::Dense ? contiguous_raw(given) : given;
        const int first = batch ? 1 : 0;
        args.dtype = int(x.dtype());
        args.n = batch ? x.size(0) : 1;
        args.h = args.oh = x.size(first);
        args.w = args.ow = x.size(first + 1);
        args.c = x.size(first + 2);
        args.x = x.raw();
        args.xs = strides_of(x);
        check<ShapeError>(args.h > 0 && args.w > 0 && args.c > 0, op,
                          ": a picture without pixels: ", describe(given));
        check<ShapeError>(args.h < INT32_MAX && args.w < INT32_MAX, op,
                          ": a picture too large: ", describe(given));
    }

    Tensor output(int64_t height, int64_t width) {
        args.oh = height;
        args.ow = width;
        Dims shape = {height, width, args.c};
        if (batch) shape = {args.n, height, width, args.c};
        Tensor y = empty(shape, x.dtype(), x.device());
        args.y = y.raw();
        return y;
    }
    // Of the same size: planes for planes, pixels for pixels.
    Tensor output() {
        const bool planes = args.c > 1 && args.xs.w == 1;
        Tensor y = planes ? as_pixels(empty_planes(x.dtype())) : output(args.h, args.w);
        args.y = y.raw();
        args.ys = strides_of(y);
        return y;
    }

    // Planes [C, H, W] or [N, C, H, W], and how they are seen as pixels.
    Tensor empty_planes(DType dtype) const {
        Dims shape = {args.c, args.h, args.w};
        if (batch) shape = {args.n, args.c, args.h, args.w};
        return empty(shape, dtype, x.device());
    }
    static Tensor as_pixels(const Tensor& y) {
        const Dims &d = y.shape(), &s = y.strides();
        if (y.dim() == 3) return raw_view(y, {d[1], d[2], d[0]}, {s[1], s[2], s[0]}, y.offset());
        return raw_view(y, {d[0], d[2], d[3], d[1]}, {s[0], s[2], s[3], s[1]}, y.offset());
    }

    // Left and right, or top and bottom, exchanged: nothing moves.
    void mirror(bool rows, bool columns) {
        auto turn = [&](int64_t size, int64_t* stride) {
            const int64_t last = (size - 1) * *stride * int64_t(itemsize(x.dtype()));
            args.x = static_cast<const char*>(args.x) + last;
            *stride = -*stride;
        };
        if (rows) turn(args.h, &args.xs.h);
        if (columns) turn(args.w, &args.xs.w);
    }
};

template <class Fn, class... Args>
void run(const char* op, const Tensor& x, Fn dl_image_table::* entry, const Args&... args) {
    if (x.numel() == 0) return;  // an empty batch
    Device d = x.device();
    check_status(kernel(op, d, backend_of(d).image, entry)(args...), d, op, name(x.dtype()));
}

std::vector<float> per_channel(const char* op, const char* what, const std::vector<double>& given,
                               int64_t c) {
    check<ShapeError>(given.size() == 1 || int64_t(given.size()) == c, op, ": ", what, " has ",
                      given.size(), " entries, the picture has ", c, " channels");
    std::vector<float> all(size_t(c), 0.0f);
    for (size_t i = 0; i < all.size(); ++i) all[i] = float(given[given.size() == 1 ? 0 : i]);
    return all;
}

// ---- resampling filters; support is where they end
double sinc(double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); }

double cubic(double x, double a) {  // Keys' kernel
    x = std::fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? a * (((x - 5) * x + 8) * x - 4) : 0;
}

struct Filter {
    const char* name;
    double support;
    double (*at)(double x);
};
const Filter kFilters[] = {
    {"bilinear", 1, [](double x) { return std::max(0.0, 1 - std::fabs(x)); }},
    {"bicubic", 2, [](double x) { return cubic(x, -0.5); }},
    {"box", 0.5, [](double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }},
    {"hamming", 1,
     [](double x) { return std::fabs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * std::cos(M_PI * x)); }},
    {"lanczos", 3, [](double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }},
};

// The weights of one axis, `in` pixels to `out`.
struct Axis {
    int64_t taps;
    std::vector<int32_t> start;
    std::vector<double> weight;

    Axis(int64_t in, int64_t out, int64_t most) : taps(std::min(most, in)) {
        start.resize(size_t(out));
        weight.resize(size_t(out * taps));
    }
    // Output i is made of `count` pixels from `first` on; the window is moved to lie inside the axis.
    double* window(int64_t i, int64_t first, int64_t in) {
        start[size_t(i)] = int32_t(std::clamp<int64_t>(first, 0, in - taps));
        return weight.data() + i * taps - start[size_t(i)];  // indexed by pixel
    }
    dl_resample_axis args() const { return {taps, start.data(), weight.data()}; }
};

// running: positions are running sums, as Pillow's are; ties then fall to the same side.
Axis nearest_axis(int64_t in, int64_t out, double offset, bool running = false) {
    Axis a(in, out, 1);
    const double scale = double(in) / double(out);
    double sum = offset * scale;
    for (int64_t i = 0; i < out; ++i, sum += scale) {
        const double at = running ? sum : (double(i) + offset) * scale;
        const int64_t from = std::min(int64_t(std::floor(at)), in - 1);
        a.window(i, from, in)[from] = 1;
    }
    return a;
}

// Pillow's rule: the filter is as wide as the step between outputs, cut at the edges, and normalised.
Axis antialias_axis(const Filter& f, int64_t in, int64_t out) {
    const double scale = double(in) / double(out), stretch = std::max(scale, 1.0);
    const double support = f.support * stretch;
    Axis a(in, out, 2 * int64_t(std::ceil(support)) + 1);
    for (int64_t i = 0; i < out; ++i) {
        const double centre = (double(i) + 0.5) * scale;
        const int64_t first = std::max(int64_t(centre - support + 0.5), int64_t(0));
        const int64_t last = std::min(int64_t(centre + support + 0.5), in);
        double* w = a.window(i, first, in);
        double sum = 0;
        for (int64_t k = first; k < last; ++k)
            sum += w[k] = f.at((double(k) - centre + 0.5) / stretch);
        for (int64_t k = first; k < last && sum != 0; ++k) w[k] /= sum;
    }
    return a;
}

// Interpolation between the nearest pixels; beyond the edge the edge pixel is repeated.
Axis interpolating_axis(bool bicubic, int64_t in, int64_t out) {
    const int64_t reach = bicubic ? 2 : 1;
    Axis a(in, out, 2 * reach);
    const double scale = double(in) / double(out);
    for (int64_t i = 0; i < out; ++i) {
        double at = (double(i) + 0.5) * scale - 0.5;
        if (!bicubic) at = std::max(at, 0.0);
        const int64_t first = int64_t(std::floor(at)) - reach + 1;
        double* w = a.window(i, first, in);
        for (int64_t k = first; k < first + 2 * reach; ++k) {
            const double d = at - double(k);
            w[std::clamp<int64_t>(k, 0, in - 1)] += bicubic ? cubic(d, -0.75) : 1 - std::fabs(d);
        }
    }
    return a;
}

Axis axis_of(const std::string& filter, bool antialias, int64_t in, int64_t out) {
    if (filter == "nearest") return nearest_axis(in, out, 0);
    if (filter == "nearest-exact") return nearest_axis(in, out, 0.5);
    if (filter == "nearest-running") return nearest_axis(in, out, 0.5, true);
    if (!antialias && (filter == "bilinear" || filter == "bicubic"))
        return interpolating_axis(filter == "bicubic", in, out);
    for (const Filter& f : kFilters)
        if (filter == f.name) return antialias_axis(f, in, out);
    throw ValueError(cat("resize: unknown filter '", filter,
                         "'; there are nearest, nearest-exact, bilinear, bicubic, box, hamming and "
                         "lanczos"));
}

dl_warp_args warp_args(const char* op, Picture& p, bool bilinear, const std::vector<float>& fill) {
    (void)op;
    dl_warp_args a{};
    a.image = p.args;
    a.bilinear = bilinear;
    a.fill = fill.data();
    return a;
}

void check_size(const char* op, int64_t height, int64_t width) {
    check<ShapeError>(height > 0 && width > 0 && height < INT32_MAX && width < INT32_MAX, op,
                      ": the size must be positive, got ", height, " x ", width);
}

void check_rgb(const char* op, const Picture& p) {
    check<ShapeError>(p.args.c == 3, op, ": expected 3 channels (red, green, blue), got ",
                      describe(p.x));
}

}  // namespace

Tensor image_resize(const Tensor& x, int64_t height, int64_t width, const std::string& filter,
                    bool antialias) {
    Picture p("resize", x, Layout::Dense);
    check_size("resize", height, width);
    const int64_t h = p.args.h, w = p.args.w;
    const Axis rows = axis_of(filter, antialias, w, width);
    const Axis columns = axis_of(filter, antialias, h, height);
    Tensor y = p.output(height, width), temp;
    dl_resample_args a{};
    if (w != width) a.rows = rows.args();
    if (h != height) a.columns = columns.args();
    if (w == width && h == height) return clone_raw(p.x);
    if (a.rows.taps && a.columns.taps) {
        temp = empty({p.args.n, h, width, p.args.c}, x.dtype(), x.device());
        a.temp = temp.raw();
    }
    a.image = p.args;
    run("resize", p.x, &dl_image_table::resample, &a);
    return y;
}

Tensor image_warp(const Tensor& x, const std::vector<double>& matrix, int64_t height, int64_t width,
                  bool bilinear, const std::vector<double>& fill) {
    Picture p("warp", x, Layout::Dense);
    check<ShapeError>(matrix.size() == 9, "warp: expected the 9 entries of a 3x3 matrix, got ",
                      matrix.size());
    check_size("warp", height, width);
    const std::vector<float> fills = per_channel("warp", "fill", fill, p.args.c);
    Tensor y = p.output(height, width);
    dl_warp_args a = warp_args("warp", p, bilinear, fills);
    std::copy_n(matrix.begin(), 9, a.matrix);
    run("warp", p.x, &dl_image_table::warp, &a);
    return y;
}

Tensor image_warp_map(const Tensor& x, const Tensor& map, bool bilinear,
                      const std::vector<double>& fill) {
    Picture p("warp_map", x, Layout::Dense);
    check<ShapeError>(map.dim() == 3 && map.size(2) == 2 && map.dtype() == DType::Float32,
                      "warp_map: expected positions float32[OH, OW, 2], got ", describe(map));
    check_same_device("warp_map", {&x, &map});
    check_size("warp_map", map.size(0), map.size(1));
    const std::vector<float> fills = per_channel("warp_map", "fill", fill, p.args.c);
    Tensor positions = contiguous_raw(map), y = p.output(map.size(0), map.size(1));
    dl_warp_args a = warp_args("warp_map", p, bilinear, fills);
    a.map = positions.data<float>();
    run("warp_map", p.x, &dl_image_table::warp, &a);
    return y;
}

Tensor image_blur(const Tensor& x, const std::vector<double>& rows,
                  const std::vector<double>& columns) {
    Picture p("blur", x, Layout::Dense);
    const int64_t kw = int64_t(rows.size()), kh = int64_t(columns.size());
    check<ShapeError>(kw % 2 == 1 && kh % 2 == 1, "blur: kernel sizes must be odd, got ", kw,
                      " (rows) and ", kh, " (columns)");
    check<ShapeError>(kw / 2 < p.args.w && kh / 2 < p.args.h, "blur: kernels of ", kw, " and ", kh,
                      " are too large for a picture of ", p.args.h, " x ", p.args.w,
                      " (edges are mirrored once)");
    const std::vector<float> r(rows.begin(), rows.end()), c(columns.begin(), columns.end());
    Tensor y = p.output(p.args.h, p.args.w);
    dl_blur_args a{p.args, kh, kw, c.data(), r.data()};
    run("blur", p.x, &dl_image_table::blur, &a);
    return y;
}

Tensor image_linear(const Tensor& x, const std::vector<double>& scale,
                    const std::vector<double>& shift) {
    Picture p("linear", x, Layout::Any);
    const std::vector<float> a = per_channel("linear", "scale", scale, p.args.c);
    const std::vector<float> b = per_channel("linear", "shift", shift, p.args.c);
    Tensor y = p.output();
    run("linear", p.x, &dl_image_table::linear, &p.args, a.data(), b.data());
    return y;
}

Tensor image_gray_blend(const Tensor& x, double factor) {
    Picture p("gray_blend", x, Layout::Any);
    check_rgb("gray_blend", p);
    Tensor y = p.output();
    run("gray_blend", p.x, &dl_image_table::gray_blend, &p.args, float(factor),
        float(1.0 - factor));
    return y;
}

Tensor image_hue(const Tensor& x, double turns) {
    Picture p("hue", x, Layout::Any);
    check_rgb("hue", p);
    Tensor y = p.output();
    run("hue", p.x, &dl_image_table::hue, &p.args, float(turns));
    return y;
}

Tensor image_gray_mean(const Tensor& x) {
    Picture p("gray_mean", x, Layout::Any);
    check<ShapeError>(p.args.c == 3 || p.args.c == 1, "gray_mean: expected 1 or 3 channels, got ",
                      describe(x));
    Tensor mean = empty(p.batch ? Dims{p.args.n} : Dims{}, DType::Float64, x.device());
    run("gray_mean", p.x, &dl_image_table::gray_mean, &p.args, mean.data<double>());
    return mean;
}

Tensor image_to_planes(const Tensor& x, double divisor, const std::vector<double>& mean,
                       const std::vector<double>& std, bool mirror_rows, bool mirror_columns) {
    Picture p("to_planes", x, Layout::Any);
    check<ShapeError>(mean.empty() == std.empty(), "to_planes: mean and std come together");
    std::vector<float> means, stds;
    if (!mean.empty()) {
        means = per_channel("to_planes", "mean", mean, p.args.c);
        stds = per_channel("to_planes", "std", std, p.args.c);
    }
    p.mirror(mirror_rows, mirror_columns);
    Tensor y = p.empty_planes(DType::Float32);
    p.args.y = y.raw();
    p.args.ys = strides_of(Picture::as_pixels(y));
    run("to_planes", p.x, &dl_image_table::to_planes, &p.args, float(divisor),
        static_cast<const float*>(means.empty() ? nullptr : means.data()),
        static_cast<const float*>(stds.empty() ? nullptr : stds.data()));
    return y;
}

}  // namespace deeplite
