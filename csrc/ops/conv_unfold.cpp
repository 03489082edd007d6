// Sliding blocks as columns (im2col) and the sum of columns back into an image (col2im). Each is
// the gradient of the other.
#include "ops/apply.h"
#include "ops/conv.h"
#include "ops/conv_shape.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

struct Blocks {
    Dims kernel, dilation, padding, stride;
    void attributes(auto& v) const {
        v("kernel_size", kernel);
        v("dilation", dilation);
        v("padding", padding);
        v("stride", stride);
    }
    Dims counts(const Dims& image) const {  // blocks along height and width of [N, C, H, W]
        Dims n;
        for (int d = 0; d < 2; ++d)
            n.push_back((image[2 + d] + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1) /
                            stride[d] +
                        1);
        return n;
    }
};

// For each tap (r, s) calls f(image part, column part), both [N, C, rows, columns] views: what of
// the image [N, C, H, W] lies under the tap, and where it goes in columns [N, C * R * S, blocks].
template <class F>
void each_tap(const Blocks& b, const Tensor& image, const Tensor& columns, const F& f) {
    const Dims& in = image.shape();
    const Dims n = b.counts(in), &is = image.strides();
    for (int64_t r = 0; r < b.kernel[0]; ++r)
        for (int64_t s = 0; s < b.kernel[1]; ++s) {
            const int64_t at[2] = {r, s};
            int64_t lo[2], hi[2], first[2];  // blocks [lo, hi) see the image there, from `first` on
            for (int d = 0; d < 2; ++d) {
                const int64_t shift = at[d] * b.dilation[d] - b.padding[d];
                lo[d] = shift < 0 ? (-shift + b.stride[d] - 1) / b.stride[d] : 0;
                hi[d] = shift < in[2 + d] ? (in[2 + d] - 1 - shift) / b.stride[d] + 1 : 0;
                hi[d] = std::min(hi[d], n[d]);
                first[d] = lo[d] * b.stride[d] + shift;
            }
            if (lo[0] >= hi[0] || lo[1] >= hi[1]) continue;
            const Dims shape{in[0], in[1], hi[0] - lo[0], hi[1] - lo[1]};
            const int64_t taps = b.kernel[0] * b.kernel[1], blocks = n[0] * n[1];
            f(raw_view(image, shape, {is[0], is[1], is[2] * b.stride[0], is[3] * b.stride[1]},
                       image.offset() + first[0] * is[2] + first[1] * is[3]),
              raw_view(columns, shape, {in[1] * taps * blocks, taps * blocks, n[1], 1},
                       columns.offset() + (r * b.kernel[1] + s) * blocks + lo[0] * n[1] + lo[1]));
        }
}

struct Unfold {
    static constexpr OpInfo info{.name = "unfold"};
    Blocks blocks;
    void attributes(auto& v) const { blocks.attributes(v); }
    Tensor forward(const Tensor& x) const {
        const Dims n = blocks.counts(x.shape());
        const int64_t taps = blocks.kernel[0] * blocks.kernel[1];
        const Tensor columns =
            full_raw({x.shape()[0], x.shape()[1] * taps, n[0] * n[1]}, 0, x.dtype(), x.device());
        if (columns.numel() > 0)
            each_tap(blocks, x, columns,
                     [](const Tensor& from, const Tensor& to) { copy_raw(to, from); });
        return columns;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

struct Fold {
    static constexpr OpInfo info{.name = "fold"};
    Blocks blocks;
    Dims out;
    void attributes(auto& v) const {
        blocks.attributes(v);
        v("output_size", out);
    }
    Tensor forward(const Tensor& columns) const {
        const int64_t taps = blocks.kernel[0] * blocks.kernel[1];
        const DType t = compute_dtype(columns.dtype());
        const Tensor x = full_raw({columns.shape()[0], columns.shape()[1] / taps, out[0], out[1]},
                                  0, t, columns.device());
        const Tensor from = cast_contiguous_raw(columns, t);
        if (from.numel() > 0)
            each_tap(blocks, x, from, [](const Tensor& to, const Tensor& part) { add_(to, part); });
        return cast_raw(x, columns.dtype());
    }
    Grads backward(const Ctx&, const Tensor& dx) const { return {apply(Unfold{blocks}, dx)}; }
};

Grads Unfold::backward(const Ctx& c, const Tensor& dy) const {
    return {apply(Fold{blocks, Dims{c.shape(0)[2], c.shape(0)[3]}}, dy)};
}

Blocks make_blocks(const char* op, const Dims& kernel, const Dims& dilation, const Dims& padding,
                   const Dims& stride) {
    return {window_sizes(op, "kernel_size", kernel, 2, 1),
            window_sizes(op, "dilation", dilation, 2, 1),
            window_sizes(op, "padding", padding, 2, 0), window_sizes(op, "stride", stride, 2, 1)};
}

void check_counts(const char* op, const Blocks& b, const Dims& image) {
    for (int d = 0; d < 2; ++d)
        check<ShapeError>(image[2 + d] + 2 * b.padding[d] >= b.dilation[d] * (b.kernel[d] - 1) + 1,
                          op, ": no block of kernel_size ", b.kernel, " (dilation ", b.dilation,
                          ") fits into ", Dims{image[2], image[3]}, " with padding ", b.padding);
}

}  // namespace

Tensor unfold_blocks(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding,
                     const Dims& stride) {
    const char* op = "unfold";
    const Blocks b = make_blocks(op, kernel, dilation, padding, stride);
    check<ShapeError>(x.dim() == 3 || x.dim() == 4, op,
                      ": expected input [N, C, H, W] or [C, H, W], got ", x.shape());
    const Tensor batch = x.dim() == 3 ? unsqueeze(x, 0) : x;
    for (int d = 1; d < 4; ++d)
        check<ShapeError>(batch.shape()[d] > 0, op,
                          ": expected non-empty channels, height and width, got ", x.shape());
    check_counts(op, b, batch.shape());
    const Tensor y = apply(Unfold{b}, batch);
    return x.dim() == 3 ? squeeze(y, {0}) : y;
}

Tensor fold_blocks(const Tensor& columns, const Dims& output_size, const Dims& kernel,
                   const Dims& dilation, const Dims& padding, const Dims& stride) {
    const char* op = "fold";
    const Blocks b = make_blocks(op, kernel, dilation, padding, stride);
    const Dims out = window_sizes(op, "output_size", output_size, 2, 1);
    check<ShapeError>(columns.dim() == 2 || columns.dim() == 3, op,
                      ": expected columns [N, C * R * S, blocks] or [C * R * S, blocks], got ",
                      columns.shape());
    const Tensor batch = columns.dim() == 2 ? unsqueeze(columns, 0) : columns;
    const int64_t taps = b.kernel[0] * b.kernel[1];
    check<ShapeError>(batch.shape()[1] > 0 && batch.shape()[1] % taps == 0, op,
                      ": expected the columns' "
                      "second size to be a multiple of the kernel's (",
                      taps, "), got ", columns.shape());
    const Dims image{batch.shape()[0], batch.shape()[1] / taps, out[0], out[1]};
    check_counts(op, b, image);
    const Dims n = b.counts(image);
    check<ShapeError>(batch.shape()[2] == n[0] * n[1], op, ": expected ", n[0] * n[1], " blocks (",
                      n[0], " x ", n[1], ") for output_size ", out, ", got ", batch.shape()[2],
                      " in ", columns.shape());
    const Tensor x = apply(Fold{b, out}, batch);
    return columns.dim() == 2 ? squeeze(x, {0}) : x;
}

}  // namespace deeplite
