#include "ops/conv.h"

#include "ops/apply.h"
#include "ops/conv_common.h"
#include "ops/conv_shape.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

constexpr const char* kConv[] = {"conv1d", "conv2d", "conv3d"};
constexpr const char* kTranspose[] = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};
constexpr const char* kWeight[] = {"conv1d_weight", "conv2d_weight", "conv3d_weight"};

constexpr const char* kPasses[] = {"forward", "backward_input", "backward_weight"};

std::vector<ConvOption> options_of(const char* op, const dl_conv& p, dl_conv_pass pass, Device d) {
    const auto explain = kernel(op, d, backend_of(d).conv, &dl_conv_table::explain);
    std::vector<ConvOption> options;
    dl_conv_option o;
    while (explain(&p, pass, int32_t(options.size()), &o))
        options.push_back({o.name, o.seconds, o.rel_err, o.allowed != 0});
    return options;
}

void check_floating(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias) {
    check<TypeError>(x.is_floating(), op, ": expected a floating-point input, got ", x.dtype());
    check(w.dtype() == x.dtype() && (!bias.defined() || bias.dtype() == x.dtype()), op,
          ": input, weight and bias must have one dtype, got ", x.dtype(), ", ", w.dtype(),
          bias.defined() ? cat(" and ", bias.dtype()) : std::string());
    check_same_device(op, {&x, &w, &bias});
}

// y = conv(x, w) + bias; `out`: the spatial size of y.
template <int N>
struct Conv {
    static constexpr OpInfo info{.name = kConv[N - 1], .save_inputs = 0b11, .bilinear = true};
    ConvGeometry geometry;
    Dims out;
    void attributes(auto& v) const {
        geometry.attributes(v);
        v("output_size", out);
    }
    Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias) const;
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

// x = conv^T(y, w) + bias: the gradient of x, which is also the transposed convolution. The first
// input has y's shape, `out` is the spatial size of x.
template <int N>
struct ConvTranspose {
    static constexpr OpInfo info{.name = kTranspose[N - 1], .save_inputs = 0b11, .bilinear = true};
    ConvGeometry geometry;
    Dims out;
    void attributes(auto& v) const {
        geometry.attributes(v);
        v("output_size", out);
    }
    Tensor forward(const Tensor& y, const Tensor& w, const Tensor& bias) const;
    Grads backward(const Ctx& c, const Tensor& dx) const;
};

// The gradient of w, from x and the gradient of y; `out`: the spatial size of w.
template <int N>
struct ConvWeight {
    static constexpr OpInfo info{.name = kWeight[N - 1], .save_inputs = 0b11, .bilinear = true};
    ConvGeometry geometry;
    Dims out;
    void attributes(auto& v) const {
        geometry.attributes(v);
        v("kernel_size", out);
    }
    Tensor forward(const Tensor& x, const Tensor& dy) const;
    Grads backward(const Ctx& c, const Tensor& dw) const;
};

Tensor bias_gradient(const Tensor& dy) {
    Dims dims{0};
    for (int d = 2; d < dy.dim(); ++d) dims.push_back(d);
    return sum(dy, dims);
}

template <int N>
Tensor Conv<N>::forward(const Tensor& x, const Tensor& w, const Tensor& bias) const {
    const DType t = compute_dtype(x.dtype());
    const MemoryFormat format = geometry.format(N);
    const Tensor xc = cast_format_raw(x, t, format), wc = geometry.weights(w, t);
    const Tensor bc = bias.defined() ? cast_contiguous_raw(bias, t) : bias;
    const Dims shape = with_spatial(x.shape()[0], w.shape()[0], out);
    const Tensor y = empty_in(format, shape, t, x.device(), info.name);
    if (y.numel() > 0) {
        dl_conv p = describe_conv(geometry, x.shape(), w.shape(), y.shape(), t);
        p.w_channels_last = !wc.is_contiguous();
        p.x = xc.raw(), p.w = wc.raw(), p.bias = bc.defined() ? bc.raw() : nullptr, p.y = y.raw();
        run_conv_pass(info.name, p, DL_CONV_FORWARD, x.device());
    }
    return cast_raw(y, x.dtype());
}

