// Products of two matrices: the recorded ops (matmul, addmm, baddbmm, linear) and their plain
// variants. Everything ends in run_gemm, which lines batches up for the kernel.
#include "ops/gemm.h"

#include <iterator>

#include "kernels/gemm.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

void check_dtypes(const char* op, std::initializer_list<const Tensor*> tensors) {
    const Tensor& first = **tensors.begin();
    for (const Tensor* t : tensors)
        check<Error>(!t->defined() || t->dtype() == first.dtype(), op,
                     ": expected tensors of one dtype, got ", first.dtype(), " and ",
                     t->defined() ? t->dtype() : first.dtype());
    check<NotImplementedError>(first.dtype() != DType::Bool, op, ": not implemented for bool");
    check_same_device(op, tensors);
}

void check_integral(const char* op, const Tensor& x, double beta, double alpha) {
    check<Error>(is_floating(x.dtype()) ||
                     (beta == double(int64_t(beta)) && alpha == double(int64_t(alpha))),
                 op, ": alpha and beta must be integers for integer tensors, got ", alpha, " and ",
                 beta);
}

// The last two dimensions at the end of `batch`.
Dims with_matrix(Dims batch, int64_t rows, int64_t cols) {
    batch.push_back(rows);
    batch.push_back(cols);
    return batch;
}
Dims batch_of(const Tensor& x) { return Dims(x.shape().data(), x.dim() - 2); }

// x seen with a shape it broadcasts to: stride 0 where it repeats.
Tensor broadcast_raw(const Tensor& x, const Dims& shape) {
    Dims strides = Dims::filled(shape.size(), 0);
    for (int d = 0; d < x.dim(); ++d)
        if (x.shape()[d] != 1) strides[shape.size() - x.dim() + d] = x.strides()[d];
    return raw_view(x, shape, strides, x.offset());
}
Tensor transposed_raw(const Tensor& x) {  // x [m, n] -> [n, m]
    return raw_view(x, {x.shape()[1], x.shape()[0]}, {x.strides()[1], x.strides()[0]}, x.offset());
}

// The batch dimensions of the operands of one product, merged where all operands allow it.
struct Batches {
    static constexpr int kOperands = 6;
    Dims shape, strides[kOperands];

    void add(int64_t size, const int64_t (&s)[kOperands]) {
        if (size == 1) return;
        bool merge = !shape.empty();  // the new dimension lies inside the last one
        for (int i = 0; i < kOperands && merge; ++i) merge = strides[i].back() == s[i] * size;
        if (merge)
            shape.back() *= size;
        else
            shape.push_back(size);
        for (int i = 0; i < kOperands; ++i) {
            if (merge)
                strides[i].back() = s[i];
            else
                strides[i].push_back(s[i]);
        }
    }
};

// What run_gemm does beside multiplying. Tensors are absent where undefined.
struct Epilogue {
    double alpha = 1, beta = 0;
    Tensor d{}, bias{}, scale{};
    int32_t activation = DL_GEMM_NONE;
};

