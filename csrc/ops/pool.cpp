#include "ops/pool.h"

#include "core/memory_format.h"
#include "kernels/pool.h"
#include "ops/apply.h"
#include "ops/conv_shape.h"
#include "ops/copy.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

struct Window {
    Dims kernel, stride, padding, dilation;
    void attributes(auto& v) const {
        v("kernel_size", kernel);
        v("stride", stride);
        v("padding", padding);
        v("dilation", dilation);
    }
};

Dims spatial_of(const Dims& shape, int spatial) {
    return Dims(shape.data() + shape.size() - spatial, spatial);
}
// The leading sizes of `shape` in front of other spatial ones.
Dims replace_spatial(const Dims& shape, const Dims& spatial) {
    Dims out(shape.data(), shape.size() - spatial.size());
    for (int64_t s : spatial) out.push_back(s);
    return out;
}

void fill3(int64_t (&to)[3], const Dims& from, int64_t missing) {
    for (int d = 0; d < 3; ++d) {
        const int i = d - (3 - from.size());  // dimensions that are not there come first
        to[d] = i >= 0 ? from[i] : missing;
    }
}

// A description with x and y of these shapes; window fields only if there is a window.
dl_pool describe_pool(const Dims& x, const Dims& y, int spatial, DType dtype,
                      const Window* window) {
    dl_pool p{};
    p.dtype = int32_t(dtype);
    p.planes = p.channels = 1;
    for (int d = 0; d < x.size() - spatial; ++d) p.planes *= x[d];
    fill3(p.in, spatial_of(x, spatial), 1);
    fill3(p.out, spatial_of(y, spatial), 1);
    fill3(p.kernel, window ? window->kernel : Dims{}, 1);
    fill3(p.stride, window ? window->stride : Dims{}, 1);
    fill3(p.pad, window ? window->padding : Dims{}, 0);
    fill3(p.dilation, window ? window->dilation : Dims{}, 1);
    return p;
}

// The format of a pooling's result: that of x, where there is room for channels between batch and
// window.
MemoryFormat pool_format(const Tensor& x, int spatial) {
    return x.dim() == spatial + 2 ? suggested_format(x) : MemoryFormat::Contiguous;
}
bool pool_is_last(const Tensor& x, int spatial) {
    return pool_format(x, spatial) != MemoryFormat::Contiguous;
}
// x and y have the channels of a pixel side by side: planes are images, each of `channels` planes.
void set_channels(dl_pool& p, const Dims& x, MemoryFormat format) {
    if (format == MemoryFormat::Contiguous) return;
    p.channels = x[1];
    p.planes = x[0];
}

// The description is only written out when there is something to say.
void check_pool(dl_status status, const char* op, const Tensor& x) {
    if (status != DL_OK) check_status(status, x.device(), op, std::string(describe(x)));
}

void run_pool(const char* op, const Tensor& x, dl_pool_fn dl_pool_table::* entry,
              const dl_pool& p) {
    const Device d = x.device();
    check_pool(kernel(op, d, backend_of(d).pool, entry)(&p), op, x);
}

// ---- by index: the gradient of max pooling, its own gradient, and unpooling ---------------------

