// The activations' formulas and their derivatives. See elementwise_formulas.h.
#pragma once
#include "kernels/cpu/elementwise_formulas.h"

namespace {

struct Sigmoid : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vsigmoid(x);
    }
};
struct Logit : With<Math, 1> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        const T_<V> one = 1;
        if (p.a >= 0) {
            x = pick(x < p.a, splat<V>(p.a), x);
            x = pick(x > one - p.a, splat<V>(one - p.a), x);
        }
        return vlog(x / (one - x));
    }
};
struct LogSigmoid : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return pick(x < T_<V>(0), x, splat<V>(0)) - vlog1p(vexp(-vabs(x)));
    }
};
struct Softplus : With<Math, 2> {  // linear above the threshold
    template <class V>
    static V eval(V x, const Par<V>& p) {
        V z = x * p.a;
        return pick(z > p.b, x, vlog1p(vexp(z)) / p.a);
    }
};
struct LeakyRelu : With<Plain, 1> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        return x > V(0) ? x : x * p.a;
    }
};
struct Elu : With<Math, 3> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        return pick(x > T_<V>(0), x * p.b, vexpm1(x * p.c) * (p.a * p.b));
    }
};
struct Gelu : Math {
    // For an x of bfloat16, whose square is exact: to 2^-13, before the result is rounded to 2^-9. As vgelu,
    // with shorter polynomials; sums of pairs wait for each other less than Horner's scheme does.
    static vf32 brief(vf32 x) {
        vf32 a = vmin(vset1(14.5f), vabs(x)), a2 = a * a;
        vf32 e = vexp2_brief(a2 * -0.72134752f);  // exp(-a^2 / 2)
        vf32 p = 0.0644723571f * a2 + (0.500015388f + 0.282737832f * a);
        vf32 q = (0.713099399f + 0.161470808f * a) * a2 + (1.0f + 1.36427292f * a);
        return vgelu_of(x, a * (p / q) * e);
    }
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vgelu(x);
    }
};
// sqrt(2/pi) (x + 0.044715 x^3), twice: 0.5 (1 + tanh(u)) = sigmoid(2u)
template <class V>
DL_INLINE V gelu_tanh_inner(V x) {
    typedef T_<V> T;
    return x * T(1.5957691216057308) * (x * x * T(0.044715) + T(1));
}
struct GeluTanh : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x * vsigmoid(gelu_tanh_inner(x));
    }
};
struct Silu : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x / (vexp(-x) + T_<V>(1));
    }
};
// tanh(softplus(x)) = t / (t + 2) with w = e^x, t = w (w + 2); 1 beyond 20
template <class V>
DL_INLINE V mish_t(V x, V* w) {
    typedef T_<V> T;
    *w = vexp(pick(x > T(20), splat<V>(20), x));
    return *w * (*w + T(2));
}
struct Mish : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        V w, t = mish_t(x, &w);
        return x * (t / (t + T_<V>(2)));
    }
};
struct Hardswish : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        V r = x + V(3);
        r = r < V(0) ? V(0) : r;
        r = r > V(6) ? V(6) : r;
        return x * (r * V(1.0 / 6));
    }
};
struct Hardsigmoid : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        V r = x + V(3);
        r = r < V(0) ? V(0) : r;
        r = r > V(6) ? V(6) : r;
        return r / V(6);
    }
};
struct Softsign : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x / (V(1) + vabs(x));
    }
};
struct Tanhshrink : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x - vtanh(x);
    }
};
struct Softshrink : With<Plain, 1> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        V zero = x != x ? x : V(0);  // NaN stays
        V below = x < -p.a ? x + p.a : zero;
        return x > p.a ? x - p.a : below;
    }
};
struct Hardshrink : With<Plain, 1> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        return (x >= -p.a) & (x <= p.a) ? V(0) : x;
    }
};
struct Threshold : With<Number, 2> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        return x <= p.a ? p.b : x;
    }
};

