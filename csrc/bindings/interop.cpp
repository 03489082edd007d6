// Memory shared with others: NumPy arrays, DLPack capsules; and bytes for pickling.
#include <pybind11/numpy.h>

#include "autograd/meta.h"
#include "bindings/bindings.h"
#include "bindings/pybind.h"
#include "graph/capture.h"
#include "ops/copy.h"
#include "ops/iter.h"

namespace deeplite {
namespace {

// NumPy has no bfloat16: such tensors travel as float32 copies on request only.
const char* numpy_code(DType t) {
    switch (t) {
        case DType::Float32:
            return "f4";
        case DType::Float64:
            return "f8";
        case DType::Float16:
            return "f2";
        case DType::Int64:
            return "i8";
        case DType::Int32:
            return "i4";
        case DType::Int16:
            return "i2";
        case DType::Int8:
            return "i1";
        case DType::UInt8:
            return "u1";
        case DType::Bool:
            return "b1";
        default:
            throw TypeError(
                cat("numpy: NumPy has no dtype for ", t, "; convert with .float() first"));
    }
}

DType dtype_of(const py::dtype& d) {
    char kind = d.kind();
    int size = int(d.itemsize());
    if (kind == 'f') {
        if (size == 4) return DType::Float32;
        if (size == 8) return DType::Float64;
        if (size == 2) return DType::Float16;
    } else if (kind == 'i') {
        if (size == 8) return DType::Int64;
        if (size == 4) return DType::Int32;
        if (size == 2) return DType::Int16;
        if (size == 1) return DType::Int8;
    } else if (kind == 'u' && size == 1) {
        return DType::UInt8;
    } else if (kind == 'b') {
        return DType::Bool;
    }
    throw TypeError(cat(
        "can't convert a NumPy array of dtype ", std::string(py::str(d)),
        "; supported are float64, float32, float16, int64, int32, int16, int8, uint8 and bool"));
}

py::object to_numpy(const Tensor& x, bool force) {
    Tensor t = x;
    if (force) {
        GradMode off(false);
        t = to_device(detach(x), Device{});
    }
    check(!requires_grad(t),
          "numpy: can't call numpy() on a tensor that requires grad; use tensor.detach().numpy()");
    check<TypeError>(t.device().is_cpu(), "numpy: can't convert a tensor on ", t.device(),
                     "; use tensor.cpu() first");
    if (t_recorder) t_recorder->check_readable(t, "numpy");
    std::vector<py::ssize_t> shape(t.shape().begin(), t.shape().end()), strides;
    for (int64_t s : t.strides()) strides.push_back(s * int64_t(itemsize(t.dtype())));
    // The array keeps the storage alive, whatever becomes of the tensor.
    auto* keep = new Ref<Storage>(t.impl()->storage);
    py::capsule owner(keep, [](void* p) { delete static_cast<Ref<Storage>*>(p); });
    py::array a(py::dtype(numpy_code(t.dtype())), shape, strides, t.raw(), owner);
    if (!t.impl()->storage->writable) a.attr("setflags")(py::arg("write") = false);
    return a;
}

// ---- DLPack, both the versioned (1.x) and the older form ----
struct DLDevice {
    int32_t type, id;
};
struct DLDataType {
    uint8_t code, bits;
    uint16_t lanes;
};
struct DLTensor {
    void* data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};
struct DLManaged {
    DLTensor tensor;
    void* context;
    void (*deleter)(DLManaged*);
};
struct DLManagedVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void* context;
    void (*deleter)(DLManagedVersioned*);
    uint64_t flags;
    DLTensor tensor;
};
constexpr uint64_t kReadOnly = 1, kCopied = 2;
constexpr int32_t kDLCpu = 1;
enum : uint8_t { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLBool = 6 };

DLDataType dl_dtype_of(DType t) {
    uint8_t bits = uint8_t(itemsize(t) * 8);
    if (t == DType::BFloat16) return {kDLBfloat, bits, 1};
    if (t == DType::Bool) return {kDLBool, 8, 1};
    if (t == DType::UInt8) return {kDLUInt, 8, 1};
    return {is_floating(t) ? kDLFloat : kDLInt, bits, 1};
}

DType dtype_of(DLDataType d) {
    check<TypeError>(d.lanes == 1, "from_dlpack: vector types (", d.lanes,
                     " lanes) are not supported");
    for (int i = 0; i < kDTypeCount; ++i) {
        DLDataType own = dl_dtype_of(DType(i));
        if (own.code == d.code && own.bits == d.bits) return DType(i);
    }
    throw TypeError(
        cat("from_dlpack: unsupported dtype (code ", int(d.code), ", ", int(d.bits), " bits)"));
}

template <class Managed>
struct Exported {
    Managed managed{};
    Ref<Storage> storage;
    Dims shape, strides;
};

template <class Managed>
Managed* export_tensor(const Tensor& t) {
    auto* e = new Exported<Managed>;
    e->storage = t.impl()->storage;
    e->shape = t.shape();
    e->strides = t.strides();
    e->managed.tensor = {t.raw(),         {kDLCpu, 0},       t.dim(), dl_dtype_of(t.dtype()),
                         e->shape.data(), e->strides.data(), 0};
    e->managed.context = e;
    e->managed.deleter = [](Managed* m) { delete static_cast<Exported<Managed>*>(m->context); };
    return &e->managed;
}

// An unconsumed capsule frees what it holds; a consumer renames it first.
template <class Managed>
void drop_capsule(PyObject* capsule, const char* name) {
    if (!PyCapsule_IsValid(capsule, name)) return;
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
    if (m && m->deleter) m->deleter(m);
}

py::object to_dlpack(const Tensor& x, py::object stream, py::object max_version,
                     py::object dl_device, py::object copy) {
    (void)stream;
    check<py::buffer_error>(!requires_grad(x),
                            "__dlpack__: can't export a tensor that requires grad; use detach()");
    check<py::buffer_error>(x.device().is_cpu(),
                            "__dlpack__: only CPU tensors can be exported, this one is on ",
                            x.device());
    if (!dl_device.is_none() && dl_device.cast<std::pair<int, int>>().first != kDLCpu)
        throw py::buffer_error("__dlpack__: only the CPU device (1, 0) is supported");
    bool copied = !copy.is_none() && copy.cast<bool>();
    Tensor t = copied ? clone_raw(x) : x;
    bool versioned = !max_version.is_none() && max_version.cast<py::tuple>()[0].cast<int>() >= 1;
    PyObject* capsule;
    if (versioned) {
        auto* m = export_tensor<DLManagedVersioned>(t);
        m->version = {1, 0};
        m->flags = (t.impl()->storage->writable ? 0 : kReadOnly) | (copied ? kCopied : 0);
        capsule = PyCapsule_New(m, "dltensor_versioned", [](PyObject* c) {
            drop_capsule<DLManagedVersioned>(c, "dltensor_versioned");
        });
        if (!capsule) m->deleter(m);
    } else {
        check<py::buffer_error>(t.impl()->storage->writable,
                                "__dlpack__: read-only memory needs a versioned capsule");
        auto* m = export_tensor<DLManaged>(t);
        capsule = PyCapsule_New(m, "dltensor",
                                [](PyObject* c) { drop_capsule<DLManaged>(c, "dltensor"); });
        if (!capsule) m->deleter(m);
    }
    if (!capsule) throw py::error_already_set();
    return py::reinterpret_steal<py::object>(capsule);
}

template <class Managed>
Tensor import_tensor(Managed* m, bool writable) {
    // From here on the memory is ours to release, also when something below throws.
    std::shared_ptr<Managed> owner(m, [](Managed* p) {
        if (p->deleter) p->deleter(p);
    });
    const DLTensor& d = m->tensor;
    check<TypeError>(d.device.type == kDLCpu,
                     "from_dlpack: only CPU memory is supported, got device type ", d.device.type);
    DType t = dtype_of(d.dtype);
    Dims shape(d.shape, d.ndim);
    Dims strides = d.strides ? Dims(d.strides, d.ndim) : contiguous_strides(shape);
    for (int64_t s : strides)
        check<ValueError>(s >= 0, "from_dlpack: negative strides are not supported");
    return from_blob(
        static_cast<char*>(d.data) + d.byte_offset, shape, strides, t, Device{},
        [owner] { (void)owner; }, writable);
}

Tensor from_dlpack(py::object source) {
    py::object capsule = source;
    if (!PyCapsule_CheckExact(source.ptr())) {
        check<TypeError>(py::hasattr(source, "__dlpack__"),
                         "from_dlpack: expected an object with __dlpack__ or a capsule, got ",
                         Py_TYPE(source.ptr())->tp_name);
        try {
            capsule = source.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(1, 0));
        } catch (py::error_already_set& e) {
            if (!e.matches(PyExc_TypeError)) throw;
            capsule = source.attr("__dlpack__")();  // a producer from before versions
        }
    }
    PyObject* c = capsule.ptr();
    if (PyCapsule_IsValid(c, "dltensor_versioned")) {
        auto* m = static_cast<DLManagedVersioned*>(PyCapsule_GetPointer(c, "dltensor_versioned"));
        check<py::buffer_error>(m->version.major == 1, "from_dlpack: unsupported version ",
                                m->version.major);
        PyCapsule_SetName(c, "used_dltensor_versioned");
        return import_tensor(m, !(m->flags & kReadOnly));
    }
    check<ValueError>(PyCapsule_IsValid(c, "dltensor"),
                      "from_dlpack: the capsule was consumed already or is no DLPack capsule");
    auto* m = static_cast<DLManaged*>(PyCapsule_GetPointer(c, "dltensor"));
    PyCapsule_SetName(c, "used_dltensor");
    return import_tensor(m, true);
}