// y[o] = x[indices[o]] in each plane.
struct PoolGather {
    static constexpr OpInfo info{.name = "pool_gather", .save_inputs = 0b10};
    int64_t spatial;
    void attributes(auto& v) const { v("spatial", spatial); }
    Tensor forward(const Tensor& x, const Tensor& indices) const;
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

// x = 0, x[indices[o]] += y[o] in each plane; `out`: the spatial size of x.
struct PoolScatter {
    static constexpr OpInfo info{.name = "pool_scatter", .save_inputs = 0b10};
    Dims out;
    void attributes(auto& v) const { v("output_size", out); }
    Tensor forward(const Tensor& y, const Tensor& indices) const;
    Grads backward(const Ctx& c, const Tensor& dx) const {
        return {apply(PoolGather{out.size()}, dx, c.in(1)), Tensor{}};
    }
};

// As PoolScatter, but where an index comes twice the last element stays.
template <int N>
struct MaxUnpool {
    static constexpr const char* names[] = {"max_unpool1d", "max_unpool2d", "max_unpool3d"};
    static constexpr OpInfo info{.name = names[N - 1], .save_inputs = 0b10};
    Dims out;
    void attributes(auto& v) const { v("output_size", out); }
    Tensor forward(const Tensor& y, const Tensor& indices) const;
    Grads backward(const Ctx& c, const Tensor& dx) const {
        return {apply(PoolGather{N}, dx, c.in(1)), Tensor{}};
    }
};

Tensor scatter_raw(const char* op, const Tensor& y, const Tensor& indices, const Dims& out,
                   dl_pool_fn dl_pool_table::* entry) {
    const DType t = compute_dtype(y.dtype());
    const MemoryFormat format = pool_format(indices, out.size());
    const Tensor yc = cast_format_raw(y, t, format),
                 ic = cast_format_raw(indices, DType::Int64, format);
    const Tensor x = empty_in(format, replace_spatial(y.shape(), out), t, y.device(), op);
    if (x.numel() > 0 && y.numel() == 0) fill_raw(x, 0);
    if (x.numel() == 0 || y.numel() == 0) return cast_raw(x, y.dtype());
    dl_pool p = describe_pool(x.shape(), y.shape(), out.size(), t, nullptr);
    set_channels(p, x.shape(), format);
    p.x = x.raw(), p.y = yc.raw(), p.indices = ic.data<int64_t>();
    run_pool(op, x, entry, p);
    return cast_raw(x, y.dtype());
}

Tensor PoolGather::forward(const Tensor& x, const Tensor& indices) const {
    const DType t = compute_dtype(x.dtype());
    const MemoryFormat format = pool_format(indices, int(spatial));
    const Tensor xc = cast_format_raw(x, t, format),
                 ic = cast_format_raw(indices, DType::Int64, format);
    const Tensor y = empty_in(format, indices.shape(), t, x.device(), info.name);
    if (y.numel() > 0) {
        dl_pool p = describe_pool(x.shape(), y.shape(), int(spatial), t, nullptr);
        set_channels(p, x.shape(), format);
        p.x = xc.raw(), p.y = y.raw(), p.indices = ic.data<int64_t>();
        run_pool(info.name, x, &dl_pool_table::gather, p);
    }
    return cast_raw(y, x.dtype());
}

Grads PoolGather::backward(const Ctx& c, const Tensor& dy) const {
    return {apply(PoolScatter{spatial_of(c.shape(0), int(spatial))}, dy, c.in(1)), Tensor{}};
}

Tensor PoolScatter::forward(const Tensor& y, const Tensor& indices) const {
    return scatter_raw(info.name, y, indices, out, &dl_pool_table::scatter_add);
}

template <int N>
Tensor MaxUnpool<N>::forward(const Tensor& y, const Tensor& indices) const {
    return scatter_raw(info.name, y, indices, out, &dl_pool_table::scatter);
}

// ---- max pooling --------------------------------------------------------------------------------

// Values and indices of the maxima; `run` fills p's window and calls the kernel.
template <class Run>
std::array<Tensor, 2> max_raw(const char* op, const Tensor& x, MemoryFormat format, const Dims& out,
                              bool want_indices, const Window* window, const Run& run) {
    const DType t = compute_dtype(x.dtype());
    const Tensor xc = cast_format_raw(x, t, format);
    const Tensor y = empty_in(format, replace_spatial(x.shape(), out), t, x.device(), op);
    Tensor indices;
    if (want_indices) indices = empty_like(y, DType::Int64);
    if (y.numel() > 0) {
        dl_pool p = describe_pool(x.shape(), y.shape(), out.size(), t, window);
        set_channels(p, x.shape(), format);
        p.x = xc.raw(), p.y = y.raw(), p.indices = want_indices ? indices.data<int64_t>() : nullptr;
        run(p);
    }
    return {cast_raw(y, x.dtype()), indices};
}

// The gradient of any pooling that picks elements: output 1 holds their positions.
Grads picked_gradient(const Ctx& c, const Grads& dys, int spatial) {
    if (!dys[0].defined()) return Grads(1);
    return {apply(PoolScatter{spatial_of(c.shape(0), spatial)}, dys[0], c.out(1))};
}

template <int N>
struct MaxPool {
    static constexpr const char* names[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
    static constexpr OpInfo info{.name = names[N - 1], .save_outputs = 0b10};
    Window window;
    Dims out;
    bool indices;  // wanted, by the caller or by backward
    void attributes(auto& v) const {
        window.attributes(v);
        v("output_size", out);
    }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        return max_raw(
            info.name, x, pool_format(x, N), out, indices, &window,
            [&](const dl_pool& p) { run_pool(info.name, x, &dl_pool_table::max_forward, p); });
    }
    Grads backward(const Ctx& c, const Grads& dys) const { return picked_gradient(c, dys, N); }
};

template <int N>
struct AdaptiveMaxPool {
    static constexpr const char* names[] = {"adaptive_max_pool1d", "adaptive_max_pool2d",
                                            "adaptive_max_pool3d"};
    static constexpr OpInfo info{.name = names[N - 1], .save_outputs = 0b10};
    Dims out;
    void attributes(auto& v) const { v("output_size", out); }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        return max_raw(info.name, x, pool_format(x, N), out, true, nullptr, [&](const dl_pool& p) {
            run_pool(info.name, x, &dl_pool_table::adaptive_max_forward, p);
        });
    }
    Grads backward(const Ctx& c, const Grads& dys) const { return picked_gradient(c, dys, N); }
};

