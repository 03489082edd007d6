#include "ops/gemm.h"

#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "ops/copy.h"
#include "ops/view.h"

namespace deeplite {
namespace {

using MaybeTensor = std::optional<Tensor>;
Tensor or_none(const MaybeTensor& t) { return t.value_or(Tensor{}); }

// In-place forms of what is composed of several ops.
const Tensor& addmv_(const Tensor& self, const Tensor& a, const Tensor& x, double beta,
                     double alpha) {
    return copy_(self, addmv(self, a, x, beta, alpha));
}
const Tensor& addr_(const Tensor& self, const Tensor& a, const Tensor& b, double beta,
                    double alpha) {
    return copy_(self, addr(self, a, b, beta, alpha));
}
const Tensor& addbmm_(const Tensor& self, const Tensor& a, const Tensor& b, double beta,
                      double alpha) {
    return copy_(self, addbmm(self, a, b, beta, alpha));
}

// einsum's subscripts given as lists: einsum(x, [0, 1], y, [1, 2], [0, 2]). Numbers become letters.
std::string subscripts(PyObject* list) {
    std::string s;
    for (py::ssize_t at = 0; at < PySequence_Size(list); ++at) {
        const auto item = py::reinterpret_steal<py::object>(PySequence_GetItem(list, at));
        if (item.ptr() == Py_Ellipsis) {
            s += "...";
            continue;
        }
        int64_t i = 0;
        check<TypeError>(item && bind::Caster<int64_t>::load(item.ptr(), i),
                         "einsum: subscripts in a list must be int or ...");
        check<ValueError>(i >= 0 && i < 52,
                          "einsum: subscripts in a list must lie in [0, 52), got ", i);
        s += char(i < 26 ? 'A' + i : 'a' + i - 26);
    }
    return s;
}

Tensor einsum_python(py::object arguments) {
    const auto args = py::reinterpret_borrow<py::tuple>(arguments);
    check<TypeError>(PyTuple_Check(args.ptr()) && !args.empty(),
                     "einsum: expected an equation and operands");
    std::string equation;
    TensorList operands;
    if (bind::Caster<std::string>::load(PyTuple_GET_ITEM(args.ptr(), 0), equation)) {
        py::object rest = args[py::slice(1, py::ssize_t(args.size()), 1)];
        if (args.size() == 2 && !is_tensor(PyTuple_GET_ITEM(args.ptr(), 1)))
            rest = args[1];  // einsum(equation, [x, y])
        check<TypeError>(bind::Caster<TensorList>::load(rest.ptr(), operands),
                         "einsum: operands must be tensors");
    } else {
        for (size_t i = 0; i + 1 < args.size(); i += 2) {
            PyObject *x = PyTuple_GET_ITEM(args.ptr(), i),
                     *list = PyTuple_GET_ITEM(args.ptr(), i + 1);
            check<TypeError>(is_tensor(x) && PySequence_Check(list),
                             "einsum: expected an equation, or tensors each followed by a list of "
                             "subscripts");
            operands.push_back(unwrap(x));
            equation += (i ? "," : "") + subscripts(list);
        }
        if (args.size() % 2)
            equation += "->" + subscripts(PyTuple_GET_ITEM(args.ptr(), args.size() - 1));
    }
    for (const Tensor& x : operands)
        check<TypeError>(x.defined(), "einsum: operands must be tensors, got None");
    GilRelease unlocked;
    return einsum(equation, operands);
}

Tensor tensordot_python(const Tensor& a, const Tensor& b, py::object dims) {
    int64_t count = 0;
    Dims da, db;
    const bool number = bind::Caster<int64_t>::load(dims.ptr(), count);
    if (!number) {
        const auto load = [&](py::ssize_t i, Dims& out) {
            const auto item = py::reinterpret_steal<py::object>(PySequence_GetItem(dims.ptr(), i));
            return item && bind::Caster<Dims>::load(item.ptr(), out);
        };
        const bool pair = PySequence_Check(dims.ptr()) && PySequence_Size(dims.ptr()) == 2 &&
                          load(0, da) && load(1, db);
        check<TypeError>(pair, "tensordot: dims must be an int or a pair of lists of ints");
    }
    GilRelease unlocked;
    return number ? tensordot(a, b, count) : tensordot(a, b, da, db);
}

void bind_products(Api& api) {
    api.both("mm(input, mat2)", &mm);
    api.both("bmm(input, mat2)", &bmm);
    api.both("matmul(input, other)", &matmul);
    api.linalg("matmul(input, other)", &matmul);
    api.both("mv(input, vec)", &mv);
    api.both("dot(input, tensor)", &dot);
    api.both("vdot(input, other)", &dot);
    api.both("inner(input, other)", &inner);
    api.both("outer(input, vec2)", &outer);
    api.alias("ger", "outer");
    api.linalg("vecdot(x, y, *, dim=-1)", &vecdot);
    operators().matmul = &matmul;

    api.both("addmm(input, mat1, mat2, *, beta=1, alpha=1)", &addmm);
    api.both("addmv(input, mat, vec, *, beta=1, alpha=1)", &addmv);
    api.both("addbmm(input, batch1, batch2, *, beta=1, alpha=1)", &addbmm);
    api.both("baddbmm(input, batch1, batch2, *, beta=1, alpha=1)", &baddbmm);
    api.both("addr(input, vec1, vec2, *, beta=1, alpha=1)", &addr);
    api.method("addmm_(self, mat1, mat2, *, beta=1, alpha=1)", &addmm_);
    api.method("addmv_(self, mat, vec, *, beta=1, alpha=1)", &addmv_);
    api.method("addbmm_(self, batch1, batch2, *, beta=1, alpha=1)", &addbmm_);
    api.method("baddbmm_(self, batch1, batch2, *, beta=1, alpha=1)", &baddbmm_);
    api.method("addr_(self, vec1, vec2, *, beta=1, alpha=1)", &addr_);
}

}  // namespace

void bind_gemm(Api& api) {
    bind_products(api);
    api.fn("einsum(*args)", &einsum_python);
    api.fn("tensordot(a, b, dims=2)", &tensordot_python);
    api.both("kron(input, other)", &kron);
    api.fn("chain_matmul(*matrices)", [](py::object matrices) -> Tensor {
        TensorList xs;
        check<TypeError>(bind::Caster<TensorList>::load(matrices.ptr(), xs),
                         "chain_matmul: expected matrices");
        GilRelease unlocked;
        return chain_matmul(xs);
    });
    api.linalg("multi_dot(tensors)", &multi_dot);
    api.both("matrix_power(input, n)", &matrix_power);
    api.linalg("matrix_power(A, n)", &matrix_power);

    const auto linear_or_none = [](const Tensor& x, const Tensor& weight, const MaybeTensor& bias) {
        return linear(x, weight, or_none(bias));
    };
    api.nn("linear(input, weight, bias=None)", +linear_or_none);
    const auto fused_or_none = [](const Tensor& x, const Tensor& weight, const MaybeTensor& bias,
                                  const MaybeTensor& scale, const MaybeTensor& residual,
                                  const std::string& activation) {
        return fused_linear(x, weight, or_none(bias), or_none(scale), or_none(residual),
                            activation);
    };
    api.nn("fused_linear(input, weight, bias=None, scale=None, residual=None, activation='none')",
           +fused_or_none);
    const auto bilinear_or_none = [](const Tensor& a, const Tensor& b, const Tensor& weight,
                                     const MaybeTensor& bias) {
        return bilinear(a, b, weight, or_none(bias));
    };
    api.nn("bilinear(input1, input2, weight, bias=None)", +bilinear_or_none);
    api.fn("bilinear(input1, input2, weight, bias=None)", +bilinear_or_none);

    const auto cdist_modes = [](const Tensor& a, const Tensor& b, double p,
                                const std::string& mode) {
        check<ValueError>(mode == "use_mm_for_euclid_dist_if_necessary" ||
                              mode == "use_mm_for_euclid_dist" ||
                              mode == "donot_use_mm_for_euclid_dist",
                          "cdist: unknown compute_mode '", mode, "'");
        return cdist(a, b, p);
    };
    api.fn("cdist(x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary')",
           +cdist_modes);
    const char* pairwise = "pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False)";
    api.fn(pairwise, &pairwise_distance);
    api.nn(pairwise, &pairwise_distance);
    api.fn("cosine_similarity(x1, x2, dim=1, eps=1e-08)", &cosine_similarity);
    api.nn("cosine_similarity(x1, x2, dim=1, eps=1e-08)", &cosine_similarity);
}

}  // namespace deeplite
