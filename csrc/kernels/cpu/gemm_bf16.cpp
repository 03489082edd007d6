// Products of bfloat16 matrices with float32 sums, by the instruction that multiplies pairs of them
// (AVX512_BF16). The packed core does the work: to it, two consecutive steps of the sum are one
// 32-bit element. Vectors of a k-contiguous matrix (a batch's few rows against weights [out, in])
// are multiplied where they lie.
//
// Only this file is compiled for that extension, and it is entered only where the processor has it:
// elsewhere the entry answers DL_UNSUPPORTED, and the caller converts.
#if defined(__AVX512F__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512bf16"))), apply_to = function)
#else
#pragma GCC target("avx512bf16")
#endif
#endif
#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/gemm_small.h"

namespace {

#if defined(__AVX512F__) && DL_VEC_BYTES == 64

constexpr int64_t kPairRows = 16;  // most rows of A that are multiplied without packing

// The micro-kernel's arithmetic: 16 pairs a vector, each adding two products to a float.
struct PairSteps {
    typedef uint16_t In;
    DL_INLINE vf32 load(const uint16_t* p) { return (vf32)_mm512_loadu_si512(p); }
    DL_INLINE vf32 load_n(const uint16_t* p, int64_t n) {
        return (vf32)_mm512_maskz_loadu_epi16((__mmask32(1) << n) - 1, p);
    }
    DL_INLINE vf32 spread(const float* pair) {
        int32_t bits;
        memcpy(&bits, pair, sizeof bits);
        return (vf32)_mm512_set1_epi32(bits);
    }
    DL_INLINE vf32 add(vf32 sum, vf32 a, vf32 b) {
        return (vf32)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
    }
};

// Slivers of pairs: unit (k, w) holds elements 2k and 2k + 1 of row (column) w, a zero for the one
// that an odd sum lacks.
template <int W>
struct PackPairs {
    static constexpr bool prepacked = false;
    const uint16_t* src;
    int64_t ws, ks, steps;  // strides as in PackStrided; length of the whole sum, in elements

    const float* operator()(float* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        for (int64_t w = 0; w < wn; w += W)
            sliver(buf + w * kc, src + (w0 + w) * ws + 2 * k0 * ks, gemm_min(W, wn - w), kc,
                   gemm_min(2 * kc, steps - 2 * k0));
        return buf;
    }

    // `left`: elements of the sum from here on, 2 kc or one less.
    void sliver(float* dst, const uint16_t* from, int64_t wn, int64_t kc, int64_t left) const {
        const int64_t whole = left / 2;
        if (ks == 1 && whole >= 1)
            pack_rows<float, W>(dst, from, wn, whole, ws * int64_t(sizeof *from));
        else
            for (int64_t k = 0; k < whole; ++k)
                pair(dst + k * W, from + 2 * k * ks, from + (2 * k + 1) * ks, wn);
        if (whole < kc) pair(dst + whole * W, from + 2 * whole * ks, nullptr, wn);
    }

    static uint32_t joined(const uint16_t* a, const uint16_t* b) {
        return uint32_t(*a) | (b ? uint32_t(*b) << 16 : 0);
    }
    void pair(float* dst, const uint16_t* a, const uint16_t* b, int64_t wn) const {
        uint32_t row[W];
        if (ws == 1 && wn == W && b)
            for (int64_t w = 0; w < W; ++w) row[w] = joined(a + w, b + w);
        else
            for (int64_t w = 0; w < W; ++w)
                row[w] = w < wn ? joined(a + w * ws, b ? b + w * ws : nullptr) : 0;
        memcpy(dst, row, sizeof row);
    }
};

typedef GemmProblem<uint16_t, float> PairProblem;

bool multiply(PairProblem p, int threads) {
    typedef GemmTile<float> Tile;
    if (p.k == 0) {
        gemm_epilogue_only(p);
        return true;
    }
    if (p.m > p.n ? p.n <= kPairRows : p.out.cs != 1 && p.out.rs == 1) gemm_transpose(p);
    if (p.m * p.n < 2 * kGemmAlone / p.k) threads = 1;
    if (p.m <= kPairRows && p.b_ks == 1) {
        const uint16_t* a = gemm_dot_pack<float>(p.m, p.k, p.a, p.a_rs, p.a_ks, threads);
        if (!a) return false;
        const auto body = [&](int64_t begin, int64_t end) {
            gemm_dot_columns<float, PairSteps>(p.m, p.k, 0, p.k, a, p.b, p.b_cs, p.out, begin, end);
        };
        if (threads > 1)
            parallel_for(p.n, gemm_dot_grain(p.m, p.n, p.m * p.k / 2, threads), body);
        else
            body(0, p.n);
        return true;
    }
    if (p.out.cs != 1 && p.out.rs == 1) gemm_transpose(p);
    p.out.micros = GemmMicros<float, Tile::NV, PairSteps>::at;
    p.out.narrow_micros = GemmMicros<float, 1, PairSteps>::at;
    return gemm_packed<float>(p.m, p.n, gemm_div_up(p.k, 2),
                              PackPairs<Tile::MR>{p.a, p.a_rs, p.a_ks, p.k},
                              PackPairs<Tile::NR>{p.b, p.b_cs, p.b_ks, p.k}, p.out, threads);
}

bool has_pair_products() { return __builtin_cpu_supports("avx512bf16") != 0; }

dl_status run_pairs(const dl_gemm_args& g) {
    return gemm_batches(g, [&g](int64_t z, int threads) {
        return multiply(gemm_problem<uint16_t, float>(g, z), threads);
    });
}
#else
bool has_pair_products() { return false; }
dl_status run_pairs(const dl_gemm_args&) { return DL_UNSUPPORTED; }
#endif

}  // namespace

namespace deeplite::cpu::DL_ISA {
dl_status gemm_bf16(const dl_gemm_args& g);
dl_status gemm_bf16(const dl_gemm_args& g) {
    return has_pair_products() ? run_pairs(g) : DL_UNSUPPORTED;
}
}  // namespace deeplite::cpu::DL_ISA