// c = activation(alpha * scale * a @ b + beta * d + bias): c [..., m, n], a [..., m, k], b [..., k, n]
// and, where defined, d, bias and scale [..., m, n] have the same batch dimensions (broadcast by stride
// 0) and one dtype; but a and b may both be bfloat16 where the others are float32.
void run_gemm(const char* op, const Tensor& c, const Tensor& a, const Tensor& b,
              const Epilogue& e = {}) {
    if (c.numel() == 0) return;
    const auto fn = kernel(op, c.device(), backend_of(c.device()).gemm, &dl_gemm_table::gemm);
    const int rank = c.dim();
    dl_gemm_args g{};
    g.dtype = int32_t(a.dtype());
    g.batch = 1;
    g.m = c.shape()[rank - 2], g.n = c.shape()[rank - 1], g.k = a.shape()[rank - 1];
    g.alpha = e.alpha, g.beta = e.beta, g.activation = e.activation;
    const Tensor* tensors[] = {&a, &b, &c, &e.d, &e.bias, &e.scale};
    dl_gemm_operand* operands[] = {&g.a, &g.b, &g.c, &g.d, &g.bias, &g.scale};
    Batches batches;
    for (int i = 0; i < Batches::kOperands; ++i)
        if (tensors[i]->defined())
            *operands[i] = {tensors[i]->raw(), 0, tensors[i]->strides()[rank - 2],
                            tensors[i]->strides()[rank - 1]};
    for (int dim = 0; dim < rank - 2; ++dim) {
        int64_t strides[Batches::kOperands] = {};
        for (int i = 0; i < Batches::kOperands; ++i)
            if (tensors[i]->defined()) strides[i] = tensors[i]->strides()[dim];
        batches.add(c.shape()[dim], strides);
    }
    int outer = batches.shape.size();
    if (outer > 0) {
        --outer;
        g.batch = batches.shape[outer];
        // Consecutive matrices against one b are a single product with more rows.
        bool taller = true;
        for (int i = 0; i < Batches::kOperands; ++i) {
            operands[i]->batch = batches.strides[i][outer];
            taller = taller && (i == 1 ? operands[i]->batch == 0
                                       : g.m == 1 || operands[i]->batch == g.m * operands[i]->row);
        }
        if (taller) {
            for (int i = 0; i < Batches::kOperands; ++i)
                if (i != 1 && g.m == 1) operands[i]->row = operands[i]->batch;
            g.m *= g.batch;
            g.batch = 1;
        }
    }
    Dims at = Dims::filled(outer, 0);
    for (;;) {
        const dl_status status = fn(&g);
        if (status == DL_UNSUPPORTED && a.dtype() != c.dtype())
            return run_gemm(op, c, cast_raw(a, c.dtype()), cast_raw(b, c.dtype()), e);
        check_status(status, c.device(), op);
        int dim = outer - 1;
        for (; dim >= 0; --dim) {  // the next position in the dimensions the kernel does not know
            const bool wraps = ++at[dim] == batches.shape[dim];
            const int64_t move = wraps ? 1 - batches.shape[dim] : 1;
            for (int i = 0; i < Batches::kOperands; ++i)
                if (operands[i]->data)
                    operands[i]->data =
                        static_cast<char*>(operands[i]->data) +
                        move * batches.strides[i][dim] * int64_t(itemsize(tensors[i]->dtype()));
            if (!wraps) break;
            at[dim] = 0;
        }
        if (dim < 0) return;
    }
}

// Runs `compute(c, x, y, added...)` in float32 for half types and casts the result back. Factors x and
// y stay bfloat16: run_gemm takes them so.
template <class F, class... In>
Tensor in_compute_dtype(const Dims& shape, const F& compute, const Tensor& x, const Tensor& y,
                        const In&... added) {
    const DType dtype = x.dtype(), wide = compute_dtype(dtype);
    const DType factor = dtype == DType::BFloat16 ? dtype : wide;
    Tensor c = empty(shape, wide, x.device());
    compute(c, cast_raw(x, factor), cast_raw(y, factor),
            (added.defined() ? cast_raw(added, wide) : added)...);
    return cast_raw(c, dtype);
}

Tensor as_rows(const Tensor& x) {  // [..., d] -> [rows, d]
    if (x.dim() == 2) return x;
    int64_t rows = 1;
    for (int d = 0; d < x.dim() - 1; ++d) rows *= x.shape()[d];
    return reshape(x, {rows, x.size(-1)});
}

// a [..., m, k] @ b [..., k, n], batch dimensions broadcast.
struct MatMul {
    static constexpr OpInfo info{.name = "matmul", .save_inputs = 0b11, .bilinear = true};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        const Dims batch = broadcast_shapes(batch_of(a), batch_of(b), info.name);
        const int64_t m = a.size(-2), k = a.size(-1), n = b.size(-1);
        return in_compute_dtype(
            with_matrix(batch, m, n),
            [&](const Tensor& c, const Tensor& x, const Tensor& y) {
                run_gemm(info.name, c, broadcast_raw(x, with_matrix(batch, m, k)),
                         broadcast_raw(y, with_matrix(batch, k, n)));
            },
            a, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor da, db;
        if (c.needs(0)) da = sum_to_size(matmul(dy, mT(c.in(1))), c.shape(0));
        if (c.needs(1)) {
            const Tensor a = c.in(0);
            if (c.shape(1).size() == 2 && dy.dim() > 2)  // one product over all batches
                db = mm(t(as_rows(a)), as_rows(dy));
            else
                db = sum_to_size(matmul(mT(a), dy), c.shape(1));
        }
        return {da, db};
    }
};

