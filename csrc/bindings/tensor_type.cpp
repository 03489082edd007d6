// The Python type Tensor: life cycle, operators, attributes. Its methods come from Api.

#include "autograd/meta.h"
#include "bindings/function.h"
#include "bindings/hooks.h"
#include "bindings/indexing.h"
#include "bindings/operators.h"
#include "bindings/pybind.h"
#include "graph/capture.h"
#include "ops/copy.h"
#include "ops/iter.h"
#include "ops/view.h"

#include <structmember.h>

namespace deeplite {

PyTypeObject* tensor_type = nullptr;

Operators& operators() {
    static Operators ops;
    return ops;
}

namespace {

PyTensor* self_of(PyObject* o) { return reinterpret_cast<PyTensor*>(o); }

// Runs f() and turns a C++ exception into a Python error with result `failed`.
template <class F, class R = std::invoke_result_t<F>>
R guarded(F&& f, R failed = {}) {
    try {
        return f();
    } catch (...) {
        translate_exception();
        return failed;
    }
}

// tp_alloc would hand every tensor to the collector; only those that own Python objects are (hooks.h).
// A subclass has a __dict__ to be seen, so its own allocation is right.
PyObject* allocate(PyTypeObject* type) {
    if (type != tensor_type) return type->tp_alloc(type, 0);
    return reinterpret_cast<PyObject*>(PyObject_GC_New(PyTensor, type));
}

PyObject* make(PyTypeObject* type, Ref<TensorImpl> impl) {
    PyObject* o = allocate(type);
    if (!o) throw py::error_already_set();
    self_of(o)->weakrefs = nullptr;
    self_of(o)->impl = nullptr;
    if (void* shown =
            impl->pyobj) {  // allocating ran the collector, and a finalizer got here first
        Py_DECREF(o);
        return Py_NewRef(static_cast<PyObject*>(shown));
    }
    impl->pyobj = o;
    self_of(o)->impl = impl.leak();
    if (self_of(o)->impl->meta && owns_python(*self_of(o)->impl)) track_tensor(o);
    return o;
}

int traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    return traverse_tensor(self_of(o)->impl, visit, arg);
}
int clear(PyObject* o) {
    clear_tensor(self_of(o)->impl);
    return 0;
}

void dealloc(PyObject* o) {
    PyTypeObject* type = Py_TYPE(o);
    PyObject_GC_UnTrack(o);
    if (self_of(o)->weakrefs) PyObject_ClearWeakRefs(o);
    if (TensorImpl* impl = std::exchange(self_of(o)->impl, nullptr)) {
        impl->pyobj = nullptr;
        Ref<TensorImpl>::adopt(impl);
    }
    type->tp_free(o);
    Py_DECREF(type);
}

// Tensor(), Tensor(2, 3) (uninitialised sizes) and Tensor(data), as torch's legacy constructor.
PyObject* construct(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        check<TypeError>(!kwargs || PyDict_Size(kwargs) == 0,
                         "Tensor(): keyword arguments are not supported; use tensor()");
        Py_ssize_t n = PyTuple_GET_SIZE(args);
        Dims shape;
        Tensor t;
        bool sizes = bind::Caster<Dims>::load(args, shape);
        if (n == 1 && !(sizes && PyIndex_Check(PyTuple_GET_ITEM(args, 0)))) {
            t = tensor_from_object(PyTuple_GET_ITEM(args, 0), default_dtype(), Device{}, true);
        } else {
            check<TypeError>(sizes || n == 0, "Tensor(): expected sizes or data");
            t = empty(n == 0 ? Dims{0} : shape, default_dtype(), Device{}, "Tensor");
        }
        return wrap_as(type, t);
    });
}

Tensor convert(PyObject* o) {  // undefined when o takes no part in tensor arithmetic
    if (is_tensor(o)) return unwrap(o);
    Tensor t;
    number_to_tensor(o, t);
    return t;
}

