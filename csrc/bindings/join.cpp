#include "ops/join.h"

#include "bindings/bindings.h"
#include "ops/interpolate.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

using OptInt = std::optional<int64_t>;

// indices_or_sections as a tensor: a number or a list of positions.
TensorList tensor_split_by(const Tensor& x, const Tensor& t, int64_t dim) {
    check<TypeError>(is_integral(t.dtype()) && t.dim() <= 1,
                     "tensor_split: indices_or_sections must be an integer tensor with at most 1 "
                     "dimension, got ",
                     describe(t));
    Tensor host = to_device_raw(cast_contiguous_raw(t, DType::Int64), Device{});
    const int64_t* p = host.data<int64_t>();
    if (t.dim() == 0) return tensor_split(x, *p, dim);
    return tensor_split(x, std::vector<int64_t>(p, p + host.numel()), dim);
}

int64_t hsplit_dim(const char* op, const Tensor& x, int least, int dim) {
    check<ShapeError>(x.dim() >= least, op, ": expected at least ", least,
                      " dimensions, got shape ", x.shape());
    return x.dim() == 1 ? 0 : dim;
}
void check_sections(const char* op, const Tensor& x, int64_t dim, int64_t sections) {
    check<Error>(sections > 0 && x.size(dim) % sections == 0, op, ": size ", x.size(dim),
                 " of dimension ", dim, " is not divisible by ", sections, " sections");
}

template <int least, int dim>
void bind_xsplit(Api& api, const char* by_number, const char* by_list) {
    static constexpr const char* op = least == 1 ? "hsplit" : least == 2 ? "vsplit" : "dsplit";
    api.both(by_number, [](const Tensor& x, int64_t sections) {
        int64_t d = hsplit_dim(op, x, least, dim);
        check_sections(op, x, d, sections);
        return tensor_split(x, sections, d);
    });
    api.both(by_list, [](const Tensor& x, const std::vector<int64_t>& indices) {
        return tensor_split(x, indices, hsplit_dim(op, x, least, dim));
    });
}

void bind_joining(Api& api) {
    api.fn("cat(tensors, dim=0)", &concat);
    api.alias("concat", "cat");
    api.alias("concatenate", "cat");
    api.fn("stack(tensors, dim=0)", &stack);
    api.fn("hstack(tensors)", &hstack);
    api.fn("vstack(tensors)", &vstack);
    api.alias("row_stack", "vstack");
    api.fn("dstack(tensors)", &dstack);
    api.fn("column_stack(tensors)", &column_stack);
    api.fn("block_diag(*tensors)", &block_diag);
    api.fn("meshgrid(*tensors, indexing='ij')", &meshgrid);
    api.fn("cartesian_prod(*tensors)", &cartesian_prod);
    api.fn("combinations(input, r=2, with_replacement=False)", &combinations);

    auto split_number = [](const Tensor& x, int64_t size, int64_t dim) {
        return split(x, size, dim);
    };
    auto split_list = [](const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
        return split_with_sizes(x, sizes, dim);
    };
    api.fn("split(tensor, split_size_or_sections, dim=0)", split_number);
    api.fn("split(tensor, split_size_or_sections, dim=0)", split_list);
    api.method("split(self, split_size, dim=0)", split_number);
    api.method("split(self, split_size, dim=0)", split_list);
    api.both("split_with_sizes(input, split_sizes, dim=0)", split_list);
    api.both("chunk(input, chunks, dim=0)", &chunk);
    api.both("tensor_split(input, sections, dim=0)",
             [](const Tensor& x, int64_t sections, int64_t dim) {
                 return tensor_split(x, sections, dim);
             });
    api.both("tensor_split(input, indices, dim=0)",
             [](const Tensor& x, const std::vector<int64_t>& at, int64_t dim) {
                 return tensor_split(x, at, dim);
             });
    api.both("tensor_split(input, indices_or_sections, dim=0)", &tensor_split_by);
    bind_xsplit<1, 1>(api, "hsplit(input, sections)", "hsplit(input, indices)");
    bind_xsplit<2, 0>(api, "vsplit(input, sections)", "vsplit(input, indices)");
    bind_xsplit<3, 2>(api, "dsplit(input, sections)", "dsplit(input, indices)");
}

