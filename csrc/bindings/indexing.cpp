// x[...] and x[...] = v: numbers, slices, None, Ellipsis, and tensors (integers or masks) in any mix.
#include "bindings/indexing.h"

#include "bindings/operators.h"
#include "bindings/pybind.h"
#include "graph/capture.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// After the basic parts were applied: a view, and the tensors that index its dimensions.
struct Indexed {
    Tensor view;
    TensorList indices;  // empty when there is no advanced index
};

// To be made a tensor: a list, a tuple, an array. NumPy's scalars have __array__ too but are integers to
// us; its arrays have __index__ too but are not, unless they hold just one.
bool is_array_like(PyObject* o) {
    if (PyList_Check(o) || PyTuple_Check(o)) return true;
    // The usual indices first: to ask for an attribute that is not there raises and clears an error.
    if (PyLong_Check(o) || PySlice_Check(o) || o == Py_None || o == Py_Ellipsis) return false;
    if (!PyObject_HasAttrString(o, "__array__")) return false;
    if (!PyIndex_Check(o)) return true;
    py::object n = py::reinterpret_steal<py::object>(PyObject_GetAttrString(o, "ndim"));
    if (!n) PyErr_Clear();
    return n && PyLong_Check(n.ptr()) && PyLong_AsLong(n.ptr()) > 0;
}

std::optional<int64_t> bound(PyObject* o) {
    if (o == Py_None) return std::nullopt;
    if (PyLong_CheckExact(o)) {
        int overflow;
        int64_t v = PyLong_AsLongLongAndOverflow(o, &overflow);
        if (!overflow) return v;
    }
    py::object i = py::reinterpret_steal<py::object>(PyNumber_Index(o));
    if (!i) throw py::error_already_set();
    Py_ssize_t v = PyNumber_AsSsize_t(i.ptr(), nullptr);  // clips, as slices do
    return int64_t(v);
}

Tensor apply_slice(const Tensor& x, int64_t dim, PyObject* s) {
    auto* sl = reinterpret_cast<PySliceObject*>(s);
    int64_t step = bound(sl->step).value_or(1);
    check<ValueError>(step > 0, "slice step must be positive, got ", step,
                      " (use flip() to reverse)");
    if (sl->start == Py_None && sl->stop == Py_None && step == 1) return x;
    return slice(x, dim, bound(sl->start), bound(sl->stop), step);
}

// How many dimensions of x an index consumes.
int64_t consumed(PyObject* o) {
    if (o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) return 0;
    if (is_tensor(o)) {
        Tensor t = unwrap(o);
        if (t.dtype() == DType::Bool || t.dtype() == DType::UInt8) return t.dim();
    }
    return 1;
}

void put(TensorList& indices, int64_t dim, Tensor t) {
    if (int64_t(indices.size()) <= dim) indices.resize(size_t(dim) + 1);
    indices[size_t(dim)] = std::move(t);
}

// A mask stands for the positions where it is true: one index tensor per dimension it covers.
void put_mask(Indexed& r, int64_t& dim, const Tensor& mask) {
    for (int i = 0; i < mask.dim(); ++i) {
        check<IndexError>(dim + i < r.view.dim() && r.view.shape()[int(dim) + i] == mask.shape()[i],
                          "the shape of the mask ", mask.shape(), " at index ", i,
                          " does not match the shape of the indexed tensor ", r.view.shape(),
                          " at index ", dim + i);
    }
    Tensor where = operators().nonzero(mask);
    for (int i = 0; i < mask.dim(); ++i) put(r.indices, dim++, select(where, 1, i));
}

void put_tensor(Indexed& r, int64_t& dim, Tensor t) {
    if (t.dtype() == DType::Bool || t.dtype() == DType::UInt8) {
        if (t.dim() == 0) {
            check(!t_recorder, "capture: a 0-dim mask reads a value");
            bool yes = load_int(to_device(t, Device{}).raw(), t.dtype()) != 0;
            r.view = unsqueeze(r.view, dim);
            put(r.indices, dim++, zeros({yes ? 1 : 0}, DType::Int64, r.view.device()));
            return;
        }
        return put_mask(r, dim, t);
    }
    check<IndexError>(is_integral(t.dtype()),
                      "tensors used as indices must be integer or bool tensors, got ", t.dtype());
    check<IndexError>(dim < r.view.dim(), "too many indices for a tensor of dimension ",
                      r.view.dim());
    put(r.indices, dim++, cast(t, DType::Int64));
}

