#include "bindings/function.h"

#include <pybind11/eval.h>
#include <structmember.h>

#include <map>
#include <unordered_map>

#include "bindings/pybind.h"

namespace deeplite {
namespace {

struct Param {
    PyObject* name;      // interned
    PyObject* fallback;  // default value; null when the argument is required
    std::string text, shown_default;
    bool keyword_only = false, varargs = false;
};
struct Overload {
    std::vector<Param> params;
    bind::FunctionSpec spec;
    std::string text;  // as written: "softmax(input, dim, dtype=None)"
};
struct Function {
    PyObject_HEAD vectorcallfunc vectorcall;
    std::vector<Overload>* overloads;
    std::string* name;
};
PyTypeObject* function_type = nullptr;

struct Registered {
    std::string place, name;
    Function* function;
};
std::vector<Registered>& registry() {
    static auto* r = new std::vector<Registered>;
    return *r;
}

constexpr int kMaxParams = 16;

// Binds call arguments to o's parameters. Returns an empty string, or why it does not fit.
std::string bind_arguments(const Overload& o, PyObject* const* args, Py_ssize_t nargs,
                           PyObject* kwnames, PyObject** slots, py::object& packed) {
    const size_t n = o.params.size();
    for (size_t i = 0; i < n; ++i) slots[i] = nullptr;
    Py_ssize_t used = 0;
    for (size_t i = 0; i < n && used < nargs; ++i) {
        const Param& p = o.params[i];
        if (p.varargs) {
            // One sequence stands for all; not where there may be none ("*shapes=()"), because then
            // a sequence is an argument like any other.
            bool sequence = !p.fallback && nargs - used == 1 &&
                            (PyTuple_Check(args[used]) || PyList_Check(args[used]));
            if (sequence) {
                slots[i] = args[used];
            } else {
                packed = py::reinterpret_steal<py::object>(PyTuple_New(nargs - used));
                for (Py_ssize_t k = used; k < nargs; ++k)
                    PyTuple_SET_ITEM(packed.ptr(), k - used, Py_NewRef(args[k]));
                slots[i] = packed.ptr();
            }
            used = nargs;
            break;
        }
        if (p.keyword_only) break;
        slots[i] = args[used++];
    }
    if (used < nargs) return cat("takes at most ", used, " positional arguments, got ", nargs);
    if (kwnames) {
        for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(kwnames); ++k) {
            PyObject* key = PyTuple_GET_ITEM(kwnames, k);
            size_t i = 0;
            while (i < n && o.params[i].name != key) ++i;
            if (i == n)  // keywords are interned nearly always; compare by value to be sure
                for (i = 0; i < n && PyUnicode_Compare(o.params[i].name, key) != 0;) ++i;
            const char* text = PyUnicode_AsUTF8(key);
            if (i == n) {
                // torch's own aliases: a function's first tensor may be called self or input, dim may be axis.
                std::string_view s = text;
                if (s == "self" || s == "input")
                    i = !o.params.empty() &&
                                (o.params[0].text == "input" || o.params[0].text == "self")
                            ? 0
                            : n;
                else if (s == "axis" || s == "keepdims")
                    for (i = 0; i < n && o.params[i].text != (s == "axis" ? "dim" : "keepdim");)
                        ++i;
                if (i == n) return cat("got an unexpected keyword argument '", text, "'");
            }
            if (slots[i]) return cat("got multiple values for argument '", text, "'");
            slots[i] = args[nargs + k];
        }
    }
    for (size_t i = 0; i < n; ++i) {
        if (slots[i]) continue;
        if (!o.params[i].fallback) return cat("missing required argument '", o.params[i].text, "'");
        slots[i] = o.params[i].fallback;
    }
    return {};
}

std::string type_name(PyObject* o) {
    if (is_tensor(o)) return describe(unwrap(o));
    if (PyTuple_Check(o) || PyList_Check(o)) {
        std::string s = PyTuple_Check(o) ? "tuple of (" : "list of (";
        Py_ssize_t n = PySequence_Size(o);
        for (Py_ssize_t i = 0; i < std::min<Py_ssize_t>(n, 4); ++i)
            s += (i ? ", " : "") + std::string(Py_TYPE(PySequence_Fast_GET_ITEM(o, i))->tp_name);
        return s + (n > 4 ? ", ...)" : ")");
    }
    return Py_TYPE(o)->tp_name;
}

PyObject* fail(const Function& f, const std::string& why) {
    std::string text = *f.name + "(): " + why;
    if (f.overloads->size() > 1) {
        text += "; signatures are:";
        for (const Overload& o : *f.overloads) text += "\n  " + o.text;
    }
    PyErr_SetString(PyExc_TypeError, text.c_str());
    return nullptr;
}

PyObject* call(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
    const Function& f = *reinterpret_cast<Function*>(self);
    Py_ssize_t nargs = PyVectorcall_NARGS(nargsf);
    std::string why;
    try {
        for (const Overload& o : *f.overloads) {
            PyObject* slots[kMaxParams];
            py::object packed;
            std::string reason = bind_arguments(o, args, nargs, kwnames, slots, packed);
            if (!reason.empty()) {
                if (why.empty()) why = std::move(reason);
                continue;
            }
            int bad = -1;
            PyObject* result = o.spec.invoke(o.spec.fn, slots, bad);
            if (bad < 0) return result;
            why = cat("argument '", o.params[size_t(bad)].text, "' must be ",
                      o.spec.types[size_t(bad)], ", not ", type_name(slots[bad]));
        }
    } catch (const BadDevice& e) {
        PyErr_SetString(PyExc_RuntimeError, cat(*f.name, ": ", e.what()).c_str());
        return nullptr;
    } catch (...) {
        translate_exception();
        return nullptr;
    }
    return fail(f, why);
}

PyObject* descr_get(PyObject* self, PyObject* obj, PyObject*) {
    return obj ? PyMethod_New(self, obj) : Py_NewRef(self);
}
PyObject* get_name(PyObject* self, void*) {
    return PyUnicode_FromString(reinterpret_cast<Function*>(self)->name->c_str());
}
PyObject* get_module(PyObject*, void*) { return PyUnicode_FromString("deeplite._C"); }
PyObject* get_doc(PyObject* self, void*) {
    auto* f = reinterpret_cast<Function*>(self);
    std::string doc;
    for (const Overload& o : *f->overloads) doc += o.text + " -> " + o.spec.result + "\n";
    try {
        py::object text = py::module_::import("deeplite._docs").attr("text")(*f->name);
        if (!text.is_none()) doc += "\n" + text.cast<std::string>();
    } catch (py::error_already_set& e) {
        e.restore();
        return nullptr;
    }
    return PyUnicode_FromStringAndSize(doc.data(), Py_ssize_t(doc.size()));
}
PyObject* repr(PyObject* self) {
    return PyUnicode_FromFormat("<built-in function %s>",
                                reinterpret_cast<Function*>(self)->name->c_str());
}
PyObject* reduce(PyObject* self, PyObject*) { return get_name(self, nullptr); }

// Splits "a, b=(1, 2), *, c='x'" at its top-level commas.
std::vector<std::string> split(std::string_view s) {
    std::vector<std::string> parts;
    std::string part;
    int depth = 0;
    char quote = 0;
    auto flush = [&] {
        size_t a = part.find_first_not_of(' '), b = part.find_last_not_of(' ');
        if (a != part.npos) parts.push_back(part.substr(a, b - a + 1));
        part.clear();
    };
    for (char c : s) {
        if (quote) {
            if (c == quote) quote = 0;
        } else if (c == '\'' || c == '"') {
            quote = c;
        } else if (c == '(' || c == '[') {
            ++depth;
        } else if (c == ')' || c == ']') {
            --depth;
        } else if (c == ',' && depth == 0) {
            flush();
            continue;
        }
        part += c;
    }
    flush();
    return parts;
}

PyObject* evaluate(const py::module_& m, const std::string& text) {
    static auto* cache = new std::unordered_map<std::string, PyObject*>;
    auto it = cache->find(text);
    if (it == cache->end()) {
        py::object value = py::eval(text, m.attr("__dict__"));
        it = cache->emplace(text, value.release().ptr()).first;
    }
    return it->second;
}

Overload parse(const py::module_& m, std::string_view signature, bind::FunctionSpec spec) {
    Overload o{{}, std::move(spec), std::string(signature)};
    size_t open = signature.find('('), close = signature.rfind(')');
    if (open == signature.npos || close == signature.npos)
        throw Error(cat("bad signature: ", signature));
    bool keyword_only = false;
    for (const std::string& part : split(signature.substr(open + 1, close - open - 1))) {
        if (part == "*") {
            keyword_only = true;
            continue;
        }
        Param p;
        size_t eq = part.find('=');
        p.varargs = part[0] == '*';
        p.text = part.substr(p.varargs, eq == part.npos ? eq : eq - p.varargs);
        p.keyword_only = keyword_only;
        p.name = PyUnicode_InternFromString(p.text.c_str());
        if (eq != part.npos) p.shown_default = part.substr(eq + 1);
        p.fallback = eq == part.npos ? nullptr : evaluate(m, p.shown_default);
        if (p.varargs) keyword_only = true;
        o.params.push_back(std::move(p));
    }
    if (o.params.size() != o.spec.types.size() || o.params.size() > kMaxParams)
        throw Error(cat("bad signature: ", signature, " has ", o.params.size(),
                        " parameters, its function ", o.spec.types.size()));
    return o;
}

Function* new_function(std::string name) {
    auto* f = PyObject_New(Function, function_type);
    f->vectorcall = call;
    f->overloads = new std::vector<Overload>;
    f->name = new std::string(std::move(name));
    return f;
}

// [(place, name, [(return type, [(parameter, type, default or None, kind)])])] for the stub generator.
py::list signatures() {
    py::list all;
    for (const Registered& r : registry()) {
        py::list overloads;
        for (const Overload& o : *r.function->overloads) {
            py::list params;
            for (size_t i = 0; i < o.params.size(); ++i) {
                const Param& p = o.params[i];
                params.append(py::make_tuple(p.text, o.spec.types[i],
                                             p.fallback ? py::cast(p.shown_default) : py::none(),
                                             p.varargs        ? "varargs"
                                             : p.keyword_only ? "keyword"
                                                              : "positional"));
            }
            overloads.append(py::make_tuple(o.spec.result, params));
        }
        all.append(py::make_tuple(r.place, r.name, overloads));
    }
    return all;
}

}  // namespace