void bind_moving(Api& api) {
    api.both("roll(input, shifts, dims=None)",
             [](const Tensor& x, const Dims& shifts, std::optional<Dims> dims) {
                 return roll(x, shifts, dims.value_or(Dims{}));
             });
    api.fn("flip(input, dims)", &flip);
    api.method("flip(self, *dims)", &flip);
    api.both("fliplr(input)", [](const Tensor& x) {
        check<ShapeError>(x.dim() >= 2, "fliplr: expected at least 2 dimensions, got shape ",
                          x.shape());
        return flip(x, {1});
    });
    api.both("flipud(input)", [](const Tensor& x) {
        check<ShapeError>(x.dim() >= 1, "flipud: expected at least 1 dimension, got shape ",
                          x.shape());
        return flip(x, {0});
    });
    api.both("rot90(input, k=1, dims=(0, 1))", &rot90);
    api.method("repeat(self, *repeats)", &repeat);
    api.fn("tile(input, dims)", &tile);
    api.method("tile(self, *dims)", &tile);
    api.both("repeat_interleave(input, repeats, dim=None, *, output_size=None)",
             [](const Tensor& x, int64_t repeats, OptInt dim, OptInt) {
                 return repeat_interleave(x, repeats, dim);
             });
    api.both("repeat_interleave(input, repeats, dim=None, *, output_size=None)",
             [](const Tensor& x, const Tensor& repeats, OptInt dim, OptInt size) {
                 return repeat_interleave(x, repeats, dim, size);
             });
    api.fn("repeat_interleave(repeats, *, output_size=None)",
           [](const Tensor& repeats, OptInt size) {
               check<ShapeError>(repeats.dim() == 1,
                                 "repeat_interleave: repeats must have 1 dimension, got shape ",
                                 repeats.shape());
               Tensor places = empty({repeats.numel()}, DType::Int64);
               for (int64_t i = 0; i < repeats.numel(); ++i) places.data<int64_t>()[i] = i;
               return repeat_interleave(to_device_raw(places, repeats.device()), repeats, 0, size);
           });
}

void bind_matrices(Api& api) {
    api.both("tril(input, diagonal=0)", &tril);
    api.both("triu(input, diagonal=0)", &triu);
    api.method("tril_(self, diagonal=0)", &tril_);
    api.method("triu_(self, diagonal=0)", &triu_);
    api.fn("tril_indices(row, col, offset=0, *, dtype=None, device=None)",
           [](int64_t row, int64_t col, int64_t offset, std::optional<DType> dtype,
              std::optional<Device> device) {
               return triangle_indices(false, row, col, offset, dtype.value_or(DType::Int64),
                                       device.value_or(Device{}));
           });
    api.fn("triu_indices(row, col, offset=0, *, dtype=None, device=None)",
           [](int64_t row, int64_t col, int64_t offset, std::optional<DType> dtype,
              std::optional<Device> device) {
               return triangle_indices(true, row, col, offset, dtype.value_or(DType::Int64),
                                       device.value_or(Device{}));
           });
    api.both("diag(input, diagonal=0)", &diag);
    api.both("diag_embed(input, offset=0, dim1=-2, dim2=-1)", &diag_embed);
    api.both("diagflat(input, offset=0)", &diagflat);
}

void bind_images(Api& api) {
    api.nn("pad(input, pad, mode='constant', value=None)",
           [](const Tensor& x, const std::vector<int64_t>& p, const std::string& mode,
              std::optional<double> value) { return pad(x, p, mode, value.value_or(0)); });
    for (auto [shuffle, unshuffle, channels] : {std::tuple{
             "pixel_shuffle(input, upscale_factor)", "pixel_unshuffle(input, downscale_factor)",
             "channel_shuffle(input, groups)"}}) {
        api.fn(shuffle, &pixel_shuffle);
        api.nn(shuffle, &pixel_shuffle);
        api.fn(unshuffle, &pixel_unshuffle);
        api.nn(unshuffle, &pixel_unshuffle);
        api.fn(channels, &channel_shuffle);
        api.nn(channels, &channel_shuffle);
    }
    api.nn(
        "interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
        "recompute_scale_factor=None, antialias=False)",
        [](const Tensor& x, std::optional<Dims> size, std::optional<std::vector<double>> scale,
           const std::string& mode, std::optional<bool> align, std::optional<bool> recompute,
           bool antialias) {
            std::vector<int64_t> s;
            if (size) s.assign(size->begin(), size->end());
            return interpolate(x, s, scale.value_or(std::vector<double>{}), mode, align,
                               recompute.value_or(false), antialias);
        });
    api.nn("grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=None)",
           [](const Tensor& x, const Tensor& grid, const std::string& mode,
              const std::string& padding, std::optional<bool> align) {
               return grid_sample(x, grid, mode, padding, align.value_or(false));
           });
    api.nn("affine_grid(theta, size, align_corners=None)",
           [](const Tensor& theta, const std::vector<int64_t>& size, std::optional<bool> align) {
               return affine_grid(theta, size, align.value_or(false));
           });
}

}  // namespace

void bind_join(Api& api) {
    bind_joining(api);
    bind_moving(api);
    bind_matrices(api);
    bind_images(api);
}

}  // namespace deeplite
