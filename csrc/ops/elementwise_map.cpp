// The way from tensors to elementwise kernels: dtypes, broadcasting, layouts, numbers.
#include "ops/elementwise_map.h"

#include <cmath>

namespace deeplite {
namespace {

DType promote_known(std::optional<DType> a, std::optional<DType> b) {
    return !a ? *b : !b ? *a : promote(*a, *b);
}

// A number that reaches the kernel in its parameters rather than in memory.
bool travels_as_number(const Tensor& t) {
    if (!t.impl()->wrapped_number) return false;
    if (t.dtype() != DType::Int64) return true;
    int64_t v = load_int(t.raw(), t.dtype());
    return v >= -(int64_t(1) << 53) && v <= (int64_t(1) << 53);
}

// A large dense operand in another memory order than the result is cheaper to copy first (by blocks)
// than to be gathered column by column.
bool better_copied(const Tensor& t, const Tensor& y) {
    return t.numel() >= 4096 && t.numel() == y.numel() && t.shape() == y.shape() && t.dim() > 1 &&
           !t.is_contiguous() && y.is_contiguous() && is_dense(t);
}

struct Operands {
    dl_iter it;
    double params[DL_MAP_PARAMS + DL_MAX_OPERANDS];
    Tensor held[DL_MAX_OPERANDS];  // casts and copies, alive until the kernel has run
};

void line_up(Operands& o, const Tensor& y, std::initializer_list<const Tensor*> inputs,
             DType compute, const map::Params& params, bool mask_first) {
    std::copy(params.begin(), params.end(), o.params);
    bool number[DL_MAX_OPERANDS] = {};
    int k = 1;
    for (const Tensor* t : inputs) {
        DType want = mask_first && k == 1 ? DType::Bool : compute;
        if (travels_as_number(*t)) {
            number[k] = true;
            o.params[DL_MAP_PARAMS + k] = load_double(t->raw(), t->dtype());
            o.held[k] = *t;
        } else {
            Tensor x = t->device() == y.device() ? *t : to_device_raw(*t, y.device());
            // Kernels that compute widen halves as they read; `where` moves what it is given.
            bool widened = is_half(x.dtype()) && want == DType::Float32 && !mask_first;
            o.held[k] = x.dtype() != want && !widened ? cast_raw(x, want) : x;
            if (better_copied(o.held[k], y)) o.held[k] = contiguous_raw(o.held[k]);
        }
        ++k;
    }
    switch (inputs.size()) {
        case 1:
            o.it = make_iter(y.shape(), {&y, &o.held[1]});
            break;
        case 2:
            o.it = make_iter(y.shape(), {&y, &o.held[1], &o.held[2]});
            break;
        default:
            o.it = make_iter(y.shape(), {&y, &o.held[1], &o.held[2], &o.held[3]});
    }
    for (int i = 1; i < k; ++i) {
        if (!number[i]) continue;
        o.it.data[i] = nullptr;
        o.it.dtype[i] = int(mask_first && i == 1 ? DType::Bool : compute);
        for (int d = 0; d < o.it.ndim; ++d) o.it.strides[i][d] = 0;
    }
}

Dims common_shape(const char* op, std::initializer_list<const Tensor*> inputs) {
    Dims shape = (*inputs.begin())->shape();
    for (const Tensor* t : inputs)
        if (!(t->shape() == shape)) shape = broadcast_shapes(shape, t->shape(), op);
    return shape;
}

const Tensor& leader_of(const char* op, std::initializer_list<const Tensor*> inputs) {
    const Tensor* lead = nullptr;
    for (const Tensor* t : inputs)
        if (!lead || (lead->device().is_cpu() && lead->dim() == 0 && !t->device().is_cpu()))
            lead = t;
    for (const Tensor* t : inputs)
        check(t->device() == lead->device() || (t->dim() == 0 && t->device().is_cpu()), op,
              ": expected all tensors on one device, got ", lead->device(), " and ", t->device());
    return *lead;
}

// An uninitialised result, in the memory order of an input that has its shape.
Tensor make_result(const Dims& shape, DType dtype, Device device,
                   std::initializer_list<const Tensor*> inputs) {
    for (const Tensor* t : inputs)
        if (t->shape() == shape && t->device() == device) {
            if (t->is_contiguous()) break;
            if (t->dim() > 1 && is_dense(*t)) return empty_like(*t, dtype);
            if (suggested_format(*t) != MemoryFormat::Contiguous)
                return empty_in(suggested_format(*t), shape, dtype, device, "empty");
        }
    return empty(shape, dtype, device);
}

void call(const char* op, dl_map_fn fn, Device d, const Operands& o) {
    dl_status s = fn(&o.it, o.params);
    if (s == DL_BAD_INDEX) [[unlikely]]
        throw Error(cat("ZeroDivisionError: ", op, ": integer division by zero"));
    if (s != DL_OK) [[unlikely]]
        check_status(s, d, op, name(DType(o.it.dtype[1])));
}

}  // namespace

DType result_type(const Tensor& a, const Tensor& b) {
    if (a.dtype() == b.dtype() && !a.impl()->wrapped_number && !b.impl()->wrapped_number)
        return a.dtype();
    std::optional<DType> rank[3];  // of tensors with dimensions, of 0-dim ones, of numbers
    for (const Tensor* t : {&a, &b}) {
        bool number = t->impl()->wrapped_number;
        DType own = number && t->is_floating() ? default_dtype() : t->dtype();
        auto& slot = rank[number ? 2 : t->dim() == 0 ? 1 : 0];
        slot = promote_known(slot, own);
    }
    auto combine = [](std::optional<DType> high, std::optional<DType> low) {
        if (!high || !low) return high ? high : low;
        bool keeps = category(*high) >= category(*low) && *high != DType::Bool;
        return keeps ? high : std::optional<DType>(promote(*high, *low));
    };
    return *combine(rank[0], combine(rank[1], rank[2]));
}

namespace map {

dl_map_fn unary_kernel(const char* op, const Tensor& x, int which) {
    const dl_elementwise_table* table = backend_of(x.device()).elementwise;
    dl_map_fn fn = table ? table->unary[which] : nullptr;
    if (!fn) [[unlikely]]
        check_status(DL_UNSUPPORTED, x.device(), op);
    return fn;
}
dl_map_fn binary_kernel(const char* op, const Tensor& x, int which) {
    const dl_elementwise_table* table = backend_of(x.device()).elementwise;
    dl_map_fn fn = table ? table->binary[which] : nullptr;
    if (!fn) [[unlikely]]
        check_status(DL_UNSUPPORTED, x.device(), op);
    return fn;
}
dl_map_fn ternary_kernel(const char* op, const Tensor& x, int which) {
    const dl_elementwise_table* table = backend_of(x.device()).elementwise;
    dl_map_fn fn = table ? table->ternary[which] : nullptr;
    if (!fn) [[unlikely]]
        check_status(DL_UNSUPPORTED, x.device(), op);
    return fn;
}

const Tensor& leader(const Tensor& a, const Tensor& b) {
    return a.device().is_cpu() && a.dim() == 0 && !b.device().is_cpu() ? b : a;
}

Tensor run(const char* op, dl_map_fn fn, std::initializer_list<const Tensor*> inputs, DType compute,
           DType out, const Params& params) {
    const Tensor& lead = leader_of(op, inputs);
    Dims shape = common_shape(op, inputs);
    Tensor y = make_result(shape, out, lead.device(), inputs);
    if (y.numel() > 0) {
        Operands o;
        bool mask_first = inputs.size() == 3 && (*inputs.begin())->dtype() == DType::Bool &&
                          compute != DType::Bool;
        line_up(o, y, inputs, compute, params, mask_first);
        call(op, fn, lead.device(), o);
    }
    return y;
}

void run_into(const char* op, dl_map_fn fn, const Tensor& self,
              std::initializer_list<const Tensor*> inputs, DType compute, const Params& params) {
    leader_of(op, inputs);
    Dims shape = common_shape(op, inputs);
    check<ShapeError>(shape == self.shape(), op, "_: output with shape ", self.shape(),
                      " doesn't match the broadcast shape ", shape);
    if (self.numel() == 0) return;
    // Another tensor on the same memory must not be read where it was already written.
    bool safe = self.dtype() == compute || (is_half(self.dtype()) && compute == DType::Float32);
    for (const Tensor* t : inputs)
        safe &= t->impl()->storage != self.impl()->storage ||
                (t->offset() == self.offset() && t->strides() == self.strides() &&
                 t->shape() == self.shape() && t->dtype() == self.dtype());
    if (!safe) {
        copy_raw(self, run(op, fn, inputs, compute, compute, params));
        return;
    }
    Operands o;
    bool mask_first =
        inputs.size() == 3 && (*inputs.begin())->dtype() == DType::Bool && compute != DType::Bool;
    line_up(o, self, inputs, compute, params, mask_first);
    call(op, fn, self.device(), o);
}

void check_result_fits(const char* op, DType t, const Tensor& self) {
    check(can_cast(t, self.dtype()), op, "_: result type ", t,
          " can't be cast to the desired output type ", self.dtype());
}

Tensor reduce_to(const Tensor& g, const Ctx& c, int i) {
    return cast(sum_to_size(g, c.shape(i)), c.dtype(i));
}

Tensor fused_grad(const char* op, int which, const Tensor& dy, const Tensor& saved,
                  const Params& p) {
    DType t = dy.dtype();
    return run(op, binary_kernel(op, dy, which), {&dy, &saved}, compute_dtype(t), t, p);
}

}  // namespace map
}  // namespace deeplite