// beta * input + alpha * a @ b for matrices and for batches of them.
template <bool kBatched>
struct AddMatMul {
    static constexpr OpInfo info{.name = kBatched ? "baddbmm" : "addmm", .save_inputs = 0b110};
    double beta, alpha;
    void attributes(auto& v) const {
        v("beta", beta);
        v("alpha", alpha);
    }
    Tensor forward(const Tensor& input, const Tensor& a, const Tensor& b) const {
        const Dims shape = with_matrix(batch_of(a), a.size(-2), b.size(-1));
        return in_compute_dtype(
            shape,
            [&](const Tensor& c, const Tensor& x, const Tensor& y, const Tensor& d) {
                run_gemm(info.name, c, x, y, {alpha, beta, broadcast_raw(d, shape)});
            },
            a, b, input);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        const auto scaled = [](const Tensor& g, double s) {
            return s == 1 ? g : mul(g, wrapped_number(s));
        };
        Tensor d, da, db;
        if (c.needs(0)) d = sum_to_size(scaled(dy, beta), c.shape(0));
        if (c.needs(1)) da = scaled(matmul(dy, mT(c.in(2))), alpha);
        if (c.needs(2)) db = scaled(matmul(mT(c.in(1)), dy), alpha);
        return {d, da, db};
    }
};
using Addmm = AddMatMul<false>;
using Baddbmm = AddMatMul<true>;

// c [..., out] = v [..., in] @ weight [out, in]^T and what `e` says, its tensors broadcast to c.
void run_linear(const char* op, const Tensor& c, const Tensor& v, const Tensor& weight,
                Epilogue e) {
    const auto rows = [](const Tensor& r) {  // as a matrix, with batch dimensions if any
        if (r.dim() > 1) return r;
        return raw_view(r, {1, r.shape()[0]}, {0, r.strides()[0]}, r.offset());
    };
    const Tensor y = rows(c);
    for (Tensor* t : {&e.d, &e.bias, &e.scale})
        if (t->defined()) *t = broadcast_raw(*t, y.shape());
    const Dims wide = with_matrix(batch_of(y), weight.shape()[1], weight.shape()[0]);
    run_gemm(op, y, rows(v), broadcast_raw(transposed_raw(weight), wide), e);
}

// x [..., in], w [out, in], bias [out] -> [..., out]
struct Linear {
    static constexpr OpInfo info{.name = "linear", .save_inputs = 0b11, .bilinear = true};
    Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias) const {
        Dims shape = x.shape();
        shape.back() = w.shape()[0];
        return in_compute_dtype(
            shape,
            [&](const Tensor& c, const Tensor& v, const Tensor& weight, const Tensor& b) {
                run_linear(info.name, c, v, weight, {.bias = b});
            },
            x, w, bias);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor dx, dw, db;
        if (c.needs(0)) dx = matmul(dy, c.in(1));
        if (c.needs(1)) dw = mm(t(as_rows(dy)), as_rows(c.in(0)));
        if (c.needs(2)) db = sum(as_rows(dy), {0});
        return {dx, dw, db};
    }
};

