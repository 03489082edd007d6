// Tensor's attributes, and its methods that belong to no op family.
#include "autograd/meta.h"
#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "bindings/pybind.h"
#include "core/allocator.h"
#include "graph/capture.h"
#include "ops/copy.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

template <auto F>
PyObject* get(PyObject* self, void*) {
    try {
        return bind::to_python(F(unwrap(self)));
    } catch (...) {
        translate_exception();
        return nullptr;
    }
}
template <auto F>
int set(PyObject* self, PyObject* value, void*) {
    try {
        F(unwrap(self), value);
        return 0;
    } catch (...) {
        translate_exception();
        return -1;
    }
}

void set_requires_grad_attr(const Tensor& t, PyObject* value) {
    check<TypeError>(value && PyBool_Check(value), "requires_grad must be a bool");
    set_requires_grad(t, value == Py_True);
}

void set_grad_attr(const Tensor& t, PyObject* value) {
    check<TypeError>(!value || value == Py_None || is_tensor(value),
                     "grad: expected a tensor or None");
    set_grad(t, value && value != Py_None ? unwrap(value) : Tensor{});
}

// x.data = y: x keeps its identity and history, and shows y's memory from now on.
void set_data(const Tensor& t, PyObject* value) {
    check<TypeError>(value && is_tensor(value), "data: expected a tensor");
    check<NotImplementedError>(!t_recorder,
                               "capture: assigning to .data cannot be recorded; use copy_()");
    Tensor v = unwrap(value);
    TensorImpl& to = *t.impl();
    const TensorImpl& from = *v.impl();
    to.storage = from.storage;
    to.shape = from.shape;
    to.strides = from.strides;
    to.offset = from.offset;
    to.numel = from.numel;
    to.dtype = from.dtype;
    to.contiguous = from.contiguous;
}

Tensor transposed_all(const Tensor& x) {  // x.T
    Dims order;
    for (int i = x.dim() - 1; i >= 0; --i) order.push_back(i);
    return permute(x, order);
}

void bind_attributes(Api& api) {
    api.property("shape", get<[](const Tensor& t) { return t.shape(); }>, nullptr, "Size");
    api.property("dtype", get<[](const Tensor& t) { return t.dtype(); }>, nullptr, "dtype");
    api.property("device", get<[](const Tensor& t) { return t.device(); }>, nullptr, "device");
    api.property("ndim", get<[](const Tensor& t) { return int64_t(t.dim()); }>, nullptr, "int");
    api.property("itemsize", get<[](const Tensor& t) { return int64_t(itemsize(t.dtype())); }>,
                 nullptr, "int");
    api.property("nbytes", get<[](const Tensor& t) { return int64_t(t.nbytes()); }>, nullptr,
                 "int");
    api.property("is_leaf", get<[](const Tensor& t) { return is_leaf(t); }>, nullptr, "bool");
    api.property("requires_grad", get<[](const Tensor& t) { return requires_grad(t); }>,
                 set<set_requires_grad_attr>, "bool");
    api.property("grad", get<grad_of>, set<set_grad_attr>, "Tensor | None");
    api.property("retains_grad",
                 get<[](const Tensor& t) { return meta_of(t) && meta_of(t)->retain_grad; }>,
                 nullptr, "bool");
    api.property("data", get<detach>, set<set_data>, "Tensor");
    api.property("_version", get<[](const Tensor& t) { return int64_t(t.version()); }>, nullptr,
                 "int");
    api.property("_base",
                 get<[](const Tensor& t) { return is_view(t) ? meta_of(t)->view_base : Tensor{}; }>,
                 nullptr, "Tensor | None");
    api.property("T", get<transposed_all>, nullptr, "Tensor");
    api.property("mT", get<mT>, nullptr, "Tensor");
    api.property("H", get<t>, nullptr, "Tensor");
    api.property("mH", get<mT>, nullptr, "Tensor");
    api.property(
        "is_cuda",
        get<[](const Tensor& t) { return std::string(backend_of(t.device()).name) == "cuda"; }>,
        nullptr, "bool");
    api.property("is_cpu", get<[](const Tensor& t) { return t.device().is_cpu(); }>, nullptr,
                 "bool");
    api.property("is_sparse", get<[](const Tensor&) { return false; }>, nullptr, "bool");
    api.property("is_quantized", get<[](const Tensor&) { return false; }>, nullptr, "bool");
}