// Derivatives: g = dy, and x or y as the contract says.
struct ReluGrad : Plain {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        return x <= V(0) ? V(0) : g;
    }
};
struct SigmoidGrad : Plain {
    template <class V>
    static V eval(V g, V y, const Par<V>&) {
        return g * ((V(1) - y) * y);
    }
};
struct TanhGrad : Plain {
    template <class V>
    static V eval(V g, V y, const Par<V>&) {
        return g * (V(1) - y * y);
    }
};
struct SqrtGrad : Plain {
    template <class V>
    static V eval(V g, V y, const Par<V>&) {
        return g / (y + y);
    }
};
struct RsqrtGrad : Plain {
    template <class V>
    static V eval(V g, V y, const Par<V>&) {
        return V(-0.5) * g * (y * y * y);
    }
};
struct ReciprocalGrad : Plain {
    template <class V>
    static V eval(V g, V y, const Par<V>&) {
        return -g * (y * y);
    }
};
struct AbsGrad : Plain {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        V negative = x < V(0) ? -g : g * V(0);
        return x > V(0) ? g : negative;
    }
};
struct LogSigmoidGrad : Math {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        return g * vsigmoid(-x);
    }
};
struct SoftplusGrad : With<Math, 2> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        V z = x * p.a;
        return pick(z > p.b, g, g * vsigmoid(z));
    }
};
struct LeakyReluGrad : With<Plain, 1> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return x > V(0) ? g : g * p.a;
    }
};
struct EluGrad : With<Math, 3> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return pick(x > T_<V>(0), g * p.b, g * (p.a * p.b * p.c) * vexp(x * p.c));
    }
};
struct GeluGrad : Math {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        V e, cdf = vnormal(x, &e);
        return g * (cdf + x * (e * T_<V>(0.39894228040143268)));
    }
};
struct GeluTanhGrad : Math {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        typedef T_<V> T;
        V s = vsigmoid(gelu_tanh_inner(x));
        V du = (x * x * T(0.134145) + T(1)) * T(1.5957691216057308);
        return g * (s + x * s * (T(1) - s) * du);
    }
};
struct SiluGrad : Math {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        V s = vsigmoid(x);
        return g * (s * (x * (T_<V>(1) - s) + T_<V>(1)));
    }
};
struct MishGrad : Math {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        typedef T_<V> T;
        V w, t = mish_t(x, &w), d = T(1) / (t + T(2));
        V sech2 = (t + T(1)) * d * d * T(4);  // 1 - tanh(softplus)^2
        return g * (t * d + x * (w / (w + T(1))) * sech2);
    }
};
struct HardtanhGrad : With<Plain, 2> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return (x <= p.a) | (x >= p.b) ? V(0) : g;
    }
};
struct ClampGrad : With<Plain, 2> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return (x >= p.a) & (x <= p.b) ? g : V(0);
    }
};
struct HardswishGrad : Plain {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        V inside = x < V(3) ? g * (x / V(3) + V(0.5)) : g;
        return x <= V(-3) ? V(0) : inside;
    }
};
struct HardsigmoidGrad : Plain {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        return (x > V(-3)) & (x < V(3)) ? g / V(6) : V(0);
    }
};
struct SoftsignGrad : Plain {
    template <class V>
    static V eval(V g, V x, const Par<V>&) {
        V d = V(1) + vabs(x);
        return g / (d * d);
    }
};
struct ShrinkGrad : With<Plain, 1> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return (x >= -p.a) & (x <= p.a) ? V(0) : g;
    }
};
struct ThresholdGrad : With<Plain, 2> {
    template <class V>
    static V eval(V g, V x, const Par<V>& p) {
        return x <= p.a ? V(0) : g;
    }
};
struct Prelu : Plain {
    template <class V>
    static V eval(V x, V w, const Par<V>&) {
        return x > V(0) ? x : x * w;
    }
};
struct PreluGrad : Plain {
    template <class V>
    static V eval(V g, V x, V w, const Par<V>&) {
        return x > V(0) ? g : g * w;
    }
};