// activation(scale * x @ w^T + bias + residual) in one kernel; for the gradient it is composed.
struct FusedLinear {
    static constexpr OpInfo info{.name = "fused_linear"};
    std::string activation;
    void attributes(auto& v) const { v("activation", activation); }
    Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& scale,
                   const Tensor& residual) const {
        Dims shape = x.shape();
        shape.back() = w.shape()[0];
        return in_compute_dtype(
            shape,
            [&](const Tensor& c, const Tensor& v, const Tensor& weight, const Tensor& b,
                const Tensor& s, const Tensor& r) {
                run_linear(info.name, c, v, weight,
                           {1, r.defined() ? 1.0 : 0.0, r, b, s, code(activation)});
            },
            x, w, bias, scale, residual);
    }
    static int32_t code(const std::string& activation) {
        constexpr const char* names[] = {"none", "relu", "sigmoid",  "tanh",
                                         "silu", "gelu", "gelu_tanh"};
        static_assert(std::size(names) == DL_GEMM_ACTIVATIONS);
        for (int i = 0; i < DL_GEMM_ACTIVATIONS; ++i)
            if (activation == names[i]) return i;
        throw ValueError(
            "fused_linear: activation must be none, relu, sigmoid, tanh, silu, gelu or gelu_tanh, "
            "got '" +
            activation + "'");
    }
    Tensor composed(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& scale,
                    const Tensor& residual) const {
        Tensor y = linear(x, w, scale.defined() ? Tensor{} : bias);
        if (scale.defined()) {
            y = mul(y, scale);
            if (bias.defined()) y = add(y, bias);
        }
        if (residual.defined()) y = add(y, residual);
        switch (code(activation)) {
            case DL_GEMM_RELU:
                return relu(y);
            case DL_GEMM_SIGMOID:
                return sigmoid(y);
            case DL_GEMM_TANH:
                return tanh(y);
            case DL_GEMM_SILU:
                return silu(y);
            case DL_GEMM_GELU:
                return gelu(y);
            case DL_GEMM_GELU_TANH:
                return gelu(y, "tanh");
            default:
                return y;
        }
    }
};

void check_rank(const char* op, const char* what, const Tensor& x, int rank) {
    check<ShapeError>(x.dim() == rank, op, ": ", what, " must have ", rank,
                      rank == 1 ? " dimension" : " dimensions", ", got shape ", x.shape());
}
// a [..., k] meets b [k, ...] at dimension `db` of b.
void check_inner(const char* op, const Tensor& a, const Tensor& b, int db) {
    check<ShapeError>(a.size(-1) == b.size(db), op, ": shapes ", a.shape(), " and ", b.shape(),
                      " cannot be multiplied: size ", a.size(-1),
                      " of the last dimension of the first differs from ", b.size(db),
                      " at dimension ", db < 0 ? b.dim() + db : db, " of the second");
}
void check_expands(const char* op, const Tensor& input, const Dims& shape) {
    bool ok = input.dim() <= shape.size();
    for (int d = 0; ok && d < input.dim(); ++d) {
        const int64_t size = input.shape()[d];
        ok = size == 1 || size == shape[shape.size() - input.dim() + d];
    }
    check<ShapeError>(ok, op, ": input of shape ", input.shape(),
                      " does not broadcast to the result's shape ", shape);
}
template <class Op>
Dims check_add_matmul(const Tensor& input, const Tensor& a, const Tensor& b, const Op& o) {
    const char* op = Op::info.name;
    const int rank = Op::info.name == Baddbmm::info.name ? 3 : 2;
    check_rank(op, "the first matrix", a, rank);
    check_rank(op, "the second matrix", b, rank);
    check_dtypes(op, {&a, &b, &input});
    check_integral(op, a, o.beta, o.alpha);
    check<ShapeError>(rank == 2 || a.size(0) == b.size(0), op,
                      ": batch sizes differ at dimension 0: ", a.shape(), " and ", b.shape());
    check_inner(op, a, b, -2);
    const Dims shape = with_matrix(batch_of(a), a.size(-2), b.size(-1));
    check_expands(op, input, shape);
    return shape;
}
template <class Op>
const Tensor& add_matmul_(const Tensor& self, const Tensor& a, const Tensor& b, const Op& o) {
    const Dims shape = check_add_matmul(self, a, b, o);
    check<ShapeError>(self.shape() == shape, Op::info.name, "_: a result of shape ", shape,
                      " does not fit into a tensor of shape ", self.shape());
    return apply_inplace(o, self, a, b);
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
    check_rank("mm", "the first matrix", a, 2);
    check_rank("mm", "the second matrix", b, 2);
    check_dtypes("mm", {&a, &b});
    check_inner("mm", a, b, 0);
    return apply(MatMul{}, a, b);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
    check_rank("bmm", "the first batch of matrices", a, 3);
    check_rank("bmm", "the second batch of matrices", b, 3);
    check_dtypes("bmm", {&a, &b});
    check<ShapeError>(a.size(0) == b.size(0), "bmm: batch sizes differ at dimension 0: ", a.shape(),
                      " and ", b.shape());
    check_inner("bmm", a, b, 1);
    return apply(MatMul{}, a, b);
}