template <int N>
Grads Conv<N>::backward(const Ctx& c, const Tensor& dy) const {
    Grads g(3);
    if (c.needs(0)) {
        const Dims in(c.shape(0).data() + 2, N);
        g[0] = apply(ConvTranspose<N>{geometry, in}, dy, c.in(1), Tensor{});
    }
    if (c.needs(1)) {
        const Dims kernel_size(c.shape(1).data() + 2, N);
        g[1] = apply(ConvWeight<N>{geometry, kernel_size}, c.in(0), dy);
    }
    if (c.needs(2)) g[2] = bias_gradient(dy);
    return g;
}

template <int N>
Tensor ConvTranspose<N>::forward(const Tensor& y, const Tensor& w, const Tensor& bias) const {
    const DType t = compute_dtype(y.dtype());
    const MemoryFormat format = geometry.format(N);
    const Tensor yc = cast_format_raw(y, t, format), wc = geometry.weights(w, t);
    const Tensor bc = bias.defined() ? cast_contiguous_raw(bias, t) : bias;
    const Dims shape = with_spatial(y.shape()[0], w.shape()[1] * geometry.groups, out);
    const Tensor x = empty_in(format, shape, t, y.device(), info.name);
    if (x.numel() > 0) {
        dl_conv p = describe_conv(geometry, x.shape(), w.shape(), y.shape(), t);
        p.w_channels_last = !wc.is_contiguous();
        p.x = x.raw(), p.w = wc.raw(), p.bias = bc.defined() ? bc.raw() : nullptr, p.y = yc.raw();
        run_conv_pass(info.name, p, DL_CONV_BACKWARD_INPUT, y.device());
    }
    return cast_raw(x, y.dtype());
}

template <int N>
Grads ConvTranspose<N>::backward(const Ctx& c, const Tensor& dx) const {
    Grads g(3);
    if (c.needs(0)) {
        const Dims in(c.shape(0).data() + 2, N);
        g[0] = apply(Conv<N>{geometry, in}, dx, c.in(1), Tensor{});
    }
    if (c.needs(1)) {
        const Dims kernel_size(c.shape(1).data() + 2, N);
        g[1] = apply(ConvWeight<N>{geometry, kernel_size}, dx, c.in(0));
    }
    if (c.needs(2)) g[2] = bias_gradient(dx);
    return g;
}

template <int N>
Tensor ConvWeight<N>::forward(const Tensor& x, const Tensor& dy) const {
    const DType t = compute_dtype(x.dtype());
    const MemoryFormat format = geometry.format(N);
    const Tensor xc = cast_format_raw(x, t, format), yc = cast_format_raw(dy, t, format);
    const Dims shape = with_spatial(dy.shape()[1], x.shape()[1] / geometry.groups, out);
    const Tensor w = empty_in(format, shape, t, x.device(), info.name);
    if (w.numel() > 0) {
        dl_conv p = describe_conv(geometry, x.shape(), w.shape(), dy.shape(), t);
        p.w_channels_last = geometry.last;
        p.x = xc.raw(), p.w = w.raw(), p.y = yc.raw();
        run_conv_pass(info.name, p, DL_CONV_BACKWARD_WEIGHT, x.device());
    }
    return cast_raw(w, x.dtype());
}

template <int N>
Grads ConvWeight<N>::backward(const Ctx& c, const Tensor& dw) const {
    Grads g(2);
    if (c.needs(0)) {
        const Dims in(c.shape(0).data() + 2, N);
        g[0] = apply(ConvTranspose<N>{geometry, in}, c.in(1), dw, Tensor{});
    }
    if (c.needs(1)) {
        const Dims out_size(c.shape(1).data() + 2, N);
        g[1] = apply(Conv<N>{geometry, out_size}, c.in(0), dw, Tensor{});
    }
    return g;
}

// Calls f(std::integral_constant<int, spatial>).
template <class F>
Tensor for_rank(int spatial, const F& f) {
    if (spatial == 1) return f(std::integral_constant<int, 1>{});
    if (spatial == 2) return f(std::integral_constant<int, 2>{});
    return f(std::integral_constant<int, 3>{});
}

