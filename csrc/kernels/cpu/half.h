// bfloat16 and float16 as 16-bit integers, to and from float; rounding to nearest even.
#pragma once
#include <stdint.h>
#include <string.h>

namespace {

static inline uint32_t float_bits(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}
static inline float bits_float(uint32_t u) {
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

static inline float bf16_to_float(uint16_t h) { return bits_float(uint32_t(h) << 16); }
static inline uint16_t float_to_bf16(float x) {
    uint32_t u = float_bits(x);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    return x != x ? uint16_t(0x7fc0u | ((u >> 16) & 0x8000u)) : uint16_t(rounded);
}

// Without branches, so that a loop over it is vectorised. Multiplying by 2^112 moves the exponent's
// bias from 15 to 127 and makes denormals normal; infinities and NaN get the top exponent afterwards.
static inline float f16_to_float(uint16_t h) {
    uint32_t sign = uint32_t(h & 0x8000u) << 16, body = uint32_t(h & 0x7fffu) << 13;
    uint32_t scaled = float_bits(bits_float(body) * bits_float(0x77800000u));
    // A denormal factor may be flushed to zero, so denormals are made from their integer value instead.
    uint32_t tiny = float_bits(float(h & 0x3ffu) * bits_float(0x33800000u));
    uint32_t u = body >= 0x0f800000u ? body | 0x7f800000u : scaled;
    u = body < 0x00800000u ? tiny : u;
    return bits_float(u | sign);
}
static inline uint16_t float_to_f16(float x) {
    uint32_t u = float_bits(x), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    uint32_t normal = (a - 0x38000000u + 0xfffu + ((a >> 13) & 1u)) >> 13;
    // Adding 0.5 leaves the bits of a denormal result, rounded, at the bottom of the mantissa.
    uint32_t tiny = float_bits(bits_float(a) + 0.5f) - 0x3f000000u;
    uint32_t h = a < 0x38800000u ? tiny : normal;
    h = a >= 0x477ff000u ? 0x7c00u : h;
    h = a > 0x7f800000u ? 0x7e00u : h;
    return uint16_t(h | sign);
}

}  // namespace
