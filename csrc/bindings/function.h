// How a C++ function becomes a Python function: a signature text gives names and defaults, the C++ type
// gives the conversions. One callable object serves as module function and as Tensor method.
//
//   api.both("softmax(input, dim, dtype=None)", &softmax);
//
// Cheaper per call than a general-purpose dispatcher: arguments arrive as a C array (vectorcall), are bound
// by position or interned keyword, and converted straight into the C++ parameters.
#pragma once
#include <array>
#include <functional>

#include "bindings/python.h"

namespace deeplite {

// A parameter that takes a tensor or a number (which becomes a weak 0-d tensor).
struct Operand {
    Tensor tensor;
    operator const Tensor&() const { return tensor; }
};
// A plain number, keeping its kind.
struct Scalar {
    enum Kind { boolean, integer, floating } kind = integer;
    int64_t i = 0;
    double d = 0;
    double to_double() const { return kind == floating ? d : double(i); }
    int64_t to_int() const { return kind == floating ? int64_t(d) : i; }
    DType dtype() const {
        return kind == boolean ? DType::Bool : kind == integer ? DType::Int64 : default_dtype();
    }
    Tensor tensor() const {
        return kind == floating  ? wrapped_number(d)
               : kind == integer ? wrapped_number(i)
                                 : wrapped_number(i != 0);
    }
};
// What torch returns as a named tuple, e.g. NamedTuple<"max", "values", "indices">.
struct NamedTensors {
    const char* type;                 // "max"
    std::vector<const char*> fields;  // "values", "indices"
    TensorList tensors;
};

namespace bind {

template <size_t N>
struct Text {
    char s[N];
    constexpr Text(const char (&t)[N]) { std::copy_n(t, N, s); }
};

// load: Python object -> T; false when the object is of another type (no Python error left behind).
// show: the type as stubs spell it.
template <class T>
struct Caster;

template <Text text>
struct Named {
    static std::string show() { return text.s; }
};
template <>
struct Caster<Tensor> : Named<"Tensor"> {
    static bool load(PyObject* o, Tensor& out) {
        if (!is_tensor(o)) return false;
        out = unwrap(o);
        return true;
    }
};
template <>
struct Caster<Operand> : Named<"Tensor | Number"> {
    static bool load(PyObject* o, Operand& out) {
        if (!is_tensor(o)) return number_to_tensor(o, out.tensor);
        out.tensor = unwrap(o);
        return true;
    }
};
template <>
struct Caster<Scalar> : Named<"Number"> {
    static bool load(PyObject* o, Scalar& out);
};
template <>
struct Caster<bool> : Named<"bool"> {
    static bool load(PyObject* o, bool& out);
};
template <>
struct Caster<int64_t> : Named<"int"> {
    static bool load(PyObject* o, int64_t& out);
};
template <>
struct Caster<double> : Named<"float"> {
    static bool load(PyObject* o, double& out);
};
template <>
struct Caster<std::string> : Named<"str"> {
    static bool load(PyObject* o, std::string& out);
};
template <>
struct Caster<DType> : Named<"dtype"> {
    static bool load(PyObject* o, DType& out) { return dtype_from_object(o, out); }
};
template <>
struct Caster<MemoryFormat> : Named<"memory_format"> {
    static bool load(PyObject* o, MemoryFormat& out) { return format_from_object(o, out); }
};
template <>
struct Caster<Device> : Named<"device | str"> {
    static bool load(PyObject* o, Device& out) { return device_from_object(o, out); }
};
template <>
struct Caster<Dims> : Named<"int | Sequence[int]"> {
    static bool load(PyObject* o, Dims& out);
};
template <>
struct Caster<std::vector<int64_t>> : Named<"Sequence[int]"> {
    static bool load(PyObject* o, std::vector<int64_t>& out);
};
template <>
struct Caster<std::vector<double>> : Named<"float | Sequence[float]"> {
    static bool load(PyObject* o, std::vector<double>& out);
};
template <>
struct Caster<TensorList> : Named<"Sequence[Tensor]"> {
    static bool load(PyObject* o, TensorList& out);  // None inside gives an undefined tensor
};
template <>
struct Caster<Ref<Generator>> : Named<"Generator"> {
    static bool load(PyObject* o, Ref<Generator>& out);
};
template <>
struct Caster<py::object> : Named<"Any"> {
    static bool load(PyObject* o, py::object& out) {
        out = py::reinterpret_borrow<py::object>(o);
        return true;
    }
};
template <class T>
struct Caster<std::optional<T>> {
    static std::string show() { return Caster<T>::show() + " | None"; }
    static bool load(PyObject* o, std::optional<T>& out) {
        if (o == Py_None) return true;
        return Caster<T>::load(o, out.emplace());
    }
};

inline PyObject* to_python(const Tensor& t) { return wrap(t); }
inline PyObject* to_python(bool v) { return PyBool_FromLong(v); }
inline PyObject* to_python(int64_t v) { return PyLong_FromLongLong(v); }
inline PyObject* to_python(double v) { return PyFloat_FromDouble(v); }
inline PyObject* to_python(const std::string& v) {
    return PyUnicode_FromStringAndSize(v.data(), Py_ssize_t(v.size()));
}
inline PyObject* to_python(DType v) { return Py_NewRef(dtype_object(v)); }
inline PyObject* to_python(Device v) { return device_object(v); }
inline PyObject* to_python(const Dims& v) { return size_object(v); }
inline PyObject* to_python(py::object v) { return v.release().ptr(); }
PyObject* to_python(const NamedTensors& v);
PyObject* to_python(std::span<const Tensor> v);  // tuple
inline PyObject* to_python(const TensorList& v) { return to_python(std::span<const Tensor>(v)); }
template <size_t N>
PyObject* to_python(const std::array<Tensor, N>& v) {
    return to_python(std::span<const Tensor>(v));
}

template <class R>
std::string show_result() {
    if constexpr (std::is_void_v<R>)
        return "None";
    else if constexpr (std::is_same_v<R, Dims>)
        return "Size";
    else if constexpr (std::is_same_v<R, TensorList>)
        return "tuple[Tensor, ...]";
    else if constexpr (std::is_same_v<R, NamedTensors>)
        return "Any";
    else if constexpr (std::is_same_v<R, Device>)
        return "device";
    else if constexpr (requires { std::tuple_size<R>::value; }) {
        std::string s = "tuple[";
        for (size_t i = 0; i < std::tuple_size_v<R>; ++i) s += i ? ", Tensor" : "Tensor";
        return s + "]";
    } else
        return Caster<R>::show();
}

// Kernels on more than this many elements run without the GIL.
inline constexpr int64_t kReleaseElements = 16384;
template <class T>
inline constexpr bool touches_python =
    std::is_same_v<T, py::object> || std::is_same_v<T, std::optional<py::object>>;

inline int64_t work_of(const Tensor& t) { return t.defined() ? t.numel() : 0; }
inline int64_t work_of(const Operand& t) { return work_of(t.tensor); }
inline int64_t work_of(const std::optional<Tensor>& t) { return t ? work_of(*t) : 0; }
inline int64_t work_of(const TensorList& ts) {
    int64_t n = 0;
    for (const Tensor& t : ts) n += work_of(t);
    return n;
}
inline int64_t work_of(const Dims& d) {  // a shape to be filled
    int64_t n = 1;
    for (int64_t s : d)
        if (s <= 0 || __builtin_mul_overflow(n, s, &n)) return 0;
    return n;
}
template <class T>
inline int64_t work_of(const T&) {
    return 0;
}

using Invoke = PyObject* (*)(const void* fn, PyObject* const* slots, int& bad);

template <class R, class... A>
struct Invoker {
    static PyObject* call(const void* fn, PyObject* const* slots, int& bad) {
        return call_impl(fn, slots, bad, std::index_sequence_for<A...>{});
    }
    template <size_t... I>
    static PyObject* call_impl(const void* fn, PyObject* const* slots, int& bad,
                               std::index_sequence<I...>) {
        (void)slots;
        std::tuple<std::decay_t<A>...> args;
        bool ok = true;
        ((ok = ok && (Caster<std::decay_t<A>>::load(slots[I], std::get<I>(args)) ||
                      (bad = int(I), false))),
         ...);
        if (!ok) return nullptr;
        auto f = reinterpret_cast<R (*)(A...)>(const_cast<void*>(fn));
        constexpr bool python =
            (touches_python<std::decay_t<A>> || ... || std::is_same_v<std::decay_t<R>, py::object>);
        auto run = [&]() -> R {
            if constexpr (!python)
                if ((work_of(std::get<I>(args)) + ... + 0) > kReleaseElements) {
                    GilRelease unlocked;
                    return f(std::get<I>(args)...);
                }
            return f(std::get<I>(args)...);
        };
        if constexpr (std::is_void_v<R>) {
            run();
            return Py_NewRef(Py_None);
        } else {
            decltype(auto) result = run();
            return to_python(result);
        }
    }
    static std::vector<std::string> types() { return {Caster<std::decay_t<A>>::show()...}; }
    static std::string result() { return show_result<std::decay_t<R>>(); }
};

struct FunctionSpec {  // type-erased: what Api::add needs
    const void* fn;
    Invoke invoke;
    std::vector<std::string> types;
    std::string result;
};
template <class R, class... A>
FunctionSpec erase(R (*f)(A...)) {
    using I = Invoker<R, A...>;
    return {reinterpret_cast<const void*>(f), &I::call, I::types(), I::result()};
}
template <class F>
    requires(!std::is_pointer_v<F>)
FunctionSpec erase(F lambda) {
    return erase(+lambda);
}

}  // namespace bind

// Where bindings/<family>.cpp register their functions. Registering a name again adds an overload; overloads
// are tried in order.
class __attribute__((visibility("hidden"))) Api {
 public:
    explicit Api(py::module_& m);