py::object tolist(const char* p, const Tensor& t, int dim) {
    if (dim == t.dim()) {
        if (t.dtype() == DType::Bool) return py::bool_(load_int(p, t.dtype()) != 0);
        if (t.is_floating()) return py::float_(load_double(p, t.dtype()));
        return py::int_(load_int(p, t.dtype()));
    }
    py::list l(t.shape()[dim]);
    for (int64_t i = 0; i < t.shape()[dim]; ++i)
        l[size_t(i)] = tolist(p + i * t.strides()[dim] * int64_t(itemsize(t.dtype())), t, dim + 1);
    return l;
}

}  // namespace

DType dtype_of_numpy(py::handle o) {
    return dtype_of(py::dtype::from_args(py::reinterpret_borrow<py::object>(o.attr("dtype"))));
}

Tensor from_numpy(py::handle h, bool need_writable) {
    py::array a = py::reinterpret_borrow<py::array>(h);
    DType t = dtype_of(a.dtype());
    if (!py::cast<bool>(a.dtype().attr("isnative")))
        throw TypeError("from_numpy: the array's byte order is not this machine's");
    Dims shape, strides;
    bool flipped = false, odd = false;
    for (py::ssize_t i = 0; i < a.ndim(); ++i) {
        shape.push_back(a.shape(i));
        flipped |= a.strides(i) < 0 && a.shape(i) > 1;
        odd |= a.shape(i) > 1 && a.strides(i) % int64_t(itemsize(t)) != 0;
        const int64_t stride = a.strides(i) / int64_t(itemsize(t));
        strides.push_back(a.shape(i) > 1 || stride > 0 ? stride : 1);
    }
    check<ValueError>(
        !need_writable || !flipped,
        "from_numpy: arrays with negative strides are not supported; pass array.copy()");
    check<ValueError>(!need_writable || !odd,
                      "from_numpy: strides must be multiples of the item size; pass array.copy()");
    if (flipped || odd)
        return from_numpy(py::array(py::module_::import("numpy").attr("ascontiguousarray")(a)),
                          false);
    SharedPyObject keep(a);
    return from_blob(
        const_cast<void*>(a.data()), shape, strides, t, Device{}, [keep] { (void)keep; },
        a.writeable());
}

