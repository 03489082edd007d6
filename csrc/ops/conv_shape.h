// Sizes of sliding windows (stride, padding, kernel, ...): read, checked and spread over
// dimensions.
#pragma once
#include "core/tensor.h"

namespace deeplite {

// One value for all `spatial` dimensions or one for each, none below `least` (0 or 1). ShapeError
// names op and parameter.
inline Dims window_sizes(const char* op, const char* what, const Dims& v, int spatial,
                         int64_t least) {
    check<ShapeError>(v.size() == 1 || v.size() == spatial, op, ": expected ", what,
                      " to be one number or ", spatial, ", got ", v);
    const Dims sizes = v.size() == spatial ? v : Dims::filled(spatial, v[0]);
    for (int64_t s : sizes) {
        check<ShapeError>(s >= least, op, ": ", least ? "non-positive " : "negative ", what,
                          " is not supported, got ", v);
        check<ShapeError>(s < (int64_t(1) << 31), op, ": ", what, " is too large, got ", v);
    }
    return sizes;
}

}  // namespace deeplite