Api::Api(py::module_& m)
    : module(m), nn_module(m.def_submodule("_nn")), linalg_module(m.def_submodule("_linalg")) {}

void Api::add(int places, const char* signature, bind::FunctionSpec spec) {
    std::string name(signature, std::string_view(signature).find('('));
    struct Target {
        int bit;
        const char* place;
        PyObject* owner;
    };
    const Target targets[] = {{kFunction, "function", module.ptr()},
                              {kMethod, "method", reinterpret_cast<PyObject*>(tensor_type)},
                              {kNn, "nn", nn_module.ptr()},
                              {kLinalg, "linalg", linalg_module.ptr()}};
    Overload overload = parse(module, signature, std::move(spec));
    Function* shared = nullptr;  // `both`: one object in two places
    for (const Target& t : targets) {
        if (!(places & t.bit)) continue;
        Function* existing = nullptr;
        for (const Registered& r : registry())
            if (r.place == t.place && r.name == name) existing = r.function;
        if (existing && existing == shared)
            continue;  // an overload of a shared object was added already
        if (existing) {
            existing->overloads->push_back(overload);
            shared = existing;
            continue;
        }
        Function* f = shared ? shared : new_function(name);
        if (!shared) f->overloads->push_back(overload);
        shared = f;
        registry().push_back({t.place, name, f});
        if (PyObject_SetAttrString(t.owner, name.c_str(), reinterpret_cast<PyObject*>(f)) < 0)
            throw py::error_already_set();
    }
}