void bind_interop(Api& api) {
    api.fn("from_numpy(ndarray)", [](py::object a) {
        check<TypeError>(py::isinstance<py::array>(a), "from_numpy: expected a NumPy array, got ",
                         Py_TYPE(a.ptr())->tp_name);
        return from_numpy(a, true);
    });
    api.method("numpy(self, *, force=False)",
               [](const Tensor& x, bool force) { return to_numpy(x, force); });
    api.method("__array__(self, dtype=None, copy=None)",
               [](const Tensor& x, py::object dtype, py::object copy) -> py::object {
                   py::object a = to_numpy(x, false);
                   if (!dtype.is_none()) a = a.attr("astype")(dtype, py::arg("copy") = false);
                   if (!copy.is_none() && copy.cast<bool>()) a = a.attr("copy")();
                   return a;
               });
    api.method("__dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None)",
               &to_dlpack);
    api.method("__dlpack_device__(self)", [](const Tensor& x) -> py::object {
        check<py::buffer_error>(x.device().is_cpu(),
                                "__dlpack_device__: only CPU tensors can be exported");
        return py::make_tuple(kDLCpu, 0);
    });
    api.fn("from_dlpack(ext_tensor)", &from_dlpack);
    api.method("tolist(self)", [](const Tensor& x) -> py::object {
        if (t_recorder) t_recorder->check_readable(x, "tolist");
        Tensor h = to_device_raw(x, Device{});
        return tolist(h.data<char>(), h, 0);
    });
    // Pickling: raw bytes, row-major.
    api.method("_to_bytes(self)", [](const Tensor& x) -> py::object {
        Tensor h = contiguous_raw(to_device_raw(x, Device{}));
        return py::bytes(h.data<char>(), h.nbytes());
    });
    // The elements in an object with the buffer interface, one-dimensional, where they lie.
    api.fn("_from_buffer(data, dtype)", [](py::object data, DType dtype) {
        py::buffer_info info = py::reinterpret_borrow<py::buffer>(data).request();
        const int64_t bytes = info.size * info.itemsize, n = bytes / int64_t(itemsize(dtype));
        check<ValueError>(n * int64_t(itemsize(dtype)) == bytes && info.ndim == 1 &&
                              info.strides[0] == info.itemsize,
                          "_from_buffer: ", bytes, " bytes for elements of ", dtype);
        // A memoryview keeps the object from moving its memory (bytearray) or unmapping it.
        SharedPyObject keep{py::memoryview(data)};
        return from_blob(
            info.ptr, {n}, {1}, dtype, Device{}, [keep] { (void)keep; }, !info.readonly);
    });
    api.fn("_from_bytes(data, shape, dtype)", [](py::object data, const Dims& shape, DType dtype) {
        auto view = data.cast<std::string_view>();
        Tensor t = empty(shape, dtype, Device{}, "_from_bytes");
        check<ValueError>(view.size() == t.nbytes(), "_from_bytes: ", view.size(), " bytes for ",
                          describe(t));
        std::copy_n(view.data(), view.size(), t.data<char>());
        return t;
    });
}

}  // namespace deeplite