// Channels, groups and bias of a convolution; `transposed`: w is [C, K/groups, ...].
void check_channels(const char* op, const Tensor& x, const Tensor& w, const Tensor& bias,
                    int64_t groups, bool transposed) {
    check<ShapeError>(groups > 0, op, ": groups must be positive, got ", groups);
    check<ShapeError>(
        w.shape()[0] > 0 && w.shape()[0] % groups == 0, op,
        ": expected the first size of the weight to be a positive multiple of groups (", groups,
        "), got weight ", w.shape());
    const int64_t channels = transposed ? w.shape()[0] : w.shape()[1] * groups;
    check<ShapeError>(x.shape()[1] == channels, op, ": expected input with ", channels,
                      " channels (weight ", w.shape(), ", groups ", groups, "), got ", x.shape()[1],
                      " in ", x.shape());
    const int64_t outputs = transposed ? w.shape()[1] * groups : w.shape()[0];
    if (bias.defined())
        check<ShapeError>(bias.dim() == 1 && bias.shape()[0] == outputs, op,
                          ": expected bias of shape [", outputs, "] (weight ", w.shape(),
                          ", groups ", groups, "), got ", bias.shape());
}

// A batch of one for an input without batch dimension.
Tensor batched(const char* op, int spatial, const Tensor& x, const Tensor& w) {
    const char* layouts[] = {"[N, C, L] or [C, L]", "[N, C, H, W] or [C, H, W]",
                             "[N, C, D, H, W] or [C, D, H, W]"};
    check<ShapeError>(x.dim() == spatial + 1 || x.dim() == spatial + 2, op, ": expected input ",
                      layouts[spatial - 1], ", got ", x.shape());
    check<ShapeError>(w.dim() == spatial + 2, op, ": expected weight with ", spatial + 2,
                      " dimensions, got ", w.shape());
    for (int d = 2; d < w.dim(); ++d)
        check<ShapeError>(w.shape()[d] > 0, op, ": the kernel is empty, weight ", w.shape());
    return x.dim() == spatial + 1 ? unsqueeze(x, 0) : x;
}

// The spatial size of the output, x [N, C, in...].
Dims output_sizes(const char* op, const Tensor& x, const Tensor& w, const ConvGeometry& g,
                  const Dims& pad_hi) {
    Dims out;
    for (int d = 0; d < x.dim() - 2; ++d) {
        const int64_t padded = x.shape()[2 + d] + g.padding[d] + pad_hi[d];
        const int64_t reach = g.dilation[d] * (w.shape()[2 + d] - 1) + 1;
        check<ShapeError>(padded >= reach && x.shape()[2 + d] > 0, op, ": the kernel spans ", reach,
                          " elements in dimension ", 2 + d, ", the padded input has only ", padded,
                          " (input ", x.shape(), ", weight ", w.shape(), ", padding ", g.padding,
                          ", dilation ", g.dilation, ")");
        out.push_back((padded - reach) / g.stride[d] + 1);
    }
    return out;
}

// As in torch: channels last when input or weight is.
bool wants_channels_last(const Tensor& x, const Tensor& w) {
    return suggested_format(x) != MemoryFormat::Contiguous ||
           suggested_format(w) != MemoryFormat::Contiguous;
}

ConvGeometry geometry_of(const char* op, int spatial, const Dims& stride, const Dims& padding,
                         const Dims& dilation, int64_t groups) {
    return {window_sizes(op, "stride", stride, spatial, 1),
            window_sizes(op, "padding", padding, spatial, 0),
            window_sizes(op, "dilation", dilation, spatial, 1), groups, false};
}

// Sets the padding that `name` means; returns that at the high end.
Dims named_padding(const char* op, const std::string& name, const Tensor& w, ConvGeometry* g) {
    Dims pad_hi = g->padding;
    if (name == "valid") return pad_hi;
    for (int d = 0; d < w.dim() - 2; ++d) {
        check<ShapeError>(g->stride[d] == 1, op,
                          ": padding=\"same\" is not possible with a stride, got stride ",
                          g->stride);
        const int64_t total = g->dilation[d] * (w.shape()[2 + d] - 1);
        g->padding[d] = total / 2;
        pad_hi[d] = total - total / 2;
    }
    return pad_hi;
}

}  // namespace

// The kernel's description, filled from shapes: x [N, C, in...], w [K, C/g, kernel...], y [N, K,
// out...].
dl_conv describe_conv(const ConvGeometry& g, const Dims& x, const Dims& w, const Dims& y,
                      DType dtype) {
    dl_conv p{};
    p.dtype = int32_t(dtype);
    p.n = x[0], p.c = x[1], p.k = w[0], p.groups = g.groups;
    p.channels_last = g.last;
    const int spatial = x.size() - 2;
    for (int d = 0; d < 3; ++d) {
        const int i =
            d - (3 - spatial);  // dimensions that are not there come first and have size 1
        const bool there = i >= 0;
        p.in[d] = there ? x[2 + i] : 1;
        p.kernel[d] = there ? w[2 + i] : 1;
        p.out[d] = there ? y[2 + i] : 1;
        p.stride[d] = there ? g.stride[i] : 1;
        p.pad_lo[d] = there ? g.padding[i] : 0;
        p.dilation[d] = there ? g.dilation[i] : 1;
    }
    return p;
}