template <class E>
constexpr void fill_activations(dl_elementwise_table* table) {
    dl_map_fn* t = table->unary;
    t[DL_UNARY_SIGMOID] = E::template unary<Sigmoid>;
    t[DL_UNARY_LOGIT] = E::template unary<Logit>;
    t[DL_UNARY_LOGSIGMOID] = E::template unary<LogSigmoid>;
    t[DL_UNARY_SOFTPLUS] = E::template unary<Softplus>;
    t[DL_UNARY_LEAKY_RELU] = E::template unary<LeakyRelu>;
    t[DL_UNARY_ELU] = E::template unary<Elu>;
    t[DL_UNARY_GELU] = E::template unary<Gelu>;
    t[DL_UNARY_GELU_TANH] = E::template unary<GeluTanh>;
    t[DL_UNARY_SILU] = E::template unary<Silu>;
    t[DL_UNARY_MISH] = E::template unary<Mish>;
    t[DL_UNARY_HARDSWISH] = E::template unary<Hardswish>;
    t[DL_UNARY_HARDSIGMOID] = E::template unary<Hardsigmoid>;
    t[DL_UNARY_SOFTSIGN] = E::template unary<Softsign>;
    t[DL_UNARY_TANHSHRINK] = E::template unary<Tanhshrink>;
    t[DL_UNARY_SOFTSHRINK] = E::template unary<Softshrink>;
    t[DL_UNARY_HARDSHRINK] = E::template unary<Hardshrink>;
    t[DL_UNARY_THRESHOLD] = E::template unary<Threshold>;
    t = table->binary;
    t[DL_BINARY_PRELU] = E::template binary<Prelu>;
    t[DL_BINARY_RELU_GRAD] = E::template binary<ReluGrad>;
    t[DL_BINARY_SIGMOID_GRAD] = E::template binary<SigmoidGrad>;
    t[DL_BINARY_TANH_GRAD] = E::template binary<TanhGrad>;
    t[DL_BINARY_SQRT_GRAD] = E::template binary<SqrtGrad>;
    t[DL_BINARY_RSQRT_GRAD] = E::template binary<RsqrtGrad>;
    t[DL_BINARY_RECIPROCAL_GRAD] = E::template binary<ReciprocalGrad>;
    t[DL_BINARY_ABS_GRAD] = E::template binary<AbsGrad>;
    t[DL_BINARY_LOGSIGMOID_GRAD] = E::template binary<LogSigmoidGrad>;
    t[DL_BINARY_SOFTPLUS_GRAD] = E::template binary<SoftplusGrad>;
    t[DL_BINARY_LEAKY_RELU_GRAD] = E::template binary<LeakyReluGrad>;
    t[DL_BINARY_ELU_GRAD] = E::template binary<EluGrad>;
    t[DL_BINARY_GELU_GRAD] = E::template binary<GeluGrad>;
    t[DL_BINARY_GELU_TANH_GRAD] = E::template binary<GeluTanhGrad>;
    t[DL_BINARY_SILU_GRAD] = E::template binary<SiluGrad>;
    t[DL_BINARY_MISH_GRAD] = E::template binary<MishGrad>;
    t[DL_BINARY_HARDTANH_GRAD] = E::template binary<HardtanhGrad>;
    t[DL_BINARY_CLAMP_GRAD] = E::template binary<ClampGrad>;
    t[DL_BINARY_HARDSWISH_GRAD] = E::template binary<HardswishGrad>;
    t[DL_BINARY_HARDSIGMOID_GRAD] = E::template binary<HardsigmoidGrad>;
    t[DL_BINARY_SOFTSIGN_GRAD] = E::template binary<SoftsignGrad>;
    t[DL_BINARY_SHRINK_GRAD] = E::template binary<ShrinkGrad>;
    t[DL_BINARY_THRESHOLD_GRAD] = E::template binary<ThresholdGrad>;
    table->ternary[DL_TERNARY_PRELU_GRAD] = E::template ternary<PreluGrad>;
}

}  // namespace
