// Reference elementwise kernels: one element after the other, by the C library, over any strides.
#include "kernels/elementwise.h"

#include "kernels/cpu/elementwise_activation.h"
#include "kernels/cpu/elementwise_binary.h"
#include "kernels/cpu/elementwise_unary.h"
#include "kernels/cpu/half.h"

namespace deeplite::cpu::reference {
namespace {

// Calls f(element, p0, p1, p2, p3) with the address of each operand's element, or null where a scalar
// operand has no memory.
template <class F>
void each_element(const dl_iter* it, const F& f) {
    int64_t total = 1;
    for (int d = 0; d < it->ndim; ++d) total *= it->shape[d];
    for (int64_t i = 0; i < total; ++i) {
        char* p[4] = {};
        for (int k = 0; k < it->noperands && k < 4; ++k) {
            if (!it->data[k]) continue;
            p[k] = static_cast<char*>(it->data[k]);
            int64_t rest = i;
            for (int d = 0; d < it->ndim; ++d) {
                p[k] += rest % it->shape[d] * it->strides[k][d];
                rest /= it->shape[d];
            }
        }
        f(i, p);
    }
}

// Half operands are computed in float32.
template <class T>
T load(const dl_iter* it, const char* p, const double* params, int k) {
    if (!p) return T(params[DL_MAP_PARAMS + k]);
    if constexpr (kSame<T, float>) {
        if (it->dtype[k] == DL_BF16) return bf16_to_float(*reinterpret_cast<const uint16_t*>(p));
        if (it->dtype[k] == DL_F16) return f16_to_float(*reinterpret_cast<const uint16_t*>(p));
    }
    return *reinterpret_cast<const T*>(p);
}
template <class T>
void store(const dl_iter* it, char* p, T y) {
    if (kSame<T, float> && it->dtype[0] == DL_BF16)
        *reinterpret_cast<uint16_t*>(p) = float_to_bf16(float(y));
    else if (kSame<T, float> && it->dtype[0] == DL_F16)
        *reinterpret_cast<uint16_t*>(p) = float_to_f16(float(y));
    else
        *reinterpret_cast<T*>(p) = y;
}
template <class T>
Par<T> parameters(const double* p, int count) {
    return {count > 0 ? T(p[0]) : T(0), count > 1 ? T(p[1]) : T(0), count > 2 ? T(p[2]) : T(0)};
}

// One op on one type; `inputs` of its operands are inputs.
template <class Op, int inputs, class T>
dl_status run(const dl_iter* it, const double* params) {
    constexpr int kind = kIsFloat<T> ? kFloat : kIsBool<T> ? kBool : kInt;
    if constexpr ((Op::on & kind) == 0) {
        return DL_UNSUPPORTED;
    } else {
        const Par<T> par = parameters<T>(params, Op::params);
        bool zero = false;
        each_element(it, [&](int64_t, char** p) {
            T a = load<T>(it, p[1], params, 1);
            if constexpr (inputs == 1) {
                store(it, p[0], Op::eval(a, par));
            } else if constexpr (inputs == 2) {
                T b = load<T>(it, p[2], params, 2);
                if (Op::divides && !kIsFloat<T> && b == T(0)) {
                    zero = true;
                    b = T(1);
                }
                store(it, p[0], Op::eval(a, b, par));
            } else {
                T b = load<T>(it, p[2], params, 2), c = load<T>(it, p[3], params, 3);
                store(it, p[0], Op::eval(a, b, c, par));
            }
        });
        return zero ? DL_BAD_INDEX : DL_OK;
    }
}

template <class Op, int inputs>
dl_status run_any(const dl_iter* it, const double* params) {
    for (int k = 0; k <= inputs; ++k)
        if (it->dtype[k] == DL_BF16 || it->dtype[k] == DL_F16)
            return run<Op, inputs, float>(it, params);
    switch (it->dtype[1]) {
        case DL_F32:
            return run<Op, inputs, float>(it, params);
        case DL_F64:
            return run<Op, inputs, double>(it, params);
        case DL_I64:
            return run<Op, inputs, int64_t>(it, params);
        case DL_I32:
            return run<Op, inputs, int32_t>(it, params);
        case DL_I16:
            return run<Op, inputs, int16_t>(it, params);
        case DL_I8:
            return run<Op, inputs, int8_t>(it, params);
        case DL_U8:
            return run<Op, inputs, uint8_t>(it, params);
        case DL_BOOL:
            return run<Op, inputs, bool>(it, params);
        default:
            return DL_UNSUPPORTED;
    }
}

struct Plainly {
    template <class Op>
    static dl_status unary(const dl_iter* it, const double* params) {
        return run_any<Op, 1>(it, params);
    }
    template <class Op>
    static dl_status binary(const dl_iter* it, const double* params) {
        return run_any<Op, 2>(it, params);
    }
    template <class One, class Alpha>
    static dl_status scaled(const dl_iter* it, const double* params) {
        return run_any<Alpha, 2>(it, params);
    }
    template <class Op>
    static dl_status ternary(const dl_iter* it, const double* params) {
        return run_any<Op, 3>(it, params);
    }
};

// A number of any dtype, as the integer or the double that holds it exactly.
struct Number64 {
    bool whole;
    int64_t i;
    double d;
};
template <class T>
Number64 whole(const char* p) {
    return {true, int64_t(*reinterpret_cast<const T*>(p)), 0};
}
Number64 read(const char* p, int dtype) {
    switch (dtype) {
        case DL_F32:
            return {false, 0, *reinterpret_cast<const float*>(p)};
        case DL_F64:
            return {false, 0, *reinterpret_cast<const double*>(p)};
        case DL_BF16:
            return {false, 0, bf16_to_float(*reinterpret_cast<const uint16_t*>(p))};
        case DL_F16:
            return {false, 0, f16_to_float(*reinterpret_cast<const uint16_t*>(p))};
        case DL_I64:
            return whole<int64_t>(p);
        case DL_I32:
            return whole<int32_t>(p);
        case DL_I16:
            return whole<int16_t>(p);
        case DL_I8:
            return whole<int8_t>(p);
        case DL_U8:
            return whole<uint8_t>(p);
        default:
            return whole<bool>(p);
    }
}
template <class T>
void put(char* p, T v) {
    *reinterpret_cast<T*>(p) = v;
}
void write(char* p, int dtype, Number64 v) {
    const double d = v.whole ? double(v.i) : v.d;
    const float f = v.whole ? float(v.i) : float(v.d);
    switch (dtype) {
        case DL_F32:
            return put(p, f);
        case DL_F64:
            return put(p, d);
        case DL_BF16:
            return put(p, float_to_bf16(f));
        case DL_F16:
            return put(p, float_to_f16(f));
        case DL_BOOL:
            return put(p, v.whole ? v.i != 0 : v.d != 0);
        case DL_I64:
            return put(p, v.whole ? v.i : int64_t(v.d));
        default:
            break;
    }
    const int32_t i = v.whole ? int32_t(v.i) : int32_t(v.d);
    switch (dtype) {
        case DL_I32:
            return put(p, i);
        case DL_I16:
            return put(p, int16_t(i));
        case DL_I8:
            return put(p, int8_t(i));
        default:
            return put(p, uint8_t(i));
    }
}
Number64 given(double x, int dtype) {
    const bool is_whole = dtype >= DL_I64 && dtype <= DL_U8;
    return is_whole ? Number64{true, int64_t(x), 0} : Number64{false, 0, x};
}

dl_status copy(const dl_iter* it, const double* params) {
    each_element(it, [&](int64_t, char** p) {
        Number64 v =
            p[1] ? read(p[1], it->dtype[1]) : given(params[DL_MAP_PARAMS + 1], it->dtype[1]);
        write(p[0], it->dtype[0], v);
    });
    return DL_OK;
}

dl_status fill(const dl_iter* it, const double* params) {
    Number64 v = given(params[0], it->dtype[0]);
    if (v.whole) v.i += int64_t(params[1]);
    each_element(it, [&](int64_t, char** p) { write(p[0], it->dtype[0], v); });
    return DL_OK;
}

dl_status arange(const dl_iter* it, const double* params) {
    each_element(it, [&](int64_t i, char** p) {
        Number64 v = given(params[0], it->dtype[0]);
        if (v.whole)
            v.i += i * int64_t(params[1]);
        else
            v.d += double(i) * params[1];
        write(p[0], it->dtype[0], v);
    });
    return DL_OK;
}

dl_status linspace(const dl_iter* it, const double* params) {
    const double start = params[0], end = params[1];
    const int64_t steps = int64_t(params[2]);
    const double step = steps > 1 ? (end - start) / double(steps - 1) : 0;
    each_element(it, [&](int64_t i, char** p) {
        bool from_start = i < steps / 2 || steps == 1;
        double v = from_start ? start + step * double(i) : end - step * double(steps - 1 - i);
        write(p[0], it->dtype[0], {false, 0, v});
    });
    return DL_OK;
}

dl_status where(const dl_iter* it, const double* params) {
    each_element(it, [&](int64_t, char** p) {
        const int k = *reinterpret_cast<const bool*>(p[1]) ? 2 : 3, dtype = it->dtype[0];
        write(p[0], dtype, p[k] ? read(p[k], dtype) : given(params[DL_MAP_PARAMS + k], dtype));
    });
    return DL_OK;
}

constexpr dl_elementwise_table make_table() {
    dl_elementwise_table t = {};
    fill_unary_basic<Plainly>(t.unary);
    fill_unary_math<Plainly>(t.unary);
    fill_activations<Plainly>(&t);
    fill_arithmetic<Plainly>(&t);
    fill_logic<Plainly>(&t);
    t.ternary[DL_TERNARY_WHERE] = where;
    t.copy = copy;
    t.fill = fill;
    t.arange = arange;
    t.linspace = linspace;
    return t;
}
constexpr dl_elementwise_table table = make_table();

}  // namespace

const dl_elementwise_table* elementwise_table() { return &table; }

}  // namespace deeplite::cpu::reference