// starts [planes, sum of out]: where the windows begin, dimension by dimension.
template <int N>
struct FractionalMaxPool {
    static constexpr const char* names[] = {"fractional_max_pool1d", "fractional_max_pool2d",
                                            "fractional_max_pool3d"};
    static constexpr OpInfo info{.name = names[N - 1], .save_outputs = 0b10};
    Dims kernel_size, out;
    void attributes(auto& v) const {
        v("kernel_size", kernel_size);
        v("output_size", out);
    }
    std::array<Tensor, 2> forward(const Tensor& x, const Tensor& starts) const {
        const Dims one = Dims::filled(N, 1);
        const Window window{kernel_size, one, Dims::filled(N, 0), one};
        // starts are listed plane by plane
        return max_raw(
            info.name, x, MemoryFormat::Contiguous, out, true, &window, [&](const dl_pool& p) {
                const Device d = x.device();
                const auto run = kernel(info.name, d, backend_of(d).pool, &dl_pool_table::max_at);
                check_pool(run(&p, starts.data<int64_t>()), info.name, x);
            });
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        Grads g = picked_gradient(c, dys, N);
        g.push_back(Tensor{});
        return g;
    }
};

// ---- average pooling: linear, so its gradient's gradient is itself ------------------------------

struct Average {
    Window window;
    bool count_include_pad;
    int64_t divisor;  // 0: the size of the window
    void attributes(auto& v) const {
        window.attributes(v);
        v("count_include_pad", count_include_pad);
        v("divisor_override", divisor);
    }
};

// y = average(x) or, backwards, x from y, of the spatial size `out`.
template <bool Backward>
Tensor average_raw(const char* op, const Tensor& from, const Dims& out, bool last,
                   const Average* average) {
    const DType t = compute_dtype(from.dtype());
    const MemoryFormat format = last ? channels_last_of(from.dim()) : MemoryFormat::Contiguous;
    const Tensor in = cast_format_raw(from, t, format);
    const Tensor to = empty_in(format, replace_spatial(from.shape(), out), t, from.device(), op);
    if (to.numel() > 0 && from.numel() == 0) fill_raw(to, 0);
    if (to.numel() > 0 && from.numel() > 0) {
        const Tensor &x = Backward ? to : in, &y = Backward ? in : to;
        dl_pool p = describe_pool(x.shape(), y.shape(), out.size(), t,
                                  average ? &average->window : nullptr);
        set_channels(p, x.shape(), format);
        p.x = x.raw(), p.y = y.raw();
        if (average) p.count_include_pad = average->count_include_pad, p.divisor = average->divisor;
        using Table = dl_pool_table;
        run_pool(op, from,
                 average
                     ? (Backward ? &Table::avg_backward : &Table::avg_forward)
                     : (Backward ? &Table::adaptive_avg_backward : &Table::adaptive_avg_forward),
                 p);
    }
    return cast_raw(to, from.dtype());
}