// x.to(dtype), x.to(device), x.to(device, dtype), x.to(other)
using OptFormat = std::optional<MemoryFormat>;

Tensor to(const Tensor& x, std::optional<Device> device, std::optional<DType> dtype,
          bool non_blocking, bool copy, OptFormat format) {
    (void)non_blocking;
    Tensor y = x;
    if (dtype) y = cast(y, *dtype);
    if (device) y = to_device(y, *device);
    const MemoryFormat f = format.value_or(MemoryFormat::Preserve);
    const bool reorder = f != MemoryFormat::Preserve && suggested_format(y) != f;
    return reorder || (copy && y.is_same(x)) ? clone(y, f) : y;
}

void bind_conversions(Api& api) {
    api.method("to(self, dtype, non_blocking=False, copy=False, *, memory_format=None)",
               [](const Tensor& x, DType t, bool n, bool c, OptFormat f) {
                   return to(x, {}, t, n, c, f);
               });
    api.method(
        "to(self, device=None, dtype=None, non_blocking=False, copy=False, *, memory_format=None)",
        &to);
    api.method("to(self, other, non_blocking=False, copy=False, *, memory_format=None)",
               [](const Tensor& x, const Tensor& o, bool n, bool c, OptFormat f) {
                   return to(x, o.device(), o.dtype(), n, c, f);
               });
    api.method("type(self, dtype)", [](const Tensor& x, DType t) { return cast(x, t); });
    api.method("type_as(self, other)", [](const Tensor& x, const Tensor& o) {
        return to(x, o.device(), o.dtype(), false, false, {});
    });
    api.method("float(self)", [](const Tensor& x) { return cast(x, DType::Float32); });
    api.method("double(self)", [](const Tensor& x) { return cast(x, DType::Float64); });
    api.method("half(self)", [](const Tensor& x) { return cast(x, DType::Float16); });
    api.method("bfloat16(self)", [](const Tensor& x) { return cast(x, DType::BFloat16); });
    api.method("long(self)", [](const Tensor& x) { return cast(x, DType::Int64); });
    api.method("int(self)", [](const Tensor& x) { return cast(x, DType::Int32); });
    api.method("short(self)", [](const Tensor& x) { return cast(x, DType::Int16); });
    api.method("char(self)", [](const Tensor& x) { return cast(x, DType::Int8); });
    api.method("byte(self)", [](const Tensor& x) { return cast(x, DType::UInt8); });
    api.method("bool(self)", [](const Tensor& x) { return cast(x, DType::Bool); });
    api.method("cpu(self)", [](const Tensor& x) { return to_device(x, Device{}); });
    api.method("cuda(self, device=None)", [](const Tensor& x, std::optional<int64_t> i) {
        return to_device(x, parse_device("cuda:" + std::to_string(i.value_or(0))));
    });
    api.method("contiguous(self, memory_format=None)", [](const Tensor& x, OptFormat f) {
        return contiguous(x, f.value_or(MemoryFormat::Contiguous));
    });
    api.both("clone(input, *, memory_format=None)", [](const Tensor& x, OptFormat f) {
        return clone(x, f.value_or(MemoryFormat::Preserve));
    });
    api.method("copy_(self, src, non_blocking=False)",
               [](const Tensor& x, const Operand& src, bool) { return copy_(x, src); });
    api.method("fill_(self, value)", [](const Tensor& x, double v) { return fill_(x, v); });
    api.method("fill_(self, value)", [](const Tensor& x, const Tensor& v) { return fill_(x, v); });
    api.method("zero_(self)", [](const Tensor& x) { return zero_(x); });
}