    // Signature: "name(input, dim=None, *, dtype=None)"; "*size" collects positional arguments into one Dims.
    // Defaults are Python expressions. The docstring stands in python/deeplite/_docs.
    template <class F>
    void fn(const char* signature, F f) {  // deeplite.name
        add(kFunction, signature, bind::erase(f));
    }
    template <class F>
    void method(const char* signature, F f) {  // Tensor.name
        add(kMethod, signature, bind::erase(f));
    }
    template <class F>
    void both(const char* signature, F f) {
        add(kFunction | kMethod, signature, bind::erase(f));
    }
    template <class F>
    void nn(const char* signature, F f) {  // deeplite._C._nn.name
        add(kNn, signature, bind::erase(f));
    }
    template <class F>
    void linalg(const char* signature, F f) {  // deeplite.linalg.name
        add(kLinalg, signature, bind::erase(f));
    }
    // Another name for what is already there: alias("multiply", "mul").
    void alias(const char* name, const char* existing);
    // Tensor attribute computed on access.
    void property(const char* name, PyObject* (*get)(PyObject*, void*),
                  int (*set)(PyObject*, PyObject*, void*) = nullptr, const char* type = "Any");

    py::module_& module;
    py::object nn_module, linalg_module;

 private:
    enum Place { kFunction = 1, kMethod = 2, kNn = 4, kLinalg = 8 };
    void add(int places, const char* signature, bind::FunctionSpec spec);
};

void init_functions(py::module_& m);  // the callable type, and _signatures() for the stub generator

}  // namespace deeplite
