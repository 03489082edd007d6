// Sampling at arbitrary positions, written with gathers and arithmetic, so that gradients to any
// order with respect to input and grid come from the parts.
#include <cmath>

#include "autograd/meta.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/gemm.h"
#include "ops/index.h"
#include "ops/interpolate.h"
#include "ops/iter.h"
#include "ops/join.h"
#include "ops/view.h"

namespace deeplite {
namespace {

Tensor number(double v) { return wrapped_number(v); }

// A coordinate in [-1, 1] as a (fractional) pixel position.
Tensor to_pixels(const Tensor& c, int64_t n, bool align) {
    if (align) return mul(add(c, number(1)), number(double(n - 1) / 2));
    return add(mul(add(c, number(1)), number(double(n) / 2)), number(-0.5));
}

// Folds positions back between low and high, as a mirror does.
Tensor mirror(const Tensor& p, double low, double high) {
    if (high <= low) return mul(p, number(0));
    double span = high - low;
    Tensor away = abs(sub(p, number(low))), turns;
    {
        GradMode no_grad(false);
        turns = floor(div(away, number(span)));
    }
    Tensor rest = sub(away, mul(turns, number(span)));
    Tensor odd = eq(remainder(turns, number(2)), number(1));
    return where(odd, sub(number(high), rest), add(rest, number(low)));
}

Tensor keep_inside(const Tensor& p, int64_t n, const std::string& padding, bool align) {
    if (padding == "zeros") return p;
    Tensor q = p;
    if (padding == "reflection")
        q = align ? mirror(p, 0, double(n - 1)) : mirror(p, -0.5, double(n) - 0.5);
    return clamp(q, 0.0, double(n - 1));
}

// Reads input [N, C, spatial...] at integer positions (one tensor [N, L] per spatial dimension,
// outermost first) -> [N, C, L]; outside is 0.
Tensor read_at(const Tensor& input, const std::vector<Tensor>& at) {
    int64_t n = input.shape()[0], c = input.shape()[1], plane = 1, l = at[0].shape()[1];
    Tensor flat, inside;
    for (size_t i = 0; i < at.size(); ++i) {
        int64_t size = input.shape()[int(i) + 2];
        plane *= size;
        Tensor ok = logical_and(ge(at[i], number(0)), lt(at[i], number(double(size))));
        Tensor safe =
            cast(where(ok, at[i], zeros({}, at[i].dtype(), at[i].device())), DType::Int64);
        flat = flat.defined() ? add(mul(flat, wrapped_number(size)), safe) : safe;
        inside = inside.defined() ? logical_and(inside, ok) : ok;
    }
    Tensor values = gather(reshape(input, {n, c, plane}), 2, expand(unsqueeze(flat, 1), {n, c, l}));
    return mul(values, unsqueeze(cast(inside, input.dtype()), 1));
}

// The 2^d corners around each position, weighted by nearness.
Tensor sample_linear(const Tensor& input, const std::vector<Tensor>& p) {
    std::vector<Tensor> base, frac;
    for (const Tensor& x : p) {
        GradMode no_grad(false);
        base.push_back(floor(x));
    }
    for (size_t i = 0; i < p.size(); ++i) frac.push_back(sub(p[i], base[i]));
    Tensor y;
    for (int corner = 0; corner < 1 << p.size(); ++corner) {
        std::vector<Tensor> at;
        Tensor weight;
        for (size_t i = 0; i < p.size(); ++i) {
            bool far = corner >> i & 1;
            at.push_back(far ? add(base[i], number(1)) : base[i]);
            Tensor w = far ? frac[i] : sub(number(1), frac[i]);
            weight = weight.defined() ? mul(weight, w) : w;
        }
        Tensor part = mul(read_at(input, at), unsqueeze(weight, 1));
        y = y.defined() ? add(y, part) : part;
    }
    return y;
}

Tensor sample_nearest(const Tensor& input, const std::vector<Tensor>& p) {
    std::vector<Tensor> at;
    for (const Tensor& x : p) at.push_back(round(detach(x)));
    return read_at(input, at);
}

// Keys's kernel with A = -0.75 at distance d + k, as a polynomial in d.
Tensor cubic_weight(const Tensor& d, int k) {
    constexpr double a = -0.75;
    auto inner = [&](const Tensor& x) {  // |x| <= 1
        Tensor t = add(mul(x, number(a + 2)), number(-(a + 3)));
        return add(mul(mul(t, x), x), number(1));
    };
    auto outer = [&](const Tensor& x) {  // 1 < |x| < 2
        Tensor t = add(mul(x, number(a)), number(-5 * a));
        t = add(mul(t, x), number(8 * a));
        return add(mul(t, x), number(-4 * a));
    };
    switch (k) {
        case 0:
            return outer(add(d, number(1)));
        case 1:
            return inner(d);
        case 2:
            return inner(sub(number(1), d));
        default:
            return outer(sub(number(2), d));
    }
}

Tensor sample_cubic(const Tensor& input, const std::vector<Tensor>& p, const std::string& padding,
                    bool align) {
    std::vector<Tensor> base, frac;
    for (const Tensor& x : p) {
        GradMode no_grad(false);
        base.push_back(floor(x));
    }
    for (size_t i = 0; i < p.size(); ++i) frac.push_back(sub(p[i], base[i]));
    Tensor y;
    for (int k = 0; k < 16; ++k) {
        int tap[2] = {k / 4, k % 4};
        std::vector<Tensor> at;
        Tensor weight;
        for (size_t i = 0; i < 2; ++i) {
            GradMode no_grad(false);
            at.push_back(round(keep_inside(add(base[i], number(tap[i] - 1)),
                                           input.shape()[int(i) + 2], padding, align)));
        }
        weight = mul(cubic_weight(frac[0], tap[0]), cubic_weight(frac[1], tap[1]));
        Tensor part = mul(read_at(input, at), unsqueeze(weight, 1));
        y = y.defined() ? add(y, part) : part;
    }
    return y;
}

}  // namespace

Tensor grid_sample(const Tensor& input, const Tensor& grid, const std::string& mode,
                   const std::string& padding, bool align) {
    check_same_device("grid_sample", {&input, &grid});
    check<ValueError>(mode == "bilinear" || mode == "nearest" || mode == "bicubic",
                      "grid_sample: mode must be bilinear, nearest or bicubic, got '", mode, "'");
    check<ValueError>(padding == "zeros" || padding == "border" || padding == "reflection",
                      "grid_sample: padding_mode must be zeros, border or reflection, got '",
                      padding, "'");
    int d = input.dim() - 2;
    check<ShapeError>((d == 2 || d == 3) && grid.dim() == input.dim(),
                      "grid_sample: expected input and grid with 4 or 5 dimensions, got ",
                      input.shape(), " and ", grid.shape());
    check<ShapeError>(grid.shape()[0] == input.shape()[0] && grid.shape().back() == d,
                      "grid_sample: grid ", grid.shape(), " must have the batch size of input ",
                      input.shape(), " and a last dimension of ", d);
    check<Error>(mode != "bicubic" || d == 2, "grid_sample: bicubic needs 4 dimensions, got ",
                 input.shape());
    check<TypeError>(input.dtype() == grid.dtype() && input.is_floating(),
                     "grid_sample: input and grid must have one floating dtype, got ",
                     input.dtype(), " and ", grid.dtype());
    DType t = compute_dtype(input.dtype());
    int64_t n = input.shape()[0], l = 1;
    Dims shape{n, input.shape()[1]};
    for (int i = 1; i <= d; ++i) {
        shape.push_back(grid.shape()[i]);
        l *= grid.shape()[i];
    }
    for (int i = 2; i < input.dim(); ++i)
        check<ShapeError>(input.shape()[i] > 0, "grid_sample: empty spatial dimensions in ",
                          input.shape());
    Tensor x = cast(input, t), g = reshape(cast(grid, t), {n, l, d});
    std::vector<Tensor> p;  // outermost spatial dimension first; the grid stores x first
    for (int i = 0; i < d; ++i) {
        int64_t size = input.shape()[i + 2];
        Tensor q = to_pixels(select(g, 2, d - 1 - i), size, align);
        p.push_back(mode == "bicubic" ? q : keep_inside(q, size, padding, align));
    }
    Tensor y = mode == "nearest"    ? sample_nearest(x, p)
               : mode == "bilinear" ? sample_linear(x, p)
                                    : sample_cubic(x, p, padding, align);
    return cast(reshape(y, shape), input.dtype());
}

Tensor affine_grid(const Tensor& theta, const std::vector<int64_t>& size, bool align) {
    int d = int(size.size()) - 2;
    check<NotImplementedError>(d == 2 || d == 3, "affine_grid: size must have 4 or 5 entries, got ",
                               size.size());
    for (int64_t s : size) check<ValueError>(s > 0, "affine_grid: size must be positive, got ", s);
    check<ShapeError>(theta.shape() == Dims({size[0], d, d + 1}),
                      "affine_grid: theta must have shape ", Dims({size[0], d, d + 1}), ", got ",
                      theta.shape());
    check<TypeError>(theta.is_floating(), "affine_grid: theta must have a floating dtype, got ",
                     theta.dtype());
    TensorList axes;  // outermost first
    for (int i = 0; i < d; ++i) {
        int64_t n = size[size_t(i) + 2];
        double edge = align ? 1.0 : 1.0 - 1.0 / double(n);
        axes.push_back(n == 1 ? zeros({1}, theta.dtype(), theta.device())
                              : linspace(-edge, edge, n, theta.dtype(), theta.device()));
    }
    TensorList grids = meshgrid(axes), columns;
    Dims shape{size[0]};
    for (int i = 0; i < d; ++i) {
        shape.push_back(size[size_t(i) + 2]);
        columns.push_back(reshape(grids[size_t(d - 1 - i)], {-1}));
    }
    columns.push_back(ones({columns[0].numel()}, theta.dtype(), theta.device()));
    shape.push_back(d);
    // [1, L, d + 1] x [N, d + 1, d] -> [N, L, d]
    return reshape(matmul(unsqueeze(stack(columns, 1), 0), transpose(theta, 1, 2)), shape);
}

}  // namespace deeplite