int64_t work(const Tensor& a, const Tensor& b) { return std::max(a.numel(), b.numel()); }

template <BinaryFn Operators::* entry>
PyObject* binary(PyObject* a, PyObject* b) {
    return guarded([&]() -> PyObject* {
        Tensor x = convert(a), y = convert(b);
        if (!x.defined() || !y.defined()) return Py_NewRef(Py_NotImplemented);
        BinaryFn fn = operators().*entry;
        if (work(x, y) <= bind::kReleaseElements) return wrap(fn(x, y));
        Tensor z;
        {
            GilRelease unlocked;
            z = fn(x, y);
        }
        return wrap(z);
    });
}

template <BinaryInplaceFn Operators::* entry>
PyObject* inplace(PyObject* a, PyObject* b) {
    return guarded([&]() -> PyObject* {
        Tensor y = convert(b);
        if (!is_tensor(a) || !y.defined()) return Py_NewRef(Py_NotImplemented);
        Tensor x = unwrap(a);
        if (work(x, y) <= bind::kReleaseElements) {
            (operators().*entry)(x, y);
        } else {
            GilRelease unlocked;
            (operators().*entry)(x, y);
        }
        return Py_NewRef(a);
    });
}

template <UnaryFn Operators::* entry>
PyObject* unary(PyObject* a) {
    return guarded([&] { return wrap((operators().*entry)(unwrap(a))); });
}
PyObject* positive(PyObject* a) { return Py_NewRef(a); }

PyObject* power(PyObject* a, PyObject* b, PyObject* modulo) {
    if (modulo != Py_None) return Py_NewRef(Py_NotImplemented);
    return binary<&Operators::pow>(a, b);
}
PyObject* inplace_power(PyObject* a, PyObject* b, PyObject*) {
    return inplace<&Operators::pow_>(a, b);
}

PyObject* compare(PyObject* a, PyObject* b, int op) {
    switch (op) {
        case Py_LT:
            return binary<&Operators::lt>(a, b);
        case Py_LE:
            return binary<&Operators::le>(a, b);
        case Py_EQ:
            return binary<&Operators::eq>(a, b);
        case Py_NE:
            return binary<&Operators::ne>(a, b);
        case Py_GT:
            return binary<&Operators::gt>(a, b);
        default:
            return binary<&Operators::ge>(a, b);
    }
}

Tensor host_scalar(const Tensor& t, const char* op) {
    check(t.numel() == 1, op, ": a tensor with ", t.numel(), " elements (shape ", t.shape(),
          ") cannot be converted to a number; use any() or all(), or index it");
    if (t_recorder) t_recorder->check_readable(t, op);
    return t.device().is_cpu() ? t : to_device_raw(t, Device{});
}

int truth(PyObject* a) {
    return guarded(
        [&] {
            Tensor t = host_scalar(unwrap(a), "bool");
            return int(load_double(t.raw(), t.dtype()) != 0);
        },
        -1);
}

PyObject* to_int(PyObject* a) {
    return guarded([&]() -> PyObject* {
        py::object v = py::reinterpret_steal<py::object>(item(unwrap(a)));
        return PyNumber_Long(v.ptr());
    });
}
PyObject* to_index(PyObject* a) {
    return guarded([&]() -> PyObject* {
        Tensor t = unwrap(a);
        check<TypeError>(
            t.numel() == 1 && !t.is_floating(),
            "only integer tensors of a single element can be converted to an index, got ",
            describe(t));
        return to_int(a);
    });
}
PyObject* to_float(PyObject* a) {
    return guarded([&]() -> PyObject* {
        Tensor t = host_scalar(unwrap(a), "float");
        return PyFloat_FromDouble(load_double(t.raw(), t.dtype()));
    });
}