void Api::alias(const char* name, const char* existing) {
    const struct {
        const char* place;
        PyObject* owner;
    } targets[] = {{"function", module.ptr()},
                   {"method", reinterpret_cast<PyObject*>(tensor_type)},
                   {"nn", nn_module.ptr()},
                   {"linalg", linalg_module.ptr()}};
    bool found = false;
    for (const auto& t : targets) {
        Function* f = nullptr;
        for (const Registered& r : registry())
            if (r.place == t.place && r.name == existing) f = r.function;
        if (!f) continue;
        found = true;
        registry().push_back({t.place, name, f});
        if (PyObject_SetAttrString(t.owner, name, reinterpret_cast<PyObject*>(f)) < 0)
            throw py::error_already_set();
    }
    if (!found) throw Error(cat("alias: no function ", existing));
}

namespace {
std::vector<std::array<std::string, 2>>& properties() {
    static auto* p = new std::vector<std::array<std::string, 2>>;
    return *p;
}
}  // namespace

void Api::property(const char* name, getter get, setter set, const char* type) {
    auto* def = new PyGetSetDef{name, get, set, nullptr, nullptr};  // lives as long as the type
    py::object descr = py::reinterpret_steal<py::object>(PyDescr_NewGetSet(tensor_type, def));
    if (PyObject_SetAttrString(reinterpret_cast<PyObject*>(tensor_type), name, descr.ptr()) < 0)
        throw py::error_already_set();
    properties().push_back({name, type});
}