template <int N, bool Backward>
struct AvgPool {
    static constexpr const char* names[] = {"avg_pool1d",          "avg_pool2d",
                                            "avg_pool3d",          "avg_pool1d_backward",
                                            "avg_pool2d_backward", "avg_pool3d_backward"};
    static constexpr OpInfo info{.name = names[N - 1 + 3 * Backward]};
    Average average;
    Dims out;
    bool last;  // channels last: the result, and the gradient whatever order it comes in
    void attributes(auto& v) const {
        average.attributes(v);
        v("output_size", out);
        if (last) v("channels_last", last);
    }
    Tensor forward(const Tensor& x) const {
        return average_raw<Backward>(info.name, x, out, last, &average);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {apply(AvgPool<N, !Backward>{average, spatial_of(c.shape(0), N), last}, dy)};
    }
};

template <int N, bool Backward>
struct AdaptiveAvgPool {
    static constexpr const char* names[] = {
        "adaptive_avg_pool1d",          "adaptive_avg_pool2d",
        "adaptive_avg_pool3d",          "adaptive_avg_pool1d_backward",
        "adaptive_avg_pool2d_backward", "adaptive_avg_pool3d_backward"};
    static constexpr OpInfo info{.name = names[N - 1 + 3 * Backward]};
    Dims out;
    bool last;
    void attributes(auto& v) const {
        v("output_size", out);
        if (last) v("channels_last", last);
    }
    Tensor forward(const Tensor& x) const {
        return average_raw<Backward>(info.name, x, out, last, nullptr);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {apply(AdaptiveAvgPool<N, !Backward>{spatial_of(c.shape(0), N), last}, dy)};
    }
};

// ---- checks -------------------------------------------------------------------------------------

// Ranks, and no empty dimension but the batch.
void check_input(const char* op, const Tensor& x, int spatial, bool floating,
                 bool channels = true) {
    check<ShapeError>(x.dim() == spatial + 1 || x.dim() == spatial + 2, op,
                      ": expected input with ", spatial + 2, " dimensions, or ", spatial + 1,
                      " without a batch, got ", x.shape());
    const int first = x.dim() - spatial - (channels ? 1 : 0);
    for (int d = first; d < x.dim(); ++d)
        check<ShapeError>(x.shape()[d] > 0, op, ": dimension ", d, " of the input is empty, got ",
                          x.shape());
    check<TypeError>(floating ? x.is_floating() : x.dtype() != DType::Bool, op, ": expected a ",
                     floating ? "floating-point" : "numeric", " input, got ", x.dtype());
}

Window make_window(const char* op, int spatial, const Dims& kernel, const Dims& stride,
                   const Dims& padding, const Dims& dilation) {
    Window w;
    w.kernel = window_sizes(op, "kernel_size", kernel, spatial, 1);
    w.stride = stride.empty() ? w.kernel : window_sizes(op, "stride", stride, spatial, 1);
    w.padding = window_sizes(op, "padding", padding, spatial, 0);
    w.dilation = window_sizes(op, "dilation", dilation, spatial, 1);
    for (int d = 0; d < spatial; ++d)
        check<ShapeError>(w.padding[d] <= ((w.kernel[d] - 1) * w.dilation[d] + 1) / 2, op,
                          ": padding must be at most half of the kernel, got padding ", w.padding,
                          ", kernel_size ", w.kernel, ", dilation ", w.dilation);
    return w;
}