// Runs one pass of p, with the algorithm that this thread's settings ask for.
void run_conv_pass(const char* op, dl_conv& p, dl_conv_pass pass, Device d) {
    const ConvSettings& settings = conv_settings();
    const std::string& name = settings.algorithm[pass];
    p.max_rel_err = settings.max_rel_err;
    if (!name.empty()) {
        p.algorithm = name.c_str();
        std::string names;
        bool found = false;
        for (const ConvOption& o : options_of(op, p, pass, d)) {
            found = found || o.name == name;
            names += (names.empty() ? "" : ", ") + o.name;
        }
        const auto sizes = [](const int64_t s[3]) { return Dims(s, 3); };
        check(found, op, ": the algorithm \"", name, "\" does not apply to ", kPasses[pass],
              " with input [", p.n, ", ", p.c, "] x ", sizes(p.in), ", weight [", p.k, ", ",
              p.c / p.groups, "] x ", sizes(p.kernel), ", stride ", sizes(p.stride), ", dilation ",
              sizes(p.dilation), ", groups ", p.groups, ", ", DType(p.dtype),
              "; those that apply: ", names);
    }
    using Entry = dl_status (*dl_conv_table::*)(const dl_conv*);
    constexpr Entry entries[] = {&dl_conv_table::forward, &dl_conv_table::backward_input,
                                 &dl_conv_table::backward_weight};
    check_status(kernel(op, d, backend_of(d).conv, entries[pass])(&p), d, op);
}

ConvCall conv_call(const char* op, int spatial, const Tensor& input, const Tensor& w,
                   const Tensor& bias, const Dims& stride, const ConvPadding& padding,
                   const Dims& dilation, int64_t groups) {
    const auto* name = std::get_if<std::string>(&padding);
    check<ShapeError>(!name || *name == "same" || *name == "valid", op,
                      ": padding must be numbers, \"same\" or \"valid\", got \"",
                      name ? *name : std::string(), "\"");
    ConvCall call;
    ConvGeometry& g = call.geometry;
    g = geometry_of(op, spatial, stride, name ? Dims{0} : std::get<Dims>(padding), dilation,
                    groups);
    call.x = batched(op, spatial, input, w);
    const Dims pad_hi = name ? named_padding(op, *name, w, &g) : g.padding;
    check_floating(op, call.x, w, bias);
    check_channels(op, call.x, w, bias, groups, false);
    call.out = output_sizes(op, call.x, w, g, pad_hi);
    g.last = wants_channels_last(call.x, w);
    return call;
}

Tensor apply_conv(const ConvCall& call, const Tensor& w, const Tensor& bias) {
    return for_rank(w.dim() - 2, [&](auto n) {
        return apply(Conv<decltype(n)::value>{call.geometry, call.out}, call.x, w, bias);
    });
}

Tensor unbatched(const Tensor& y, const Tensor& input) {
    return input.dim() == y.dim() ? y : squeeze(y, {0});
}

Tensor conv(int spatial, const Tensor& x, const Tensor& w, const Tensor& bias, const Dims& stride,
            const Dims& padding, const Dims& dilation, int64_t groups) {
    const ConvCall call =
        conv_call(kConv[spatial - 1], spatial, x, w, bias, stride, padding, dilation, groups);
    return unbatched(apply_conv(call, w, bias), x);
}

Tensor conv(int spatial, const Tensor& x, const Tensor& w, const Tensor& bias, const Dims& stride,
            const std::string& padding, const Dims& dilation, int64_t groups) {
    const ConvCall call =
        conv_call(kConv[spatial - 1], spatial, x, w, bias, stride, padding, dilation, groups);
    return unbatched(apply_conv(call, w, bias), x);
}

