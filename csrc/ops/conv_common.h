// What the ops of a convolution share: geometry, checks, and running a kernel.
#pragma once
#include <variant>

#include "ops/conv.h"
#include "ops/iter.h"

namespace deeplite {

// Geometry of a convolution y = conv(x, w), shared by all three products that belong to it. The
// three are closed under differentiation: the gradient of each is made of the other two.
struct ConvGeometry {
    Dims stride, padding, dilation;  // padding at the low end; the high end follows from the sizes
    int64_t groups;
    bool last = false;  // channels last: images come so, go so, and gradients too
    void attributes(auto& v) const {
        v("stride", stride);
        v("padding", padding);
        v("dilation", dilation);
        v("groups", groups);
        if (last) v("channels_last", last);
    }
    MemoryFormat format(int spatial) const {
        return last ? channels_last_of(spatial + 2) : MemoryFormat::Contiguous;
    }
    // Weights stay as they are, if dense: it is the kernel that brings them into its own order.
    Tensor weights(const Tensor& w, DType t) const {
        const bool kept = last && is_channels_last(w);
        return cast_format_raw(w, t, kept ? channels_last_of(w.dim()) : MemoryFormat::Contiguous);
    }
};

using ConvPadding = std::variant<Dims, std::string>;  // or "valid" or "same", as in conv.h

// A convolution whose arguments fit: what it is of, its input as a batch, and the spatial size of y.
struct ConvCall {
    ConvGeometry geometry;
    Tensor x;
    Dims out;
};
ConvCall conv_call(const char* op, int spatial, const Tensor& input, const Tensor& w,
                   const Tensor& bias, const Dims& stride, const ConvPadding& padding,
                   const Dims& dilation, int64_t groups);
// conv(x, w) + bias as an op, and without the dimension that made a batch of `input`.
Tensor apply_conv(const ConvCall& call, const Tensor& w, const Tensor& bias);
Tensor unbatched(const Tensor& y, const Tensor& input);

inline Dims with_spatial(int64_t n, int64_t c, const Dims& spatial) {
    Dims shape{n, c};
    for (int64_t s : spatial) shape.push_back(s);
    return shape;
}

// The kernel's description, filled from shapes: x [N, C, in...], w [K, C/g, kernel...], y [N, K,
// out...].
dl_conv describe_conv(const ConvGeometry& g, const Dims& x, const Dims& w, const Dims& y,
                      DType dtype);
// Runs one pass of p, with the algorithm that this thread's settings ask for.
void run_conv_pass(const char* op, dl_conv& p, dl_conv_pass pass, Device d);

}  // namespace deeplite
