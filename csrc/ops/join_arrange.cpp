// Rearrangements written with views, copies and index ops: grids, shuffles of channels and pixels,
// blocks.
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/iter.h"
#include "ops/join.h"
#include "ops/view.h"

namespace deeplite {

TensorList meshgrid(const TensorList& tensors, const std::string& indexing) {
    check<Error>(!tensors.empty(), "meshgrid: expected a non-empty list of tensors");
    check<Error>(indexing == "ij" || indexing == "xy",
                 "meshgrid: indexing must be 'ij' or 'xy', got '", indexing, "'");
    int n = int(tensors.size());
    Dims shape;
    for (const Tensor& t : tensors) {
        check<ShapeError>(t.dim() <= 1, "meshgrid: expected 0-dim or 1-dim tensors, got shape ",
                          t.shape());
        check<Error>(t.dtype() == tensors[0].dtype(),
                     "meshgrid: expected tensors of one dtype, got ", tensors[0].dtype(), " and ",
                     t.dtype());
        shape.push_back(t.numel());
    }
    bool swap = indexing == "xy" && n >= 2;
    TensorList out;
    for (int i = 0; i < n; ++i) {
        Dims own = Dims::filled(n, 1);
        own[i] = shape[i];
        Tensor grid = expand(reshape(tensors[size_t(i)], own), shape);
        out.push_back(swap ? transpose(grid, 0, 1) : grid);
    }
    return out;
}

Tensor cartesian_prod(const TensorList& tensors) {
    check<Error>(!tensors.empty(), "cartesian_prod: expected a non-empty list of tensors");
    for (const Tensor& t : tensors)
        check<ShapeError>(t.dim() == 1, "cartesian_prod: expected 1-dim tensors, got shape ",
                          t.shape());
    if (tensors.size() == 1) return tensors[0];
    TensorList columns;
    for (const Tensor& grid : meshgrid(tensors)) columns.push_back(reshape(grid, {-1}));
    return stack(columns, 1);
}

Tensor combinations(const Tensor& x, int64_t r, bool with_replacement) {
    check<ShapeError>(x.dim() == 1, "combinations: expected a 1-dim tensor, got shape ", x.shape());
    check<Error>(r >= 0, "combinations: r must not be negative, got ", r);
    if (r == 0) return empty({0}, x.dtype(), x.device());
    int64_t n = x.numel();
    std::vector<int64_t> pick, all;
    for (int64_t i = 0; i < r; ++i) pick.push_back(with_replacement ? 0 : i);
    bool more = with_replacement ? n > 0 : r <= n;
    while (more) {
        all.insert(all.end(), pick.begin(), pick.end());
        int64_t i = r - 1;  // the last place that can still advance
        while (i >= 0 && pick[size_t(i)] == (with_replacement ? n - 1 : n - r + i)) --i;
        if (i < 0) break;
        int64_t next = ++pick[size_t(i)];
        for (int64_t j = i + 1; j < r; ++j) pick[size_t(j)] = with_replacement ? next : ++next;
    }
    Tensor at = empty({int64_t(all.size())}, DType::Int64);
    std::copy(all.begin(), all.end(), at.data<int64_t>());
    return reshape(index_select(x, 0, to_device_raw(at, x.device())), {int64_t(all.size()) / r, r});
}

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
    check<ShapeError>(x.dim() >= 3, "pixel_shuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check<Error>(r > 0, "pixel_shuffle: upscale_factor must be positive, got ", r);
    int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check<ShapeError>(c % (r * r) == 0, "pixel_shuffle: the number of channels ", c,
                      " must be divisible by the square of upscale_factor ", r);
    int64_t n = 1;
    Dims shape;
    for (int d = 0; d < x.dim() - 3; ++d) {
        n *= x.shape()[d];
        shape.push_back(x.shape()[d]);
    }
    for (int64_t s : {c / (r * r), h * r, w * r}) shape.push_back(s);
    // [N, C, r, r, H, W] -> [N, C, H, r, W, r]
    return reshape(permute(reshape(x, {n, c / (r * r), r, r, h, w}), {0, 1, 4, 2, 5, 3}), shape);
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
    check<ShapeError>(x.dim() >= 3, "pixel_unshuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check<Error>(r > 0, "pixel_unshuffle: downscale_factor must be positive, got ", r);
    int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check<ShapeError>(h % r == 0 && w % r == 0, "pixel_unshuffle: height ", h, " and width ", w,
                      " must be divisible by downscale_factor ", r);
    int64_t n = 1;
    Dims shape;
    for (int d = 0; d < x.dim() - 3; ++d) {
        n *= x.shape()[d];
        shape.push_back(x.shape()[d]);
    }
    for (int64_t s : {c * r * r, h / r, w / r}) shape.push_back(s);
    // [N, C, H, r, W, r] -> [N, C, r, r, H, W]
    return reshape(permute(reshape(x, {n, c, h / r, r, w / r, r}), {0, 1, 3, 5, 2, 4}), shape);
}

Tensor channel_shuffle(const Tensor& x, int64_t groups) {
    check<ShapeError>(x.dim() >= 3, "channel_shuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check<Error>(groups > 0, "channel_shuffle: groups must be positive, got ", groups);
    int64_t n = x.shape()[0], c = x.shape()[1];
    check<ShapeError>(c % groups == 0, "channel_shuffle: the number of channels ", c,
                      " must be divisible by groups ", groups);
    int64_t rest = 1;
    for (int d = 2; d < x.dim(); ++d) rest *= x.shape()[d];
    return reshape(transpose(reshape(x, {n, groups, c / groups, rest}), 1, 2), x.shape());
}

namespace {

struct Blocks {
    int64_t kh, kw, rows, cols, h, w;  // kernel, blocks along H and W, padded plane
    Tensor places;                     // [kh * kw * rows * cols] positions in the padded plane
};

Blocks blocks_of(const char* op, int64_t h, int64_t w, const Dims& kernel, const Dims& dilation,
                 const Dims& padding, const Dims& stride, Device device) {
    for (const Dims* d : {&kernel, &dilation, &stride})
        check<Error>(d->size() == 2 && (*d)[0] > 0 && (*d)[1] > 0, op,
                     ": kernel_size, dilation and stride must be positive, got ", kernel, ", ",
                     dilation, ", ", stride);
    check<Error>(padding.size() == 2 && padding[0] >= 0 && padding[1] >= 0, op,
                 ": padding must not be negative, got ", padding);
    Blocks b{kernel[0], kernel[1], 0, 0, h + 2 * padding[0], w + 2 * padding[1], {}};
    b.rows = b.h < dilation[0] * (b.kh - 1) + 1
                 ? 0
                 : (b.h - dilation[0] * (b.kh - 1) - 1) / stride[0] + 1;
    b.cols = b.w < dilation[1] * (b.kw - 1) + 1
                 ? 0
                 : (b.w - dilation[1] * (b.kw - 1) - 1) / stride[1] + 1;
    check<ShapeError>(b.rows > 0 && b.cols > 0, op, ": kernel ", kernel, " with dilation ",
                      dilation, " does not fit the padded plane [", b.h, ", ", b.w, "]");
    Tensor places = empty({b.kh * b.kw * b.rows * b.cols}, DType::Int64);
    int64_t* p = places.data<int64_t>();
    for (int64_t i = 0; i < b.kh; ++i)
        for (int64_t j = 0; j < b.kw; ++j)
            for (int64_t r = 0; r < b.rows; ++r)
                for (int64_t c = 0; c < b.cols; ++c)
                    *p++ =
                        (i * dilation[0] + r * stride[0]) * b.w + j * dilation[1] + c * stride[1];
    b.places = to_device_raw(places, device);
    return b;
}

}  // namespace

Tensor im2col(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding,
              const Dims& stride) {
    check<ShapeError>(x.dim() == 3 || x.dim() == 4,
                      "unfold: expected an input [N, C, H, W] or [C, H, W], got shape ", x.shape());
    for (int d = x.dim() == 4; d < x.dim(); ++d)
        check<ShapeError>(x.shape()[d] > 0, "unfold: only the batch may be empty, got shape ",
                          x.shape());
    if (x.dim() == 3)
        return squeeze(im2col(unsqueeze(x, 0), kernel, dilation, padding, stride), {0});
    int64_t n = x.shape()[0], c = x.shape()[1];
    Blocks b = blocks_of("unfold", x.shape()[2], x.shape()[3], kernel, dilation, padding, stride,
                         x.device());
    Tensor plane = padding[0] || padding[1]
                       ? constant_pad(x, {padding[1], padding[1], padding[0], padding[0]})
                       : x;
    Tensor columns = index_select(reshape(plane, {n, c, b.h * b.w}), 2, b.places);
    return reshape(columns, {n, c * b.kh * b.kw, b.rows * b.cols});
}

Tensor col2im(const Tensor& x, const Dims& output, const Dims& kernel, const Dims& dilation,
              const Dims& padding, const Dims& stride) {
    check<ShapeError>(
        x.dim() == 2 || x.dim() == 3,
        "fold: expected an input [N, C * kernel elements, L] or without N, got shape ", x.shape());
    for (int d = x.dim() == 3; d < x.dim(); ++d)
        check<ShapeError>(x.shape()[d] > 0, "fold: only the batch may be empty, got shape ",
                          x.shape());
    if (x.dim() == 2)
        return squeeze(col2im(unsqueeze(x, 0), output, kernel, dilation, padding, stride), {0});
    Blocks b =
        blocks_of("fold", output[0], output[1], kernel, dilation, padding, stride, x.device());
    int64_t n = x.shape()[0], k = b.kh * b.kw;
    check<ShapeError>(x.shape()[1] % k == 0, "fold: size ", x.shape()[1],
                      " of dimension 1 must be divisible by the number of kernel elements ", k);
    check<ShapeError>(x.shape()[2] == b.rows * b.cols, "fold: size ", x.shape()[2],
                      " of dimension 2 must be the number of blocks ", b.rows, " * ", b.cols, " = ",
                      b.rows * b.cols);
    int64_t c = x.shape()[1] / k;
    Tensor plane = index_add(zeros({n, c, b.h * b.w}, x.dtype(), x.device()), 2, b.places,
                             reshape(x, {n, c, k * b.rows * b.cols}));
    plane = reshape(plane, {n, c, b.h, b.w});
    if (!padding[0] && !padding[1]) return plane;
    return constant_pad(plane, {-padding[1], -padding[1], -padding[0], -padding[0]});
}

}  // namespace deeplite