Tensor conv_transpose(int spatial, const Tensor& input, const Tensor& w, const Tensor& bias,
                      const Dims& stride, const Dims& padding, const Dims& output_padding,
                      int64_t groups, const Dims& dilation) {
    const char* op = kTranspose[spatial - 1];
    ConvGeometry g = geometry_of(op, spatial, stride, padding, dilation, groups);
    const Dims extra = window_sizes(op, "output_padding", output_padding, spatial, 0);
    const Tensor x = batched(op, spatial, input, w);
    check_floating(op, x, w, bias);
    check_channels(op, x, w, bias, groups, true);
    Dims out;
    for (int d = 0; d < spatial; ++d) {
        check<ShapeError>(
            extra[d] < std::max(g.stride[d], g.dilation[d]), op,
            ": output_padding must be smaller than stride or dilation, got output_padding ", extra,
            ", stride ", g.stride, ", dilation ", g.dilation);
        const int64_t size = (x.shape()[2 + d] - 1) * g.stride[d] - 2 * g.padding[d] +
                             g.dilation[d] * (w.shape()[2 + d] - 1) + extra[d] + 1;
        check<ShapeError>(size > 0 && x.shape()[2 + d] > 0, op, ": the output would have size ",
                          size, " in dimension ", 2 + d, " (input ", x.shape(), ", weight ",
                          w.shape(), ", stride ", g.stride, ", padding ", g.padding, ")");
        out.push_back(size);
    }
    g.last = wants_channels_last(x, w);
    const Tensor y = for_rank(spatial, [&](auto n) {
        return apply(ConvTranspose<decltype(n)::value>{g, out}, x, w, bias);
    });
    return unbatched(y, input);
}

ConvSettings& conv_settings() {
    thread_local ConvSettings settings;
    return settings;
}

dl_conv_pass conv_pass(const char* op, const std::string& pass) {
    for (int i = 0; i < 3; ++i)
        if (pass == kPasses[i]) return dl_conv_pass(i);
    throw ValueError(cat(
        op, ": expected a pass (forward, backward_input or backward_weight), got \"", pass, "\""));
}

std::vector<ConvOption> conv_algorithms(const Tensor& x, const Tensor& w, const Dims& stride,
                                        const Dims& padding, const Dims& dilation, int64_t groups,
                                        const std::string& pass) {
    const char* op = "conv.explain";
    const int spatial = w.dim() - 2;
    check<ShapeError>(spatial >= 1 && spatial <= 3, op,
                      ": expected weight with 3 to 5 dimensions, got ", w.shape());
    const Tensor xb = batched(op, spatial, x, w);
    check_floating(op, xb, w, {});
    ConvGeometry g = geometry_of(op, spatial, stride, padding, dilation, groups);
    check_channels(op, xb, w, {}, groups, false);
    g.last = wants_channels_last(xb, w);
    const Dims y = with_spatial(xb.shape()[0], w.shape()[0], output_sizes(op, xb, w, g, g.padding));
    dl_conv p = describe_conv(g, xb.shape(), w.shape(), y, compute_dtype(x.dtype()));
    p.w_channels_last = g.last && (is_channels_last(w) || pass == kPasses[DL_CONV_BACKWARD_WEIGHT]);
    p.max_rel_err = conv_settings().max_rel_err;
    return options_of(op, p, conv_pass(op, pass), x.device());
}

Tensor conv_pass_result(const Tensor& x, const Tensor& w, const Tensor& y, const Dims& stride,
                        const Dims& padding, const Dims& dilation, int64_t groups,
                        const std::string& pass) {
    const char* op = "conv.explain";
    ConvGeometry g = geometry_of(op, w.dim() - 2, stride, padding, dilation, groups);
    g.last = wants_channels_last(x, w);
    const auto spatial = [](const Tensor& t) { return Dims(t.shape().data() + 2, t.dim() - 2); };
    const dl_conv_pass which = conv_pass(op, pass);
    const GradMode unrecorded(false);
    return for_rank(w.dim() - 2, [&](auto n) {
        constexpr int N = decltype(n)::value;
        if (which == DL_CONV_FORWARD)
            return Conv<N>{g, output_sizes(op, x, w, g, g.padding)}.forward(x, w, Tensor{});
        if (which == DL_CONV_BACKWARD_INPUT)
            return ConvTranspose<N>{g, spatial(x)}.forward(y, w, Tensor{});
        return ConvWeight<N>{g, spatial(w)}.forward(x, y);
    });
}

}  // namespace deeplite
