// The elementwise family: one output, up to three inputs of one shape, described by a dl_iter.
//
// Contract. Operand 0 is the output. All inputs have one dtype (the ops layer casts), but for the
// condition of `where`, which is bool. The output has the inputs' dtype, or bool for the entries
// marked "-> bool". float32 and float64 are served by every entry; integers and bool where it makes
// sense. where, fill and copy move bfloat16 and float16 as they are; for all other entries any float32
// operand may be of one of these types: it is widened when read and rounded when written, and the
// computation is in float32. An output may be the very same memory as an input of the same dtype and
// layout; any other overlap is the caller's mistake.
//
// A scalar operand needs no memory: leave its data null and all its strides 0, and give the value in
// params[DL_MAP_PARAMS + operand]. (A double: integers beyond 2^53 must come in memory.)
// Entries note their parameters as params[0], params[1], ... A kernel that has none does not read
// `params`, which then may be null unless there are scalar operands.
#pragma once
#include "kernels/types.h"

#define DL_MAP_PARAMS 4  // parameters of the op itself; scalar operands follow

typedef enum dl_unary_op {
    DL_UNARY_NEG = 0,
    DL_UNARY_ABS,
    DL_UNARY_SIGN,
    DL_UNARY_SQUARE,
    DL_UNARY_BITWISE_NOT,  // bool: logical not
    DL_UNARY_RELU,
    DL_UNARY_CLAMP,  // min, max; NaN stays NaN; integers: bounds must fit the type

    DL_UNARY_LOGICAL_NOT,  // -> bool, from here
    DL_UNARY_SIGNBIT,
    DL_UNARY_ISNAN,
    DL_UNARY_ISINF,
    DL_UNARY_ISPOSINF,
    DL_UNARY_ISNEGINF,
    DL_UNARY_ISFINITE,  // -> bool, up to here

    DL_UNARY_SQRT,  // floats only, from here
    DL_UNARY_RSQRT,
    DL_UNARY_RECIPROCAL,
    DL_UNARY_FLOOR,
    DL_UNARY_CEIL,
    DL_UNARY_ROUND,  // half to even
    DL_UNARY_TRUNC,
    DL_UNARY_FRAC,
    DL_UNARY_DEG2RAD,
    DL_UNARY_RAD2DEG,
    DL_UNARY_NAN_TO_NUM,  // values for nan, +inf, -inf
    DL_UNARY_EXP,
    DL_UNARY_EXP2,
    DL_UNARY_EXPM1,
    DL_UNARY_LOG,
    DL_UNARY_LOG2,
    DL_UNARY_LOG10,
    DL_UNARY_LOG1P,
    DL_UNARY_SIN,
    DL_UNARY_COS,
    DL_UNARY_TAN,
    DL_UNARY_ASIN,
    DL_UNARY_ACOS,
    DL_UNARY_ATAN,
    DL_UNARY_SINH,
    DL_UNARY_COSH,
    DL_UNARY_TANH,
    DL_UNARY_ASINH,
    DL_UNARY_ACOSH,
    DL_UNARY_ATANH,
    DL_UNARY_ERF,
    DL_UNARY_ERFC,
    DL_UNARY_ERFINV,
    DL_UNARY_LGAMMA,
    DL_UNARY_DIGAMMA,
    DL_UNARY_SINC,
    DL_UNARY_SIGMOID,
    DL_UNARY_LOGIT,  // eps, or a negative number for none
    DL_UNARY_LOGSIGMOID,
    DL_UNARY_SOFTPLUS,    // beta, threshold
    DL_UNARY_LEAKY_RELU,  // negative slope
    DL_UNARY_ELU,   // alpha, scale, input scale: scale * (x > 0 ? x : alpha * (exp(x * s) - 1))
    DL_UNARY_GELU,  // exact, by erf
    DL_UNARY_GELU_TANH,
    DL_UNARY_SILU,
    DL_UNARY_MISH,
    DL_UNARY_HARDSWISH,
    DL_UNARY_HARDSIGMOID,
    DL_UNARY_SOFTSIGN,
    DL_UNARY_TANHSHRINK,
    DL_UNARY_SOFTSHRINK,  // lambda
    DL_UNARY_HARDSHRINK,  // lambda
    DL_UNARY_THRESHOLD,   // threshold, value
    DL_UNARY_POW,         // exponent; NaN, inf and signs as C's pow
    DL_UNARY_COUNT
} dl_unary_op;