void init_functions(py::module_& m) {
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Function, vectorcall), READONLY, nullptr},
        {}};
    static PyGetSetDef getset[] = {{"__name__", get_name, nullptr, nullptr, nullptr},
                                   {"__qualname__", get_name, nullptr, nullptr, nullptr},
                                   {"__module__", get_module, nullptr, nullptr, nullptr},
                                   {"__doc__", get_doc, nullptr, nullptr, nullptr},
                                   {}};
    static PyMethodDef methods[] = {{"__reduce__", reduce, METH_NOARGS, nullptr}, {}};
    static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                  {Py_tp_descr_get, reinterpret_cast<void*>(descr_get)},
                                  {Py_tp_repr, reinterpret_cast<void*>(repr)},
                                  {Py_tp_members, members},
                                  {Py_tp_getset, getset},
                                  {Py_tp_methods, methods},
                                  {0, nullptr}};
    static PyType_Spec spec = {"deeplite._C.function", sizeof(Function), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL |
                                   Py_TPFLAGS_METHOD_DESCRIPTOR | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               slots};
    function_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (!function_type) throw py::error_already_set();
    m.def("_signatures", &signatures);
    m.def("_properties", [] {
        py::list out;
        for (auto& p : properties()) out.append(py::make_tuple(p[0], p[1]));
        return out;
    });
}

