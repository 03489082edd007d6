// as_strided with its gradient, and what in-place changes of views need from it (see rebase_history).
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

struct Geometry {
    Dims shape, strides;
    int64_t offset;
    void attributes(auto& v) const {
        v("shape", shape);
        v("strides", strides);
        v("offset", offset);
    }
    Tensor of(const Tensor& x) const { return raw_view(x, shape, strides, offset); }
    int64_t extent() const {  // elements of storage from 0 to the last one reached
        int64_t last = offset;
        for (int i = 0; i < shape.size(); ++i) {
            if (shape[i] == 0) return 0;
            last += (shape[i] - 1) * strides[i];
        }
        return last + 1;
    }
};

// buffer[geometry] += dy where the view may reach an element several times: dimensions of stride 0 are
// summed, and what still overlaps is added slice by slice.
void accumulate(const Tensor& view, const Tensor& dy) {
    if (!has_overlap(view)) {
        add_(view, dy);
        return;
    }
    for (int d = 0; d < view.dim(); ++d)
        if (view.shape()[d] > 1) {
            for (int64_t i = 0; i < view.shape()[d]; ++i)
                accumulate(select(view, d, i), select(dy, d, i));
            return;
        }
}

struct AsStrided;
struct AsStridedBackward {
    static constexpr OpInfo info{.name = "as_strided_backward"};
    Geometry view, base;
    void attributes(auto& v) const {
        view.attributes(v);
        base.attributes(v);
    }
    Tensor forward(const Tensor& dy) const {
        int64_t n = std::max(view.extent(), base.extent());
        Tensor buffer = full_raw({n}, 0, dy.dtype(), dy.device());
        Geometry g = view;
        Tensor sum = dy;
        for (int d = g.shape.size() - 1; d >= 0; --d)
            if (g.strides[d] == 0 && g.shape[d] > 1) {
                sum = deeplite::sum(sum, Dims{d}, /*keepdim=*/true);
                g.shape[d] = 1;
            }
        accumulate(g.of(buffer), sum);
        return base.of(buffer);
    }
    Grads backward(const Ctx&, const Tensor& ddx) const;
};

struct AsStrided {
    static constexpr OpInfo info{.name = "as_strided", .view = true};
    Geometry view, base;  // base: of the input, which the backward needs
    void attributes(auto& v) const { view.attributes(v); }
    Tensor forward(const Tensor& x) const { return view.of(x); }
    Grads backward(const Ctx&, const Tensor& dy) const {
        return {apply(AsStridedBackward{view, base}, dy)};
    }
};

Tensor with_geometry(const Tensor& x, const Geometry& g) {  // a copy of x laid out as g
    Tensor buffer = full({std::max<int64_t>(g.extent(), 1)}, 0, x.dtype(), x.device());
    Tensor out = as_strided(buffer, g.shape, g.strides, g.offset);
    copy_(out, x);
    return out;
}

Grads AsStridedBackward::backward(const Ctx&, const Tensor& ddx) const {
    Tensor laid_out = with_geometry(ddx, base);
    return {as_strided(laid_out, view.shape, view.strides, view.offset)};
}

Geometry geometry_of(const Tensor& t, int64_t origin = 0) {
    return {t.shape(), t.strides(), t.offset() - origin};
}

// The new history of a base after one of its views was changed in place by `inner`: what flows to the
// view's place goes through inner, the rest through to the base's old history.
class CopySlices final : public Node {
 public:
    CopySlices(const Tensor& base, const Tensor& view, Ref<Node> inner)
        : base_(geometry_of(base, base.offset())),
          view_(geometry_of(view, base.offset())),
          inner_(std::move(inner)) {
        outputs.push_back(TensorInfo(base));
        edges.push_back(gradient_edge(base));
        for (int i = 1; i < inner_->edges.size(); ++i) edges.push_back(inner_->edges[i]);
    }
    std::string name() const override { return "CopySlices"; }
    void release_saved() override { inner_->release_saved(); }
    Grads apply(Grads dys) override {
        Tensor whole = with_geometry(dys[0], base_);
        Tensor part = as_strided(whole, view_.shape, view_.strides, view_.offset);
        Grads inner_dys;
        inner_dys.push_back(clone(part));
        Grads g = inner_->apply(std::move(inner_dys));
        g.resize(std::max(g.size(), 1));
        if (edges[0]) {
            if (g[0].defined())
                copy_(part, g[0]);
            else
                fill_(part, 0.0);
            g[0] = whole;
        } else {
            g[0] = {};
        }
        return g;
    }

 private:
    Geometry base_, view_;  // relative to the base's first element
    Ref<Node> inner_;
};

Tensor clone_of(const Tensor& x) { return clone(x); }
Tensor add_two(const Tensor& a, const Tensor& b) { return add(a, b); }
void add_into(const Tensor& acc, const Tensor& b) {
    GradMode off(false);
    add_(acc, b);
}
Tensor make_zeros(const Dims& s, DType t, Device d) { return full(s, 0, t, d); }
Tensor make_ones(const Dims& s, DType t, Device d) { return full(s, 1, t, d); }
Tensor regenerate(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset) {
    return as_strided(x, shape, strides, offset);
}
Ref<Node> make_copy_slices(const Tensor& base, const Tensor& view, Ref<Node> inner) {
    return Ref<Node>(new CopySlices(base, view, std::move(inner)));
}
bool has_nan(const Tensor& x) {
    if (x.numel() == 0) return false;
    GradMode off(false);
    Tensor s = to_device_raw(sum(cast_raw(x, compute_dtype(x.dtype())), {}, false), Device{});
    if (load_double(s.raw(), s.dtype()) == load_double(s.raw(), s.dtype())) return false;
    Tensor nan =
        to_device_raw(cast_raw(ne(x, x), DType::Float64), Device{});  // inf - inf is no NaN of x
    Tensor n = sum(nan, {}, false);
    return *n.data<double>() > 0;
}

}  // namespace

Tensor as_strided(const Tensor& x, const Dims& shape, const Dims& strides,
                  std::optional<int64_t> offset) {
    return apply(AsStrided{{shape, strides, offset.value_or(x.offset())}, geometry_of(x)}, x);
}

void install_grad_ops() {
    grad_ops() = {.add = add_two,
                  .add_into = add_into,
                  .zeros = make_zeros,
                  .ones = make_ones,
                  .clone = clone_of,
                  .cast = cast,
                  .as_strided = regenerate,
                  .copy_slices = make_copy_slices,
                  .has_nan = has_nan};
}

}  // namespace deeplite
