// deeplite.dtype, deeplite.memory_format, deeplite.device, deeplite.Size, deeplite.Generator and the exception classes.
#include <pybind11/operators.h>
#include <pybind11/stl.h>

#include "bindings/pybind.h"
#include "bindings/python.h"

namespace deeplite {
namespace {

struct DTypeTag {
    DType value;
};
PyObject* g_dtypes[kDTypeCount];
struct FormatTag {
    MemoryFormat value;
};
PyObject* g_formats[4];
PyTypeObject* g_size_type = nullptr;
PyObject* g_shape_error = nullptr;

PyObject* alias_dtype(PyObject* o) {
    if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) return dtype_object(default_dtype());
    if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) return dtype_object(DType::Int64);
    if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) return dtype_object(DType::Bool);
    return nullptr;
}

void init_dtypes(py::module_& m) {
    py::class_<DTypeTag> cls(m, "dtype", "Type of a tensor's elements, e.g. ``deeplite.float32``.");
    cls.def_property_readonly("is_floating_point",
                              [](const DTypeTag& t) { return is_floating(t.value); })
        .def_property_readonly("is_complex", [](const DTypeTag&) { return false; })
        .def_property_readonly("is_signed", [](const DTypeTag& t) { return is_signed(t.value); })
        .def_property_readonly("itemsize", [](const DTypeTag& t) { return itemsize(t.value); })
        .def_property_readonly("name", [](const DTypeTag& t) { return std::string(name(t.value)); })
        .def("__repr__", [](const DTypeTag& t) { return "deeplite." + std::string(name(t.value)); })
        .def("__reduce__", [](const DTypeTag& t) { return std::string(name(t.value)); });
    for (int i = 0; i < kDTypeCount; ++i) {
        py::object o = py::cast(DTypeTag{DType(i)});
        m.attr(std::string(name(DType(i))).c_str()) = o;
        g_dtypes[i] = o.release().ptr();  // immortal singletons
    }
    for (const char* alias : {"float", "double", "half", "long", "int", "short"})
        m.attr(alias) = py::handle(dtype_object(*dtype_from_name(alias)));
    m.def(
        "get_default_dtype",
        [] { return py::reinterpret_borrow<py::object>(dtype_object(default_dtype())); },
        "The dtype of new floating-point tensors: float32 unless set otherwise.");
    m.def(
        "set_default_dtype",
        [](py::object o) {
            DType t;
            check<TypeError>(dtype_from_object(o.ptr(), t), "set_default_dtype: expected a dtype");
            set_default_dtype(t);
        },
        "Sets the dtype of new floating-point tensors. Raises TypeError for one that is not.");
}

void init_formats(py::module_& m) {
    py::class_<FormatTag> cls(m, "memory_format",
                              "Order of a tensor's elements in memory, e.g. "
                              "``deeplite.channels_last``.");
    cls.def("__repr__", [](const FormatTag& t) { return "deeplite." + std::string(name(t.value)); })
        .def("__reduce__", [](const FormatTag& t) { return std::string(name(t.value)); });
    for (int i = 0; i < 4; ++i) {
        py::object o = py::cast(FormatTag{MemoryFormat(i)});
        m.attr(name(MemoryFormat(i))) = o;
        g_formats[i] = o.release().ptr();  // immortal singletons
    }
}

void init_device(py::module_& m) {
    py::class_<Device>(m, "device",
                       "Where a tensor lives: ``device('cpu')``, ``device('cuda', 0)``.")
        .def(py::init([](const std::string& s) { return parse_device(s); }), py::arg("type"))
        .def(py::init([](const std::string& s, int i) {
                 return parse_device(s + ":" + std::to_string(i));
             }),
             py::arg("type"), py::arg("index"))
        .def(py::init([](Device d) { return d; }))
        .def_property_readonly("type", [](Device d) { return std::string(backend_of(d).name); })
        .def_property_readonly("index",
                               [](Device d) -> std::optional<int> {
                                   if (d.is_cpu()) return std::nullopt;
                                   return d.index;
                               })
        .def("__eq__",
             [](Device a, py::object b) {
                 return py::isinstance<Device>(b) && b.cast<Device>() == a;
             })
        .def("__hash__", [](Device d) { return d.backend * 256 + d.index; })
        .def("__str__", [](Device d) { return to_string(d); })
        .def("__repr__",
             [](Device d) {
                 std::string type = backend_of(d).name;
                 return d.is_cpu()
                            ? "device(type='" + type + "')"
                            : "device(type='" + type + "', index=" + std::to_string(d.index) + ")";
             })
        .def("__reduce__", [](py::object self) {
            return py::make_tuple(self.attr("__class__"), py::make_tuple(py::str(self)));
        });
}

PyObject* size_repr(PyObject* self) {
    py::object inner = py::reinterpret_steal<py::object>(PySequence_List(self));
    return PyUnicode_FromFormat("deeplite.Size(%R)", inner.ptr());
}
PyObject* size_numel(PyObject* self, PyObject*) {
    int64_t n = 1;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i)
        n *= PyLong_AsLongLong(PyTuple_GET_ITEM(self, i));
    return PyErr_Occurred() ? nullptr : PyLong_FromLongLong(n);
}
PyObject* size_reduce(PyObject* self, PyObject*) {
    py::object inner = py::reinterpret_steal<py::object>(PySequence_List(self));
    return Py_BuildValue("O(O)", Py_TYPE(self), inner.ptr());
}