Tensor matmul(const Tensor& a, const Tensor& b) {
    check<ShapeError>(a.dim() > 0 && b.dim() > 0,
                      "matmul: both tensors need at least 1 dimension, got shapes ", a.shape(),
                      " and ", b.shape());
    check_dtypes("matmul", {&a, &b});
    check_inner("matmul", a, b, b.dim() == 1 ? 0 : -2);
    if (a.dim() > 1 && b.dim() > 1) {
        broadcast_shapes(batch_of(a), batch_of(b), "matmul");
        return apply(MatMul{}, a, b);
    }
    Tensor y =
        apply(MatMul{}, a.dim() == 1 ? unsqueeze(a, 0) : a, b.dim() == 1 ? unsqueeze(b, 1) : b);
    if (b.dim() == 1) y = squeeze(y, {-1});
    return a.dim() == 1 ? squeeze(y, {b.dim() == 1 ? -1 : -2}) : y;
}

Tensor mv(const Tensor& a, const Tensor& x) {
    check_rank("mv", "the matrix", a, 2);
    check_rank("mv", "the vector", x, 1);
    check_dtypes("mv", {&a, &x});
    check_inner("mv", a, x, 0);
    return matmul(a, x);
}

Tensor dot(const Tensor& a, const Tensor& b) {
    check_rank("dot", "the first vector", a, 1);
    check_rank("dot", "the second vector", b, 1);
    check_dtypes("dot", {&a, &b});
    check_inner("dot", a, b, 0);
    return matmul(a, b);
}

Tensor inner(const Tensor& a, const Tensor& b) {
    if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
    check_dtypes("inner", {&a, &b});
    check_inner("inner", a, b, -1);
    return tensordot(a, b, {-1}, {-1});
}

Tensor outer(const Tensor& a, const Tensor& b) {
    check_rank("outer", "the first vector", a, 1);
    check_rank("outer", "the second vector", b, 1);
    return mul(unsqueeze(a, 1), b);
}

Tensor vecdot(const Tensor& a, const Tensor& b, int64_t dim) {
    check_dtypes("vecdot", {&a, &b});
    const Tensor product = mul(a, b);
    return sum(product, {wrap_dim(dim, product.dim(), "vecdot")}, false, product.dtype());
}

Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
    const Addmm op{beta, alpha};
    check_add_matmul(input, a, b, op);
    return apply(op, input, a, b);
}
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
    const Baddbmm op{beta, alpha};
    check_add_matmul(input, a, b, op);
    return apply(op, input, a, b);
}
const Tensor& addmm_(const Tensor& self, const Tensor& a, const Tensor& b, double beta,
                     double alpha) {
    return add_matmul_(self, a, b, Addmm{beta, alpha});
}
const Tensor& baddbmm_(const Tensor& self, const Tensor& a, const Tensor& b, double beta,
                       double alpha) {
    return add_matmul_(self, a, b, Baddbmm{beta, alpha});
}

