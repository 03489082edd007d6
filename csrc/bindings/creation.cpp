// Tensors from Python data, and the factory functions.
#include <cmath>

#include "autograd/meta.h"
#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "bindings/pybind.h"
#include "graph/capture.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

using bind::Caster;

// Walks nested lists: shape and the strongest kind of number found.
struct Nested {
    Dims shape;
    int category = -1;  // 0 bool, 1 int, 2 float
    std::optional<DType> tensor_dtype;

    void scan(PyObject* o, int depth) {
        if (PyList_Check(o) || PyTuple_Check(o)) {
            check<ValueError>(depth < kMaxDims, "tensor(): sequences are nested deeper than ",
                              kMaxDims, " dimensions");
            Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
            level(depth, n, o);
            for (Py_ssize_t i = 0; i < n; ++i) scan(PySequence_Fast_GET_ITEM(o, i), depth + 1);
            return;
        }
        check<ValueError>(depth == shape.size(),
                          "tensor(): nested sequences have different depths at dimension ", depth);
        if (is_tensor(o)) {
            Tensor t = unwrap(o);
            check<ValueError>(t.numel() == 1,
                              "only one-element tensors can be converted to scalars, got shape ",
                              t.shape());
            tensor_dtype = tensor_dtype ? promote(*tensor_dtype, t.dtype()) : t.dtype();
            return;
        }
        Scalar s;
        bool b;
        if (Caster<Scalar>::load(o, s))
            category = std::max(category, int(s.kind));
        else if (Caster<bool>::load(o, b))
            category = std::max(category, 0);
        else
            throw TypeError(cat("tensor(): cannot make an element from ", Py_TYPE(o)->tp_name));
    }
    void level(int depth, int64_t n, PyObject*) {
        if (depth == shape.size() && category < 0 && !tensor_dtype && !closed) shape.push_back(n);
        check<ValueError>(
            depth < shape.size() && shape[depth] == n, "tensor(): expected a sequence of length ",
            depth < shape.size() ? shape[depth] : 0, " at dimension ", depth, ", got length ", n);
        if (n == 0) closed = true;
    }
    bool closed = false;

    DType dtype() const {
        if (category < 0) return tensor_dtype.value_or(default_dtype());
        DType own = category == 2 ? default_dtype() : category == 1 ? DType::Int64 : DType::Bool;
        return tensor_dtype ? promote(*tensor_dtype, own) : own;
    }
};

void fill_from(PyObject* o, char*& p, DType t) {
    if (PyList_Check(o) || PyTuple_Check(o)) {
        Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
        for (Py_ssize_t i = 0; i < n; ++i) fill_from(PySequence_Fast_GET_ITEM(o, i), p, t);
        return;
    }
    Scalar s;
    bool b = false;
    py::object keep;
    if (is_tensor(o)) {
        keep = py::reinterpret_steal<py::object>(item(unwrap(o)));
        o = keep.ptr();
    }
    if (!Caster<Scalar>::load(o, s)) {
        Caster<bool>::load(o, b);
        s = {Scalar::boolean, b, double(b)};
    }
    if (s.kind == Scalar::floating) {
        check<ValueError>(!is_integral(t) || std::isfinite(s.d), "tensor(): cannot convert ", s.d,
                          " to ", t);
        store_double(p, t, s.d);
    } else {
        store_int(p, t, s.i);
    }
    p += itemsize(t);
}

Tensor from_nested(PyObject* o, std::optional<DType> dtype) {
    Nested n;
    n.scan(o, 0);
    DType t = dtype.value_or(n.dtype());
    Tensor x = empty(n.shape, t, Device{}, "tensor");
    char* p = x.data<char>();
    fill_from(o, p, t);
    return x;
}

// Python's own numbers: they have no `__array__` and no `dtype`, and to ask costs more than all the rest.
bool is_number(PyObject* o) { return PyFloat_CheckExact(o) || PyLong_CheckExact(o); }

bool all_numbers(PyObject* o, int depth = 0) {  // nested lists of arrays go through NumPy
    if (!PyList_Check(o) && !PyTuple_Check(o))
        return is_number(o) || is_tensor(o) || !py::hasattr(o, "__array__");
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(o); ++i)
        if (depth < kMaxDims && !all_numbers(PySequence_Fast_GET_ITEM(o, i), depth + 1))
            return false;
    return true;
}

using OptDType = std::optional<DType>;
using OptFormat = std::optional<MemoryFormat>;
using OptDevice = std::optional<Device>;

Tensor finish(Tensor t, bool requires_grad) {
    if (requires_grad) set_requires_grad(t, true);
    return t;
}

DType infer(const Scalar& a) {
    return a.kind == Scalar::boolean   ? DType::Bool
           : a.kind == Scalar::integer ? DType::Int64
                                       : default_dtype();
}