void init_size(py::module_& m) {
    static PyMethodDef methods[] = {
        {"numel", size_numel, METH_NOARGS, "Number of elements of that shape."},
        {"__reduce__", size_reduce, METH_NOARGS, nullptr},
        {}};
    static PyType_Slot slots[] = {
        {Py_tp_repr, reinterpret_cast<void*>(size_repr)}, {Py_tp_methods, methods}, {0, nullptr}};
    static PyType_Spec spec = {"deeplite.Size", 0, 0, Py_TPFLAGS_DEFAULT, slots};
    py::tuple bases = py::make_tuple(py::handle(reinterpret_cast<PyObject*>(&PyTuple_Type)));
    g_size_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpecWithBases(&spec, bases.ptr()));
    if (!g_size_type) throw py::error_already_set();
    m.attr("Size") = py::handle(reinterpret_cast<PyObject*>(g_size_type));
}

void init_generator(py::module_& m) {
    py::class_<Generator, Ref<Generator>> cls(m, "Generator",
                                              "State of the random numbers: a seed and a counter.");
    cls.def(py::init([](py::object device) {
                (void)device;  // counters live on the host whatever device draws from them
                return Ref<Generator>(new Generator);
            }),
            py::arg("device") = "cpu")
        .def("manual_seed",
             [](py::object self, py::int_ seed) {
                 self.cast<Generator&>().manual_seed(PyLong_AsUnsignedLongLongMask(seed.ptr()));
                 return self;
             })
        .def("seed", &Generator::seed)
        .def("initial_seed", &Generator::initial_seed)
        .def("get_state",
             [](const Generator& g) { return py::make_tuple(g.state().seed, g.state().offset); })
        .def("set_state", [](Generator& g,
                             std::pair<uint64_t, uint64_t> s) { g.set_state({s.first, s.second}); })
        .def_property_readonly("device", [](const Generator&) { return Device{}; });
    m.attr("default_generator") = py::cast(default_generator());
    m.def(
        "manual_seed",
        [](py::int_ seed) {
            default_generator()->manual_seed(PyLong_AsUnsignedLongLongMask(seed.ptr()));
            return default_generator();
        },
        "Starts the default generator again with this seed and returns it. What is drawn does not "
        "depend on the number of threads.");
    m.def(
        "seed", [] { return default_generator()->seed(); },
        "Starts the default generator again with a seed from the system and returns that.");
    m.def(
        "initial_seed", [] { return default_generator()->initial_seed(); },
        "The seed that the default generator began with.");
}

}  // namespace

PyObject* dtype_object(DType t) { return g_dtypes[int(t)]; }

bool dtype_from_object(PyObject* o, DType& out) {
    if (PyObject* known = alias_dtype(o)) o = known;
    for (int i = 0; i < kDTypeCount; ++i)
        if (g_dtypes[i] == o) {
            out = DType(i);
            return true;
        }
    return false;
}

bool format_from_object(PyObject* o, MemoryFormat& out) {
    for (int i = 0; i < 4; ++i)
        if (g_formats[i] == o) {
            out = MemoryFormat(i);
            return true;
        }
    return false;
}

PyObject* device_object(Device d) { return py::cast(d).release().ptr(); }

bool device_from_object(PyObject* o, Device& out) {
    if (PyUnicode_Check(o)) {
        const char* text = PyUnicode_AsUTF8(o);
        if (!text) throw py::error_already_set();
        try {
            out = parse_device(text);
        } catch (const Error& e) {
            throw BadDevice(e.what());
        }
        return true;
    }
    if (!py::isinstance<Device>(o)) return false;
    out = py::handle(o).cast<Device>();
    return true;
}

PyObject* size_object(const Dims& d) {
    PyObject* t = g_size_type->tp_alloc(g_size_type, d.size());
    if (!t) throw py::error_already_set();
    for (int i = 0; i < d.size(); ++i) PyTuple_SET_ITEM(t, i, PyLong_FromLongLong(d[i]));
    return t;
}

void init_types(py::module_& m) {
    init_dtypes(m);
    init_formats(m);
    init_device(m);
    init_size(m);
    init_generator(m);
}

void init_errors(py::module_& m) {
    // A ValueError for those who think in Python, a RuntimeError for those who come from torch.
    py::tuple bases = py::make_tuple(py::handle(PyExc_ValueError), py::handle(PyExc_RuntimeError));
    g_shape_error = PyErr_NewExceptionWithDoc(
        "deeplite.ShapeError", "Shapes that do not fit an operation.", bases.ptr(), nullptr);
    m.attr("ShapeError") = py::handle(g_shape_error);
    py::register_exception_translator([](std::exception_ptr p) {
        try {
            if (p) std::rethrow_exception(p);
        } catch (const Error&) {
            translate_exception();
        }
    });
}

void translate_exception() {
    try {
        throw;
    } catch (py::error_already_set& e) {
        e.restore();
    } catch (const ShapeError& e) {
        PyErr_SetString(g_shape_error, e.what());
    } catch (const TypeError& e) {
        PyErr_SetString(PyExc_TypeError, e.what());
    } catch (const ValueError& e) {
        PyErr_SetString(PyExc_ValueError, e.what());
    } catch (const IndexError& e) {
        PyErr_SetString(PyExc_IndexError, e.what());
    } catch (const NotImplementedError& e) {
        PyErr_SetString(PyExc_NotImplementedError, e.what());
    } catch (const OutOfMemoryError& e) {
        PyErr_SetString(PyExc_MemoryError, e.what());
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
    } catch (const py::builtin_exception& e) {
        e.set_error();
    } catch (const std::exception& e) {
        PyErr_SetString(PyExc_RuntimeError, e.what());
    }
}

}  // namespace deeplite