void bind_information(Api& api) {
    api.method("item(self)",
               [](const Tensor& x) { return py::reinterpret_steal<py::object>(item(x)); });
    api.method("size(self)", [](const Tensor& x) { return x.shape(); });
    api.method("size(self, dim)", [](const Tensor& x, int64_t d) {
        check<IndexError>(x.dim() > 0, "size: dimension specified as ", d,
                          " but tensor has no dimensions");
        return x.size(d);
    });
    api.method("stride(self)", [](const Tensor& x) -> py::object {
        py::tuple t(x.dim());
        for (int i = 0; i < x.dim(); ++i) t[size_t(i)] = x.strides()[i];
        return t;
    });
    api.method("stride(self, dim)", [](const Tensor& x, int64_t d) { return x.stride(d); });
    api.method("dim(self)", [](const Tensor& x) { return int64_t(x.dim()); });
    api.alias("ndimension", "dim");
    api.both("numel(input)", [](const Tensor& x) { return x.numel(); });
    api.alias("nelement", "numel");
    api.method("element_size(self)", [](const Tensor& x) { return int64_t(itemsize(x.dtype())); });
    api.method("storage_offset(self)", [](const Tensor& x) { return x.offset(); });
    api.method("data_ptr(self)",
               [](const Tensor& x) { return int64_t(reinterpret_cast<intptr_t>(x.raw())); });
    api.method("get_device(self)", [](const Tensor& x) {
        return int64_t(x.device().is_cpu() ? -1 : x.device().index);
    });
    api.method("is_contiguous(self, memory_format=None)", [](const Tensor& x, OptFormat f) {
        return is_contiguous(x, f.value_or(MemoryFormat::Contiguous));
    });
    api.both("is_floating_point(input)", [](const Tensor& x) { return x.is_floating(); });
    api.both("is_complex(input)", [](const Tensor&) { return false; });
    api.both("is_signed(input)", [](const Tensor& x) { return is_signed(x.dtype()); });
    api.both("is_nonzero(input)", [](const Tensor& x) -> py::object {
        return py::bool_(PyObject_IsTrue(py::reinterpret_steal<py::object>(item(x)).ptr()) == 1);
    });
    api.both("is_same_size(input, other)",
             [](const Tensor& x, const Tensor& y) { return x.shape() == y.shape(); });
    api.method("is_set_to(self, tensor)", [](const Tensor& x, const Tensor& y) {
        return x.raw() == y.raw() && x.shape() == y.shape() && x.strides() == y.strides();
    });
    api.method("is_shared(self)", [](const Tensor&) { return false; });
    api.method("is_pinned(self)", [](const Tensor&) { return false; });
    api.fn("promote_types(type1, type2)", [](DType a, DType b) { return promote(a, b); });
    api.fn("can_cast(from_, to)", [](DType a, DType b) { return can_cast(a, b); });
    api.fn("is_tensor(obj)", [](py::object o) { return is_tensor(o.ptr()); });
    api.fn("broadcast_shapes(*shapes=())", [](py::object shapes) {
        Dims all;
        for (const py::handle& given : shapes) {
            Dims one;
            check<TypeError>(bind::Caster<Dims>::load(given.ptr(), one),
                             "broadcast_shapes: expected shapes or numbers, got ",
                             std::string(Py_TYPE(given.ptr())->tp_name));
            for (int64_t size : one)
                check<ShapeError>(size >= 0, "broadcast_shapes: a negative size in ", one);
            all = broadcast_shapes(all, one, "broadcast_shapes");
        }
        return all;
    });
}

py::dict memory_stats() {
    AllocatorStats s = allocator_stats();
    py::dict d;
    d["allocated_bytes"] = s.allocated_bytes;
    d["peak_allocated_bytes"] = s.peak_allocated_bytes;
    d["cached_bytes"] = s.cached_bytes;
    d["allocations"] = s.allocations;
    d["system_allocations"] = s.system_allocations;
    d["cache_limit"] = cache_limit();
    return d;
}

}  // namespace

void bind_tensor(Api& api) {
    bind_attributes(api);
    bind_conversions(api);
    bind_information(api);
    api.module.def("memory_stats", &memory_stats, "Counters of the caching allocator, in bytes.");
    api.module.def("reset_peak_memory_stats", &reset_peak_stats);
    api.module.def("empty_cache", &empty_cache, "Gives all cached memory back to the system.");
    api.module.def("set_cache_limit", &set_cache_limit, py::arg("bytes"),
                   "Most bytes of freed memory kept for reuse.");
}

}  // namespace deeplite