namespace bind {
namespace {

// __index__ of an int-like object (int, NumPy integer), not of bool when it should not count as one.
bool load_index(PyObject* o, int64_t& out) {
    if (PyLong_Check(o)) {
        int overflow;
        out = PyLong_AsLongLongAndOverflow(o, &overflow);
        check<Error>(!overflow, "integer argument does not fit into 64 bits");
        return true;
    }
    if (PyFloat_Check(o) || !PyIndex_Check(o)) return false;
    if (is_tensor(o)) {
        Tensor t = unwrap(o);
        if (t.numel() != 1 || t.is_floating()) return false;
    }
    py::object i = py::reinterpret_steal<py::object>(PyNumber_Index(o));
    if (!i) {
        PyErr_Clear();
        return false;
    }
    return load_index(i.ptr(), out);
}

template <class T, class F>
bool load_sequence(PyObject* o, F&& each) {
    if (PyUnicode_Check(o) || is_tensor(o) || PyDict_Check(o)) return false;
    if (PyTuple_Check(o) || PyList_Check(o)) {
        Py_ssize_t n = PySequence_Fast_GET_SIZE(o);
        for (Py_ssize_t i = 0; i < n; ++i)
            if (!each(PySequence_Fast_GET_ITEM(o, i))) return false;
        return true;
    }
    py::object list = py::reinterpret_steal<py::object>(PySequence_List(o));
    if (!list) {
        PyErr_Clear();
        return false;
    }
    return load_sequence<T>(list.ptr(), each);
}

}  // namespace

bool Caster<Scalar>::load(PyObject* o, Scalar& out) {
    if (PyBool_Check(o)) {
        out = {Scalar::boolean, o == Py_True, double(o == Py_True)};
        return true;
    }
    if (load_index(o, out.i)) {
        out.kind = Scalar::integer;
        return true;
    }
    if (!Caster<double>::load(o, out.d)) return false;
    out.kind = Scalar::floating;
    return true;
}

bool Caster<bool>::load(PyObject* o, bool& out) {
    if (PyBool_Check(o)) {
        out = o == Py_True;
        return true;
    }
    if (PyLong_Check(o) || std::string_view(Py_TYPE(o)->tp_name).starts_with("numpy.bool")) {
        out = PyObject_IsTrue(o) == 1;
        return true;
    }
    return false;
}

bool Caster<int64_t>::load(PyObject* o, int64_t& out) { return load_index(o, out); }

bool Caster<double>::load(PyObject* o, double& out) {
    if (PyFloat_Check(o)) {
        out = PyFloat_AS_DOUBLE(o);
        return true;
    }
    if (is_tensor(o)) {
        Tensor t = unwrap(o);
        if (t.numel() != 1) return false;
        py::object number = py::reinterpret_steal<py::object>(item(t));
        return load(number.ptr(), out);
    }
    if (!PyLong_Check(o) && !(Py_TYPE(o)->tp_as_number && Py_TYPE(o)->tp_as_number->nb_float))
        return false;
    out = PyFloat_AsDouble(o);
    if (out == -1 && PyErr_Occurred()) {
        PyErr_Clear();
        return false;
    }
    return true;
}

bool Caster<std::string>::load(PyObject* o, std::string& out) {
    if (!PyUnicode_Check(o)) return false;
    Py_ssize_t n;
    const char* s = PyUnicode_AsUTF8AndSize(o, &n);
    if (!s) throw py::error_already_set();
    out.assign(s, size_t(n));
    return true;
}

bool Caster<Dims>::load(PyObject* o, Dims& out) {
    int64_t i;
    if (PyLong_Check(o) || (PyIndex_Check(o) && !PySequence_Check(o))) {
        if (!load_index(o, i)) return false;
        out = {i};
        return true;
    }
    return load_sequence<int64_t>(o, [&](PyObject* e) {
        if (!load_index(e, i)) return false;
        out.push_back(i);
        return true;
    });
}

bool Caster<std::vector<int64_t>>::load(PyObject* o, std::vector<int64_t>& out) {
    return load_sequence<int64_t>(o,
                                  [&](PyObject* e) { return load_index(e, out.emplace_back()); });
}

bool Caster<std::vector<double>>::load(PyObject* o, std::vector<double>& out) {
    double d;
    if (Caster<double>::load(o, d)) {
        out = {d};
        return true;
    }
    return load_sequence<double>(
        o, [&](PyObject* e) { return Caster<double>::load(e, out.emplace_back()); });
}

bool Caster<TensorList>::load(PyObject* o, TensorList& out) {
    return load_sequence<Tensor>(o, [&](PyObject* e) {
        if (e == Py_None) {
            out.emplace_back();
            return true;
        }
        return Caster<Tensor>::load(e, out.emplace_back());
    });
}

bool Caster<Ref<Generator>>::load(PyObject* o, Ref<Generator>& out) {
    if (!py::isinstance<Generator>(o)) return false;
    out = py::cast<Ref<Generator>>(py::handle(o));
    return true;
}

PyObject* to_python(std::span<const Tensor> v) {
    py::tuple t(v.size());
    for (size_t i = 0; i < v.size(); ++i) PyTuple_SET_ITEM(t.ptr(), Py_ssize_t(i), wrap(v[i]));
    return t.release().ptr();
}

PyObject* to_python(const NamedTensors& v) {
    // One namedtuple class per op, made on first use, e.g. deeplite.return_types.max.
    static auto* types = new std::map<std::string_view, py::object>;
    py::object& type = (*types)[v.type];
    if (!type) {
        py::list fields;
        for (const char* f : v.fields) fields.append(f);
        type = py::module_::import("collections")
                   .attr("namedtuple")(v.type, fields, py::arg("module") = "deeplite.return_types");
    }
    py::object t = py::reinterpret_steal<py::object>(to_python(std::span<const Tensor>(v.tensors)));
    // What the class's own __new__, a Python function, would call.
    py::object arguments = py::make_tuple(std::move(t));
    return PyTuple_Type.tp_new(reinterpret_cast<PyTypeObject*>(type.ptr()), arguments.ptr(),
                               nullptr);
}

}  // namespace bind
}  // namespace deeplite