// Output sizes; with ceil_mode the last window may stick out, but must start inside.
Dims window_outputs(const char* op, const Tensor& x, const Window& w, bool ceil_mode) {
    const int spatial = w.kernel.size();
    const Dims in = spatial_of(x.shape(), spatial);
    Dims out;
    for (int d = 0; d < spatial; ++d) {
        const int64_t reach = w.dilation[d] * (w.kernel[d] - 1) + 1;
        const int64_t slack = in[d] + 2 * w.padding[d] - reach;
        int64_t n = slack < 0 && !ceil_mode ? 0
                    : ceil_mode             ? (slack + w.stride[d] - 1 + w.stride[d]) / w.stride[d]
                                            : slack / w.stride[d] + 1;
        if (ceil_mode && (n - 1) * w.stride[d] >= in[d] + w.padding[d]) --n;
        check<ShapeError>(n > 0, op, ": the kernel spans ", reach,
                          " elements in spatial dimension ", d, ", the padded input has only ",
                          in[d] + 2 * w.padding[d], " (input ", x.shape(), ", kernel_size ",
                          w.kernel, ", padding ", w.padding, ")");
        out.push_back(n);
    }
    return out;
}

Dims adaptive_outputs(const char* op, const Dims& output_size, int spatial) {
    return window_sizes(op, "output_size", output_size, spatial, 0);
}

template <class F>
auto for_rank(int spatial, const F& f) {
    if (spatial == 1) return f(std::integral_constant<int, 1>{});
    if (spatial == 2) return f(std::integral_constant<int, 2>{});
    return f(std::integral_constant<int, 3>{});
}

std::array<Tensor, 2> run_max_pool(int spatial, const Tensor& x, const Dims& kernel,
                                   const Dims& stride, const Dims& padding, const Dims& dilation,
                                   bool ceil_mode, bool want_indices) {
    return for_rank(spatial, [&](auto n) {
        constexpr int N = decltype(n)::value;
        const char* op = MaxPool<N>::info.name;
        check_input(op, x, N, false);
        const Window w = make_window(op, N, kernel, stride, padding, dilation);
        const Dims out = window_outputs(op, x, w, ceil_mode);
        return apply(MaxPool<N>{w, out, want_indices}, x);
    });
}

}  // namespace

std::array<Tensor, 2> max_pool_with_indices(int spatial, const Tensor& x, const Dims& kernel,
                                            const Dims& stride, const Dims& padding,
                                            const Dims& dilation, bool ceil_mode) {
    return run_max_pool(spatial, x, kernel, stride, padding, dilation, ceil_mode, true);
}

Tensor max_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride,
                const Dims& padding, const Dims& dilation, bool ceil_mode) {
    // Indices cost memory; a capture keeps them, since a replay may be differentiated.
    const bool want_indices = (grad_enabled() && requires_grad(x)) || t_recorder;
    return run_max_pool(spatial, x, kernel, stride, padding, dilation, ceil_mode, want_indices)[0];
}

Tensor avg_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride,
                const Dims& padding, bool ceil_mode, bool count_include_pad,
                std::optional<int64_t> divisor_override) {
    return for_rank(spatial, [&](auto n) {
        constexpr int N = decltype(n)::value;
        using Op = AvgPool<N, false>;
        check_input(Op::info.name, x, N, true);
        check<ValueError>(divisor_override.value_or(1) != 0, Op::info.name,
                          ": divisor_override must not be zero");
        const Window w = make_window(Op::info.name, N, kernel, stride, padding, {1});
        const Dims out = window_outputs(Op::info.name, x, w, ceil_mode);
        return apply(
            Op{{w, count_include_pad, divisor_override.value_or(0)}, out, pool_is_last(x, N)}, x);
    });
}

std::array<Tensor, 2> adaptive_max_pool(int spatial, const Tensor& x, const Dims& output_size) {
    return for_rank(spatial, [&](auto n) {
        using Op = AdaptiveMaxPool<decltype(n)::value>;
        check_input(Op::info.name, x, spatial, false);
        return apply(Op{adaptive_outputs(Op::info.name, output_size, spatial)}, x);
    });
}

Tensor adaptive_avg_pool(int spatial, const Tensor& x, const Dims& output_size) {
    return for_rank(spatial, [&](auto n) {
        using Op = AdaptiveAvgPool<decltype(n)::value, false>;
        check_input(Op::info.name, x, spatial, true, false);
        const Dims out = adaptive_outputs(Op::info.name, output_size, spatial);
        return apply(Op{out, pool_is_last(x, spatial)}, x);
    });
}

