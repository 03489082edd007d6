// Python objects for the core's types: the Tensor type, dtypes, devices, sizes, exceptions.
#pragma once
#include <pybind11/pytypes.h>

#include <memory>
#include <optional>

#include "autograd/node.h"
#include "core/memory_format.h"
#include "core/random.h"

// Only handles and objects here: all of pybind11 takes seven seconds to compile. A file that binds classes
// or functions by pybind11 itself includes bindings/pybind.h.
namespace PYBIND11_NAMESPACE {
class module_;
}

namespace deeplite {
namespace py = pybind11;

// The Python object that shows a tensor. A tensor has at most one (`x.grad is x.grad`), found through
// TensorImpl::pyobj; subclasses (Parameter) add their own __dict__.
struct PyTensor {
    PyObject_HEAD PyObject* weakrefs;
    TensorImpl* impl;  // owned: one reference
};
extern PyTypeObject* tensor_type;
void init_tensor_type(py::module_& m);

inline bool is_tensor(PyObject* o) {
    return Py_TYPE(o) == tensor_type || PyType_IsSubtype(Py_TYPE(o), tensor_type);
}
inline Tensor unwrap(PyObject* o) {
    return Tensor(Ref<TensorImpl>(reinterpret_cast<PyTensor*>(o)->impl));
}
PyObject* wrap(const Tensor& t);                         // new reference; None when undefined
PyObject* wrap_as(PyTypeObject* type, const Tensor& t);  // a new object of a subclass

PyObject* dtype_object(DType t);                  // borrowed
bool dtype_from_object(PyObject* o, DType& out);  // deeplite.dtype, or Python's float, int, bool
bool format_from_object(PyObject* o, MemoryFormat& out);
PyObject* device_object(Device d);  // new reference
// deeplite.device or a string; throws BadDevice on unknown names, to which the caller adds its own.
bool device_from_object(PyObject* o, Device& out);
struct BadDevice : Error {
    using Error::Error;
};
PyObject* size_object(const Dims& d);  // new deeplite.Size
void init_types(py::module_& m);

// A Python number (or NumPy scalar) as a weak 0-d tensor; false for anything else.
bool number_to_tensor(PyObject* o, Tensor& out);
// The value of a one-element tensor as a Python number.
PyObject* item(const Tensor& t);
Tensor tensor_from_object(py::handle data, std::optional<DType> dtype, Device device, bool copy);

void translate_exception();  // inside a catch (...): sets the Python error
void init_errors(py::module_& m);

class GilRelease {  // for C++ that must not call Python
 public:
    GilRelease() : state_(PyEval_SaveThread()) {}
    ~GilRelease() { PyEval_RestoreThread(state_); }
    GilRelease(const GilRelease&) = delete;

 private:
    PyThreadState* state_;
};

// A Python object owned by C++ that may be dropped on a thread without the GIL.
class SharedPyObject {
 public:
    explicit SharedPyObject(py::handle o) : p_(o.inc_ref().ptr(), drop) {}
    PyObject* get() const { return p_.get(); }
    bool shared() const { return p_.use_count() > 1; }

 private:
    static void drop(PyObject* o) {
        if (!Py_IsInitialized()) return;
        PyGILState_STATE s = PyGILState_Ensure();
        Py_DECREF(o);
        PyGILState_Release(s);
    }
    std::shared_ptr<PyObject> p_;
};

}  // namespace deeplite