Py_ssize_t length(PyObject* a) {
    return guarded(
        [&]() -> Py_ssize_t {
            Tensor t = unwrap(a);
            check<TypeError>(t.dim() > 0, "len() of a 0-d tensor");
            return Py_ssize_t(t.shape()[0]);
        },
        -1);
}
PyObject* subscript(PyObject* a, PyObject* index) {
    return guarded([&] { return get_item(unwrap(a), index); });
}
int assign_subscript(PyObject* a, PyObject* index, PyObject* value) {
    return guarded(
        [&] {
            check<TypeError>(value != nullptr, "tensor elements cannot be deleted");
            set_item(unwrap(a), index, value);
            return 0;
        },
        -1);
}
PyObject* iterate(PyObject* a) {
    return guarded([&]() -> PyObject* {
        Tensor t = unwrap(a);
        check<TypeError>(t.dim() > 0, "iteration over a 0-d tensor");
        py::object all = py::reinterpret_steal<py::object>(bind::to_python(unbind(t)));
        return PyObject_GetIter(all.ptr());
    });
}
Py_hash_t hash(PyObject* a) { return Py_hash_t(reinterpret_cast<size_t>(a) >> 4); }  // identity

PyObject* repr(PyObject* a) {
    return guarded([&]() -> PyObject* {
        static py::object* format = nullptr;
        if (!format)
            format = new py::object(py::module_::import("deeplite._tensor_str").attr("tensor_str"));
        return (*format)(py::handle(a)).release().ptr();
    });
}

int get_buffer(PyObject* a, Py_buffer* view, int flags) {
    return guarded(
        [&] {
            py::object array = py::handle(a).attr("numpy")();
            return PyObject_GetBuffer(array.ptr(), view, flags);
        },
        -1);
}

#define DL_SLOT(name, fn) {Py_##name, reinterpret_cast<void*>(fn)}

PyType_Slot* type_slots() {
    static PyMemberDef members[] = {
        {"__weaklistoffset__", T_PYSSIZET, offsetof(PyTensor, weakrefs), READONLY, nullptr}, {}};
    static PyType_Slot slots[] = {
        DL_SLOT(tp_dealloc, dealloc),
        DL_SLOT(tp_traverse, traverse),
        DL_SLOT(tp_clear, clear),
        DL_SLOT(tp_new, construct),
        DL_SLOT(tp_repr, repr),
        DL_SLOT(tp_hash, hash),
        DL_SLOT(tp_richcompare, compare),
        DL_SLOT(tp_iter, iterate),
        {Py_tp_members, members},
        DL_SLOT(nb_add, binary<&Operators::add>),
        DL_SLOT(nb_subtract, binary<&Operators::sub>),
        DL_SLOT(nb_multiply, binary<&Operators::mul>),
        DL_SLOT(nb_true_divide, binary<&Operators::div>),
        DL_SLOT(nb_floor_divide, binary<&Operators::floor_divide>),
        DL_SLOT(nb_remainder, binary<&Operators::remainder>),
        DL_SLOT(nb_power, power),
        DL_SLOT(nb_matrix_multiply, binary<&Operators::matmul>),
        DL_SLOT(nb_and, binary<&Operators::bitwise_and>),
        DL_SLOT(nb_or, binary<&Operators::bitwise_or>),
        DL_SLOT(nb_xor, binary<&Operators::bitwise_xor>),
        DL_SLOT(nb_lshift, binary<&Operators::lshift>),
        DL_SLOT(nb_rshift, binary<&Operators::rshift>),
        DL_SLOT(nb_inplace_add, inplace<&Operators::add_>),
        DL_SLOT(nb_inplace_subtract, inplace<&Operators::sub_>),
        DL_SLOT(nb_inplace_multiply, inplace<&Operators::mul_>),
        DL_SLOT(nb_inplace_true_divide, inplace<&Operators::div_>),
        DL_SLOT(nb_inplace_floor_divide, inplace<&Operators::floor_divide_>),
        DL_SLOT(nb_inplace_remainder, inplace<&Operators::remainder_>),
        DL_SLOT(nb_inplace_power, inplace_power),
        DL_SLOT(nb_inplace_and, inplace<&Operators::bitwise_and_>),
        DL_SLOT(nb_inplace_or, inplace<&Operators::bitwise_or_>),
        DL_SLOT(nb_inplace_xor, inplace<&Operators::bitwise_xor_>),
        DL_SLOT(nb_inplace_lshift, inplace<&Operators::lshift_>),
        DL_SLOT(nb_inplace_rshift, inplace<&Operators::rshift_>),
        DL_SLOT(nb_negative, unary<&Operators::neg>),
        DL_SLOT(nb_absolute, unary<&Operators::abs>),
        DL_SLOT(nb_invert, unary<&Operators::bitwise_not>),
        DL_SLOT(nb_positive, positive),
        DL_SLOT(nb_bool, truth),
        DL_SLOT(nb_int, to_int),
        DL_SLOT(nb_index, to_index),
        DL_SLOT(nb_float, to_float),
        DL_SLOT(mp_length, length),
        DL_SLOT(mp_subscript, subscript),
        DL_SLOT(mp_ass_subscript, assign_subscript),
        DL_SLOT(bf_getbuffer, get_buffer),
        {0, nullptr}};
    return slots;
}
#undef DL_SLOT

}  // namespace