Tensor max_unpool(int spatial, const Tensor& x, const Tensor& indices, const Dims& output_size) {
    return for_rank(spatial, [&](auto n) {
        using Op = MaxUnpool<decltype(n)::value>;
        const char* op = Op::info.name;
        check_input(op, x, spatial, false);
        check<TypeError>(indices.dtype() == DType::Int64, op, ": expected int64 indices, got ",
                         indices.dtype());
        check<ShapeError>(indices.shape() == x.shape(), op,
                          ": expected indices of the input's shape ", x.shape(), ", got ",
                          indices.shape());
        check_same_device(op, {&x, &indices});
        check<ShapeError>(output_size.size() == spatial, op, ": expected output_size with ",
                          spatial, " numbers, got ", output_size);
        return apply(Op{window_sizes(op, "output_size", output_size, spatial, 1)}, x, indices);
    });
}

namespace {

// Starts of `out` windows of size `kernel` in [0, in): steps of (in - kernel) / (out - 1), shifted
// by u.
void fractional_starts(double u, int64_t in, int64_t out, int64_t kernel, int64_t* starts) {
    const double step = out > 1 ? double(in - kernel) / double(out - 1) : 0;
    for (int64_t i = 0; i < out - 1; ++i)
        starts[i] = int64_t((double(i) + u) * step) - int64_t(u * step);
    if (out > 0) starts[out - 1] = in - kernel;
}

}  // namespace

std::array<Tensor, 2> fractional_max_pool(int spatial, const Tensor& x, const Dims& kernel,
                                          const Dims& output_size, const Tensor& random_samples) {
    return for_rank(spatial, [&](auto n) {
        constexpr int N = decltype(n)::value;
        using Op = FractionalMaxPool<N>;
        const char* op = Op::info.name;
        check_input(op, x, N, true);
        const Dims k = window_sizes(op, "kernel_size", kernel, N, 1);
        const Dims out = window_sizes(op, "output_size", output_size, N, 1);
        const Dims in = spatial_of(x.shape(), N);
        for (int d = 0; d < N; ++d)
            check<ShapeError>(out[d] + k[d] - 1 <= in[d], op, ": output_size ", out,
                              " and kernel_size ", k, " do not fit the input ", x.shape());
        const int64_t batch = x.dim() == N + 2 ? x.shape()[0] : 1,
                      channels = x.shape()[x.dim() - N - 1];
        check<ShapeError>(random_samples.shape() == Dims({batch, channels, N}), op,
                          ": expected random samples of shape ", Dims{batch, channels, N}, ", got ",
                          random_samples.shape());
        const Tensor u =
            cast_contiguous_raw(to_device_raw(random_samples, Device{}), DType::Float64);
        if (t_recorder) t_recorder->check_readable(random_samples, op);
        for (int64_t i = 0; i < u.numel(); ++i)
            check<ValueError>(u.data<double>()[i] >= 0 && u.data<double>()[i] <= 1, op,
                              ": random samples must lie in [0, 1], got ", u.data<double>()[i]);
        int64_t per_plane = 3 - N;  // a dimension that is not there has one window, at 0
        for (int64_t o : out) per_plane += o;
        const Tensor starts = empty({batch * channels, per_plane}, DType::Int64, Device{}, op);
        for (int64_t plane = 0; plane < batch * channels; ++plane) {
            int64_t* to = starts.data<int64_t>() + plane * per_plane;
            for (int d = 0; d < 3 - N; ++d) *to++ = 0;
            for (int d = 0; d < N; ++d, to += out[d - 1]) {
                // torch draws the samples of an image in the order (width, height)
                const int sample = N == 2 ? 1 - d : d;
                fractional_starts(u.data<double>()[plane * N + sample], in[d], out[d], k[d], to);
            }
        }
        return apply(Op{k, out}, x, to_device_raw(starts, x.device()));
    });
}

}  // namespace deeplite