Tensor addbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
    check_rank("addbmm", "the first batch of matrices", a, 3);
    check_rank("addbmm", "the second batch of matrices", b, 3);
    check_dtypes("addbmm", {&a, &b, &input});
    check_integral("addbmm", a, beta, alpha);
    check<ShapeError>(a.size(0) == b.size(0),
                      "addbmm: batch sizes differ at dimension 0: ", a.shape(), " and ", b.shape());
    check_inner("addbmm", a, b, 1);
    check_expands("addbmm", input, {a.size(1), b.size(2)});
    // The sum over the batch is one long sum: [m, z * k] @ [z * k, n].
    const Tensor left = reshape(transpose(a, 0, 1), {a.size(1), a.size(0) * a.size(2)});
    return addmm(input, left, reshape(b, {b.size(0) * b.size(1), b.size(2)}), beta, alpha);
}

Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& x, double beta, double alpha) {
    check_rank("addmv", "the matrix", a, 2);
    check_rank("addmv", "the vector", x, 1);
    check_dtypes("addmv", {&a, &x, &input});
    check_integral("addmv", a, beta, alpha);
    check_inner("addmv", a, x, 0);
    check_expands("addmv", input, {a.size(0)});
    return squeeze(addmm(unsqueeze(input, -1), a, unsqueeze(x, 1), beta, alpha), {1});
}

Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, double beta, double alpha) {
    check_rank("addr", "the first vector", a, 1);
    check_rank("addr", "the second vector", b, 1);
    check_dtypes("addr", {&a, &b, &input});
    check_integral("addr", a, beta, alpha);
    check_expands("addr", input, {a.size(0), b.size(0)});
    return addmm(input, unsqueeze(a, 1), unsqueeze(b, 0), beta, alpha);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
    check<ShapeError>(x.dim() > 0,
                      "linear: the input needs at least 1 dimension, got a 0-d tensor");
    check<ShapeError>(weight.dim() == 1 || weight.dim() == 2,
                      "linear: weight must be [out, in] or [in], got shape ", weight.shape());
    check_dtypes("linear", {&x, &weight, &bias});
    check_inner("linear", x, weight, -1);
    if (weight.dim() == 1) {
        check<ShapeError>(!bias.defined() || bias.dim() == 0,
                          "linear: bias must be 0-d for a weight of shape ", weight.shape());
        const Tensor y = matmul(x, weight);
        return bias.defined() ? add(y, bias) : y;
    }
    check<ShapeError>(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)),
                      "linear: bias must have shape [", weight.size(0), "] to go with weight ",
                      weight.shape(), ", got ", bias.defined() ? bias.shape() : Dims{});
    return apply(Linear{}, x, weight, bias);
}

Tensor fused_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& scale,
                    const Tensor& residual, const std::string& activation) {
    const FusedLinear op{activation};
    FusedLinear::code(activation);
    check_rank("fused_linear", "weight", weight, 2);
    check<ShapeError>(x.dim() > 0,
                      "fused_linear: the input needs at least 1 dimension, got a 0-d tensor");
    check_dtypes("fused_linear", {&x, &weight, &bias, &scale, &residual});
    check<Error>(is_floating(x.dtype()), "fused_linear: expected floating tensors, got ",
                 x.dtype());
    check_inner("fused_linear", x, weight, -1);
    const int64_t out = weight.size(0);
    for (const Tensor* t : {&bias, &scale})
        check<ShapeError>(!t->defined() || (t->dim() == 1 && t->size(0) == out),
                          "fused_linear: ", t == &bias ? "bias" : "scale", " must have shape [",
                          out, "] to go with weight ", weight.shape(), ", got ",
                          t->defined() ? t->shape() : Dims{});
    Dims shape = x.shape();
    shape.back() = out;
    if (residual.defined()) check_expands("fused_linear", residual, shape);
    if (grad_enabled() && detail::any_requires_grad(x, weight, bias, scale, residual))
        return op.composed(x, weight, bias, scale, residual);
    return apply(op, x, weight, bias, scale, residual);
}

Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& bias) {
    check_rank("bilinear", "weight", weight, 3);
    check_dtypes("bilinear", {&a, &b, &weight, &bias});
    bool same = a.dim() == b.dim() && a.dim() > 0;
    for (int d = 0; same && d < a.dim() - 1; ++d) same = a.shape()[d] == b.shape()[d];
    check<ShapeError>(same, "bilinear: the inputs must agree in all dimensions but the last, got ",
                      a.shape(), " and ", b.shape());
    check<ShapeError>(a.size(-1) == weight.size(1) && b.size(-1) == weight.size(2),
                      "bilinear: inputs ", a.shape(), " and ", b.shape(), " do not fit weight ",
                      weight.shape(), " [out, in1, in2]");
    const int64_t out = weight.size(0), in1 = weight.size(1), in2 = weight.size(2);
    check<ShapeError>(!bias.defined() || (bias.dim() == 1 && bias.size(0) == out),
                      "bilinear: bias must have shape [", out, "]");
    int64_t rows = 1;
    Dims shape = a.shape();
    for (int d = 0; d < a.dim() - 1; ++d) rows *= a.shape()[d];
    shape.back() = out;
    const Tensor w = reshape(permute(weight, {1, 0, 2}), {in1, out * in2});
    const Tensor half = reshape(mm(reshape(a, {rows, in1}), w), {rows, out, in2});
    const Tensor y = reshape(bmm(half, reshape(b, {rows, in2, 1})), shape);
    return bias.defined() ? add(y, bias) : y;
}

}  // namespace deeplite
