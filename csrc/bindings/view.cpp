#include "ops/view.h"

#include "bindings/bindings.h"
#include "bindings/pybind.h"

namespace deeplite {
namespace {

// One dim or two, as torch spells the same function.
Tensor move_one(const Tensor& x, const Dims& source, const Dims& destination) {
    return movedim(x, source, destination);
}

TensorList atleast(const TensorList& xs, Tensor (*f)(const Tensor&)) {
    TensorList out;
    for (const Tensor& x : xs) out.push_back(f(x));
    return out;
}
Tensor atleast_1d(const Tensor& x) { return x.dim() ? x : reshape(x, {1}); }
Tensor atleast_2d(const Tensor& x) {
    return x.dim() == 0 ? reshape(x, {1, 1}) : x.dim() == 1 ? unsqueeze(x, 0) : x;
}
Tensor atleast_3d(const Tensor& x) {
    return x.dim() < 2 ? unsqueeze(atleast_2d(x), -1) : x.dim() == 2 ? unsqueeze(x, -1) : x;
}

}  // namespace

void bind_view(Api& api) {
    api.method("view(self, *shape)", &view);
    api.method("view_as(self, other)",
               [](const Tensor& x, const Tensor& o) { return view(x, o.shape()); });
    api.fn("reshape(input, shape)", &reshape);
    api.method("reshape(self, *shape)", &reshape);
    api.method("reshape_as(self, other)",
               [](const Tensor& x, const Tensor& o) { return reshape(x, o.shape()); });
    api.fn("permute(input, dims)", &permute);
    api.method("permute(self, *dims)", &permute);
    api.both("transpose(input, dim0, dim1)", &transpose);
    api.alias("swapaxes", "transpose");
    api.alias("swapdims", "transpose");
    api.both("t(input)", &t);
    api.both("adjoint(input)", &mT);
    api.method("expand(self, *size)", &expand);
    api.method("expand_as(self, other)",
               [](const Tensor& x, const Tensor& o) { return expand(x, o.shape()); });
    api.both("broadcast_to(input, size)", &expand);
    api.both("narrow(input, dim, start, length)", &narrow);
    api.both("select(input, dim, index)", &select);
    api.both("squeeze(input)", [](const Tensor& x) { return squeeze(x); });
    api.both("squeeze(input, dim)",
             [](const Tensor& x, const Dims& dims) { return squeeze(x, dims); });
    api.both("unsqueeze(input, dim)", &unsqueeze);
    api.both("flatten(input, start_dim=0, end_dim=-1)", &flatten);
    api.both("ravel(input)", [](const Tensor& x) { return reshape(x, {-1}); });
    api.both("unflatten(input, dim, sizes)", &unflatten);
    api.both("movedim(input, source, destination)", &move_one);
    api.alias("moveaxis", "movedim");
    api.both("diagonal(input, offset=0, dim1=0, dim2=1)", &diagonal);
    api.method("unfold(self, dimension, size, step)", &unfold);
    api.both("unbind(input, dim=0)", &unbind);
    api.both("as_strided(input, size, stride, storage_offset=None)", &as_strided);
    api.fn("broadcast_tensors(*tensors)", [](py::object tensors) -> TensorList {
        TensorList xs;
        check<TypeError>(bind::Caster<TensorList>::load(tensors.ptr(), xs),
                         "broadcast_tensors: expected tensors");
        return broadcast_tensors(xs);
    });
    api.fn("atleast_1d(tensor)", &atleast_1d);
    api.fn("atleast_1d(tensors)", [](const TensorList& xs) { return atleast(xs, atleast_1d); });
    api.fn("atleast_2d(tensor)", &atleast_2d);
    api.fn("atleast_2d(tensors)", [](const TensorList& xs) { return atleast(xs, atleast_2d); });
    api.fn("atleast_3d(tensor)", &atleast_3d);
    api.fn("atleast_3d(tensors)", [](const TensorList& xs) { return atleast(xs, atleast_3d); });
}

}  // namespace deeplite
