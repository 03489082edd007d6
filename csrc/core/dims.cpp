#include "core/dims.h"

#include <ostream>

namespace deeplite {

std::ostream& operator<<(std::ostream& out, const Dims& d) {
    out << '[';
    for (int i = 0; i < d.size(); ++i) out << (i ? ", " : "") << d[i];
    return out << ']';
}

int64_t checked_numel(const Dims& shape, const char* op) {
    int64_t n = 1;
    bool overflow = false;
    for (int i = 0; i < shape.size(); ++i) {
        check<ShapeError>(shape[i] >= 0, op, ": size of dimension ", i, " is negative in shape ",
                          shape);
        overflow |= __builtin_mul_overflow(n, std::max<int64_t>(shape[i], 1), &n);
    }
    check<ShapeError>(!overflow, op, ": number of elements of shape ", shape, " overflows 64 bits");
    for (int64_t s : shape)
        if (s == 0) return 0;
    return n;
}

Dims contiguous_strides(const Dims& shape) {
    Dims strides = shape;
    int64_t step = 1;
    for (int i = shape.size() - 1; i >= 0; --i) {
        strides[i] = step;
        step *= std::max<int64_t>(shape[i], 1);
    }
    return strides;
}

int wrap_dim(int64_t dim, int64_t ndim, const char* op) {
    int64_t n = std::max<int64_t>(ndim, 1);
    check<IndexError>(dim >= -n && dim < n, op, ": dimension out of range (expected to be in [", -n,
                      ", ", n - 1, "], got ", dim, ")");
    return int(dim < 0 ? dim + n : dim);
}

Dims wrap_dims(const Dims& dims, int64_t ndim, const char* op, bool all_if_empty) {
    Dims out;
    if (dims.empty() && all_if_empty) {
        for (int64_t i = 0; i < ndim; ++i) out.push_back(i);
        return out;
    }
    for (int64_t d : dims) {
        int w = wrap_dim(d, ndim, op);
        check<Error>(!out.contains(w), op, ": dim ", d,
                     " appears multiple times in the list of dims");
        out.push_back(w);
    }
    if (ndim == 0) return {};  // a 0-d tensor has nothing to name
    std::sort(out.begin(), out.end());
    return out;
}

Dims broadcast_shapes(const Dims& a, const Dims& b, const char* op) {
    if (a == b) return a;
    const Dims& longer = a.size() >= b.size() ? a : b;
    const Dims& shorter = a.size() >= b.size() ? b : a;
    Dims out = longer;
    int shift = longer.size() - shorter.size();
    for (int i = shift; i < longer.size(); ++i) {
        int64_t x = longer[i], y = shorter[i - shift];
        if (x == y || y == 1) continue;
        check<ShapeError>(x == 1, op, ": shapes ", a, " and ", b, " do not broadcast: size ",
                          a.size() >= b.size() ? x : y, " must match size ",
                          a.size() >= b.size() ? y : x, " at dimension ", i);
        out[i] = y;
    }
    return out;
}

}  // namespace deeplite