typedef enum dl_binary_op {
    DL_BINARY_ADD = 0,  // alpha: a + alpha * b; bool: or
    DL_BINARY_SUB,      // alpha: a - alpha * b
    DL_BINARY_MUL,      // bool: and
    DL_BINARY_MAXIMUM,  // NaN if either is
    DL_BINARY_MINIMUM,
    DL_BINARY_FLOOR_DIVIDE,  // integers: a zero divisor gives DL_BAD_INDEX (the four ops from here)
    DL_BINARY_TRUNC_DIVIDE,
    DL_BINARY_REMAINDER,  // sign of the divisor
    DL_BINARY_FMOD,       // sign of the dividend
    DL_BINARY_POW,        // integers: a negative exponent gives 0, but for bases 1 and -1
    DL_BINARY_HEAVISIDE,

    DL_BINARY_EQ,  // -> bool, from here
    DL_BINARY_NE,
    DL_BINARY_LT,
    DL_BINARY_LE,
    DL_BINARY_GT,
    DL_BINARY_GE,
    DL_BINARY_LOGICAL_AND,
    DL_BINARY_LOGICAL_OR,
    DL_BINARY_LOGICAL_XOR,  // -> bool, up to here

    DL_BINARY_BITWISE_AND,  // integers and bool, from here
    DL_BINARY_BITWISE_OR,
    DL_BINARY_BITWISE_XOR,
    DL_BINARY_SHIFT_LEFT,
    DL_BINARY_SHIFT_RIGHT,
    DL_BINARY_GCD,
    DL_BINARY_LCM,  // up to here

    DL_BINARY_DIV,  // floats only, from here
    DL_BINARY_FMAX,
    DL_BINARY_FMIN,
    DL_BINARY_ATAN2,
    DL_BINARY_HYPOT,
    DL_BINARY_COPYSIGN,
    DL_BINARY_NEXTAFTER,
    DL_BINARY_XLOGY,
    DL_BINARY_LOGADDEXP,
    DL_BINARY_LOGADDEXP2,
    DL_BINARY_PRELU,  // (x, weight)

    // Backward maps: dy times the derivative of the activation, in one pass. The second input is x,
    // or y (the activation's result) where noted. Parameters as in the forward map.
    DL_BINARY_RELU_GRAD,        // x or y
    DL_BINARY_SIGMOID_GRAD,     // y
    DL_BINARY_TANH_GRAD,        // y
    DL_BINARY_SQRT_GRAD,        // y
    DL_BINARY_RSQRT_GRAD,       // y
    DL_BINARY_RECIPROCAL_GRAD,  // y
    DL_BINARY_ABS_GRAD,
    DL_BINARY_LOGSIGMOID_GRAD,
    DL_BINARY_SOFTPLUS_GRAD,
    DL_BINARY_LEAKY_RELU_GRAD,
    DL_BINARY_ELU_GRAD,
    DL_BINARY_GELU_GRAD,
    DL_BINARY_GELU_TANH_GRAD,
    DL_BINARY_SILU_GRAD,
    DL_BINARY_MISH_GRAD,
    DL_BINARY_HARDTANH_GRAD,  // min, max: passes where min < x < max
    DL_BINARY_CLAMP_GRAD,     // min, max: passes where min <= x <= max
    DL_BINARY_HARDSWISH_GRAD,
    DL_BINARY_HARDSIGMOID_GRAD,
    DL_BINARY_SOFTSIGN_GRAD,
    DL_BINARY_SHRINK_GRAD,  // lambda: softshrink and hardshrink
    DL_BINARY_THRESHOLD_GRAD,
    DL_BINARY_COUNT
} dl_binary_op;

typedef enum dl_ternary_op {
    DL_TERNARY_WHERE = 0,   // (condition bool, a, b)
    DL_TERNARY_CLAMP,       // (x, min, max) = min(max(x, min), max); NaN if any is
    DL_TERNARY_ADDCMUL,     // value: a + value * b * c
    DL_TERNARY_ADDCDIV,     // value: a + value * b / c
    DL_TERNARY_LERP,        // a + c * (b - a)
    DL_TERNARY_PRELU_GRAD,  // (dy, x, weight): the gradient of x
    DL_TERNARY_COUNT
} dl_ternary_op;

typedef struct dl_elementwise_table {
    dl_map_fn unary[DL_UNARY_COUNT];
    dl_map_fn binary[DL_BINARY_COUNT];
    dl_map_fn ternary[DL_TERNARY_COUNT];
    // Any dtype to any dtype. Float to integer cuts the fraction off; float to bool is x != 0, so a
    // NaN gives true; to bfloat16 and float16 rounds to nearest even.
    dl_map_fn copy;
    // Outputs only. fill: the value is params[0], for integers int64(params[0]) + int64(params[1]).
    dl_map_fn fill;
    // In the order of a contiguous 1-d output. arange: start, step. linspace: start, end, steps.
    dl_map_fn arange;
    dl_map_fn linspace;
} dl_elementwise_table;
