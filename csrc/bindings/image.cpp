// Pictures: what deeplite.data.transforms is made of. Private names; the GIL is released for all but
// very small pictures (function.h), so loader threads work side by side.
#include "ops/image.h"

#include "bindings/bindings.h"

namespace deeplite {
namespace {
using Numbers = std::vector<double>;
}

void bind_image(Api& api) {
    api.fn("_image_resize(input, height, width, filter, antialias=True)", &image_resize);
    api.fn("_image_warp(input, matrix, height, width, bilinear, fill)", &image_warp);
    api.fn("_image_warp_map(input, positions, bilinear, fill)", &image_warp_map);
    api.fn("_image_blur(input, rows, columns)", &image_blur);
    api.fn("_image_linear(input, scale, shift)", &image_linear);
    api.fn("_image_gray_blend(input, factor)", &image_gray_blend);
    api.fn("_image_hue(input, turns)", &image_hue);
    api.fn("_image_gray_mean(input)", &image_gray_mean);
    api.fn(
        "_image_to_planes(input, divisor, mean=None, std=None, mirror_rows=False, "
        "mirror_columns=False)",
        [](const Tensor& x, double divisor, std::optional<Numbers> mean, std::optional<Numbers> std,
           bool mirror_rows, bool mirror_columns) {
            return image_to_planes(x, divisor, mean.value_or(Numbers{}), std.value_or(Numbers{}),
                                   mirror_rows, mirror_columns);
        });
}

}  // namespace deeplite