Tensor py_full(const Dims& size, Scalar value, OptDType dtype, OptDevice device, bool grad) {
    return finish(
        full(size, value.to_double(), dtype.value_or(infer(value)), device.value_or(Device{})),
        grad);
}

DType range_dtype(std::initializer_list<Scalar> s, OptDType dtype) {
    if (dtype) return *dtype;
    for (const Scalar& v : s)
        if (v.kind == Scalar::floating) return default_dtype();
    return DType::Int64;
}

Tensor py_arange(Scalar start, Scalar end, Scalar step, OptDType dtype, OptDevice device,
                 bool grad) {
    DType t = range_dtype({start, end, step}, dtype);
    return finish(
        arange(start.to_double(), end.to_double(), step.to_double(), t, device.value_or(Device{})),
        grad);
}

struct Like {
    DType dtype;
    Device device;
};
Like like(const Tensor& x, OptDType dtype, OptDevice device) {
    return {dtype.value_or(x.dtype()), device.value_or(x.device())};
}

Tensor filled_like(const Tensor& x, double value, OptDType dtype, OptDevice device, bool grad,
                   OptFormat format) {
    auto [t, d] = like(x, dtype, device);
    return finish(full_like(x, value, t, d, format.value_or(MemoryFormat::Preserve)), grad);
}

// New memory filled from Python. A capture notes it as a copy of a constant: a replay that changes it in
// place must find it as it was.
Tensor fresh(const Tensor& t, Device device) {
    Tensor y = to_device_raw(t, device);
    return t_recorder ? clone(y) : y;
}

}  // namespace

Tensor tensor_from_object(py::handle data, OptDType dtype, Device device, bool copy) {
    PyObject* o = data.ptr();
    Tensor t;
    if (is_tensor(o)) {
        t = unwrap(o);
        GradMode off(false);
        if (copy) t = clone(detach(t));
        return to_device(dtype ? cast(t, *dtype) : t, device);
    }
    bool sequence = PyList_Check(o) || PyTuple_Check(o);
    if (!sequence && number_to_tensor(o, t)) {
        DType own = t.is_floating() ? default_dtype() : t.dtype();
        if (!is_number(o) && py::hasattr(data, "dtype")) own = dtype_of_numpy(data);
        Tensor x = from_nested(o, dtype.value_or(own));
        return fresh(x, device);
    }
    if (sequence && all_numbers(o)) return fresh(from_nested(o, dtype), device);
    check<TypeError>(!PyUnicode_Check(o) && !PyDict_Check(o) && !PySet_Check(o) && o != Py_None,
                     "tensor(): cannot make a tensor from ", Py_TYPE(o)->tp_name);
    if (sequence && PySequence_Fast_GET_SIZE(o) > 0 && is_tensor(PySequence_Fast_GET_ITEM(o, 0)))
        return fresh(from_nested(o, dtype), device);
    py::object array = py::module_::import("numpy").attr("asarray")(data);
    t = from_numpy(array, /*need_writable=*/false);
    GradMode off(false);
    if (dtype) t = cast(t, *dtype);
    bool borrowed = t.impl()->storage->bytes > 0 && (copy || !t.impl()->storage->writable);
    if (borrowed) t = clone(t);
    return to_device(t, device);
}