PyObject* wrap(const Tensor& t) {
    if (!t.defined()) return Py_NewRef(Py_None);
    if (t.impl()->pyobj) return Py_NewRef(static_cast<PyObject*>(t.impl()->pyobj));
    return make(tensor_type, Ref<TensorImpl>(t.impl()));
}

PyObject* wrap_as(PyTypeObject* type, const Tensor& t) {
    // A second object for the same impl would break identity, so a shown tensor gets an alias.
    if (t.impl()->pyobj) return make(type, Ref<TensorImpl>(detach(t).impl()));
    return make(type, Ref<TensorImpl>(t.impl()));
}

PyObject* item(const Tensor& t) {
    Tensor h = host_scalar(t, "item");
    if (h.dtype() == DType::Bool) return PyBool_FromLong(load_int(h.raw(), h.dtype()) != 0);
    if (h.is_floating()) return PyFloat_FromDouble(load_double(h.raw(), h.dtype()));
    return PyLong_FromLongLong(load_int(h.raw(), h.dtype()));
}

bool number_to_tensor(PyObject* o, Tensor& out) {
    if (PyFloat_CheckExact(o)) {
        out = wrapped_number(PyFloat_AS_DOUBLE(o));
        return true;
    }
    Scalar s;
    if (PyLong_Check(o) || PyFloat_Check(o)) {
        bind::Caster<Scalar>::load(o, s);
        out = s.tensor();
        return true;
    }
    // What is left are NumPy scalars (not arrays) and other number types without a length.
    if (PyTuple_Check(o) || PyList_Check(o) || PyUnicode_Check(o) || !PyNumber_Check(o))
        return false;
    if (py::hasattr(o, "ndim")
            ? !PyIndex_Check(o) && !py::hasattr(o, "is_integer") &&
                  !std::string_view(Py_TYPE(o)->tp_name).starts_with("numpy.bool")
            : py::hasattr(o, "__len__"))
        return false;
    if (py::hasattr(o, "__setitem__")) return false;  // an array
    bool b;
    if (!bind::Caster<Scalar>::load(o, s)) {
        if (!bind::Caster<bool>::load(o, b)) return false;
        s = {Scalar::boolean, b, double(b)};
    }
    out = s.tensor();
    return true;
}

void init_tensor_type(py::module_& m) {
    static PyType_Spec spec = {"deeplite.Tensor", sizeof(PyTensor), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
                               type_slots()};
    tensor_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (!tensor_type) throw py::error_already_set();
    m.attr("Tensor") = py::handle(reinterpret_cast<PyObject*>(tensor_type));
    // NumPy must leave `array * tensor` to us.
    py::setattr(py::handle(reinterpret_cast<PyObject*>(tensor_type)), "__array_priority__",
                py::int_(1000));
}

}  // namespace deeplite