Indexed resolve(const Tensor& x, PyObject* index) {
    Indexed r{x, {}};
    const bool several = PyTuple_Check(index);
    const Py_ssize_t n = several ? PyTuple_GET_SIZE(index) : 1;
    // Lists and arrays become tensors first: they tell how many dimensions are used up.
    SmallVec<PyObject*, 8> items;  // borrowed: from the index, or from `made`
    std::vector<py::object> made;
    int64_t used = 0;
    bool ellipsis = false;
    for (Py_ssize_t k = 0; k < n; ++k) {
        PyObject* o = several ? PyTuple_GET_ITEM(index, k) : index;
        if (!is_tensor(o) && is_array_like(o)) {
            Tensor t = tensor_from_object(o, std::nullopt, x.device(), true);
            if (t.numel() == 0) t = cast(t, DType::Int64);
            o = made.emplace_back(py::reinterpret_steal<py::object>(wrap(t))).ptr();
        }
        check<IndexError>(o != Py_Ellipsis || !ellipsis,
                          "an index can only have a single ellipsis ('...')");
        ellipsis |= o == Py_Ellipsis;
        used += consumed(o);
        items.push_back(o);
    }
    check<IndexError>(used <= x.dim(), "too many indices for a tensor of dimension ", x.dim(),
                      ": got ", used);
    int64_t dim = 0;
    for (PyObject* o : items) {
        if (o == Py_Ellipsis) {
            dim += x.dim() - used;
        } else if (o == Py_None) {
            r.view = unsqueeze(r.view, dim++);
        } else if (PyBool_Check(o)) {
            r.view = unsqueeze(r.view, dim);
            put(r.indices, dim++, zeros({o == Py_True ? 1 : 0}, DType::Int64, x.device()));
        } else if (PySlice_Check(o)) {
            r.view = apply_slice(r.view, dim++, o);
        } else if (is_tensor(o)) {
            put_tensor(r, dim, unwrap(o));
        } else if (PyIndex_Check(o)) {
            int64_t i = *bound(o);
            check<IndexError>(dim < r.view.dim(), "too many indices for a tensor of dimension ",
                              x.dim());
            int64_t n = r.view.shape()[int(dim)];
            check<IndexError>(i >= -n && i < n, "index ", i, " is out of bounds for dimension ",
                              dim, " with size ", n);
            r.view = select(r.view, dim, i);
        } else {
            throw IndexError(
                cat("only integers, slices (`:`), ellipsis (`...`), None and integer or bool "
                    "arrays are "
                    "valid indices, got ",
                    Py_TYPE(o)->tp_name));
        }
    }
    return r;
}

}  // namespace

PyObject* get_item(const Tensor& x, PyObject* index) {
    if (PyLong_CheckExact(index)) return wrap(select(x, 0, PyLong_AsLongLong(index)));
    Indexed r = resolve(x, index);
    if (!r.indices.empty()) return wrap(operators().index(r.view, r.indices));
    return wrap(r.view.is_same(x) ? alias(x) : r.view);
}

void set_item(const Tensor& x, PyObject* index, PyObject* value) {
    Tensor v;
    if (is_tensor(value))
        v = unwrap(value);
    else if (!number_to_tensor(value, v))
        v = tensor_from_object(value, std::nullopt, x.device(), true);
    Indexed r = resolve(x, index);
    if (!r.indices.empty()) {
        if (v.dtype() != x.dtype()) v = cast(v, x.dtype());
        operators().index_put_(r.view, r.indices, to_device(v, x.device()), false);
        return;
    }
    // Leading dimensions of size 1 in the value may be dropped, as NumPy and torch allow.
    while (v.dim() > r.view.dim() && v.shape()[0] == 1) v = select(v, 0, 0);
    copy_(r.view, v);
}

}  // namespace deeplite