void bind_creation(Api& api) {
    api.fn("tensor(data, *, dtype=None, device=None, requires_grad=False)",
           [](py::object data, OptDType dtype, OptDevice device, bool grad) {
               Device d =
                   device.value_or(is_tensor(data.ptr()) ? unwrap(data.ptr()).device() : Device{});
               return finish(tensor_from_object(data, dtype, d, true), grad);
           });
    auto as_tensor = [](py::object data, OptDType dtype, OptDevice device) {
        Device d = device.value_or(is_tensor(data.ptr()) ? unwrap(data.ptr()).device() : Device{});
        if (is_tensor(data.ptr())) {
            Tensor t = unwrap(data.ptr());
            return to_device(dtype ? cast(t, *dtype) : t, d);
        }
        return tensor_from_object(data, dtype, d, false);
    };
    api.fn("as_tensor(data, dtype=None, device=None)", as_tensor);
    api.fn("asarray(data, dtype=None, device=None)", as_tensor);
    api.fn("scalar_tensor(s, *, dtype=None, device=None, requires_grad=False)",
           [](Scalar s, OptDType dtype, OptDevice device, bool grad) {
               return finish(full({}, s.to_double(), dtype.value_or(default_dtype()),
                                  device.value_or(Device{})),
                             grad);
           });
    api.fn("empty(*size, dtype=None, device=None, requires_grad=False, memory_format=None)",
           [](const Dims& size, OptDType dtype, OptDevice device, bool grad, OptFormat f) {
               check<ValueError>(f != MemoryFormat::Preserve,
                                 "empty: there is no order of elements to preserve");
               const Dims strides = f ? format_strides(size, *f, "empty") : Dims{};
               return finish(empty_recorded(size, dtype.value_or(default_dtype()),
                                            device.value_or(Device{}), strides),
                             grad);
           });
    api.fn("zeros(*size, dtype=None, device=None, requires_grad=False)",
           [](const Dims& size, OptDType dtype, OptDevice device, bool grad) {
               return finish(
                   zeros(size, dtype.value_or(default_dtype()), device.value_or(Device{})), grad);
           });
    api.fn("ones(*size, dtype=None, device=None, requires_grad=False)",
           [](const Dims& size, OptDType dtype, OptDevice device, bool grad) {
               return finish(ones(size, dtype.value_or(default_dtype()), device.value_or(Device{})),
                             grad);
           });
    api.fn("full(size, fill_value, *, dtype=None, device=None, requires_grad=False)", &py_full);
    api.fn("empty_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None)",
           [](const Tensor& x, OptDType dtype, OptDevice device, bool grad, OptFormat f) {
               auto [t, d] = like(x, dtype, device);
               const Dims strides =
                   like_strides(x, f.value_or(MemoryFormat::Preserve), "empty_like");
               return finish(empty_strided(x.shape(), strides, t, d, "empty_like"), grad);
           });
    api.fn("zeros_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None)",
           [](const Tensor& x, OptDType dtype, OptDevice device, bool grad, OptFormat f) {
               return filled_like(x, 0, dtype, device, grad, f);
           });
    api.fn("ones_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=None)",
           [](const Tensor& x, OptDType dtype, OptDevice device, bool grad, OptFormat f) {
               return filled_like(x, 1, dtype, device, grad, f);
           });
    api.fn(
        "full_like(input, fill_value, *, dtype=None, device=None, requires_grad=False, "
        "memory_format=None)",
        [](const Tensor& x, Scalar value, OptDType dtype, OptDevice device, bool grad,
           OptFormat f) { return filled_like(x, value.to_double(), dtype, device, grad, f); });
    api.method("new_empty(self, *size, dtype=None, device=None, requires_grad=False)",
               [](const Tensor& x, const Dims& size, OptDType dtype, OptDevice device, bool grad) {
                   auto [t, d] = like(x, dtype, device);
                   return finish(empty_recorded(size, t, d), grad);
               });
    api.method("new_zeros(self, *size, dtype=None, device=None, requires_grad=False)",
               [](const Tensor& x, const Dims& size, OptDType dtype, OptDevice device, bool grad) {
                   auto [t, d] = like(x, dtype, device);
                   return finish(zeros(size, t, d), grad);
               });
    api.method("new_ones(self, *size, dtype=None, device=None, requires_grad=False)",
               [](const Tensor& x, const Dims& size, OptDType dtype, OptDevice device, bool grad) {
                   auto [t, d] = like(x, dtype, device);
                   return finish(ones(size, t, d), grad);
               });
    api.method("new_full(self, size, fill_value, *, dtype=None, device=None, requires_grad=False)",
               [](const Tensor& x, const Dims& size, Scalar value, OptDType dtype, OptDevice device,
                  bool grad) {
                   auto [t, d] = like(x, dtype, device);
                   return finish(full(size, value.to_double(), t, d), grad);
               });
    api.method("new_tensor(self, data, *, dtype=None, device=None, requires_grad=False)",
               [](const Tensor& x, py::object data, OptDType dtype, OptDevice device, bool grad) {
                   auto [t, d] = like(x, dtype, device);
                   return finish(tensor_from_object(data, t, d, true), grad);
               });
    api.fn("arange(end, *, dtype=None, device=None, requires_grad=False)",
           [](Scalar end, OptDType dtype, OptDevice device, bool grad) {
               return py_arange(Scalar{}, end, Scalar{Scalar::integer, 1, 1}, dtype, device, grad);
           });
    api.fn("arange(start, end, step=1, *, dtype=None, device=None, requires_grad=False)",
           &py_arange);
    api.fn(
        "linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False)",
        [](double start, double end, int64_t steps, OptDType dtype, OptDevice device, bool grad) {
            return finish(linspace(start, end, steps, dtype.value_or(default_dtype()),
                                   device.value_or(Device{})),
                          grad);
        });
    api.fn(
        "logspace(start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False)",
        [](double start, double end, int64_t steps, double base, OptDType dtype, OptDevice device,
           bool grad) {
            Tensor exponents =
                linspace(start, end, steps, DType::Float64, device.value_or(Device{}));
            Tensor y = operators().pow(wrapped_number(base), exponents);
            return finish(cast(y, dtype.value_or(default_dtype())), grad);
        });
    api.fn("eye(n, m=None, *, dtype=None, device=None, requires_grad=False)",
           [](int64_t n, std::optional<int64_t> m, OptDType dtype, OptDevice device, bool grad) {
               return finish(eye(n, m.value_or(n), dtype.value_or(default_dtype()),
                                 device.value_or(Device{})),
                             grad);
           });
}

}  // namespace deeplite
